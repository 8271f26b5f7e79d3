"""A look at what libhdf5 would not come back from: damaged lists in global heaps."""

from __future__ import annotations

import io
import os
import re
import struct
from math import prod
from pathlib import Path
from typing import Any

from napari_phenoscape.errors import CubeError

#: How a collection of the global heap begins, with its version and three bytes of 0.
_BEGINS = b"GCOL\1\0\0\0"

#: Its header and that of an object, in bytes.
_HEADER = 16

#: Where an attribute may begin: a version, flags, and sizes that are not checked here.
_ATTRIBUTE = re.compile(rb"[\1-\3](?=[\0-\3])")

#: The class of a type whose numbers lie in a heap; the fewest bytes that describe type and shape.
_OF_ANY_LENGTH, _LEAST = 9, 4

#: Metadata is read in pieces of at most so many bytes; larger ones are pixels.
_LARGEST = 1 << 20


class WatchedFile(io.FileIO):
    """A file for h5py's reader of Python's files, which refuses lists that are damaged.

    Texts and lists of attributes lie in global heaps, and the attribute says how long they are
    (HDF5 File Format Specification 3.0, III.E, IV.A.2.m and VIII.A). libhdf5 (2.0.0) believes
    both. In a heap of which a part is 0, as in a copy that was not finished, it looks for the next
    object at the same place for ever; for a list it takes as much memory as is said, be it all.
    Nothing can interrupt these calls.

    Raises
    ------
    CubeError
        On reading such a heap, or such a length.
    """

    def readinto(self, buffer: Any, /) -> int | None:
        place = self.tell()
        count = super().readinto(buffer)
        if count and count <= _LARGEST:
            seen, at = bytes(buffer[:count]), -1
            self._look_at_attributes(seen)
            while (at := seen.find(_BEGINS, at + 1)) >= 0:
                self._look_at_heap(place + at)
            self.seek(place + count)
        return count

    def _look_at_attributes(self, seen: bytes) -> None:
        """Each attribute of texts or lists: how many parts they have, against the whole file."""
        size = os.fstat(self.fileno()).st_size
        for start in (match.start() for match in _ATTRIBUTE.finditer(seen[:-8])):
            version, _, *sizes = struct.unpack_from("<BBHHH", seen, start)
            name = start + 8 + (version == 3)  # which says its characters, too
            padded = [-(-one // 8) * 8 if version == 1 else one for one in sizes]
            kind, space, parts = (name + sum(padded[:count]) for count in (1, 2, 3))
            is_one = seen.find(b"\0", name, kind) == name + sizes[0] - 1 > name
            is_one &= min(sizes[1:]) >= _LEAST and parts <= len(seen)
            if not is_one or seen[kind] & 15 != _OF_ANY_LENGTH:
                continue
            first = space + (8 if seen[space] == 1 else 4)
            ends = range(first + 8, first + 8 * seen[space + 1] + 1, 8)
            count = prod(int.from_bytes(seen[end - 8 : end], "little") for end in ends)
            for at in range(parts, min(parts + 16 * count, len(seen) - 3), 16):
                if (length := int.from_bytes(seen[at : at + 4], "little")) > size:
                    raise self._damaged(f"is said to have {length} parts")

    def _look_at_heap(self, place: int) -> None:
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
                raise self._damaged(f"has no end at byte {at}")
            at += step

    def _damaged(self, why: str) -> CubeError:
        return CubeError(
            f"'{Path(str(self.name)).name}' is damaged: a list in it {why}. Copy it again from "
            "its source."
        )
