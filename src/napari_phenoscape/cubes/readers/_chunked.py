"""Lazy (band, y, x) arrays of libraries that read blocks: HDF5, Zarr."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from napari_phenoscape.cubes._lazy import LazyArray, as_slice
from napari_phenoscape.errors import CubeError


class ChunkedArray(LazyArray):
    """(C, H, W) numbers of an array in a container; an index reads the blocks that it touches.

    Parameters
    ----------
    opener
        Opens the array anew; a function of a module, so that another process can do it too.
    path, inside
        What ``opener`` is given: the container, and the array's name in it.
    order
        Positions of C, H and W among the axes of the array; the others have a length of 1.

    Attributes
    ----------
    stored
        What ``opener`` opened.

    Raises
    ------
    CubeError
        On reading: the file is gone or damaged, or a block is more than the free memory.
    """

    def __init__(
        self,
        opener: Callable[[Path, str], Any],
        path: Path,
        inside: str,
        order: tuple[int, int, int],
    ) -> None:
        self._path, self._order = path, order
        self.stored = opener(path, inside)
        depth, rows, columns = (self.stored.shape[axis] for axis in order)
        super().__init__((depth, rows, columns), np.dtype(self.stored.dtype))

    def read(self, bands: NDArray[np.intp], rows: slice, columns: slice) -> NDArray[Any]:
        high, wide = (len(range(part.start, part.stop, part.step)) for part in (rows, columns))
        size = len(bands) * high * wide * self.dtype.itemsize
        if size > (free := psutil.virtual_memory().available):
            raise CubeError(
                f"{size} bytes of '{self._path.name}' were asked for at once; {free} bytes of "
                "memory are free. Read a part of it, or crop it with `phenoscape convert`."
            )
        chosen = as_slice(bands)
        if isinstance(chosen, slice):
            return self._box((chosen, rows, columns))
        runs = map(as_slice, np.split(bands, np.flatnonzero(np.diff(bands) != 1) + 1))
        return np.concatenate([self._box((run, rows, columns)) for run in runs])

    def _box(self, box: tuple[slice, slice, slice]) -> NDArray[Any]:
        there: list[Any] = [0] * len(self.stored.shape)
        for axis, part in zip(self._order, box, strict=True):
            there[axis] = part
        try:
            block = np.asarray(self.stored[tuple(there)])
        except (
            ArithmeticError,
            LookupError,
            OSError,
            RuntimeError,
            TypeError,
            ValueError,
        ) as error:
            raise CubeError(
                f"'{self._path.name}' cannot be read any more ({str(error)[:200]}); it is damaged, "
                "or has changed since it was opened. Copy it again and open it again."
            ) from None
        return block.transpose(np.argsort(np.argsort(self._order))).astype(self.dtype, copy=False)
