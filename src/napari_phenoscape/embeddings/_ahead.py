"""Ahead: what is needed next is read by a thread, while what there is is computed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from functools import partial
from queue import SimpleQueue
from typing import TypeVar

from napari_phenoscape.events import Event

T = TypeVar("T")


@contextmanager
def verbs_ahead(
    verbs: Iterator[Generator[Event, None, T]], *, room: bool
) -> Iterator[Callable[[], Generator[Event, None, T]]]:
    """What gives the next of some verbs, while a thread does the one after it.

    A verb says, gives and raises the same, when it is asked for. Without ``room`` for what two of
    them give, nothing is done before.
    """
    if not room:
        yield partial(next, verbs)
        return
    said = SimpleQueue[Event | BaseException]()
    asked, closed = threading.Semaphore(1), threading.Event()

    def work() -> None:
        for verb in verbs:
            asked.acquire()
            if closed.is_set():
                return
            try:
                while not closed.is_set():
                    said.put(next(verb))
            except BaseException as end:  # noqa: BLE001, the result of a verb, or raised by who asks
                said.put(end)
            verb.close()

    def each() -> Generator[Event, None, T]:
        while True:
            match said.get():
                case StopIteration() as end:
                    asked.release()
                    result: T = end.value
                    return result
                case BaseException() as error:
                    asked.release()
                    raise error
                case event:
                    yield event

    thread = threading.Thread(target=work, name="reads ahead", daemon=True)
    thread.start()
    try:
        yield each
    finally:
        closed.set()
        asked.release()
        thread.join()
