"""NumPy: one array (``.npy``), or several by name (``.npz``); what is not compressed, in place."""

from __future__ import annotations

import struct
import zipfile
import zlib
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from tokenize import TokenError
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from napari_phenoscape.cubes._arrays import DecodedArray, FileArray, refuse_bomb
from napari_phenoscape.cubes._cube import Cube
from napari_phenoscape.cubes.readers._reader import Reader
from napari_phenoscape.cubes.readers._stated import stated
from napari_phenoscape.cubes.readers._variable import Variable
from napari_phenoscape.cubes.readers._variables import find_cube, planes
from napari_phenoscape.errors import CubeError

_SIGNATURE, _ZIP, _ENDING = b"\x93NUMPY", b"PK\x03\x04", ".npy"

#: Arrays of a file that are looked at; bytes between the head of a file in a zip file and its name.
MOST_ARRAYS, _HEAD = 1000, 30

#: What a damaged file ends in.
_DAMAGED = (ValueError, KeyError, EOFError, OverflowError, SyntaxError, RuntimeError, struct.error,
            TokenError, zipfile.BadZipFile, zlib.error, NotImplementedError, TypeError)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Stored:
    """One array, unread.

    Parameters
    ----------
    name
        In the zip file; empty of an ``.npy``.
    shape, dtype, by_columns
        As its header says; ``by_columns``: the first axis is the fastest (Fortran's order).
    start
        Bytes before its first number, in the file; None when it is compressed.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    by_columns: bool
    start: int | None


def open_numpy(path: Path, inside: str = "", axis: int | None = None) -> Cube:
    """The cube of a NumPy file; its numbers are read when they are indexed.

    Parameters
    ----------
    path
        The file.
    inside
        Name of the array in an ``.npz``; empty: the only one that can be a cube.
    axis
        Of the bands, where the user says it.

    Raises
    ------
    CubeError
        The file is damaged, or holds no cube, several or Python's objects; nothing says which axis
        counts the bands.
    """
    try:
        arrays = {one.name: one for one in _arrays(path)}
    except _DAMAGED as error:
        raise _damaged(path, error) from None
    notes: list[str] = []
    variables = [
        Variable(one.name, one.shape, one.dtype, numbers=cache(partial(_read, path, one)))
        for one in arrays.values()
    ]
    found = find_cube(path, inside, variables, axis, notes)
    stored = arrays[found.cube.name]
    array: FileArray | DecodedArray
    if stored.start is None:
        array = DecodedArray(
            path, found.shape, stored.dtype, partial(_planes, path, stored, found.order)
        )
    else:
        kept = found.cube.kept[::-1] if stored.by_columns else found.cube.kept
        slow, middle, fast = (stored.shape[axis] for axis in kept)
        c, h, w = map(kept.index, found.order)
        array = FileArray(path, stored.dtype, (slow, middle, fast), (c, h, w), stored.start)
    cube = Cube(array, found.bands, path / inside, mask=found.mask, provenance=tuple(notes))
    return stated(cube, {}, path.name)


def _arrays(path: Path) -> list[Stored]:
    with path.open("rb") as file:
        if file.read(len(_ZIP)) != _ZIP:
            file.seek(0)
            return [_header(file, "", is_plain=True)]
        with zipfile.ZipFile(file) as archive:
            members = [one for one in archive.infolist() if one.filename.endswith(_ENDING)]
            if len(members) > MOST_ARRAYS:
                raise ValueError(f"{len(members)} arrays")
            return [_member(archive, file, one) for one in members]


def _member(archive: zipfile.ZipFile, file: BinaryIO, member: zipfile.ZipInfo) -> Stored:
    name = member.filename.removesuffix(_ENDING)
    if member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1:
        with archive.open(member) as inner:
            return _header(inner, name, is_plain=False)
    file.seek(member.header_offset)
    head = file.read(_HEAD)
    if not head.startswith(_ZIP):
        raise ValueError(f"'{name}' is not where the list of the zip file says")
    file.seek(sum(struct.unpack_from("<HH", head, _HEAD - 4)), 1)
    return _header(file, name, is_plain=True)


def _header(file: Any, name: str, *, is_plain: bool) -> Stored:
    version = npy.read_magic(file)
    read = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}.get(version)
    if read is None:  # 3.0: fields with names beyond Latin-1, which no cube has
        return Stored(name, (), np.dtype("O"), by_columns=False, start=None)
    shape, by_columns, dtype = read(file)
    if min(shape, default=0) < 0:
        raise ValueError(f"a shape of {shape}")
    return Stored(name, shape, dtype, by_columns, file.tell() if is_plain else None)


def _planes(path: Path, stored: Stored, order: tuple[int, int, int]) -> NDArray[Any]:
    return planes(_read(path, stored), order)


def _read(path: Path, stored: Stored) -> NDArray[Any]:
    count = int(np.prod(stored.shape, dtype=object))
    refuse_bomb(path, count * stored.dtype.itemsize)
    try:
        if stored.start is None:
            with zipfile.ZipFile(path) as archive, archive.open(stored.name + _ENDING) as inner:
                return np.asarray(npy.read_array(inner, allow_pickle=False))
        numbers = np.fromfile(path, stored.dtype, count, offset=stored.start)
        return numbers.reshape(stored.shape, order="F" if stored.by_columns else "C")
    except _DAMAGED as error:
        raise _damaged(path, error) from None


def _damaged(path: Path, error: Exception) -> CubeError:
    return CubeError(
        f"'{path.name}' cannot be read as NumPy ({str(error)[:200]}); it is damaged or cut short. "
        "Copy it again from its source."
    )


def _claims(path: Path, head: bytes) -> bool:
    if not head.startswith(_ZIP):
        return head.startswith(_SIGNATURE)
    with zipfile.ZipFile(path) as archive:  # sound, for Zarr has looked into it before
        return any(name.endswith(_ENDING) for name in archive.namelist())


READER = Reader(
    name="numpy",
    patterns=("*.npy", "*.npz"),
    claims=_claims,
    open=open_numpy,
    open_array=open_numpy,
)
