"""Specimens: found and prepared as an experiment asks for, or as a run knows them."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

from napari_phenoscape.cubes import as_modality
from napari_phenoscape.events import Event, Notice
from napari_phenoscape.specimens import (
    Collection,
    Crops,
    collect,
    prepare,
)
from napari_phenoscape.training._checkpoint import State, last_checkpoint, read_state
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
) -> Generator[Event, None, Crops]:
    """Specimens as an experiment prepares them.

    ``keep`` writes them to disk in any case; ``known`` is what a run knows of its modalities and
    of the levels of the nuisance.
    """
    from napari_phenoscape.training.parallel._runtime import world

    # refused before a pixel is read
    levels, nuisance = None, experiment.nuisance
    if known is None:
        levels = yield from nuisance.judged(collection.metadata)
    elif known.alike:
        levels = nuisance.of(collection.metadata)
    modalities = [as_modality(given) for given in experiment.modalities]
    folder = experiment.preparation.folder or experiment.runs / PREPARED
    here = world()
    crops = yield from prepare(
        collection,
        modalities,
        canvas_size(experiment),
        experiment.preparation,
        folder,
        keep=keep,
        processes=here[0] if here else 1,
        known=known.statistics if known else {},
        levels=levels if nuisance.bands else None,
        known_levels=known.levels if known else {},
    )
    if levels is None:
        return crops
    numbers = {specimen.id: number for number, specimen in enumerate(collection.specimens)}
    own = levels.take([numbers[name] for name in crops.ids])
    if words := own.words(known.known_levels if known else ()):
        yield Notice(f"'{nuisance.name}' stays as it is here: {words}.")
    return replace(crops, levels=own)
