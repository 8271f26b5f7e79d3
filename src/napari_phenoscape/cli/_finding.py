"""The verb that finds specimens where no mask outlines them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from napari_phenoscape.cli._answer import Made
from napari_phenoscape.cli._console import Overwrite, command, listen
from napari_phenoscape.cli._cubes import Axis, FullScale, Names, Wavelengths, read_as_of


@command
def find(
    cube: Annotated[Path, typer.Argument(help="a drawer: many specimens on a plain background")],
    output: Annotated[Path, typer.Option("--output", "-o", help="TIFF that numbers them")],
    threshold: Annotated[
        float | None,
        typer.Option(help="deviations of the background from which a pixel is specimen", min=0.1),
    ] = None,
    min_area: Annotated[int, typer.Option(help="pixels; what is smaller is dust", min=1)] = 64,
    doubtful: Annotated[
        bool,
        typer.Option("--doubtful", help="also what touches the edge, or lies on no plain ground"),
    ] = False,
    cards: Annotated[
        bool, typer.Option("--cards", help="also rectangles: labels, rulers, colour charts")
    ] = False,
    names: Names = "",
    wavelengths: Wavelengths = "",
    axis: Axis = None,
    full_scale: FullScale = None,
    overwrite: Overwrite = False,
) -> Made:
    """Find the specimens of a drawer that has no mask, and write their regions."""
    from napari_phenoscape.specimens import Finding, find_regions

    finding = Finding.parse({"threshold": threshold, "doubtful": doubtful, "cards": cards})
    read_as = read_as_of(names, wavelengths, axis, full_scale)
    verb = find_regions(cube, output, finding, min_area, read_as, overwrite=overwrite)
    found = listen(verb)
    used = set(found.used(finding))
    rows = [{**asdict(piece), "used": piece in used} for piece in found.pieces]
    table = Table("region", "pixels", "rows", "columns", "", "used")
    for row in rows:
        down, across = (f"{first}:{end}" for first, end in (row["rows"], row["columns"]))
        cells = (
            row["number"],
            row["area"],
            down,
            across,
            row["word"],
            "yes" if row["used"] else "no",
        )
        table.add_row(*map(str, cells))
    words: list[RenderableType] = [table]
    if found.not_plain:
        words.append(Text.assemble(("warning:", "bold yellow"), " ", found.not_plain))
    words.append(
        f"{len(used)} specimens of {len(rows)} pieces, farther than {found.threshold:.1f} "
        f"deviations from the background; regions in {output}"
    )
    facts = {
        "regions": output,
        "threshold": found.threshold,
        "not_plain": found.not_plain,
        "pieces": rows,
    }
    return Made(facts, words)
