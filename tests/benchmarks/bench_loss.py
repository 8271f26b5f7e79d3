"""NT-Xent of a large batch, value and gradient, against lightly's."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from lightly.loss import NTXentLoss

from napari_phenoscape.losses import contrast
from tests.benchmarks import Comparison

SPECIMENS, DIMENSIONS = 2048, 128


def comparisons() -> Iterator[Comparison]:
    random = torch.Generator().manual_seed(0)
    z0, z1 = (
        torch.randn(SPECIMENS, DIMENSIONS, generator=random, requires_grad=True) for _ in range(2)
    )
    specimen = torch.arange(SPECIMENS).repeat(2)
    lightly = NTXentLoss(temperature=0.2)
    yield Comparison(
        f"loss NT-Xent, {SPECIMENS} specimens",
        ours=lambda: contrast(torch.cat([z0, z1]), specimen, 0.2).backward(),
        theirs=lambda: lightly(z0, z1).backward(),
        goal=1.75,
    )
