"""Savitzky-Golay smoothing over bands."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cubes import BlockArray, Cube
from napari_phenoscape.errors import OptionError
from napari_phenoscape.spectra._blocks import as_reflectance

#: Numbers that are smoothed together: few enough for the processor's cache, six times faster than
#: a whole band at once. A slider waits for them.
_AT_ONCE = 1 << 18


class _Smoothed(BlockArray):
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

    def block(self, bands: NDArray[np.intp], rows: slice, columns: slice) -> NDArray[Any]:
        height = len(range(rows.start, rows.stop, rows.step))
        width = len(range(columns.start, columns.stop, columns.step))
        found = np.empty((len(bands), height, width), np.float32)
        window = self._weights.shape[1]
        for run in np.split(np.arange(len(bands)), np.flatnonzero(np.diff(bands) != 1) + 1):
            if not len(run):
                continue  # no bands were asked for
            low, high = int(self._first[bands[run[0]]]), int(self._first[bands[run[-1]]]) + window
            at_once = max(1, _AT_ONCE // max((high - low) * width, 1))
            for start in range(0, height, at_once):
                part = found[:, start : start + at_once]
                first = rows.start + start * rows.step
                down = slice(first, first + part.shape[1] * rows.step, rows.step)
                x = self._cube.reflectance(slice(low, high), down, columns)
                for place in run:
                    own = int(self._first[bands[place]]) - low
                    part[place] = np.tensordot(
                        self._weights[bands[place]], x[own : own + window], 1
                    )
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
