"""Two views of each specimen at 96 pixels: ours, and Kornia's chain of the same operations.

Ours moves the mask too; Kornia's thin-plate spline cannot, so Kornia is spared it.
"""

from __future__ import annotations

from collections.abc import Iterator

import kornia.augmentation as kornia
import numpy as np
import torch

from napari_phenoscape.augmentations import (
    ColorJitter,
    Operation,
    RandomErasing,
    RandomGaussianBlur,
    RandomGaussianNoise,
    RandomGrayscale,
    RandomHorizontalFlip,
    RandomPerspective,
    RandomPosterize,
    RandomResizedCrop,
    RandomRotation,
    RandomSharpness,
    RandomThinPlateSpline,
    RandomVerticalFlip,
)
from napari_phenoscape.augmentations.pipeline import Augmenter
from napari_phenoscape.cube import Band
from tests.benchmarks import Comparison

SIZE = 96

#: Bands -> specimens in a batch, and how many times faster than Kornia ours is to be.
GOALS = {3: (64, 3), 7: (64, 4), 408: (4, 8)}

# saturation and hue are left out: Kornia's work at 3 bands only
OURS: tuple[Operation, ...] = (
    ColorJitter(p=0.8, brightness=0.25, contrast=0.25),
    RandomGrayscale(p=0.2),
    RandomPosterize(bits_low=3, bits_high=8),
    RandomResizedCrop(scale=(0.35, 1.0)),
    RandomHorizontalFlip(),
    RandomVerticalFlip(),
    RandomRotation(p=1, degrees=180),
    RandomPerspective(distortion_scale=0.3),
    RandomThinPlateSpline(scale=0.1),
    RandomErasing(scale=(0.02, 0.2)),
    RandomGaussianBlur(sigma=(0.1, 1.0)),
    RandomSharpness(sharpness=(0.5, 1.5)),
    RandomGaussianNoise(p=1, std=(0.04, 0.04)),
)


def _theirs() -> torch.nn.Module:
    return kornia.AugmentationSequential(
        kornia.ColorJitter(0.25, 0.25, p=0.8),
        kornia.RandomGrayscale(p=0.2),
        kornia.RandomPosterize((3.0, 8.0)),
        kornia.RandomResizedCrop((SIZE, SIZE), scale=(0.35, 1.0)),
        kornia.RandomHorizontalFlip(),
        kornia.RandomVerticalFlip(),
        kornia.RandomRotation(180.0, p=1.0),
        kornia.RandomPerspective(0.3),
        kornia.RandomThinPlateSpline(0.1),
        kornia.RandomErasing(scale=(0.02, 0.2)),
        kornia.RandomGaussianBlur((7, 7), (0.1, 1.0)),
        kornia.RandomSharpness((0.5, 1.5)),
        kornia.RandomGaussianNoise(std=0.02, p=1.0),
        data_keys=["input"],
    )


def comparisons() -> Iterator[Comparison]:
    """Two views of a batch at each number of bands."""
    for bands, (count, goal) in GOALS.items():
        images, masks = torch.rand(count, bands, SIZE, SIZE), torch.ones(count, 1, SIZE, SIZE)
        names = ("R", "G", "B", "UV_R", "UV_G", "UV_B", "X")
        named = (
            tuple(Band(name) for name in names[:bands])
            if bands <= len(names)
            else tuple(Band(f"{nm:.2f}", nm) for nm in np.linspace(348, 810, bands))
        )
        chain, numbers = _theirs(), np.arange(count)
        augmenter = Augmenter(OURS, named, np.full(bands, 0.5, np.float32), SIZE, "keep")

        def ours(
            augmenter: Augmenter = augmenter,
            images: torch.Tensor = images,
            masks: torch.Tensor = masks,
            numbers: np.ndarray = numbers,
        ) -> object:
            return [
                augmenter(images, masks, seed=0, step=0, specimens=numbers, view=view)
                for view in (0, 1)
            ]

        def theirs(chain: torch.nn.Module = chain, images: torch.Tensor = images) -> object:
            return [chain(images) for _ in range(2)]

        yield Comparison(f"augment-{bands}-bands", ours, theirs, goal)
    yield _mix_first()


def _mix_first() -> Comparison:
    """408 bands of which the encoder sees 24 mixes; posterize, which cannot wait, is left out."""
    count, bands = 4, 408
    images, masks = torch.rand(count, bands, SIZE, SIZE), torch.ones(count, 1, SIZE, SIZE)
    named = tuple(Band(f"{nm:.2f}", nm) for nm in np.linspace(348, 810, bands))
    commuting = tuple(op for op in OURS if not isinstance(op, RandomPosterize))
    augmenter = Augmenter(commuting, named, np.full(bands, 0.5, np.float32), SIZE, "keep")
    mix, numbers = torch.rand(24, bands) / bands, np.arange(count)
    chain = kornia.AugmentationSequential(
        *(op for op in _theirs().children() if not isinstance(op, kornia.RandomPosterize)),
        data_keys=["input"],
    )

    def ours() -> object:
        return [
            augmenter(images, masks, seed=0, step=0, specimens=numbers, view=view, mix=mix)
            for view in (0, 1)
        ]

    def theirs() -> object:
        return [torch.einsum("kc,nchw->nkhw", mix, chain(images)) for _ in range(2)]

    return Comparison("augment-408-bands-mix-first", ours, theirs, 25)
