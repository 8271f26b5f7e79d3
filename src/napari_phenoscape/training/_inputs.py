"""Inputs: what the net takes of the specimens of a step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_phenoscape.losses import Matches, matches
from napari_phenoscape.specimens import Crops
from napari_phenoscape.training._model import SimCLR
from napari_phenoscape.views import Augmenter


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
    present: dict[str, Tensor] | None


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

    def __call__(self, specimens: NDArray[np.int64], step: int) -> Inputs:
        """Views of (n,) specimens at a step; a pure function of these and the seed."""
        crops, net = self.crops, self.net
        mix = net.mix(crops.modalities, len(crops.bands))
        in_memory = isinstance(crops.images, np.ndarray)
        both = self.views(
            torch.from_numpy(crops.images if in_memory else crops.images[specimens]),
            torch.from_numpy(crops.masks[specimens]),
            seed=self.seed,
            step=step,
            specimens=specimens,
            view=(0, 1),
            mix=None if mix is None else mix.cpu(),
            rows=specimens if in_memory else None,
        )
        if mix is None:
            inputs = {
                name: both.image[:, torch.from_numpy(index)].to(self.device)
                for name, index in crops.modalities.items()
            }
        else:
            inputs = net.planes(both.image.to(self.device))
        matched = None
        if len(net.patch_heads):
            count = len(specimens)
            found = matches(both.part(slice(count)), both.part(slice(count, None)), net.grid)
            matched = Matches(*(rows.to(self.device) for rows in found))
        return Inputs(inputs, mix is not None, matched, self.present(specimens))

    def present(self, specimens: NDArray[np.int64]) -> dict[str, Tensor] | None:
        """(2n,) by modality, which views of (n,) specimens have it; None when all have all."""
        there = present(self.crops, specimens, self.device)
        return {name: rows.repeat(2) for name, rows in there.items()} or None


def present(crops: Crops, specimens: NDArray[np.int64], device: torch.device) -> dict[str, Tensor]:
    """(n,) by modality, which of some specimens have it; empty when all of ``crops`` have all."""
    if not crops.lacking:
        return {}
    return {
        name: torch.from_numpy(having[specimens]).to(device)
        for name, having in crops.present.items()
    }
