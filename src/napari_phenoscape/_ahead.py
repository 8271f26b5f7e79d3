"""Ahead: items one by one, while those behind them are worked on in other threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

from napari_phenoscape.errors import PhenoscapeError

Item = TypeVar("Item")


def ahead(items: Sequence[Item], work: Callable[[Item], object], threads: int) -> Iterator[Item]:
    """Items in their order, each when its work is done.

    Parameters
    ----------
    work
        What is done once for each; what it returns is kept by itself. What goes wrong in it is met
        again by who uses the item.
    threads
        Items that are worked on at once; twice as many are waited for.
    """

    def quietly(item: Item) -> None:
        with suppress(PhenoscapeError, OSError):
            work(item)

    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[None]] = deque()
        try:
            for i, item in enumerate(items):
                for later in items[i + len(waiting) : i + 2 * threads]:
                    waiting.append(pool.submit(quietly, later))
                waiting.popleft().result()
                yield item
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
