"""Reports of a run: its clusters with a figure, and its worth beside the controls."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from napari_phenoscape.clustering import (
    AnyClustering,
    Clusters,
    KMeans,
    cluster,
    read_clusters,
    write_clusters,
)
from napari_phenoscape.cube import Cube
from napari_phenoscape.embedding import embed, embeddings_path, read_embeddings
from napari_phenoscape.errors import BandMismatchError, CollectionError, OptionError
from napari_phenoscape.evaluation import adjusted_rand, colour_statistics, knn_accuracy
from napari_phenoscape.events import Event, Saved
from napari_phenoscape.figures import Panel, cluster_figure
from napari_phenoscape.layers.maps import thumbnails
from napari_phenoscape.reduction import PCA, AnyReduction, reduce
from napari_phenoscape.run import read_experiment
from napari_phenoscape.spectral import false_colour_bands
from napari_phenoscape.store import Crops
from napari_phenoscape.training import specimens_of

#: Side in pixels of a specimen on a contact sheet.
THUMBNAIL = 64


def cluster_run(
    run: Path,
    method: AnyClustering,
    chart: AnyReduction = PCA(),  # noqa: B008, options are frozen
    *,
    space: str = "",
    untrained: bool = False,
) -> Generator[Event, None, Clusters]:
    """Cluster the embeddings of a run; ``clusters.parquet`` and ``clusters.png`` into the run.

    Names and colours carry over from the ``clusters.parquet`` that is there.
    """
    embeddings = read_embeddings(embeddings_path(run, space, untrained))
    path = run / "clusters.parquet"
    specimens = tuple(embeddings.table["specimen"])
    seed = read_experiment(run).seed
    previous = read_clusters(path) if path.is_file() else None
    found = cluster(embeddings.x, specimens, method, seed, previous)
    write_clusters(found, path)
    yield Saved(path)
    panel = yield from cluster_panel(run, found, chart, space=space, untrained=untrained)
    figure = run / "clusters.png"
    cluster_figure([panel], figure)
    yield Saved(figure)
    return found


def cluster_panel(
    run: Path,
    clusters: Clusters,
    chart: AnyReduction = PCA(),  # noqa: B008, options are frozen
    *,
    space: str = "",
    untrained: bool = False,
    title: str = "",
    note: str = "",
) -> Generator[Event, None, Panel]:
    """Contact sheet and map of a clustered run, for a figure.

    The specimens are shown in UV false colour where the net saw visible light and UV.
    """
    experiment = read_experiment(run)
    embeddings = read_embeddings(embeddings_path(run, space, untrained))
    _, crops = yield from specimens_of(experiment, embeddings.source)
    shown = _false_colour(crops)
    if shown:
        note = f"{note}. Shown in UV false colour: green, blue and UV as red, green and blue"
    return Panel(
        title=title or f"{run.name}, {embeddings.space}",
        thumbnails=thumbnails(crops, THUMBNAIL, shown),
        xy=reduce(embeddings.x, chart, experiment.seed),
        clusters=clusters,
        note=note.removeprefix(". "),
    )


@dataclass(frozen=True)
class Worth:
    """One line of the table beside the controls.

    Parameters
    ----------
    embedding
        Which one, in words.
    accuracy
        Leave-one-out 5-nearest-neighbour accuracy, 0-1.
    rand
        Adjusted Rand index of KMeans (as many clusters as labels), mean over the levels of
        ``within``; 0 = chance, 1 = the labels.
    """

    embedding: str
    accuracy: float
    rand: float


def evaluate_run(
    run: Path, label: str, *, within: str = "", groups: str = ""
) -> Generator[Event, None, list[Worth]]:
    """Compare a run's embeddings with a metadata column, beside the untrained net and colour.

    Parameters
    ----------
    run
        A trained run; it is embedded anew, trained and untrained.
    label
        The column to compare with.
    within
        Compare inside each level of this column.
    groups
        Specimens of the same level of this column are never each other's neighbours.

    Raises
    ------
    OptionError
        The metadata has no such column.
    """
    experiment = read_experiment(run)
    trained = yield from embed(run)
    untrained = yield from embed(run, untrained=True)
    _, crops = yield from specimens_of(experiment)
    table = next(iter(trained.values())).table
    for column in (label, within, groups):
        if column and column not in table:
            raise OptionError(
                f"The specimens of '{run.name}' have no metadata column '{column}'; they have "
                f"{', '.join(table.columns)}."
            )
    rows = [(f"trained, {space}", e.x) for space, e in trained.items()]
    rows += [(f"untrained, {space}", e.x) for space, e in untrained.items()]
    rows.append(("colour statistics", _standardised(colour_statistics(crops))))
    known = table[label].notna().to_numpy()
    if known.sum() < 2:
        raise CollectionError(
            f"Fewer than two specimens of '{run.name}' have a value in '{label}'."
        )
    return [_worth(name, x[known], table[known], label, within, groups) for name, x in rows]


def _false_colour(crops: Crops) -> tuple[int, int, int] | None:
    """Positions of the bands of UV false colour, None without visible light or UV."""
    try:
        return false_colour_bands(Cube(crops.images[0], crops.bands, Path(crops.ids[0])))
    except BandMismatchError:
        return None


def _worth(
    name: str, x: NDArray[np.float32], table: pd.DataFrame, label: str, within: str, groups: str
) -> Worth:
    labels = table[label].astype(str).to_numpy()
    levels = table[within].astype(str).to_numpy() if within else np.zeros(len(table), int)
    others = table[groups].astype(str).to_numpy() if groups else np.arange(len(table))
    accuracies, indices, sizes = [], [], []
    for level in np.unique(levels):
        here = levels == level
        kinds = len(np.unique(labels[here]))
        if kinds < 2:
            continue
        ids = tuple(table["specimen"][here])
        found = cluster(x[here], ids, KMeans(clusters=kinds), 0)
        indices.append(adjusted_rand(found.labels, labels[here]))
        accuracies.append(
            knn_accuracy(x[here], labels[here], 5, groups=others[here] if groups else None)
        )
        sizes.append(int(here.sum()))
    if not sizes:
        raise CollectionError(
            f"No level of '{within}' holds two values of '{label}', so there is nothing to tell "
            "apart; choose another column."
            if within
            else f"All specimens have the same '{label}'; choose another column."
        )
    return Worth(name, float(np.average(accuracies, weights=sizes)), float(np.mean(indices)))


def _standardised(x: NDArray[np.float32]) -> NDArray[np.float32]:
    spread = x.std(axis=0)
    standardised: NDArray[np.float32] = (x - x.mean(axis=0)) / np.where(spread > 0, spread, 1)
    return standardised
