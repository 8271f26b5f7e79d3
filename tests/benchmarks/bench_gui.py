"""Scrubbing the band slider of a BIL cube of 1 GB in a real napari window.

A step ends when the window has drawn the band. What else the window has to do at the time waits as
long as the event loop is blocked, which a timer of 16 ms notices.
"""

from __future__ import annotations

import gc
import statistics
import tempfile
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import napari
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QApplication

from napari_phenoscape.io import open_cube
from napari_phenoscape.layers.cubes import cube_layers
from napari_phenoscape.widgets.worker import guard_torch
from tests.benchmarks import Figure
from tests.benchmarks.bench_io import C, write_cube

STEPS = 150
TICK_MS = 16


def comparisons() -> Iterator[Figure]:
    """The time of a step, and the longest time that the event loop was blocked."""
    guard_torch()
    with tempfile.TemporaryDirectory() as name:
        cube = open_cube(write_cube(Path(name)))
        viewer = napari.Viewer()
        for numbers, settings, _ in cube_layers(cube)[:1]:
            viewer.add_image(numbers, **settings)
        steps, gaps = scrub(viewer)
        yield Figure("gui-scrub-step-median", lambda: 1e3 * statistics.median(steps), "ms", 50)
        yield Figure("gui-event-loop-blocked", lambda: 1e3 * max(gaps), "ms", 100)
        viewer.close()


def scrub(viewer: napari.Viewer) -> tuple[list[float], list[float]]:
    """Seconds of each step, and between the ticks of a timer beyond its 16 ms."""
    canvas = viewer.window._qt_viewer.canvas._scene_canvas
    drawn, ticks = [0], [time.perf_counter()]
    canvas.events.draw.connect(lambda _: drawn.append(0))
    timer = QTimer()
    timer.setInterval(TICK_MS)
    timer.timeout.connect(lambda: ticks.append(time.perf_counter()))
    steps: list[float] = []
    for step in range(-10, STEPS):  # the first ones warm up
        if step == 0:
            gc.collect()  # what starting napari left behind; Python does it once, at any time
            timer.start()
            ticks[:] = [time.perf_counter()]
            steps.clear()
        start, before = time.perf_counter(), len(drawn)
        viewer.dims.set_current_step(0, (7 * step) % C)
        while len(drawn) == before:
            QApplication.processEvents()
        steps.append(time.perf_counter() - start)
        QApplication.processEvents()
    timer.stop()
    gaps = [after - before - TICK_MS / 1e3 for before, after in pairwise(ticks)]
    return steps, gaps
