"""Task: a verb (a generator of events) at work in one of napari's threads."""

from __future__ import annotations

import logging
import os
import time
import traceback
from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import partial
from typing import Any

from napari.qt.threading import GeneratorWorker, create_worker
from napari.utils.notifications import show_error, show_info
from qtpy.QtCore import QObject, QThreadPool, QTimer, Signal

from napari_phenoscape._extensions import author_of
from napari_phenoscape._problem import ISSUES
from napari_phenoscape.errors import PhenoscapeError
from napari_phenoscape.events import Event, Failed, Notice, Progress, Step
from napari_phenoscape.widgets._settings import settings
from napari_phenoscape.widgets._triton import bind_triton

Verb = Callable[[], Generator[Event, None, Any]]

#: The window is told at most so often (in s); events that come faster arrive together.
INTERVAL_S = 0.1

#: Notices that follow each other within so many ms are shown as one.
NOTICES_MS = 2000

#: So long napari shows one, in s; of two at once it never takes the first away (0.9.2).
SHOWN_S = 5.0

#: Pieces of work that may be under way at once, paused ones too.
THREADS = 8

log = logging.getLogger(__name__)


def guard_torch() -> None:
    """Make torch safe in a process that draws with OpenGL; call before torch is first used.

    One core is left to the window, unless the settings say another number of threads; see
    `bind_triton`.
    """
    bind_triton()
    import torch

    cores = os.cpu_count() or 1
    torch.set_num_threads(min(settings().threads or max(1, cores - 1), cores))


@dataclass(frozen=True, slots=True)
class Traced(Failed):
    """A failure, and where in the program it happened."""

    traceback: str


def failure(error: Exception) -> Traced:
    """What went wrong, for the user; the traceback goes to the log unless we foresaw it."""
    trace = "".join(traceback.format_exception(error))
    if isinstance(error, PhenoscapeError):
        return Traced(str(error), trace)
    log.error("unforeseen %s", type(error).__name__, exc_info=error)
    words = " ".join(str(error).split()) or "no message"
    author = author_of(error)
    of, whom = (f" of {author}", "its authors") if author else ("", f"us ({ISSUES})")
    return Traced(
        f"Unforeseen {type(error).__name__}{of}: {words}. What was saved before is intact; "
        f"please tell {whom}, with what 'Copy report' copies.",
        trace,
    )


def relay(verb: Verb, torch: bool) -> Generator[list[Event], None, Any]:
    """The events of ``verb`` in packets, at most ten a second.

    None is lost but a `Progress` that the same work has outdone before it was told: to draw each
    would take the window longer than the work takes.

    napari's worker forgets a RuntimeError (torch's out-of-memory is one), so every exception
    becomes `Failed` here.

    Parameters
    ----------
    verb
        Makes the generator; called in the thread.
    torch
        Whether the verb computes with torch.
    """
    waiting: list[Event] = []
    told = -INTERVAL_S
    running: Generator[Event, None, Any] | None = None
    try:
        if torch:
            guard_torch()
        running = verb()
        while True:
            try:
                event = next(running)
            except StopIteration as end:
                if waiting:
                    yield waiting
                return end.value
            if isinstance(event, Progress) and waiting and _goes_on(waiting[-1], event):
                waiting.pop()
            waiting.append(event)
            rare = not isinstance(event, Step | Progress)
            if rare or time.monotonic() - told >= INTERVAL_S:
                told = time.monotonic()
                yield waiting
                waiting = []
    except Exception as error:  # noqa: BLE001  whatever it is, the user is told
        yield [*waiting, failure(error)]
    finally:
        if running is not None:
            running.close()


def _goes_on(before: Event, progress: Progress) -> bool:
    return isinstance(before, Progress) and before.what == progress.what


class _Worker(GeneratorWorker):
    """A worker that lets its generator save when it is stopped.

    napari's own leaves an aborted generator unclosed. It also swaps Python's global warning hook
    while it runs; two workers that overlap would leave the hook of a dead one behind, so ours
    leaves it alone.
    """

    def run(self) -> None:
        """Run to the end, to a stop or to a failure; then say so."""
        self.started.emit()
        self._running = True
        outcome = self.work()
        try:
            self._gen.close()
        except Exception as error:  # noqa: BLE001  whatever it is, the user is told
            self.yielded.emit([failure(error)])
        if not self.abort_requested:
            self.returned.emit(outcome)
        self._running = False
        self.finished.emit()
        self._finished.emit(self)


