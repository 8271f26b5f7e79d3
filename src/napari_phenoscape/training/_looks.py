"""Looks: the views of specimens from which a run embeds them."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape._device import placed, together
from napari_phenoscape.specimens import Crops
from napari_phenoscape.training._build import augmenter
from napari_phenoscape.training._experiment import Experiment

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from napari_phenoscape.views import Views

#: Specimens that go through a net together.
BATCH = 64


class Looks:
    """Views of specimens from random numbers that no training step uses; always the same ones.

    They hang on the id of a specimen alone, not on its place among others.

    Parameters
    ----------
    experiment
        Whose augmentations and seed they are.
    crops
        The specimens.
    views
        Of each; 0 for one of the whole specimen as it is.
    device
        Where the net is; an accelerator makes them itself.
    """

    def __init__(
        self, experiment: Experiment, crops: Crops, views: int, device: torch.device
    ) -> None:
        as_it_is = experiment.model_copy(update={"augmentations": "none"})
        self._make = augmenter(experiment if views else as_it_is, crops)
        self._crops, self._experiment, self._numbers = crops, experiment, range(max(views, 1))
        self._device = device
        self._ids = np.array([zlib.crc32(name.encode()) for name in crops.ids], np.int64)

    @property
    def fill(self) -> Tensor:
        """(1, C, 1, 1) reflectance of what is not shown."""
        fill = self._make.fill
        return placed(fill, self._device) if together(self._device) else fill

    def __len__(self) -> int:
        """Views of each specimen."""
        return len(self._numbers)

    def __call__(self, batch: NDArray[np.int64]) -> Iterator[Views]:
        """Each view of (n,) specimens, made when it is asked for."""
        import torch

        images = torch.from_numpy(self._crops.images[batch])
        if together(self._device):
            images = placed(images, self._device)
        masks = self._crops.masks[batch]
        seed, step = self._experiment.seed, self._experiment.schedule.steps
        ids = self._ids[batch]
        for number in self._numbers:
            with torch.inference_mode():
                view = self._make(images, masks, seed=seed, step=step, specimens=ids, view=number)
            yield view


def pictures(crops: Crops, view: Views, device: torch.device) -> tuple[dict[str, Tensor], Tensor]:
    """(n, C, h, w) reflectance by modality, and (n, 1, h, w) masks, as nets take them."""
    return bands_of(crops, view.image, device), placed(view.mask, device)


def bands_of(crops: Crops, images: Tensor, device: torch.device) -> dict[str, Tensor]:
    """(n, c, h, w) by modality, of (n, C, h, w) images."""
    return {
        name: placed(images[:, placed(bands, images.device)], device)
        for name, bands in crops.modalities.items()
    }


def batches(crops: Crops) -> Iterator[NDArray[np.int64]]:
    """Numbers of specimens that go through a net together."""
    number = len(crops.ids)
    for start in range(0, number, BATCH):
        yield np.arange(start, min(start + BATCH, number))
