"""Interval: how far a mean could be off because these specimens were photographed, not others."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

#: Resamples, and the share of them that the interval holds.
RESAMPLES, SHARE = 500, 0.95


def bootstrap(
    statistic: Callable[[NDArray[np.intp]], float],
    groups: NDArray[np.intp],
    *,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> tuple[float, float]:
    """Percentile interval (95 %) of a statistic when groups are drawn anew, with replacement [1]_.

    Parameters
    ----------
    statistic
        Of specimen numbers, some of them several times; NaN where it is not defined.
    groups : (N,)
        Specimens of one group, 0..G-1, are drawn together.
    resamples
        How often.

    Returns
    -------
    Lower and upper end.

    References
    ----------
    .. [1] Efron & Tibshirani 1993, An introduction to the bootstrap, chapter 13.
    """
    draws = np.random.default_rng(seed)
    order = np.argsort(groups, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(groups))[:-1])
    number = len(members)
    values = [
        statistic(np.concatenate([members[group] for group in draws.integers(number, size=number)]))
        for _ in range(resamples)
    ]
    tail = 50 * (1 - SHARE)
    low, high = np.nanpercentile(values, (tail, 100 - tail))
    return float(low), float(high)
