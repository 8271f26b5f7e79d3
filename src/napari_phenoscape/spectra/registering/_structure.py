"""Structure: how steep a picture is where, which differently lit bands have in common."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_phenoscape.cubes import Cube, binned
from napari_phenoscape.spectra.registering._affine import rescaled, warped

#: Planes of a cube whose steepness is taken, at most: of more bands, means of neighbours.
PLANES = 6

#: Pixels over which a picture is smoothed (standard deviation), so that noise has no slope.
SMOOTH = 1.2

#: Times as far for the light around.
_AROUND = 3.0


def planes_of(cube: Cube, longest: int) -> tuple[NDArray[np.float32], float]:
    """(c, h, w) reflectance with so many pixels on the longer side, and how many one is wide.

    What was not measured is the median.
    """
    side = max(cube.shape[1:])
    size = max(1, side // longest)
    planes = binned(cube, -(-cube.shape[0] // PLANES), size).reflectance()
    planes[~np.isfinite(planes)] = np.nanmedian(planes)
    wide = max(planes.shape[1:]) / longest
    shape = tuple(int(one / wide) for one in planes.shape[1:])
    finer = rescaled(np.eye(3), 1, wide)
    return np.stack(
        [warped(plane, finer, shape) for plane in planes], dtype=np.float32
    ), size * wide


def structure(planes: NDArray[np.float32]) -> NDArray[np.float64]:
    """(h, w) steepness of a picture, 0-1, whatever the light: in parts of it, compressed.

    Parameters
    ----------
    planes : (c, h, w)
        Reflectance, or anything in proportion to it.
    """
    return structures([planes])[0]


def structures(
    parts: Sequence[NDArray[np.float32]], smooth: float = SMOOTH
) -> list[NDArray[np.float64]]:
    """The same of several parts (c, h, w) of one picture, so that they compare."""
    totals = [np.zeros(part.shape[1:]) for part in parts]
    for planes in zip(*parts, strict=True):
        # light from around: that of one side of an edge would draw the edge to the dark side
        around = [ndimage.gaussian_filter(plane, _AROUND * smooth) for plane in planes]
        bright = np.quantile(np.concatenate([light.ravel() for light in around]), 0.95)
        # a twentieth of what is bright: noise of what is dark has no slope
        least = 0.05 * max(float(bright), 1e-6)
        for total, plane, light in zip(totals, planes, around, strict=True):
            steep = np.hypot(*np.gradient(ndimage.gaussian_filter(plane, smooth)))
            total += steep / (np.maximum(light, 0) + least)
    usual, steepest = np.quantile(np.concatenate([t.ravel() for t in totals]), (0.9, 0.999))
    # most of a picture may be plain paper around a small specimen: its noise is no structure
    typical = max(float(usual), 0.1 * float(steepest), 1e-6)
    return [total / (total + typical) for total in totals]


def halved(planes: NDArray[np.float32]) -> NDArray[np.float32]:
    """(c, h // 2, w // 2) means of squares of two pixels a side."""
    bands, rows, columns = planes.shape
    even = planes[:, : rows // 2 * 2, : columns // 2 * 2]
    made: NDArray[np.float32] = even.reshape(bands, rows // 2, 2, columns // 2, 2).mean((2, 4))
    return made
