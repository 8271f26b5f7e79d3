"""Cubes that are computed from the spectra of another one, block by block."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cubes import Cube, LazyArray, in_reflectance, row_blocks
from napari_phenoscape.events import Progress

#: Numbers of a cube that are in memory at a time where float64 are computed from them.
BLOCK = 4 << 20


class OfSpectra(LazyArray):
    """(K, H, W) numbers, each pixel's K from its spectrum.

    ``compute`` turns (C, rows, columns) reflectance into (K, rows, columns); C are all bands, or
    those in ``used``.
    """

    def __init__(
        self,
        cube: Cube,
        bands: int,
        compute: Callable[[NDArray[np.float64]], NDArray[np.float64]],
        used: NDArray[np.intp] | None = None,
    ) -> None:
        super().__init__((bands, *cube.shape[1:]), np.dtype(np.float32))
        self._cube, self._compute = cube, compute
        self._used: NDArray[np.intp] | slice = slice(None) if used is None else used

    def read(self, bands: NDArray[np.intp], rows: slice, columns: slice) -> NDArray[Any]:
        found = self._empty(bands, rows, columns)
        for part, down in row_blocks(self._cube, self._used, rows, columns, BLOCK):
            spectra = self._cube.reflectance(self._used, down, columns).astype(np.float64)
            found[:, part] = self._compute(spectra)[bands]
        return found


def planes_of(cube: Cube) -> Generator[Progress, None, NDArray[np.float32]]:
    """(C, H, W) reflectance of a cube of few bands, computed now, with its progress."""
    planes = np.empty(cube.shape, np.float32)
    for rows, _ in row_blocks(cube, most=planes.size // 20):
        planes[:, rows] = cube.reflectance(rows=rows)
        yield Progress("computing rows", rows.stop, cube.shape[1])
    return planes


def picture_of(
    cube: Cube,
    bands: NDArray[np.intp] | slice,
    step: int,
    colours: Callable[[NDArray[np.float32]], NDArray[Any]],
) -> NDArray[np.uint8]:
    """(H', W', 3) picture of every so many rows and columns of a cube.

    ``colours`` turns (bands, rows, columns) reflectance, which it may change, into
    (3, rows, columns) values of 0 to 255.
    """
    every = slice(None, None, step)
    sides = (len(range(0, side, step)) for side in cube.shape[1:])
    picture = np.empty((*sides, 3), np.uint8)
    for part, down in row_blocks(cube, bands, every, every):
        picture[part] = np.moveaxis(colours(cube.reflectance(bands, down, every)), 0, -1)
    return picture


def as_reflectance(cube: Cube, array: LazyArray) -> Cube:
    """The cube with the reflectance of ``array``."""
    return replace(in_reflectance(cube), array=array)
