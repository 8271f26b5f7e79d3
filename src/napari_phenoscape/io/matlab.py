"""MATLAB 5 to 7.2 (``.mat``), through scipy; 7.3 is HDF5.

Format: MAT-File Level 5, https://www.mathworks.com/help/pdf_doc/matlab/matfile_format.pdf
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cube import Cube
from napari_phenoscape.errors import CubeError
from napari_phenoscape.io.arrays import MOST_DEFLATED, DecodedArray, full_scale
from napari_phenoscape.io.variables import (
    Variable,
    bands_of,
    choose,
    mask_among,
    spectral_axis,
    wavelengths_of,
)

SIGNATURES = (b"MATLAB 5.0",)

#: numpy's name for MATLAB's; what is not here is no array of numbers.
_TYPES = {
    "double": "f8", "single": "f4", "int8": "i1", "int16": "i2", "int32": "i4", "int64": "i8",
    "uint8": "u1", "uint16": "u2", "uint32": "u4", "uint64": "u8", "logical": "?",
}  # fmt: skip

_HEAD, _COMPRESSED = 128, 15

#: Bytes of a variable in which its parts are looked for; only the numbers are longer.
_PROBE = 4096

#: What scipy raises about a file that is damaged or made to harm.
_DAMAGED = (
    ValueError, TypeError, KeyError, IndexError, EOFError, OverflowError, NotImplementedError,
    AssertionError, AttributeError, MemoryError, struct.error, zlib.error, OSError,
)  # fmt: skip


def recognise(path: Path) -> bool:
    """Whether a file holds numbers with three axes and their wavelengths."""
    variables = _variables(path)
    return any(one.is_cube and wavelengths_of(one, variables) for one in variables)


def open_matlab(path: Path, inside: str) -> Cube:
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
        path, (bands, rows, columns), cube.dtype, lambda: _read(path, cube.name).transpose(order)
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
    from scipy.io import whosmat
    from scipy.io.matlab import MatReadError

    try:
        _refuse_absurd_sizes(path)
        found = whosmat(path)
    except (*_DAMAGED, MatReadError) as error:
        raise _damaged(path, error) from None
    # "O": a structure, a cell, a text
    return [
        Variable(name, tuple(shape), np.dtype(_TYPES.get(kind, "O"))) for name, shape, kind in found
    ]


def _refuse_absurd_sizes(path: Path) -> None:
    """Each part of a variable says how long it is, and scipy makes room before it reads it."""
    whole = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(_HEAD)
        order = ">" if head.endswith(b"MI") else "<"
        while len(tag := file.read(8)) == 8:
            kind, size = struct.unpack(order + "II", tag)
            start = file.tell()
            beginning, most = file.read(min(size, _PROBE)), size
            if kind == _COMPRESSED:
                beginning = zlib.decompressobj().decompress(beginning, _PROBE)
                _, most = struct.unpack(order + "II", beginning[:8].ljust(8, b"\0"))
                beginning = beginning[8:]
            if start + size > whole or most > MOST_DEFLATED * size:
                raise ValueError(f"a variable of {most} bytes is declared")
            for part in _sizes(beginning, order):
                if part > most:
                    raise ValueError(f"{part} bytes are declared in a variable of {most}")
            file.seek(start + size)


def _sizes(variable: bytes, order: str) -> Iterator[int]:
    """Bytes of the parts of a variable: flags, axes, name, numbers; as far as it is given."""
    place = 0
    for _ in range(4):
        if place + 8 > len(variable):
            return
        kind, size = struct.unpack_from(order + "II", variable, place)
        if kind >> 16:  # up to four bytes lie in the tag itself
            place += 8
        else:
            yield size
            place += 8 + -(-size // 8) * 8


def _read(path: Path, name: str) -> NDArray[Any]:
    from scipy.io import loadmat
    from scipy.io.matlab import MatReadError

    try:
        return np.asarray(loadmat(path, variable_names=[name])[name])
    except (*_DAMAGED, MatReadError) as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> CubeError:
    return CubeError(
        f"'{path.name}' cannot be read as MATLAB 5 ({str(error)[:200] or type(error).__name__}); "
        "it is damaged or cut short. Copy it again from its source."
    )
