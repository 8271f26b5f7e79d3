"""Losses: one `contrast` behind SimCLR, its decoupled and supervised kin, and cross-modal terms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from napari_phenoscape.errors import OptionError
from napari_phenoscape.option import Option

if TYPE_CHECKING:
    from torch import Tensor


class Loss(Option):
    """Base of the loss terms."""

    weight: float = Field(1.0, ge=0, description="share in the total loss")

    def value(self, z: dict[str, Tensor]) -> Tensor:
        """() in nats, of the projections (2N, P) of each space; first all first views."""
        raise NotImplementedError


class NTXent(Loss):
    """Two views of a specimen attract, views of others repel (SimCLR); mean over all spaces."""

    kind: Literal["nt_xent"] = "nt_xent"
    temperature: float = Field(
        0.2,
        gt=0,
        le=10,
        description="divides the cosine similarities; lower looks harder at near neighbours",
        json_schema_extra={"step": 0.01},
    )
    decoupled: bool = Field(
        False, description="leave the positive out of the denominator (DCL), for small batches"
    )

    def value(self, z: dict[str, Tensor]) -> Tensor:
        terms = [
            contrast(rows, _specimens(rows), self.temperature, decoupled=self.decoupled)
            for rows in z.values()
        ]
        return _mean(terms)


class CrossModal(Loss):
    """A specimen's views in one modality attract its views in another; mean over all pairs."""

    kind: Literal["cross_modal"] = "cross_modal"
    temperature: float = Field(
        0.2,
        gt=0,
        le=10,
        description="divides the cosine similarities",
        json_schema_extra={"step": 0.01},
    )

    def value(self, z: dict[str, Tensor]) -> Tensor:
        modalities = [name for name in z if name != "joint"]
        if len(modalities) < 2:
            raise OptionError(
                f"The loss 'cross_modal' compares modalities, and there is only one "
                f"({modalities[0]}). Name two or more, e.g. [rgb, uv], or remove this loss."
            )
        pairs = combinations(modalities, 2)
        return _mean([cross_modal(z[a], z[b], self.temperature) for a, b in pairs])


AnyLoss = Annotated[NTXent | CrossModal, Field(discriminator="kind")]


def total_loss(losses: Sequence[Loss], z: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
    """Weighted sum of the terms, and each term before its weight.

    Parameters
    ----------
    losses
        At least one term.
    z : (2N, P) each
        Projections of each space: rows 0..N-1 the first views, N..2N-1 the second ones.

    Returns
    -------
    total : ()
        In nats.
    terms
        By kind; the second of a kind is called ``kind_2``, and so on.

    Raises
    ------
    OptionError
        A cross-modal term, and only one modality.
    """
    seen = Counter[str]()
    terms: dict[str, Tensor] = {}
    weighted = []
    for loss in losses:
        kind = loss.kind  # type: ignore[attr-defined]
        seen[kind] += 1
        value = loss.value(z)
        terms[kind if seen[kind] == 1 else f"{kind}_{seen[kind]}"] = value
        weighted.append(loss.weight * value)
    total = weighted[0]
    for value in weighted[1:]:
        total = total + value
    return total, terms


def contrast(
    z: Tensor,
    group: Tensor,
    temperature: float,
    *,
    decoupled: bool = False,
    part: Tensor | None = None,
) -> Tensor:
    """Contrastive loss in which rows of the same group are each other's positives.

    For an anchor i with the positives P(i), and s the cosine similarity over the temperature,
    ``-mean_{p in P(i)} s(i, p) + log sum_{a in A(i)} exp s(i, a)``, where A(i) is every row that
    is compared with i. One positive each gives NT-Xent [1]_, several give the supervised loss
    (L_out of [3]_).

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

    z = z if z.dtype == torch.float64 else z.float()
    with torch.autocast(z.device.type, enabled=False):
        z = normalize(z, dim=1)
        similarity = z @ z.T / temperature
        compared = ~torch.eye(len(z), dtype=torch.bool, device=z.device)
        if part is not None:
            compared = compared & (part[:, None] != part)
        positive = compared & (group[:, None] == group)
        denominator = compared & ~positive if decoupled else compared
        number = positive.sum(1)
        attraction = (similarity * positive).sum(1) / number.clamp(min=1)
        repulsion = similarity.masked_fill(~denominator, -torch.inf).logsumexp(1)
        anchors = number > 0
        return ((repulsion - attraction) * anchors).sum() / anchors.sum()


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
    import torch

    modality = torch.arange(2, device=z0.device).repeat_interleave(len(z0))
    return contrast(torch.cat([z0, z1]), _specimens(z0).repeat(2), temperature, part=modality)


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


def _mean(terms: Sequence[Tensor]) -> Tensor:
    import torch

    return torch.stack(tuple(terms)).mean()
