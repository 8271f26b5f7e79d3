"""What the Clusters dock asks for, and the verbs that it runs beside the window."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from napari_phenoscape.embeddings import (
    Clusters,
    Embeddings,
    cluster,
    clusters_path,
    read_clusters,
    read_spaces,
    reduce,
    write_clusters,
)
from napari_phenoscape.errors import MissingFileError
from napari_phenoscape.events import Event, Progress
from napari_phenoscape.option import Option
from napari_phenoscape.training import (
    EXPERIMENT,
    PCA,
    Grouping,
    Reduction,
    keep_grouping,
    read_experiment,
)
from napari_phenoscape.widgets._overlay import Ground, ground_of

T = TypeVar("T")


class Embedding(Option):
    """Which run embeds the specimens."""

    run: Path = Field(description="run directory", json_schema_extra={"picks": "folder"})
    untrained: bool = Field(
        False, description="the control: the same net with the weights that training began with"
    )


@dataclass(frozen=True, eq=False)
class Map:
    """Places of the specimens on a plane.

    Parameters
    ----------
    xy : (N, 2)
        One row per row of ``embeddings``; unitless.
    method
        The name of what made it.
    embeddings
        Whose map it is.
    """

    xy: NDArray[np.float32]
    method: str
    embeddings: Embeddings


@dataclass(frozen=True, eq=False)
class Grouped:
    """Embeddings with their clusters, a first map, and the picture that shows the specimens."""

    run: Path
    clusters: Clusters
    map: Map
    ground: Ground


def read_run(run: Path) -> tuple[dict[str, Embeddings], Clusters | None]:
    """The embeddings of a run by space, the joint one last, and its clusters if it has any."""
    if not (run / "embeddings").is_dir():
        raise MissingFileError(
            f"'{run}' holds no embeddings yet. Press 'Embed' to make them from its checkpoint."
        )
    spaces = read_spaces(run)
    shown = spaces.get(read_experiment(run).grouping.space, list(spaces.values())[-1])
    path = clusters_path(run, shown)
    return spaces, read_clusters(path) if path.is_file() else None


def located(run: Path, verb: Generator[Event, None, T]) -> Generator[Event, None, T]:
    """A verb on the specimens of a run; when they are not here, the error says the way out."""
    try:
        return (yield from verb)
    except MissingFileError as error:
        if not (run / EXPERIMENT).is_file() or read_experiment(run).collection.path.exists():
            raise
        raise MissingFileError(
            f"The specimens that '{run}' was trained on are not here. {error} Write where they are "
            f"into '{run / EXPERIMENT}', as the path of its collection."
        ) from None


def group(
    run: Path,
    embeddings: Embeddings,
    grouping: Grouping,
    previous: Clusters | None,
    known: Clusters | None,
    ground: Ground | None,
) -> Generator[Event, None, Grouped]:
    """Cluster the embeddings of a run, write the clusters, and draw the first map by PCA.

    Parameters
    ----------
    grouping
        By what; it becomes that of the run's experiment.
    previous
        Whose numbers, names and colours carry over.
    known
        Clusters that are taken as they are, if they are of these specimens.
    ground
        The picture of the specimens, when it is at hand.
    """
    method, seed = grouping.method, grouping.seed
    yield Progress("clustering", 0, 1)
    if known is None or known.specimens != embeddings.ids:
        before, space = known or previous, embeddings.space
        known = cluster(embeddings.x, embeddings.ids, method, seed, before, space)
        write_clusters(known, clusters_path(run, embeddings))
        keep_grouping(run, grouping)
    ground = ground or (yield from located(run, ground_of(run, embeddings)))
    return Grouped(run, known, Map(reduce(embeddings.x, PCA(), seed), "pca", embeddings), ground)


def map_of(embeddings: Embeddings, method: Reduction, seed: int) -> Generator[Event, None, Map]:
    """The map by the method that was asked for."""
    yield Progress(f"drawing the map ({method.kind})", 0, 1)
    return Map(reduce(embeddings.x, method, seed), method.kind, embeddings)
