"""Threads: many short pieces of torch work, each done by one thread alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TypeVar

import torch

T = TypeVar("T")
R = TypeVar("R")


class Threads:
    """As many threads as torch has here, each of which computes with one, and without gradients.

    Torch's own threads meet at the end of every operation, which takes as long as an operation on
    the few numbers that fit a processor's cache. Here they meet once.
    """

    def __init__(self) -> None:
        self._count = 0
        self._pool: ThreadPoolExecutor | None = None

    def each(self, work: Callable[[T], R], items: Sequence[T]) -> list[R]:
        """What ``work`` gives for every item, in their order; an error in one of them is raised."""
        count = torch.get_num_threads()
        if count < 2 or len(items) < 2:
            return [work(item) for item in items]
        if self._pool is None or self._count != count:
            self._pool, self._count = _pool(count), count
        inference = torch.is_inference_mode_enabled()

        def one(item: T) -> R:
            # a thread begins with modes of its own
            with torch.inference_mode(inference), torch.no_grad():
                return work(item)

        return list(self._pool.map(one, items))


def _pool(count: int) -> ThreadPoolExecutor:
    started = Barrier(count + 1)

    def start() -> None:
        torch.set_num_threads(1)
        started.wait()

    pool = ThreadPoolExecutor(count, thread_name_prefix="views", initializer=start)
    for _ in range(count):
        pool.submit(int)
    started.wait()
    # the number is each thread's own, and also what threads that torch does not know yet begin with
    torch.set_num_threads(count)
    return pool
