"""What the Clusters dock asks for, and the verbs that it runs beside the window."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np
from pydantic import Field

from napari_phenoscape.embeddings import (
    PCA,
    UMAP,
    AnyClustering,
    AnyReduction,
    Embeddings,
    KMeans,
    cluster,
    embed,
    embeddings_path,
    read_clusters,
    read_embeddings,
    reduce,
    thumbnails,
    write_clusters,
    write_embeddings,
)
from napari_phenoscape.errors import MissingFileError
from napari_phenoscape.events import Event, Progress
from napari_phenoscape.option import Option
from napari_phenoscape.specimens import Drawer, collect
from napari_phenoscape.training import EXPERIMENT, crops_of, read_experiment
from napari_phenoscape.widgets._clustered import (
    Backdrop,
    ClusteredRun,
    EmbeddedRun,
    Projection2D,
    rows_in,
)

#: Side in pixels of a specimen on the contact sheet.
THUMBNAIL = 64

T = TypeVar("T")


class Embedding(Option):
    """Which run embeds the specimens."""

    run: Path = Field(description="run directory", json_schema_extra={"picks": "folder"})
    untrained: bool = Field(
        False, description="the control: the same net with the weights that training began with"
    )


class Grouping(Option):
    """How the embeddings are grouped and drawn."""

    clusters: AnyClustering = KMeans()
    map: AnyReduction = UMAP()


def opened(run: Path) -> Generator[Event, None, EmbeddedRun]:
    """The embeddings of a run, and its clusters if it has any."""
    yield Progress("reading the run", 0, 1)
    joint = embeddings_path(run)
    paths = [path for path in sorted(run.glob("embeddings*.parquet")) if path != joint]
    every = [read_embeddings(path) for path in [*paths, joint] if path.is_file()]
    if not every:
        raise MissingFileError(
            f"'{run}' holds no embeddings yet. Press 'Embed' to make them from its checkpoint."
        )
    path = run / "clusters.parquet"
    clusters = read_clusters(path) if path.is_file() else None
    return EmbeddedRun(run, {item.space: item for item in every}, clusters=clusters)


def embedded(chosen: Embedding) -> Generator[Event, None, EmbeddedRun]:
    """The specimens of a run, embedded now."""
    spaces = yield from located(chosen.run, embed(chosen.run, untrained=chosen.untrained))
    return EmbeddedRun(chosen.run, spaces, chosen.untrained)


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
    embedded: EmbeddedRun,
    space: str,
    method: AnyClustering,
    previous: ClusteredRun | None,
    *,
    anew: bool,
) -> Generator[Event, None, ClusteredRun]:
    """Cluster the embeddings of a run, write the clusters, and draw the first map, by PCA.

    Parameters
    ----------
    previous
        Whose numbers, names and colours carry over to the same specimens, and whose picture is
        taken when it is of these embeddings.
    anew
        Else the clusters that the run was opened with are taken, if they are of this space.
    """
    run, embeddings = embedded.run, embedded.spaces[space]
    seed = read_experiment(run).seed
    yield Progress("clustering", 0, 1)
    ids = tuple(embeddings.table["specimen"])
    clusters = embedded.clusters
    if anew or clusters is None or clusters.specimens != ids or clusters.space not in ("", space):
        if previous is not None and previous.is_of_specimens_of(embeddings):
            clusters = previous.clusters
        clusters = cluster(embeddings.x, ids, method, seed, clusters, space)
        write_clusters(clusters, run / "clusters.parquet")
    if previous is not None and previous.embeddings in embedded.spaces.values():
        backdrop = previous.backdrop
    else:
        backdrop = yield from located(run, backdrop_of(run, embeddings))
    return ClusteredRun(run, embeddings, clusters, project(embedded, space, PCA(), seed), backdrop)


def mapped(
    embedded: EmbeddedRun, space: str, method: AnyReduction
) -> Generator[Event, None, tuple[Embeddings, Projection2D]]:
    """The map by the method that was asked for, and whose it is."""
    yield Progress(f"drawing the map ({method.kind})", 0, 1)
    seed = read_experiment(embedded.run).seed
    return embedded.spaces[space], project(embedded, space, method, seed)


def project(embedded: EmbeddedRun, space: str, method: AnyReduction, seed: int) -> Projection2D:
    """A map of one space."""
    control = ", untrained" if embedded.untrained else ""
    xy = reduce(embedded.spaces[space].x, method, seed)
    return Projection2D(xy, f"{method.kind} of {space}{control}")


def backdrop_of(run: Path, embeddings: Embeddings) -> Generator[Event, None, Backdrop]:
    """The picture of the embedded specimens, whatever was added to their folder since."""
    experiment = read_experiment(run)
    source = embeddings.source or experiment.collection
    collection = yield from collect(source)
    rows = rows_in([specimen.id for specimen in collection.specimens], embeddings)
    boxes = np.array([specimen.box for specimen in collection.specimens])[rows]
    sides = np.maximum(boxes[:, 1] - boxes[:, 0], boxes[:, 3] - boxes[:, 2]).astype(np.float64)
    centres = (boxes[:, [0, 2]] + boxes[:, [1, 3]] - 1) / 2
    if isinstance(source, Drawer):
        return Backdrop(None, collection.specimens[0].path, centres, sides)
    crops = yield from crops_of(experiment, collection)
    return Backdrop(thumbnails(crops, THUMBNAIL)[rows], None, centres, sides)


def export(clustered: ClusteredRun, path: Path) -> None:
    """Write file name, embedding, cluster and metadata of every specimen (.csv or .parquet)."""
    clusters, embeddings = clustered.clusters, clustered.embeddings
    numbers = clusters.labels.tolist()
    names = [clusters.names[number] for number in numbers]
    table = embeddings.table.assign(cluster=numbers, cluster_name=names)
    write_embeddings(replace(embeddings, table=table), path)
