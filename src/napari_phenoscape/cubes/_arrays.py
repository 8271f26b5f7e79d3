"""Lazy (band, y, x) arrays: a file that is mapped, and a picture that is decoded when needed."""

from __future__ import annotations

import errno
import mmap
import os
import weakref
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from threading import get_ident
from time import monotonic_ns
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from napari_phenoscape._brought import bring, is_in_pieces
from napari_phenoscape._remote import is_mirrored
from napari_phenoscape.cubes._lazy import LazyArray, as_slice
from napari_phenoscape.cubes._mapping import Mapping, reading
from napari_phenoscape.errors import CubeError

#: A read of less than this share of the bytes that it spans is sparse: no read-ahead for it.
SPARSE = 1 / 8

#: Bytes of a read that changes nothing about read-ahead: a pixel's spectrum.
LITTLE = 1 << 16

#: The codecs of pictures and TIFF do not expand a file more than so many times; a file that
#: declares more is damaged, or made to take all memory.
MOST_EXPANDED = 20_000

#: The size of the file is looked at after every read; whether it is still there and unwritten,
#: which costs as much as the spectrum itself, not again within so many nanoseconds.
SURE_NS = 20_000

_LISTS = frozenset((list, np.ndarray))


class FileArray(LazyArray):
    """(C, H, W) numbers that lie uncompressed in a file; an index reads a copy of what it names.

    A copied layer or another process maps the file again.

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
        The file is shorter than that; on reading, it is gone, cannot be read any more, or has been
        written since it was opened, be it during the read.
    """

    def __init__(
        self,
        path: Path,
        dtype: np.dtype[Any],
        shape: tuple[int, int, int],
        order: tuple[int, int, int],
        offset: int = 0,
    ) -> None:
        depth, rows, columns = (shape[axis] for axis in order)
        super().__init__((depth, rows, columns), np.zeros(0, dtype).real.dtype)
        self._path, self._offset = path, offset
        if is_mirrored(path):  # the last byte shows whether its server gives parts of a file
            size = path.stat().st_size
            bring(path, [(max(0, size - 1), size)])
        self._is_in_pieces = is_in_pieces(path)
        self.file_dtype, self.order = dtype, order
        self._sure_until = 0
        self._file = os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        weakref.finalize(self, os.close, self._file)
        self._status = os.fstat(self._file)
        self._size = size = self._status.st_size
        declared = offset + int(np.prod(shape, dtype=object)) * dtype.itemsize
        if size < declared:
            raise CubeError(
                f"'{path.name}' is truncated: {declared} bytes are declared and {size} are "
                "there. Copy the file again from its source."
            )
        self._mapping = Mapping(self._file)
        count = int(np.prod(shape))
        whole = np.frombuffer(self._mapping.bytes, dtype, count, offset)
        self._view = whole.reshape(shape).transpose(order)
        self._reads_ahead = True
        self._read_ahead(False)

    def read(self, bands: NDArray[np.intp], rows: slice, columns: slice) -> NDArray[Any]:
        return self[as_slice(bands), rows, columns]

    def __getitem__(self, index: Any) -> NDArray[Any]:
        # numpy indexes the view itself: what the base would add takes longer than a spectrum
        parts = index if isinstance(index, tuple) else (index,)
        is_copy = not _LISTS.isdisjoint(map(type, parts))
        if self._is_in_pieces:
            part = self._spanned(parts)[0] if is_copy else self._view[index]
            part = part if isinstance(part, np.ndarray) else self._view[(*parts, ...)]
            bring(self._path, self._spans(part))
            self._sure_until = 0
        thread = get_ident()
        reading[thread] = self._mapping
        try:
            if is_copy:
                self._advise(*self._spanned(parts))
            numbers = self._view[index]
            if numbers.nbytes > LITTLE and not is_copy:
                self._advise(numbers)
            if self.file_dtype.kind == "c":
                numbers, is_copy = np.abs(numbers), True
            block: NDArray[Any] = (
                numbers.astype(self.dtype, copy=False) if is_copy else np.array(numbers, self.dtype)
            )
        finally:
            del reading[thread]
        if (
            monotonic_ns() > self._sure_until
            or os.lseek(self._file, 0, os.SEEK_END) != self._size
            or self._mapping.is_lost
        ):
            self._look_closer()
        return block

    def read_as(
        self, dtype: np.dtype[Any], shape: tuple[int, int, int], order: tuple[int, int, int]
    ) -> FileArray:
        """The same bytes of the same file, taken for other numbers."""
        return FileArray(self._path, dtype, shape, order, self._offset)

    def _look_closer(self) -> None:
        """Whether what was just read are the numbers of the file that was opened."""
        # first: by the time it is seen, the cause can be seen too
        is_lost, then = self._mapping.is_lost, self._status
        try:
            now = self._path.stat()
        except OSError as error:
            raise self._unreadable(error.errno) from None
        if now.st_size != then.st_size:
            raise CubeError(
                f"'{self._path.name}' has changed from {then.st_size} to {now.st_size} bytes since "
                "it was opened. Open it again."
            )
        is_written = now.st_mtime_ns != then.st_mtime_ns and not self._is_in_pieces
        if is_written or now.st_ino != then.st_ino:
            raise CubeError(
                f"'{self._path.name}' has been written anew since it was opened; its header may "
                "say something else now. Open it again."
            )
        if is_lost:
            raise self._unreadable(errno.EIO) from OSError(errno.EIO, os.strerror(errno.EIO))
        if now.st_mode != then.st_mode and not os.access(self._path, os.R_OK):
            raise self._unreadable(errno.EACCES)
        self._sure_until = monotonic_ns() + SURE_NS

    def _unreadable(self, number: int | None) -> CubeError:
        return CubeError(
            f"'{self._path}' cannot be read any more ({os.strerror(number or errno.EIO)}); it was "
            "there when the cube was opened. Bring it back and open it again."
        )

    def _advise(self, part: Any, share: float = 1.0) -> None:
        """Tell the system not to read ahead where little of what lies between is wanted.

        Parameters
        ----------
        part
            The view of what is read, or of what it spans.
        share
            Of ``part`` that is wanted.
        """
        reach = part.itemsize
        for side, step in zip(part.shape, part.strides, strict=True):
            reach += (side - 1) * abs(step)
        self._read_ahead(part.nbytes * share >= SPARSE * reach)

    def _read_ahead(self, wanted: bool) -> None:
        if wanted is not self._reads_ahead and hasattr(mmap, "MADV_RANDOM"):
            self._reads_ahead = wanted
            self._mapping.bytes.madvise(mmap.MADV_NORMAL if wanted else mmap.MADV_RANDOM)

    def _spans(self, part: NDArray[Any]) -> Iterator[tuple[int, int]]:
        """Bytes of the file, from and to, that hold a view of it."""
        if not part.size:
            return
        slowest = int(np.argmax(np.abs(part.strides))) if part.ndim else 0
        start = np.frombuffer(self._mapping.bytes, np.uint8).ctypes.data
        moved = np.moveaxis(part, slowest, 0) if part.ndim else part[None]
        for number in range(len(moved)):
            each = moved[number, ...]  # a view, where a single number would be a copy
            reach = [(side - 1) * step for side, step in zip(each.shape, each.strides, strict=True)]
            first = each.__array_interface__["data"][0] - start
            low = first + sum(step for step in reach if step < 0)
            yield low, first + sum(step for step in reach if step > 0) + each.itemsize

    def _spanned(self, index: tuple[Any, ...]) -> tuple[NDArray[Any], float]:
        """The view of all that lies between the chosen bands, and their share of it."""
        bands, *rest = index
        chosen = np.ravel(bands)
        are_bands = isinstance(bands, list | np.ndarray) and chosen.dtype.kind in "iu"
        if not are_bands or not chosen.size or not all(type(part) in (int, slice) for part in rest):
            return self._view, 1.0
        chosen = chosen % self.shape[0]
        span = self._view[(slice(chosen.min(), chosen.max() + 1), *rest)]
        return span, chosen.size / len(span)


