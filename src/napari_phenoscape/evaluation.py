"""Evaluation: how well embeddings or clusters agree with what is known, and the floor under it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_phenoscape.errors import CollectionError
from napari_phenoscape.store import Crops

#: Rows that are compared with all others at once.
ROWS = 1024


def knn_accuracy(
    x: NDArray[np.floating[Any]],
    labels: ArrayLike,
    k: int = 5,
    groups: ArrayLike | None = None,
) -> float:
    """Share of specimens whose label the majority of their nearest others has (leave one out).

    Nearness is cosine similarity. When labels have equally many votes, the one with the nearest
    voter wins. A specimen whose label only its own group has counts as missed.

    Parameters
    ----------
    x : (N, D)
        One row per specimen; need not be unit length.
    labels : (N,)
        What is known.
    k
        Voters.
    groups : (N,)
        Specimens of one group, e.g. photographs of one individual, never vote for each other.

    Returns
    -------
    0-1.

    Raises
    ------
    CollectionError
        All specimens are of one group, so nobody may vote.
    """
    names, codes = np.unique(np.asarray(labels), return_inverse=True)
    number = len(codes)
    group = np.arange(number) if groups is None else np.unique(groups, return_inverse=True)[1]
    if len(np.unique(group)) < 2:
        raise CollectionError(
            f"{number} specimens of one group cannot be told apart by their neighbours of other "
            "groups; at least 2 groups were expected. Choose another column for the groups."
        )
    length = np.linalg.norm(x, axis=1, keepdims=True)
    unit = x.astype(np.float64) / np.where(length > 0, length, 1)
    right = 0
    for start in range(0, number, ROWS):
        rows = slice(start, start + ROWS)
        similarity = unit[rows] @ unit.T
        similarity[group[rows, None] == group] = -np.inf
        nearest = np.argsort(-similarity, axis=1, kind="stable")[:, :k]
        may_vote = np.isfinite(np.take_along_axis(similarity, nearest, axis=1))
        voters = np.where(may_vote, codes[nearest], len(names))
        votes = (voters[:, :, None] == voters[:, None, :]).sum(axis=2) * may_vote
        # argmax takes the first of equals: the nearest
        winner = np.take_along_axis(voters, votes.argmax(axis=1)[:, None], axis=1)[:, 0]
        right += int((winner == codes[rows]).sum())
    return right / number


def adjusted_rand(clusters: ArrayLike, labels: ArrayLike, within: ArrayLike | None = None) -> float:
    """Adjusted Rand index: 1 = the clusters are the labels, 0 = no better than chance [1]_.

    Parameters
    ----------
    clusters, labels : (N,)
        Noise (−1) is a cluster like any other.
    within : (N,)
        Compare inside each level of this, e.g. the species, and take the mean.

    References
    ----------
    .. [1] Hubert & Arabie 1985, Comparing partitions. https://doi.org/10.1007/BF01908075
    """
    from sklearn.metrics import adjusted_rand_score

    clusters, labels = np.asarray(clusters), np.asarray(labels)
    levels = np.zeros(len(labels), dtype=int) if within is None else np.asarray(within)
    indices = [
        adjusted_rand_score(labels[levels == level], clusters[levels == level])
        for level in np.unique(levels)
    ]
    return float(np.mean(indices))


def colour_statistics(crops: Crops) -> NDArray[np.float32]:
    """(N, 2C) mean, then standard deviation, of every band over each specimen's mask.

    The floor under every embedding: what plain colour tells without learning. In reflectance, as
    it is; standardise the columns before comparing rows, or bright bands outweigh dark ones.
    """
    rows: list[Sequence[NDArray[np.float32]]] = []
    for image, mask in zip(crops.images, crops.masks, strict=True):
        pixels = image[:, mask[0]]
        rows.append((pixels.mean(axis=1), pixels.std(axis=1)))
    return np.array(rows, dtype=np.float32).reshape(len(rows), -1)
