"""SimCLR: encoders of the modalities, their fusion, and a projection head for each of these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from napari_phenoscape._device import placed
from napari_phenoscape._distributed import uniform
from napari_phenoscape.cubes import Bands
from napari_phenoscape.errors import OptionError
from napari_phenoscape.nets import (
    Encoders,
    Grid,
    Mix,
    joined,
    of_present,
    patch_head,
    projection_head,
)
from napari_phenoscape.training._experiment import Experiment

#: The space of several modalities fused.
JOINT = "joint"


class Representations(NamedTuple):
    """What the net makes of N images, by space: each modality, and ``joint`` if several.

    Parameters
    ----------
    h : (N, D) each
        Features; these are the embeddings. NaN where a specimen lacks the modality.
    z : (N, P) each
        Projections; these are what the loss compares. Zero where a specimen lacks the modality.
    patches : (N, Q, P) each
        Projections of single cells of the grids, by modality; empty when none were asked for.
    cross : (N, P) each
        Projections by modality into the space that they share, for the loss ``cross_modal``;
        empty without it. Zero where a specimen lacks the modality.
    """

    h: dict[str, Tensor]
    z: dict[str, Tensor]
    patches: dict[str, Tensor]
    cross: dict[str, Tensor]


class SimCLR(nn.Module):
    """The net of an experiment. Its first weights come from torch's random state.

    Parameters
    ----------
    experiment
        Encoder, fusion, head and image size are read from it.
    bands
        Bands of each modality, in the order of the images' C.
    mean, std : (C,) each
        Reflectance over the specimens of the collection; kept with the weights.

    Raises
    ------
    PhenoscapeError
        See `ModalityEncoder`.
    """

    def __init__(
        self,
        experiment: Experiment,
        bands: Mapping[str, Bands],
        mean: Mapping[str, ArrayLike],
        std: Mapping[str, ArrayLike],
    ) -> None:
        super().__init__()
        self.modalities = tuple(bands)
        # lists, because a modality's name (vis+nir, my.bands) need not be a legal module name
        self.encoders = Encoders(experiment.encoder, bands, mean, std, experiment.image_size)
        self.frozen = experiment.encoder.share == 0
        if self.frozen:
            self.encoders.requires_grad_(False)
        widths = [encoder.features for encoder in self.encoders]
        several = len(widths) > 1
        self.fusion = experiment.fusion.build(widths[0], len(widths)) if several else None
        #: Probability that a modality is left out of the joint of a view in training.
        self.dropout = experiment.fusion.dropout
        if self.fusion is not None:
            widths.append(self.fusion.features)
        #: D by space.
        self.widths = dict(zip(self.spaces, widths, strict=True))
        self.out = experiment.head.out
        self.heads = nn.ModuleList(projection_head(experiment.head, width) for width in widths)
        self.patch_heads = nn.ModuleList()
        if local := next((loss for loss in experiment.losses if loss.needs_patches), None):
            rows, columns = self.grid.rows, self.grid.columns
            if min(rows, columns) < 2:
                raise OptionError(
                    f"'{experiment.encoder.backbone}' sees an image of {experiment.image_size} px "
                    f"as {rows} × {columns} patches, and the loss '{local.kind}' "
                    "needs 2 × 2 to tell from each other. Enlarge image_size, or remove this loss."
                )
            for encoder in self.encoders:
                self.patch_heads.append(patch_head(experiment.head, encoder.features))
        self.cross_heads = nn.ModuleList()
        if any(loss.needs_modalities for loss in experiment.losses):
            for encoder in self.encoders:
                self.cross_heads.append(projection_head(experiment.head, encoder.features))

    @property
    def grid(self) -> Grid:
        """Where the places of the grid look in which the encoders see a view."""
        return next(encoder.grid for encoder in self.encoders)

    @property
    def spaces(self) -> tuple[str, ...]:
        """Names of the spaces, the main one last; no ``joint`` when modalities stay separate."""
        return self.modalities if self.fusion is None else (*self.modalities, JOINT)

    @property
    def space(self) -> str:
        """The space to look at first: ``joint``; without it, the last modality."""
        return self.spaces[-1]

    def train(self, mode: bool = True) -> SimCLR:
        """As any module; encoders that are frozen keep the statistics of their norms too."""
        super().train(mode)
        if self.frozen:
            self.encoders.eval()
        return self

    def mix(self, places: Mapping[str, ArrayLike], bands: int) -> Tensor | None:
        """(planes of all modalities, bands) weights with which the encoders begin.

        ``places`` are each modality's bands among all. None where an encoder does not begin with a
        mix, or where there would be no fewer planes than bands.
        """
        rows = []
        for name, encoder in zip(self.modalities, self.encoders, strict=True):
            stem = encoder.stem
            if not isinstance(stem, Mix):
                return None
            own = stem.matrix()
            index = placed(np.asarray(places[name]), own.device)
            rows.append(own.new_zeros(len(own), bands).index_copy(1, index, own))
        mix = torch.cat(rows)
        return mix if len(mix) < bands else None

    def planes(self, mixed: Tensor) -> dict[str, Tensor]:
        """What the backbones take, of (N, planes of all modalities, h, w) that `mix` made."""
        stems = [encoder.stem for encoder in self.encoders]
        offsets = [stem.offset() for stem in stems if isinstance(stem, Mix)]
        parts = mixed.split([len(offset) for offset in offsets], dim=1)  # type: ignore[no-untyped-call]
        return {
            name: part - offset[:, None, None]
            for name, part, offset in zip(self.modalities, parts, offsets, strict=True)
        }

    def forward(
        self,
        images: Mapping[str, Tensor],
        mixed: bool = False,
        cells: Tensor | None = None,
        present: Mapping[str, NDArray[np.bool_]] | None = None,
        mask: Tensor | None = None,
    ) -> Representations:
        """Features and projections of (N, C, h, w) reflectance, or of `planes`, by modality.

        ``cells`` (N, Q): which cells of the grids to project too. ``present`` (N,) each:
        which specimens have a modality; None: all have all. What a specimen lacks is
        seen by no encoder, head or norm, and its joint is made of the rest. ``mask`` is not looked
        at: pictures are all that a trained net sees, their background filled or not.
        """
        h, places = self.features(images, mixed, cells, present)
        return Representations(h, *self.project(h, places, present))

    def embed(
        self, images: Mapping[str, Tensor], present: Mapping[str, NDArray[np.bool_]] | None = None
    ) -> dict[str, Tensor]:
        """Features alone."""
        return self.features(images, present=present)[0]

    def features(
        self,
        images: Mapping[str, Tensor],
        mixed: bool = False,
        cells: Tensor | None = None,
        present: Mapping[str, NDArray[np.bool_]] | None = None,
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """(N, D) by space, and (N, Q, D) of some cells of the grids by modality."""
        rows = [images[name] for name in self.modalities]
        given = None if present is None else [present[name] for name in self.modalities]
        # drawn before anything that draws as many numbers as this rank has rows
        joint = self._joined(rows[0], given)
        seen = dict(zip(self.modalities, self.encoders(rows, mixed, given), strict=True))
        h = {name: features.h for name, features in seen.items()}
        if self.fusion is not None:
            h[JOINT] = self.fusion(tuple(seen.values()), joint)
        for name, there in (present or {}).items():
            lacks = placed(~np.asarray(there), h[name].device)[:, None]
            h[name] = h[name].masked_fill(lacks, torch.nan)
        if cells is None:
            return h, {}
        places = {
            name: features.grid.flatten(2).mT.take_along_dim(cells[..., None], 1)
            for name, features in seen.items()
        }
        return h, places

    def project(
        self,
        h: Mapping[str, Tensor],
        places: Mapping[str, Tensor],
        present: Mapping[str, NDArray[np.bool_]] | None = None,
    ) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]:
        """Projections of what `features` gives: z, patches and cross of `Representations`."""
        there = present or {}

        def projected(names: Sequence[str], heads: nn.ModuleList) -> dict[str, Tensor]:
            found: dict[str, Tensor] = {}
            for name, head in zip(names, heads, strict=True):
                if name in there:
                    found[name] = of_present(head, h[name], there[name], [(self.out,)])[0]
                else:
                    found[name] = head(h[name])
            return found

        cells = zip(self.modalities, self.patch_heads, strict=True) if places else ()
        patches = {name: head(places[name]) for name, head in cells}
        cross = projected(self.modalities, self.cross_heads) if self.cross_heads else {}
        return projected(self.spaces, self.heads), patches, cross

    def _joined(self, rows: Tensor, present: Sequence[NDArray[np.bool_]] | None) -> Tensor | None:
        """(N, M) which modalities make the joint; None: all."""
        there = None if present is None else placed(np.stack(present, axis=1), rows.device)
        if not self.training or not self.dropout or self.fusion is None:
            return there
        draws = placed(uniform(len(rows), len(self.modalities)), rows.device)
        if there is None:
            there = torch.ones_like(draws, dtype=torch.bool)
        return joined(there, self.dropout, draws)
