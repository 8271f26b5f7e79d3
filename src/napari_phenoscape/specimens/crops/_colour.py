"""Colour: what plain statistics of the bands tell of each specimen, without learning."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.specimens.crops._crops import Crops


def colour_statistics(crops: Crops) -> NDArray[np.float32]:
    """(N, 2C) mean, then standard deviation, of every band over each specimen's mask.

    In reflectance, as it is; standardise the columns before comparing rows, or bright bands
    outweigh dark ones. The bands of a modality that a specimen lacks are those of the average
    specimen.
    """
    rows: list[Sequence[NDArray[np.float32]]] = []
    for image, mask, factors in zip(crops.images, crops.masks, crops.factors, strict=True):
        pixels = image[:, mask[0]] / factors[:, None]
        rows.append((pixels.mean(axis=1), pixels.std(axis=1)))
    moments = np.array(rows, dtype=np.float32)  # (N, 2, C)
    for name, index in crops.modalities.items():
        average = moments[crops.present[name]].mean(axis=0)
        for i in np.flatnonzero(~crops.present[name]):
            moments[i][:, index] = average[:, index]
    return moments.reshape(len(moments), -1)


def standardised(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, D) with mean 0 and standard deviation 1 of every column; a constant one is 0."""
    spread = x.std(axis=0)
    scaled: NDArray[np.float32] = (x - x.mean(axis=0)) / np.where(spread > 0, spread, 1)
    return scaled
