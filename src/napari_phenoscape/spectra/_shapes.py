"""Shapes: how far pixels fill the smallest box around them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def smallest_box(places: NDArray[np.intp]) -> tuple[float, float]:
    """Sides in pixels, the longer first, of the smallest box around pixels, however it is turned.

    One side of that box lies on a side of the convex hull (Freeman & Shapira 1975).

    Parameters
    ----------
    places : (N, 2)
        Rows and columns of the pixels, row by row.
    """
    from scipy.spatial import ConvexHull, QhullError

    # of a row, the first and the last alone can be corners
    starts = np.flatnonzero(np.diff(places[:, 0], prepend=-1))
    places = np.concatenate([places[starts], places[[*(starts[1:] - 1), -1]]])
    try:
        hull = places[ConvexHull(places).vertices].astype(float)
    except QhullError:  # all in a line
        return float(np.ptp(places, axis=0).max()) + 1, 1.0
    sides = np.roll(hull, -1, axis=0) - hull
    angles = np.unique(np.arctan2(sides[:, 1], sides[:, 0]) % (np.pi / 2))
    along = np.stack([np.cos(angles), np.sin(angles)])
    across = np.stack([-np.sin(angles), np.cos(angles)])
    lengths = [np.ptp(hull @ axes, axis=0) + 1 for axes in (along, across)]
    best = int(np.argmin(lengths[0] * lengths[1]))
    one, other = (float(length[best]) for length in lengths)
    return max(one, other), min(one, other)
