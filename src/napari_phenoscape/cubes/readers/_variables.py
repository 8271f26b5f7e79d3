"""Container files hold several arrays: which of them is the cube, and which its wavelengths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cubes._arrays import unique
from napari_phenoscape.cubes._bands import Band, Bands
from napari_phenoscape.cubes._wavelengths import centres_in_nm
from napari_phenoscape.cubes.readers._centres import Centres, bad_bands, wavelengths_of
from napari_phenoscape.cubes.readers._planes import families
from napari_phenoscape.cubes.readers._variable import Variable
from napari_phenoscape.errors import CubeError, MissingFileError, did_you_mean


@dataclass(frozen=True, slots=True)
class Found:
    """The cube of a file, and what the other arrays say of it.

    Parameters
    ----------
    cube
        Its array.
    order
        Positions of C, H and W among the axes of the array.
    centres
        Of its bands, where the file has them.
    bands
        C of them.
    mask
        (H, W), where the file has one.
    """

    cube: Variable
    order: tuple[int, int, int]
    centres: Centres | None
    bands: Bands
    mask: NDArray[np.bool_] | None

    @property
    def shape(self) -> tuple[int, int, int]:
        """C, H, W."""
        bands, rows, columns = (self.cube.shape[axis] for axis in self.order)
        return bands, rows, columns


def find_cube(
    path: Path,
    inside: str,
    variables: Sequence[Variable],
    axis: int | None,
    notes: list[str],
    *,
    bands_last: bool = False,
) -> Found:
    """The cube of a file, which of its axes are what, its bands and its mask.

    Parameters
    ----------
    path
        The file, named in errors.
    inside
        Name of the array; empty: the only one that can be a cube.
    axis
        Of the bands, counted from 0 in the order of the file, where the user says it.
    notes
        What is assumed is added here, one sentence each.
    bands_last
        Where nothing says which axis counts the bands, it is the last.

    Raises
    ------
    CubeError
        There is no cube, or several; or nothing says which axis counts the bands.
    MissingFileError
        The array that is named is not there.
    """
    cube = choose(path, inside, variables)
    arrays = sum(not one.is_attribute for one in variables)
    if not inside and arrays > 1:
        notes.append(f"'{cube.name}' of {arrays} variables is taken.")
    if axis is not None and axis not in cube.kept:
        raise CubeError(
            f"'{cube.name or path.name}' is {_described(cube)}; axis {axis} cannot count the bands."
            f" Name one of {', '.join(map(str, cube.kept))}."
        )
    centres = wavelengths_of(cube, variables, axis)
    if axis is not None and centres is None and wavelengths_of(cube, variables):
        notes.append(f"The wavelengths of the file do not fit to axis {axis}; they are not used.")
    c = _spectral_axis(path, cube, centres, notes, bands_last) if axis is None else axis
    h, w = (one for one in cube.kept if one != c)
    bands = bands_of(cube.shape[c], centres, notes)
    bad = bad_bands(len(bands), [band.wavelength_nm for band in bands], variables, notes)
    bands = Bands(
        replace(band, bad=band.bad or bool(flag)) for band, flag in zip(bands, bad, strict=True)
    )
    mask = _mask_among(variables, (cube.shape[h], cube.shape[w]), notes)
    return Found(cube, (c, h, w), centres, bands, mask)


def choose(path: Path, inside: str, variables: Sequence[Variable]) -> Variable:
    """The cube of a file: the one that is named, the only one, or the only one with wavelengths.

    Raises
    ------
    CubeError
        There is none, or several that nobody has chosen from; the sentence lists them.
    MissingFileError
        The one that is named is not there.
    """
    arrays = [variable for variable in variables if not variable.is_attribute]
    cubes = [array for array in arrays if array.is_cube]
    if inside:
        named = [variable for variable in arrays if variable.name == inside]
        if not named:
            meant = did_you_mean(inside, [array.name for array in arrays])
            raise MissingFileError(
                f"'{path.name}' holds no '{inside}'. {meant}It holds {_listed(arrays)}. Name one "
                "of these."
            )
        if not named[0].is_cube:
            raise CubeError(
                f"'{inside}' in '{path.name}' is {_described(named[0])}; numbers with three axes "
                f"were expected. It holds {_listed(arrays)}."
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
            f"{_listed(arrays)}. {_way_to_planes(path, arrays)}"
        )
    return (with_wavelengths if len(cubes) > 1 else cubes)[0]


def _way_to_planes(path: Path, arrays: Sequence[Variable]) -> str:
    sets = list(families(arrays))
    if len(sets) > 1:
        return f"Name one of its sets of bands, {', '.join(sets)}, e.g. '{path.name}/{sets[0]}'."
    structs = [array.name for array in arrays if array.dtype.kind == "O"]
    if structs and path.suffix.lower() == ".mat":
        return (
            f"Where '{structs[0]}' is a struct, save its fields as variables: "
            f"save('{path.stem}-fields.mat', '-struct', '{structs[0]}')."
        )
    return "Export it as ENVI or TIFF."


def planes(numbers: NDArray[Any], order: tuple[int, int, int]) -> NDArray[Any]:
    """(C, H, W) of an array, whose other axes have a length of 1."""
    single = (axis for axis in range(numbers.ndim) if axis not in order)
    return numbers.transpose(*order, *single).reshape([numbers.shape[axis] for axis in order])


def _spectral_axis(
    path: Path, cube: Variable, centres: Centres | None, notes: list[str], bands_last: bool
) -> int:
    """Which axis of a cube counts the bands."""
    shape = tuple(cube.shape[axis] for axis in cube.kept)
    fitting = cube.kept if centres is None else centres.axes
    if named := [axis for axis in fitting if cube.is_spectral(axis)]:
        return named[-1] if centres else named[0]
    if centres is not None:
        if len(fitting) > 1:
            notes.append(
                f"{len(fitting)} axes of {shape} fit to the wavelengths; the last of them is taken "
                "as the bands."
            )
        return fitting[-1]
    odd = [axis for axis in cube.kept if shape.count(cube.shape[axis]) == 1]
    if len(odd) == 1:
        notes.append(f"Of {shape}, the sides of equal length are taken as rows and columns.")
        return odd[0]
    if bands_last or shape[2] < min(shape[:2]):
        notes.append(f"The last axis of {shape} is taken as the bands.")
        return cube.kept[2]
    raise CubeError(
        f"'{path.name}' does not say which axis of {cube.shape} counts the bands. Say it, counted "
        f"from 0: --axis (read_as: axis), e.g. {cube.kept[2]} when it is the last."
    )


def bands_of(count: int, centres: Centres | None, notes: list[str]) -> Bands:
    """``count`` bands, with their centres where there are any."""
    numbered = [Band(f"band {i + 1}", bad=centres is not None) for i in range(count)]
    if centres is None:
        notes.append("No wavelengths are given.")
        return Bands(numbered)
    known = np.flatnonzero(np.isfinite(centres.numbers)).tolist()
    if len(known) < count:
        notes.append(f"{count - len(known)} bands have no wavelength in the file; they are bad.")
    numbers, unit = centres_in_nm([centres.numbers[i] for i in known], centres.unit, notes)
    names = unique([f"{number:.7g} {unit}".strip() for number in numbers])
    for i, name, number in zip(known, names, numbers, strict=True):
        numbered[i] = Band(name, number if unit == "nm" else None)
    return Bands(numbered)


def _mask_among(
    variables: Sequence[Variable], shape: tuple[int, int], notes: list[str]
) -> NDArray[np.bool_] | None:
    """A logical array of the picture's size is its mask; of several, none."""
    found = [one for one in variables if one.shape == shape and one.dtype.kind == "b"]
    if len(found) != 1:
        return None
    notes.append(f"The logical array '{found[0].name}' is taken as the mask.")
    mask: NDArray[np.bool_] = found[0].numbers() > 0
    return mask


def _described(variable: Variable) -> str:
    sides = " × ".join(map(str, variable.shape)) or "one value"
    return f"{sides} of {variable.dtype if variable.dtype.kind in 'iufcb' else 'no numbers'}"


def _listed(variables: Sequence[Variable], most: int = 8) -> str:
    names = [
        f"'{variable.name}' ({_described(variable)})" if variable.name else _described(variable)
        for variable in variables[:most]
    ]
    return ", ".join(names) + (", ..." if len(variables) > most else "") or "nothing"
