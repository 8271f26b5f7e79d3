"""The verb that finds specimens where no mask outlines them."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from napari_phenoscape._remote import located
from napari_phenoscape.cli._answer import Made
from napari_phenoscape.cli._console import Overwrite, command, listen
from napari_phenoscape.cli._read_as import (
    Axis,
    FullScale,
    IgnoreValue,
    Names,
    Wavelengths,
    read_as_of,
)
from napari_phenoscape.errors import OptionError

if TYPE_CHECKING:
    from napari_phenoscape.cubes import Interpretation


@command
def find(
    specimens: Annotated[
        Path,
        typer.Argument(
            help="a drawer: many specimens on a plain background; or a folder of photographs, one "
            "specimen in each on any ground, told by a pretrained net"
        ),
    ],
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            help="TIFF that numbers them; of a folder a PNG of all masks, to look at: the masks "
            "are masks/NAME.png beside the photographs",
        ),
    ],
    threshold: Annotated[
        float | None,
        typer.Option(help="how many deviations from the background make a pixel specimen", min=0.1),
    ] = None,
    min_area: Annotated[
        int, typer.Option(help="smallest specimen in pixels; anything smaller is dust", min=1)
    ] = 64,
    doubtful: Annotated[
        bool,
        typer.Option(
            "--doubtful",
            help="take doubtful ones too: at the edge, uncertain, or not on a plain background",
        ),
    ] = False,
    cards: Annotated[
        bool, typer.Option("--cards", help="take rectangles too: labels, rulers, colour charts")
    ] = False,
    names: Names = "",
    wavelengths: Wavelengths = "",
    axis: Axis = None,
    full_scale: FullScale = None,
    ignore_value: IgnoreValue = None,
    overwrite: Overwrite = False,
) -> Made:
    """Find the specimens of a drawer, or of photographs, that have no masks; write masks."""
    from napari_phenoscape.cubes import recognise
    from napari_phenoscape.specimens import Finding, find_regions, tallied

    specimens = located(specimens)
    read_as = read_as_of(names, wavelengths, axis, full_scale, ignore_value=ignore_value)
    if specimens.is_dir() and recognise(specimens) is None:
        if threshold is not None or cards:
            raise OptionError(
                f"'{specimens}' is a folder of photographs, whose specimens are told by a net: "
                "--threshold and --cards are for a drawer on a plain background. Leave them out."
            )
        return _in_photographs(specimens, output, read_as, doubtful=doubtful, overwrite=overwrite)
    finding = Finding.parse({"threshold": threshold, "doubtful": doubtful, "cards": cards})
    verb = find_regions(specimens, output, finding, min_area, read_as, overwrite=overwrite)
    found = listen(verb)
    used = set(found.used(finding))
    rows = [{**asdict(piece), "used": piece in used} for piece in found.pieces]
    table = Table("region", "pixels", "rows", "columns", "verdict", "used")
    for row in rows:
        down, across = (f"{first}:{end}" for first, end in (row["rows"], row["columns"]))
        used_word = "yes" if row["used"] else "no"
        cells = (row["number"], row["area"], down, across, row["word"], used_word)
        table.add_row(*map(str, cells))
    words: list[RenderableType] = [table]
    if found.not_plain:
        words.append(Text.assemble(("warning:", "bold yellow"), " ", found.not_plain))
    words.append(
        f"{len(used)} specimens of {len(rows)} pieces "
        f"({tallied(piece.word for piece in found.pieces)}), farther than {found.threshold:.1f} "
        f"deviations from the background; regions in {output}"
    )
    facts = {"regions": output, "threshold": found.threshold, "not_plain": found.not_plain}
    return Made({**facts, "pieces": rows}, words)


def _in_photographs(
    folder: Path, sheet: Path, read_as: Interpretation, *, doubtful: bool, overwrite: bool
) -> Made:
    """The masks of a folder of photographs."""
    from napari_phenoscape.analysis import find_masks
    from napari_phenoscape.specimens import Folder, tallied

    source = Folder(path=folder, read_as=read_as)
    things = listen(find_masks(source, sheet, doubtful=doubtful, overwrite=overwrite))
    used = set(things.used(doubtful=doubtful))
    share = (things.shares > 0.5).mean(axis=(1, 2)).tolist()
    rows = [
        {"photograph": name, "share": part, "word": word, "used": at in used}
        for at, (name, part, word) in enumerate(zip(things.ids, share, things.words, strict=True))
    ]
    table = Table("photograph", "of its pixels", "verdict", "used")
    for row in rows:
        used_word = "yes" if row["used"] else "no"
        table.add_row(str(row["photograph"]), f"{row['share']:.0%}", str(row["word"]), used_word)
    words: list[RenderableType] = [
        table,
        f"{len(used)} masks of {len(rows)} photographs ({tallied(things.words)}); look at them in "
        f"{sheet}",
    ]
    return Made({"sheet": sheet, "photographs": rows}, words)
