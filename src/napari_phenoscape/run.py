"""Run: the directory that holds all of one training."""

from __future__ import annotations

import datetime
from pathlib import Path

from napari_phenoscape.errors import MissingFileError, RunError
from napari_phenoscape.events import Event, event_from_line, event_line
from napari_phenoscape.experiment import Experiment

EXPERIMENT, EVENTS, CHECKPOINTS = "experiment.yaml", "events.jsonl", "checkpoints"


def new_run(experiment: Experiment) -> Path:
    """Make the run directory, e.g. ``runs/2026-11-24_uv-moths``, ``..._uv-moths-2``.

    Raises
    ------
    RunError
        The folder cannot be written.
    """
    stem = f"{datetime.date.today():%Y-%m-%d}_{experiment.name}"
    number = 1
    while True:
        run = experiment.runs.absolute() / (stem if number == 1 else f"{stem}-{number}")
        try:
            run.mkdir(parents=True)
            (run / CHECKPOINTS).mkdir()
            break
        except FileExistsError:
            if run.parent.is_file():
                raise RunError(
                    f"'{run.parent}' is a file, so no run directory fits in it; name another "
                    "folder as 'runs'."
                ) from None
            number += 1
        except OSError as error:
            raise _cannot_write(run, error) from None
    write_experiment(run, experiment)
    return run


def write_experiment(run: Path, experiment: Experiment) -> None:
    """Write ``experiment.yaml`` with absolute paths, so that it runs from anywhere."""
    from napari_phenoscape.atomic import atomic

    with atomic(run / EXPERIMENT) as temporary:
        temporary.write_text(experiment.anchored(Path.cwd()).to_yaml(), "utf-8")


def read_experiment(run: Path) -> Experiment:
    """The experiment of a run directory."""
    if not (run / EXPERIMENT).is_file():
        raise MissingFileError(
            f"'{run}' is not a run directory: it holds no {EXPERIMENT}. "
            "Name a folder that `phenoscape train` made."
        )
    return Experiment.read(run / EXPERIMENT)


def log_event(run: Path, event: Event) -> None:
    """Append one line to ``events.jsonl``."""
    try:
        with (run / EVENTS).open("a", encoding="utf-8") as file:
            file.write(event_line(event) + "\n")
    except OSError as error:
        raise _cannot_write(run / EVENTS, error) from None


def read_events(run: Path) -> list[Event]:
    """All events of a run, oldest first; a line that a crash cut short is left out."""
    if not (run / EVENTS).is_file():
        return []
    text = (run / EVENTS).read_text("utf-8")
    return [event_from_line(line) for line in text.split("\n")[:-1] if line.endswith("}")]


def _cannot_write(path: Path, error: OSError) -> RunError:
    return RunError(
        f"'{path}' cannot be written ({error.strerror}); make room there or choose another "
        "folder as 'runs'."
    )
