"""The base of all lazy (C, H, W) arrays, whose kinds say how a block of one is read."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

#: Orientations by TIFF's and EXIF's tag, other than upright, which is 1.
ORIENTATION, TURNED = 274, range(2, 9)

#: How it begins that a picture was turned for it.
IS_TURNED = "The picture is turned as its"


class LazyArray(ABC):
    """(C, H, W) numbers that are read, or computed, when they are indexed, as numpy indexes.

    A kind of array says how it reads a block (`read`). It is pickled, and copied, as what it was
    made of, never with its numbers.

    Parameters
    ----------
    shape
        C, H, W.
    dtype
        Of the numbers; they are given in the machine's own byte order.
    """

    ndim = 3
    _anew: partial[Self]

    def __new__(cls, *given: Any, **named: Any) -> Self:
        array = super().__new__(cls)
        array._anew = partial(cls, *given, **named)
        return array

    def __init__(self, shape: tuple[int, int, int], dtype: np.dtype[Any]) -> None:
        self.shape = shape
        self.dtype: np.dtype[Any] = dtype.newbyteorder("=")

    @abstractmethod
    def read(self, bands: NDArray[np.intp], rows: slice, columns: slice) -> NDArray[Any]:
        """(bands, rows, columns) numbers of a block, in memory of its own.

        Parameters
        ----------
        bands
            Indices from 0, in any order; at least one.
        rows, columns
            With start, stop and step, none of them negative; at least one pixel.
        """

    def _block(self, bands: NDArray[np.intp], rows: slice, columns: slice) -> NDArray[Any]:
        sides = (len(range(part.start, part.stop, part.step)) for part in (rows, columns))
        is_some = len(bands) and all(sides)
        return self.read(bands, rows, columns) if is_some else self._empty(bands, rows, columns)

    def _empty(self, bands: NDArray[np.intp], rows: slice, columns: slice) -> NDArray[Any]:
        """Memory for the numbers of such a block."""
        high, wide = (len(range(part.start, part.stop, part.step)) for part in (rows, columns))
        return np.empty((len(bands), high, wide), self.dtype)

    def __getitem__(self, index: Any) -> Any:
        parts = _parts(index, self.shape)
        first, down, across = filter(_axes_of, parts)
        is_list = [isinstance(part, np.ndarray) for part in parts]
        if is_list == [True, False, False] and first.ndim == 1:
            # bands in the order wanted: nothing is left to choose from what was read
            bands, of_bands = _inside(first, self.shape[0]), slice(None)
        else:
            found, of_bands = _rising(first, self.shape[0])
            bands = np.arange(self.shape[0])[found]
        rows, of_rows = _rising(down, self.shape[1])
        columns, of_columns = _rising(across, self.shape[2])
        if isinstance(columns, np.ndarray):  # all that lies between, too
            of_columns = (columns - columns[0])[of_columns]
            columns = slice(int(columns[0]), int(columns[-1]) + 1, 1)
        if isinstance(rows, slice):
            block = self._block(bands, rows, columns)
        else:
            runs = map(as_slice, np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1))
            block = np.concatenate([self._block(bands, run, columns) for run in runs], axis=1)
        local = iter((of_bands, of_rows, of_columns))
        return block[tuple(next(local) if _axes_of(part) else part for part in parts)]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError(
                "a lazy array is read into new memory; it cannot be had without a copy"
            )
        numbers: NDArray[Any] = self[...]
        return numbers.astype(dtype or self.dtype, copy=False)

    def __reduce__(self) -> tuple[Any, ...]:
        return self._anew, ()


class Window(LazyArray):
    """Some bands, rows and columns of an array, in its own numbers.

    Parameters
    ----------
    bands
        Indices in the order wanted.
    rows, columns
        With start and stop, inside of the array; None: all.
    """

    def __init__(
        self,
        array: LazyArray | NDArray[Any],
        bands: NDArray[np.intp],
        rows: slice | None = None,
        columns: slice | None = None,
    ) -> None:
        rows, columns = rows or slice(0, array.shape[1]), columns or slice(0, array.shape[2])
        super().__init__(
            (len(bands), rows.stop - rows.start, columns.stop - columns.start), array.dtype
        )
        self._array, self._bands = array, bands
        self._corner = rows.start, columns.start

    def read(self, bands: NDArray[np.intp], rows: slice, columns: slice) -> NDArray[Any]:
        down, across = (
            slice(part.start + first, part.stop + first, part.step)
            for part, first in zip((rows, columns), self._corner, strict=True)
        )
        return np.asarray(self._array[as_slice(self._bands[bands]), down, across])


class Upright(LazyArray):
    """An array whose rows and columns lie as an orientation says, as they are to be looked at.

    Parameters
    ----------
    array
        As a file holds it.
    orientation
        TIFF's and EXIF's tag 274 (TIFF 6.0, section 8), one of `TURNED`.
    """

    def __init__(self, array: LazyArray, orientation: int) -> None:
        count, *sides = array.shape
        self._exchanged = orientation in (5, 6, 7, 8)
        self._from_below, self._from_right = (
            orientation in (3, 4, 7, 8),
            orientation in (2, 3, 6, 7),
        )
        rows, columns = reversed(sides) if self._exchanged else sides
        super().__init__((count, rows, columns), array.dtype)
        self._array = array

    def read(self, bands: NDArray[np.intp], rows: slice, columns: slice) -> NDArray[Any]:
        down = _from_end(rows, self.shape[1]) if self._from_below else rows
        across = _from_end(columns, self.shape[2]) if self._from_right else columns
        if self._exchanged:
            return np.asarray(self._array[as_slice(bands), across, down]).swapaxes(1, 2)
        return np.asarray(self._array[as_slice(bands), down, across])


def _from_end(part: slice, side: int) -> slice:
    """The same places of an axis, counted from its other end."""
    places = range(side)[::-1][part]
    return slice(places.start, places.stop if places.stop >= 0 else None, places.step)


def as_slice(indices: NDArray[np.intp]) -> Any:
    """The same indices as a slice, which is read in one go, where they rise evenly."""
    if not len(indices):
        return slice(0, 0, 1)
    step = int(indices[1] - indices[0]) if len(indices) > 1 else 1
    if step < 1 or (np.diff(indices) != step).any():
        return indices
    return slice(int(indices[0]), int(indices[-1]) + 1, step)


def _parts(index: Any, shape: tuple[int, int, int]) -> list[Any]:
    """An int, a slice or indices for each of three axes; None and `...` where they are no axis."""
    given = [_part(part) for part in (index if isinstance(index, tuple) else (index,))]
    dots = [place for place, part in enumerate(given) if part is Ellipsis] or [len(given)]
    named = sum(map(_axes_of, given))
    if len(dots) > 1 or named > 3:
        raise IndexError(f"{index} names more than three axes")
    if named < 3:  # dots that stand for no axis still part two lists
        given[dots[0] : dots[0] + 1] = [slice(None)] * (3 - named)
    parts: list[Any] = []
    for part in given:
        if isinstance(part, np.ndarray) and part.dtype.kind == "b":
            axis = sum(map(_axes_of, parts))
            if part.shape != shape[axis : axis + part.ndim]:
                raise IndexError(f"a mask of {part.shape} does not fit to {shape}, axis {axis}")
            parts += part.nonzero()
        else:
            parts.append(part)
    return parts


def _part(part: Any) -> Any:
    if part is None or part is Ellipsis or type(part) in (int, slice):
        return part
    chosen = np.asarray(part)
    if not chosen.size and not isinstance(part, np.ndarray):
        chosen = chosen.astype(np.intp)  # an empty list
    if chosen.dtype.kind not in ("iub" if chosen.ndim else "iu"):
        raise IndexError(f"{part} is no index: ints, slices, lists and masks of an axis are")
    return chosen if chosen.ndim else int(chosen)


def _axes_of(part: Any) -> int:
    if isinstance(part, np.ndarray) and part.dtype.kind == "b":
        return part.ndim
    return int(part is not None and part is not Ellipsis)


def _rising(wanted: Any, side: int) -> tuple[Any, Any]:
    """Rising indices of an axis, a slice where they are even; where in them is what is wanted."""
    if isinstance(wanted, slice):
        numbers = range(side)[wanted]
        if not numbers:
            return slice(0, 0, 1), slice(None)
        if numbers.step < 0:
            return slice(numbers[-1], numbers[0] + 1, -numbers.step), slice(None, None, -1)
        return slice(numbers[0], numbers[-1] + 1, numbers.step), slice(None)
    if isinstance(wanted, int):
        if not -side <= wanted < side:
            raise IndexError(f"{wanted} is out of bounds for an axis of {side}")
        return slice(wanted % side, wanted % side + 1, 1), 0
    kept, where = np.unique(_inside(wanted, side), return_inverse=True)
    return as_slice(kept), where.reshape(wanted.shape)


def _inside(chosen: NDArray[np.intp], side: int) -> NDArray[np.intp]:
    """Indices counted from the beginning."""
    if chosen.size and not -side <= chosen.min() <= chosen.max() < side:
        raise IndexError(f"{chosen} is out of bounds for an axis of {side}")
    return np.asarray(chosen % side, np.intp)
