"""Normal numbers for many views at once, those of each view from a seed of its own."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from torch import Tensor

#: Numbers that are drawn from one seed, about: whole bands.
SEED_VALUES = 2**19


def bands_of_a_seed(size: int) -> int:
    """How many bands of a view, ``size`` pixels wide, are drawn from one seed."""
    return max(1, SEED_VALUES // size**2)


def normal_numbers(
    shape: Sequence[int],
    levels: NDArray[np.float64],
    seeds: NDArray[np.int64],
    first_band: int,
) -> Tensor:
    """(N, n, H, W) independent normal numbers of mean 0, float32, on the CPU.

    Torch draws with one thread, which takes longer than all else that is done to a view; here
    each thread draws from another seed.

    Parameters
    ----------
    shape
        N, n, H, W.
    levels, seeds : (N,)
        Standard deviation and seed of each view.
    first_band
        Which of a view's bands the first of the n is; a multiple of `bands_of_a_seed`.
    """
    import torch

    drawn = torch.empty(tuple(shape))
    step = bands_of_a_seed(shape[-1])
    places = [(row, band) for row in range(shape[0]) for band in range(0, shape[1], step)]
    threads = torch.get_num_threads()

    def draw(first: int) -> None:
        random = torch.Generator()
        for row, band in places[first::threads]:
            random.manual_seed(int(seeds[row]) + first_band + band)
            drawn[row, band : band + step].normal_(0, float(levels[row]), generator=random)

    list(_pool(threads).map(draw, range(min(threads, len(places)))))
    return drawn


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="noise")
