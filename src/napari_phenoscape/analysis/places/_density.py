"""Density: a map of more specimens than there is room for dots."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Opacity of a pixel with one specimen, of 255; the fullest has 255.
FAINTEST = 70


def density(
    places: NDArray[np.floating[Any]],
    colours: NDArray[np.uint8],
    window: tuple[float, float, float, float],
    shape: tuple[int, int],
) -> NDArray[np.uint8]:
    """How many specimens lie in each pixel of a window, in the mean of their colours.

    Parameters
    ----------
    places : (N, 2)
        x and y.
    colours : (N, 3)
        Of each specimen.
    window
        Least x, least y, largest x, largest y.
    shape
        Rows and columns of the picture.

    Returns
    -------
    (rows, columns, 4) red, green, blue, opacity; the first row is that of the least y. Opacity
    grows with the logarithm of the number; 0 where nobody is.
    """
    rows, columns = shape
    x0, y0, x1, y1 = window
    x, y = places.T
    seen = (x >= x0) & (y >= y0) & (x <= x1) & (y <= y1)
    if not seen.all():
        x, y, colours = x[seen], y[seen], colours[seen]
    column = np.minimum((x - x0) * (columns / (x1 - x0)), columns - 1).astype(np.int32)
    row = np.minimum((y - y0) * (rows / (y1 - y0)), rows - 1).astype(np.int32)
    pixel = row * np.int32(columns) + column
    count = np.bincount(pixel, minlength=rows * columns)
    picture = np.zeros((rows * columns, 4), np.uint8)
    full = np.flatnonzero(count)
    for channel in range(3):
        total = np.bincount(pixel, colours[:, channel], rows * columns)
        picture[full, channel] = np.rint(total[full] / count[full])
    fullest = np.log(max(2, count.max(initial=0)))
    picture[full, 3] = np.rint(FAINTEST + (255 - FAINTEST) * np.log(count[full]) / fullest)
    return picture.reshape(rows, columns, 4)
