"""SimCLR: an encoder per modality, their fusion, and a projection head for each of these."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from napari_phenoscape.cube import Band
from napari_phenoscape.encoders.backbone import Features, ModalityEncoder
from napari_phenoscape.encoders.fusion import fusion
from napari_phenoscape.encoders.heads import patch_head, projection_head
from napari_phenoscape.encoders.stem import ResponseCurves
from napari_phenoscape.errors import OptionError
from napari_phenoscape.experiment import Experiment
from napari_phenoscape.losses import LocalPatches

#: The space of several modalities fused.
JOINT = "joint"


class Representations(NamedTuple):
    """What the net makes of N images, by space: each modality, and ``joint`` if several.

    Parameters
    ----------
    h : (N, D) each
        Features; these are the embeddings.
    z : (N, P) each
        Projections; these are what the loss compares.
    patches : (N, Q, P) each
        Projections of single cells of the grids, by modality; empty when none were asked for.
    """

    h: dict[str, Tensor]
    z: dict[str, Tensor]
    patches: dict[str, Tensor]


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
        bands: Mapping[str, Sequence[Band]],
        mean: Mapping[str, ArrayLike],
        std: Mapping[str, ArrayLike],
    ) -> None:
        super().__init__()
        self.modalities = tuple(bands)
        # lists, because a modality's name (vis+nir, my.bands) need not be a legal module name
        encoders = [
            ModalityEncoder(
                experiment.encoder, bands[name], mean[name], std[name], experiment.image_size
            )
            for name in self.modalities
        ]
        self.encoders = nn.ModuleList(encoders)
        self.frozen = experiment.encoder.rate == 0
        if self.frozen:
            self.encoders.requires_grad_(False)
        widths = [encoder.features for encoder in encoders]
        several = len(widths) > 1
        self.fusion = fusion(experiment.fusion, widths[0], len(widths)) if several else None
        if self.fusion is not None:
            widths.append(self.fusion.features)
        self.heads = nn.ModuleList(projection_head(experiment.head, width) for width in widths)
        self.patch_heads = nn.ModuleList()
        if any(isinstance(loss, LocalPatches) for loss in experiment.losses):
            if min(self.grid) < 2:
                raise OptionError(
                    f"'{experiment.encoder.backbone}' sees an image of {experiment.image_size} px "
                    f"as {' × '.join(map(str, self.grid))} patches, and the loss 'local_patches' "
                    "needs 2 × 2 to tell from each other. Enlarge image_size, or remove this loss."
                )
            for encoder in encoders:
                self.patch_heads.append(patch_head(experiment.head, encoder.features))

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of the grid in which the encoders see a view."""
        grid: tuple[int, int] = next(encoder.grid for encoder in self.encoders)  # type: ignore[assignment]
        return grid

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
            if not isinstance(stem, ResponseCurves):
                return None
            own = stem.matrix()
            index = torch.as_tensor(places[name], device=own.device)
            rows.append(own.new_zeros(len(own), bands).index_copy(1, index, own))
        mix = torch.cat(rows)
        return mix if len(mix) < bands else None

    def planes(self, mixed: Tensor) -> dict[str, Tensor]:
        """What the backbones take, of (N, planes of all modalities, h, w) that `mix` made."""
        stems = [encoder.stem for encoder in self.encoders]
        offsets = [stem.offset() for stem in stems if isinstance(stem, ResponseCurves)]
        parts = mixed.split([len(offset) for offset in offsets], dim=1)  # type: ignore[no-untyped-call]
        return {
            name: part - offset[:, None, None]
            for name, part, offset in zip(self.modalities, parts, offsets, strict=True)
        }

    def forward(
        self, images: Mapping[str, Tensor], mixed: bool = False, cells: Tensor | None = None
    ) -> Representations:
        """Features and projections of (N, C, h, w) reflectance, or of `planes`, by modality.

        ``cells`` (N, Q): which cells of the grids to project too.
        """
        h, places = self.features(images, mixed, cells)
        return Representations(h, *self.project(h, places))

    def embed(self, images: Mapping[str, Tensor], mixed: bool = False) -> dict[str, Tensor]:
        """Features alone."""
        return self.features(images, mixed)[0]

    def features(
        self, images: Mapping[str, Tensor], mixed: bool = False, cells: Tensor | None = None
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """(N, D) by space, and (N, Q, D) of some cells of the grids by modality."""
        pairs = zip(self.modalities, self.encoders, strict=True)
        seen: dict[str, Features] = {name: encoder(images[name], mixed) for name, encoder in pairs}
        h = {name: features.h for name, features in seen.items()}
        if self.fusion is not None:
            h[JOINT] = self.fusion(tuple(seen.values()))
        if cells is None:
            return h, {}
        places = {
            name: features.grid.flatten(2).mT.take_along_dim(cells[..., None], 1)
            for name, features in seen.items()
        }
        return h, places

    def project(
        self, h: Mapping[str, Tensor], places: Mapping[str, Tensor]
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Projections of what `features` gives: (N, P) by space, and (N, Q, P) by modality."""
        z = {name: head(h[name]) for name, head in zip(self.spaces, self.heads, strict=True)}
        heads = zip(self.modalities, self.patch_heads, strict=True) if places else ()
        return z, {name: head(places[name]) for name, head in heads}


class BandEncoder(nn.Module):
    """The features of a net by itself, from an image of all bands; no heads.

    Parameters
    ----------
    net
        Trained.
    places
        Each modality's bands among the C of the images.
    """

    def __init__(self, net: SimCLR, places: Mapping[str, Sequence[int]]) -> None:
        super().__init__()
        self.net = net
        self.net.heads = nn.ModuleList()
        self.net.patch_heads = nn.ModuleList()
        self.places = {name: list(index) for name, index in places.items()}

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """(N, C, h, w) reflectance -> (N, D) by space."""
        return self.net.embed({name: images[:, index] for name, index in self.places.items()})
