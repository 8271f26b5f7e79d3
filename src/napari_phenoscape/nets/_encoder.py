"""Encoders of all modalities: each by itself, or sharing what `encoder.sharing` says."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import cast

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from napari_phenoscape._device import placed
from napari_phenoscape._distributed import any_rank
from napari_phenoscape.cubes import Bands
from napari_phenoscape.errors import BandMismatchError
from napari_phenoscape.nets._backbone import Features
from napari_phenoscape.nets._grid import Grid, grid_of, lattice
from napari_phenoscape.nets._nets import backbone, look
from napari_phenoscape.nets._options import Encoder
from napari_phenoscape.nets._stem import Stem


class ModalityEncoder(nn.Module):
    """Stem and backbone of one modality: (N, C, h, w) reflectance -> `Features`.

    Parameters
    ----------
    option
        Which backbone and stem, and the weights to begin with.
    bands
        The C bands, in the order of the input.
    mean, std : (C,)
        Reflectance of the collection.
    image_size
        Side of the input in pixels.
    over
        The bands of all modalities, where they share one encoder.
    like
        An encoder of the same option, whose backbone this one shares.

    Raises
    ------
    OptionError
        There is no such backbone, or it does not take images of this size.
    MissingFileError, CheckpointError
        The pretrained weights are missing, or do not fit the backbone.
    BandMismatchError
        The stem cannot take these bands.
    """

    def __init__(
        self,
        option: Encoder,
        bands: Bands,
        mean: ArrayLike,
        std: ArrayLike,
        image_size: int,
        *,
        over: Bands = Bands(),  # noqa: B008, a tuple
        like: ModalityEncoder | None = None,
    ) -> None:
        super().__init__()
        stem = option.stem.build(bands, mean, std, over)
        planes = len(stem.planes)
        self.stem = stem
        self.backbone: nn.Module
        #: D, and where the places of the grid look.
        self.features: int
        self.grid: Grid
        if like is None:
            self.backbone = backbone(option, stem, image_size)
            empty = torch.zeros(1, planes, image_size, image_size)
            with lattice(self.backbone) as reached:
                h, places = look(self.backbone, empty, option.backbone)
            self.features, self.grid = h.shape[1], grid_of(places, reached, image_size)
        else:
            self.backbone = like.backbone
            self.features, self.grid = like.features, like.grid
        # like the modal-type embedding of ViLT (Kim et al. 2021, https://arxiv.org/abs/2102.03334),
        # before the backbone, so that convolutional nets have it too
        self.token = nn.Parameter(torch.zeros(planes)) if option.sharing == "trunk" else None

    def forward(self, images: Tensor, mixed: bool = False) -> Features:
        """Features of reflectance, or of (N, planes, h, w) that the stem has already mixed."""
        features: Features = self.backbone(self.planes(images, mixed))
        return features

    def planes(self, images: Tensor, mixed: bool = False) -> Tensor:
        """(N, K, h, w): what the backbone takes."""
        planes: Tensor = images if mixed else self.stem(images)
        return planes if self.token is None else planes + self.token[:, None, None]


class Encoders(nn.ModuleList):
    """One `ModalityEncoder` for each modality; what they share is the very same module.

    A shared backbone sees the images of all modalities in one pass, so that its batch norms
    normalise all of them alike, in training as later.

    Parameters
    ----------
    option
        Of each, and what they share.
    bands, mean, std
        Of each modality.
    image_size
        Side of the input in pixels.

    Raises
    ------
    BandMismatchError
        Modalities of different numbers of bands, or planes, are to share what takes them.
    PhenoscapeError
        See `ModalityEncoder`.
    """

    def __init__(
        self,
        option: Encoder,
        bands: Mapping[str, Bands],
        mean: Mapping[str, ArrayLike],
        std: Mapping[str, ArrayLike],
        image_size: int,
    ) -> None:
        together = option.sharing != "separate" and len(bands) > 1
        alike = option.sharing == "shared"
        over = Bands(band for own in bands.values() for band in own if alike)
        # pretrained kernels are for visible light
        leader = max(bands, key=lambda name: sum(band.region == "vis" for band in bands[name]))
        built: dict[str, ModalityEncoder] = {}
        for name in [leader, *(n for n in bands if n != leader)] if together else bands:
            like = built.get(leader) if together else None
            built[name] = ModalityEncoder(
                option, bands[name], mean[name], std[name], image_size, over=over, like=like
            )
            if like is not None:
                _check_alike(option, (leader, like.stem), (name, built[name].stem))
                if alike:
                    _share_weights(like.stem, built[name].stem)
        super().__init__(built[name] for name in bands)
        self.together = together
        self.sharing = option.sharing

    def __iter__(self) -> Iterator[ModalityEncoder]:
        return cast("Iterator[ModalityEncoder]", super().__iter__())

    def forward(
        self,
        images: Sequence[Tensor],
        mixed: bool = False,
        present: Sequence[NDArray[np.bool_]] | None = None,
    ) -> list[Features]:
        """`Features` of (N, C, h, w) by modality; zeros where ``present`` (N,) is False."""
        planes = [encoder.planes(x, mixed) for encoder, x in zip(self, images, strict=True)]
        if not self.together:
            every = [None] * len(planes) if present is None else present
            return [_seen(*each) for each in zip(self, planes, every, strict=True)]
        # specimen by specimen, its modalities side by side: an order that is the same on all ranks
        rows = torch.stack(planes, dim=1).flatten(0, 1)
        here = None if present is None else np.stack(present, axis=1).ravel()
        h, grid = _seen(next(iter(self)), rows, here)
        number = len(planes)
        return [Features(h[i::number], grid[i::number]) for i in range(number)]


def of_present(
    net: Callable[[Tensor], Tensor | Sequence[Tensor]],
    rows: Tensor,
    present: NDArray[np.bool_],
    shapes: Sequence[tuple[int, ...]],
) -> list[Tensor]:
    """What a net makes of the rows that are there; zeros for the others, which it never sees.

    Parameters
    ----------
    net
        (n, ...) -> one result, or as many as ``shapes``, n rows each.
    rows, present : (N, ...), (N,)
        The input, and which of it is there.
    shapes
        Of a row of each result.
    """
    kept = placed(np.flatnonzero(present), rows.device)
    # norms that see the rows of all ranks must be called by all of them
    found = net(rows[kept]) if any_rank(len(kept) > 0, rows.device) else None
    found = [found] if isinstance(found, Tensor) else found
    whole = []
    for i, shape in enumerate(shapes):
        if found is None:
            whole.append(rows.new_zeros(len(rows), *shape))
        else:
            whole.append(found[i].new_zeros(len(rows), *shape).index_copy(0, kept, found[i]))
    return whole


def _seen(encoder: ModalityEncoder, planes: Tensor, present: NDArray[np.bool_] | None) -> Features:
    if present is None:
        features: Features = encoder.backbone(planes)
        return features
    shapes = [(encoder.features,), (encoder.features, encoder.grid.rows, encoder.grid.columns)]
    return Features(*of_present(encoder.backbone, planes, present, shapes))


def _check_alike(option: Encoder, first: tuple[str, Stem], other: tuple[str, Stem]) -> None:
    """Refuse stems that do not fit what they are to share."""
    (first_name, a), (other_name, b) = first, other
    ways = "Choose sharing 'separate', or the stem 'adapter' or 'spectral_response' with 'trunk'."
    if len(a.planes) != len(b.planes):
        raise BandMismatchError(
            f"One backbone for all modalities takes as many planes of each, and '{first_name}' "
            f"gives {len(a.planes)}, '{other_name}' {len(b.planes)}. {ways}"
        )
    shapes = [[tuple(p.shape) for p in stem.parameters()] for stem in (a, b)]
    if option.sharing == "shared" and shapes[0] != shapes[1]:
        raise BandMismatchError(
            f"The stem '{option.stem.kind}' can be shared by modalities of as many bands only, "
            f"and '{first_name}' and '{other_name}' differ. {ways}"
        )


def _share_weights(stem: Stem, other: Stem) -> None:
    """Let the other stem have the learned weights of the first; statistics stay its own."""
    for name, weights in stem.named_parameters():
        parent, _, leaf = name.rpartition(".")
        setattr(other.get_submodule(parent), leaf, weights)
