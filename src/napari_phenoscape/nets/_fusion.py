"""Fusion: one joint feature vector from what the encoders of several modalities see."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from napari_phenoscape.errors import OptionError
from napari_phenoscape.nets._backbone import Features


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

    def forward(self, seen: Sequence[Features], joined: Tensor | None = None) -> Tensor:
        """The joint vector of all modalities, or of those that ``joined`` (N, M) says."""
        raise NotImplementedError


class Concatenation(Fusion):
    """Side by side; zeros where a modality is left out."""

    def forward(self, seen: Sequence[Features], joined: Tensor | None = None) -> Tensor:
        h = _stacked(seen)
        return (h if joined is None else h * joined[..., None]).flatten(1)


class MeanFusion(Fusion):
    """The mean of those that are joined."""

    def forward(self, seen: Sequence[Features], joined: Tensor | None = None) -> Tensor:
        return _mean(_stacked(seen), joined)


class Gates(Fusion):
    """sum_m softmax_m(W [h_1 .. h_M])_m h_m, feature by feature; begins as the mean."""

    def __init__(self, features: int, modalities: int) -> None:
        super().__init__(features)
        self.gates = nn.Linear(features * modalities, features * modalities)
        nn.init.zeros_(self.gates.weight)
        nn.init.zeros_(self.gates.bias)

    def forward(self, seen: Sequence[Features], joined: Tensor | None = None) -> Tensor:
        h = _stacked(seen)
        if joined is not None:
            h = h * joined[..., None]
        gates = self.gates(h.flatten(1)).view_as(h)
        if joined is not None:
            gates = gates.masked_fill(~joined[..., None], -torch.inf)
        joint: Tensor = (gates.softmax(dim=1) * h).sum(1)
        return joint


class Query(Fusion):
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

    def forward(self, seen: Sequence[Features], joined: Tensor | None = None) -> Tensor:
        places = [
            self.before(each.grid.flatten(2).mT) + token
            for each, token in zip(seen, self.modality, strict=True)
        ]
        keys = torch.cat(places, dim=1)  # (N, M h' w', D)
        query = self.query.expand(keys.shape[0], -1, -1).to(keys.dtype)
        # places that attention must not look at
        hidden = None if joined is None else (~joined).repeat_interleave(places[0].shape[1], dim=1)
        found, _ = self.attention(query, keys, keys, key_padding_mask=hidden, need_weights=False)
        joint: Tensor = _mean(_stacked(seen), joined) + found[:, 0]
        return joint


def _stacked(seen: Sequence[Features]) -> Tensor:
    """(N, M, D)."""
    return torch.stack([each.h for each in seen], dim=1)


def _mean(h: Tensor, joined: Tensor | None) -> Tensor:
    """(N, D) mean of (N, M, D) over the modalities, or those that are joined."""
    if joined is None:
        return h.mean(1)
    return (h * joined[..., None]).sum(1) / joined.sum(1, keepdim=True)


def joined(present: Tensor, dropout: float, draws: Tensor) -> Tensor:
    """(N, M) which modalities make the joint vector of a row in training [1]_.

    Each that is present is left out with a probability of ``dropout``, but never all: where it
    would be so, the one with the highest draw stays.

    Parameters
    ----------
    present : (N, M) bool
        What each row has.
    dropout
        0-1.
    draws : (N, M)
        Uniform random numbers, 0-1.

    References
    ----------
    .. [1] Neverova et al. 2016, ModDrop. https://arxiv.org/abs/1501.00102
    """
    draws = draws.masked_fill(~present, -1)
    kept: Tensor = (draws >= dropout) | (draws == draws.amax(1, keepdim=True))
    return present & kept
