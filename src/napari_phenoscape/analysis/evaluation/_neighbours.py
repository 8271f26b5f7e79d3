"""Neighbours: what the nearest other specimens say, by cosine similarity."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_phenoscape.analysis.evaluation._columns import group_codes
from napari_phenoscape.embeddings import unit_length
from napari_phenoscape.errors import CollectionError

#: Rows that are compared with all others at once, and bytes that their similarities take at most.
ROWS, MOST = 1024, 1 << 28


def knn_correct(
    x: NDArray[np.floating[Any]],
    labels: ArrayLike,
    k: int = 5,
    groups: ArrayLike | None = None,
    barred: NDArray[np.integer[Any]] | None = None,
) -> NDArray[np.bool_]:
    """Whether the majority of a specimen's nearest others has its label (leave one out).

    When labels have equally many votes, the one with the nearest voter wins. A specimen whose
    label only its own group has counts as missed.

    Parameters
    ----------
    x : (N, D)
        One row per specimen; need not be unit length.
    labels : (N,)
        What is known.
    k
        Voters.
    groups : (N,)
        Specimens of one group, e.g. photographs of one individual, never vote for each other; one
        whose group is unknown is of none.
    barred : (N,)
        As groups, beside them: neither do specimens of the same number, e.g. of one laboratory.

    Returns
    -------
    (N,) the mean is the k-nearest-neighbour accuracy.

    Raises
    ------
    CollectionError
        All specimens are of one group, so nobody may vote.
    """
    codes = np.unique(np.asarray(labels), return_inverse=True)[1]
    correct: NDArray[np.bool_] = knn_vote(x, codes, k, groups, barred).codes == codes
    return correct


class Votes(NamedTuple):
    """What the nearest labelled others say of N specimens.

    Parameters
    ----------
    codes : (N,)
        The label with the most votes, -1 where nobody may vote.
    share : (N,)
        Its share of the votes, 0-1.
    similarity : (N,)
        Cosine to the nearest who voted; NaN where nobody may.
    """

    codes: NDArray[np.int64]
    share: NDArray[np.float64]
    similarity: NDArray[np.float64]


def knn_vote(
    x: NDArray[np.floating[Any]],
    codes: NDArray[np.integer[Any]],
    k: int = 5,
    groups: ArrayLike | None = None,
    barred: NDArray[np.integer[Any]] | None = None,
) -> Votes:
    """The majority label among each specimen's nearest labelled others, without its own vote.

    Parameters
    ----------
    x, k, groups, barred
        As in `knn_correct`.
    codes : (N,)
        Labels from 0; -1 where none is known.
    """
    found = np.empty(len(codes), dtype=np.int64)
    share, closest = np.zeros(len(codes)), np.full(len(codes), np.nan)
    known = np.flatnonzero(codes >= 0)
    for rows, similarity in _similar_others(x, groups, known, barred):
        nearest = _first(similarity, k)
        cosine = np.take_along_axis(similarity, nearest, axis=1)
        may_vote = np.isfinite(cosine)
        voters = np.where(may_vote, codes[known][nearest], -1)
        votes = (voters[:, :, None] == voters[:, None, :]).sum(axis=2) * may_vote
        # argmax takes the first of equals: the nearest
        winner = votes.argmax(axis=1)[:, None]
        found[rows] = np.take_along_axis(voters, winner, axis=1)[:, 0]
        most = np.take_along_axis(votes, winner, axis=1)[:, 0]
        share[rows] = most / np.maximum(may_vote.sum(axis=1), 1)
        closest[rows] = np.where(may_vote[:, 0], cosine[:, 0], np.nan)
    return Votes(found, share, closest)


def nearest(
    unit: NDArray[np.floating[Any]], row: int, k: int, groups: ArrayLike | None = None
) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """The k most similar others of one specimen: their rows, the nearest first, and the cosines.

    ``unit`` are (N, D) embeddings of unit length: to scale a million at each question takes long.
    ``groups`` (N,) as in `knn_correct`; those of its own group are left out.
    """
    similarity = unit @ unit[row]
    similarity[row] = -np.inf
    if groups is not None:
        group = group_codes(groups, len(unit))
        similarity[group == group[row]] = -np.inf
    k = min(k, int(np.isfinite(similarity).sum()))
    if k == 0:
        return np.zeros(0, np.intp), np.zeros(0)
    least = np.partition(similarity, -k)[-k]
    # of equals the first rows, as sorting all would give
    rows = np.flatnonzero(similarity >= least)
    rows = rows[np.argsort(-similarity[rows], kind="stable")][:k]
    return rows, similarity[rows]


def nearest_others(
    unit: NDArray[np.floating[Any]], k: int
) -> Iterator[tuple[NDArray[np.intp], NDArray[np.intp]]]:
    """Some rows at a time, (n,), and the (n, k) rows most similar to each, in no order.

    ``unit`` are (N, D) embeddings of unit length; of fewer than k others there are all.
    """
    import torch

    number = len(unit)
    k = min(k, number - 1)
    for part in _blocks(number, number):
        rows = np.arange(number)[part]
        similarity = unit[rows] @ unit.T
        similarity[np.arange(len(rows)), rows] = -np.inf
        # in an eighth of the time of numpy's argpartition
        yield rows, torch.from_numpy(similarity).topk(k, sorted=False).indices.numpy()


def average_precision(
    x: NDArray[np.floating[Any]], labels: ArrayLike, groups: ArrayLike | None = None
) -> NDArray[np.float64]:
    """How early others of the same label come when each specimen is asked for its likes [1]_.

    The mean over those others of the share of their label among all that are at least as similar.
    Parameters as in `knn_correct`.

    Returns
    -------
    (N,) 0-1; NaN for a specimen whose label no other group has. The mean over the specimens is
    the mean average precision of retrieval.

    References
    ----------
    .. [1] Manning, Raghavan & Schütze 2008, Introduction to information retrieval, section 8.4.
    """
    codes = np.unique(np.asarray(labels), return_inverse=True)[1]
    precision = np.full(len(codes), np.nan)
    for rows, similarity in _similar_others(x, groups):
        # sorting values alone takes a quarter of the time of sorting their places
        for row, one, every in zip(
            range(len(codes))[rows], similarity, np.sort(similarity, axis=1), strict=True
        ):
            alike = np.sort(one[(codes == codes[row]) & np.isfinite(one)])
            if len(alike):
                retrieved = len(every) - np.searchsorted(every, alike)
                relevant = len(alike) - np.searchsorted(alike, alike)
                precision[row] = (relevant / retrieved).mean()
    return precision


def matched(x: NDArray[np.floating[Any]], y: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
    """Whether the row of y most similar to each row of x is that of the same specimen.

    Retrieval across views or modalities: x and y (N, P) are projections of one view and of
    another, or of two modalities into the space that they share. Chance is 1 / N.
    """
    unit, others = unit_length(x), unit_length(y)
    nearest = np.empty(len(x), dtype=np.intp)
    for rows in _blocks(len(x), len(others)):
        nearest[rows] = (unit[rows] @ others.T).argmax(axis=1)
    own: NDArray[np.bool_] = nearest == np.arange(len(x))
    return own


def _similar_others(
    x: NDArray[np.floating[Any]],
    groups: ArrayLike | None,
    among: NDArray[np.intp] | slice = slice(None),
    barred: NDArray[np.integer[Any]] | None = None,
) -> Iterator[tuple[slice, NDArray[np.float64]]]:
    """Rows, and their similarity to all N, or to some; -inf to those of the same group.

    ``barred``: and to those of the same number of these.
    """
    number = len(x)
    group = group_codes(groups, number)
    if len(np.unique(group)) < 2:
        raise CollectionError(
            f"{number} specimens of one group cannot be told apart by their neighbours of other "
            "groups; at least 2 groups were expected. Choose another column for the groups."
        )
    unit = unit_length(np.asarray(x, np.float64))
    others, other_group = unit[among], group[among]
    for rows in _blocks(number, len(others)):
        similarity = unit[rows] @ others.T
        similarity[group[rows, None] == other_group] = -np.inf
        if barred is not None:
            similarity[barred[rows, None] == barred[among]] = -np.inf
        yield rows, similarity


def _blocks(number: int, others: int) -> Iterator[slice]:
    """Rows, some at a time, whose similarities to so many others fit into `MOST` bytes."""
    count = max(1, min(ROWS, MOST // (8 * max(others, 1))))
    for start in range(0, number, count):
        yield slice(start, start + count)


def _first(similarity: NDArray[np.float64], k: int) -> NDArray[np.intp]:
    """(n, k) columns of the largest of (n, M), these first; of equals the first columns.

    As a stable sort of all of them gives, in a tenth of its time.
    """
    number, others = similarity.shape
    k = min(k, others)
    least = np.partition(similarity, others - k, axis=1)[:, others - k]
    rows, columns = np.nonzero(similarity >= least[:, None])
    order = np.lexsort((-similarity[rows, columns], rows))
    starts = np.searchsorted(rows, np.arange(number))
    found: NDArray[np.intp] = columns[order][starts[:, None] + np.arange(k)]
    return found
