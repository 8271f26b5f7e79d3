"""Lazy (band, y, x) arrays: a file that is mapped, and a picture that is decoded when needed."""

from __future__ import annotations

import mmap
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from napari_phenoscape.cube import BandArray
from napari_phenoscape.errors import CubeError

#: A read of less than this share of the bytes that it spans is sparse: no read-ahead for it.
SPARSE = 1 / 8


class FileArray:
    """(C, H, W) numbers that lie uncompressed in a file; an index reads a copy of what it names.

    Parameters
    ----------
    path
        The data file.
    dtype
        Of the numbers in the file, byte order included. What is read has the machine's own byte
        order; of complex numbers it is the magnitude.
    shape
        Of the file, slowest axis first.
    order
        Positions of C, H and W in ``shape``.
    offset
        Bytes before the first number.

    Raises
    ------
    CubeError
        The file is shorter than that; on reading, it is gone or has another size than at first.
        Reading a mapped file that has shrunk would end the process with SIGBUS.
    """

    def __init__(
        self,
        path: Path,
        dtype: np.dtype[Any],
        shape: tuple[int, int, int],
        order: tuple[int, int, int],
        offset: int = 0,
    ) -> None:
        self._made_of = (path, dtype, shape, order, offset)
        self._path = path
        self._size = path.stat().st_size
        declared = offset + int(np.prod(shape, dtype=object)) * dtype.itemsize
        if self._size < declared:
            raise CubeError(
                f"'{path.name}' is truncated: {declared} bytes are declared and {self._size} are "
                "there. Copy the file again from its source."
            )
        with path.open("rb") as file:
            self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        count = int(np.prod(shape))
        whole = np.frombuffer(self._map, dtype, count, offset)
        self._view = whole.reshape(shape).transpose(order)
        self.shape: tuple[int, ...] = self._view.shape
        self.ndim = 3
        magnitude = np.zeros(0, dtype).real.dtype
        self.dtype: np.dtype[Any] = magnitude.newbyteorder("=")

    def __getitem__(self, index: Any) -> NDArray[Any]:
        self._check()
        self._advise(index if isinstance(index, tuple) else (index,))
        numbers = self._view[index]
        if numbers.dtype.kind == "c":
            numbers = np.abs(numbers)
        return np.array(numbers, dtype=self.dtype)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return self[...].astype(dtype or self.dtype, copy=False)

    def __reduce__(self) -> tuple[Any, ...]:
        # a copied layer or another process maps the file again instead of taking its bytes along
        return FileArray, self._made_of

    def _check(self) -> None:
        try:
            size = self._path.stat().st_size
        except OSError as error:
            raise CubeError(
                f"'{self._path}' cannot be read any more ({error.strerror}); it was there when the "
                "cube was opened. Bring it back and open it again."
            ) from None
        if size != self._size:
            raise CubeError(
                f"'{self._path.name}' has changed from {self._size} to {size} bytes since it was "
                "opened. Open it again."
            )

    def _advise(self, index: tuple[Any, ...]) -> None:
        """Tell the system not to read ahead where little of what lies between is wanted."""
        if not hasattr(mmap, "MADV_RANDOM"):
            return
        share = 1.0
        spans = list(index)
        for axis, wanted in enumerate(index):
            if isinstance(wanted, list | np.ndarray):
                chosen = np.asarray(wanted)
                if chosen.dtype.kind not in "iu" or not chosen.size or Ellipsis in index[:axis]:
                    return
                chosen = chosen % self.shape[axis]
                spans[axis] = slice(int(chosen.min()), int(chosen.max()) + 1)
                share *= chosen.size / (spans[axis].stop - spans[axis].start)
        part = self._view[tuple(spans)]
        reach = sum((n - 1) * abs(step) for n, step in zip(part.shape, part.strides, strict=True))
        sparse = part.nbytes * share < SPARSE * (reach + part.itemsize)
        self._map.madvise(mmap.MADV_RANDOM if sparse else mmap.MADV_NORMAL)


