"""Processing of spectra: a cube becomes another cube, computed block by block when it is read."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cube import Band, Cube, nearest_band
from napari_phenoscape.derived import BlockArray, in_reflectance
from napari_phenoscape.errors import BandMismatchError, CubeError, OptionError

#: Numbers of a cube that are in memory at a time.
BLOCK = 4 << 20


class _OfSpectra(BlockArray):
    """(K, H, W) numbers, each pixel's K from its whole spectrum.

    ``compute`` turns (C, rows, columns) reflectance into (K, rows, columns).
    """

    def __init__(
        self, cube: Cube, bands: int, compute: Callable[[NDArray[np.float64]], NDArray[np.float64]]
    ) -> None:
        super().__init__((bands, *cube.shape[1:]), np.dtype(np.float32))
        self._cube, self._compute = cube, compute

    def block(self, bands: NDArray[np.intp], rows: slice, columns: slice) -> NDArray[Any]:
        height = len(range(rows.start, rows.stop, rows.step))
        width = len(range(columns.start, columns.stop, columns.step))
        found = np.empty((len(bands), height, width), np.float32)
        at_once = max(1, BLOCK // (self._cube.shape[0] * max(width, 1)))
        for start in range(0, height, at_once):
            part = found[:, start : start + at_once]
            first = rows.start + start * rows.step
            down = slice(first, first + part.shape[1] * rows.step, rows.step)
            spectra = self._cube.reflectance(rows=down, columns=columns).astype(np.float64)
            part[:] = self._compute(spectra)[bands]
        return found


class _Calibrated(BlockArray):
    """(numbers - dark) / (white - dark), with references of (C, W)."""

    def __init__(self, cube: Cube, gain: NDArray[np.float64], dark: NDArray[np.float64]) -> None:
        super().__init__(cube.shape, np.dtype(np.float32))
        self._array, self._gain, self._dark = cube.array, gain, dark

    def block(self, bands: NDArray[np.intp], rows: slice, columns: slice) -> NDArray[Any]:
        dark, gain = (part[bands][:, None, columns] for part in (self._dark, self._gain))
        numbers = np.asarray(self._array[bands, rows, columns])
        found: NDArray[Any] = ((numbers - dark) * gain).astype(np.float32)
        return found


def calibrated(cube: Cube, white: Cube, dark: Cube | None = None, panel: float = 1.0) -> Cube:
    """Reflectance from a white and a dark reference: panel * (raw - dark) / (white - dark).

    The references are averaged over their rows and keep their columns, along which the light and
    the detector of a line camera vary; one of another width is averaged over its columns too.
    Numbers are the files' own, whatever scale they state.

    Parameters
    ----------
    white
        The same bands, of a white panel.
    dark
        The same with the shutter closed; none: 0.
    panel
        Reflectance of the panel, 0-1.

    Raises
    ------
    CubeError
        A reference has other bands, or the white one is nowhere brighter than the dark one.
    """
    if not 0 < panel <= 1:
        raise OptionError(
            f"The panel's reflectance is {panel:g}; above 0 and up to 1 was expected."
        )
    light, shade = _reference(cube, white), np.zeros((cube.shape[0], cube.shape[2]))
    if dark is not None:
        shade = _reference(cube, dark)
    brighter = light > shade
    if not brighter.any():
        raise CubeError(
            f"The white reference '{white.path.name}' is nowhere brighter than the dark one. Were "
            "they exchanged?"
        )
    gain = np.where(brighter, panel / np.where(brighter, light - shade, 1), np.nan)
    return _as_reflectance(cube, _Calibrated(cube, gain, shade))


def smoothed(cube: Cube, window: int, order: int = 2) -> Cube:
    """Savitzky-Golay smoothing [1]_ of every spectrum, over bands in their order.

    A band that was not measured makes those within half a window unknown.

    Parameters
    ----------
    window
        Bands, an odd number.
    order
        Of the polynomial, below ``window``.

    References
    ----------
    .. [1] Savitzky & Golay 1964. https://doi.org/10.1021/ac60214a047
    """
    from scipy.signal import savgol_filter

    count = cube.shape[0]
    if window % 2 == 0 or not order < window <= count:
        raise OptionError(
            f"A window of {window} bands does not suit order {order} and {count} bands; an odd "
            f"number above {order} and up to {count} was expected."
        )
    return _as_reflectance(
        cube, _OfSpectra(cube, count, lambda x: np.asarray(savgol_filter(x, window, order, axis=0)))
    )


def without_continuum(cube: Cube) -> Cube:
    """Every spectrum divided by its upper convex hull over wavelength [1]_: 1 = on the hull.

    Raises
    ------
    BandMismatchError
        The bands have no wavelengths, or these do not rise.

    References
    ----------
    .. [1] Clark & Roush 1984. https://doi.org/10.1029/JB089iB07p06329
    """
    nm = cube.wavelengths_nm
    if nm is None or (np.diff(nm) <= 0).any():
        raise BandMismatchError(
            f"'{cube.path.name}' has no wavelengths that rise from band to band, which the "
            "continuum needs. Choose its bands so that they do."
        )

    def compute(x: NDArray[np.float64]) -> NDArray[np.float64]:
        flat = x.reshape(len(x), -1)
        with np.errstate(invalid="ignore", divide="ignore"):
            return (flat / _hull(nm, flat)).reshape(x.shape)

    return _as_reflectance(cube, _OfSpectra(cube, cube.shape[0], compute))


def band_index(cube: Cube, formula: str) -> Cube:
    """One band from a formula, e.g. ``(R800 - R670) / (R800 + R670)``.

    Parameters
    ----------
    formula
        ``R`` and a number is the reflectance of the band nearest to that wavelength in nm (within
        15 nm); any other word is a band's name. Numbers, ``+ - * / **`` and brackets. What cannot
        be computed (0 / 0) is not measured.

    Raises
    ------
    OptionError
        The formula is none.
    BandMismatchError
        The cube lacks a band of it.
    """
    try:
        tree = ast.parse(formula, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise _no_formula(formula) from None
    _check_formula(tree, formula)
    words = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
    places = {word: _band_of(cube, word, formula) for word in sorted(words)}
    if not places:
        raise _no_formula(formula)

    def compute(x: NDArray[np.float64]) -> NDArray[np.float64]:
        with np.errstate(all="ignore"):
            value = _value(tree, {word: x[place] for word, place in places.items()})
        return np.where(np.isfinite(value), value, np.nan)[None]

    array = _OfSpectra(cube, 1, compute)
    return replace(_as_reflectance(cube, array), bands=(Band(formula),), rgb_bands=None)


def _as_reflectance(cube: Cube, array: BlockArray) -> Cube:
    return replace(in_reflectance(cube), array=array)


def _reference(cube: Cube, reference: Cube) -> NDArray[np.float64]:
    """(C, W) mean over the rows of a reference."""
    if reference.shape[0] != cube.shape[0] or (
        reference.wavelengths_nm is not None
        and cube.wavelengths_nm is not None
        and not np.allclose(reference.wavelengths_nm, cube.wavelengths_nm, atol=0.01)
    ):
        raise CubeError(
            f"The reference '{reference.path.name}' has {reference.shape[0]} bands, "
            f"'{cube.path.name}' {cube.shape[0]}; the same bands were expected. Record it with the "
            "same settings."
        )
    total = np.zeros((reference.shape[0], reference.shape[2]))
    at_once = max(1, BLOCK // total.size)
    for start in range(0, reference.shape[1], at_once):
        total += np.asarray(reference.array[:, start : start + at_once]).sum(1, dtype=np.float64)
    mean: NDArray[np.float64] = total / reference.shape[1]
    if mean.shape[1] != cube.shape[2]:
        mean = np.broadcast_to(mean.mean(1, keepdims=True), (len(mean), cube.shape[2]))
    return mean


def _hull(nm: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """(C, n) upper convex hull of (C, n) spectra.

    All pixels at once: each goes from corner to corner along the steepest chord.
    """
    count, pixels = y.shape
    is_corner = np.zeros(y.shape, dtype=bool)
    at = np.zeros(pixels, dtype=np.intp)
    is_corner[0] = True
    every = np.arange(pixels)
    known = np.isfinite(y).all(0)
    while (going := every[(at < count - 1) & known]).size:
        here = at[going]
        with np.errstate(divide="ignore", invalid="ignore"):
            slopes = (y[:, going] - y[here, going]) / (nm[:, None] - nm[here])
        slopes[np.arange(count)[:, None] <= here] = -np.inf
        # the last of equal ones: fewer corners on a straight line
        at[going] = count - 1 - slopes[::-1].argmax(0)
        is_corner[at[going], going] = True
    place = np.arange(count)[:, None]
    before = np.maximum.accumulate(np.where(is_corner, place, 0), axis=0)
    after = np.minimum.accumulate(np.where(is_corner, place, count - 1)[::-1], axis=0)[::-1]
    low, high = (np.take_along_axis(y, corner, 0) for corner in (before, after))
    width = nm[after] - nm[before]
    share = np.where(width > 0, (nm[:, None] - nm[before]) / np.where(width > 0, width, 1), 0)
    hull: NDArray[np.float64] = np.where(known, low + share * (high - low), np.nan)
    return hull


_OPERATIONS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul,
    ast.Div: operator.truediv, ast.Pow: operator.pow, ast.USub: operator.neg,
}  # fmt: skip


def _check_formula(tree: ast.expr, formula: str) -> None:
    for node in ast.walk(tree):
        legal = (
            isinstance(node, ast.Name | ast.BinOp | ast.UnaryOp | ast.Load)
            or type(node) in _OPERATIONS
            or (isinstance(node, ast.Constant) and type(node.value) in (int, float))
        )
        if not legal:
            raise _no_formula(formula)


def _value(node: ast.expr, bands: dict[str, NDArray[np.float64]]) -> Any:
    match node:
        case ast.Name(id=word):
            return bands[word]
        case ast.BinOp(left=left, op=op, right=right):
            return _OPERATIONS[type(op)](_value(left, bands), _value(right, bands))
        case ast.UnaryOp(op=op, operand=operand):
            return _OPERATIONS[type(op)](_value(operand, bands))
        case ast.Constant(value=int() | float() as number):
            return np.float64(number)
    raise AssertionError(node)  # _check_formula lets nothing else through


def _band_of(cube: Cube, word: str, formula: str) -> int:
    names = [band.name for band in cube.bands]
    if word in names:
        return names.index(word)
    if word[:1] == "R" and word[1:].isdecimal():
        found = nearest_band(cube, float(word[1:]))
        if found is not None:
            return found
    raise BandMismatchError(
        f"'{cube.path.name}' has no band for '{word}' in '{formula}'. Write R and a wavelength "
        "within 15 nm of a band, e.g. R550, or the name of a band."
    )


def _no_formula(formula: str) -> OptionError:
    return OptionError(
        f"'{formula[:80]}' is no formula of bands; numbers, bands and + - * / ** were expected, "
        "e.g. (R800 - R670) / (R800 + R670)."
    )
