"""The verb that changes clusters by hand."""

from __future__ import annotations

from typing import Annotated

import typer

from napari_phenoscape.cli._answer import Answer
from napari_phenoscape.cli._console import Others, Run, command, listen, source_of
from napari_phenoscape.cli._why import Space
from napari_phenoscape.errors import OptionError


@command
def edit(
    run: Run,
    merge: Annotated[
        list[str], typer.Option(help="name of a cluster that becomes one with others; repeatable")
    ] = [],  # noqa: B006
    split: Annotated[str, typer.Option(help="name of a cluster that becomes two")] = "",
    leave_out: Annotated[
        list[str], typer.Option(help="id of a specimen that belongs to no cluster; repeatable")
    ] = [],  # noqa: B006
    again: Annotated[
        list[str],
        typer.Option(help="id of a specimen to cluster again with others of these; repeatable"),
    ] = [],  # noqa: B006
    rename: Annotated[str, typer.Option(help="name of a cluster that gets another one")] = "",
    to: Annotated[str, typer.Option(help="the new name")] = "",
    space: Space = "",
    collection: Others = None,
) -> Answer:
    """Correct clusters by hand, one change at a time: merge, split, leave out, rename."""
    from napari_phenoscape.analysis import edit_clusters
    from napari_phenoscape.embeddings import legend

    if to and not rename:
        raise OptionError("--to says what a cluster is called from now on: name it with --rename.")
    verb = edit_clusters(
        run,
        merge=merge,
        split_up=split,
        leave_out=leave_out,
        again=again,
        rename=(rename, to) if rename else None,
        space=space,
        source=source_of(collection),
    )
    rows = legend(listen(verb))
    facts = [
        {"cluster": name, "colour": colour, "specimens": number} for name, colour, number in rows
    ]
    return Answer(
        {"clusters": facts}, [f"{name}: {number} specimens" for name, _, number in rows], "clusters"
    )
