"""Augmentations: how two views of one specimen are made to differ.

Each operation is an option with a Kornia name. They act in three stages, whatever the order of the
list, and within a stage in the order of the list: photometric (light), geometric (one warp for
all), filters (lens and sensor).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from napari_phenoscape.errors import OptionError
from napari_phenoscape.option import Variants
from napari_phenoscape.views._filters import (
    RandomGaussianBlur,
    RandomGaussianNoise,
    RandomSharpness,
)
from napari_phenoscape.views._geometry import (
    RandomAffine,
    RandomErasing,
    RandomHorizontalFlip,
    RandomPerspective,
    RandomResizedCrop,
    RandomRotation,
    RandomThinPlateSpline,
    RandomVerticalFlip,
)
from napari_phenoscape.views._operation import Operation
from napari_phenoscape.views._photometric import ColorJitter, RandomGrayscale, RandomPosterize
from napari_phenoscape.views._presets import PRESETS, PresetName
from napari_phenoscape.views._spectral import (
    RandomBandDropout,
    RandomBandShift,
    RandomExposure,
    RandomIlluminantTilt,
    RandomSensorNoise,
    RandomVignetting,
)

AnyAugmentation = Annotated[
    Operation,
    Variants(
        ColorJitter,
        RandomGrayscale,
        RandomPosterize,
        RandomResizedCrop,
        RandomHorizontalFlip,
        RandomVerticalFlip,
        RandomRotation,
        RandomAffine,
        RandomPerspective,
        RandomThinPlateSpline,
        RandomErasing,
        RandomGaussianBlur,
        RandomSharpness,
        RandomGaussianNoise,
        RandomExposure,
        RandomIlluminantTilt,
        RandomBandShift,
        RandomBandDropout,
        RandomSensorNoise,
        RandomVignetting,
        group="augmentations",
    ),
]


def operations(spec: PresetName | Sequence[Operation]) -> tuple[Operation, ...]:
    """The operations of a preset, or of a list in which each kind stands at most once."""
    chosen = PRESETS[spec] if isinstance(spec, str) else tuple(spec)
    kinds = [operation.kind for operation in chosen]
    twice = next((kind for kind in kinds if kinds.count(kind) > 1), None)
    if twice:
        raise OptionError(
            f"the augmentations name {twice} {kinds.count(twice)} times; each kind is used once. "
            "Keep one of them."
        )
    return chosen


def warnings(chosen: Sequence[Operation]) -> list[str]:
    """What these operations destroy, one sentence each; empty when nothing."""
    return [sentence for operation in chosen if (sentence := operation.warning())]
