"""Losses: one `contrast` behind SimCLR, its kin, the cross-modal and the local terms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from napari_phenoscape.losses._contrastive import (
    between,
    contrast,
)
from napari_phenoscape.option import Option, Variants

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
    patches : (2N, Q, P) each
        Projections of matching grid cells by modality; column q of both views of a specimen is a
        pair. Empty when no loss asks for them.
    place : (2N, Q, 2) or None
        Where these cells lie in their specimen, in patches; NaN where there are fewer pairs than Q.
    present : (N,) bool each
        Which specimens have a modality; empty when all have all. Projections of what is not there
        take part in no term.
    cross : (2N, P) each
        Projections of each modality into the space that they share. Empty when no loss asks for
        them.
    """

    z: dict[str, Tensor]
    known: dict[str, Tensor] = field(default_factory=dict)
    patches: dict[str, Tensor] = field(default_factory=dict)
    place: Tensor | None = None
    present: dict[str, Tensor] = field(default_factory=dict)
    cross: dict[str, Tensor] = field(default_factory=dict)

    def several(self, *spaces: str) -> bool:
        """Whether two specimens at least have all of these spaces, so that there is a contrast."""
        import torch

        given = [self.present[name] for name in spaces if name in self.present]
        return not given or int(torch.stack(given).all(0).sum()) > 1

    def there(self, *spaces: str) -> Tensor | slice:
        """Rows that are there, of the projections of one space or of several below each other."""
        import torch

        if not self.present:
            return slice(None)
        one = next(iter(self.z.values()))
        everyone = torch.ones(len(one) // 2, dtype=torch.bool, device=one.device)
        return torch.cat([self.present.get(name, everyone).repeat(2) for name in spaces])


class Loss(Option):
    """Base of the loss terms."""

    #: Whether it compares cells of the grids, `Projected.patches`.
    needs_patches: ClassVar[bool] = False
    #: Whether it compares modalities in a space of their own, `Projected.cross`.
    needs_modalities: ClassVar[bool] = False

    kind: str
    weight: float = Field(1.0, ge=0, description="share in the total loss")
    temperature: float = Field(
        0.2,
        gt=0,
        le=10,
        description="divides the cosine similarities; lower looks harder at near neighbours",
        json_schema_extra={"step": 0.01},
    )

    @property
    def columns(self) -> tuple[str, ...]:
        """The metadata columns that it needs."""
        return ()

    def value(self, batch: Projected) -> Tensor:
        """() in nats."""
        raise NotImplementedError


class OfSpecimens(Loss):
    """Base of the terms that compare whole specimens, of which more may be known."""

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
        return tuple(column for column in (self.positives, self.ignore) if column)

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


class NTXent(OfSpecimens):
    """Two views of a specimen attract, views of others repel (SimCLR); mean over all spaces."""

    kind: Literal["nt_xent"] = "nt_xent"
    decoupled: bool = Field(
        False, description="leave the positive out of the denominator (DCL), for small batches"
    )

    def value(self, batch: Projected) -> Tensor:
        terms = []
        for name, rows in batch.z.items():
            if batch.several(name):
                group, related = self._groups(batch, len(rows))
                there = batch.there(name)
                terms.append(
                    contrast(
                        rows[there],
                        group[there],
                        self.temperature,
                        decoupled=self.decoupled,
                        related=None if related is None else related[there],
                    )
                )
        return _mean(terms, batch.z)


class CrossModal(OfSpecimens):
    """A specimen's views in one modality attract its views in another; mean over all pairs.

    They are compared in a space of their own, into which each modality has a head of its own [1]_:
    what only one of them shows may stay in the features.

    References
    ----------
    .. [1] Mu et al. 2021, SLIP: self-supervision meets language-image pre-training, section 3.
       https://arxiv.org/abs/2112.12750
    """

    needs_modalities: ClassVar[bool] = True

    kind: Literal["cross_modal"] = "cross_modal"

    def value(self, batch: Projected) -> Tensor:
        terms = []
        for (a, one), (b, other) in combinations(batch.cross.items(), 2):
            if batch.several(a, b):
                group, related = self._groups(batch, 2 * len(one))
                there = batch.there(a, b)
                terms.append(between(one, other, group, self.temperature, related, there))
        return _mean(terms, batch.cross)


class LocalPatches(Loss):
    """Agreement of matching grid cells of the two views (dense contrast).

    Cells match by the known geometry of the views [1]_. A cell is told from those of other
    specimens, and from those of its own that lie beyond a radius, in either view [2]_. It is the
    mean over the modalities.

    References
    ----------
    .. [1] Pinheiro et al. 2020, Unsupervised learning of dense visual representations (VADeR).
       https://arxiv.org/abs/2011.05499
    .. [2] Xie et al. 2021, Propagate yourself, section 3.1 (PixContrast).
       https://arxiv.org/abs/2011.10043
    """

    needs_patches: ClassVar[bool] = True

    kind: Literal["local_patches"] = "local_patches"
    radius: float = Field(
        1.5,
        gt=0,
        le=32,
        description="cells of a specimen that are nearer than this many patches, and no pair, do "
        "not repel each other",
        json_schema_extra={"step": 0.1},
    )

    def value(self, batch: Projected) -> Tensor:
        """() in nats; 0 when fewer than two specimens of the batch have a pair."""
        import torch

        assert batch.place is not None  # the net makes patches for this loss alone
        real = batch.place.isfinite().all(2)  # (2N, Q)
        specimens, pairs = len(real) // 2, real.shape[1]
        own = torch.arange(specimens, device=real.device).repeat(2)
        pair = own[:, None] * pairs + torch.arange(pairs, device=real.device)
        # other specimens lie 2 away along a third axis
        third = (2 * own)[:, None, None].expand(-1, pairs, 1)
        place = torch.cat([batch.place / self.radius, third.to(batch.place)], dim=2)
        terms = []
        for name, rows in batch.patches.items():
            own_real = real
            if name in batch.present:
                own_real = real & batch.present[name].repeat(2)[:, None]
            if int(own_real[:specimens].any(1).sum()) > 1:
                z, number, where = rows[own_real], pair[own_real], place[own_real]
                terms.append(contrast(z, number, self.temperature, place=where))
        return _mean(terms, batch.patches)


AnyLoss = Annotated[Loss, Variants(NTXent, CrossModal, LocalPatches, group="losses")]


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
    """
    seen = Counter[str]()
    terms: dict[str, Tensor] = {}
    weighted = []
    for loss in losses:
        seen[loss.kind] += 1
        number = seen[loss.kind]
        value = loss.value(batch)
        terms[loss.kind if number == 1 else f"{loss.kind}_{number}"] = value
        weighted.append(loss.weight * value)
    total = weighted[0]
    for value in weighted[1:]:
        total = total + value
    return total, terms


def _mean(terms: Sequence[Tensor], rows: Mapping[str, Tensor]) -> Tensor:
    """Mean of the terms; 0, of no slope, where no two specimens can be compared."""
    import torch

    if not terms:
        return 0 * torch.stack([each.sum() for each in rows.values()]).sum()
    return torch.stack(tuple(terms)).mean()
