"""Runs: what a folder holds of them, what differs between them, and how one of them goes."""

from __future__ import annotations

import csv
import json
import os
import time
from collections.abc import Generator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from napari_phenoscape.errors import MissingFileError, PhenoscapeError, RunError, did_you_mean_file
from napari_phenoscape.events import (
    Event,
    Finished,
    Notice,
    Progress,
    Started,
    Step,
    event_from_line,
)
from napari_phenoscape.training._experiment import Experiment
from napari_phenoscape.training._run import CHECKPOINTS, EVENTS, EXPERIMENT, LOCK, read_experiment

#: ``new``: nobody began; ``training``: a program holds it now; ``stopped``: saved before its end;
#: ``interrupted``: ended without a word, as by a power cut; ``unreadable``: see `wrong`.
RunState = Literal["new", "training", "stopped", "interrupted", "finished", "instant", "unreadable"]

#: Bytes at the end of ``events.jsonl`` that tell how a run stands.
TAIL = 1 << 16

#: Points of a curve, at most; a longer file is looked at in so many places.
POINTS = 2000

#: Bytes that hold a whole line of a step, and part of the one before.
LINE = 4096

TRASH = ".trash"


@dataclass(frozen=True, slots=True)
class RunSummary:
    """How a run stands.

    Parameters
    ----------
    path
        The run directory.
    state
        See `RunState`.
    changed
        Seconds since 1970, when something was last said in it.
    experiment
        None of one that is unreadable.
    step, steps
        Optimiser steps done, and planned in all.
    loss
        Of the last step, in nats; NaN before the first, and of an instant run.
    scores
        What `evaluate` found for each label: measure → value of the first embedding.
    wrong
        Why it is unreadable.
    """

    path: Path
    state: RunState
    changed: float
    experiment: Experiment | None = None
    step: int = 0
    steps: int = 0
    loss: float = float("nan")
    scores: dict[str, float] = field(default_factory=dict)
    wrong: str = ""

    @property
    def goes_on(self) -> bool:
        """Whether a training can be continued."""
        return self.state in ("new", "stopped", "interrupted")


def runs_in(folder: Path) -> Generator[Event, None, tuple[RunSummary, ...]]:
    """The runs of a folder, the one that was changed last first.

    Of each, its ``experiment.yaml`` and the end of its ``events.jsonl`` are read, however long.

    Raises
    ------
    MissingFileError
        There is no such folder.
    RunError
        It cannot be read.
    """
    try:
        inside = [path for path in sorted(folder.iterdir()) if not path.name.startswith(".")]
    except (FileNotFoundError, NotADirectoryError):
        raise MissingFileError(
            f"There is no folder '{folder}'. {did_you_mean_file(folder)}Name one that holds run "
            "directories."
        ) from None
    except OSError as error:
        raise RunError(
            f"'{folder}' cannot be read ({error.strerror}). Correct its path or its permissions."
        ) from None
    paths = [path for path in inside if (path / EXPERIMENT).is_file()]
    found = []
    for done, path in enumerate(paths):
        yield Progress("reading runs", done, len(paths))
        if (path / CHECKPOINTS).is_dir():
            found.append(summary_of(path))
    return tuple(sorted(found, key=lambda run: run.changed, reverse=True))


def summary_of(run: Path) -> RunSummary:
    """How one run stands."""
    events = run / EVENTS
    try:
        changed = (events if events.is_file() else run / EXPERIMENT).stat().st_mtime
        experiment, told = read_experiment(run), _tail(events)
    except OSError as error:
        wrong = f"'{run}' cannot be read ({error.strerror}). Correct its permissions."
        return RunSummary(run, "unreadable", 0.0, wrong=wrong)
    except PhenoscapeError as error:
        return RunSummary(run, "unreadable", changed, wrong=str(error))
    last = told[-1] if told else None
    step = next((event for event in reversed(told) if isinstance(event, Step | Started)), None)
    loss = next((event.loss for event in reversed(told) if isinstance(event, Step)), float("nan"))
    state: RunState
    if isinstance(last, Finished) and not last.stopped:
        state = "finished" if experiment.method.trains else "instant"
    elif is_held(run):
        state = "training"
    elif isinstance(last, Finished):
        state = "stopped"
    else:
        state = "interrupted" if last else "new"
    steps = step.steps if step else experiment.schedule.steps
    scores = _scores(run)
    return RunSummary(
        run, state, changed, experiment, step.step if step else 0, steps, loss, scores
    )


def is_held(run: Path) -> bool:
    """Whether a program trains a run now.

    Another computer's is seen where the file system tells of its locks.
    """
    if not (run / LOCK).is_file():
        return False
    try:
        with FileLock(run / LOCK, timeout=0, thread_local=False):
            return False
    except Timeout:
        return True
    except OSError:  # of somebody else, in a folder that we may only read: it cannot be asked
        return False


