"""Verdict: which of two embeddings is better on the same specimens, and what follows of a run."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from napari_phenoscape.analysis.evaluation._columns import group_codes
from napari_phenoscape.analysis.evaluation._comparison import levels_of
from napari_phenoscape.analysis.evaluation._interval import interval
from napari_phenoscape.analysis.evaluation._neighbours import knn_correct
from napari_phenoscape.analysis.evaluation._score import Score, mean_of
from napari_phenoscape.errors import CollectionError

#: Of the two-sided test of each pair. "Better" needs all of them, so it is wrong less often.
LEVEL = 0.05

#: Fewer specimens that could be right judge nothing.
FEWEST = 20

#: What a run is measured against: the net at its start, plain colour, an instant run, and what
#: calls every specimen the same.
START, COLOUR, TEXTURE = "before training", "plain colour", "plain texture"
COMMONEST = "naming the commonest label"


def paired(
    x: NDArray[np.float32],
    y: NDArray[np.float32] | None,
    labels: pd.Series[Any],
    groups: pd.Series[Any] | None = None,
    within: pd.Series[Any] | None = None,
    barred: NDArray[np.intp] | None = None,
) -> Score:
    """How much more often the five nearest others are right by one embedding than by another.

    Of the specimens that both embed, each asked of the same others. Its p is of the exact sign
    test (McNemar's, without groups) [1]_: how many groups are oftener right by ``x``, of those that
    differ.

    Parameters
    ----------
    x, y : (N, D), (N, E)
        Embeddings; without ``y``, what names the commonest label of all.
    labels, groups, within : (N,)
        As in `compare`.
    barred : (N,)
        Levels of a nuisance: specimens of the same one are not asked of each other.

    Returns
    -------
    The difference, -1 to 1, with its 95 % interval and p. The interval is that of the exact test
    (Clopper and Pearson's of the groups that differ) [2]_, or the jackknife's over groups where
    that goes further.

    Raises
    ------
    CollectionError
        Nothing is there to tell apart, or nothing to judge by.

    References
    ----------
    .. [1] McNemar 1947. https://doi.org/10.1007/BF02295996
    .. [2] Clopper & Pearson 1934. https://doi.org/10.1093/biomet/26.4.404
    """
    from scipy.stats import binomtest

    both = np.asarray(~np.isnan(x if y is None else np.hstack([x, y])).any(axis=1))
    group = group_codes(groups, len(x))
    apart, member = [], []
    for rows in levels_of(labels.where(both), within):
        bars = None if barred is None else barred[rows]
        if any(len(np.unique(of)) < 2 for of in (group[rows], bars) if of is not None):
            continue
        codes = np.unique(labels.iloc[rows].astype(str), return_inverse=True)[1]
        one, other = (
            codes == np.bincount(codes).argmax()
            if each is None
            else knn_correct(each[rows], codes, 5, group[rows], bars)
            for each in (x, y)
        )
        apart.append(one.astype(np.float64) - other)
        member.append(group[rows])
    if not apart:
        raise CollectionError("All labelled specimens are of one group, so none can be judged.")
    difference = np.concatenate(apart)
    own = np.unique(np.concatenate(member), return_inverse=True)[1]
    sign = np.sign(np.bincount(own, difference))
    won, lost = int((sign > 0).sum()), int((sign < 0).sum())
    differ, p = won + lost, 1.0
    if differ:
        test = binomtest(won, differ)
        p, share = float(test.pvalue), test.proportion_ci(0.95)
        ends = [(2 * end - 1) * differ / len(sign) for end in (share.low, share.high)]
    else:  # none of so many: how many of all could
        most = 1 - 0.025 ** (1 / len(sign))
        ends = [-most, most]
    # neighbours are shared, which the jackknife does not see; sizes of groups, the test does not
    low, high = interval(partial(mean_of, difference), own, jackknife=True)
    value = float(difference.mean())
    return Score(value, float(np.nanmin([low, *ends])), float(np.nanmax([high, *ends])), p)


def could_be_right(
    labels: pd.Series[Any],
    groups: pd.Series[Any] | None = None,
    within: pd.Series[Any] | None = None,
    barred: NDArray[np.intp] | None = None,
) -> int:
    """Of how many of N specimens, or of their groups, one that `paired` may ask has the label."""
    table = pd.DataFrame({"label": labels.astype(str).to_numpy()})
    table["group"] = group_codes(groups, len(table))
    table["barred"] = table["group"] if barred is None else barred
    found = set[int]()
    for rows in levels_of(labels, within):
        own = table.iloc[rows]

        def alike(*columns: str, own: pd.DataFrame = own) -> pd.Series[int]:
            return own.groupby(["label", *columns])["label"].transform("size")

        others = alike() - alike("group") - alike("barred") + alike("group", "barred")
        found |= set(own["group"][others > 0])
    return len(found)


def verdict(against: Mapping[str, Score], judged: int | None) -> str:
    """One sentence on an embedding, from how it does against others.

    Better is what beats every one of them, each at 5 %: by chance that is at most as often as the
    rarest of these tests.

    Parameters
    ----------
    against
        By what it is compared with, `COMMONEST`, `START`, `COLOUR` (its best) and `TEXTURE` first
        words of each.
    judged
        See `could_be_right`; None without a label.
    """
    if judged is None:
        return f"Cannot be judged without a label: label {FEWEST} specimens."
    if judged < FEWEST:
        return (
            f"Cannot be judged by {judged} specimens (or groups) whose label can be found among "
            f"others: it takes {FEWEST}."
        )
    beaten: list[str] = []
    others: list[str] = []
    worse = False
    for kind in (COMMONEST, START, COLOUR, TEXTURE):
        scores = [score for name, score in against.items() if name.startswith(kind)]
        if scores:
            better = all(score.p < LEVEL and score.value > 0 for score in scores)
            (beaten if better else others).append(f"than {kind}")
            worse = any(score.p < LEVEL and score.value < 0 for score in scores)
    if others[:1] == [f"than {COMMONEST}"]:
        return f"Not better {others[0]}."
    beaten = beaten[COMMONEST in against :]  # goes without saying
    if not others:
        return f"Better {_listed(beaten)}."
    if others == [f"than {TEXTURE}"] and beaten and not worse:
        return f"Better {_listed(beaten)}. Not better {others[0]}: instant may do as well."
    way = ": use instant" if f"than {TEXTURE}" in others else ""
    return f"Not better {_listed(others)}{way}."


def _listed(words: list[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
