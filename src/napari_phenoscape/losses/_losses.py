"""Losses: one `contrast` behind SimCLR, its kin, the cross-modal and the local terms."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from napari_phenoscape._device import placed, together
from napari_phenoscape.losses._contrastive import contrast
from napari_phenoscape.option import Option, Variants

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class Projections:
    """What the net makes of both views of a batch of N specimens, and what the losses know of them.

    Rows 0..N-1 are the first views, rows N..2N-1 the second views of the same specimens.

    Parameters
    ----------
    z : (2N, P) each
        Of whole views, by space: each modality, and ``joint`` where they are fused.
    labels : (N,) each
        By metadata column: whole numbers, equal where the column is; -1 where it says nothing.
    patches : (2N, Q, P) each
        Of single grid cells, by modality: cell q of row i shows what cell q of row N + i shows.
        Empty when no loss asks for them.
    position : (2N, Q, 2) or None
        Where these cells lie in their specimen, (x, y) in patches; NaN where it has fewer than Q.
    present : (N,) bool each
        Which specimens have a modality; empty when all have all. The others' rows take part in no
        term.
    cross : (2N, P) each
        Of whole views by modality, in the one space in which modalities are compared. Empty when no
        loss asks for them.
    """

    z: dict[str, Tensor]
    labels: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    patches: dict[str, Tensor] = field(default_factory=dict)
    position: Tensor | None = None
    present: dict[str, NDArray[np.bool_]] = field(default_factory=dict)
    cross: dict[str, Tensor] = field(default_factory=dict)

    def several(self, *spaces: str) -> bool:
        """Whether two specimens at least have all of these spaces: one alone has no contrast."""
        present = [self.present[name] for name in spaces if name in self.present]
        return not present or int(np.stack(present).all(0).sum()) > 1

    def rows(self, *spaces: str) -> Tensor | slice:
        """Which rows take part, of one space, or of the rows of several below each other."""
        if not self.present:
            return slice(None)
        z = next(iter(self.z.values()))
        everyone = np.ones(len(z) // 2, np.bool_)
        there = [np.tile(self.present.get(name, everyone), 2) for name in spaces]
        return placed(np.flatnonzero(np.concatenate(there)), z.device)


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

    def value(self, batch: Projections) -> Tensor:
        """() in nats."""
        raise NotImplementedError


class OfSpecimens(Loss):
    """Base of the terms that compare whole specimens, which metadata may relate."""

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

    def _groups(self, batch: Projections, rows: int) -> tuple[Tensor, Tensor | None]:
        """(rows,) twice: equal numbers attract each other, and equal ones do not repel."""
        import torch

        z = next(iter(batch.z.values()))
        alone = torch.arange(len(z) // 2, device=z.device)

        def numbers(column: str) -> Tensor:
            labels = np.asarray(batch.labels[column])
            # a specimen without a label is equal to nobody but itself
            nobody = labels.max() + 1 + np.arange(len(labels))
            own = placed(np.where(labels < 0, nobody, labels), z.device)
            return own.repeat(rows // len(own))

        group = numbers(self.positives) if self.positives else alone.repeat(rows // len(alone))
        return group, numbers(self.ignore) if self.ignore else None


class NTXent(OfSpecimens):
    """Two views of a specimen attract, views of others repel (SimCLR [1]_); mean over all spaces.

    References
    ----------
    .. [1] Chen et al. 2020, SimCLR, eq. 1. https://arxiv.org/abs/2002.05709
    """

    kind: Literal["nt_xent"] = "nt_xent"
    decoupled: bool = Field(
        False, description="leave the positive out of the denominator (DCL), for small batches"
    )

    def value(self, batch: Projections) -> Tensor:
        """() in nats; log(2N - 1) when all projections coincide."""
        terms = []
        for name, z in batch.z.items():
            if batch.several(name):
                group, related = self._groups(batch, len(z))
                rows = batch.rows(name)
                terms.append(
                    contrast(
                        z[rows],
                        group[rows],
                        self.temperature,
                        decoupled=self.decoupled,
                        related=None if related is None else related[rows],
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
    .. [2] Radford et al. 2021, CLIP, fig. 3. https://arxiv.org/abs/2103.00020
    """

    needs_modalities: ClassVar[bool] = True

    kind: Literal["cross_modal"] = "cross_modal"

    def value(self, batch: Projections) -> Tensor:
        """() in nats; log(2N) when all projections coincide.

        The symmetric cross-entropy of CLIP [2]_, with two views of each specimen in each modality.
        """
        import torch

        terms = []
        for (a, z_a), (b, z_b) in combinations(batch.cross.items(), 2):
            if batch.several(a, b):
                group, related = self._groups(batch, 2 * len(z_a))
                rows = batch.rows(a, b)
                modality = torch.arange(2, device=z_a.device).repeat_interleave(len(z_a))
                terms.append(
                    contrast(
                        torch.cat([z_a, z_b])[rows],
                        group[rows],
                        self.temperature,
                        part=modality[rows],
                        related=None if related is None else related[rows],
                    )
                )
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

    def value(self, batch: Projections) -> Tensor:
        """() in nats; 0 when fewer than two specimens of the batch have a pair."""
        import torch

        assert batch.position is not None  # the net makes patches for this loss alone
        real = batch.position.isfinite().all(2)  # (2N, Q)
        specimens, pairs = len(real) // 2, real.shape[1]
        own = torch.arange(specimens, device=real.device).repeat(2)
        pair = own[:, None] * pairs + torch.arange(pairs, device=real.device)
        # other specimens lie 2 away along a third axis
        third = (2 * own)[:, None, None].expand(-1, pairs, 1)
        position = torch.cat([batch.position / self.radius, third.to(batch.position)], dim=2)
        terms = []
        for name, patches in batch.patches.items():
            own_real = real
            if name in batch.present:
                there = placed(np.tile(batch.present[name], 2), real.device)
                own_real = real & there[:, None]
            enough = own_real[:specimens].any(1).sum() > 1
            if together(real.device):
                # how many there are is not asked for
                rows = (own_real & enough).flatten()
                z, where = patches.flatten(0, 1), position.flatten(0, 1).nan_to_num()
                value = contrast(z, pair.flatten(), self.temperature, position=where, real=rows)
                terms.append((value, enough))
            elif enough:
                z, group = patches[own_real], pair[own_real]
                value = contrast(z, group, self.temperature, position=position[own_real])
                terms.append((value, enough))
        if terms and together(real.device):
            values, counted = (torch.stack(each) for each in zip(*terms, strict=True))
            return values.sum() / counted.sum().clamp(min=1)
        return _mean([value for value, _ in terms], batch.patches)


