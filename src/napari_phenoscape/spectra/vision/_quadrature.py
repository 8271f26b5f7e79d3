"""Quadrature: integrals over wavelength of what a cube has only seen at its bands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cubes import Cube
from napari_phenoscape.errors import BandMismatchError

#: Between two bands further apart than this, in nm, a cube has seen nothing. Cones are some
#: 80-100 nm wide at half their height, so a straight line over 30 nm misses none of their course.
GAP_NM = 30.0

#: Steps of the integrals in nm.
_STEP_NM = 1.0


@dataclass(frozen=True, eq=False)
class Quadrature:
    """Weights that turn C bands into K integrals.

    Parameters
    ----------
    weights : (K, C)
        ``weights @ reflectance`` is the integral of curve times reflectance over nm, as far as it
        was seen. Bands that are flagged as bad, or lie between no others, weigh 0.
    whole : (K,)
        The same of a perfect white, if all of it had been seen.
    """

    weights: NDArray[np.float64]
    whole: NDArray[np.float64]

    @property
    def seen(self) -> NDArray[np.float64]:
        """(K,) integrals of a perfect white over what was seen."""
        total: NDArray[np.float64] = self.weights.sum(axis=1)
        return total

    @property
    def share(self) -> NDArray[np.float64]:
        """(K,) share of each curve's area that was seen, 0-1."""
        return self.seen / self.whole


def steps_nm(first: float, last: float) -> NDArray[np.float64]:
    """Wavelengths from the first to the last, 1 nm apart, at which curves are integrated."""
    return np.arange(first, last + _STEP_NM / 2, _STEP_NM)


def quadrature(
    cube: Cube, wavelengths_nm: NDArray[np.float64], curves: NDArray[np.float64]
) -> Quadrature:
    """Integrals of curves times a reflectance that is straight from one band to the next.

    So a grey of any spectrum that bends only at the bands is integrated exactly, however uneven
    the bands are; curves are not thinned to the bands.

    Parameters
    ----------
    cube
        With wavelengths, in any order; bands of the same wavelength share its weight.
    wavelengths_nm : (n,)
        `steps_nm`.
    curves : (K, n)
        At these wavelengths.

    Raises
    ------
    BandMismatchError
        The cube's bands have no wavelengths.
    """
    nm = cube.bands.wavelengths_nm
    if nm is None:
        raise BandMismatchError(
            f"The bands of '{cube.path.name}' have no wavelengths ({cube.bands.span}), which an "
            "integral over the spectrum needs. Show a picture's own R, G and B, or give a model of "
            "the camera; of a spectral cube, write the wavelengths into its header."
        )
    good = cube.bands.good
    known, place, count = np.unique(nm[good], return_inverse=True, return_counts=True)
    weights = np.zeros((len(curves), len(nm)))
    if len(known) > 1:
        after = np.searchsorted(known, wavelengths_nm).clip(1, len(known) - 1)
        low, high = known[after - 1], known[after]
        seen = (wavelengths_nm >= low) & (wavelengths_nm <= high) & (high - low <= GAP_NM)
        along = np.where(seen, (wavelengths_nm - low) / (high - low), 0)
        own = np.zeros((len(curves), len(known)))
        area = np.where(seen, curves, 0) * _STEP_NM
        for curve, parts in zip(own, area, strict=True):
            np.add.at(curve, after - 1, parts * (1 - along))
            np.add.at(curve, after, parts * along)
        weights[:, good] = (own / count)[:, place]
    return Quadrature(weights, curves.sum(axis=1) * _STEP_NM)
