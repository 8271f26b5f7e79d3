"""Derived cubes: parts of a cube, and coarser ones, computed block by block when they are read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cubes._bands import Band, Bands
from napari_phenoscape.cubes._cube import Cube
from napari_phenoscape.cubes._lazy import LazyArray, Window
from napari_phenoscape.errors import CubeError


class _Reflectance(LazyArray):
    """Reflectance in float32, NaN where nothing was measured."""

    def __init__(self, cube: Cube) -> None:
        super().__init__(cube.shape, np.dtype(np.float32))
        self._cube = cube

    def read(self, bands: NDArray[np.intp], rows: slice, columns: slice) -> NDArray[Any]:
        return self._cube.reflectance(bands, rows, columns)


class _Binned(LazyArray):
    """Mean reflectance over so many neighbouring bands, rows and columns."""

    def __init__(self, cube: Cube, bands: int, pixels: int) -> None:
        depth, rows, columns = cube.shape
        super().__init__(
            (-(-depth // bands), -(-rows // pixels), -(-columns // pixels)), np.dtype(np.float32)
        )
        self._cube, self._per, self._pixels = cube, bands, pixels

    def read(self, bands: NDArray[np.intp], rows: slice, columns: slice) -> NDArray[Any]:
        if rows.step > 1 or columns.step > 1:
            # no more than a line of the finer cube at a time
            lines = [
                self.read(bands, slice(row, row + 1, 1), slice(columns.start, columns.stop, 1))
                for row in range(rows.start, rows.stop, rows.step)
            ]
            return np.concatenate(lines, axis=1)[:, :, :: columns.step]
        depth, height, width = self._cube.shape
        size = self._pixels
        down = slice(rows.start * size, min(rows.stop * size, height))
        across = slice(columns.start * size, min(columns.stop * size, width))
        found = self._empty(bands, rows, columns)
        for place, band in enumerate(bands):
            of_band = np.arange(band * self._per, min((band + 1) * self._per, depth))
            values = self._cube.reflectance(of_band, down, across)
            measured = np.isfinite(values)
            total = _sums(np.where(measured, values, 0).sum(axis=0), size)
            count = _sums(measured.sum(axis=0), size)
            with np.errstate(invalid="ignore"):
                found[place] = total / count
        return found


def cropped(
    cube: Cube, bands: Sequence[int] | NDArray[np.intp], rows: slice, columns: slice
) -> Cube:
    """Some bands, rows and columns of a cube, in the file's own numbers.

    Parameters
    ----------
    bands
        Band indices in the order wanted.
    rows, columns
        Half-open ranges of pixels; None at an end is the cube's.

    Raises
    ------
    CubeError
        The range lies outside of the cube.
    """
    index = np.asarray(bands, dtype=np.intp)
    down, across = (
        _inside(part, side, name, cube)
        for part, side, name in zip(
            (rows, columns), cube.shape[1:], ("rows", "columns"), strict=True
        )
    )
    gain, offset = (part[index] if part.ndim else part for part in (cube.gain, cube.offset))
    return replace(
        cube,
        array=Window(cube.array, index, down, across),
        bands=cube.bands.take(index),
        gain=gain,
        offset=offset,
        mask=None if cube.mask is None else cube.mask[down, across],
    )


def in_reflectance(cube: Cube) -> Cube:
    """The cube with numbers that are reflectance, float32, NaN where nothing was measured."""
    return _of_reflectance(cube, _Reflectance(cube))


def binned(cube: Cube, bands: int = 1, pixels: int = 1) -> Cube:
    """Mean reflectance over so many neighbouring bands, and squares of so many pixels a side.

    What was not measured takes no part. A bin at the end may have fewer. A new band has the mean
    wavelength of its members, and is bad when all of them are; the mask holds a pixel of which
    half is specimen.
    """
    array = _Binned(cube, bands, pixels)
    members = [cube.bands[i : i + bands] for i in range(0, cube.shape[0], bands)]
    mask = cube.mask
    if mask is not None and pixels > 1:
        mask = (
            _sums(mask.astype(np.float32), pixels) / _sums(np.ones(mask.shape, np.float32), pixels)
            >= 0.5
        )
    own = Bands(each[0] if len(each) == 1 else _mean_band(each) for each in members)
    return replace(
        _of_reflectance(cube, array),
        bands=own,
        mask=mask,
    )


def _of_reflectance(cube: Cube, array: LazyArray) -> Cube:
    return replace(
        cube,
        array=array,
        gain=np.ones((), np.float32),
        offset=np.zeros((), np.float32),
        ignore_value=None,
    )


def _mean_band(members: Bands) -> Band:
    nm, bad = members.wavelengths_nm, not members.good.any()
    shown_as = "".join(band.shown_as for band in members)
    if nm is None:
        return Band(f"{members[0].name} to {members[-1].name}", bad=bad, shown_as=shown_as)
    mean = float(nm.mean())
    return Band(f"{mean:.7g} nm", mean, bad=bad, shown_as=shown_as)


def _sums(plane: NDArray[Any], size: int) -> NDArray[Any]:
    """Sums over squares of ``size`` pixels a side."""
    rows, columns = (np.arange(0, side, size) for side in plane.shape)
    summed: NDArray[Any] = np.add.reduceat(np.add.reduceat(plane, rows, axis=0), columns, axis=1)
    return summed


def _inside(part: slice, side: int, name: str, cube: Cube) -> slice:
    start = 0 if part.start is None else part.start
    stop = side if part.stop is None else part.stop
    if not 0 <= start < stop <= side:
        raise CubeError(
            f"'{cube.path.name}' has {side} {name}; {start}:{stop} is not a range of them. Give "
            f"two whole numbers from 0 to {side}, the lower one first."
        )
    return slice(start, stop)
