"""Look: from a folder of specimens, or a drawer, to clusters, a figure and a table, in one go."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeVar

from napari_phenoscape._remote import address, here
from napari_phenoscape.analysis._cluster_run import cluster_run
from napari_phenoscape.embeddings import (
    Clusters,
    Embeddings,
    clusters_path,
    embed,
    export_table,
)
from napari_phenoscape.errors import CollectionError
from napari_phenoscape.events import Event, Notice, Saved
from napari_phenoscape.specimens import Collection, Source, collect, source_at
from napari_phenoscape.training import (
    Experiment,
    ExperimentPresetName,
    crops_of,
    experiment_for,
    run_near,
    train,
)

T = TypeVar("T")

#: Two can always be told apart, and say nothing about a third.
FEWEST = 3

TABLE = "specimens.csv"


@dataclass(frozen=True, eq=False)
class Look:
    """What was seen at a first look.

    Parameters
    ----------
    run
        Its directory.
    experiment
        All that was chosen, as ``experiment.yaml`` in the run says it.
    collection
        What was found, and left out.
    embeddings
        Of the space that is clustered.
    clusters
        Of the N specimens, with `Clusters.choice`, why there are so many.
    figure, table
        PNG of sheet, map and curve; CSV of a row per specimen with cluster and metadata.
    """

    run: Path
    experiment: Experiment
    collection: Collection
    embeddings: Embeddings
    clusters: Clusters
    figure: Path
    table: Path


def look(
    given: Path | Source,
    runs: Path = Path("runs"),
    said: Mapping[str, Any] = MappingProxyType({}),
) -> Generator[Event, None, Look]:
    """Collect, embed without training, choose the number of clusters, cluster and draw.

    Parameters
    ----------
    given
        A folder, a cube that shows many specimens, or a source that says more about them.
    runs
        Folder that holds the run directories.
    said
        Settings of the source that what lies at `given` does not tell, such as ``white_region``.

    Raises
    ------
    MissingFileError, CollectionError
        There is nothing to compare at `given`; see `source_at` and `collect`.
    OptionError
        The source has no such setting.
    """
    return (yield from _each_once(_look(given, runs, said)))


def _look(
    given: Path | Source, runs: Path, said: Mapping[str, Any]
) -> Generator[Event, None, Look]:
    experiment, collection = yield from proposed(given, runs, said)
    run = yield from train(experiment)
    spaces = yield from embed(run)
    embeddings = list(spaces.values())[-1]
    clusters = yield from cluster_run(run)
    table = run / TABLE
    export_table(embeddings, table, clusters)
    yield Saved(table)
    figure = clusters_path(run, embeddings).with_suffix(".png")
    return Look(run, experiment, collection, embeddings, clusters, figure, table)


def proposed(
    given: Path | Source,
    runs: Path = Path("runs"),
    said: Mapping[str, Any] = MappingProxyType({}),
    *,
    preset: ExperimentPresetName = "look",
) -> Generator[Event, None, tuple[Experiment, Collection]]:
    """The experiment that fits specimens, and these, found and prepared; see `experiment_for`.

    Parameters
    ----------
    given, runs, said
        As `look` takes them.
    preset
        How much to compute.
    """
    here(runs)
    if isinstance(given, Path):
        _refuse_run(given)
    if isinstance(given, Path):
        source = yield from source_at(given, said)
    else:
        source = given.parse(given.model_dump() | dict(said)) if said else given
    collection = yield from collect(source)
    number = len(collection.specimens)
    if number < FEWEST:
        raise CollectionError(
            f"'{address(source.path)}' holds {number} specimens, and {FEWEST} or more were "
            "expected, since it takes as many to tell any apart. Add some; where each file shows "
            "many, name one of the files."
        )
    experiment = experiment_for(collection, preset, runs=runs)
    # once on disk, for all that follows
    crops = yield from crops_of(experiment, collection, keep=True)
    yield Notice(
        f"{len(crops.ids)} specimens, compared in '{experiment.modalities[0]}' "
        f"({len(crops.bands)} bands), in views of {experiment.image_size} pixels."
    )
    return experiment, collection


def _refuse_run(path: Path) -> None:
    run = run_near(path)
    if run is not None and path.absolute().is_relative_to(run.absolute()):
        raise CollectionError(
            f"'{path}' belongs to the run '{run.name}', and specimens were expected. Name their "
            f"folder, or look into the run with `phenoscape cluster {run}`."
        )


def _each_once(verb: Generator[Event, None, T]) -> Generator[Event, None, T]:
    """A verb that collects the same specimens again and again, each notice told once."""
    told = set()
    try:
        while True:
            event = next(verb)
            if isinstance(event, Notice):
                if event in told:
                    continue
                told.add(event)
            yield event
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]
    finally:
        verb.close()
