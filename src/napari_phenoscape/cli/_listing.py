"""The verb that lists the runs of a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from napari_phenoscape.cli._console import command, listen, out


@command
def runs(
    folder: Annotated[Path, typer.Argument(help="that holds run directories")] = Path("runs"),
) -> None:
    """List the runs of a folder: how they stand, what differs between them, and their scores."""
    from napari_phenoscape.training import differences, runs_in

    found = listen(runs_in(folder))
    known = [run.experiment for run in found if run.experiment is not None]
    different = differences(known)
    table = Table("run", "state", "step", "loss")
    for name in different:
        table.add_column(escape(name))
    scored = list(dict.fromkeys(name for run in found for name in run.scores))
    for name in scored:
        table.add_column(escape(name))
    place = 0
    for run in found:
        cells = [run.path.name, run.state, f"{run.step} of {run.steps}" if run.steps else ""]
        cells.append(f"{run.loss:.3f}" if run.loss == run.loss else "")
        if run.experiment is None:
            cells += [""] * len(different)
        else:
            cells += [values[place] for values in different.values()]
            place += 1
        cells += [f"{run.scores[name]:.3f}" if name in run.scores else "" for name in scored]
        table.add_row(*map(escape, cells))
    out.print(table)
    for run in found:
        if run.wrong:
            out.print(escape(f"{run.path.name}: {run.wrong}"), soft_wrap=True)
