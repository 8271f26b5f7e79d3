"""SimCLR: an encoder per modality, their fusion, and a projection head for each."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from napari_phenoscape.cube import Band
from napari_phenoscape.encoders import Concatenate, ProjectionHead
from napari_phenoscape.encoders.backbone import SpectralEncoder
from napari_phenoscape.experiment import Experiment

#: The smallest standard deviation (reflectance) that a band is divided by.
STD_FLOOR = 1e-4


class Representations(NamedTuple):
    """What the model makes of a batch, by space: each modality, and ``joint`` of several.

    Parameters
    ----------
    h
        (N, D) embeddings.
    z
        (N, P) projections, which the loss compares.
    """

    h: dict[str, Tensor]
    z: dict[str, Tensor]


class SimCLR(nn.Module):
    """The net of an experiment.

    Parameters
    ----------
    experiment
        Encoder, fusion and head.
    bands
        Input bands of each modality.
    mean, std
        (C,) of each modality's bands over the collection, in reflectance; kept with the weights.
    """

    def __init__(
        self,
        experiment: Experiment,
        bands: dict[str, tuple[Band, ...]],
        mean: dict[str, NDArray[np.float32]],
        std: dict[str, NDArray[np.float32]],
    ) -> None:
        super().__init__()
        self.fusion = experiment.fusion
        self.encoders = nn.ModuleDict()
        self.standardise = nn.ModuleDict()
        dims = {}
        for name, own in bands.items():
            encoder = SpectralEncoder(experiment.encoder, own, experiment.image_size)
            self.standardise[name] = Standardise(mean[name], std[name])
            self.encoders[name] = encoder
            dims[name] = encoder.dim
        self.space = next(iter(bands))
        if len(bands) > 1:
            self.space = "joint"
            concatenated = isinstance(self.fusion, Concatenate)
            dims["joint"] = sum(dims.values()) if concatenated else max(dims.values())
        self.heads = nn.ModuleDict(
            {name: projection_head(dim, experiment.head) for name, dim in dims.items()}
        )

    def embed(self, images: dict[str, Tensor]) -> dict[str, Tensor]:
        """(N, D) embedding of each space, from (N, C, H, W) reflectance of each modality."""
        h = {
            name: encoder(self.standardise[name](images[name]))
            for name, encoder in self.encoders.items()
        }
        if len(h) > 1:
            parts = list(h.values())
            joined = isinstance(self.fusion, Concatenate)
            h["joint"] = torch.cat(parts, 1) if joined else torch.stack(parts).mean(0)
        return h

    def forward(self, images: dict[str, Tensor]) -> Representations:
        """Embeddings and projections of a batch."""
        h = self.embed(images)
        return Representations(h, {name: self.heads[name](part) for name, part in h.items()})


class Standardise(nn.Module):
    """(x - mean) / std of each band, with the collection's numbers."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: NDArray[np.float32], std: NDArray[np.float32]) -> None:
        super().__init__()
        for name, values in (("mean", mean), ("std", np.maximum(std, STD_FLOOR))):
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32)[:, None, None])

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) reflectance -> standard deviations from the mean."""
        return (x - self.mean) / self.std


def projection_head(dim: int, option: ProjectionHead) -> nn.Sequential:
    """SimCLR's g(h): linear, batch norm, ReLU, linear (Chen et al. 2020, sec. 4.2)."""
    return nn.Sequential(
        nn.Linear(dim, option.hidden, bias=False),
        nn.BatchNorm1d(option.hidden),
        nn.ReLU(inplace=True),
        nn.Linear(option.hidden, option.out),
    )
