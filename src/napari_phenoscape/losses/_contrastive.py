"""Contrast: the one function behind every loss, and what tells how well it is doing."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def contrast(
    z: Tensor,
    group: Tensor,
    temperature: float,
    *,
    decoupled: bool = False,
    part: Tensor | None = None,
    related: Tensor | None = None,
    position: Tensor | None = None,
    real: Tensor | None = None,
) -> Tensor:
    """Contrastive loss in which rows of the same group are each other's positives.

    For an anchor i with the positives P(i), and s the cosine similarity over the temperature,
    ``-mean_{p in P(i)} s(i, p) + log sum_{a in A(i)} exp s(i, a)``, where A(i) is every row that
    is compared with i. One positive each gives NT-Xent [1]_, several give the supervised loss
    (L_out of [3]_).

    Similarities are computed block by block, and the gradient with them, so memory grows with M
    and not with its square.

    Parameters
    ----------
    z : (M, P)
        Projections; need not be unit length. Computed in float32, or float64 if given that.
    group : (M,)
        Integers, e.g. the number of the specimen, or of its species.
    temperature
        Unitless, > 0.
    decoupled
        Leave the positives out of A(i), as in DCL [2]_.
    part : (M,)
        Integers, e.g. the modality; rows are then compared with those of other parts only.
    related : (M,)
        Integers, e.g. the species; rows that are equal in it and no positives of each other are
        not compared.
    position : (M, E)
        Coordinates; rows that are nearer to each other than 1 and no positives of each other are
        not compared.
    real : (M,)
        False for rows that take no part, as if they were not there.

    Returns
    -------
    () mean over the anchors that have a positive, in nats. When none has, nan; 0 with ``real``.

    References
    ----------
    .. [1] Chen et al. 2020, SimCLR, eq. 1. https://arxiv.org/abs/2002.05709
    .. [2] Yeh et al. 2022, Decoupled contrastive learning, eq. 6.
       https://arxiv.org/abs/2110.06848
    .. [3] Khosla et al. 2020, Supervised contrastive learning, eq. 2.
       https://arxiv.org/abs/2004.11362
    """
    import torch
    from torch.nn.functional import normalize

    from napari_phenoscape.losses._blockwise import BlockwiseContrast

    z = z if z.dtype == torch.float64 else z.float()
    with torch.autocast(z.device.type, enabled=False):
        unit = normalize(z, dim=1)
        value: Tensor = BlockwiseContrast.apply(
            unit, group, part, related, position, real, temperature, decoupled
        )
        return value


def agreement(z: Tensor) -> Tensor:
    """() share (0-1) of the (2N, P) views whose most similar other view is of the same specimen."""
    import torch
    from torch.nn.functional import normalize

    with torch.no_grad(), torch.autocast(z.device.type, enabled=False):
        unit = normalize(z.float(), dim=1)
        nearest = (unit @ unit.T).fill_diagonal_(-torch.inf).argmax(1)
        specimen = torch.arange(len(z) // 2, device=z.device).repeat(2)
        return (specimen[nearest] == specimen).float().mean()


def spread(z: Tensor) -> float:
    """Standard deviation over (M, P) unit-length projections, mean over P, times sqrt(P).

    1 = spread over the sphere, 0 = collapsed to a point.
    """
    import torch
    from torch.nn.functional import normalize

    with torch.no_grad():
        unit = normalize(z.float(), dim=1)
        return float(unit.std(0, correction=0).mean() * unit.shape[1] ** 0.5)
