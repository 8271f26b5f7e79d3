"""A look at what libhdf5 would not come back from: global heaps with an object of no size."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

from napari_phenoscape.errors import CubeError

#: How a collection of the global heap begins, with its version and three bytes of 0.
_BEGINS = b"GCOL\1\0\0\0"

#: Its header and that of an object, in bytes.
_HEADER = 16

#: Metadata is read in pieces of at most so many bytes; larger ones are pixels.
_LARGEST = 1 << 20


class WatchedFile(io.FileIO):
    """A file for h5py's reader of Python's files, which refuses endless heaps before they are read.

    Texts and lists of other objects lie in global heaps (HDF5 File Format Specification, III.E).
    In one of which a part is 0, as in a copy that was not finished, an object has no size, and
    libhdf5 (2.0.0) looks for the next one at the same place for ever, in a call that nothing can
    interrupt.

    Raises
    ------
    CubeError
        On reading such a heap.
    """

    def readinto(self, buffer: Any, /) -> int | None:
        place = self.tell()
        count = super().readinto(buffer)
        if count and count <= _LARGEST:
            seen, at = bytes(buffer[:count]), -1
            while (at := seen.find(_BEGINS, at + 1)) >= 0:
                self._look_at(place + at)
            self.seek(place + count)
        return count

    def _look_at(self, place: int) -> None:
        """Walk over the objects of the heap that begins there, as libhdf5 does."""
        self.seek(place)
        start = self.read(_HEADER)
        size = int.from_bytes(start[8:], "little")
        at = place + _HEADER
        while at + _HEADER <= place + size:
            self.seek(at)
            head = self.read(_HEADER)
            if len(head) < _HEADER:
                return  # cut short, which libhdf5 says
            number, _, _, length = struct.unpack("<HHIQ", head)
            step = (_HEADER + -(-length // 8) * 8 if number else length) % (1 << 64)
            if not step:
                raise CubeError(
                    f"'{Path(str(self.name)).name}' is damaged: a list in it, at byte {at}, has no "
                    "end. Copy it again from its source."
                )
            at += step
