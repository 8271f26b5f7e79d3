"""Inputs: what the net takes of the specimens of a step."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_phenoscape._device import placed, room, together
from napari_phenoscape.losses import Matches, matches
from napari_phenoscape.specimens import Crops
from napari_phenoscape.training._looks import bands_of
from napari_phenoscape.training._model import SimCLR
from napari_phenoscape.views import Augmenter

#: Share of an accelerator's free memory that the pictures of a collection may take.
RESIDENT = 0.4

#: Specimens that are brought there at a time.
PART = 64


class Inputs(NamedTuple):
    """What the net takes of n specimens.

    Parameters
    ----------
    images : (2n, C or planes, h, w) each
        By modality: first all first views, then all second ones.
    mixed
        Whether the stems have mixed them already.
    matches
        Cells of the grid that show the same place; None when no loss compares them.
    present : (2n,) bool each
        Which of them have a modality; None when all specimens have all.
    """

    images: dict[str, Tensor]
    mixed: bool
    matches: Matches | None
    present: dict[str, NDArray[np.bool_]] | None


@dataclass(frozen=True, eq=False)
class InputPipeline:
    """Two views of any specimens at any step, for a net.

    Parameters
    ----------
    crops
        The specimens.
    views
        Makes them.
    net
        They are for it; where its encoders begin with a mix of bands, bands are mixed first.
    seed
        Of the experiment.
    device
        That the net is on.
    """

    crops: Crops
    views: Augmenter
    net: SimCLR
    seed: int
    device: torch.device

    @cached_property
    def resident(self) -> Tensor | None:
        """(N, C, S, S) the pictures of the whole collection, where the views are made.

        Of an accelerator they take no more than a share of the free memory; None where they would,
        or lie on the disk beside a processor. Then those of each step are read.
        """
        images = self.crops.images
        if not together(self.device):
            return torch.from_numpy(images) if isinstance(images, np.ndarray) else None
        if 4 * math.prod(images.shape) > RESIDENT * room(self.device):
            return None
        kept = torch.empty(images.shape, device=self.device)
        for start in range(0, len(images), PART):
            kept[start : start + PART] = placed(images[start : start + PART], self.device)
        return kept

    def __call__(self, specimens: NDArray[np.int64], step: int) -> Inputs:
        """Views of (n,) specimens at a step; a pure function of these and the seed."""
        crops, net = self.crops, self.net
        mix = net.mix(crops.modalities, len(crops.bands))
        where = self.device if together(self.device) else torch.device("cpu")
        resident = self.resident
        both = self.views(
            placed(crops.images[specimens], where) if resident is None else resident,
            crops.masks[specimens],
            seed=self.seed,
            step=step,
            specimens=specimens,
            view=(0, 1),
            mix=None if mix is None else mix.to(where),
            rows=None if resident is None else specimens,
        )
        if mix is None:
            inputs = bands_of(crops, both.image, self.device)
        else:
            inputs = net.planes(placed(both.image, self.device))
        matched = None
        if len(net.patch_heads):
            count = len(specimens)
            found = matches(both.part(slice(count)), both.part(slice(count, None)), net.grid)
            matched = Matches(*(placed(rows, self.device) for rows in found))
        return Inputs(inputs, mix is not None, matched, self.present(specimens))

    def present(self, specimens: NDArray[np.int64]) -> dict[str, NDArray[np.bool_]] | None:
        """(2n,) by modality, which views of (n,) specimens have it; None when all have all."""
        there = present(self.crops, specimens)
        return {name: np.tile(rows, 2) for name, rows in there.items()} or None


def present(crops: Crops, specimens: NDArray[np.int64]) -> dict[str, NDArray[np.bool_]]:
    """(n,) by modality, which of some specimens have it; empty when all of ``crops`` have all.

    Never on an accelerator: how many there are must be known without asking it.
    """
    if not crops.lacking:
        return {}
    return {name: having[specimens] for name, having in crops.present.items()}
