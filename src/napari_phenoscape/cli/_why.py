"""Verbs that ask of a run why: its clusters, neighbours and labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from napari_phenoscape.cli._console import Run, command, listen, out

if TYPE_CHECKING:
    from napari_phenoscape.analysis import Explanation

Space = Annotated[str, typer.Option(help="a modality, or joint")]
Groups = Annotated[
    str, typer.Option(help="column of what is never compared with itself, e.g. the individual")
]


@command
def explain(
    run: Run,
    occlusion: Annotated[bool, typer.Option(help="hide bands from the net; takes longer")] = True,
    window: Annotated[float, typer.Option(help="of hidden bands, in nm", min=1)] = 25.0,
) -> None:
    """Say why clusters are clusters, by spectra, bands and specimens; files into the run."""
    from napari_phenoscape.analysis import explain as verb

    found = listen(verb(run, occlusion=occlusion, width_nm=window))
    out.print(_clusters_table(found))
    out.print(f"tables and figure {run / 'explanation.png'}", soft_wrap=True)


@command
def neighbours(
    run: Run,
    specimen: Annotated[str, typer.Argument(help="its id or file name")],
    k: Annotated[int, typer.Option("-k", help="how many", min=1)] = 10,
    space: Space = "",
    groups: Groups = "",
) -> None:
    """Find the specimens of a run that are most like one of them."""
    from napari_phenoscape.analysis import neighbours_of
    from napari_phenoscape.embeddings import METADATA

    found = neighbours_of(run, specimen, k, space=space, groups=groups)
    table = Table("similarity", "specimen", "metadata")
    for _, one in found.iterrows():
        words = ", ".join(f"{name} {one[name]}" for name in found.columns[METADATA + 1 :])
        table.add_row(f"{one['similarity']:.3f}", escape(one["specimen"]), escape(words))
    out.print(table)


@command
def classify(
    run: Run,
    label: Annotated[str, typer.Option(help="metadata column, empty for some specimens")],
    space: Space = "",
    groups: Groups = "",
) -> None:
    """Give specimens without a label that of their neighbours; a table into the run."""
    from napari_phenoscape.analysis import VOTERS, classify as verb

    found = listen(verb(run, label, space=space, groups=groups))
    unknown = found.table[found.table[label].isna()]
    table = Table("specimen", label, "votes")
    for name, vote, share in unknown[["specimen", "vote", "share"]].itertuples(index=False):
        table.add_row(escape(str(name)), escape(str(vote)), f"{share:.0%}")
    out.print(table if len(unknown) else f"every specimen has a {escape(label)}")
    out.print(f"right on those with a {escape(label)}, each left out ({VOTERS} voters):")
    for name, score in (("embeddings", found.accuracy), ("colour statistics", found.floor)):
        out.print("  {}: {} ({})".format(name, *score.words()))
    out.print(f"  always the commonest: {found.commonest:.3f}")


def _clusters_table(found: Explanation) -> Table:
    from napari_phenoscape.analysis import NAMED, differences, doubts, missed

    table = Table(show_header=False)
    names, ids, like = found.clusters.names, found.table["specimen"], found.likeness
    for number, near in found.nearest.items():
        size = int((like.labels == number).sum())
        lines = {
            f"[bold]{escape(names[number])}[/]": f"{size} specimens",
            "differs from all others by": differences(found, number),
            f"from {escape(names[near])} by": differences(found, number, near),
            "misses, when hidden": missed(found, number),
            "typical": "\n".join(ids.iloc[like.typical(number)[:NAMED]]),
            "doubtful": doubts(found, number),
        }
        for what, words in lines.items():
            if words:
                table.add_row(what, escape(words))
        table.add_section()
    return table
