"""Specimens: found and prepared as an experiment asks for, or as a run knows them."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from pathlib import Path
from types import MappingProxyType

from napari_phenoscape.cubes import as_modality
from napari_phenoscape.events import Event
from napari_phenoscape.specimens import (
    BandStatistics,
    Collection,
    Crops,
    collect,
    prepare,
)
from napari_phenoscape.training._checkpoint import last_checkpoint, read_state
from napari_phenoscape.training._experiment import Experiment
from napari_phenoscape.training._run import read_experiment

#: Side of the prepared crops over the side of a view, so that a zoomed-in view is still sharp.
CANVAS = 1.25

#: Folder of prepared crops among the runs.
PREPARED = ".prepared"


def canvas_size(experiment: Experiment) -> int:
    """Side in pixels of the crops that views are cut from."""
    return round(CANVAS * experiment.image_size)


def specimens_of(
    experiment: Experiment,
    *,
    keep: bool = False,
    known: Mapping[str, BandStatistics] = MappingProxyType({}),
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
    known = read_state(last_checkpoint(run)).statistics
    return (yield from crops_of(read_experiment(run), collection, known=known))


def crops_of(
    experiment: Experiment,
    collection: Collection,
    *,
    keep: bool = False,
    known: Mapping[str, BandStatistics] = MappingProxyType({}),
) -> Generator[Event, None, Crops]:
    """Specimens as an experiment prepares them.

    ``keep`` writes them to disk in any case; ``known`` is what a run knows of its modalities, as
    `prepare` takes it.
    """
    from napari_phenoscape.training.parallel._runtime import world

    modalities = [as_modality(given) for given in experiment.modalities]
    folder = experiment.preparation.folder or experiment.runs / PREPARED
    here = world()
    return (
        yield from prepare(
            collection,
            modalities,
            canvas_size(experiment),
            experiment.preparation,
            folder,
            keep=keep,
            processes=here[0] if here else 1,
            known=known,
        )
    )
