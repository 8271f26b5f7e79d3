"""Comparison: how well embeddings agree with a label, by every measure."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from napari_phenoscape.analysis.evaluation._interval import bootstrap
from napari_phenoscape.analysis.evaluation._neighbours import average_precision, knn_correct
from napari_phenoscape.analysis.evaluation._partition import (
    adjusted_rand,
    mutual_information,
    permanova,
    silhouette,
)
from napari_phenoscape.analysis.evaluation._probes import (
    centroid_correct,
    few_shot_correct,
    linear_correct,
)
from napari_phenoscape.analysis.evaluation._score import Score, mean_of
from napari_phenoscape.embeddings import KMeans, cluster
from napari_phenoscape.errors import CollectionError

KNN, RAND = "5-NN accuracy", "adjusted Rand index"

#: Measures of single specimens, whose mean is told: (embeddings, labels, groups) -> (N,).
OF_SPECIMENS: dict[str, Callable[..., NDArray[Any]]] = {
    KNN: lambda x, labels, groups: knn_correct(x, labels, 5, groups),
    "linear probe accuracy": linear_correct,
    "5-shot accuracy": few_shot_correct,
    "nearest-centroid accuracy": centroid_correct,
    "retrieval mAP": average_precision,
    "silhouette": lambda x, labels, _: silhouette(x, labels),
}

#: Measures of a clustering beside the labels: KMeans with as many clusters as there are labels.
OF_CLUSTERS = {RAND: adjusted_rand, "normalised mutual information": mutual_information}


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
        Specimens of one group are never on both sides of a judgement, and are drawn together for
        the intervals.
    within : (N,)
        Compare inside each level of this.

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
    label = _codes(labels)
    group = np.arange(len(x)) if groups is None else _codes(groups)
    rows = np.concatenate(levels)
    level_of = np.full(len(x), -1)
    clusters = np.empty(len(x), np.int64)
    for number, level in enumerate(levels):
        level_of[level] = number
        method = KMeans(clusters=len(np.unique(label[level])))
        clusters[level] = cluster(x[level], [str(row) for row in level], method).labels

    def score(statistic: Callable[[NDArray[np.intp]], float]) -> Score:
        drawn_together = np.unique(group[rows], return_inverse=True)[1]
        return Score(
            statistic(rows), *bootstrap(lambda drawn: statistic(rows[drawn]), drawn_together)
        )

    def mean_agreement(agree: Callable[..., float], some: NDArray[np.intp]) -> float:
        parts = [some[level_of[some] == number] for number in np.unique(level_of[some])]
        return float(np.mean([agree(clusters[part], label[part]) for part in parts]))

    scores = {}
    for name, measure in OF_SPECIMENS.items():
        values = np.full(len(x), np.nan)
        for level in levels:
            values[level] = measure(x[level], label[level], group[level])
        scores[name] = score(partial(mean_of, values))
    for name, agree in OF_CLUSTERS.items():
        scores[name] = score(partial(mean_agreement, agree))
    variance = permanova(x[rows], label[rows], group[rows], level_of[rows])
    scores["variance explained (PERMANOVA R²)"] = Score(variance.r2, p=variance.p)
    return scores


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
    level = np.zeros(len(label), np.intp) if within is None else _codes(within)
    labelled = labels.notna().to_numpy()
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
