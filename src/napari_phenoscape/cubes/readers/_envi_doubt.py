"""Whether an ENVI header has the wrong interleave or byte order, which no file size can tell.

Neighbours in space and in spectrum are alike in every scan; read in the wrong order they are not.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

from napari_phenoscape.cubes._arrays import FileArray
from napari_phenoscape.cubes._cube import Cube
from napari_phenoscape.cubes.readers._envi import header_of
from napari_phenoscape.cubes.readers._envi_data import INTERLEAVES

#: Difference of neighbours, in standard deviations, from which on a cube is rough, and up to which
#: another order is smooth. Of 8 real cubes the right order had 0.07 to 0.20, wrong ones 0.14 to
#: 1.6, six of seven of them more than 0.3.
ROUGH, SMOOTH = 0.3, 0.25

#: Bands, rows and columns below which a cube is too small to tell.
SMALLEST = (8, 16, 16)

#: Bands, rows and columns of a window that is looked at, and how many there are along each axis.
WINDOW, WINDOWS = (8, 8, 16), 3


def envi_doubts(cube: Cube) -> tuple[str, ...]:
    """A sentence when the numbers are rough as the header has them and smooth in another order.

    Reads 27 windows of a thousand numbers each, and those of other orders if these are rough;
    nothing of a cube that is no ENVI file.
    """
    array = cube.array
    is_small = any(side < least for side, least in zip(cube.shape, SMALLEST, strict=True))
    if not isinstance(array, FileArray) or is_small or header_of(cube.path) is None:
        return ()
    declared = roughness(array)
    if declared < ROUGH:
        return ()
    others = {words: roughness(other) for words, other in _others(array)}
    words = min(others, key=others.__getitem__)
    if others[words] > SMOOTH:
        return ()
    return (
        f"The header of '{cube.path.name}' may be wrong: neighbouring numbers differ by "
        f"{declared:.2f} standard deviations, and by {others[words]:.2f} when they are read with "
        f"{words}. If the bands look torn, correct the header.",
    )


def roughness(array: FileArray) -> float:
    """Mean difference of neighbours over the standard deviation, of the roughest axis.

    Of the ranks of the numbers in windows that are spread over the cube; 0 is constant, 1.15 noise.
    """
    starts = [
        np.unique(np.linspace(0, max(0, side - wide), WINDOWS).astype(int))
        for side, wide in zip(array.shape, WINDOW, strict=True)
    ]
    corners = list(product(*starts))
    blocks = [
        array[tuple(slice(s, s + wide) for s, wide in zip(corner, WINDOW, strict=True))]
        for corner in corners
    ]
    # ranks: numbers in a wrong byte order are now and then huge, or none
    ranks = np.unique(np.concatenate([block.ravel() for block in blocks]), return_inverse=True)[1]
    spread = ranks.std()
    if not spread:
        return 0.0
    ends = np.cumsum([block.size for block in blocks])[:-1]
    ranked = [
        part.reshape(block.shape) for part, block in zip(np.split(ranks, ends), blocks, strict=True)
    ]
    steps = [
        np.mean([np.abs(np.diff(block, axis=axis)).mean() for block in ranked])
        for axis, side in enumerate(array.shape)
        if side > 1
    ]
    return float(max(steps, default=0.0) / spread)


def _others(array: FileArray) -> Iterator[tuple[str, FileArray]]:
    """The same bytes in every other order, and what the header would say then."""
    sides = dict(zip("CHW", array.shape, strict=True))
    dtype = array.file_dtype
    is_big = dtype.str[0] == ">"
    for interleave, (axes, order) in INTERLEAVES.items():
        rows, columns, depth = (sides[axis] for axis in axes)
        for big in {is_big, dtype.itemsize > 1 and not is_big}:
            words = [f"'interleave = {interleave}'"] * (order != array.order)
            words += [f"'byte order = {big:d}'"] * (big != is_big)
            if words:
                read = dtype.newbyteorder(">" if big else "<")
                yield " and ".join(words), array.read_as(read, (rows, columns, depth), order)
