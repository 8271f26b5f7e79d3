"""Numbers that programs write where nothing was measured, in files that do not say so.

One of them among reflectances makes all else vanish: a mean of 0.2 becomes one of -500.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cubes._arrays import FileArray
from napari_phenoscape.cubes._cube import Cube
from napari_phenoscape.cubes._lazy import LazyArray, as_slice
from napari_phenoscape.errors import CubeError

#: What GDAL's, ESRI's, NEON's and NetCDF's users write for it, and the ends of signed integers. The
#: largest unsigned number is none: a camera that saw too much light writes it, too.
MARKERS = (-999, -9999, -99999, -32767, -32768, -2147483647, -2147483648)

#: Not even photons per second and square metre are alone with such a number: 1e20 is CMIP's,
#: 9.96921e36 NetCDF's, 3.4e38 the largest float32.
HUGE = 1e19

#: How many times as far from 0 as all others a marker, and a huge number, is.
ALONE, HUGE_ALONE = 2, 1000

#: Bands, rows and columns of which a cube is looked at.
SAMPLE = (16, 128, 128)


class _Watched(LazyArray):
    """An array that refuses to be read where such a number is in it."""

    def __init__(self, array: LazyArray | NDArray[Any], name: str) -> None:
        super().__init__(array.shape, array.dtype)
        self.unwatched, self._name = array, name

    def read(self, bands: NDArray[np.intp], rows: slice, columns: slice) -> NDArray[Any]:
        numbers = np.asarray(self.unwatched[as_slice(bands), rows, columns])
        if (marker := _marker(numbers)) is not None:
            raise CubeError(f"'{self._name}' {_words(marker)}")
        return numbers


def watched(cube: Cube) -> Cube:
    """The cube, or where it declares nothing one that refuses to be read with such numbers in it.

    Whatever is computed of it refuses too.
    """
    if not _may_hold(cube):
        return cube
    return replace(cube, array=_Watched(cube.array, cube.path.name))


def unmeasured_doubts(cube: Cube, *, quick: bool = False) -> tuple[str, ...]:
    """A sentence when a cube that declares nothing has such a number in a sample of its pixels.

    Parameters
    ----------
    quick
        Only where the numbers lie uncompressed in the file.
    """
    array = cube.array.unwatched if isinstance(cube.array, _Watched) else cube.array
    if not _may_hold(cube) or (quick and not isinstance(array, FileArray)):
        return ()
    steps = (
        slice(None, None, -(-side // wanted))
        for side, wanted in zip(cube.shape, SAMPLE, strict=True)
    )
    marker = _marker(np.asarray(array[tuple(steps)]))
    return () if marker is None else (f"It {_words(marker)}",)


def _may_hold(cube: Cube) -> bool:
    return cube.ignore_value is None and cube.array.dtype.kind in "if"


def _marker(numbers: NDArray[Any]) -> Any:
    """The number among them that is one of `MARKERS`, or huge, and far from all others; or None."""
    lowest, highest = np.fmin.reduce(numbers, axis=None), np.fmax.reduce(numbers, axis=None)
    if not (lowest <= MARKERS[0] or highest >= HUGE):
        return None
    finite = numbers[np.isfinite(numbers)]
    for end in (finite.min(), finite.max()) if finite.size else ():
        alone = ALONE if end in MARKERS else HUGE_ALONE if abs(float(end)) >= HUGE else 0
        others = finite[finite != end]
        if alone and not (others * np.sign(end) >= abs(float(end)) / alone).any():
            return end
    return None


def _words(marker: Any) -> str:
    number = str(marker).removesuffix(".0")
    return (
        f"holds {number}, which programs write where nothing was measured, and declares no such "
        f"number. Say 'ignore_value: {number}' in read_as (--ignore-value {number}), or declare it "
        "in the file."
    )
