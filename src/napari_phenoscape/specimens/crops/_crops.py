"""Crops: every specimen of a collection as a square of reflectance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cubes import Bands
from napari_phenoscape.errors import CollectionError
from napari_phenoscape.specimens.collection._nuisance import Levels
from napari_phenoscape.specimens.collection._specimens import Skipped
from napari_phenoscape.specimens.crops._mapped import OnDisk
from napari_phenoscape.specimens.crops._statistics import BandStatistics


@dataclass(frozen=True, eq=False)
class Crops:
    """Every specimen, its longest side scaled to S pixels, in the middle of a square.

    Parameters
    ----------
    images : (N, C, S, S) float32
        Reflectance. Around the specimen's box, and where nothing was measured, the band's mean; so
        too in the bands of a modality that the specimen does not have.
    masks : (N, 1, S, S) bool
        True on the specimen.
    ids
        N specimen ids.
    bands
        C bands: those of all modalities, each once.
    modalities
        Name of a modality → (n,) positions of its bands in C.
    present
        Name of a modality → (N,) bool, True where the specimen has its bands.
    mean, std : (C,) float32
        Over the pixels under the mask of all crops, so that a specimen weighs the same however
        many pixels its photograph had. A band that is constant there has std 1. Of crops for a
        trained run: over those that it was trained on.
    stamps
        CRC-32 of each specimen's crop as it was read.
    left_out
        What is in the collection and not here, since it could not be read or lacks the bands.
    level_means : (C,) float32 each
        Name of a level of the nuisance → mean of its specimens as they were photographed. They
        were multiplied by `factors` then, so that theirs is the mean of all. Empty where levels
        are not made alike.
    levels
        Which level each specimen is of; None where no nuisance is named.
    unmeasured
        Bands that specimens have, and that were measured on none of them.
    """

    images: NDArray[np.float32] | OnDisk
    masks: NDArray[np.bool_] | OnDisk
    ids: tuple[str, ...]
    bands: Bands
    modalities: dict[str, NDArray[np.intp]]
    present: dict[str, NDArray[np.bool_]]
    mean: NDArray[np.float32]
    std: NDArray[np.float32]
    stamps: tuple[int, ...] = ()
    left_out: tuple[Skipped, ...] = ()
    level_means: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    levels: Levels | None = None
    unmeasured: tuple[str, ...] = ()

    def row(self, specimen: str) -> int:
        """The number of a specimen among these.

        Raises
        ------
        CollectionError
            It was left out.
        """
        if specimen not in self.ids:
            raise CollectionError(
                f"'{specimen}' was left out of the {len(self.ids)} specimens, as a note said when "
                "they were read. Choose another, or mend it."
            )
        return self.ids.index(specimen)

    def positions(self, space: str) -> NDArray[np.intp]:
        """(n,) of the bands of a modality; of the joint space all C."""
        return self.modalities.get(space, np.arange(len(self.bands)))

    def rows(self, numbers: NDArray[np.intp]) -> Crops:
        """Some of the specimens, by their numbers, in memory."""
        return replace(
            self,
            images=self.images[numbers],
            masks=self.masks[numbers],
            ids=tuple(self.ids[number] for number in numbers),
            present={name: there[numbers] for name, there in self.present.items()},
            stamps=tuple(self.stamps[number] for number in numbers),
            levels=self.levels and self.levels.take(numbers),
            left_out=(),
        )

    def prefetch(self, numbers: NDArray[np.int64]) -> None:
        """Have specimens that are needed soon fetched from the disk, if they lie there."""
        if isinstance(self.images, OnDisk):
            self.images.prefetch(numbers)

    @property
    def folder(self) -> Path | None:
        """Where they are kept; None when they are in memory."""
        return self.images.path.parent if isinstance(self.images, OnDisk) else None

    @property
    def statistics(self) -> dict[str, BandStatistics]:
        """Name of a modality → its bands, their mean and standard deviation."""
        return {
            name: BandStatistics(
                self.bands.take(index),
                tuple(self.mean[index].tolist()),
                tuple(self.std[index].tolist()),
            )
            for name, index in self.modalities.items()
        }

    @property
    def level_statistics(self) -> dict[str, dict[str, BandStatistics]]:
        """Name of a level → `statistics` with the mean of its specimens as photographed."""
        return {
            level: replace(self, mean=mean).statistics for level, mean in self.level_means.items()
        }

    @property
    def factors(self) -> NDArray[np.float32]:
        """(N, C) by which each specimen was multiplied: 1 where its level is not made alike.

        And in a band without a positive mean, whose factor would say nothing.
        """
        found = np.ones((len(self.ids), len(self.bands)), np.float32)
        if self.levels is not None:
            for level, mean in self.level_means.items():
                if level in self.levels.names:
                    found[self.levels.rows(level)] = factors_to(self.mean, mean)
        return found

    def standardised_as(
        self,
        known: Mapping[str, BandStatistics],
        levels: Mapping[str, Mapping[str, BandStatistics]] = MappingProxyType({}),
    ) -> Crops:
        """The same crops with the mean and standard deviation that a run knows of its modalities.

        And with those that it knows of ``levels``. In bands without wavelengths that it does not
        know, they stay.
        """
        means = dict(self.level_means)
        for level, of in levels.items():
            own_level = replace(self, mean=means.get(level, self.mean), level_means={})
            means[level] = own_level.standardised_as(of).mean
        mean, std = self.mean.copy(), self.std.copy()
        for name, own in self.statistics.items():
            there = known[name].at(own.bands) if name in known else None
            if there is not None:
                mean[self.modalities[name]], std[self.modalities[name]] = there.mean, there.std
        return replace(self, mean=mean, std=std, level_means=means)

    @property
    def measured(self) -> NDArray[np.bool_]:
        """(C,) True for the bands that any specimen has."""
        found = np.zeros(len(self.bands), dtype=np.bool_)
        for name, index in self.modalities.items():
            found[index] |= self.present[name].any()
        return found

    @property
    def lacking(self) -> str:
        """How many specimens lack which modality, in sentences; empty when none does."""
        return without(self.present, self.ids)


def without(present: Mapping[str, NDArray[np.bool_]], ids: Sequence[str]) -> str:
    """How many of N specimens lack which modality, of (N,) who has it."""
    absent = {name: np.flatnonzero(~there) for name, there in present.items()}
    return " ".join(
        f"Without the modality '{name}': {len(numbers)} of {len(ids)} specimens, e.g. "
        f"'{ids[numbers[0]]}'."
        for name, numbers in absent.items()
        if len(numbers)
    )


def factors_to(mean: NDArray[np.float32], own: NDArray[np.float32]) -> NDArray[np.float32]:
    """(C,) by which bands of a mean are multiplied to have another; 1 where one is not positive."""
    found: NDArray[np.float32] = np.ones_like(mean)
    np.divide(mean, own, out=found, where=(mean > 0) & (own > 0))
    return found
