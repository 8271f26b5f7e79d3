"""Joined cubes: the bands of one cube and those of others that are laid on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cubes._arrays import unique
from napari_phenoscape.cubes._bands import Band, Bands, Region
from napari_phenoscape.cubes._cube import Cube
from napari_phenoscape.cubes._derived import binned, in_reflectance
from napari_phenoscape.cubes._lazy import LazyArray


class _Laid(LazyArray):
    """Reflectance of a cube between its pixels (bilinear), on the grid of another; NaN outside.

    ``matrix`` (3, 3) takes (column, row, 1) of that grid to those of the cube.
    """

    def __init__(self, cube: Cube, matrix: NDArray[np.float64], shape: tuple[int, int]) -> None:
        super().__init__((cube.shape[0], *shape), np.dtype(np.float32))
        self._cube, self._matrix = cube, matrix

    def read(self, bands: NDArray[np.intp], rows: slice, columns: slice) -> NDArray[Any]:
        from scipy import ndimage

        down, across = (
            np.arange(part.start, part.stop, part.step, dtype=float) for part in (rows, columns)
        )
        x, y = (a * across + b * down[:, None] + c for a, b, c in self._matrix[:2])
        found = self._empty(bands, rows, columns)
        found[:] = np.nan
        _, height, width = self._cube.shape
        low, left = (max(int(np.floor(of.min())), 0) for of in (y, x))
        high = min(int(np.ceil(y.max())) + 1, height)
        right = min(int(np.ceil(x.max())) + 1, width)
        if low >= high or left >= right:
            return found
        for place, band in enumerate(bands):
            plane = self._cube.reflectance(np.array([band]), slice(low, high), slice(left, right))[
                0
            ]
            ndimage.map_coordinates(
                plane, [y - low, x - left], output=found[place], order=1, cval=np.nan
            )
        return found


class ConcatenatedBands(LazyArray):
    """The bands of several cubes of one size, one cube after the other, in reflectance."""

    def __init__(self, cubes: Sequence[Cube]) -> None:
        depth = sum(cube.shape[0] for cube in cubes)
        super().__init__((depth, *cubes[0].shape[1:]), np.dtype(np.float32))
        self._cubes = tuple(cubes)

    def read(self, bands: NDArray[np.intp], rows: slice, columns: slice) -> NDArray[Any]:
        found, first = self._empty(bands, rows, columns), 0
        for cube in self._cubes:
            mine = (bands >= first) & (bands < first + cube.shape[0])
            if mine.any():
                found[mine] = cube.reflectance(bands[mine] - first, rows, columns)
            first += cube.shape[0]
        return found


def joined(
    cube: Cube, others: Sequence[Cube], parts: Sequence[str], matrices: Sequence[NDArray[Any]]
) -> Cube:
    """One cube with the bands of several, on the grid of the first, in reflectance.

    What another cube does not show is NaN. One that is finer by a whole number or more is averaged
    first.

    Parameters
    ----------
    others
        Cubes that are laid on it.
    parts
        What each shows, the first too. ``uv``, ``vis``, ``nir`` and ``swir`` are the spectral
        region of its bands, whatever their channels were called: ``R`` of ``uv`` is ``UV_R``, a
        grey one ``UV``. A band of a known wavelength stays what it is, and so do those of the first
        that show visible light or what is no region.
    matrices : (3, 3)
        From (column, row, 1) of ``cube`` to those of each.
    """
    made, bands, provenance = [in_reflectance(cube)], list(cube.bands), list(cube.provenance)
    first, *rest = parts
    if first.lower() in get_args(Region) and first.lower() != "vis":
        bands = [_of_part(band, first, alone=len(bands) == 1) for band in bands]
    for other, part, matrix in zip(others, rest, matrices, strict=True):
        size = max(1, int(np.sqrt(abs(np.linalg.det(matrix[:2, :2])))))
        if size > 1:
            other, matrix = binned(other, 1, size), _coarser(size) @ matrix
        array = _Laid(other, matrix, cube.shape[1:])
        made.append(replace(in_reflectance(other), array=array))
        bands += [_of_part(band, part, alone=len(other.bands) == 1) for band in other.bands]
        provenance += [f"{part}: {sentence}" for sentence in other.provenance]
        provenance.append(f"The photograph of {part} is laid on the first by an affine map.")
    names = unique([band.name for band in bands])
    return replace(
        made[0],
        array=ConcatenatedBands(made),
        bands=Bands(replace(band, name=name) for band, name in zip(bands, names, strict=True)),
        provenance=tuple(provenance),
    )


def _coarser(size: int) -> NDArray[np.float64]:
    """From pixels to squares of so many a side."""
    middle = (size - 1) / 2
    return np.array([[1, 0, -middle], [0, 1, -middle], [0, 0, size]]) / size


def _of_part(band: Band, part: str, *, alone: bool) -> Band:
    region = next((region for region in get_args(Region) if region == part.lower()), None)
    if band.wavelength_nm is not None or (region is not None and band.region == region):
        return replace(band, shown_as="")
    name = part if region is None else region.upper()
    return Band(
        name if alone else f"{name}_{band.role}", region=region or band.region, bad=band.bad
    )
