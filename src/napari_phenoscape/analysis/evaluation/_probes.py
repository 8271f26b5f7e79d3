"""Probes: simple classifiers on frozen embeddings, always judged on specimens they did not see."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_phenoscape.analysis.evaluation._columns import group_codes
from napari_phenoscape.embeddings import unit_length
from napari_phenoscape.errors import CollectionError

#: Parts that the specimens are split into; each is judged by a classifier that saw the others.
FOLDS = 5

#: Similarities that are in memory at a time.
MOST = 4_000_000

#: Iterations after which the linear probe is taken as it is.
ITERATIONS = 1000


def linear_correct(
    x: NDArray[np.floating[Any]], labels: ArrayLike, groups: ArrayLike | None = None
) -> NDArray[np.bool_]:
    """Whether logistic regression on the others' embeddings gives a specimen its label.

    Five-fold cross-validation, each label spread evenly over the folds; standardised by the
    training folds; L2 penalty of strength 1.

    Parameters
    ----------
    x : (N, D)
        Embeddings.
    labels : (N,)
        What is known.
    groups : (N,)
        Specimens of one group are in the same fold.

    Returns
    -------
    (N,) the mean is the accuracy of the linear probe.

    Raises
    ------
    CollectionError
        There are fewer than two groups.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedGroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    unit = unit_length(np.asarray(x, np.float64))
    codes, group = _codes(labels), _groups(groups, len(x))
    correct = np.zeros(len(x), dtype=bool)
    number = min(FOLDS, len(np.unique(group)), np.bincount(codes).max())
    if number < 2:  # every label is there once: none can be learned from another
        return correct
    folds = StratifiedGroupKFold(number, shuffle=True, random_state=0)
    with warnings.catch_warnings():
        # a label with fewer specimens than folds is judged by the folds that have it
        warnings.filterwarnings("ignore", "The least populated class", UserWarning)
        warnings.simplefilter("ignore", ConvergenceWarning)
        for seen, unseen in folds.split(unit, codes, group):
            if len(np.unique(codes[seen])) < 2:  # nothing to choose from
                correct[unseen] = codes[unseen] == codes[seen[0]]
                continue
            probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=ITERATIONS))
            probe.fit(unit[seen], codes[seen])
            correct[unseen] = probe.predict(unit[unseen]) == codes[unseen]
    return correct


def centroid_correct(
    x: NDArray[np.floating[Any]], labels: ArrayLike, groups: ArrayLike | None = None
) -> NDArray[np.bool_]:
    """Whether the mean direction nearest to a specimen is that of its label.

    The means are over the specimens of other groups (without groups: over all others).
    Parameters as in `linear_correct`.

    Returns
    -------
    (N,) the mean is the nearest-centroid accuracy; a label that only one group has is missed.
    """
    unit = unit_length(np.asarray(x, np.float64))
    codes, group = _codes(labels), _groups(groups, len(x))
    total = np.stack([unit[codes == label].sum(axis=0) for label in range(codes.max() + 1)])
    similarity = unit @ unit_length(total).T
    # where a specimen's group has some of a label, these are not counted
    for label, whole in enumerate(total):
        mine = codes == label
        having, place = np.unique(group[mine], return_inverse=True)
        rows = np.flatnonzero(np.isin(group, having))
        if len(having) == 1:
            similarity[rows, label] = -np.inf
            continue
        own = np.zeros((len(having), unit.shape[1]))
        np.add.at(own, place, unit[mine])
        others = unit_length(whole - own)[np.searchsorted(having, group[rows])]
        similarity[rows, label] = (unit[rows] * others).sum(axis=1)
    correct: NDArray[np.bool_] = similarity.argmax(axis=1) == codes
    return correct


def few_shot_correct(
    x: NDArray[np.floating[Any]],
    labels: ArrayLike,
    groups: ArrayLike | None = None,
    *,
    shots: int = 5,
    episodes: int = 100,
    seed: int = 0,
) -> NDArray[np.float64]:
    """How often a specimen is given its label by the mean of a few known ones of each [1]_.

    Parameters
    ----------
    x, labels, groups
        As in `linear_correct`.
    shots
        Groups of each label that are known in an episode; of a label with fewer, all but one.
    episodes
        Random choices of the known ones.

    Returns
    -------
    (N,) share, 0-1, of the episodes in which it was not among the known ones; NaN for one that
    always was.

    References
    ----------
    .. [1] Snell et al. 2017, Prototypical networks, eq. 1-2. https://arxiv.org/abs/1703.05175
    """
    unit = unit_length(np.asarray(x, np.float64))
    codes = _codes(labels)
    group = np.unique(_groups(groups, len(x)), return_inverse=True)[1]
    member = codes == np.arange(codes.max() + 1)[:, None]  # (K, N)
    label, own = np.unique(np.stack([codes, group]), axis=1)  # one column per group of a label
    rank = np.arange(len(label)) - np.searchsorted(label, label)
    first = rank < np.minimum(shots, np.bincount(label) - 1)[label]
    # of each episode, the groups of each label in random order; its first are the known ones
    order = np.argsort(label + np.random.default_rng(seed).random((episodes, len(label))), axis=1)
    right, asked = np.zeros(len(x)), np.zeros(len(x))
    parts = min(episodes, 1 + episodes * member.size // MOST)
    for some in np.array_split(own[order[:, first]], parts):
        chosen = np.zeros((len(some), group.max() + 1), np.bool_)
        np.put_along_axis(chosen, some, True, axis=1)
        support = chosen[:, group]  # (E, N)
        shown = (support[:, None] & member).astype(np.float64)
        means = unit_length((shown @ unit).reshape(-1, unit.shape[1]))
        similarity = (means @ unit.T).reshape(shown.shape)  # (E, K, N)
        similarity[~shown.any(axis=2)] = -np.inf
        told = similarity.max(axis=1) > -np.inf  # by some label that is known
        right += (told & (similarity.argmax(axis=1) == codes) & ~support).sum(axis=0)
        asked += (~support).sum(axis=0)
    return np.where(asked > 0, right / np.maximum(asked, 1), np.nan)


def _codes(labels: ArrayLike) -> NDArray[np.intp]:
    codes: NDArray[np.intp] = np.unique(np.asarray(labels), return_inverse=True)[1]
    return codes


def _groups(groups: ArrayLike | None, number: int) -> NDArray[np.intp]:
    group = group_codes(groups, number)
    if len(np.unique(group)) < 2:
        raise CollectionError(
            f"{number} specimens of one group cannot be split into some to learn from and some to "
            "judge by; at least 2 groups were expected. Choose another column for the groups."
        )
    return group
