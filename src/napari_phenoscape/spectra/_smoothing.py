"""Savitzky-Golay smoothing over bands."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cubes import Cube, LazyArray, row_blocks
from napari_phenoscape.errors import OptionError
from napari_phenoscape.spectra._blocks import as_reflectance

#: Numbers that are smoothed together: few enough for the processor's cache, six times faster than
#: a whole band at once. A slider waits for them.
_AT_ONCE = 1 << 18


class _Smoothed(LazyArray):
    """(C, H, W) smoothed reflectance; a band is read with those in its window, and no others."""

    def __init__(self, cube: Cube, window: int, order: int) -> None:
        from scipy.signal import savgol_filter

        super().__init__(cube.shape, np.dtype(np.float32))
        self._cube = cube
        count = cube.shape[0]
        # the filter is linear: what it makes of one band alone are that band's weights
        weights = savgol_filter(np.eye(count), window, order, axis=0)
        self._first = np.clip(np.arange(count) - window // 2, 0, count - window)
        self._weights = np.stack(
            [row[first : first + window] for row, first in zip(weights, self._first, strict=True)]
        ).astype(np.float32)

    def read(self, bands: NDArray[np.intp], rows: slice, columns: slice) -> NDArray[Any]:
        found = self._empty(bands, rows, columns)
        window = self._weights.shape[1]
        for run in np.split(np.arange(len(bands)), np.flatnonzero(np.diff(bands) != 1) + 1):
            low, high = int(self._first[bands[run[0]]]), int(self._first[bands[run[-1]]]) + window
            read = slice(low, high)
            for part, down in row_blocks(self._cube, read, rows, columns, _AT_ONCE):
                x = self._cube.reflectance(read, down, columns)
                for place in run:
                    own = int(self._first[bands[place]]) - low
                    weights = self._weights[bands[place]]
                    found[place, part] = np.tensordot(weights, x[own : own + window], 1)
        return found


def smoothed(cube: Cube, window: int, order: int = 2) -> Cube:
    """Savitzky-Golay smoothing [1]_ of every spectrum, over bands in their order.

    A band that was not measured makes those within half a window unknown.

    Parameters
    ----------
    window
        Bands, an odd number.
    order
        Of the polynomial, below ``window``.

    References
    ----------
    .. [1] Savitzky & Golay 1964. https://doi.org/10.1021/ac60214a047
    """
    count = cube.shape[0]
    if window % 2 == 0 or not order < window <= count:
        raise OptionError(
            f"A window of {window} bands does not suit order {order} and {count} bands; an odd "
            f"number above {order} and up to {count} was expected."
        )
    return as_reflectance(cube, _Smoothed(cube, window, order))
