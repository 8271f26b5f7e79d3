"""Lazy (band, y, x) arrays of libraries that read blocks: HDF5, Zarr."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from napari_phenoscape.errors import CubeError


class ChunkedArray:
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

    ndim = 3

    def __init__(
        self,
        opener: Callable[[Path, str], Any],
        path: Path,
        inside: str,
        order: tuple[int, int, int],
    ) -> None:
        self._made_of = (opener, path, inside, order)
        self._path = path
        self._order = order
        self.stored = opener(path, inside)
        self.shape: tuple[int, ...] = tuple(self.stored.shape[axis] for axis in order)
        self.dtype: np.dtype[Any] = np.dtype(self.stored.dtype).newbyteorder("=")

    def __reduce__(self) -> tuple[Any, ...]:
        return ChunkedArray, self._made_of

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return self[...].astype(dtype or self.dtype, copy=False)

    def __getitem__(self, index: Any) -> NDArray[Any]:
        wanted = _expanded(index)
        runs, inner = zip(*map(_runs, wanted, self.shape), strict=True)
        # several runs on one axis are read one by one; on more axes, all that lies between
        several = [axis for axis in range(3) if len(runs[axis]) > 1]
        if len(several) == 1:
            axis = several[0]
            boxes = [tuple([run] if i == axis else runs[i] for i in range(3)) for run in runs[axis]]
            block = np.concatenate([self._read([part[0] for part in box]) for box in boxes], axis)
            return np.asarray(block[inner])
        spans = [slice(run[0].start, run[-1].stop, run[0].step) for run in runs]
        for axis in several:
            kept = np.concatenate([np.arange(run.start, run.stop) for run in runs[axis]])
            inner = (*inner[:axis], (kept - kept[0])[inner[axis]], *inner[axis + 1 :])
        return np.asarray(self._read(spans)[inner])

    def _read(self, box: list[slice]) -> NDArray[Any]:
        """The block of half-open ranges of C, H, W."""
        sides = [
            len(range(*part.indices(side))) for part, side in zip(box, self.shape, strict=True)
        ]
        size = int(np.prod(sides, dtype=object)) * self.dtype.itemsize
        if size > (free := psutil.virtual_memory().available):
            raise CubeError(
                f"{size} bytes of '{self._path.name}' were asked for at once; {free} bytes of "
                "memory are free. Read a part of it, or crop it with `phenoscape convert`."
            )
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


def _expanded(index: Any) -> list[Any]:
    """An index for each of the three axes."""
    given = list(index) if isinstance(index, tuple) else [index]
    dots = [i for i, part in enumerate(given) if part is Ellipsis] or [len(given)]
    rest = [slice(None)] * (3 - sum(part is not Ellipsis for part in given))
    return [*given[: dots[0]], *rest, *given[dots[0] + 1 :]]


def _runs(wanted: Any, side: int) -> tuple[list[slice], Any]:
    """Rising ranges of an axis that hold what is wanted; and where in them, end to end, it is."""
    if isinstance(wanted, slice):
        numbers = range(*wanted.indices(side))
        if not numbers:
            return [slice(0, 0, 1)], slice(None)
        if numbers.step < 0:
            return [slice(numbers[-1], numbers[0] + 1, -numbers.step)], slice(None, None, -1)
        return [slice(numbers[0], numbers[-1] + 1, numbers.step)], slice(None)
    chosen = np.asarray(wanted)
    if chosen.dtype.kind == "b":
        chosen = np.flatnonzero(chosen)
    if chosen.size and not (-side <= chosen.min() and chosen.max() < side):
        raise IndexError(f"{wanted} is out of bounds for an axis of {side}")
    chosen = chosen % side
    if chosen.ndim == 0:
        return [slice(int(chosen), int(chosen) + 1, 1)], 0
    if not chosen.size:
        return [slice(0, 0, 1)], chosen.astype(np.intp)
    kept, where = np.unique(chosen, return_inverse=True)
    parts = np.split(kept, np.flatnonzero(np.diff(kept) > 1) + 1)
    return [slice(int(run[0]), int(run[-1]) + 1, 1) for run in parts], where.reshape(chosen.shape)
