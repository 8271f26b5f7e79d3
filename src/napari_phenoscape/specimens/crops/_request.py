"""CropRequest: all that the crops of a collection are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from napari_phenoscape.cubes import Modality
from napari_phenoscape.specimens.collection._nuisance import Levels
from napari_phenoscape.specimens.collection._specimens import Collection
from napari_phenoscape.specimens.crops._preparation import Preparation
from napari_phenoscape.specimens.crops._statistics import BandStatistics


@dataclass(frozen=True, eq=False)
class CropRequest:
    """Which crops are asked for; two of one request have the same numbers. See `prepare`."""

    collection: Collection
    modalities: Sequence[Modality]
    size: int
    preparation: Preparation = field(default_factory=Preparation)
    known: Mapping[str, BandStatistics] = field(default_factory=dict)
    levels: Levels | None = None
    known_levels: Mapping[str, Mapping[str, BandStatistics]] = field(default_factory=dict)
