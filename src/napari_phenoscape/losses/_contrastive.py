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

    Returns
    -------
    () mean over the anchors that have a positive, in nats; nan when none has.

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

    from napari_phenoscape.losses._blockwise import contrast_of_units

    z = z if z.dtype == torch.float64 else z.float()
    with torch.autocast(z.device.type, enabled=False):
        unit = normalize(z, dim=1)
        return contrast_of_units(unit, group, part, related, position, temperature, decoupled)


def nt_xent(z0: Tensor, z1: Tensor, temperature: float) -> Tensor:
    """Normalised temperature-scaled cross-entropy between two views [1]_.

    Parameters
    ----------
    z0, z1 : (N, P)
        Projections; row i of both comes from the same specimen. Need not be unit length.
    temperature
        Divides the cosine similarities. Unitless, > 0.

    Returns
    -------
    () mean over the 2N anchors, in nats; log(2N - 1) when all projections coincide.

    References
    ----------
    .. [1] Chen et al. 2020, SimCLR, eq. 1. https://arxiv.org/abs/2002.05709
    """
    import torch

    z = torch.cat([z0, z1])
    return contrast(z, _specimens(z), temperature)


def cross_modal(z0: Tensor, z1: Tensor, temperature: float) -> Tensor:
    """Symmetric cross-entropy between two modalities, as CLIP's [1]_, with two views in each.

    Parameters
    ----------
    z0, z1 : (2N, P)
        Projections in one and the other modality, first all first views. A row is compared with
        the rows of the other modality only; both views of its specimen there are positives.
    temperature
        Divides the cosine similarities. Unitless, > 0.

    Returns
    -------
    () mean over the 4N anchors, in nats; log(2N) when all projections coincide.

    References
    ----------
    .. [1] Radford et al. 2021, CLIP, fig. 3. https://arxiv.org/abs/2103.00020
    """
    return between(z0, z1, _specimens(z0).repeat(2), temperature, None)


def between(
    z0: Tensor,
    z1: Tensor,
    group: Tensor,
    temperature: float,
    related: Tensor | None,
    rows: Tensor | slice = slice(None),
) -> Tensor:
    """Contrast of the rows of one modality with those of another, of all or some ``rows``."""
    import torch

    modality = torch.arange(2, device=z0.device).repeat_interleave(len(z0))
    return contrast(
        torch.cat([z0, z1])[rows],
        group[rows],
        temperature,
        part=modality[rows],
        related=None if related is None else related[rows],
    )


def agreement(z: Tensor) -> float:
    """Share (0-1) of the (2N, P) views whose most similar other view is of the same specimen."""
    import torch
    from torch.nn.functional import normalize

    with torch.no_grad(), torch.autocast(z.device.type, enabled=False):
        unit = normalize(z.float(), dim=1)
        nearest = (unit @ unit.T).fill_diagonal_(-torch.inf).argmax(1)
        specimen = _specimens(z)
        return float((specimen[nearest] == specimen).float().mean())


def spread(z: Tensor) -> float:
    """Standard deviation over (M, P) unit-length projections, mean over P, times sqrt(P).

    1 = spread over the sphere, 0 = collapsed to a point.
    """
    import torch
    from torch.nn.functional import normalize

    with torch.no_grad():
        unit = normalize(z.float(), dim=1)
        return float(unit.std(0, correction=0).mean() * unit.shape[1] ** 0.5)


def _specimens(z: Tensor) -> Tensor:
    """(2N,) specimen number of each row: 0..N-1, 0..N-1."""
    import torch

    return torch.arange(len(z) // 2, device=z.device).repeat(2)
