"""Cube: one opened file, nothing of which is in memory until it is indexed."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cubes._bands import Bands
from napari_phenoscape.cubes._lazy import LazyArray


@dataclass(frozen=True, eq=False)
class Cube:
    """One opened file, nothing of which is in memory until it is indexed.

    Parameters
    ----------
    array : (C, H, W)
        The file's own numbers, lazily, in the file's own type.
    bands
        C of them, in the order of ``array``.
    path
        The data file (not the header).
    gain, offset : () or (C,)
        ``reflectance = gain * number + offset``; unitless, 1 = a perfect white.
    mask : (H, W) bool or None
        True on the specimen(s).
    ignore_value
        The number that stands for "no measurement"; reads as NaN in `reflectance`.
    units
        Of what gain and offset give, where the file says that it is no reflectance, e.g.
        ``"W/m^2/sr/nm"``.
    integration_time
        Of each line or picture, in the unit of the camera (ms of most); None where the file does
        not say. Only its ratio to that of a white reference matters.
    provenance
        What was assumed because the file does not say it, one sentence each.
    """

    array: LazyArray | NDArray[Any]
    bands: Bands
    path: Path
    gain: NDArray[np.float32] = field(default_factory=lambda: np.ones((), np.float32))
    offset: NDArray[np.float32] = field(default_factory=lambda: np.zeros((), np.float32))
    mask: NDArray[np.bool_] | None = None
    ignore_value: float | None = None
    units: str = ""
    integration_time: float | None = None
    provenance: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        bands, rows, columns = self.array.shape
        return bands, rows, columns

    def reflectance(
        self,
        bands: NDArray[np.intp] | slice = slice(None),
        rows: slice = slice(None),
        columns: slice = slice(None),
    ) -> NDArray[np.float32]:
        """(bands, rows, columns) reflectance of a block, read now; NaN where not measured.

        Parameters
        ----------
        bands
            Band indices; order is kept.
        rows, columns
            Half-open ranges of pixels.
        """
        numbers = np.asarray(self.array[bands, rows, columns])
        block: NDArray[np.float32] = numbers.astype(np.float32)
        gain, offset = (
            part[bands, None, None] if part.ndim else part for part in (self.gain, self.offset)
        )
        block *= gain
        block += offset
        if self.ignore_value is not None:
            block[numbers == np.asarray(self.ignore_value, dtype=numbers.dtype)] = np.nan
        return block


def describe(cube: Cube) -> str:
    """A cube in words, e.g. ``'scan.bil' (408 bands: 348-810 nm)``."""
    own = Bands(band for band in cube.bands if not band.eye) or cube.bands
    return f"'{cube.path.name}' ({own.words})"
