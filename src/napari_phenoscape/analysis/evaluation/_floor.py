"""Floor: what plain colour tells, without learning."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.specimens import Crops


def colour_statistics(crops: Crops) -> NDArray[np.float32]:
    """(N, 2C) mean, then standard deviation, of every band over each specimen's mask.

    In reflectance, as it is; standardise the columns before comparing rows, or bright bands
    outweigh dark ones. The bands of a modality that a specimen lacks are those of the average
    specimen.
    """
    rows: list[Sequence[NDArray[np.float32]]] = []
    for image, mask in zip(crops.images, crops.masks, strict=True):
        pixels = image[:, mask[0]]
        rows.append((pixels.mean(axis=1), pixels.std(axis=1)))
    found = np.array(rows, dtype=np.float32)  # (N, 2, C)
    for name, index in crops.modalities.items():
        average = found[crops.present[name]].mean(axis=0)
        for i in np.flatnonzero(~crops.present[name]):
            found[i][:, index] = average[:, index]
    return found.reshape(len(found), -1)
