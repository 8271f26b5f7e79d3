"""Mapped: numbers in a file, of which an index reads what it asks for."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


class OnDisk:
    """A memory-mapped array; an index reads what it asks for into new memory, in ``dtype``.

    Pickled, it is its path: another process opens the file anew.
    """

    def __init__(self, path: Path, dtype: DTypeLike) -> None:
        self.path, self.dtype = path, np.dtype(dtype)
        self._file = np.load(path, mmap_mode="r", allow_pickle=False)
        self._numbers = self._file.view(np.ndarray)
        self.shape: tuple[int, ...] = self._numbers.shape

    def __len__(self) -> int:
        return len(self._numbers)

    def __getitem__(self, index: Any) -> NDArray[Any]:
        found: NDArray[Any] = self._numbers[index]
        # an index of slices is a part of the mapping, one of numbers was read already
        shared = np.may_share_memory(found, self._numbers)
        return np.asarray(found.astype(self.dtype, copy=shared))

    def __iter__(self) -> Iterator[NDArray[Any]]:
        return (self[i] for i in range(len(self)))

    def __reduce__(self) -> tuple[type[OnDisk], tuple[Path, np.dtype[Any]]]:
        return OnDisk, (self.path, self.dtype)

    def expect(self, numbers: NDArray[np.int64]) -> None:
        """Have the system fetch some specimens from the disk, without waiting for them."""
        if not hasattr(mmap, "MADV_WILLNEED"):  # Windows
            return
        mapping: Any = self._file.base
        size = self._numbers[0].nbytes
        for number in numbers:
            start = self._file.offset + int(number) * size
            page = start // mmap.PAGESIZE * mmap.PAGESIZE
            mapping.madvise(mmap.MADV_WILLNEED, page, start + size - page)
