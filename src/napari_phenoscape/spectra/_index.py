"""Band indices by formula."""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cubes import Band, Bands, Cube, cropped
from napari_phenoscape.errors import BandMismatchError, OptionError
from napari_phenoscape.spectra._blocks import OfSpectra, as_reflectance


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
            value = _value(tree, dict(zip(places, x, strict=True)))
        return np.where(np.isfinite(value), value, np.nan)[None]

    # no other band is read
    needed = cropped(cube, list(places.values()), slice(None), slice(None))
    array = OfSpectra(needed, 1, compute)
    return replace(as_reflectance(cube, array), bands=Bands([Band(formula)]))


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
    if word in cube.bands.names:
        return cube.bands.index(word)
    if word[:1] == "R" and word[1:].isdecimal():
        found = cube.bands.nearest(float(word[1:]))
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
