"""What an opened file must hold: memory that somebody wrote, and the numbers that others read."""

from __future__ import annotations

import ctypes
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import h5py
import numpy as np
import rasterio
import tifffile

from napari_phenoscape.cubes import open_cube

#: glibc's option that fills what is allocated, from malloc.h.
_M_PERTURB = -6

#: What fresh memory is filled with in the two readings.
_POISONS = (0x00, 0xA5)


def check_numbers(reader: str, path: Path) -> None:
    """Fail where a cube holds memory that nobody wrote, or other numbers than another library says.

    Of the other library, only readings of as many numbers as ours are compared: what is a mask, or
    which of several arrays is the cube, is our own question.
    """
    first, second = (_numbers(path, byte) for byte in _POISONS)
    assert np.array_equal(first, second, equal_nan=first.dtype.kind == "f"), "nobody wrote this"
    theirs = ORACLES[reader](path)
    if theirs is not None and theirs.size == first.size and theirs.dtype.kind == first.dtype.kind:
        same = np.array_equal(np.sort(first, axis=None), np.sort(theirs, axis=None), equal_nan=True)
        assert same, f"{reader}: other numbers than another library reads"


def _numbers(path: Path, byte: int) -> np.ndarray:
    with poisoned(byte):
        return open_cube(path).array[:]


@contextmanager
def poisoned(byte: int) -> Iterator[None]:
    """Fresh memory is full of one byte, of NumPy everywhere, of other libraries with glibc."""
    empty = np.empty

    def filled(*how: Any, **more: Any) -> np.ndarray:
        array = empty(*how, **more)
        if array.dtype.kind in "biufc" and array.size:
            array.view(np.uint8 if array.ndim else array.dtype)[...] = byte
        return array

    perturb = ctypes.CDLL(None).mallopt if sys.platform == "linux" else lambda *_: None
    perturb(_M_PERTURB, byte)
    try:
        with mock.patch.object(np, "empty", filled):
            yield
    finally:
        perturb(_M_PERTURB, 0)


def _by_tifffile(path: Path) -> np.ndarray | None:
    return _asked(lambda: tifffile.imread(path))


def _by_h5py(path: Path) -> np.ndarray | None:
    with h5py.File(path) as file:
        return _asked(lambda: file["scene"][...])


def _by_gdal(path: Path) -> np.ndarray | None:
    def read() -> np.ndarray:
        with rasterio.open(path.with_suffix(".dat")) as file:
            return np.asarray(file.read())

    return _asked(read)


def _asked(read: Callable[[], np.ndarray]) -> np.ndarray | None:
    """What another library reads, None where it refuses."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return np.asarray(read())
        except Exception:  # noqa: BLE001 - of a damaged file they raise anything
            return None


#: By reader, (path) -> what another library reads.
ORACLES: dict[str, Callable[[Path], np.ndarray | None]] = {
    "tiff": _by_tifffile,
    "hdf5": _by_h5py,
    "envi": _by_gdal,
}
