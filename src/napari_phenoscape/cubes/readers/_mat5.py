"""The variables of a MATLAB 5 file: their names, axes and numbers, and where these lie.

Written by hand, because scipy's reader ends the process on a part of a type that it does not know,
and makes room for whatever a part declares. Format: MAT-File Level 5 [1]_.

.. [1] https://www.mathworks.com/help/pdf_doc/matlab/matfile_format.pdf
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cubes.readers._pieces import MOST_DEFLATED, inflate_into, to_native

#: numpy's name for the class of a variable; what is not here is no array of numbers.
_CLASSES = {
    6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8",
}  # fmt: skip

#: numpy's name for the type of the numbers as they are stored, which may be a smaller one.
_STORED = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8",
}  # fmt: skip

_MATRIX, _COMPRESSED = 14, 15
_COMPLEX, _LOGICAL = 0x0800, 0x0200
_HEAD = 128

#: Bytes of a variable in which all but its numbers are looked for.
_PROBE = 4096


@dataclass(frozen=True, slots=True)
class Stored:
    """One variable, unread.

    Parameters
    ----------
    name
        As MATLAB calls it.
    shape
        Its axes, the fastest first.
    dtype
        Of the numbers; object where there are none, bool of a logical array.
    start, size
        Bytes of the file in which it lies.
    compressed
        They are to be inflated first.
    numbers
        Where the numbers begin among the (inflated) bytes.
    stored
        The type in which the numbers are kept.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    start: int
    size: int
    compressed: bool
    numbers: int = 0
    stored: np.dtype[Any] | None = None


def stored_variables(path: Path) -> list[Stored]:
    """The variables of a file, none of their numbers read.

    Raises
    ------
    ValueError, zlib.error, struct.error
        The file is not as the format wants it.
    """
    whole = path.stat().st_size
    found: dict[str, Stored] = {}
    with path.open("rb") as file:
        order = {b"IM": "<", b"MI": ">"}.get(file.read(_HEAD)[_HEAD - 2 :])
        if order is None:
            raise ValueError("no byte order is given")
        while tag := file.read(8):
            kind, size = struct.unpack(order + "II", tag)
            start = file.tell()
            if start + size > whole:
                raise ValueError(f"{start + size} bytes are declared and {whole} are there")
            if kind in (_MATRIX, _COMPRESSED):
                one = _variable(file, order, start, size, kind == _COMPRESSED)
                found |= {one.name: one} if one.name else {}  # without a name: MATLAB's own
            file.seek(start + size)
    return list(found.values())


def read_numbers(path: Path, one: Stored) -> NDArray[Any]:
    """The numbers of a variable, in its shape.

    Raises
    ------
    ValueError, zlib.error
        They are not there, or not all of them.
    """
    if one.stored is None:
        raise ValueError(f"'{one.name}' is complex, or holds no numbers")
    count = int(np.prod(one.shape, dtype=object))
    with path.open("rb") as file:
        if one.compressed:
            file.seek(one.start)
            content = np.empty(one.numbers + count * one.stored.itemsize, np.uint8)
            inflate_into(content, file, one.size)
            numbers = np.frombuffer(content, one.stored, count, one.numbers)
        else:
            file.seek(one.start + one.numbers)
            numbers = np.fromfile(file, one.stored, count)
    return to_native(numbers).reshape(one.shape, order="F").astype(one.dtype, copy=False)


def _variable(file: BinaryIO, order: str, start: int, size: int, compressed: bool) -> Stored:
    beginning, length = file.read(min(size, _PROBE)), size
    if compressed:
        beginning = zlib.decompressobj().decompress(beginning, _PROBE)
        kind, length = struct.unpack_from(order + "II", beginning)
        if kind != _MATRIX or length > MOST_DEFLATED * size:
            raise ValueError(f"a variable of {length} bytes is declared in {size}")
    first = 8 * compressed
    parts = _parts(beginning, order, first, first + length)
    flags = struct.unpack(order + "II", next(parts)[2])[0]
    shape = tuple(np.frombuffer(next(parts)[2], order + "i4").tolist())
    name = next(parts)[2].rstrip(b"\0").decode("latin-1")
    kind = _CLASSES.get(flags & 0xFF)
    if kind is None or min(shape, default=0) < 0:
        return Stored(name, shape, np.dtype("O"), start, size, compressed)
    dtype = np.dtype("?" if flags & _LOGICAL else kind)
    if flags & _COMPLEX:
        return Stored(name, shape, np.dtype("c16"), start, size, compressed)
    number, place, _, length = next(parts)
    if number not in _STORED:
        raise ValueError(f"the numbers of '{name}' are of an unknown type, {number}")
    stored = np.dtype(order + _STORED[number])
    declared = int(np.prod(shape, dtype=object)) * stored.itemsize
    if length != declared:
        raise ValueError(f"'{name}' has {length} bytes of numbers, and {declared} by its axes")
    return Stored(name, shape, dtype, start, size, compressed, place, stored)


def _parts(
    variable: bytes, order: str, place: int, end: int
) -> Iterator[tuple[int, int, bytes, int]]:
    """Of each part of a variable: its type, where its content begins, its content, its length.

    Of the last part, whose content may go on beyond ``variable``, that is the beginning.
    """
    while True:
        kind, length = struct.unpack_from(order + "II", variable, place)
        if is_small := kind >> 16:  # up to four bytes lie in the tag itself
            kind, length, begin = kind & 0xFFFF, is_small, place + 4
        else:
            begin = place + 8
        if begin + length > end or (is_small and length > 4):
            raise ValueError(f"a part of {length} bytes is declared in a variable of {end}")
        yield kind, begin, variable[begin : begin + length], length
        place = place + 8 if is_small else begin + -(-length // 8) * 8
