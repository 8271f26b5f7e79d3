"""The readout of a run, as a module that is kept with its weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from napari_phenoscape.nets._readout import Affine


class LinearReadout(nn.Module):
    """(N, D) features of views -> (N, K) embeddings, as `Affine` says.

    At first it changes nothing. What is NaN counts as the centre; of features that are all NaN the
    embedding is NaN.

    Parameters
    ----------
    features
        D.
    """

    centre: Tensor
    scale: Tensor
    weights: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer("centre", torch.zeros(features))
        self.register_buffer("scale", torch.ones(features))
        self.register_buffer("weights", torch.eye(features))

    def take(self, affine: Affine) -> None:
        """Become what a readout was fitted to."""
        for name, numbers in affine._asdict().items():
            setattr(self, name, torch.from_numpy(numbers).to(self.centre))

    def divide_nothing_out(self, widths: Sequence[int]) -> None:
        """Give the features themselves, standardised.

        Of several kinds, as many numbers each as ``widths`` say, all count as much as the first.
        """
        shares = torch.cat([torch.full((width,), (widths[0] / width) ** 0.5) for width in widths])
        self.weights = shares.diag().to(self.centre)

    def forward(self, features: Tensor) -> Tensor:
        lacking = features.isnan()
        rows = ((features - self.centre) / self.scale).masked_fill(lacking, 0) @ self.weights
        return rows.masked_fill(lacking.all(dim=-1, keepdim=True), torch.nan)

    def _load_from_state_dict(self, state: dict[str, Any], prefix: str, *rest: Any) -> None:
        # K is known when it was fitted
        kept = state.get(f"{prefix}weights")
        if kept is not None and kept.shape[:1] == self.centre.shape:
            self.weights = torch.empty_like(kept, device=self.centre.device)
        super()._load_from_state_dict(state, prefix, *rest)
