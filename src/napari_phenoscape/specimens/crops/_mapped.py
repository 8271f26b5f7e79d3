"""Mapped: numbers in a file, of which an index reads what it asks for."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path
from threading import get_ident
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from napari_phenoscape.cubes import Mapping, reading
from napari_phenoscape.errors import CollectionError


class OnDisk:
    """A memory-mapped array; an index reads what it asks for into new memory, in ``dtype``.

    Pickled, it is its path: another process opens the file anew.

    Parameters
    ----------
    path
        A ``.npy`` file.
    dtype
        Of what is read.

    Raises
    ------
    CollectionError
        On reading: the file is shorter than it was when it was opened, or its disk gives it no
        more.
    """

    def __init__(self, path: Path, dtype: DTypeLike) -> None:
        self.path, self.dtype = path, np.dtype(dtype)
        with path.open("rb") as file:
            np.lib.format.read_magic(file)
            self.shape, _, self.stored = np.lib.format.read_array_header_1_0(file)
            self._start = file.tell()
            self._mapping = Mapping(file.fileno())
        whole = np.frombuffer(self._mapping.bytes, self.stored, offset=self._start)
        self._numbers = whole.reshape(self.shape)

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, index: Any) -> NDArray[Any]:
        thread = get_ident()
        reading[thread] = self._mapping
        try:
            found: NDArray[Any] = self._numbers[index]
            # an index of slices is a part of the mapping, one of numbers was read already
            shared = np.may_share_memory(found, self._numbers)
            read: NDArray[Any] = found.astype(self.dtype, copy=shared)
        finally:
            del reading[thread]
        if self._mapping.is_lost:
            raise CollectionError(
                f"'{self.path}' was shortened, or its disk gives it no more, while it was read. "
                "Run the same command again: the crops are then prepared again, and a run goes on "
                "from its newest checkpoint if it has one."
            )
        return read

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return (self[i] for i in range(len(self)))

    def __reduce__(self) -> tuple[type[OnDisk], tuple[Path, np.dtype[Any]]]:
        return OnDisk, (self.path, self.dtype)

    def prefetch(self, numbers: NDArray[np.int64]) -> None:
        """Have the system fetch some specimens from the disk, without waiting for them."""
        if not hasattr(mmap, "MADV_WILLNEED"):  # Windows
            return
        size = self._numbers[0].nbytes
        for number in numbers:
            start = self._start + int(number) * size
            page = start // mmap.PAGESIZE * mmap.PAGESIZE
            self._mapping.bytes.madvise(mmap.MADV_WILLNEED, page, start + size - page)
