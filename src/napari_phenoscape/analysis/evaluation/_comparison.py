"""Comparison: how well embeddings agree with a label, by every measure."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from napari_phenoscape._tables import is_unknown
from napari_phenoscape.analysis.evaluation._columns import group_codes
from napari_phenoscape.analysis.evaluation._neighbours import average_precision, knn_correct
from napari_phenoscape.analysis.evaluation._partition import (
    adjusted_rand,
    mutual_information,
    permanova,
    silhouette_of_several,
)
from napari_phenoscape.analysis.evaluation._probes import (
    centroid_correct,
    few_shot_correct,
    linear_correct,
)
from napari_phenoscape.analysis.evaluation._score import Score, mean_of, scored
from napari_phenoscape.embeddings import cluster, unit_length
from napari_phenoscape.errors import CollectionError
from napari_phenoscape.training import KMeans

KNN, RAND, PROBE = "5-NN accuracy", "adjusted Rand index", "linear probe accuracy"

#: Measures of single specimens, whose mean is told: (embeddings, labels, groups) -> (N,).
OF_SPECIMENS: dict[str, Callable[..., NDArray[Any]]] = {
    KNN: lambda x, labels, groups: knn_correct(x, labels, 5, groups),
    PROBE: linear_correct,
    "5-shot accuracy": few_shot_correct,
    "nearest-centroid accuracy": centroid_correct,
    "retrieval mAP": average_precision,
    "silhouette": lambda x, labels, _: silhouette_of_several(x, labels),
}

#: Those that are no mean of values 0-1.
SIGNED = ("silhouette",)

#: Measures of a clustering beside the labels: KMeans with as many clusters as there are labels.
OF_CLUSTERS = {RAND: adjusted_rand, "adjusted mutual information": mutual_information}


def compare(
    x: NDArray[np.float32],
    labels: pd.Series[Any],
    groups: pd.Series[Any] | None = None,
    within: pd.Series[Any] | None = None,
) -> dict[str, Score]:
    """Compare embeddings with a label, by every measure.

    Parameters
    ----------
    x : (N, D)
        Embeddings of any length; a specimen with NaN is left out.
    labels : (N,)
        What is known; a specimen without is left out.
    groups : (N,)
        Specimens of one group are never on both sides of a judgement, and are together for the
        intervals; one whose group is unknown is of none.
    within : (N,)
        Compare inside each level of this; a specimen without is left out.

    Returns
    -------
    By measure.

    Raises
    ------
    CollectionError
        Nothing is there to tell apart, or nothing to judge by.
    """
    embedded = np.asarray(~np.isnan(x).any(axis=1))
    levels = levels_of(labels.where(embedded), within)
    rows = np.concatenate(levels)
    level = np.repeat(np.arange(len(levels)), [len(one) for one in levels])
    x, label, group = x[rows], _codes(labels)[rows], group_codes(groups, len(x))[rows]
    group = np.unique(group, return_inverse=True)[1]
    # as many coordinates as specimens hold all angles and lengths, which most measures ask for
    narrow: NDArray[np.floating[Any]] = x
    if x.shape[1] > len(x):
        narrow = np.asarray(np.linalg.qr(x.T.astype(np.float64), mode="r")).T
    clusters = np.empty(len(x), np.int64)
    for one in np.unique(level):
        clusters[level == one] = _clusters(x[level == one], len(np.unique(label[level == one])))

    def parts(some: NDArray[np.intp]) -> list[NDArray[np.intp]]:
        """Rows of each level in which there is something to judge, and to judge by."""
        inside = [some[level[some] == one] for one in np.unique(level[some])]
        return [
            part
            for part in inside
            if min(len(np.unique(of[part])) for of in (label, group)) > 1 or len(some) == len(x)
        ]

    def mean(measure: Callable[..., NDArray[Any]], some: NDArray[np.intp]) -> float:
        values = [measure(narrow[part], label[part], group[part]) for part in parts(some)]
        return mean_of(np.concatenate(values)) if values else np.nan

    def agreement(agree: Callable[..., float], some: NDArray[np.intp]) -> float:
        return mean_of(np.array([agree(clusters[part], label[part]) for part in parts(some)]))

    scores = {}
    for name, measure in OF_SPECIMENS.items():
        statistic = partial(mean, measure)
        if name == PROBE:  # learnt once: a classifier hardly hangs on a single specimen
            values = [
                measure(x[part], label[part], group[part]) for part in parts(np.arange(len(x)))
            ]
            statistic = partial(mean_of, np.concatenate(values))
        scores[name] = scored(statistic, group, level, proportion=name not in SIGNED)
    for name, agree in OF_CLUSTERS.items():
        scores[name] = scored(partial(agreement, agree), group, level, jackknife=True)
    variance = permanova(x, label, group, level)
    scores["variance explained (PERMANOVA R²)"] = Score(variance.r2, p=variance.p)
    return scores


def _clusters(x: NDArray[np.float32], labels: int) -> NDArray[np.int64]:
    """(N,) clusters by KMeans, as many as labels, or as there are distinct embeddings."""
    number = min(labels, len(np.unique(unit_length(x), axis=0)))
    if number < 2:
        return np.ones(len(x), np.int64)
    return cluster(x, [str(row) for row in range(len(x))], KMeans(clusters=number)).labels


def levels_of(
    labels: pd.Series[Any], within: pd.Series[Any] | None = None
) -> tuple[NDArray[np.intp], ...]:
    """Rows of the labelled specimens of each level of ``within`` that has two labels at least.

    Raises
    ------
    CollectionError
        There is no such level.
    """
    label = _codes(labels)
    level = np.zeros(len(label), np.intp) if within is None else group_codes(within, len(label))
    labelled = ~is_unknown(labels).to_numpy()
    members = [np.flatnonzero(labelled & (level == code)) for code in np.unique(level)]
    levels = tuple(rows for rows in members if len(np.unique(label[rows])) > 1)
    if not levels:
        place = "No specimens hold" if within is None else f"No level of '{within.name}' holds"
        raise CollectionError(
            f"{place} two values of '{labels.name}', so there is nothing to tell apart; "
            "choose another column."
        )
    return levels


def _codes(column: pd.Series[Any]) -> NDArray[np.intp]:
    codes: NDArray[np.intp] = np.unique(column.astype(str), return_inverse=True)[1]
    return codes
