"""Compressed numbers, piece by piece into the memory that is to hold them."""

from __future__ import annotations

import zlib
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

#: DEFLATE cannot do better than 1032 : 1; what declares more numbers per byte holds none of them.
MOST_DEFLATED = 1100

#: Bytes of a compressed file, and of what they expand to, that are in memory beside the result.
PIECE = 1 << 20


def inflate_into(numbers: NDArray[Any], file: BinaryIO, size: int) -> None:
    """Fill a contiguous array with what ``size`` bytes of the file inflate to, piece by piece.

    Raises
    ------
    ValueError, zlib.error
        They are no deflate, or make fewer bytes; more are left out.
    """
    whole, done = numbers.reshape(-1).view(np.uint8), 0
    inflate, coded = zlib.decompressobj(), b""
    while done < len(whole):
        if not coded:
            coded = file.read(min(size, PIECE))
            size -= len(coded)
        ends = not coded
        piece = inflate.decompress(coded, min(PIECE, len(whole) - done))
        if ends and not piece:
            raise ValueError(f"{done} bytes are there and {len(whole)} were expected")
        coded = inflate.unconsumed_tail
        whole[done : done + len(piece)] = np.frombuffer(piece, np.uint8)
        done += len(piece)


def to_native(numbers: NDArray[Any]) -> NDArray[Any]:
    """The same memory with its numbers in the machine's byte order."""
    if not numbers.dtype.isnative:
        numbers.byteswap(inplace=True)
    return numbers.view(numbers.dtype.newbyteorder("="))
