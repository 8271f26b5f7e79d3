"""Verbs that ask of a run why: its clusters, neighbours and labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape
from rich.table import Table

from napari_phenoscape._atomic import check_outputs
from napari_phenoscape.cli._changes import SetCollection, change_run
from napari_phenoscape.cli._console import Others, Overwrite, Run, command, listen, out, source_of

if TYPE_CHECKING:
    from napari_phenoscape.analysis import Explanation

Space = Annotated[str, typer.Option(help="a modality, or joint")]
Groups = Annotated[
    str, typer.Option(help="column of what is never compared with itself, e.g. the individual")
]


@command
def explain(
    run: Run,
    space: Space = "",
    collection: Others = None,
    change: SetCollection = [],  # noqa: B006
    untrained: Annotated[bool, typer.Option("--untrained", help="of the control")] = False,
    occlusion: Annotated[bool, typer.Option(help="hide bands from the net; takes longer")] = True,
    window: Annotated[float, typer.Option(help="of hidden bands, in nm", min=1)] = 25.0,
) -> None:
    """Say why clusters are clusters, by spectra, bands and specimens; files into the run."""
    from napari_phenoscape.analysis import explain as verb, looked_at

    change_run(run, change)
    explanation = listen(
        verb(
            run,
            space=space,
            source=source_of(collection),
            untrained=untrained,
            occlusion=occlusion,
            width_nm=window,
        )
    )
    out.print(_clusters_table(explanation))
    if explanation.weights is not None:
        out.print(f"made of: {escape(looked_at(explanation.weights))}", soft_wrap=True)
    out.print(f"tables and figure in {run / 'explanations'}", soft_wrap=True)


@command
def neighbours(
    run: Run,
    specimen: Annotated[str, typer.Argument(help="its id or file name")],
    k: Annotated[int, typer.Option("-k", help="how many", min=1)] = 10,
    space: Space = "",
    collection: Others = None,
    groups: Groups = "",
    change: SetCollection = [],  # noqa: B006
) -> None:
    """Find the specimens of a run that are most like one of them."""
    from napari_phenoscape.analysis import neighbours_of
    from napari_phenoscape.embeddings import METADATA

    change_run(run, change)
    source = source_of(collection)
    likest = listen(neighbours_of(run, specimen, k, space=space, source=source, groups=groups))
    table = Table("similarity", "specimen", "metadata")
    for _, one in likest.iterrows():
        words = ", ".join(f"{name} {one[name]}" for name in likest.columns[METADATA + 1 :])
        table.add_row(f"{one['similarity']:.3f}", escape(one["specimen"]), escape(words))
    out.print(table)


@command
def classify(
    run: Run,
    label: Annotated[str, typer.Option(help="metadata column, empty for some specimens")],
    space: Space = "",
    collection: Others = None,
    groups: Groups = "",
    change: SetCollection = [],  # noqa: B006
) -> None:
    """Give specimens without a label that of their neighbours; a table into the run."""
    from napari_phenoscape.analysis import VOTERS, classify as verb

    change_run(run, change)
    source = source_of(collection)
    classification = listen(verb(run, label, space=space, source=source, groups=groups))
    unknown = classification.table[classification.table[label].isna()]
    table = Table("specimen", label, "votes")
    for name, vote, share in unknown[["specimen", "vote", "share"]].itertuples(index=False):
        table.add_row(escape(str(name)), escape(str(vote)), f"{share:.0%}")
    out.print(table if len(unknown) else f"every specimen has a {escape(label)}")
    out.print(f"right on those with a {escape(label)}, each left out ({VOTERS} voters):")
    accuracy, baseline = classification.accuracy, classification.baseline
    for name, score in (("embeddings", accuracy), ("colour statistics", baseline)):
        out.print("  {}: {} ({})".format(name, *score.words()))
    out.print(f"  always the commonest: {classification.commonest:.3f}")


@command
def report(
    run: Run,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="the page; RUN/report.html when not given")
    ] = None,
    collection: Others = None,
    change: SetCollection = [],  # noqa: B006
    untrained: Annotated[bool, typer.Option("--untrained", help="of the control")] = False,
    overwrite: Overwrite = False,
) -> None:
    """Write what a run found as one page of HTML, for any browser and for paper."""
    from napari_phenoscape.analysis import report as verb

    if output:
        check_outputs([output], [run], overwrite=overwrite)
    change_run(run, change)
    source = source_of(collection)
    page = listen(verb(run, output, source=source, untrained=untrained))
    out.print(f"page {escape(str(page))}", soft_wrap=True)


def _clusters_table(explanation: Explanation) -> Table:
    from napari_phenoscape.analysis import NAMED, borderline, differences, missed

    table = Table(show_header=False)
    names, ids = explanation.clusters.names, explanation.table["specimen"]
    membership = explanation.membership
    for number, near in explanation.nearest.items():
        size = int((membership.labels == number).sum())
        lines = {
            f"[bold]{escape(names[number])}[/]": f"{size} specimens",
            "differs from all others by": differences(explanation, number),
            f"from {escape(names[near])} by": differences(explanation, number, near),
            "misses, when hidden": missed(explanation, number),
            "typical": "\n".join(ids.iloc[membership.typical(number)[:NAMED]]),
            "borderline": borderline(explanation, number),
        }
        for what, words in lines.items():
            if words:
                table.add_row(what, escape(words))
        table.add_section()
    return table
