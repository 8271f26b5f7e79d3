"""A run's clusters, made and shown in a figure."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

from napari_phenoscape.analysis._figures import Panel, cluster_figure, shown_specimens
from napari_phenoscape.embeddings import (
    Clusters,
    Embeddings,
    cluster,
    clusters_path,
    false_colour,
    read_clusters,
    read_embeddings,
    reduce,
    some_specimens,
    thumbnails,
    write_clusters,
)
from napari_phenoscape.events import Event, Progress, Saved
from napari_phenoscape.specimens import Source
from napari_phenoscape.training import Grouping, keep_grouping, read_experiment

#: Side in pixels of a specimen on a contact sheet.
THUMBNAIL = 64


def cluster_run(
    run: Path,
    grouping: Grouping | None = None,
    *,
    source: Source | None = None,
    untrained: bool = False,
) -> Generator[Event, None, Clusters]:
    """Cluster the embeddings of a run; their clusters and map into ``RUN/clusters``, with a figure.

    Those of each space and collection have files of their own, named as those of the embeddings.
    Names and colours carry over from the clusters that are there.

    Parameters
    ----------
    grouping
        Instead of that of the run's experiment, whose place it takes.
    source
        Of other specimens than the run's own.
    untrained
        Of the control.
    """
    grouping = grouping or read_experiment(run).grouping
    method, seed, palette = grouping.method, grouping.seed, grouping.palette
    embeddings = read_embeddings(run, grouping.space, source, untrained=untrained)
    path = clusters_path(run, embeddings)
    previous = read_clusters(path) if path.is_file() else None
    space = embeddings.space
    clusters = cluster(embeddings.x, embeddings.ids, method, seed, previous, space, palette)
    yield Progress("drawing the map", 0, 1)  # UMAP compiles itself for about a minute at first
    xy = reduce(embeddings.x, grouping.map, seed)
    clusters = replace(clusters, xy=xy, map=grouping.map)
    keep_grouping(run, grouping)
    write_clusters(clusters, path)
    yield Saved(path)
    panel = yield from cluster_panel(run, embeddings, clusters)
    figure = path.with_suffix(".png")
    cluster_figure([panel], figure)
    yield Saved(figure)
    return clusters


def cluster_panel(
    run: Path, embeddings: Embeddings, clusters: Clusters, title: str = "", note: str = ""
) -> Generator[Event, None, Panel]:
    """Contact sheet and map of clusters that have one, for a figure.

    The specimens are shown in UV false colour where the net saw visible light and UV.
    """
    crops = yield from some_specimens(run, embeddings, shown_specimens(clusters.labels))
    assert clusters.xy is not None  # or there is no map to show
    shown = false_colour(crops)
    if clusters.choice:
        note = f"{note}. {clusters.choice.words}".removesuffix(".")
    if shown:
        note = f"{note}. Shown in UV false colour: green, blue and UV as red, green and blue"
    return Panel(
        title=title or f"{run.name}, {embeddings.space}",
        thumbnails=thumbnails(crops, THUMBNAIL, shown),
        xy=clusters.xy,
        clusters=clusters,
        note=note.removeprefix(". "),
    )
