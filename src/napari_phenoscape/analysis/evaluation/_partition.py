"""Partition: how far labels, or clusters, divide the embeddings."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_phenoscape.analysis.evaluation._columns import group_codes
from napari_phenoscape.embeddings import unit_length


def adjusted_rand(clusters: ArrayLike, labels: ArrayLike) -> float:
    """Adjusted Rand index: 1 = the clusters are the labels, 0 = no better than chance [1]_.

    Parameters
    ----------
    clusters, labels : (N,)
        Noise (−1) is a cluster like any other.

    Returns
    -------
    NaN where nothing else could be found: both are one group, or every specimen alone.

    References
    ----------
    .. [1] Hubert & Arabie 1985, Comparing partitions. https://doi.org/10.1007/BF01908075
    """
    from sklearn.metrics import adjusted_rand_score

    if _forced(clusters, labels):
        return np.nan
    return float(adjusted_rand_score(np.asarray(labels), np.asarray(clusters)))


def mutual_information(clusters: ArrayLike, labels: ArrayLike) -> float:
    """Adjusted mutual information: 1 = the clusters are the labels, 0 = no better than chance [1]_.

    Divided by the mean of the two entropies, after what chance gives was taken from both.
    Parameters and what is not defined as in `adjusted_rand`.

    References
    ----------
    .. [1] Vinh, Epps & Bailey 2010. https://www.jmlr.org/papers/v11/vinh10a.html
    """
    from sklearn.metrics import adjusted_mutual_info_score

    if _forced(clusters, labels):
        return np.nan
    return float(adjusted_mutual_info_score(np.asarray(labels), np.asarray(clusters)))


def _forced(clusters: ArrayLike, labels: ArrayLike) -> bool:
    found, known = len(np.unique(np.asarray(clusters))), len(np.unique(np.asarray(labels)))
    return found == known and known in (1, np.size(labels))


def silhouette(x: NDArray[np.floating[Any]], labels: ArrayLike) -> NDArray[np.float64]:
    """How much nearer a specimen is to its own label than to the next one [1]_.

    Distance is 1 − cosine similarity.

    Parameters
    ----------
    x : (N, D)
        Embeddings.
    labels : (N,)
        What is known; at least two values.

    Returns
    -------
    (N,) −1 to 1; 0 for a specimen that is alone in its label.

    References
    ----------
    .. [1] Rousseeuw 1987. https://doi.org/10.1016/0377-0427(87)90125-7
    """
    codes, size = np.unique(np.asarray(labels), return_inverse=True, return_counts=True)[1:]
    unit = unit_length(np.asarray(x, np.float64))
    own = codes[:, None] == np.arange(len(size))
    # the mean cosine to the specimens of a label is the cosine to their mean
    apart = 1 - unit @ (own.T @ unit / size[:, None]).T
    itself = 1 - (unit**2).sum(axis=1)
    within = (size[codes] * apart[own] - itself) / np.maximum(size[codes] - 1, 1)
    next_one = np.where(own, np.inf, apart).min(axis=1)
    larger = np.maximum(within, next_one)
    defined = (size[codes] > 1) & (larger > 1e-12)  # less is a rounding error
    values: NDArray[np.float64] = np.zeros(len(codes))
    np.divide(next_one - within, larger, out=values, where=defined)
    return values


class Permanova(NamedTuple):
    """What labels explain of the embeddings' scatter.

    Parameters
    ----------
    r2
        Share of the squared distances to the centre that lies between labels, 0-1: the variance
        explained.
    p
        Share of the permutations, the observed order among them, that explain as much or more.
    """

    r2: float
    p: float


def silhouette_of_several(x: NDArray[np.floating[Any]], labels: ArrayLike) -> NDArray[np.float64]:
    """`silhouette` among the labels that several specimens have; NaN for a specimen alone in its.

    A label of one specimen is nearest to many by chance, having no mean that would smooth it:
    whether there is one at all would move the value of all others, of 300 specimens of noise by
    more than everything else does.
    """
    codes, size = np.unique(np.asarray(labels), return_inverse=True, return_counts=True)[1:]
    several = size[codes] > 1
    values = np.full(len(codes), np.nan)
    if len(np.unique(codes[several])) > 1:
        values[several] = silhouette(np.asarray(x)[several], codes[several])
    return values


def permanova(
    x: NDArray[np.floating[Any]],
    labels: ArrayLike,
    groups: ArrayLike | None = None,
    within: ArrayLike | None = None,
    *,
    permutations: int = 999,
    seed: int = 0,
) -> Permanova:
    """Permutational analysis of variance of unit-length embeddings, Euclidean distances [1]_.

    Parameters
    ----------
    x : (N, D)
        Embeddings.
    labels : (N,)
        What is known.
    groups : (N,)
        Specimens of one group are not independent: when each group has a single label, labels are
        exchanged between whole groups, else within them.
    within : (N,)
        Scatter about the centre of each level of this, e.g. the species; labels are exchanged
        inside a level.
    permutations
        How many orders are tried.

    References
    ----------
    .. [1] Anderson 2001, A new method for non-parametric multivariate analysis of variance.
       https://doi.org/10.1111/j.1442-9993.2001.01070.pp.x
    """
    label, group, level = (
        np.zeros(len(x), int) if column is None else np.unique(column, return_inverse=True)[1]
        for column in (labels, group_codes(groups, len(x)), within)
    )
    code = np.unique(np.stack([level, label]), axis=1, return_inverse=True)[1].reshape(-1)
    unit = _centred(unit_length(np.asarray(x, np.float64)), level)
    # what is exchanged: groups inside a level, or specimens inside a group and level
    _, first, member = np.unique(group, return_index=True, return_inverse=True)
    if (code[first][member] == code).all():
        own, stratum = code[first], level[first]
    else:
        own, member = code, np.arange(len(x))
        stratum = np.unique(np.stack([level, group]), axis=1, return_inverse=True)[1].reshape(-1)
    draws = np.random.default_rng(seed)
    places = np.argsort(stratum, kind="stable")

    def exchanged() -> NDArray[np.intp]:
        mixed = np.empty_like(own)
        mixed[places] = own[np.lexsort((draws.random(len(own)), stratum))]
        return mixed[member]

    observed = _between(unit, code)
    # a sum in another order rounds differently
    least = observed * (1 - 1e-9)
    as_much = sum(_between(unit, exchanged()) >= least for _ in range(permutations))
    scatter = float((unit**2).sum())
    return Permanova(observed / scatter if scatter else 0.0, (as_much + 1) / (permutations + 1))


def _centred(x: NDArray[np.float64], level: NDArray[np.intp]) -> NDArray[np.float64]:
    member = (level == np.arange(level.max() + 1)[:, None]).astype(np.float64)
    centres: NDArray[np.float64] = (member @ x) / member.sum(axis=1, keepdims=True)
    return x - centres[level]


def _between(centred: NDArray[np.float64], codes: NDArray[np.intp]) -> float:
    """Sum of squares between the groups of centred rows."""
    member = (codes == np.arange(codes.max() + 1)[:, None]).astype(np.float64)  # (K, N)
    totals = member @ centred
    return float(((totals**2).sum(axis=1) / np.maximum(member.sum(axis=1), 1)).sum())
