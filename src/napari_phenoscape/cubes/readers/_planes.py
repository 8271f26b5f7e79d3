"""Cubes each band of which is an array of its own, e.g. ACOLITE's ``Rrs_443``, ``Rrs_492``."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cubes._lazy import LazyArray, as_slice
from napari_phenoscape.cubes.readers._variable import Variable

#: What a band is of, and its centre in nm.
_PLANE = re.compile(r"(.*[A-Za-z])_?(\d{3,4}(?:\.\d+)?)(?:_?nm)?")

#: Centres in nm that such a number can be, and how many there are at least.
_LOWEST_NM, _HIGHEST_NM, _FEWEST = 200.0, 2600.0, 3


class Stacked(LazyArray):
    """(C, H, W) numbers, of C arrays of one band each."""

    def __init__(self, planes: Sequence[Any]) -> None:
        _, rows, columns = planes[0].shape
        super().__init__((len(planes), rows, columns), planes[0].dtype)
        self._planes = planes

    def read(self, bands: NDArray[np.intp], rows: slice, columns: slice) -> NDArray[Any]:
        return np.stack([self._planes[band][0, rows, columns] for band in bands])


class Measured(LazyArray):
    """The numbers of an array as floats, NaN where they stand for "not measured".

    Parameters
    ----------
    ignored
        The number that does; None: no number does.
    """

    def __init__(self, array: LazyArray | NDArray[Any], ignored: float | None) -> None:
        super().__init__(array.shape, np.promote_types(array.dtype, np.float32))
        self._array, self._ignored = array, ignored

    def read(self, bands: NDArray[np.intp], rows: slice, columns: slice) -> NDArray[Any]:
        numbers = np.asarray(self._array[as_slice(bands), rows, columns])
        made = numbers.astype(self.dtype)
        if self._ignored is not None:
            made[numbers == np.asarray(self._ignored, numbers.dtype)] = np.nan
        return made


def families(variables: Sequence[Variable]) -> dict[str, dict[float, Variable]]:
    """Arrays of one size and type that are named alike but for their nm; by that name, by nm."""
    found: dict[str, dict[float, Variable]] = {}
    for one in variables:
        match = _PLANE.fullmatch(one.name)
        is_plane = len(one.shape) == 2 and min(one.shape) > 0 and one.dtype.kind in "iuf"
        if match and is_plane and _LOWEST_NM <= (nm := float(match[2])) <= _HIGHEST_NM:
            found.setdefault(match[1].rstrip("_"), {})[nm] = one
    return {
        name: dict(sorted(planes.items()))
        for name, planes in found.items()
        if len(planes) >= _FEWEST and len({(one.shape, one.dtype) for one in planes.values()}) == 1
    }
