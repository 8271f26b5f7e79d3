"""Losses: one `contrast` behind SimCLR, its decoupled form, several positives, and cross-modal."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from napari_phenoscape.errors import OptionError
from napari_phenoscape.option import Option

if TYPE_CHECKING:
    from torch import Tensor


class Loss(Option):
    """A term of the total; the total is the sum of weight x term."""

    weight: float = Field(1.0, gt=0, description="share in the total loss")
    temperature: float = Field(
        0.2, gt=0, description="divides the cosine similarities", json_schema_extra={"step": 0.01}
    )


class NTXent(Loss):
    """Two views of a specimen agree, in each modality and in the joint space (SimCLR)."""

    kind: Literal["nt_xent"] = "nt_xent"
    decoupled: bool = Field(
        False, description="leave the positive out of the denominator (DCL, for small batches)"
    )


class CrossModal(Loss):
    """The same view in two modalities agrees; alone it deletes what only one of them shows."""

    kind: Literal["cross_modal"] = "cross_modal"


AnyLoss = Annotated[NTXent | CrossModal, Field(discriminator="kind")]


def contrast(z: Tensor, group: Tensor, temperature: float, *, decoupled: bool = False) -> Tensor:
    """Contrastive loss in which rows of the same group are positives [1]_ [2]_ [3]_.

    With two rows in each group this is NT-Xent (SimCLR); with more, the supervised form with the
    mean outside the logarithm.

    Parameters
    ----------
    z : (M, P)
        Projections; need not be unit length. Computed in float32 or better whatever their type.
    group : (M,)
        Integers. A row whose group has no other row is no anchor, only a negative.
    temperature
        Divides the cosine similarities. Unitless, > 0.
    decoupled
        Leave all positives out of the denominator.

    Returns
    -------
    () mean over the anchors, in nats.

    References
    ----------
    .. [1] Chen et al. 2020, SimCLR, eq. 1. https://arxiv.org/abs/2002.05709
    .. [2] Khosla et al. 2020, SupCon, eq. 2. https://arxiv.org/abs/2004.11362
    .. [3] Yeh et al. 2022, Decoupled contrastive learning. https://arxiv.org/abs/2110.06848
    """
    import torch

    with torch.autocast(z.device.type, enabled=False):
        z = z if z.dtype == torch.float64 else z.float()
        unit = torch.nn.functional.normalize(z, dim=1)
        logits = unit @ unit.T / temperature
        own = torch.eye(len(z), dtype=torch.bool, device=z.device)
        positive = (group[:, None] == group) & ~own
        outside = own | positive if decoupled else own
        normaliser = logits.masked_fill(outside, -torch.inf).logsumexp(1)
        count = positive.sum(1)
        anchor = count > 0
        pull = (logits * positive).sum(1)[anchor] / count[anchor]
        return (normaliser[anchor] - pull).mean()


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

    return contrast(torch.cat([z0, z1]), two_of_each(len(z0), z0), temperature)


def two_of_each(number: int, like: Tensor) -> Tensor:
    """(2N,) groups 0..N-1, 0..N-1 on the device of ``like``."""
    import torch

    return torch.arange(number, device=like.device).repeat(2)


def total_loss(
    losses: tuple[AnyLoss, ...], z: dict[str, Tensor]
) -> tuple[Tensor, dict[str, Tensor]]:
    """Weighted sum of the terms, and each of them.

    Parameters
    ----------
    losses
        The terms.
    z : (2N, P) each
        Projections by space (modalities, and ``joint``): N first views, then N second ones.

    Returns
    -------
    () in nats, and by kind of term its unweighted value.

    Raises
    ------
    OptionError
        A cross-modal term without two modalities.
    """
    import torch

    terms = {}
    for loss in losses:
        if isinstance(loss, NTXent):
            parts = [
                contrast(
                    rows,
                    two_of_each(len(rows) // 2, rows),
                    loss.temperature,
                    decoupled=loss.decoupled,
                )
                for rows in z.values()
            ]
        else:
            pairs = list(combinations([rows for name, rows in z.items() if name != "joint"], 2))
            if not pairs:
                raise OptionError(
                    f"The loss 'cross_modal' compares modalities, and there is only "
                    f"'{next(iter(z))}'. Choose two modalities, e.g. [rgb, uv], or leave it out."
                )
            parts = [
                torch.stack(
                    [nt_xent(a, b, loss.temperature) for a, b in zip(one, other, strict=True)]
                ).mean()
                for one, other in ((one.chunk(2), other.chunk(2)) for one, other in pairs)
            ]
        terms[loss.kind] = torch.stack(parts).mean()
    total = torch.stack([loss.weight * terms[loss.kind] for loss in losses]).sum()
    return total, terms


def agreement(z: Tensor) -> float:
    """Share of the (2N, P) rows whose most similar other row is the other view, 0-1."""
    import torch

    unit = torch.nn.functional.normalize(z.float(), dim=1)
    similarity = (unit @ unit.T).fill_diagonal_(-torch.inf)
    other = torch.arange(len(z), device=z.device).roll(len(z) // 2)
    return float((similarity.argmax(1) == other).float().mean())


def spread(z: Tensor) -> float:
    """Standard deviation of the unit-length rows, times sqrt(P): 1 = whole sphere, 0 = a point."""
    import torch

    unit = torch.nn.functional.normalize(z.float(), dim=1)
    return float(unit.std(dim=0).mean() * z.shape[1] ** 0.5)
