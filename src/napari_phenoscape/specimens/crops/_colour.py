"""Colour: what plain statistics of the bands tell of each specimen, without learning."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_phenoscape.specimens.crops._crops import Crops

#: Of the values of a band over the mask.
QUANTILES = (0.02, 0.1, 0.25, 0.5, 0.75, 0.9, 0.98)


def colour_statistics(crops: Crops) -> NDArray[np.float32]:
    """(N, 2C) mean, then standard deviation, of every band over each specimen's mask.

    In reflectance, as it is; standardise the columns before comparing rows, or bright bands
    outweigh dark ones. The bands of a modality that a specimen lacks are those of the average
    specimen.
    """
    return _of_pixels(crops, lambda pixels: [pixels.mean(axis=1), pixels.std(axis=1)])


def colour_quantiles(crops: Crops) -> NDArray[np.float32]:
    """(N, 7C) quantiles of every band over each specimen's mask; as `colour_statistics`."""
    return _of_pixels(crops, lambda pixels: np.quantile(pixels, QUANTILES, axis=1))


def _of_pixels(crops: Crops, summed: Callable[[NDArray[np.float32]], ArrayLike]) -> NDArray[Any]:
    """(N, M C) float32 of what (C, P) pixels of each specimen are summed up to, (M, C)."""
    rows = [
        summed(image[:, mask[0]] / factors[:, None])
        for image, mask, factors in zip(crops.images, crops.masks, crops.factors, strict=True)
    ]
    found = np.array(rows, dtype=np.float32)  # (N, M, C)
    for name, index in crops.modalities.items():
        average = found[crops.present[name]].mean(axis=0)
        for i in np.flatnonzero(~crops.present[name]):
            found[i][:, index] = average[:, index]
    return found.reshape(len(found), -1)


def standardised(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, D) with mean 0 and standard deviation 1 of every column; a constant one is 0."""
    spread = x.std(axis=0)
    scaled: NDArray[np.float32] = (x - x.mean(axis=0)) / np.where(spread > 0, spread, 1)
    return scaled
