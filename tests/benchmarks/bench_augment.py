"""Two views of each specimen at 96 pixels: ours, and Kornia's chain of the same operations.

Ours moves the mask too; Kornia's thin-plate spline cannot, so Kornia is spared it. Geometry alone
is compared with nothing but its sampling, of picture and mask, at places that are ready.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import kornia.augmentation as kornia
import numpy as np
import torch
from torch.nn.functional import grid_sample

from napari_phenoscape.cubes import Band, Bands
from napari_phenoscape.views import (
    Augmenter,
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
    Views,
)
from napari_phenoscape.views._geometry import Geometric
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


#: Geometry takes so many times the sampling alone, at most.
SAMPLINGS = 1.5


def _named(bands: int) -> Bands:
    names = ("R", "G", "B", "UV_R", "UV_G", "UV_B", "X")
    if bands <= len(names):
        return Bands(Band(name) for name in names[:bands])
    return Bands(Band(f"{nm:.2f}", nm) for nm in np.linspace(348, 810, bands))


def _ours(
    operations: tuple[Operation, ...], count: int, bands: int, mix: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor, Callable[[], Views]]:
    """Pictures, masks, and a call that makes two views of them."""
    images, masks = torch.rand(count, bands, SIZE, SIZE), torch.ones(count, 1, SIZE, SIZE)
    fill, numbers = np.full(bands, 0.5, np.float32), np.arange(count)
    augmenter = Augmenter(operations, _named(bands), fill, SIZE, "keep")

    def call() -> Views:
        return augmenter(images, masks, seed=0, step=0, specimens=numbers, view=(0, 1), mix=mix)

    return images, masks, call


def comparisons() -> Iterator[Comparison]:
    """Two views of a batch at each number of bands."""
    for bands, (count, goal) in GOALS.items():
        yield _chain(bands, count, goal)
    yield _mix_first()
    for bands, (count, _) in GOALS.items():
        yield _geometry(bands, count)


def _chain(bands: int, count: int, goal: float) -> Comparison:
    images, _, ours = _ours(OURS, count, bands)
    chain = _theirs()
    return Comparison(
        f"augment-{bands}-bands", ours, lambda: [chain(images) for _ in range(2)], goal
    )


def _mix_first() -> Comparison:
    """408 bands of which the encoder sees 24 mixes; posterize, which cannot wait, is left out."""
    count, bands = 4, 408
    mix = torch.rand(24, bands) / bands
    commuting = tuple(op for op in OURS if not isinstance(op, RandomPosterize))
    images, _, ours = _ours(commuting, count, bands, mix)
    chain = kornia.AugmentationSequential(
        *(op for op in _theirs().children() if not isinstance(op, kornia.RandomPosterize)),
        data_keys=["input"],
    )

    def theirs() -> object:
        return [torch.einsum("kc,nchw->nkhw", mix, chain(images)) for _ in range(2)]

    return Comparison("augment-408-bands-mix-first", ours, theirs, 25)


def _geometry(bands: int, count: int) -> Comparison:
    geometry = tuple(op for op in OURS if isinstance(op, Geometric | RandomThinPlateSpline))
    images, masks, ours = _ours(geometry, count, bands)
    # the places where views look, to which the matrix takes the view's own pixels
    line = (2 * torch.arange(SIZE, dtype=torch.float32) + 1) / SIZE - 1
    straight = torch.stack(torch.meshgrid(line, line, indexing="xy"), -1).view(-1, 2)
    centre = (SIZE - 1) / 2
    pixels = torch.cat([straight * SIZE / 2 + centre, torch.ones(SIZE**2, 1)], 1)
    found = pixels @ torch.linalg.inv(ours().matrix).mT
    places = (found[..., :2] / found[..., 2:] - centre) * 2 / SIZE
    grids = places.view(2, count, SIZE, SIZE, 2)

    def theirs() -> object:
        return [
            (
                grid_sample(images, grid, padding_mode="border", align_corners=False),
                grid_sample(masks, grid, mode="nearest", align_corners=False),
            )
            for grid in grids
        ]

    return Comparison(f"augment-{bands}-bands-geometry", ours, theirs, 1 / SAMPLINGS)
