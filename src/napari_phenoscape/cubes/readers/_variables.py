"""Container files hold several arrays: which of them is the cube, and which its wavelengths."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cubes._arrays import full_scale, scale_in_float32, unique
from napari_phenoscape.cubes._bands import Band, Bands
from napari_phenoscape.cubes._wavelengths import centres_in_nm
from napari_phenoscape.errors import CubeError, MissingFileError

#: What people call the band centres: wavelengths, Wavelength, wavlength, lambda, wl, wvl, ...
_WAVELENGTHS = re.compile(r"wave?_?len|wavlen|^lambda|^wl$|^wvl$|band_?cent", re.IGNORECASE)

#: What people call the axis of the bands.
_SPECTRAL = re.compile(r"wave|band|spectr|lambda|channel", re.IGNORECASE)

#: Longest list of band centres that is looked at.
_MOST_BANDS = 100_000


@dataclass(frozen=True, slots=True)
class Variable:
    """One array of a container file, unread.

    Parameters
    ----------
    name
        Its path in the file, e.g. ``"SITE/Reflectance/Reflectance_Data"``.
    shape, dtype
        As the program that wrote it counts the axes.
    axes
        Names of the axes where the file has them, else empty.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    axes: tuple[str, ...] = ()

    @property
    def is_cube(self) -> bool:
        return len(self.shape) == 3 and min(self.shape) > 0 and self.dtype.kind in "iuf"

    @property
    def length(self) -> int:
        """Of a list of numbers, also of MATLAB's (n, 1) and (1, n); 0 of anything else."""
        count = int(np.prod(self.shape, dtype=object)) if self.shape else 0
        is_list = self.dtype.kind in "iuf" and max(self.shape, default=0) == count
        return count if is_list and count <= _MOST_BANDS else 0


def names_wavelengths(name: str) -> bool:
    """Whether an array of this name in a file holds band centres."""
    return _WAVELENGTHS.search(name.rpartition("/")[2]) is not None


def wavelengths_of(cube: Variable, variables: Sequence[Variable]) -> Variable | None:
    """The list of band centres of a cube: by its name, its length, and nearest in the file."""
    lists = [
        variable
        for variable in variables
        if names_wavelengths(variable.name) and variable.length in cube.shape
    ]

    def shared(variable: Variable) -> int:
        pairs = zip(variable.name.split("/"), cube.name.split("/"), strict=False)
        return next((i for i, (a, b) in enumerate(pairs) if a != b), 0)

    return max(lists, key=shared, default=None)


def choose(path: Path, inside: str, variables: Sequence[Variable]) -> Variable:
    """The cube of a file: the one that is named, the only one, or the only one with wavelengths.

    Raises
    ------
    CubeError
        There is none, or several that nobody has chosen from; the sentence lists them.
    MissingFileError
        The one that is named is not there.
    """
    cubes = [variable for variable in variables if variable.is_cube]
    if inside:
        named = [variable for variable in variables if variable.name == inside]
        if not named:
            raise MissingFileError(
                f"'{path.name}' holds no '{inside}'; it holds {_listed(variables)}. Name one of "
                "these."
            )
        if not named[0].is_cube:
            raise CubeError(
                f"'{inside}' in '{path.name}' is {_described(named[0])}; numbers with three axes "
                f"were expected. It holds {_listed(variables)}."
            )
        return named[0]
    with_wavelengths = [cube for cube in cubes if wavelengths_of(cube, variables)]
    if len(cubes) > 1 and len(with_wavelengths) != 1:
        raise CubeError(
            f"'{path.name}' holds {len(cubes)} arrays that may be the cube: {_listed(cubes)}. Open "
            f"one of them by its name, e.g. '{path.name}/{cubes[0].name}'."
        )
    if not cubes:
        raise CubeError(
            f"'{path.name}' holds no cube: numbers with three axes were expected, and it holds "
            f"{_listed(variables)}. Export it as ENVI or TIFF."
        )
    return (with_wavelengths if len(cubes) > 1 else cubes)[0]


