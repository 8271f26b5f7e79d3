"""Mean spectra of regions, in blocks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cubes import Cube, row_blocks
from napari_phenoscape.errors import CubeError

#: Numbers of a cube that are in memory at a time (with what is computed from them: 50 MB).
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
    down, across = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    box, columns = (slice(int(inside[0]), int(inside[-1]) + 1) for inside in (down, across))
    for _, rows in row_blocks(cube, rows=box, columns=columns, most=BLOCK):
        if not mask[rows, columns].any():
            continue  # nothing of it is read
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
