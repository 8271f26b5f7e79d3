"""Structure: how steep a picture is where, which differently lit bands have in common."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_phenoscape.cubes import Cube, binned
from napari_phenoscape.spectra.registering._affine import rescaled, warped

#: Planes of a cube whose steepness is taken, at most: of more bands, means of neighbours.
_PLANES = 6

#: Pixels over which a picture is smoothed (standard deviation), so that noise has no slope.
SMOOTH = 1.2


def planes_of(cube: Cube, longest: int) -> tuple[NDArray[np.float32], float]:
    """(c, h, w) reflectance with so many pixels on the longer side, and how many one is wide.

    What was not measured is the median.
    """
    side = max(cube.shape[1:])
    size = max(1, side // longest)
    planes = binned(cube, -(-cube.shape[0] // _PLANES), size).reflectance()
    planes[~np.isfinite(planes)] = np.nanmedian(planes)
    wide = max(planes.shape[1:]) / longest
    shape = tuple(int(one / wide) for one in planes.shape[1:])
    finer = rescaled(np.eye(3), 1, wide)
    return np.stack(
        [warped(plane, finer, shape) for plane in planes], dtype=np.float32
    ), size * wide


def structure(planes: NDArray[np.float32]) -> NDArray[np.float64]:
    """(h, w) steepness of a picture, 0-1, whatever the light: of the logarithm, compressed.

    Parameters
    ----------
    planes : (c, h, w)
        Reflectance, or anything in proportion to it.
    """
    total = np.zeros(planes.shape[1:])
    for plane in planes.astype(np.float64):
        smooth = ndimage.gaussian_filter(plane, SMOOTH)
        # a twentieth of what is bright: noise of what is dark has no slope
        light = np.log(np.maximum(smooth, 0) + 0.05 * max(np.quantile(smooth, 0.95), 1e-6))
        total += np.hypot(*np.gradient(light))
    typical = np.quantile(total, 0.9)
    return total / (total + max(typical, 1e-6))


def halved(planes: NDArray[np.float32]) -> NDArray[np.float32]:
    """(c, h // 2, w // 2) means of squares of two pixels a side."""
    bands, rows, columns = planes.shape
    even = planes[:, : rows // 2 * 2, : columns // 2 * 2]
    made: NDArray[np.float32] = even.reshape(bands, rows // 2, 2, columns // 2, 2).mean((2, 4))
    return made