def spectral_axis(cube: Variable, wavelengths: Variable | None, notes: list[str]) -> int:
    """Which axis of a cube counts the bands."""
    if wavelengths is not None:
        fitting = [axis for axis, side in enumerate(cube.shape) if side == wavelengths.length]
        if len(fitting) > 1:
            named = [axis for axis in fitting if _is_spectral(cube, axis)]
            if not named:
                notes.append(
                    f"{len(fitting)} axes of {cube.shape} fit to the wavelengths; the last of them "
                    "is taken as the bands."
                )
            fitting = named or fitting
        return fitting[-1]
    for axis in range(len(cube.axes)):
        if _is_spectral(cube, axis):
            return axis
    notes.append(f"The last axis of {cube.shape} is taken as the bands.")
    return len(cube.shape) - 1


def bands_of(count: int, centres: Sequence[float], unit: str, notes: list[str]) -> Bands:
    """``count`` bands, with their centres where there are any."""
    if not len(centres):
        notes.append("No wavelengths are given.")
        return Bands(Band(f"band {i + 1}") for i in range(count))
    numbers, unit = centres_in_nm([float(centre) for centre in centres], unit, notes)
    names = unique([f"{number:.7g} {unit}".strip() for number in numbers])
    return Bands(
        Band(name, number if unit == "nm" else None)
        for name, number in zip(names, numbers, strict=True)
    )


def mask_among(
    variables: Sequence[Variable], shape: tuple[int, int], notes: list[str]
) -> Variable | None:
    """A logical array of the picture's size is its mask; of several, none."""
    found = [one for one in variables if one.shape == shape and one.dtype.kind == "b"]
    if len(found) != 1:
        return None
    notes.append(f"The logical array '{found[0].name}' is taken as the mask.")
    return found[0]


def stated_scale(
    name: str, said: Mapping[str, Any], dtype: np.dtype[Any], count: int, notes: list[str]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Gain and offset: NetCDF's ``scale_factor`` multiplies, NEON's ``Scale_Factor`` divides.

    Returns
    -------
    () or, where the attributes hold a number for each band, (C,).

    Raises
    ------
    CubeError
        One of them is not finite.
    """
    gain, offset = (numbers_of(said, word, count) for word in ("scale_factor", "add_offset"))
    if gain is None and (divisor := number_of(said, "Scale_Factor")):
        gain = np.array(1 / divisor)
    if gain is None:
        white, note = full_scale(dtype)
        gain = np.array(white)
        notes.append(note)
    return scale_in_float32(name, gain, np.zeros(()) if offset is None else offset)


def numbers_of(said: Mapping[str, Any], name: str, count: int) -> NDArray[np.float64] | None:
    """() or (count,) of an attribute that holds one number, or so many."""
    value = np.asarray(said.get(name, []))
    if value.dtype.kind not in "iuf" or value.size not in (1, count):
        return None
    return value.astype(np.float64).reshape(() if value.size == 1 else count)


def number_of(said: Mapping[str, Any], *names: str) -> float | None:
    """The first of these attributes that holds one number."""
    for name in names:
        value = np.asarray(said[name]).ravel() if name in said else np.zeros(0)
        if value.size == 1 and value.dtype.kind in "iuf":
            return float(value[0])
    return None


def text_of(said: Mapping[str, Any], *names: str) -> str:
    """The first of these attributes that holds a text."""
    for name in names:
        value = said.get(name, "")
        value = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        if isinstance(value, str) and value:
            return value
    return ""


def _is_spectral(cube: Variable, axis: int) -> bool:
    return bool(cube.axes) and _SPECTRAL.search(cube.axes[axis]) is not None


def _described(variable: Variable) -> str:
    sides = " × ".join(map(str, variable.shape)) or "one value"
    return f"{sides} of {variable.dtype if variable.dtype.kind in 'iufcb' else 'no numbers'}"


def _listed(variables: Sequence[Variable], most: int = 8) -> str:
    names = [f"'{variable.name}' ({_described(variable)})" for variable in variables[:most]]
    return ", ".join(names) + (", ..." if len(variables) > most else "") or "nothing"
