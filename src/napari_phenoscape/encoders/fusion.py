"""Fusion: one joint feature vector from those of several modalities."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from napari_phenoscape.encoders import AnyFusion, Concatenate


def fuse(fusion: AnyFusion, h: Sequence[Tensor]) -> Tensor:
    """Joint features of M modalities of (N, D) each: (N, M·D) concatenated, (N, D) as a mean."""
    if isinstance(fusion, Concatenate):
        return torch.cat(tuple(h), dim=1)
    return torch.stack(tuple(h)).mean(0)


def fused_features(fusion: AnyFusion, features: int, modalities: int) -> int:
    """Dimensions of what `fuse` returns."""
    return features * modalities if isinstance(fusion, Concatenate) else features
