"""The descriptor of colour and texture, against the filters and quantiles of SciPy and NumPy."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from napari_phenoscape.cubes import Band, Bands
from napari_phenoscape.nets import Descriptor
from tests.benchmarks import Comparison

SPECIMENS, SIDE = 32, 96


def comparisons() -> Iterator[Comparison]:
    random = np.random.default_rng(0)
    images = random.random((SPECIMENS, 3, SIDE, SIDE), np.float32)
    y, x = np.indices((SIDE, SIDE)) - (SIDE - 1) / 2
    mask = np.broadcast_to(np.hypot(x, y) <= 0.4 * SIDE, (SPECIMENS, 1, SIDE, SIDE)).copy()
    descriptor = Descriptor(Bands(Band(name) for name in "rgb"), [0.5] * 3, [0.3] * 3)
    given = torch.from_numpy(images), torch.from_numpy(mask)

    def filtered(plane: NDArray[np.float32], inside: NDArray[np.bool_]) -> NDArray[np.float32]:
        maps = [plane]
        for sigma in (1, 2, 4):
            maps.append(ndimage.gaussian_gradient_magnitude(plane, sigma))
            maps.append(ndimage.gaussian_laplace(plane, sigma))
        values = np.stack([each[inside] for each in maps])
        quantiles = np.quantile(values, [0.1, 0.5, 0.9], axis=1)
        return np.concatenate([values.mean(1), values.std(1), quantiles.ravel()])

    def scipy() -> None:
        for image, inside in zip(images, mask[:, 0], strict=True):
            for plane in image:
                filtered(plane, inside)

    yield Comparison(
        f"instant descriptor, {SPECIMENS} specimens of {SIDE} px",
        ours=lambda: descriptor(*given),
        theirs=scipy,
        goal=2,
    )
