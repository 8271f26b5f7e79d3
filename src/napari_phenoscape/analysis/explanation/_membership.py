"""Membership: how much each specimen is of its cluster, and which are nearly in another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.analysis.evaluation._partition import silhouette
from napari_phenoscape.embeddings import NOISE, unit_length

#: Below this silhouette, a place in a cluster has no substance (Kaufman & Rousseeuw 1990, Finding
#: groups in data, table 4; https://doi.org/10.1002/9780470316801).
BORDERLINE = 0.25


@dataclass(frozen=True, eq=False)
class Membership:
    """How much each of N specimens belongs to its cluster.

    Parameters
    ----------
    labels : (N,)
        Cluster numbers; -1 = noise.
    similarity : (N,)
        Cosine to the centroid of the own cluster; NaN for noise.
    silhouette : (N,)
        -1 to 1; near 0 between two clusters, below in the wrong one. NaN for noise.
    other : (N,)
        The most similar other cluster: with the largest mean cosine to its specimens.
    """

    labels: NDArray[np.int64]
    similarity: NDArray[np.float64]
    silhouette: NDArray[np.float64]
    other: NDArray[np.int64]

    def typical(self, number: int) -> NDArray[np.intp]:
        """Specimens of a cluster, that nearest to its centroid first."""
        members = np.flatnonzero(self.labels == number)
        return members[np.argsort(-self.similarity[members], kind="stable")]

    def borderline(self, number: int) -> NDArray[np.intp]:
        """Specimens of a cluster, that with the smallest silhouette first.

        Only those below `BORDERLINE` are nearly in another.
        """
        members = np.flatnonzero(self.labels == number)
        return members[np.argsort(self.silhouette[members], kind="stable")]


def centroids(
    x: NDArray[np.floating[Any]], labels: NDArray[np.int64], numbers: Sequence[int]
) -> NDArray[np.float64]:
    """(K, D) mean of the directions of each cluster's specimens; no longer of unit length."""
    unit = unit_length(np.asarray(x, np.float64))
    return np.stack([unit[labels == number].mean(axis=0) for number in numbers])


def membership(x: NDArray[np.floating[Any]], labels: NDArray[np.int64]) -> Membership:
    """Of (N, D) embeddings in two clusters at least."""
    numbers = np.unique(labels[labels != NOISE])
    unit = unit_length(np.asarray(x, np.float64))
    means = centroids(unit, labels, numbers.tolist())
    to_mean = unit @ means.T
    own = labels[:, None] == numbers
    similarity = np.full(len(labels), np.nan)
    similarity[own.any(axis=1)] = (unit @ unit_length(means).T)[own]
    widths = np.full(len(labels), np.nan)
    inside = labels != NOISE
    widths[inside] = silhouette(unit[inside], labels[inside])
    # the cosine to a mean is the mean of the cosines, so this is the silhouette's next cluster
    other = numbers[np.where(own, -np.inf, to_mean).argmax(axis=1)]
    return Membership(labels, similarity, widths, other)
