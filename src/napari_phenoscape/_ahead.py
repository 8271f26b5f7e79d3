"""Ahead: items one by one, while those behind them are worked on in other threads."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from napari_phenoscape.errors import PhenoscapeError

Item = TypeVar("Item")
Made = TypeVar("Made")


def threads_here(asked: int = 0) -> int:
    """How many threads may work: those asked for, else as OMP_NUM_THREADS says, else all."""
    said, processors = os.environ.get("OMP_NUM_THREADS", ""), os.cpu_count() or 1
    return min(asked or (int(said) if said.isdecimal() else 0) or processors, processors)


def made_ahead(
    items: Sequence[Item], work: Callable[[Item], Made], threads: int
) -> Generator[Made, None, None]:
    """What is made of each item, in their order; what goes wrong is raised when it is its turn.

    Parameters
    ----------
    work
        What is done once for each. One thread: by who asks, when it is asked for.
    threads
        Items that are worked on at once; twice as many are waited for.
    """
    if threads == 1:
        yield from map(work, items)
        return
    pool = ThreadPoolExecutor(threads)
    waiting: deque[Future[Made]] = deque()
    try:
        for i in range(len(items)):
            for later in items[i + len(waiting) : i + 2 * threads]:
                waiting.append(pool.submit(work, later))
            yield waiting.popleft().result()
    finally:
        # who stops does not wait for what is under way
        pool.shutdown(wait=False, cancel_futures=True)


def ahead(
    items: Sequence[Item], work: Callable[[Item], object], threads: int
) -> Generator[Item, None, None]:
    """Items in their order, each when its work is done; see `made_ahead`.

    Parameters
    ----------
    work
        What it returns is kept by itself. What goes wrong in it is met again by who uses the item.
    """

    def quietly(item: Item) -> Item:
        with suppress(PhenoscapeError, OSError):
            work(item)
        return item

    return made_ahead(items, quietly, threads)
