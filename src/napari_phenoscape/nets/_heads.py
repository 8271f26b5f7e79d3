"""Projection heads: from D features to the P dimensions in which the losses compare."""

from __future__ import annotations

from torch import nn

from napari_phenoscape.nets._options import ProjectionHead


def projection_head(head: ProjectionHead, features: int) -> nn.Sequential:
    """SimCLR's g: linear, batch norm, ReLU, linear [1]_; (N, D) -> (N, P).

    References
    ----------
    .. [1] Chen et al. 2020, SimCLR, section 2.1 and appendix B.9.
       https://arxiv.org/abs/2002.05709
    """
    return nn.Sequential(
        # no bias: the norm subtracts it
        nn.Linear(features, head.hidden, bias=False),
        nn.BatchNorm1d(head.hidden),
        nn.ReLU(inplace=True),
        nn.Linear(head.hidden, head.out),
    )


def patch_head(head: ProjectionHead, features: int) -> nn.Sequential:
    """Linear, ReLU, linear at each place [1]_; (N, Q, D) -> (N, Q, P).

    On a grid these are 1 × 1 convolutions.

    References
    ----------
    .. [1] Wang et al. 2021, Dense contrastive learning (DenseCL), section 3.2.
       https://arxiv.org/abs/2011.09157
    """
    return nn.Sequential(
        nn.Linear(features, head.hidden),
        nn.ReLU(inplace=True),
        nn.Linear(head.hidden, head.out),
    )
