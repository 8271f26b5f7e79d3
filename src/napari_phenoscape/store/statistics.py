"""Statistics of each band over a collection, added up one specimen at a time."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cube import Band
from napari_phenoscape.errors import CollectionError


class BandStatistics:
    """Mean and standard deviation of C bands over the measured pixels under the masks."""

    def __init__(self, bands: tuple[Band, ...]) -> None:
        self._bands = bands
        self._count, self._total, self._squares = np.zeros((3, len(bands)), dtype=np.float64)
        self._there = np.zeros(len(bands), dtype=np.bool_)

    def add(
        self, image: NDArray[np.float32], mask: NDArray[np.bool_], bands: Collection[int]
    ) -> None:
        """Take in a specimen: (C, S, S), NaN where nothing was measured, and (1, S, S).

        ``bands`` are the positions of those that it has.
        """
        self._there[list(bands)] = True
        pixels = image[:, mask[0]].astype(np.float64)
        self._count += np.isfinite(pixels).sum(axis=1)
        self._total += np.nansum(pixels, axis=1)
        self._squares += np.nansum(pixels**2, axis=1)

    def result(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """(C,) mean, and (C,) standard deviation, 1 where a band is constant.

        They are 0 and 1 where no specimen has the band.

        Raises
        ------
        CollectionError
            A band that specimens have was measured on none of them.
        """
        unmeasured = np.flatnonzero(self._there & (self._count == 0))
        if len(unmeasured):
            name = self._bands[int(unmeasured[0])].name
            raise CollectionError(
                f"The band '{name}' was not measured on any specimen (all NaN); leave it out of "
                "the modality by 'bands' or 'range_nm'."
            )
        count = np.maximum(self._count, 1)
        mean = self._total / count
        std = np.sqrt(np.maximum(self._squares / count - mean**2, 0))
        constant = std <= 1e-6 * np.abs(mean)
        return mean.astype(np.float32), np.where(constant, 1, std).astype(np.float32)
