"""Run: the directory that holds all of one training."""

from __future__ import annotations

import datetime
import json
import ntpath
import os
import posixpath
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from napari_phenoscape._atomic import atomic, beside, remove_dead
from napari_phenoscape.errors import MissingFileError, RunError
from napari_phenoscape.events import Event, Step, event_from_line, event_line
from napari_phenoscape.training._experiment import Experiment, Grouping

EXPERIMENT, EVENTS, CHECKPOINTS = "experiment.yaml", "events.jsonl", "checkpoints"

#: Held by the program that trains a run.
LOCK = ".lock"

#: Characters of a line of events, and sentences of a log, beyond which nobody reads.
LONGEST_LINE, MOST_NOTICES = 1 << 20, 100


def new_run(experiment: Experiment) -> Path:
    """Make the run directory, e.g. ``runs/2026-11-24_uv-moths``, ``..._uv-moths-2``.

    It is there whole, with its ``experiment.yaml``, or not at all.

    Raises
    ------
    RunError
        The folder cannot be written.
    """
    folder = experiment.runs.absolute()
    stem = f"{datetime.date.today():%Y-%m-%d}_{experiment.name}"
    part = beside(folder / stem)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(folder)
        (part / CHECKPOINTS).mkdir(parents=True)
        keep_experiment(part, experiment)
        number = 1
        while True:
            run = folder / (stem if number == 1 else f"{stem}-{number}")
            try:
                # refused where a run is already: two that begin together get a name each
                return part.rename(run)
            except OSError:
                if not run.exists():
                    raise
                number += 1
    except OSError as error:
        if isinstance(error, RunError):
            raise
        if folder.is_file():
            raise RunError(
                f"'{folder}' is a file, so no run directory fits in it; name another "
                "folder as 'runs'."
            ) from None
        raise _cannot_write(folder / stem, error) from None
    finally:
        if part.exists():
            shutil.rmtree(part)


def _remove_leftovers(runs: Path) -> None:
    """Remove what processes that were killed have left in a folder of runs, and in each run."""
    remove_dead(runs, r"\d{4}-\d\d-\d\d_.+")
    with suppress(OSError):  # those of somebody else
        for run in runs.iterdir():
            if (run / EXPERIMENT).is_file() and not run.is_symlink():
                for inner, _, _ in os.walk(run):
                    remove_dead(Path(inner), ".+")


def keep_experiment(run: Path, experiment: Experiment) -> None:
    """Write ``experiment.yaml`` with absolute paths, so that it runs from anywhere."""
    with atomic(run / EXPERIMENT) as temporary:
        temporary.write_text(experiment.anchored(Path.cwd()).to_yaml(), "utf-8")


def read_experiment(run: Path) -> Experiment:
    """The experiment of a run directory.

    In a project that was moved, its paths are those of what lies as before beside the run.

    Raises
    ------
    MissingFileError
        It is no run directory.
    RunError
        A part of it is a link out of it.
    """
    near = run_near(run)
    if near != run:
        raise MissingFileError(
            f"'{run}' is not a run directory: it does not hold {EXPERIMENT} and the folder "
            f"{CHECKPOINTS}. "
            + (
                f"Did you mean '{near}'?"
                if near
                else "Name a folder that `phenoscape train` or `phenoscape look` made of specimens."
            )
        )
    _refuse_links_out(run)
    experiment = Experiment.read(run / EXPERIMENT)
    before, now = str(experiment.runs), run.absolute().parent
    # the run may come from the other kind of system
    system = ntpath if PureWindowsPath(before).drive else posixpath

    def moved(path: Path) -> Path:
        if system.splitdrive(path)[0] != system.splitdrive(before)[0]:
            return path
        beside = system.relpath(path, before).replace(system.sep, "/")
        there = Path(os.path.normpath(now / beside))
        return there if there.exists() else path

    return experiment.with_paths(moved)


