"""Score: one number of an embedding, and how sure it is."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_phenoscape.analysis.evaluation._interval import interval


class Score(NamedTuple):
    """One number, how sure it is, and whether chance could have made it.

    Parameters
    ----------
    value
        NaN where it is not defined.
    low, high
        95 % `interval` over the specimens (or their groups); NaN where there is none.
    p
        Of the permutation test, NaN where there is none.
    """

    value: float
    low: float = np.nan
    high: float = np.nan
    p: float = np.nan

    def words(self) -> tuple[str, str]:
        """The value, and its interval or p, for a table; a dash where it is not defined."""
        value = f"{self.value:.3f}" if np.isfinite(self.value) else "-"
        interval = f"{self.low:.3f} to {self.high:.3f}" if np.isfinite(self.low) else ""
        return value, f"p = {self.p:.3f}" if np.isfinite(self.p) else interval


def scored(
    statistic: Callable[[NDArray[np.intp]], float],
    groups: NDArray[np.intp],
    strata: ArrayLike | None = None,
    *,
    proportion: bool = False,
    jackknife: bool = False,
) -> Score:
    """A statistic of all specimens, and its `interval`."""
    ends = interval(statistic, groups, strata, proportion=proportion, jackknife=jackknife)
    return Score(statistic(np.arange(len(groups))), *ends)


def over_specimens(values: NDArray[Any], *, proportion: bool = True) -> Score:
    """Mean of (N,) values, one of each specimen, and its interval."""
    return scored(partial(mean_of, values), np.arange(len(values)), proportion=proportion)


def mean_of(values: NDArray[Any], rows: NDArray[np.intp] | slice = slice(None)) -> float:
    """Mean of some of (N,) values, over what is defined; NaN where nothing is."""
    defined = values[rows][~np.isnan(values[rows])]
    return float(defined.mean()) if len(defined) else np.nan
