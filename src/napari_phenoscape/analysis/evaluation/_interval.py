"""Interval: how far a measure could be off because these specimens were there, not others."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: Random halvings, parts of a jackknife, and the share of samples whose interval holds the truth.
HALVINGS, PARTS, SHARE = 40, 100, 0.95


def interval(
    statistic: Callable[[NDArray[np.intp]], float],
    groups: NDArray[np.intp],
    strata: ArrayLike | None = None,
    *,
    proportion: bool = False,
    jackknife: bool = False,
    seed: int = 0,
) -> tuple[float, float]:
    """95 % interval of a statistic, by the difference between random halves of the specimens.

    Two halves are two samples of specimens, so a quarter of the squared difference of their
    statistics estimates the squared standard error of the whole one (balanced half-samples [1]_).
    Nothing is drawn twice: a bootstrap counts a specimen's agreement with its own copy [2]_.

    Parameters
    ----------
    statistic
        Of row numbers; NaN where it is not defined.
    groups : (N,)
        Specimens of one group, 0..G-1, are in the same half.
    strata : (N,)
        Each level of this is halved.
    proportion
        The statistic is a mean of values 0-1: the interval is that of a binomial with as many
        trials as have this standard error [3]_, so that nothing right, or all, is no certainty.
    jackknife
        The standard error is that of leaving out one group, or one of 100 parts, at a time. For
        statistics of pairs of specimens, of which halves have too few. They are 1 at most, and so
        is the upper end.

    Returns
    -------
    Lower and upper end, around the statistic of all; NaN where halves have none.

    References
    ----------
    .. [1] McCarthy 1969, Pseudo-replication: half samples. https://doi.org/10.2307/1402116
    .. [2] Severiano et al. 2011. https://doi.org/10.1186/1471-2105-12-S11-S2
    .. [3] Korn & Graubard 1998. https://www150.statcan.gc.ca/n1/pub/12-001-x/1998002/article/4356-eng.pdf
    """
    from scipy.stats import beta, norm, t

    whole = statistic(np.arange(len(groups)))
    _, first = np.unique(groups, return_index=True)
    number = len(first)
    if np.isnan(whole) or number < 2:
        return np.nan, np.nan
    stratum = np.zeros(number, np.intp)
    if strata is not None:
        stratum = np.unique(np.asarray(strata), return_inverse=True)[1][first]
    draws = np.random.default_rng(seed)
    if jackknife:
        parts = np.array_split(draws.permutation(number), min(number, PARTS))
        left = [statistic(np.flatnonzero(~np.isin(groups, part))) for part in parts]
        told = np.array(left)[~np.isnan(left)]
        error = np.sqrt((len(told) - 1) * told.var()) if len(told) > 1 else np.nan
    else:
        differences = []
        for _ in range(HALVINGS):
            second = np.empty(number, np.bool_)
            second[np.lexsort((draws.random(number), stratum))] = np.arange(number) % 2
            half = second[groups]
            differences.append(statistic(np.flatnonzero(half)) - statistic(np.flatnonzero(~half)))
        told = np.array(differences)[~np.isnan(differences)]
        error = np.sqrt((told**2).mean()) / 2 if len(told) > 1 else np.nan
    if np.isnan(error):
        return np.nan, np.nan
    tail = (1 - SHARE) / 2
    reach = -t.ppf(tail, min(number, len(told)) - 1)
    if not proportion:
        high = float(whole + reach * error)
        return float(whole - reach * error), min(high, 1.0) if jackknife else high
    variance = whole * (1 - whole)
    trials = min(variance / error**2, 1e9) if error > 0 and variance > 0 else number
    trials *= (norm.ppf(tail) / reach) ** 2  # for the few groups that the error is known from
    right, wrong = whole * trials, (1 - whole) * trials
    low = beta.ppf(tail, right, wrong + 1) if right > 0 else 0
    high = beta.ppf(1 - tail, right + 1, wrong) if wrong > 0 else 1
    return float(low), float(high)
