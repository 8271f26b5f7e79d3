"""Mean spectra of regions, in blocks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cubes import Cube
from napari_phenoscape.errors import CubeError

#: Largest block that is in memory at a time, in numbers (with what is computed from it: 50 MB).
BLOCK = 2 << 20


def mean_spectrum(
    cube: Cube, mask: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of the reflectance over a region.

    Parameters
    ----------
    mask : (H, W)
        True on the region.

    Returns
    -------
    mean, sd : (C,)
        Over the pixels where each band was measured; NaN where it was nowhere. ``sd`` is that of
        the population.

    Raises
    ------
    CubeError
        The mask has another size, or marks no pixel.
    """
    if mask.shape != cube.shape[1:]:
        raise CubeError(
            f"The mask has {mask.shape} pixels, '{cube.path.name}' {cube.shape[1:]}; the same size "
            "was expected. Draw it on the cube itself."
        )
    if not mask.any():
        raise CubeError(f"The mask on '{cube.path.name}' marks no pixel. Draw a region first.")
    count = np.zeros(cube.shape[0])
    mean, squares = np.zeros_like(count), np.zeros_like(count)
    for rows, columns in _blocks(cube, mask):
        values = cube.reflectance(rows=rows, columns=columns)[:, mask[rows, columns]]
        values = values.astype(np.float64)
        measured = np.isfinite(values)
        number = measured.sum(axis=1)
        some = np.maximum(number, 1)
        centre = np.where(measured, values, 0).sum(axis=1) / some
        spread = (np.where(measured, values - centre[:, None], 0) ** 2).sum(axis=1)
        # Chan, Golub & LeVeque 1983: squares about the joint mean, without cancellation
        total = np.maximum(count + number, 1)
        squares += spread + (centre - mean) ** 2 * count * number / total
        mean += (centre - mean) * number / total
        count += number
    nowhere = count == 0
    mean[nowhere] = squares[nowhere] = np.nan
    return mean, np.sqrt(squares / np.maximum(count, 1))


def _blocks(cube: Cube, mask: NDArray[np.bool_]) -> Iterator[tuple[slice, slice]]:
    """Row blocks of the mask's bounding box, small enough for the memory; empty ones left out."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    across = slice(int(columns[0]), int(columns[-1]) + 1)
    at_once = max(1, BLOCK // (cube.shape[0] * (across.stop - across.start)))
    end = int(rows[-1]) + 1
    for start in range(int(rows[0]), end, at_once):
        down = slice(start, min(start + at_once, end))
        if mask[down, across].any():
            yield down, across
