"""Instant: the net of a run without training, features and a readout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from napari_phenoscape._device import placed
from napari_phenoscape.cubes import Bands
from napari_phenoscape.nets import Affine, AnyReadout, LinearReadout, side_by_side
from napari_phenoscape.training._experiment import Experiment
from napari_phenoscape.training._model import JOINT, Representations


class InstantNet(nn.Module):
    """Features and readout of every modality, and of all side by side; nothing is trained.

    Parameters
    ----------
    experiment
        Its features; whether the background is part of the picture, and modalities are joined.
    bands
        Bands of each modality, in the order of the images' C.
    mean, std : (C,) each
        Reflectance over the specimens of the collection; kept with the readout.
    pretrained
        Read the weights of pretrained nets; not needed where a checkpoint is loaded next.

    Raises
    ------
    PhenoscapeError
        See `FeaturesOption.build`.
    """

    def __init__(
        self,
        experiment: Experiment,
        bands: Mapping[str, Bands],
        mean: Mapping[str, ArrayLike],
        std: Mapping[str, ArrayLike],
        *,
        pretrained: bool,
    ) -> None:
        super().__init__()
        self.modalities = tuple(bands)
        self.keeps_background = experiment.background == "keep"
        joined = len(bands) > 1 and experiment.fusion.kind != "separate"
        #: Names of the spaces, the main one last.
        self.spaces = (*self.modalities, JOINT) if joined else self.modalities
        size = experiment.image_size
        #: Of each kind of features, what makes them of each modality.
        self.sources = [
            {
                name: option.build(bands[name], mean[name], std[name], size, pretrained=pretrained)
                for name in bands
            }
            for option in experiment.method.features
        ]
        #: D of each kind of features, by space.
        self.widths = {
            space: [
                sum(source[name].width for name in self.modalities_of(space))
                for source in self.sources
            ]
            for space in self.spaces
        }
        self.readouts = {space: LinearReadout(sum(widths)) for space, widths in self.widths.items()}
        # their state is kept; the name of a modality (vis+nir, my.bands) may be none of a module
        self.describing = nn.ModuleList(
            module for source in self.sources for module in source.values()
        )
        self.reading = nn.ModuleList(self.readouts.values())

    def modalities_of(self, space: str) -> tuple[str, ...]:
        """The modalities of a space."""
        return self.modalities if space == JOINT else (space,)

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
        kinds = [
            {name: module(images[name], seen) for name, module in source.items()}
            for source in self.sources
        ]
        for name, having in (present or {}).items():
            lacks = placed(~having, mask.device)[:, None]
            for kind in kinds:
                kind[name] = kind[name].masked_fill(lacks, torch.nan)
        # a kind of features after the other, each of all modalities, as `widths` says
        return {
            space: torch.cat(
                [kind[name] for kind in kinds for name in self.modalities_of(space)], dim=1
            )
            for space in self.spaces
        }

    def fit(self, space: str, features: NDArray[np.float32], readout: AnyReadout) -> Affine:
        """Fit the readout of a space to (N, V, D) features of views, each kind of them by itself.

        Returns
        -------
        What the readout of the space is now.

        Raises
        ------
        OptionError
            As the readout does.
        """
        kinds = np.split(features, np.cumsum(self.widths[space])[:-1], axis=-1)
        affine = side_by_side([(readout.fit(kind), kind) for kind in kinds])
        self.readouts[space].take(affine)
        return affine

    def divide_nothing_out(self) -> None:
        """Give the features themselves, standardised."""
        for space, readout in self.readouts.items():
            readout.divide_nothing_out(self.widths[space])

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
