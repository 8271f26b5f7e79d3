"""Container files hold several arrays: which of them is the cube, and which its wavelengths."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_phenoscape.cube import Band
from napari_phenoscape.errors import CubeError, MissingFileError
from napari_phenoscape.io.arrays import unique
from napari_phenoscape.io.wavelengths import centres_in_nm

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


def wavelengths_of(cube: Variable, variables: Sequence[Variable]) -> Variable | None:
    """The list of band centres of a cube: by its name, its length, and nearest in the file."""
    lists = [
        variable
        for variable in variables
        if _WAVELENGTHS.search(variable.name.rpartition("/")[2]) and variable.length in cube.shape
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


def bands_of(count: int, centres: Sequence[float], unit: str, notes: list[str]) -> tuple[Band, ...]:
    """``count`` bands, with their centres where there are any."""
    if not len(centres):
        notes.append("No wavelengths are given.")
        return tuple(Band(f"band {i + 1}") for i in range(count))
    numbers, unit = centres_in_nm([float(centre) for centre in centres], unit, notes)
    names = unique([f"{number:.7g} {unit}".strip() for number in numbers])
    return tuple(
        Band(name, number if unit == "nm" else None)
        for name, number in zip(names, numbers, strict=True)
    )


def _is_spectral(cube: Variable, axis: int) -> bool:
    return bool(cube.axes) and _SPECTRAL.search(cube.axes[axis]) is not None


def _described(variable: Variable) -> str:
    sides = " × ".join(map(str, variable.shape)) or "one value"
    return f"{sides} of {variable.dtype if variable.dtype.kind in 'iufcb' else 'no numbers'}"


def _listed(variables: Sequence[Variable], most: int = 8) -> str:
    names = [f"'{variable.name}' ({_described(variable)})" for variable in variables[:most]]
    return ", ".join(names) + (", ..." if len(variables) > most else "") or "nothing"
