"""The verb that lists the runs of a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import RenderableType
from rich.table import Table

from napari_phenoscape.cli._answer import Answer
from napari_phenoscape.cli._console import command, listen


@command
def runs(
    folder: Annotated[Path, typer.Argument(help="folder that holds the runs")] = Path("runs"),
) -> Answer:
    """List the runs of a folder: their state, how they differ, and their scores."""
    return listed(folder)


def listed(folder: Path) -> Answer:
    """The table of the runs in a folder."""
    from napari_phenoscape.training import differences, runs_in

    found = listen(runs_in(folder))
    known = [run for run in found if run.experiment is not None]
    different = differences([run.experiment for run in known if run.experiment is not None])
    rows: list[dict[str, Any]] = [
        {"run": run.path, "state": run.state, "step": run.step, "steps": run.steps}
        | {"loss": run.loss, "wrong": run.wrong}
        | {name: values[known.index(run)] for name, values in different.items() if run in known}
        | run.scores
        for run in found
    ]
    scored = list(dict.fromkeys(name for run in found for name in run.scores))
    table = Table("run", "state", "step", "loss", *different, *scored)
    for run, row in zip(found, rows, strict=True):
        cells = [run.path.name, run.state, f"{run.step} of {run.steps}" if run.steps else ""]
        cells.append(f"{run.loss:.3f}" if run.loss == run.loss else "")
        cells += [row.get(name, "") for name in different]
        cells += [f"{run.scores[name]:.3f}" if name in run.scores else "" for name in scored]
        table.add_row(*cells)
    none = f"No runs are in '{folder}'. `phenoscape look FOLDER` makes one of your specimens."
    words: list[RenderableType] = [table if found else none]
    words += [f"{run.path.name}: {run.wrong}" for run in found if run.wrong]
    return Answer({"runs": rows}, words, table="runs")
