"""Statistics of each band over specimens: what they are, and how they are added up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cubes import Bands


@dataclass(frozen=True)
class BandStatistics:
    """The bands of a modality, and the reflectance of each over the specimens of a collection.

    Parameters
    ----------
    bands
        C bands.
    mean, std
        C numbers each.
    """

    bands: Bands
    mean: tuple[float, ...]
    std: tuple[float, ...]

    def at(self, bands: Bands) -> BandStatistics | None:
        """The same spectrum in other bands; None where it cannot be told, for want of wavelengths.

        Linear between the centres, constant beyond the outermost, as `ResponseCurves` reads a
        spectrum; bands of the same wavelength count as their mean.
        """
        if bands == self.bands:
            return self
        own, wanted = self.bands.wavelengths_nm, bands.wavelengths_nm
        if own is None or wanted is None:
            return None
        nm, place, count = np.unique(own, return_inverse=True, return_counts=True)
        mean, std = (
            np.interp(wanted, nm, np.bincount(place, numbers) / count).tolist()
            for numbers in (self.mean, self.std)
        )
        return BandStatistics(bands, tuple(mean), tuple(std))


class BandSums:
    """Count, sum and sum of squares of C bands over the measured pixels under the masks."""

    def __init__(self, bands: int) -> None:
        self.count, self._total, self._squares = np.zeros((3, bands), dtype=np.float64)

    def add(self, image: NDArray[np.float32], mask: NDArray[np.bool_]) -> None:
        """Take in a specimen: (C, S, S), NaN where nothing was measured, and (1, S, S)."""
        pixels = image[:, mask[0]].astype(np.float64)
        self.count += np.isfinite(pixels).sum(axis=1)
        self._total += np.nansum(pixels, axis=1)
        self._squares += np.nansum(pixels**2, axis=1)

    @classmethod
    def over(
        cls, parts: Sequence[BandSums], factors: NDArray[np.float32] | float = 1.0
    ) -> BandSums:
        """The sums over all parts, the reflectance of each multiplied by (parts, C) factors."""
        whole = cls(len(parts[0].count))
        all_factors = np.broadcast_to(
            np.asarray(factors, np.float64), (len(parts), len(whole.count))
        )
        for part, own in zip(parts, all_factors, strict=True):
            whole.count += part.count
            whole._total += own * part._total
            whole._squares += own**2 * part._squares
        return whole

    def result(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(C,) mean, and (C,) standard deviation, 1 where a band is constant.

        They are 0 and 1 where nothing was measured.
        """
        count = np.maximum(self.count, 1)
        mean = self._total / count
        std = np.sqrt(np.maximum(self._squares / count - mean**2, 0))
        constant = std <= 1e-6 * np.abs(mean)
        return mean.astype(np.float32), np.where(constant, 1, std).astype(np.float32)
