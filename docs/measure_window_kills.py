"""A training in the dock *Train* whose napari is killed (``kill -9``) at random times, and goes on.

A run is trained to its end in a window, undisturbed. Then the same again, each window killed at a
random time after its first step; the next one must offer the run in the dock, and is told to go on
by a click. In the end the run must have, in ``events.jsonl``, the losses of the undisturbed one:
the last told of each step, equal to the last bit. Printed: kills and findings.

With ``start`` each window is killed between the click on *Start* and the first checkpoint: while it
collects, prepares, makes the run or takes its first steps. The next one must offer the run, or
there must be none, and nothing that is half made.

    xvfb-run -a -s "-screen 0 1600x1000x24" python docs/measure_window_kills.py [KILLS [start]]

Linux or macOS.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from napari_phenoscape.events import Finished, Step, result
from napari_phenoscape.samples import write_samples
from napari_phenoscape.training import read_events, runs_in

STEPS = 40

#: Seconds of a training that a window is left at most before it is killed.
LONGEST_S = 4.0

#: Seconds from the click to the first checkpoint, or more.
LONGEST_START_S = 15.0

#: What a window says on its standard output.
TRAINS, NO_OFFER, ENDED = "trains", "no offer", "ended"


def main(kills: int = 20, *, start: bool = False) -> None:
    """Print what was found."""
    over, longest = (_has_saved, LONGEST_START_S) if start else (_has_ended, LONGEST_S)
    draws, findings, made = np.random.default_rng(0), list[str](), 0
    with tempfile.TemporaryDirectory(prefix="kills-") as name:
        folder = Path(name)
        os.environ["XDG_STATE_HOME"] = str(folder / "state")
        result(write_samples(folder / "samples", specimens=24, size=32, drawer=False))
        _live(folder, "undisturbed")
        whole = _losses(folder / "undisturbed")
        round_number = 0
        while made < kills:
            round_number += 1
            runs = f"killed-{round_number}"
            while made < kills and not over(folder / runs):
                said = _live(folder, runs, draws.uniform(0, longest), start)
                made += said == TRAINS and not (start and _has_saved(folder / runs))
                there = "with a run" if _run(folder / runs) else "without a run"
                print(f"{runs}: {made} kills, {said}, {there}", flush=True)
                if said not in (TRAINS, ENDED):
                    sys.exit(f"The window said '{said}'.")
            if not _has_ended(folder / runs):
                _live(folder, runs)
            if (count := len(result(runs_in(folder / runs)))) != 1:
                findings.append(f"{runs}: {count} runs")
            findings += [f"{runs}: {path.name}" for path in (folder / runs).glob(".*")]
            if _losses(folder / runs) != whole:
                findings.append(f"{runs}: other losses than undisturbed")
    print(f"{made} kills in {round_number} trainings; findings: {findings or 'none'}")
    sys.exit(bool(findings))


def _live(folder: Path, runs: str, kill_after: float | None = None, start: bool = False) -> str:
    """Open a window that trains, and kill it so many seconds later; what it said last."""
    words = [sys.executable, __file__, "window", str(folder), runs, *["start"] * start]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as window:
        assert window.stdout is not None
        said = window.stdout.readline().strip()
        if kill_after is None or said != TRAINS:
            said = window.stdout.read().strip() or said
        else:
            end = time.monotonic() + kill_after
            while time.monotonic() < end and window.poll() is None:
                time.sleep(0.01)
            said = ENDED if window.poll() is not None else said
        window.kill()
    return said


def _run(runs: Path) -> Path | None:
    found = result(runs_in(runs)) if runs.is_dir() else ()
    return found[0].path if found else None


def _has_ended(runs: Path) -> bool:
    run = _run(runs)
    return run is not None and any(isinstance(event, Finished) for event in read_events(run))


def _has_saved(runs: Path) -> bool:
    run = _run(runs)
    return run is not None and any((run / "checkpoints").glob("step-*"))


def _losses(runs: Path) -> dict[int, float]:
    """The loss of each step, that which was told last."""
    run = _run(runs)
    assert run is not None  # a window has trained it
    return {one.step: one.loss for one in read_events(run) if isinstance(one, Step)}


def window(folder: Path, name: str, start: str = "") -> None:
    """A user: opens napari and the dock, takes the offer if there is one, waits for the end."""
    import napari
    from qtpy.QtCore import QEventLoop, QTimer

    from napari_phenoscape.specimens import Folder
    from napari_phenoscape.training import Experiment, Schedule
    from napari_phenoscape.training._experiment import Runtime
    from napari_phenoscape.widgets import TrainDock
    from napari_phenoscape.widgets._session import session_of

    def wait(claim: Callable[[], object], seconds: float) -> bool:
        end, loop = time.monotonic() + seconds, QEventLoop()
        while not claim() and time.monotonic() < end:
            QTimer.singleShot(20, loop.quit)
            loop.exec()
        return bool(claim())

    runs = folder / name
    viewer = napari.Viewer()
    session = session_of(viewer)
    begun = _run(runs) is not None
    if not begun:
        session.set_experiment(
            Experiment(
                collection=Folder(path=folder / "samples" / "multispectral"),
                image_size=32,
                schedule=Schedule(steps=STEPS, batch_size=4, checkpoint_every=5),
                runtime=Runtime(device="cpu", threads=1, precision="float32"),
                runs=runs,
            )
        )
    dock = TrainDock(viewer)
    viewer.window.add_dock_widget(dock, area="right")
    if begun and not wait(lambda: dock.unfinished.button.isVisible(), 60):
        print(NO_OFFER, flush=True)
        return
    (dock.unfinished.button if begun else dock.start_button).click()
    wait(lambda: start or any(isinstance(event, Step) for event in session.history), 120)
    print(TRAINS, flush=True)
    wait(lambda: not session.trains, 600)
    print(ENDED, flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["window"]:
        window(Path(sys.argv[2]), *sys.argv[3:])
    else:
        main(*map(int, sys.argv[1:2]), start="start" in sys.argv[2:])
