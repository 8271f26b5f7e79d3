"""Report of a run: its clusters, with a figure."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

from napari_phenoscape.analysis._figures import Panel, cluster_figure
from napari_phenoscape.embeddings import (
    Clusters,
    cluster,
    embedded_specimens,
    embeddings_path,
    false_colour,
    read_clusters,
    read_embeddings,
    reduce,
    thumbnails,
    write_clusters,
)
from napari_phenoscape.events import Event, Saved
from napari_phenoscape.training import Grouping, keep_grouping, read_experiment

#: Side in pixels of a specimen on a contact sheet.
THUMBNAIL = 64


def cluster_run(
    run: Path, grouping: Grouping | None = None, *, untrained: bool = False
) -> Generator[Event, None, Clusters]:
    """Cluster the embeddings of a run; ``clusters.parquet`` and ``clusters.png`` into the run.

    Names and colours carry over from the ``clusters.parquet`` that is there.

    Parameters
    ----------
    grouping
        Instead of that of the run's experiment, whose place it takes.
    """
    grouping = grouping or read_experiment(run).grouping
    embeddings = read_embeddings(embeddings_path(run, grouping.space, untrained))
    path = run / "clusters.parquet"
    specimens = tuple(embeddings.table["specimen"])
    previous = read_clusters(path) if path.is_file() else None
    found = cluster(
        embeddings.x, specimens, grouping.method, grouping.seed, previous, embeddings.space
    )
    panel = yield from cluster_panel(run, found, grouping, untrained=untrained)
    keep_grouping(run, grouping)
    write_clusters(found, path)
    yield Saved(path)
    figure = run / "clusters.png"
    cluster_figure([panel], figure)
    yield Saved(figure)
    return found


def cluster_panel(
    run: Path,
    clusters: Clusters,
    grouping: Grouping,
    *,
    untrained: bool = False,
    title: str = "",
    note: str = "",
) -> Generator[Event, None, Panel]:
    """Contact sheet and map of a clustered run, for a figure.

    The specimens are shown in UV false colour where the net saw visible light and UV.
    """
    embeddings = read_embeddings(embeddings_path(run, grouping.space, untrained))
    xy = reduce(embeddings.x, grouping.map, grouping.seed)
    crops = yield from embedded_specimens(run, embeddings)
    shown = false_colour(crops)
    if shown:
        note = f"{note}. Shown in UV false colour: green, blue and UV as red, green and blue"
    return Panel(
        title=title or f"{run.name}, {embeddings.space}",
        thumbnails=thumbnails(crops, THUMBNAIL, shown),
        xy=xy,
        clusters=clusters,
        note=note.removeprefix(". "),
    )
