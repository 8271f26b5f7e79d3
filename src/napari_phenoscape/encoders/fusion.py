"""Fusion: one joint feature vector from what the encoders of several modalities see."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from napari_phenoscape.encoders import AnyFusion, Attention, Concatenate, Gated, Mean
from napari_phenoscape.encoders.backbone import Features
from napari_phenoscape.errors import OptionError


class Fusion(nn.Module):
    """Base: `Features` of M modalities, D wide each -> (N, ``features``).

    Parameters
    ----------
    features
        Width of the joint vector.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.features = features

    def forward(self, seen: Sequence[Features]) -> Tensor:
        raise NotImplementedError


class _Concatenation(Fusion):
    def forward(self, seen: Sequence[Features]) -> Tensor:
        return torch.cat([each.h for each in seen], dim=1)


class _Mean(Fusion):
    def forward(self, seen: Sequence[Features]) -> Tensor:
        return torch.stack([each.h for each in seen]).mean(0)


class _Gates(Fusion):
    """sum_m softmax_m(W [h_1 .. h_M])_m h_m, feature by feature; begins as the mean."""

    def __init__(self, features: int, modalities: int) -> None:
        super().__init__(features)
        self.gates = nn.Linear(features * modalities, features * modalities)
        nn.init.zeros_(self.gates.weight)
        nn.init.zeros_(self.gates.bias)

    def forward(self, seen: Sequence[Features]) -> Tensor:
        h = torch.stack([each.h for each in seen], dim=1)  # (N, M, D)
        gates = self.gates(h.flatten(1)).view_as(h).softmax(dim=1)
        joint: Tensor = (gates * h).sum(1)
        return joint


class _Query(Fusion):
    """A learned query over the M h' w' places of all grids, added to the mean of the features."""

    def __init__(self, features: int, modalities: int, heads: int) -> None:
        super().__init__(features)
        if features % heads:
            raise OptionError(
                f"{features} features cannot be divided among {heads} heads of attention; choose "
                "a number of heads that divides them, e.g. 4."
            )
        self.query = nn.Parameter(torch.randn(1, 1, features) * 0.02)
        self.modality = nn.Parameter(torch.randn(modalities, 1, features) * 0.02)
        self.before = nn.LayerNorm(features)
        self.attention = nn.MultiheadAttention(features, heads, batch_first=True)

    def forward(self, seen: Sequence[Features]) -> Tensor:
        places = [
            self.before(each.grid.flatten(2).mT) + token
            for each, token in zip(seen, self.modality, strict=True)
        ]
        keys = torch.cat(places, dim=1)  # (N, M h' w', D)
        query = self.query.expand(keys.shape[0], -1, -1).to(keys.dtype)
        found, _ = self.attention(query, keys, keys, need_weights=False)
        joint: Tensor = torch.stack([each.h for each in seen]).mean(0) + found[:, 0]
        return joint


def fusion(option: AnyFusion, features: int, modalities: int) -> Fusion | None:
    """The net of a fusion option; None when the modalities stay apart.

    Parameters
    ----------
    option
        Which.
    features
        D of each modality.
    modalities
        M.

    Raises
    ------
    OptionError
        The heads of attention do not divide the features.
    """
    if isinstance(option, Concatenate):
        return _Concatenation(features * modalities)
    if isinstance(option, Mean):
        return _Mean(features)
    if isinstance(option, Gated):
        return _Gates(features, modalities)
    if isinstance(option, Attention):
        return _Query(features, modalities, option.heads)
    return None
