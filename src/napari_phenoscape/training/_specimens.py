"""Specimens: found and prepared as an experiment asks for, or as a run knows them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import cast

import numpy as np
from psutil import virtual_memory

from napari_phenoscape.cubes import Modality, as_modality
from napari_phenoscape.events import Event, Notice
from napari_phenoscape.specimens import (
    Collection,
    CropRequest,
    Crops,
    collect,
    kept,
    key_of,
    prepare,
)
from napari_phenoscape.training._checkpoint import State, last_checkpoint, read_state
from napari_phenoscape.training._experiment import Experiment
from napari_phenoscape.training._looks import BATCH
from napari_phenoscape.training._run import read_experiment

#: Side of the prepared crops over the side of a view, so that a zoomed-in view is still sharp.
CANVAS = 1.25

#: Folder of prepared crops among the runs.
PREPARED = ".prepared"

#: Specimens of a part at most, and bytes that they may take; whole batches in any case. The next
#: part is read while one is computed: of more and smaller ones less is waited for.
PART, PART_BYTES = 256, 1 << 27


def canvas_size(experiment: Experiment) -> int:
    """Side in pixels of the crops that views are cut from."""
    return round(CANVAS * experiment.image_size)


def specimens_of(
    experiment: Experiment,
    *,
    keep: bool = False,
    known: State | None = None,
) -> Generator[Event, None, tuple[Collection, Crops]]:
    """Find and read the specimens of an experiment; see `crops_of`.

    Returns
    -------
    Those that could be read, and their crops, in the same order.
    """
    collection = yield from collect(experiment.collection)
    crops = yield from crops_of(experiment, collection, keep=keep, known=known)
    return collection.take(crops.ids), crops


def crops_for(run: Path, collection: Collection) -> Generator[Event, None, Crops]:
    """Specimens as the newest checkpoint of a run takes them, its own or others.

    They are standardised and filled as those that it was trained on. All of the others may lack a
    modality of the run, e.g. be photographs in RGB.
    """
    known = read_state(last_checkpoint(run))
    return (yield from crops_of(read_experiment(run), collection, known=known))


def crops_of(
    experiment: Experiment,
    collection: Collection,
    *,
    keep: bool = False,
    known: State | None = None,
    part: bool = False,
) -> Generator[Event, None, Crops]:
    """Specimens as an experiment prepares them.

    ``keep`` writes them to disk in any case; ``known`` is what a run knows of its modalities and
    of the levels of the nuisance. ``part``: of a collection; in memory, however few they are.
    """
    from napari_phenoscape.training.parallel._runtime import world

    # refused before a pixel is read
    levels, nuisance = None, experiment.nuisance
    if known is None:
        levels = yield from nuisance.judged(collection.metadata)
    elif known.alike:
        levels = nuisance.of(collection.metadata)
    here = world()
    crops = yield from prepare(
        collection,
        _modalities(experiment),
        canvas_size(experiment),
        experiment.preparation,
        None if part else _folder(experiment),
        keep=keep,
        processes=here[0] if here else 1,
        known=known.statistics if known else {},
        levels=levels if nuisance.bands else None,
        known_levels=known.levels if known else {},
        fewest=1 if part else 2,
        threads=experiment.runtime.threads,
    )
    if levels is None:
        return crops
    numbers = {specimen.id: number for number, specimen in enumerate(collection.specimens)}
    own = levels.take([numbers[name] for name in crops.ids])
    if words := own.words(known.known_levels if known else ()):
        yield Notice(f"'{nuisance.name}' stays as it is here: {words}.")
    return replace(crops, levels=own)


@dataclass(frozen=True, eq=False)
class CropsInParts:
    """The crops of a collection as the newest checkpoint of a run takes them, a part at a time.

    Parameters
    ----------
    experiment, known
        Of the run.
    collection
        N specimens.
    whole
        The crops of all, where these are few, prepared on disk, or of levels that are made alike;
        None: a part is read when it is asked for.
    """

    experiment: Experiment
    known: State
    collection: Collection
    whole: Crops | None

    def __len__(self) -> int:
        """Parts."""
        return -(-len(self.collection.specimens) // self.size)

    @cached_property
    def size(self) -> int:
        """Specimens of a part, but for the last: whole batches, which the same memory holds."""
        return _part_size(self.experiment, self.known)

    @property
    def room(self) -> bool:
        """Whether the memory has room for two parts at once."""
        needed = 2 * self.size * _crop_bytes(self.experiment, self.known)
        return needed <= self.experiment.preparation.memory_share * virtual_memory().available

    def numbers(self, part: int) -> slice:
        """The specimens of a part."""
        return slice(part * self.size, min((part + 1) * self.size, len(self.collection.specimens)))

    def of(self, part: int) -> Collection:
        """The collection of a part."""
        return self.collection.rows(self.numbers(part))

    def key(self, part: int) -> str:
        """Hexadecimal digits that change when the crops of a part would."""
        if self.whole is not None:
            return f"{self._whole_key}{part:08x}"
        return key_of(_request(self.experiment, self.of(part), self.known))

    @cached_property
    def _whole_key(self) -> str:
        assert self.whole is not None
        told = json.dumps([self.whole.ids, self.whole.stamps, str(self.whole.statistics)])
        return hashlib.sha256(told.encode()).hexdigest()[:16]

    def crops(self, part: int) -> Generator[Event, None, Crops]:
        """Those of a part; what is left out of it is told by nobody yet, if `whole` is None.

        Raises
        ------
        TooFewError
            None of them can be used.
        """
        return (yield from self.some(self.of(part)))

    def some(self, collection: Collection) -> Generator[Event, None, Crops]:
        """The crops of other specimens of the collection than a part."""
        if self.whole is not None:
            rows = [self._rows[one.id] for one in collection.specimens if one.id in self._rows]
            return self.whole.rows(np.array(rows, np.intp))
        reading = crops_of(self.experiment, collection, known=self.known, part=True)
        while True:
            try:
                event = next(reading)
            except StopIteration as end:
                return cast(Crops, end.value)
            if not isinstance(event, Notice):
                yield event

    @cached_property
    def _rows(self) -> dict[str, int]:
        assert self.whole is not None
        return {specimen: row for row, specimen in enumerate(self.whole.ids)}


def crops_in_parts(run: Path, collection: Collection) -> Generator[Event, None, CropsInParts]:
    """The crops of a collection for a run, read a part at a time where that can be.

    Raises
    ------
    PhenoscapeError
        As `crops_for`, of which all are read.
    """
    experiment, known = read_experiment(run), read_state(last_checkpoint(run))
    many = len(collection.specimens) > _part_size(experiment, known) and not known.alike
    whole = None
    if many:
        there, _, _ = kept(_request(experiment, collection, known), _folder(experiment))
        many = there is None
    if not many:
        whole = yield from crops_of(experiment, collection, known=known)
    return CropsInParts(experiment, known, collection, whole)


def _part_size(experiment: Experiment, known: State) -> int:
    return max(1, min(PART, PART_BYTES // _crop_bytes(experiment, known)) // BATCH) * BATCH


def _crop_bytes(experiment: Experiment, known: State) -> int:
    bands = sum(len(of.bands) for of in known.statistics.values())
    return canvas_size(experiment) ** 2 * (4 * bands + 1)


def _modalities(experiment: Experiment) -> list[Modality]:
    return [as_modality(given) for given in experiment.modalities]


def _request(experiment: Experiment, collection: Collection, known: State) -> CropRequest:
    """The crops of specimens whose levels are not made alike."""
    modalities, size = _modalities(experiment), canvas_size(experiment)
    return CropRequest(collection, modalities, size, experiment.preparation, known.statistics)


def _folder(experiment: Experiment) -> Path:
    """Where prepared crops are kept."""
    return experiment.preparation.folder or experiment.runs / PREPARED