class DecodedArray(LazyArray):
    """(C, H, W) numbers of a file that must be decoded as a whole; done at the first index.

    Parameters
    ----------
    path
        The file, named in the error.
    shape, dtype
        As the file declares them.
    decode
        Reads the (C, H, W) numbers; a function of a module or a `partial` of one, so that the array
        can be pickled.

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
        super().__init__(shape, dtype)
        self._decode = decode
        declared = int(np.prod(shape, dtype=object)) * dtype.itemsize
        refuse_bomb(path, declared)

    @cached_property
    def _numbers(self) -> NDArray[Any]:
        # as its decoder laid it out: a second copy, band by band, would double the memory
        return np.asarray(self._decode(), dtype=self.dtype)

    def read(self, bands: NDArray[np.intp], rows: slice, columns: slice) -> NDArray[Any]:
        return np.array(self._numbers[as_slice(bands), rows, columns])


def refuse_bomb(path: Path, declared: int) -> None:
    """An error when a file expands to more than the free memory, or than any codec can.

    Parameters
    ----------
    path
        The file.
    declared
        Bytes to which it says that it expands.
    """
    there = path.stat().st_size
    free = psutil.virtual_memory().available
    if declared > MOST_EXPANDED * there:
        raise CubeError(
            f"'{path.name}' declares {declared} bytes and is {there}; its numbers cannot all be "
            "there. Copy it again from its source."
        )
    if declared > free:
        raise CubeError(
            f"'{path.name}' is {there} bytes that expand to {declared}; {free} bytes of memory are "
            "free. Save it uncompressed, then it is read in parts."
        ) from OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))


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


def scale_in_float32(
    name: str, gain: NDArray[Any], offset: NDArray[Any]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Gain and offset that a file states.

    Raises
    ------
    CubeError
        One is infinite in float32, or no number; or no gain is other than 0.
    """
    with np.errstate(over="ignore"):
        found = gain.astype(np.float32), offset.astype(np.float32)
    for what, part in zip(("a gain", "an offset"), found, strict=True):
        if not np.isfinite(part).all():
            raise CubeError(
                f"'{name}' scales its numbers by {what} that is no number below 3e38. Correct "
                "the scale that it states, or delete it."
            )
    if not found[0].any():
        raise CubeError(
            f"'{name}' scales its numbers by a gain of 0, which makes them all the same. Correct "
            "the scale that it states, or delete it."
        )
    return found


def ignorable(value: float, dtype: np.dtype[Any]) -> float | None:
    """The number of this type that stands for "not measured"; None when no pixel can hold it."""
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        whole = value == value and abs(value) != float("inf") and value == int(value)
        return float(value) if whole and limits.min <= value <= limits.max else None
    if value != value or dtype.kind != "f":
        return None  # NaN reads as NaN already; of yes and no, neither is nothing
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
