"""Losses: one `contrast` behind SimCLR, its decoupled and supervised kin, and cross-modal terms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from napari_phenoscape.errors import OptionError
from napari_phenoscape.option import Option

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class Projected:
    """What the losses see of a batch of N specimens.

    Parameters
    ----------
    z : (2N, P) each
        Projections of each space: rows 0..N-1 the first views, N..2N-1 the second ones.
    known : (N,) each
        By metadata column: whole numbers, equal where the column is; -1 where it says nothing.
    """

    z: dict[str, Tensor]
    known: dict[str, Tensor] = field(default_factory=dict)


class Loss(Option):
    """Base of the loss terms."""

    weight: float = Field(1.0, ge=0, description="share in the total loss")
    temperature: float = Field(
        0.2,
        gt=0,
        le=10,
        description="divides the cosine similarities; lower looks harder at near neighbours",
        json_schema_extra={"step": 0.01},
    )
    positives: str = Field(
        "",
        description="metadata column, e.g. individual (several photographs of each) or species: "
        "specimens that are equal in it attract each other too",
    )
    ignore: str = Field(
        "",
        description="metadata column, e.g. species: specimens that are equal in it do not repel "
        "each other",
    )

    @property
    def columns(self) -> tuple[str, ...]:
        """The metadata columns that it needs."""
        return tuple(column for column in (self.positives, self.ignore) if column)

    def value(self, batch: Projected) -> Tensor:
        """() in nats."""
        raise NotImplementedError

    def _groups(self, batch: Projected, rows: int) -> tuple[Tensor, Tensor | None]:
        """Of each row: the number of its group of positives, and of those that do not repel."""
        import torch

        device = next(iter(batch.z.values())).device
        alone = torch.arange(len(next(iter(batch.z.values()))) // 2, device=device)

        def numbers(column: str) -> Tensor:
            known = batch.known[column].to(device)
            # who is not known is equal to nobody but itself
            own = torch.where(known < 0, known.max() + 1 + alone, known)
            return own.repeat(rows // len(own))

        group = numbers(self.positives) if self.positives else alone.repeat(rows // len(alone))
        return group, numbers(self.ignore) if self.ignore else None


class NTXent(Loss):
    """Two views of a specimen attract, views of others repel (SimCLR); mean over all spaces."""

    kind: Literal["nt_xent"] = "nt_xent"
    decoupled: bool = Field(
        False, description="leave the positive out of the denominator (DCL), for small batches"
    )

    def value(self, batch: Projected) -> Tensor:
        terms = []
        for rows in batch.z.values():
            group, related = self._groups(batch, len(rows))
            terms.append(
                contrast(rows, group, self.temperature, decoupled=self.decoupled, related=related)
            )
        return _mean(terms)


class CrossModal(Loss):
    """A specimen's views in one modality attract its views in another; mean over all pairs."""

    kind: Literal["cross_modal"] = "cross_modal"

    def value(self, batch: Projected) -> Tensor:
        modalities = [name for name in batch.z if name != "joint"]
        if len(modalities) < 2:
            raise OptionError(
                f"The loss 'cross_modal' compares modalities, and there is only one "
                f"({modalities[0]}). Name two or more, e.g. [rgb, uv], or remove this loss."
            )
        terms = []
        for a, b in combinations(modalities, 2):
            group, related = self._groups(batch, 2 * len(batch.z[a]))
            terms.append(_between(batch.z[a], batch.z[b], group, self.temperature, related))
        return _mean(terms)


AnyLoss = Annotated[NTXent | CrossModal, Field(discriminator="kind")]


def total_loss(losses: Sequence[Loss], batch: Projected) -> tuple[Tensor, dict[str, Tensor]]:
    """Weighted sum of the terms, and each term before its weight.

    Parameters
    ----------
    losses
        At least one term.
    batch
        Projections, and what is known of the specimens.

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
        value = loss.value(batch)
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
    related: Tensor | None = None,
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

    from napari_phenoscape.blockwise import contrast_of_units

    z = z if z.dtype == torch.float64 else z.float()
    with torch.autocast(z.device.type, enabled=False):
        return contrast_of_units(normalize(z, dim=1), group, part, related, temperature, decoupled)


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
    return _between(z0, z1, _specimens(z0).repeat(2), temperature, None)


def _between(
    z0: Tensor, z1: Tensor, group: Tensor, temperature: float, related: Tensor | None
) -> Tensor:
    """Contrast of the rows of one modality with those of another."""
    import torch

    modality = torch.arange(2, device=z0.device).repeat_interleave(len(z0))
    return contrast(torch.cat([z0, z1]), group, temperature, part=modality, related=related)


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
