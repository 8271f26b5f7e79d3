"""Instant: the net of a run without training, a descriptor and a readout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from napari_phenoscape._device import placed
from napari_phenoscape.cubes import Bands
from napari_phenoscape.nets import Descriptor, LinearReadout
from napari_phenoscape.training._experiment import Experiment
from napari_phenoscape.training._model import JOINT, Representations


class InstantNet(nn.Module):
    """Descriptor and readout of every modality, and of all side by side; nothing is trained.

    Parameters
    ----------
    experiment
        Whether the background is part of the picture, and whether modalities are joined.
    bands
        Bands of each modality, in the order of the images' C.
    mean, std : (C,) each
        Reflectance over the specimens of the collection; kept with the readout.
    """

    def __init__(
        self,
        experiment: Experiment,
        bands: Mapping[str, Bands],
        mean: Mapping[str, ArrayLike],
        std: Mapping[str, ArrayLike],
    ) -> None:
        super().__init__()
        self.modalities = tuple(bands)
        self.keeps_background = experiment.background == "keep"
        joined = len(bands) > 1 and experiment.fusion.kind != "separate"
        #: Names of the spaces, the main one last.
        self.spaces = (*self.modalities, JOINT) if joined else self.modalities
        self.descriptors = {name: Descriptor(bands[name], mean[name], std[name]) for name in bands}
        widths = [len(descriptor.names) for descriptor in self.descriptors.values()]
        self.readouts = {
            space: LinearReadout(width)
            for space, width in zip(self.spaces, (*widths, sum(widths)), strict=False)
        }
        # their state is kept; the name of a modality (vis+nir, my.bands) may be none of a module
        self.describing = nn.ModuleList(self.descriptors.values())
        self.reading = nn.ModuleList(self.readouts.values())

    @property
    def space(self) -> str:
        """The space to look at first: ``joint``; without it, the last modality."""
        return self.spaces[-1]

    def features(
        self,
        images: Mapping[str, Tensor],
        mask: Tensor,
        present: Mapping[str, NDArray[np.bool_]] | None,
    ) -> dict[str, Tensor]:
        """(N, D) by space, before the readout; NaN for what a specimen lacks.

        Parameters
        ----------
        images : (N, C, h, w) each
            Reflectance by modality.
        mask : (N, 1, h, w)
            True on the specimen.
        present : (N,) each
            Which specimens have a modality; None: all have all.
        """
        seen = torch.ones_like(mask) if self.keeps_background else mask
        found = {
            name: descriptor(images[name], seen) for name, descriptor in self.descriptors.items()
        }
        for name, having in (present or {}).items():
            lacks = placed(~having, mask.device)[:, None]
            found[name] = found[name].masked_fill(lacks, torch.nan)
        if self.space == JOINT:
            found[JOINT] = torch.cat([found[name] for name in self.modalities], dim=1)
        return found

    def alone(self, places: Mapping[str, Sequence[int]]) -> MaskedBandEncoder:
        """What makes embeddings of an image of all bands; `places` as there."""
        return MaskedBandEncoder(self, places)

    def forward(
        self,
        images: Mapping[str, Tensor],
        mask: Tensor,
        present: Mapping[str, NDArray[np.bool_]] | None = None,
    ) -> Representations:
        """Embeddings of views, which are their own projections; see `features`."""
        # a difference of sums, as an edge is, would be lost in half precision
        with torch.autocast(mask.device.type, enabled=False):
            features = self.features(images, mask, present)
            h = {space: readout(features[space]) for space, readout in self.readouts.items()}
        return Representations(h, h, {}, {})


class MaskedBandEncoder(nn.Module):
    """The embedding of one view by an instant net, from an image of all bands and its mask.

    Parameters
    ----------
    net
        Fitted.
    places
        Each modality's bands among the C of the images.
    """

    #: What `forward` takes of every specimen.
    inputs = ("images", "mask")

    def __init__(self, net: InstantNet, places: Mapping[str, Sequence[int]]) -> None:
        super().__init__()
        self.net = net
        self.places = {name: list(index) for name, index in places.items()}

    def forward(self, images: Tensor, mask: Tensor) -> dict[str, Tensor]:
        """(N, C, h, w) reflectance and (N, 1, h, w) bool -> (N, K) by space."""
        parts = {name: images[:, index] for name, index in self.places.items()}
        embedding: Representations = self.net(parts, mask)
        return embedding.h
