"""Interrupts: Ctrl-C, or a notebook's stop button, waits for the end of a batch."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Interrupted(KeyboardInterrupt):
    """Asked for in the middle of a batch, raised after it."""


@contextmanager
def interrupt_held() -> Iterator[list[int]]:
    """The signals that asked to stop meanwhile, at most one: asked again, Python's own is raised.

    In the middle of a step of the optimiser there would be nothing whole to save. Only where
    Python would raise KeyboardInterrupt anywhere: in the main thread of a program that does not
    listen itself, such as a notebook.
    """
    asked: list[int] = []
    ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if not ours:
        yield asked
        return

    def remember(number: int, _frame: object) -> None:
        asked.append(number)
        signal.signal(signal.SIGINT, signal.default_int_handler)

    signal.signal(signal.SIGINT, remember)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
