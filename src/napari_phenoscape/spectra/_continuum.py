"""Continuum removal: spectra over their upper convex hull."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cubes import Cube
from napari_phenoscape.errors import BandMismatchError
from napari_phenoscape.spectra._blocks import OfSpectra, as_reflectance

#: Pixels whose hulls are found together: few enough for the processor's cache.
_AT_ONCE = 256

#: Heights over a chord that are rounding errors, relative to the spectrum.
_ROUNDING = 1e-12


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
    nm = cube.bands.wavelengths_nm
    if nm is None or (np.diff(nm) <= 0).any():
        raise BandMismatchError(
            f"'{cube.path.name}' has no wavelengths that rise from band to band, which the "
            "continuum needs. Choose its bands so that they do."
        )

    def compute(x: NDArray[np.float64]) -> NDArray[np.float64]:
        flat = x.reshape(len(x), -1)
        found = np.empty_like(flat)
        for start in range(0, flat.shape[1], _AT_ONCE):
            some = slice(start, start + _AT_ONCE)
            with np.errstate(invalid="ignore", divide="ignore"):
                found[:, some] = flat[:, some] / _hull(nm, flat[:, some])
        return found.reshape(x.shape)

    return as_reflectance(cube, OfSpectra(cube, cube.shape[0], compute))


def _hull(nm: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """(C, n) upper convex hull of (C, n) spectra; NaN where a band was not measured.

    All pixels at once, as Quickhull does it: the band that rises highest over a chord between two
    corners is a corner too; until none rises over its chord.
    """
    count = len(nm)
    hull = np.full(y.shape[::-1], np.nan)
    open_rows = np.flatnonzero(np.isfinite(y).all(axis=0))
    spectra = np.ascontiguousarray(y.T[open_rows])  # (rows, C): a chord is a run of numbers
    is_corner = np.zeros(spectra.shape, dtype=bool)
    is_corner[:, [0, -1]] = True
    while open_rows.size:
        corner = np.flatnonzero(is_corner)
        chord = np.cumsum(is_corner.ravel()) - 1  # of each band: the chord that begins at or before
        band, height = corner % count, spectra.ravel()[corner]
        # the last corner of a row begins no chord
        run = np.where(band < count - 1, np.diff(nm[band], append=nm[-1]), np.inf)
        slope = np.diff(height, append=0) / run
        line = (height - slope * nm[band])[chord] + slope[chord] * np.tile(nm, len(spectra))
        rise = spectra.ravel() - line
        rise[corner] = 0
        highest = np.maximum.reduceat(rise, corner)
        least = _ROUNDING * np.abs(spectra).max(axis=1)
        new = (rise >= highest[chord]).reshape(spectra.shape) & (
            rise.reshape(spectra.shape) > least[:, None]
        )
        going = new.any(axis=1)
        hull[open_rows[~going]] = np.maximum(line.reshape(spectra.shape), spectra)[~going]
        open_rows, spectra = open_rows[going], spectra[going]
        is_corner = (is_corner | new)[going]
    return hull.T