def run_near(path: Path) -> Path | None:
    """The run that a path is, lies in or holds, if any; of several that it holds, the newest.

    Raises
    ------
    RunError
        It cannot be read.
    """
    here = path.absolute()
    try:
        if _is_run(path):
            return path
        return next(filter(_is_run, [*here.parents, *_newest_first(here)]), None)
    except OSError as error:
        raise RunError(
            f"'{path}' cannot be read ({error.strerror}). Correct its path or its permissions."
        ) from None


def _is_run(folder: Path) -> bool:
    return (folder / EXPERIMENT).is_file() and (folder / CHECKPOINTS).is_dir()


def _newest_first(folder: Path) -> list[Path]:
    """The folders in one."""
    inside = [path for path in folder.glob("*") if path.is_dir()]
    return sorted(inside, key=lambda path: path.stat().st_mtime, reverse=True)


def keep_grouping(run: Path, grouping: Grouping) -> None:
    """Make a grouping that of the run's experiment; whoever clusters next begins with it."""
    experiment = read_experiment(run)
    if grouping != experiment.grouping:
        keep_experiment(run, experiment.model_copy(update={"grouping": grouping}))


def log_event(run: Path, event: Event) -> None:
    """Append one line to ``events.jsonl``."""
    try:
        with (run / EVENTS).open("a", encoding="utf-8") as file:
            file.write(event_line(event) + "\n")
    except OSError as error:
        raise _cannot_write(run / EVENTS, error) from None


def drop_partial_line(run: Path) -> None:
    """Remove what a kill left of a last line, so that the next one is a line of its own."""
    path = run / EVENTS
    if path.is_file() and not (text := path.read_bytes()).endswith(b"\n"):
        os.truncate(path, text.rfind(b"\n") + 1)


def read_events(run: Path) -> list[Event]:
    """All events of a run, oldest first; lines that are cut short, or no events, are left out.

    Raises
    ------
    RunError
        They cannot be read.
    """
    events: list[Event] = []
    for line in _lines(run):
        with suppress(ValueError):  # of a crash, or a later version
            events.append(event_from_line(line))
    return events


@dataclass(frozen=True)
class Log:
    """What the events of a run come to.

    Parameters
    ----------
    steps
        How many there were.
    last
        None before the first.
    notices
        Sentences, each once, in the order in which they were said first; the first hundred.
    """

    steps: int
    last: Step | None
    notices: tuple[str, ...]


def read_log(run: Path) -> Log:
    """The log of a run, in the memory of one line however many there are.

    Raises
    ------
    RunError
        The events cannot be read.
    """
    steps, last, notices = 0, "", dict[str, None]()
    for line in _lines(run):
        if line.startswith('{"event": "Step"') and line.endswith("}\n"):
            steps, last = steps + 1, line
        elif line.startswith('{"event": "Notice"') and len(notices) < MOST_NOTICES:
            with suppress(ValueError, KeyError, TypeError, RecursionError):
                notices[str(json.loads(line)["message"])] = None
    step = None
    with suppress(ValueError):
        step = event_from_line(last)
    return Log(steps, step if isinstance(step, Step) else None, tuple(notices))


def _lines(run: Path) -> Iterator[str]:
    try:
        with (run / EVENTS).open(encoding="utf-8", errors="replace") as file:
            while line := file.readline(LONGEST_LINE):
                yield line
    except FileNotFoundError:
        return
    except OSError as error:
        raise RunError(
            f"'{run / EVENTS}' cannot be read ({error.strerror}). Check its permissions."
        ) from None


def _refuse_links_out(run: Path) -> None:
    """What is written into a stranger's run must not land in files of others."""
    own = run.resolve()
    for folder, names, files in os.walk(run):
        for part in (Path(folder, name) for name in (*names, *files)):
            if part.is_symlink() and not (there := part.resolve()).is_relative_to(own):
                raise RunError(
                    f"'{part}' is a link to '{there}', out of the run, where nothing is to be "
                    "written. Put what it links to in its place, or remove the link."
                )


def _cannot_write(path: Path, error: OSError) -> RunError:
    return RunError(
        f"'{path}' cannot be written ({error.strerror}); make room there or choose another "
        "folder as 'runs'."
    )
