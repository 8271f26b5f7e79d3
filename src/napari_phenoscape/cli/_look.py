"""The first verb: a folder, and nothing else to know."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from napari_phenoscape._remote import address, located
from napari_phenoscape.cli._answer import Made, short
from napari_phenoscape.cli._console import command, listen
from napari_phenoscape.cli._read_as import IgnoreValue
from napari_phenoscape.errors import there


@command
def look(
    specimens: Annotated[
        Path, typer.Argument(help="a folder of specimens, or a cube that shows many of them")
    ],
    runs: Annotated[
        Path, typer.Option("--runs", help="folder in which the run directory is made")
    ] = Path("runs"),
    white_region: Annotated[
        str,
        typer.Option(
            help="a white or grey standard that each photograph of the folder shows: "
            "ROW:ROW,COLUMN:COLUMN; or a label image beside it, e.g. 'standards/{stem}.png'; or "
            "auto: it is found in each"
        ),
    ] = "",
    panel: Annotated[float, typer.Option(help="reflectance of the standard, 0-1")] = 1.0,
    ignore_value: IgnoreValue = None,
) -> Made:
    """See which specimens look alike, without training or settings: a figure and a table."""
    specimens = located(specimens)
    there(specimens.absolute())  # before what takes seconds to import

    from napari_phenoscape.spectra import references_of

    references_of(white_region, panel=panel)

    from napari_phenoscape.analysis import association, look as verb
    from napari_phenoscape.embeddings import legend

    said: dict[str, Any] = {"white_region": white_region, "panel": panel} if white_region else {}
    if ignore_value is not None:
        said["read_as"] = {"ignore_value": ignore_value}
    seen = listen(verb(specimens, runs, said))
    clusters = seen.clusters
    words: list[str | Text] = [clusters.choice.words] if clusters.choice else []
    words += [f"  {name}: {number} specimens" for name, _, number in legend(clusters)]
    words += [f"figure {short(seen.figure)}", f"table {short(seen.table)}", "next:"]
    run = shlex.quote(short(seen.run))
    # the column that the clusters go with most, of those in which specimens share values
    table = seen.embeddings.table
    known = association(table, clusters, permutations=0)["column"]
    column = next((name for name in known if table[name].nunique() <= len(table) / 2), None)
    number = max(2, len(clusters.names))
    nexts = [
        (f"phenoscape explain {run}", "what sets the clusters apart"),
        (f"phenoscape cluster {run} --clusters {number + 1}", "as many as you say"),
    ]
    if not said:  # which only this run's experiment knows
        train = f"phenoscape train {shlex.quote(address(specimens))}"
        nexts.append((train, "whether a trained net sees more"))
    if column is not None:
        label = shlex.quote(column)
        agree = f"phenoscape evaluate {run} --label {label}"
        nexts.insert(1, (agree, f"how far they agree with '{column}'"))
    wide = max(len(line) for line, _ in nexts)
    words += [Text.assemble(f"  {line:{wide}}  ", (f"# {why}", "dim")) for line, why in nexts]
    facts = {
        "run": seen.run,
        "figure": seen.figure,
        "table": seen.table,
        "clusters": [{"name": name, "specimens": number} for name, _, number in legend(clusters)],
    }
    return Made(facts, words)
