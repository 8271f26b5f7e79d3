"""The band slider and the lines of the Spectrum dock on a BIL cube of 1 GB, in a real window.

A step ends when the window has drawn the band. What else the window has to do at the time waits as
long as the event loop is blocked, which a timer of 16 ms notices.
"""

from __future__ import annotations

import gc
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import napari
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication

from napari_phenoscape.widgets import SpectrumDock
from napari_phenoscape.widgets._commands import add_cube
from napari_phenoscape.widgets._worker import guard_torch
from tests.benchmarks import Figure
from tests.benchmarks.bench_io import C, write_cube

STEPS = 150
TICK_MS = 16

#: The most that anything in the window may wait, ms.
BLOCKED = 100


def comparisons() -> Iterator[Figure]:
    """Times of a step, and the longest time that the event loop was blocked."""
    guard_torch()
    with tempfile.TemporaryDirectory() as name:
        viewer = napari.Viewer()
        _bands, *others = add_cube(viewer, write_cube(Path(name)))
        for layer in others:
            layer.visible = False  # the picture covers the bands
        yield from _scrubbed("gui-scrub", viewer)
        dock = SpectrumDock(viewer)
        viewer.window.add_dock_widget(dock, area="right")
        yield from _dragged("gui-drag", dock)
        for layer in viewer.layers:
            layer.visible = False
        dock.computing.smooth_button.click()
        wait(lambda: not dock.session.busy)
        yield from _scrubbed("gui-scrub-smoothed", viewer)
        viewer.close()


def _scrubbed(name: str, viewer: napari.Viewer) -> Iterator[Figure]:
    steps: list[float] = []
    with blocks() as waits:
        scrub(viewer, steps)
    yield Figure(f"{name}-step-median", lambda: 1e3 * statistics.median(steps), "ms", 50)
    yield Figure(f"{name}-event-loop-blocked", lambda: 1e3 * max(waits), "ms", BLOCKED)


def _dragged(name: str, dock: SpectrumDock) -> Iterator[Figure]:
    """The red line over all the plot, as fast as a mouse tells where it is."""
    line = dock.chart.lines[0]
    low, high = float(dock.chart.x.min()), float(dock.chart.x.max())
    with blocks() as waits:
        for step in range(STEPS):
            line.setValue(low + (high - low) * step / STEPS)
            line.sigDragged.emit(line)
            live(TICK_MS / 1e3)
        line.sigPositionChangeFinished.emit(line)
        wait(lambda: not dock.session.busy)
    yield Figure(f"{name}-event-loop-blocked", lambda: 1e3 * max(waits), "ms", BLOCKED)


def scrub(viewer: napari.Viewer, steps: list[float]) -> None:
    """Move the slider, and note the seconds until each band is drawn."""
    canvas = viewer.window._qt_viewer.canvas._scene_canvas
    drawn = [0]
    canvas.events.draw.connect(lambda _: drawn.append(0))
    for step in range(STEPS):
        start, before = time.perf_counter(), len(drawn)
        viewer.dims.set_current_step(0, (7 * step) % C)
        while len(drawn) == before:
            QApplication.processEvents()
        steps.append(time.perf_counter() - start)
        QApplication.processEvents()


@contextmanager
def blocks() -> Iterator[list[float]]:
    """Seconds between the ticks of a timer beyond its 16 ms."""
    live(0.5)
    gc.collect()  # what starting napari left behind; Python does it once, at any time
    ticks, found = [time.perf_counter()], []
    timer = QTimer()
    timer.setInterval(TICK_MS)
    timer.timeout.connect(lambda: ticks.append(time.perf_counter()))
    timer.start()
    yield found
    timer.stop()
    found += [after - before - TICK_MS / 1e3 for before, after in pairwise(ticks)]


def live(seconds: float) -> None:
    """Let the window do what it has to do for so long."""
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        QApplication.processEvents()


def wait(claim: Callable[[], bool]) -> None:
    """Let the window live until a claim is true."""
    while not claim():
        QApplication.processEvents()
