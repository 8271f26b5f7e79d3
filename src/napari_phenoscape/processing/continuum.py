"""Continuum removal: spectra over their upper convex hull."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cube import Cube
from napari_phenoscape.errors import BandMismatchError
from napari_phenoscape.processing.blocks import OfSpectra, as_reflectance


def without_continuum(cube: Cube) -> Cube:
    """Every spectrum divided by its upper convex hull over wavelength [1]_: 1 = on the hull.

    Raises
    ------
    BandMismatchError
        The bands have no wavelengths, or these do not rise.

    References
    ----------
    .. [1] Clark & Roush 1984. https://doi.org/10.1029/JB089iB07p06329
    """
    nm = cube.wavelengths_nm
    if nm is None or (np.diff(nm) <= 0).any():
        raise BandMismatchError(
            f"'{cube.path.name}' has no wavelengths that rise from band to band, which the "
            "continuum needs. Choose its bands so that they do."
        )

    def compute(x: NDArray[np.float64]) -> NDArray[np.float64]:
        flat = x.reshape(len(x), -1)
        with np.errstate(invalid="ignore", divide="ignore"):
            return (flat / _hull(nm, flat)).reshape(x.shape)

    return as_reflectance(cube, OfSpectra(cube, cube.shape[0], compute))


def _hull(nm: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """(C, n) upper convex hull of (C, n) spectra.

    All pixels at once: each goes from corner to corner along the steepest chord.
    """
    count, pixels = y.shape
    is_corner = np.zeros(y.shape, dtype=bool)
    at = np.zeros(pixels, dtype=np.intp)
    is_corner[0] = True
    every = np.arange(pixels)
    known = np.isfinite(y).all(0)
    while (going := every[(at < count - 1) & known]).size:
        here = at[going]
        with np.errstate(divide="ignore", invalid="ignore"):
            slopes = (y[:, going] - y[here, going]) / (nm[:, None] - nm[here])
        slopes[np.arange(count)[:, None] <= here] = -np.inf
        # the last of equal ones: fewer corners on a straight line
        at[going] = count - 1 - slopes[::-1].argmax(0)
        is_corner[at[going], going] = True
    place = np.arange(count)[:, None]
    before = np.maximum.accumulate(np.where(is_corner, place, 0), axis=0)
    after = np.minimum.accumulate(np.where(is_corner, place, count - 1)[::-1], axis=0)[::-1]
    low, high = (np.take_along_axis(y, corner, 0) for corner in (before, after))
    width = nm[after] - nm[before]
    share = np.where(width > 0, (nm[:, None] - nm[before]) / np.where(width > 0, width, 1), 0)
    hull: NDArray[np.float64] = np.where(known, low + share * (high - low), np.nan)
    return hull
