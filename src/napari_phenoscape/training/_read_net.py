"""Reading: from the features of a trained net to the embedding of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.linalg import vector_norm

from napari_phenoscape.nets import DescriptorFeatures, LinearReadout, pretrained_start
from napari_phenoscape.specimens import BandStatistics
from napari_phenoscape.training._experiment import Experiment
from napari_phenoscape.training._instant import InstantNet
from napari_phenoscape.training._method import InstantMethod
from napari_phenoscape.training._model import Representations, SimCLR

#: A length below which there is no direction.
TINY = 1e-12


class Readouts(nn.Module):
    """The readout of every space of a trained net, and the instant embedding beside it.

    Of each view the net's part is at most a share of the instant part's length, where one was
    `confirm`-ed: what a net says of specimens unlike its own may be of any length.

    Parameters
    ----------
    experiment
        Its method says which readout, and what stands beside.
    widths
        Features of the net by space.
    statistics
        Of each modality.
    """

    #: (spaces,) the shares; None in runs of before, in which the net's part is as it is.
    most: Tensor | None

    def __init__(
        self,
        experiment: Experiment,
        widths: Mapping[str, int],
        statistics: Mapping[str, BandStatistics],
    ) -> None:
        super().__init__()
        self.register_buffer("most", None)
        self.readouts = {space: LinearReadout(width) for space, width in widths.items()}
        # the name of a space may be none of a module
        self.reading = nn.ModuleList(self.readouts.values())
        self.beside: InstantNet | None = None
        if experiment.method.beside == "instant":
            self.beside = InstantNet(
                beside(experiment),
                {name: of.bands for name, of in statistics.items()},
                {name: of.mean for name, of in statistics.items()},
                {name: of.std for name, of in statistics.items()},
                pretrained=False,
            )

    def forward(
        self,
        h: Mapping[str, Tensor],
        images: Mapping[str, Tensor],
        mask: Tensor | None,
        present: Mapping[str, NDArray[np.bool_]] | None,
    ) -> dict[str, Tensor]:
        """(N, K) by space, from (N, D) features of a net and what it saw; see `InstantNet`."""
        rows = {space: readout(h[space].float()) for space, readout in self.readouts.items()}
        if self.beside is None:
            return rows
        assert mask is not None  # whoever asks for what needs it has one
        others = self.beside(images, mask, present).h
        return {space: self.joined(space, own, others[space]) for space, own in rows.items()}

    def divide_nothing_out(self) -> None:
        """Give the features themselves, standardised; what stands beside, too."""
        for readout in self.readouts.values():
            readout.divide_nothing_out([len(readout.centre)])
        if self.beside is not None:
            self.beside.divide_nothing_out()

    def confirm(self, space: str, share: float) -> None:
        """Let the net's part of a space be no longer than this share of the instant part."""
        own = next(iter(self.readouts.values())).centre
        if self.most is None:
            self.most = own.new_ones(len(self.readouts))
        self.most[list(self.readouts).index(space)] = share

    def joined(self, space: str, own: Tensor, other: Tensor) -> Tensor:
        """(..., K) the net's part and the instant one, (..., K) each, side by side."""
        if self.most is not None:
            most = self.most[list(self.readouts).index(space)]
            lengths = [vector_norm(each, dim=-1, keepdim=True) for each in (own, other)]
            own = own * (most * lengths[1] / lengths[0].clamp_min(TINY)).clamp_max(1)
        return torch.cat([own, other], dim=-1)

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *rest: Any) -> None:
        if (kept := state.get(f"{prefix}most")) is not None:
            own = next(iter(self.readouts.values())).centre
            self.most = torch.empty_like(kept, device=own.device)
        super()._load_from_state_dict(state, prefix, *rest)


def beside(experiment: Experiment) -> Experiment:
    """The instant run whose embedding stands beside that of a trained net.

    Of what a pretrained net saw before it was trained, too.
    """
    start = pretrained_start(experiment.encoder)
    features = (DescriptorFeatures(), start) if start else (DescriptorFeatures(),)
    method = InstantMethod(features=features, readout=experiment.method.readout)
    return experiment.model_copy(update={"method": method})


class ReadNet(nn.Module):
    """A trained net with its reading.

    Parameters
    ----------
    net, reading
        Of the same experiment and bands.
    """

    def __init__(self, net: SimCLR, reading: Readouts) -> None:
        super().__init__()
        self.net, self.reading = net, reading

    def divide_nothing_out(self) -> None:
        """Give the features of the net, standardised, as they are."""
        self.reading.divide_nothing_out()

    def alone(self, places: Mapping[str, Sequence[int]]) -> BandEncoder:
        """What makes embeddings of an image of all bands, without heads; `places` as there."""
        return BandEncoder(self, places)

    def forward(
        self,
        images: Mapping[str, Tensor],
        mask: Tensor | None = None,
        present: Mapping[str, NDArray[np.bool_]] | None = None,
    ) -> Representations:
        """As the net's own, but h is the embedding of views."""
        seen: Representations = self.net(images, present=present)
        with torch.autocast(next(iter(images.values())).device.type, enabled=False):
            return seen._replace(h=self.reading(seen.h, images, mask, present))


class BandEncoder(nn.Module):
    """The embedding of one view by a trained net, from an image of all bands; no heads.

    Parameters
    ----------
    read
        Trained, its readout fitted.
    places
        Each modality's bands among the C of the images.
    """

    def __init__(self, read: ReadNet, places: Mapping[str, Sequence[int]]) -> None:
        super().__init__()
        self.net, self.reading = read.net, read.reading
        self.net.heads = nn.ModuleList()
        self.net.patch_heads = nn.ModuleList()
        self.net.cross_heads = nn.ModuleList()
        self.places = {name: list(index) for name, index in places.items()}
        #: What `forward` takes of every specimen.
        self.inputs = ("images",) if read.reading.beside is None else ("images", "mask")

    def forward(
        self,
        images: Tensor,
        mask: Tensor | None = None,
        present: Mapping[str, NDArray[np.bool_]] | None = None,
    ) -> dict[str, Tensor]:
        """(N, C, h, w) reflectance and (N, 1, h, w) bool -> (N, K) by space.

        The mask is for what stands beside the net; see `inputs`. ``present`` (N,) each: which
        specimens have a modality; None: all have all.
        """
        parts = {name: images[:, index] for name, index in self.places.items()}
        embedding: dict[str, Tensor] = self.reading(
            self.net.embed(parts, present), parts, mask, present
        )
        return embedding
