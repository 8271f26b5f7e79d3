"""Words: an explanation in a line of a table."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.analysis.explanation._explanation import Explanation
from napari_phenoscape.analysis.explanation._membership import BORDERLINE
from napari_phenoscape.analysis.explanation._occlusion import WINDOW_NM
from napari_phenoscape.cubes import Bands

#: Bands, windows and specimens that are named.
NAMED = 3


def differences(explanation: Explanation, number: int, against: int | None = None) -> str:
    """Bands with the largest Hedges' g, e.g. ``"UV_B +3.7, G +1.5"``; a dash when it has none."""
    bands, g = explanation.spectra.bands, explanation.effect(number, against)
    words = [f"{bands[i].label} {g[i]:+.1f}" for i in strongest(g, bands)]
    return ", ".join(words) or "-"


def missed(explanation: Explanation, number: int) -> str:
    """Windows that cost most, e.g. ``"UV_R 0.20, B 0.16 of a margin of 0.28"``; or nothing."""
    if explanation.occlusion is None:
        return ""
    mean = explanation.lost[explanation.numbers.index(number)].mean
    margin = explanation.occlusion.margin[explanation.membership.labels == number].mean()
    # NaN, where all of them lack the bands, comes last
    largest = [w for w in np.argsort(-mean, kind="stable")[:NAMED].tolist() if mean[w] >= 0.005]
    words = [f"{explanation.occlusion.windows[w].name} {mean[w]:.2f}" for w in largest]
    return f"{', '.join(words) or 'nothing'} of a margin of {margin:.2f}"


def borderline(explanation: Explanation, number: int) -> str:
    """How many specimens of a cluster are nearly in another, and which is the first of them."""
    of = explanation.membership
    members = of.borderline(number)
    first = int(members[0])
    least = (
        f"{explanation.table['specimen'].iloc[first]}, silhouette {of.silhouette[first]:.2f}, "
        f"next to {explanation.clusters.names[int(of.other[first])]}"
    )
    count = int((of.silhouette[members] < BORDERLINE).sum())
    return f"{count}; first {least}" if count else f"none; least sure {least}"


def strongest(
    values: NDArray[np.float64],
    bands: Bands,
    number: int = NAMED,
    apart_nm: float = WINDOW_NM,
) -> list[int]:
    """Positions of the largest of (C,) values by amount, the largest first.

    No two are within ``apart_nm``: neighbouring bands of a spectrum say the same. NaN is none.
    """
    chosen: list[int] = []
    for i in np.argsort(-np.abs(values), kind="stable").tolist():
        nm = bands[i].wavelength_nm
        near = nm is not None and any(
            (other := bands[j].wavelength_nm) is not None and abs(other - nm) < apart_nm
            for j in chosen
        )
        if np.isfinite(values[i]) and not near and len(chosen) < number:
            chosen.append(i)
    return chosen
