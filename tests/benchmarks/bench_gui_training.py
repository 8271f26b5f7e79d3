"""How long the window waits for anything else, while the docks train, embed, cluster and draw.

A process of its own starts as a user's does: nothing of torch is loaded before it is asked for. A
timer of 16 ms tells, in the window's thread, how late it is called.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import napari
import numpy as np
from PIL import Image
from qtpy.QtCore import QEventLoop, QThreadPool, QTimer

from napari_phenoscape.events import Step
from napari_phenoscape.nets import Encoder, Plain
from napari_phenoscape.specimens import Folder
from napari_phenoscape.training import (
    PCA,
    UMAP,
    Experiment,
    Grouping,
    KMeans,
    Schedule,
    SimCLRMethod,
)
from napari_phenoscape.training._experiment import Runtime
from napari_phenoscape.widgets import ClustersDock, SpecimensDock, TrainDock
from napari_phenoscape.widgets._session import Session, session_of
from tests.benchmarks import Figure
from tests.benchmarks.bench_gui import BLOCKED, TICK_MS, blocks

#: Photographs of so many pixels a side, in ten colours.
SPECIMENS, SIZE, GROUPS = 1000, 32, 10

#: Seconds of nothing, and of training.
IDLE_S, TRAINING_S = 5, 15

#: The most that 99 of 100 ticks may be late while a net is trained, ms.
LATE = 50

#: A step in the dock may take so much longer than one of the command line with as many threads, %.
SLOWER = 10

PARTS = ("collecting", "start", "embedding", "clustering", "map", "emerging")


def comparisons() -> Iterator[Figure]:
    """Ticks beyond their 16 ms: idle, in training, and the latest in each other work."""
    asked = [sys.executable, "-m", "tests.benchmarks.bench_gui_training"]
    said = subprocess.run(asked, check=True, capture_output=True, text=True).stdout
    late: dict[str, list[float]] = json.loads(said.splitlines()[-1])
    for when, name in (("idle", "gui-idle"), ("training", "gui-training")):
        yield Figure(f"{name}-p50", _percentile(late[when], 50), "ms", LATE)
        yield Figure(f"{name}-p99", _percentile(late[when], 99), "ms", LATE)
        yield Figure(f"{name}-max", _percentile(late[when], 100), "ms", BLOCKED)
    yield Figure("gui-training-as-cli", lambda: late["slower"][0], "% longer", SLOWER)
    for part in PARTS:
        yield Figure(f"gui-{part}-blocked", _percentile(late[part], 100), "ms", BLOCKED)


def _percentile(seconds: list[float], percent: float) -> Callable[[], float]:
    return lambda: 1e3 * float(np.percentile(seconds, percent))


def measured(folder: Path) -> dict[str, list[float]]:
    """Seconds that each tick was late, by what the window was doing."""
    _photographs(folder / "photographs")
    late: dict[str, list[float]] = {}
    viewer = napari.Viewer()
    viewer.window.set_geometry(0, 0, 1600, 1000)
    viewer.add_image(np.zeros((64, 64, 3), np.uint8))  # what napari loads for its first layer
    session = session_of(viewer)
    session.set_experiment(_experiment(folder))
    specimens, train, clusters = (dock(viewer) for dock in (SpecimensDock, TrainDock, ClustersDock))
    for dock in (specimens, train, clusters):
        viewer.window.add_dock_widget(dock, area="right")
    wait(lambda: not session.busy)
    with blocks() as late["idle"]:
        live(IDLE_S)
    with blocks() as late["collecting"]:
        specimens.collect_button.click()
        _end(session)
    with blocks() as late["start"]:
        train.start_button.click()
        wait(lambda: any(isinstance(event, Step) for event in session.history))
    made = len(session.history)
    with blocks() as late["training"]:
        live(TRAINING_S)
    made = sum(isinstance(event, Step) for event in session.history[made:])
    train.stop_button.click()
    _end(session)
    late["slower"] = [100 * (_steps_of_cli(folder) / made - 1)]
    with blocks() as late["embedding"]:
        clusters.embed_button.click()
        wait(lambda: session.embedded is not None)
    with blocks() as late["clustering"]:  # and the sheet
        _end(session)
    clusters.grouping.set(Grouping(method=KMeans(clusters=GROUPS), map=UMAP()))
    with blocks() as late["map"]:
        clusters.cluster_button.click()
        _end(session)
    train.start_button.click()
    with blocks() as late["emerging"]:
        wait(lambda: session.clustered is not None and session.clustered.so_far is not None)
        live(1)
    train.stop_button.click()
    _end(session)
    viewer.close()
    QThreadPool.globalInstance().waitForDone()
    return late


def _steps_of_cli(folder: Path) -> int:
    """Steps that the command line makes meanwhile; one core stays free, as the window has it."""
    path, threads = folder / "experiment.yaml", max(1, (os.cpu_count() or 1) - 1)
    path.write_text(_experiment(folder).to_yaml())
    words = ["train", str(path), "--events", "--set", f"runtime.threads={threads}"]
    asked = [sys.executable, "-m", "napari_phenoscape.cli", *words]
    made, end = 0, math.inf
    with subprocess.Popen(asked, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        for line in program.stdout:
            if json.loads(line)["event"] == "Step":
                made += end < math.inf
                end = min(end, time.perf_counter() + TRAINING_S)
            if time.perf_counter() > end:
                break
        program.kill()
    return made


def live(seconds: float) -> None:
    """Let the window live as napari does: its loop sleeps until something happens."""
    loop = QEventLoop()
    QTimer.singleShot(round(1e3 * seconds), loop.quit)
    loop.exec()


def wait(claim: Callable[[], bool]) -> None:
    """Let the window live until a claim is true."""
    while not claim():
        live(TICK_MS / 1e3)


def _end(session: Session) -> None:
    """Wait for the work that was begun, what follows it, and what then is drawn."""
    live(0.5)
    wait(lambda: not session.busy)
    live(1)


def _experiment(folder: Path) -> Experiment:
    return Experiment(
        collection=Folder(path=folder / "photographs"),
        image_size=SIZE,
        method=SimCLRMethod(readout=Plain(), beside="nothing"),
        encoder=Encoder(backbone="resnet18"),
        schedule=Schedule(steps=100_000, batch_size=32, checkpoint_every=100),
        grouping=Grouping(method=KMeans(clusters=GROUPS), map=PCA()),
        runtime=Runtime(device="cpu"),
        runs=folder / "runs",
    )


def _photographs(folder: Path) -> None:
    random = np.random.default_rng(0)
    colours = random.integers(40, 215, (GROUPS, 3))
    folder.mkdir()
    for number in range(SPECIMENS):
        drawn = colours[number % GROUPS] + random.normal(0, 15, (SIZE, SIZE, 3))
        picture = Image.fromarray(drawn.clip(0, 255).astype(np.uint8))
        picture.save(folder / f"{number:04d}.png")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        print(json.dumps(measured(Path(name))))
