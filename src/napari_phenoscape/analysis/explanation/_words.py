"""Words: an explanation in a line of a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.analysis.explanation._likeness import DOUBTFUL
from napari_phenoscape.analysis.explanation._occlusion import WINDOW_NM
from napari_phenoscape.cubes import Bands

if TYPE_CHECKING:
    from napari_phenoscape.analysis.explanation._explain import Explanation

#: Bands, windows and specimens that are named.
NAMED = 3


def differences(found: Explanation, number: int, against: int | None = None) -> str:
    """Bands with the largest Hedges' g, e.g. ``"UV_B +3.7, G +1.5"``; a dash when it has none."""
    bands, g = found.spectra.bands, found.effect(number, against)
    words = [f"{bands[i].label} {g[i]:+.1f}" for i in strongest(g, bands)]
    return ", ".join(words) or "-"


def missed(found: Explanation, number: int) -> str:
    """Windows that cost most, e.g. ``"UV_R 0.20, B 0.16 of a margin of 0.28"``; or nothing."""
    if found.occlusion is None:
        return ""
    mean = found.lost[found.numbers.index(number)].mean
    margin = found.occlusion.margin[found.likeness.labels == number].mean()
    # NaN, where all of them lack the bands, comes last
    largest = [w for w in np.argsort(-mean, kind="stable")[:NAMED].tolist() if mean[w] >= 0.005]
    words = [f"{found.occlusion.windows[w].name} {mean[w]:.2f}" for w in largest]
    return f"{', '.join(words) or 'nothing'} of a margin of {margin:.2f}"


def doubts(found: Explanation, number: int) -> str:
    """How many specimens of a cluster are nearly in another, and which is the first of them."""
    like = found.likeness
    members = like.doubtful(number)
    first = int(members[0])
    least = (
        f"{found.table['specimen'].iloc[first]}, silhouette {like.silhouette[first]:.2f}, "
        f"next to {found.clusters.names[int(like.other[first])]}"
    )
    doubtful = int((like.silhouette[members] < DOUBTFUL).sum())
    return f"{doubtful}; first {least}" if doubtful else f"none; least sure {least}"


def strongest(
    values: NDArray[np.float64],
    bands: Bands,
    number: int = NAMED,
    apart_nm: float = WINDOW_NM,
) -> list[int]:
    """Positions of the largest of (C,) values by amount, the largest first.

    No two are within ``apart_nm``: neighbouring bands of a spectrum say the same. NaN is none.
    """
    found: list[int] = []
    for i in np.argsort(-np.abs(values), kind="stable").tolist():
        nm = bands[i].wavelength_nm
        near = nm is not None and any(
            (other := bands[j].wavelength_nm) is not None and abs(other - nm) < apart_nm
            for j in found
        )
        if np.isfinite(values[i]) and not near and len(found) < number:
            found.append(i)
    return found
