"""Appearance: by what specimens are pictured, coloured and laid out, and the numbers for it."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from napari_phenoscape._tables import is_numeric
from napari_phenoscape.analysis.evaluation._neighbours import nearest_others
from napari_phenoscape.analysis.explanation._membership import membership
from napari_phenoscape.analysis.places._colouring import Colouring, by_cluster, by_values
from napari_phenoscape.analysis.places._seriation import seriation
from napari_phenoscape.embeddings import METADATA, Clusters, Embeddings, band_mean, unit_length
from napari_phenoscape.errors import OptionError, did_you_mean
from napari_phenoscape.events import Progress
from napari_phenoscape.specimens import Crops

#: What colours and orders are by, beside columns of the metadata and bands.
CLUSTER = "cluster"
SILHOUETTE = "silhouette"
AGREEMENT = "neighbours' agreement"
LIKENESS = "likeness"

#: Begins the name of a colouring by a band.
MEAN_OF = "mean of "

#: Neighbours that are asked whether they are of the same cluster.
NEIGHBOURS = 10


class Layout(NamedTuple):
    """How a contact sheet is laid out.

    Parameters
    ----------
    order : (N,)
        Rows in their order.
    labels : (N,) or None
        Each value begins a line of its own.
    """

    order: NDArray[np.intp]
    labels: NDArray[np.int64] | None


def colourings(table: pd.DataFrame, bands: Sequence[str] = ()) -> tuple[str, ...]:
    """What specimens of a table of embeddings, and with these bands, can be coloured by."""
    columns = [str(name) for name in table.columns[METADATA:]]
    means = [f"{MEAN_OF}{name}" for name in bands]
    return tuple(dict.fromkeys([CLUSTER, *columns, SILHOUETTE, AGREEMENT, *means]))


def coloured(
    by: str, embeddings: Embeddings, clusters: Clusters, crops: Crops | None = None
) -> Generator[Progress, None, Colouring]:
    """The colours of N specimens.

    Parameters
    ----------
    by
        One of `colourings`.
    clusters
        Of the specimens of ``embeddings``, in their order.
    crops
        The same specimens; for the mean of a band.

    Raises
    ------
    OptionError
        There is no such column or band, or there is one cluster only and its silhouette is asked.
    """
    if by == CLUSTER:
        return by_cluster(clusters)
    if by in embeddings.table.columns[METADATA:]:
        return by_values(by, embeddings.table[by], clusters.palette)
    if by == SILHOUETTE:
        if len([number for number in clusters.names if number > 0]) < 2:
            raise OptionError("A silhouette compares clusters, and there is one; ask for more.")
        return by_values(by, membership(embeddings.x, clusters.labels).silhouette)
    if by == AGREEMENT:
        return by_values(by, (yield from agreement(embeddings.x, clusters.labels)))
    band = by.removeprefix(MEAN_OF)
    if crops is not None and by.startswith(MEAN_OF) and band in crops.bands.names:
        return by_values(by, band_mean(crops, crops.bands.names.index(band)))
    names = () if crops is None else crops.bands.names
    known = colourings(embeddings.table, names)
    raise OptionError(
        f"Specimens cannot be coloured by '{by}'. {did_you_mean(by, known)}Choose from "
        f"{', '.join(known)}."
    )


def laid_out(by: str, embeddings: Embeddings, clusters: Clusters) -> Layout:
    """The order of a contact sheet: by cluster, by a column of the metadata, or by likeness.

    Words begin a line for each; numbers run on, those that are not known last.

    Raises
    ------
    OptionError
        The metadata has no such column.
    """
    rows = np.arange(len(embeddings.ids))
    if by == CLUSTER:
        return Layout(rows, clusters.labels)
    if by == LIKENESS:
        return Layout(seriation(embeddings.x), None)
    if by not in embeddings.table.columns[METADATA:]:
        known = [CLUSTER, LIKENESS, *map(str, embeddings.table.columns[METADATA:])]
        raise OptionError(
            f"The metadata has no column '{by}'. "
            f"{did_you_mean(by, known)}Choose from {', '.join(known)}."
        )
    column = embeddings.table[by].reset_index(drop=True)
    if is_numeric(column):
        return Layout(np.asarray(column.sort_values(kind="stable").index, np.intp), None)
    codes = pd.factorize(column.astype("string"), sort=True)[0].astype(np.int64)
    return Layout(rows, codes)


def agreement(
    x: NDArray[np.floating[Any]], labels: NDArray[np.int64], k: int = NEIGHBOURS
) -> Generator[Progress, None, NDArray[np.float64]]:
    """(N,) share of the k nearest others, by cosine, that are of a specimen's own cluster.

    Parameters
    ----------
    x : (N, D)
        Embeddings.
    labels : (N,)
        Cluster numbers; noise is a cluster like any other.
    """
    unit = unit_length(np.asarray(x, np.float32))
    share = np.zeros(len(unit))
    for rows, others in nearest_others(unit, k):
        share[rows] = (labels[others] == labels[rows, None]).mean(axis=1)
        yield Progress("comparing neighbours", int(rows[-1]) + 1, len(unit))
    return share
