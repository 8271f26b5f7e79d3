"""MATLAB 5 to 7.2 (``.mat``); 7.3 is HDF5."""

from __future__ import annotations

import struct
import zlib
from functools import cache, partial
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from napari_phenoscape.cubes._arrays import DecodedArray
from napari_phenoscape.cubes._cube import Cube
from napari_phenoscape.cubes.readers._centres import wavelengths_of
from napari_phenoscape.cubes.readers._mat5 import read_numbers, stored_variables
from napari_phenoscape.cubes.readers._reader import Reader
from napari_phenoscape.cubes.readers._stated import stated
from napari_phenoscape.cubes.readers._variable import Variable
from napari_phenoscape.cubes.readers._variables import find_cube, planes
from napari_phenoscape.errors import CubeError

_SIGNATURE = b"MATLAB 5.0"

#: What a file that is damaged or made to harm ends in.
_DAMAGED = (ValueError, StopIteration, KeyError, EOFError, MemoryError, struct.error, zlib.error)


def recognise(path: Path) -> bool:
    """Whether a file holds numbers with three axes and their wavelengths."""
    variables = _variables(path)
    return any(one.is_cube and wavelengths_of(one, variables) for one in variables)


def open_matlab(path: Path, inside: str = "", axis: int | None = None) -> Cube:
    """The cube of a MATLAB file; its numbers are read as a whole when they are first needed.

    Parameters
    ----------
    path
        The file.
    inside
        Name of the variable; empty: the only one that can be a cube.
    axis
        Of the bands, where the user says it.

    Raises
    ------
    CubeError
        The file is damaged, holds no cube or several, or more than the free memory.
    """
    notes: list[str] = []
    found = find_cube(path, inside, _variables(path), axis, notes, bands_last=True)
    decode = partial(_planes, path, found.cube.name, found.order)
    array = DecodedArray(path, found.shape, found.cube.dtype, decode)
    cube = Cube(array, found.bands, path / inside, mask=found.mask, provenance=tuple(notes))
    return stated(cube, {}, path.name)


def _variables(path: Path) -> list[Variable]:
    with path.open("rb") as file:
        if not file.read(len(_SIGNATURE)).startswith(_SIGNATURE):
            raise CubeError(
                f"'{path.name}' is no MATLAB file of version 5 to 7.3; one of version 4 does not "
                "hold cubes. Save it with 'save -v7', or copy it again from its source."
            )
    try:
        return [
            Variable(one.name, one.shape, one.dtype, numbers=cache(partial(_read, path, one.name)))
            for one in stored_variables(path)
        ]
    except _DAMAGED as error:
        raise _damaged(path, error) from None


def _planes(path: Path, name: str, order: tuple[int, int, int]) -> NDArray[Any]:
    return planes(_read(path, name), order)


def _read(path: Path, name: str) -> NDArray[Any]:
    try:
        return read_numbers(path, next(s for s in stored_variables(path) if s.name == name))
    except _DAMAGED as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> CubeError:
    return CubeError(
        f"'{path.name}' cannot be read as MATLAB 5 ({str(error)[:200] or type(error).__name__}); "
        "it is damaged or cut short. Copy it again from its source."
    )


READER = Reader(
    name="matlab",
    patterns=("*.mat",),
    claims=lambda _, head: head.startswith(_SIGNATURE),
    open=open_matlab,
    recognise=recognise,
    open_array=open_matlab,
)