def differences(experiments: Sequence[Experiment]) -> dict[str, tuple[str, ...]]:
    """What is not the same in all experiments: setting → its value in each, in words.

    Settings are named as ``--set`` does; "" where an experiment has no such setting. Names and
    the folders of runs are left out.
    """
    every = [
        dict(_flat(each.model_dump(mode="json", exclude={"name", "runs"}))) for each in experiments
    ]
    names = dict.fromkeys(name for settings in every for name in settings)
    rows = {name: tuple(settings.get(name, "") for settings in every) for name in names}
    return {name: values for name, values in rows.items() if len(set(values)) > 1}


def _flat(value: Any, name: str = "") -> Generator[tuple[str, str], None, None]:
    items = enumerate(value) if isinstance(value, list) else None
    if isinstance(value, dict):
        items = value.items()  # type: ignore[assignment]
    elif items is not None and not any(isinstance(each, dict) for each in value):
        items = None
    if items is None:
        yield name, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        return
    for key, inner in items:
        yield from _flat(inner, f"{name}.{key}" if name else str(key))


def curve(run: Path) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """(n,) steps and (n,) losses of a run, in nats.

    All of a short run; of a long one about 2000 steps, evenly over its ``events.jsonl``.
    """
    losses: dict[int, float] = {}
    with suppress(FileNotFoundError), (run / EVENTS).open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        if size <= POINTS * LINE // 4:
            file.seek(0)
            told = _events(file.read())
        else:
            told = []
            for place in np.linspace(0, size - LINE, POINTS).astype(int):
                file.seek(int(place))
                told += [e for e in _events(file.read(LINE)) if isinstance(e, Step)][-1:]
        # what was done again after an interruption stands twice
        losses = {event.step: event.loss for event in told if isinstance(event, Step)}
    steps = sorted(losses)
    return np.array(steps, np.int64), np.array([losses[step] for step in steps], np.float64)


def follow(
    run: Path, every_s: float = 0.5, patience_s: float = 60.0
) -> Generator[Event, None, Path]:
    """The events of a run that another program trains, from its first one, as if it were here.

    Closing the generator ends the watching, not the training.

    Parameters
    ----------
    run
        May wait for its turn in the queue of a cluster.
    every_s
        Seconds between two looks; while nothing is new, `Progress` is said.
    patience_s
        Seconds of silence after which a run that nobody seems to hold is given up: not every
        network's file system tells of the locks of other computers.

    Returns
    -------
    The run directory, when the training has ended.

    Raises
    ------
    MissingFileError
        It is no run.
    """
    steps = read_experiment(run).schedule.steps
    place, step, last = 0, 0, None
    heard = time.monotonic()
    while True:
        held = is_held(run)  # asked before: its last words are read after
        with suppress(FileNotFoundError), (run / EVENTS).open("rb") as file:
            file.seek(place)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                place, heard = place + len(line), time.monotonic()
                for event in _events(line):
                    match event:  # which may name it as another computer sees it
                        case Started():
                            event = replace(event, run=run)
                        case Finished():
                            event = replace(event, path=run)
                    if isinstance(event, Step | Started):
                        step, steps = event.step, event.steps
                    last = event
                    yield event
        if not held and isinstance(last, Finished):
            return run
        if not held and last is not None and time.monotonic() - heard > patience_s:
            yield Notice(f"'{run.name}' ended without a word at step {step} of {steps}.")
            return run
        yield Progress("watching", step, steps)
        time.sleep(every_s)


def discard(run: Path) -> Path:
    """Move a run into the folder ``.trash`` beside it; returns where it is now.

    Raises
    ------
    RunError
        It is being trained, or cannot be moved.
    """
    if is_held(run):
        raise RunError(
            f"'{run}' is being trained by a program, so it was not moved. Stop it there first."
        )
    return _move(run, run.absolute().parent / TRASH / run.name)


def restore(discarded: Path) -> Path:
    """Bring back what `discard` moved; returns where it is now.

    Raises
    ------
    RunError
        It cannot be moved.
    """
    return _move(discarded, discarded.parents[1] / discarded.name)


def _move(run: Path, to: Path) -> Path:
    number, wanted = 1, to
    try:
        to.parent.mkdir(exist_ok=True)
        while to.exists():
            number += 1
            to = wanted.with_name(f"{wanted.name}-{number}")
        return run.rename(to)
    except OSError as error:
        raise RunError(
            f"'{run}' cannot be moved to '{to}' ({error.strerror}). Correct the permissions of "
            "both folders."
        ) from None


def _tail(events: Path) -> list[Event]:
    with suppress(FileNotFoundError), events.open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL))
        return _events(file.read())
    return []


def _events(text: bytes) -> list[Event]:
    """Those that are whole."""
    found = []
    for line in text.splitlines():
        with suppress(ValueError):  # cut short, or of a later version
            found.append(event_from_line(line.decode("utf-8", "replace")))
    return found


def _scores(run: Path) -> dict[str, float]:
    """Of each table of `evaluate`, the first measure of the first embedding."""
    scores = {}
    for path in sorted(run.glob("evaluation*.csv")):
        label = path.stem.removeprefix("evaluation").removeprefix("-")
        with (
            suppress(OSError, ValueError, KeyError),
            path.open(encoding="utf-8", newline="") as file,
        ):
            for row in csv.DictReader(file):
                scores[f"{label} {row['measure']}".strip()] = float(row["value"])
                break
    return scores
