"""Polygon: which places a line that was drawn around them holds."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def inside(
    places: NDArray[np.floating[Any]], polygon: NDArray[np.floating[Any]]
) -> NDArray[np.bool_]:
    """Which places lie in a closed polygon, by the even-odd rule.

    Parameters
    ----------
    places : (N, 2)
        In any unit; NaN is nowhere.
    polygon : (M, 2)
        Corners in their order, in the same unit; the last is joined to the first. It may cross
        itself: what it goes around twice is outside.

    Returns
    -------
    (N,) a place on the line itself may be on either side.
    """
    held: NDArray[np.bool_] = np.zeros(len(places), np.bool_)
    if len(polygon) < 3:
        return held
    # float64, or the corner of a large map is where its neighbour is
    corners = np.asarray(polygon, np.float64)
    low, high = corners.min(axis=0), corners.max(axis=0)
    near = np.flatnonzero(((places >= low) & (places <= high)).all(axis=1))
    order = near[np.argsort(places[near, 1], kind="stable")]
    x, y = np.asarray(places[order], np.float64).T
    odd = np.zeros(len(order), np.bool_)
    starts, ends = corners, np.roll(corners, -1, axis=0)
    # an edge is met by the places between the heights of its ends only
    first = np.searchsorted(y, np.minimum(starts[:, 1], ends[:, 1]), side="right")
    last = np.searchsorted(y, np.maximum(starts[:, 1], ends[:, 1]), side="right")
    for (x0, y0), (x1, y1), begin, end in zip(
        starts.tolist(), ends.tolist(), first.tolist(), last.tolist(), strict=True
    ):
        if begin < end:
            part = slice(begin, end)
            odd[part] ^= x[part] < x0 + (y[part] - y0) * ((x1 - x0) / (y1 - y0))
    held[order] = odd
    return held
