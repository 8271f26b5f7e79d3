"""Cubes that are computed from the spectra of another one, block by block."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cubes import BlockArray, Cube, in_reflectance
from napari_phenoscape.events import Progress

#: Numbers of a cube that are in memory at a time.
BLOCK = 4 << 20


class OfSpectra(BlockArray):
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
        self._depth = cube.shape[0] if used is None else len(used)

    def block(self, bands: NDArray[np.intp], rows: slice, columns: slice) -> NDArray[Any]:
        height = len(range(rows.start, rows.stop, rows.step))
        width = len(range(columns.start, columns.stop, columns.step))
        found = np.empty((len(bands), height, width), np.float32)
        at_once = max(1, BLOCK // (self._depth * max(width, 1)))
        for start in range(0, height, at_once):
            part = found[:, start : start + at_once]
            first = rows.start + start * rows.step
            down = slice(first, first + part.shape[1] * rows.step, rows.step)
            spectra = self._cube.reflectance(self._used, down, columns).astype(np.float64)
            part[:] = self._compute(spectra)[bands]
        return found


def planes_of(cube: Cube) -> Generator[Progress, None, NDArray[np.float32]]:
    """(C, H, W) reflectance of a cube of few bands, computed now, with its progress."""
    planes = np.empty(cube.shape, np.float32)
    at_once = max(1, cube.shape[1] // 20)
    for start in range(0, cube.shape[1], at_once):
        rows = slice(start, min(start + at_once, cube.shape[1]))
        planes[:, rows] = cube.reflectance(rows=rows)
        yield Progress("computing rows", rows.stop, cube.shape[1])
    return planes


def as_reflectance(cube: Cube, array: BlockArray) -> Cube:
    """The cube with the reflectance of ``array``."""
    return replace(in_reflectance(cube), array=array)
