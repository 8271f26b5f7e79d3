"""MATLAB 5 to 7.2 (``.mat``); 7.3 is HDF5."""

from __future__ import annotations

import struct
import zlib
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cubes._arrays import DecodedArray, full_scale
from napari_phenoscape.cubes._cube import Cube
from napari_phenoscape.cubes.readers._mat5 import read_numbers, stored_variables
from napari_phenoscape.cubes.readers._reader import Reader
from napari_phenoscape.cubes.readers._variables import (
    Variable,
    bands_of,
    choose,
    mask_among,
    spectral_axis,
    wavelengths_of,
)
from napari_phenoscape.errors import CubeError

#: What a file that is damaged or made to harm ends in.
_DAMAGED = (ValueError, StopIteration, KeyError, EOFError, MemoryError, struct.error, zlib.error)


def recognise(path: Path) -> bool:
    """Whether a file holds numbers with three axes and their wavelengths."""
    variables = _variables(path)
    return any(one.is_cube and wavelengths_of(one, variables) for one in variables)


def open_matlab(path: Path, inside: str = "") -> Cube:
    """The cube of a MATLAB file; its numbers are read as a whole when they are first needed.

    Parameters
    ----------
    path
        The file.
    inside
        Name of the variable; empty: the only one that can be a cube.

    Raises
    ------
    CubeError
        The file is damaged, holds no cube or several, or more than the free memory.
    """
    variables = _variables(path)
    cube = choose(path, inside, variables)
    notes = [f"'{cube.name}' of {len(variables)} variables is taken."] if not inside else []
    wavelengths = wavelengths_of(cube, variables)
    axis = spectral_axis(cube, wavelengths, notes)
    order = (axis, *(i for i in range(3) if i != axis))
    bands, rows, columns = (cube.shape[i] for i in order)
    array = DecodedArray(
        path, (bands, rows, columns), cube.dtype, partial(_planes, path, cube.name, order)
    )
    centres = [] if wavelengths is None else _read(path, wavelengths.name).ravel().tolist()
    gain, note = full_scale(cube.dtype)
    notes.append(note)
    mask = mask_among(variables, (rows, columns), notes)
    return Cube(
        array=array,
        bands=bands_of(bands, centres, "", notes),
        path=path / inside,
        gain=np.array(gain, np.float32),
        mask=None if mask is None else _read(path, mask.name) > 0,
        provenance=tuple(notes),
    )


def _variables(path: Path) -> list[Variable]:
    try:
        return [Variable(one.name, one.shape, one.dtype) for one in stored_variables(path)]
    except _DAMAGED as error:
        raise _damaged(path, error) from None


def _planes(path: Path, name: str, order: tuple[int, ...]) -> NDArray[Any]:
    return _read(path, name).transpose(order)


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
    claims=lambda _, head: head.startswith(b"MATLAB 5.0"),
    open=open_matlab,
    recognise=recognise,
    open_array=open_matlab,
)