class DecodedArray:
    """(C, H, W) numbers of a file that must be decoded as a whole; done at the first index.

    Parameters
    ----------
    path
        The file, named in the error.
    shape, dtype
        As the file declares them.
    decode
        Reads the (C, H, W) numbers.

    Raises
    ------
    CubeError
        The numbers do not fit in the memory that is free.
    """

    def __init__(
        self,
        path: Path,
        shape: tuple[int, int, int],
        dtype: np.dtype[Any],
        decode: Callable[[], NDArray[Any]],
    ) -> None:
        self.shape: tuple[int, ...] = shape
        self.dtype: np.dtype[Any] = dtype.newbyteorder("=")
        self.ndim = 3
        self._decode = decode
        declared = int(np.prod(shape, dtype=object)) * dtype.itemsize
        free = psutil.virtual_memory().available
        if declared > free:
            raise CubeError(
                f"'{path.name}' is {path.stat().st_size} bytes that expand to {declared}; "
                f"{free} bytes of memory are free. Save it uncompressed, then it is read in parts."
            )

    @cached_property
    def _numbers(self) -> NDArray[Any]:
        return np.ascontiguousarray(self._decode(), dtype=self.dtype)

    def __getitem__(self, index: Any) -> NDArray[Any]:
        return np.array(self._numbers[index])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return self[...].astype(dtype or self.dtype, copy=False)


class Planes:
    """Some planes of a lazy array, in order."""

    def __init__(self, array: BandArray, chosen: list[int]) -> None:
        self._array = array
        self._chosen = np.array(chosen, dtype=np.intp)
        self._run = slice(chosen[0], chosen[-1] + 1)
        self._is_run = len(chosen) == self._run.stop - self._run.start
        self.shape: tuple[int, ...] = (len(chosen), *array.shape[1:])
        self.dtype = array.dtype
        self.ndim = 3

    def __getitem__(self, index: Any) -> NDArray[Any]:
        first, *rest = index if isinstance(index, tuple) else (index,)
        if first is Ellipsis:
            everything: NDArray[Any] = np.asarray(self._array[self._chosen])[index]
            return everything
        planes: Any = self._chosen[first]
        if self._is_run and isinstance(first, slice) and first.step in (None, 1):
            start, stop, _ = first.indices(len(self._chosen))
            planes = slice(self._run.start + start, self._run.start + stop)
        return np.asarray(self._array[(planes, *rest)])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return self[...].astype(dtype or self.dtype, copy=False)


def full_scale(dtype: np.dtype[Any], bits: int | None = None) -> tuple[float, str]:
    """Gain for numbers whose file names no scale, and the sentence that says so.

    Parameters
    ----------
    dtype
        Of the numbers.
    bits
        How many are used of each; None = all.
    """
    bits = bits or 8 * dtype.itemsize
    if dtype.kind == "u" and bits <= 16:
        white = 2**bits - 1
    elif dtype.kind == "i" and bits <= 16:
        white = 2 ** (bits - 1) - 1
    else:
        return 1.0, "No scale is given; the numbers are taken as reflectance."
    return 1 / white, f"No scale is given; {white}, the largest number, is taken as reflectance 1."


def ignorable(value: float, dtype: np.dtype[Any]) -> float | None:
    """The number of this type that stands for "not measured"; None when no pixel can hold it."""
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        whole = value == value and abs(value) != float("inf") and value == int(value)
        return float(value) if whole and limits.min <= value <= limits.max else None
    if value != value:
        return None  # NaN reads as NaN already
    largest = float(np.finfo(dtype).max)
    # decimal digits of the largest float32 may round to just above it
    if largest < abs(value) <= largest * 1.001:
        return float(np.copysign(largest, value))
    return None if largest < abs(value) < float("inf") else float(np.asarray(value, dtype))


def unique(names: list[str]) -> list[str]:
    """The names, a repeated one numbered: ``a, a`` becomes ``a, a (2)``."""
    seen: dict[str, int] = {}
    taken, found = set(names), []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        new = name
        while seen[name] > 1 and new in taken:
            new = f"{name} ({seen[name]})"
            seen[name] += new in taken
        taken.add(new)
        found.append(new)
    return found
