"""Walking a cube in blocks of rows, for what needs all of it and must not hold all of it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cubes._cube import Cube

#: Numbers of the largest block that is in memory at a time (float32: 64 MB).
BLOCK = 16 << 20

ALL = slice(None)


def row_blocks(
    cube: Cube,
    bands: NDArray[np.intp] | slice = ALL,
    rows: slice = ALL,
    columns: slice = ALL,
    most: int | None = None,
) -> Iterator[tuple[slice, slice]]:
    """Blocks of rows, from top to bottom, that are small enough to be in memory.

    Parameters
    ----------
    bands, rows, columns
        What is read of the cube, as in `Cube.reflectance`; rows may be every so many.
    most
        Numbers of a block, where what is computed from them needs more memory than they do. A row
        is never divided.

    Yields
    ------
    Where a block lies among ``rows``, and its rows in the cube.
    """
    depth = len(range(cube.shape[0])[bands]) if isinstance(bands, slice) else len(bands)
    wanted, width = range(cube.shape[1])[rows], len(range(cube.shape[2])[columns])
    at_once = max(1, min(most or BLOCK, BLOCK) // max(1, depth * width))
    for start in range(0, len(wanted), at_once):
        part = wanted[start : start + at_once]
        yield slice(start, start + len(part)), slice(part[0], part[-1] + 1, part.step)