AnyLoss = Annotated[Loss, Variants(NTXent, CrossModal, LocalPatches, group="losses")]


def total_loss(losses: Sequence[Loss], batch: Projections) -> tuple[Tensor, dict[str, Tensor]]:
    """Weighted sum of the terms, and each term before its weight.

    Parameters
    ----------
    losses
        At least one term.
    batch
        Both views of its specimens.

    Returns
    -------
    total : ()
        In nats.
    terms
        By kind; the second of a kind is called ``kind_2``, and so on.
    """
    count = Counter[str]()
    terms: dict[str, Tensor] = {}
    weighted = []
    for loss in losses:
        count[loss.kind] += 1
        number = count[loss.kind]
        value = loss.value(batch)
        terms[loss.kind if number == 1 else f"{loss.kind}_{number}"] = value
        weighted.append(loss.weight * value)
    total = weighted[0]
    for value in weighted[1:]:
        total = total + value
    return total, terms


def _mean(terms: Sequence[Tensor], projections: Mapping[str, Tensor]) -> Tensor:
    """Mean of the terms; 0, with a gradient of 0, where no two specimens can be compared."""
    import torch

    if not terms:
        return 0 * torch.stack([each.sum() for each in projections.values()]).sum()
    return torch.stack(tuple(terms)).mean()