class _Named(partial[Generator[list[Event], None, Any]]):
    """A function that prints as what it does; napari shows it when the window is closed."""

    title = ""

    def __str__(self) -> str:
        return self.title


class _Messages:
    """Shows messages in the corner of the canvas, one after the other."""

    def __init__(self) -> None:
        self._free = 0.0

    def show(self, words: str) -> None:
        """Now, or when the one before has gone."""
        now = time.monotonic()
        at = max(now, self._free)
        self._free = at + SHOWN_S
        QTimer.singleShot(round(1000 * (at - now)), partial(show_info, words))


_messages = _Messages()


class Task(QObject):
    """One verb at work: tells its events in the window's thread, and can be paused and stopped.

    Parameters
    ----------
    title
        What is going on, e.g. ``"Training"``.
    verb
        Called without arguments in the thread; gives the generator.
    torch
        Whether the verb computes with torch.
    """

    event_received = Signal(object)  #: one Event, in order; see `relay`
    batch_flushed = Signal()  #: after each packet of events: redraw now
    state_changed = Signal(str)  #: running, pausing, paused, stopping; done, stopped, failed
    succeeded = Signal(object)  #: what the verb returned

    def __init__(self, title: str, verb: Verb, torch: bool = True) -> None:
        super().__init__()
        self.title = title
        self.state = "running"
        self.progress: Progress | None = None  #: what was told of it last
        self._failed = False
        self._notices: list[str] = []
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.setInterval(NOTICES_MS)
        self._soon.timeout.connect(self._notify)
        named = _Named(relay, verb, torch)
        named.title = title
        self._worker = create_worker(named, _worker_class=_Worker, _start_thread=False)
        self._worker.yielded.connect(self._tell)
        self._worker.returned.connect(self._return)
        self._worker.paused.connect(lambda: self._enter("paused"))
        self._worker.resumed.connect(lambda: self._enter("running"))
        self._worker.finished.connect(self._end)

    @property
    def busy(self) -> bool:
        """Whether the thread still works (or waits)."""
        return self.state in ("running", "pausing", "paused", "stopping")

    def start(self) -> None:
        """Begin, in napari's thread pool."""
        # its default is one thread a core: a paused training must not make the others wait
        pool = QThreadPool.globalInstance()
        assert pool is not None  # Qt makes it on demand
        pool.setMaxThreadCount(max(pool.maxThreadCount(), THREADS))
        self._worker.start()

    def pause(self) -> None:
        """Wait before the next event, until `resume`."""
        if self.state == "running":
            self._enter("pausing")
            self._worker.pause()

    def resume(self) -> None:
        """Go on after `pause`."""
        if self.state == "paused":
            self._worker.resume()

    def stop(self) -> None:
        """End after the event that is being made; the verb saves first."""
        if self.busy and self.state != "stopping":
            self._enter("stopping")
            self._worker.quit()

    def _enter(self, state: str) -> None:
        if self.state != "stopping" or state not in ("running", "paused"):
            self.state = state
            self.state_changed.emit(state)

    def _tell(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Failed):
                self._failed = True
                show_error(event.message)
            elif isinstance(event, Notice):
                self._notices.append(event.message)
                self._soon.start()
            elif isinstance(event, Progress):
                self.progress = event
            self.event_received.emit(event)
        self.batch_flushed.emit()

    def _return(self, outcome: Any) -> None:
        if not self._failed:
            self.succeeded.emit(outcome)

    def _notify(self) -> None:
        """Show the notices together: each by itself covers the canvas for seconds."""
        self._soon.stop()
        if self._notices:
            _messages.show("\n".join(self._notices))
            self._notices = []

    def _end(self) -> None:
        self._notify()
        stopped = bool(self._worker.abort_requested)
        self._enter("failed" if self._failed else "stopped" if stopped else "done")
