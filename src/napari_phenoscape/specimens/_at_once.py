"""At once: how many pictures of a collection are read at the same time."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from napari_phenoscape._ahead import threads_here
from napari_phenoscape.cubes import Interpretation
from napari_phenoscape.errors import PhenoscapeError
from napari_phenoscape.spectra import open_calibrated

#: Pictures that are read at once at most, and pixels of three bands that they have together, about.
MOST_THREADS, PIXELS = 8, 100_000_000

#: Bytes of memory that such a pixel takes, and share of what is free that all may take.
BYTES, SHARE = 20, 0.5

#: Pictures at most whose size is looked at for it.
SOME = 8


def at_once(paths: Sequence[Path], read_as: Interpretation, threads: int = 0) -> int:
    """How many pictures are read at once: fewer where some of them are large.

    Parameters
    ----------
    threads
        That are asked for; 0: see `threads_here`.
    """
    most = min(threads_here(threads), MOST_THREADS)
    if most == 1 or len(paths) < 2:
        return 1
    pixels = 1
    for path in paths[:: 1 + len(paths) // SOME]:
        with suppress(PhenoscapeError, OSError):
            bands, *sides = open_calibrated(path, read_as).shape
            pixels = max(pixels, math.prod(sides) * -(-bands // 3))
    room = SHARE * psutil.virtual_memory().available / BYTES
    return min(most, 1 + int(min(PIXELS, room)) // pixels)
