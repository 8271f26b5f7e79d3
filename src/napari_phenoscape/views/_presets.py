"""Presets: sets of augmentations named by the question that they let one ask."""

from __future__ import annotations

from typing import Literal

from napari_phenoscape.views._filters import RandomGaussianBlur, RandomGaussianNoise
from napari_phenoscape.views._geometry import (
    RandomErasing,
    RandomHorizontalFlip,
    RandomResizedCrop,
    RandomRotation,
    RandomVerticalFlip,
)
from napari_phenoscape.views._operation import Operation
from napari_phenoscape.views._photometric import ColorJitter, RandomGrayscale, RandomPosterize

PresetName = Literal["colour-pattern", "pattern-only", "shape-only", "simclr-rgb", "none"]

_POSE = (RandomHorizontalFlip(), RandomVerticalFlip(), RandomRotation(p=1))

PRESETS: dict[PresetName, tuple[Operation, ...]] = {
    # every nuisance in which two photographs of one specimen differ, and only those: without
    # exposure and noise the net learns to know each photograph by its exposure
    "colour-pattern": (
        ColorJitter(brightness=0.25),
        RandomResizedCrop(scale=(0.35, 1.0)),
        *_POSE,
        RandomGaussianBlur(sigma=(0.1, 1.0)),
        RandomGaussianNoise(p=1, std=(0.0, 0.05)),
    ),
    # colour is made worthless now and then, so the net must do without; never always, because
    # embedding shows it the true colours
    "pattern-only": (
        ColorJitter(brightness=0.25, contrast=0.25, saturation=1.0, hue=0.5),
        RandomGrayscale(p=0.5),
        RandomResizedCrop(scale=(0.35, 1.0)),
        *_POSE,
        RandomGaussianBlur(sigma=(0.1, 1.0)),
        RandomGaussianNoise(p=1, std=(0.0, 0.05)),
    ),
    # pattern is washed out too; crops stay large, so the outline is seen
    "shape-only": (
        ColorJitter(brightness=0.5, contrast=0.9, saturation=1.0, hue=0.5),
        RandomGrayscale(p=0.5),
        RandomPosterize(bits_low=1, bits_high=3),
        RandomResizedCrop(scale=(0.7, 1.0)),
        *_POSE,
        RandomGaussianBlur(p=0.8, sigma=(0.1, 3.0)),
        RandomErasing(scale=(0.02, 0.1)),
        RandomGaussianNoise(p=1, std=(0.0, 0.1)),
    ),
    # Chen et al. 2020, SimCLR, appendix A, colour distortion of strength 1
    "simclr-rgb": (
        ColorJitter(p=0.8, brightness=0.8, contrast=0.8, saturation=0.8, hue=0.2),
        RandomGrayscale(p=0.2),
        RandomResizedCrop(scale=(0.08, 1.0)),
        RandomHorizontalFlip(),
        RandomGaussianBlur(sigma=(0.1, 2.0)),
    ),
    "none": (),
}
