"""Spectra: the mean reflectance of every specimen, and how that of a cluster differs."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammaln

from napari_phenoscape.cubes import Bands
from napari_phenoscape.events import Progress
from napari_phenoscape.specimens import Crops


@dataclass(frozen=True, eq=False)
class SpecimenSpectra:
    """The mean reflectance of every specimen over its mask.

    Parameters
    ----------
    ids
        N specimens.
    bands
        C bands.
    values : (N, C)
        Reflectance, 1 = white; NaN where a specimen lacks the band, or it was measured nowhere.
    """

    ids: tuple[str, ...]
    bands: Bands
    values: NDArray[np.float64]


def specimen_spectra(crops: Crops) -> Generator[Progress, None, SpecimenSpectra]:
    """Means over the masks of prepared crops, of the pixels that were measured."""
    mean = crops.mean[:, None]
    values = np.full((len(crops.ids), len(crops.bands)), np.nan)
    constant = crops.std[:, None] == 1  # all of a constant band is as if filled
    for i, (image, mask) in enumerate(zip(crops.images, crops.masks, strict=True)):
        pixels = image[:, mask[0]]
        # what was not measured holds the band's mean to the last bit, as kept in 32 or 16 bits
        filled = (pixels == mean) | (pixels == mean.astype(np.float16).astype(np.float32))
        measured = ~filled | constant
        number = measured.sum(axis=1)
        total = np.where(measured, pixels, 0).sum(axis=1, dtype=np.float64)
        np.divide(total, number, out=values[i], where=number > 0)
        yield Progress("reading spectra", i + 1, len(crops.ids))
    values[~bands_present(crops)] = np.nan
    return SpecimenSpectra(crops.ids, crops.bands, values)


def bands_present(crops: Crops) -> NDArray[np.bool_]:
    """(N, C) True where a specimen has a modality that the band is of."""
    present = np.zeros((len(crops.ids), len(crops.bands)), dtype=np.bool_)
    for name, index in crops.modalities.items():
        present[:, index] |= crops.present[name][:, None]
    return present


@dataclass(frozen=True, eq=False)
class Moments:
    """Number, mean and standard deviation over specimens, each counting once.

    Parameters
    ----------
    n : (C,)
        Specimens that have the band.
    mean, sd : (C,)
        NaN for fewer than one and two of them; ``sd`` is that of a sample (n - 1).
    """

    n: NDArray[np.int64]
    mean: NDArray[np.float64]
    sd: NDArray[np.float64]

    @classmethod
    def of(cls, values: NDArray[np.float64]) -> Moments:
        """Of the numbers among (n, C)."""
        finite = np.isfinite(values)
        n = finite.sum(axis=0)
        mean = _over(np.where(finite, values, 0).sum(axis=0), n)
        squares = (np.where(finite, values - mean, 0) ** 2).sum(axis=0)
        return cls(n, mean, np.sqrt(_over(squares, n - 1)))

    @classmethod
    def together(cls, parts: Sequence[Moments]) -> Moments:
        """Of all specimens of which these are parts."""
        n = np.sum([part.n for part in parts], axis=0)
        mean = _over(np.sum([part.n * np.nan_to_num(part.mean) for part in parts], axis=0), n)
        squares = np.zeros(len(n))
        for part in parts:
            within = (part.n - 1) * np.nan_to_num(part.sd) ** 2
            between = part.n * (np.nan_to_num(part.mean) - mean) ** 2
            squares += np.where(part.n > 0, within + between, 0)
        return cls(n, mean, np.sqrt(_over(squares, n - 1)))


def hedges_g(a: Moments, b: Moments) -> NDArray[np.float64]:
    """(C,) difference of two means, in pooled standard deviations, corrected for few [1]_.

    Positive where ``a`` reflects more. NaN where either has fewer than two specimens, or nothing
    varies.

    References
    ----------
    .. [1] Hedges 1981, Distribution theory for Glass's estimator of effect size and related
       estimators, eq. 4 and 6e. https://doi.org/10.3102/10769986006002107
    """
    free = (a.n + b.n - 2).clip(1)
    pooled = np.sqrt(((a.n - 1) * a.sd**2 + (b.n - 1) * b.sd**2) / free)
    exact = np.exp(gammaln(free / 2) - gammaln((free - 1).clip(1) / 2)) / np.sqrt(free / 2)
    defined = (a.n > 1) & (b.n > 1) & (pooled > 0)
    g = np.full(len(pooled), np.nan)
    np.divide(exact * (a.mean - b.mean), pooled, out=g, where=defined)
    return g


def _over(total: NDArray[np.float64], number: NDArray[np.int64]) -> NDArray[np.float64]:
    quotient: NDArray[np.float64] = np.full(len(total), np.nan)
    np.divide(total, number, out=quotient, where=number > 0)
    return quotient
