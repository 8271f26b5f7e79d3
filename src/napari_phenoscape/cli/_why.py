"""Verbs that ask of a run why: its clusters, neighbours and labels."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from napari_phenoscape._atomic import check_outputs
from napari_phenoscape.cli._answer import Answer, Made, rows_of, wrote
from napari_phenoscape.cli._changes import SetCollection, change_run
from napari_phenoscape.cli._console import Others, Overwrite, Run, command, listen, source_of

if TYPE_CHECKING:
    from napari_phenoscape.analysis import Explanation

Space = Annotated[str, typer.Option(help="which embedding: a modality, or joint")]
Groups = Annotated[
    str, typer.Option(help="column of what is never compared with itself, e.g. the individual")
]
FromRun = Annotated[
    bool,
    typer.Option(
        "--from-run", help="compare those of --collection with the run's own specimens alone"
    ),
]


@command
def explain(
    run: Run,
    space: Space = "",
    collection: Others = None,
    change: SetCollection = [],  # noqa: B006
    untrained: Annotated[
        bool, typer.Option("--untrained", help="use the untrained control")
    ] = False,
    occlusion: Annotated[
        bool, typer.Option(help="hide bands to see which matter; takes longer")
    ] = True,
    window: Annotated[
        float, typer.Option(help="width of the hidden band window, in nm", min=1)
    ] = 25.0,
    where: Annotated[
        int,
        typer.Option(
            help="also hide places, on this many typical specimens of each cluster", min=0
        ),
    ] = 0,
    against: Annotated[
        str, typer.Option(help="cluster that --where compares with [default: the nearest]")
    ] = "",
    eye: Annotated[
        list[str] | None,
        typer.Option(help="how far apart clusters are to an eye: bird-uv, human, or a CSV"),
    ] = None,
    densities: Annotated[
        str, typer.Option(help="relative numbers of its receptors, short waves first: 1:2:2:4")
    ] = "",
    weber: Annotated[
        float | None,
        typer.Option(help="noise over signal of the receptor for the longest waves", min=1e-4),
    ] = None,
    elements: Annotated[
        int,
        typer.Option(help="also divide patterns into this many kinds of places", min=0, max=255),
    ] = 0,
) -> Answer:
    """Explain clusters: spectra, deciding bands, typical specimens; tables and figures."""
    from napari_phenoscape.analysis import explain as verb, looked_at
    from napari_phenoscape.spectra import densities_from

    change_run(run, change)
    explanation = listen(
        verb(
            run,
            space=space,
            source=source_of(collection),
            untrained=untrained,
            occlusion=occlusion,
            width_nm=window,
            where=where,
            against=against,
            eyes=eye or (),
            densities=densities_from(densities),
            weber=weber,
            elements=elements,
        )
    )
    folder = run / "explanations"
    rows, table = _clusters_table(explanation)
    words: list[RenderableType] = [table]
    if explanation.weights is not None:
        words.append(f"made of: {looked_at(explanation.weights)}")
    facts: dict[str, Any] = {"clusters": rows, "folder": folder}
    if explanation.colours is not None:
        facts["colours"] = rows_of(explanation.colours)
        words.append(_colours_table(facts["colours"]))
    if explanation.elements is not None:
        areas = explanation.elements.shares.mean(axis=0)
        words.append(
            "elements, of the area: "
            + ", ".join(f"{k + 1} {area:.0%}" for k, area in enumerate(areas)).replace("%", " %")
        )
    words.append(f"tables and figure in {folder}")
    return Answer(facts, words, "clusters")


@command
def associate(
    run: Run,
    others: Annotated[
        list[Path] | None, typer.Argument(help="more runs of the same specimens")
    ] = None,
    space: Space = "",
    permutations: Annotated[
        int, typer.Option(help="how often clusters are shuffled for the p-value", min=1)
    ] = 999,
) -> Answer:
    """Say how closely clusters follow each metadata column, and other results; a table."""
    from napari_phenoscape.analysis import associate as verb, results_agreement
    from napari_phenoscape.embeddings import read_results
    from napari_phenoscape.training import read_experiment

    for one in others or []:
        read_experiment(one)  # or it is none, and its results would not be missed
    found = listen(verb(run, space, permutations))
    table = Table("column", "levels", "specimens", "adjusted mutual information", "p")
    for column, levels, specimens, value, p in found.itertuples(index=False):
        table.add_row(Text(column), str(levels), str(specimens), f"{value:.3f}", f"{p:.3f}")
    words: list[Any] = [table if len(found) else "no column divides these specimens"]
    several = [run, *(others or [])]
    results = {
        name if len(several) == 1 else f"{one.name}: {name}": clusters
        for one in several
        for name, clusters in read_results(one).items()
    }
    both = results_agreement(results)
    if len(both):
        table = Table("result", "and", "shared", "adjusted Rand index", "mutual information")
        for first, second, shared, rand, value in both.itertuples(index=False):
            table.add_row(Text(first), Text(second), str(shared), f"{rand:.3f}", f"{value:.3f}")
        words.append(table)
    facts = {"columns": rows_of(found), "results": rows_of(both)}
    return Answer(facts, words, "columns")


@command
def draw(
    run: Run,
    output: Annotated[Path, typer.Option("--output", "-o", help="PNG, SVG or PDF")] = Path(
        "map.png"
    ),
    colour: Annotated[
        str, typer.Option(help="cluster, a metadata column, silhouette, 'mean of BAND', ...")
    ] = "cluster",
    space: Space = "",
    overwrite: Overwrite = False,
) -> Made:
    """Draw the map of a run, coloured by cluster, metadata or a measurement."""
    from napari_phenoscape.analysis import run_map

    check_outputs([output], [run], overwrite=overwrite)
    return wrote([listen(run_map(run, output, colour, space))], "map")


@command
def neighbours(
    run: Run,
    specimen: Annotated[str, typer.Argument(help="its id or file name")],
    k: Annotated[int, typer.Option("-k", help="how many", min=1)] = 10,
    space: Space = "",
    collection: Others = None,
    from_run: FromRun = False,
    groups: Groups = "",
    change: SetCollection = [],  # noqa: B006
) -> Answer:
    """Find the specimens that are most like a given one."""
    from napari_phenoscape.analysis import neighbours_of
    from napari_phenoscape.embeddings import METADATA

    change_run(run, change)
    asked = neighbours_of(
        run,
        specimen,
        k,
        space=space,
        source=source_of(collection),
        from_run=from_run,
        groups=groups,
    )
    likest = listen(asked)
    table = Table("similarity")
    for column in ("specimen", "metadata"):
        table.add_column(column, overflow="fold")
    for _, one in likest.iterrows():
        words = ", ".join(f"{name} {one[name]}" for name in likest.columns[METADATA + 1 :])
        table.add_row(f"{one['similarity']:.3f}", one["specimen"], words)
    facts = {"specimen": specimen, "neighbours": rows_of(likest)}
    return Answer(facts, [table], "neighbours")


@command
def label(
    run: Run,
    label: Annotated[str, typer.Option(help="what the names tell apart, e.g. morph")],
    name: Annotated[str, typer.Option(help="the name to give; '' removes names")],
    cluster: Annotated[
        list[str], typer.Option(help="all specimens of this cluster, by its name; repeatable")
    ] = [],  # noqa: B006
    specimen: Annotated[list[str], typer.Option(help="this specimen, by its id; repeatable")] = [],  # noqa: B006
    space: Space = "",
    collection: Others = None,
    change: SetCollection = [],  # noqa: B006
) -> Answer:
    """Label specimens, or a whole cluster, in a table beside the photographs."""
    from napari_phenoscape.analysis import label as verb

    change_run(run, change)
    chosen = {"clusters": cluster, "specimens": specimen}
    source = source_of(collection)
    labels = listen(verb(run, label, name, **chosen, space=space, source=source))
    given = Counter(labels.values.values())
    facts = {
        "label": label,
        "table": labels.path,
        "names": [{"name": name, "specimens": number} for name, number in given.most_common()],
    }
    words = [f"{name}: {number} specimens" for name, number in given.most_common()]
    return Answer(facts, [*words, f"table {labels.path}"], "names")


@command
def classify(
    run: Run,
    label: Annotated[
        str,
        typer.Option(
            help="metadata column, or label given in the window, that some specimens have"
        ),
    ],
    space: Space = "",
    collection: Others = None,
    from_run: FromRun = False,
    groups: Groups = "",
    change: SetCollection = [],  # noqa: B006
    save: Annotated[
        bool, typer.Option("--save", help="write labels and votes beside the photographs, too")
    ] = False,
    overwrite: Overwrite = False,
) -> Answer:
    """Predict the label of unlabelled specimens from their neighbours; a table."""
    from napari_phenoscape.analysis import classify as verb, judgement

    change_run(run, change)
    source, kept = source_of(collection), {"save": save, "overwrite": overwrite}
    found = listen(
        verb(run, label, space=space, source=source, from_run=from_run, groups=groups, **kept)
    )
    table = Table("specimen", label, "votes")
    table.columns[0].overflow = "fold"
    unknown = found.table.iloc[found.doubtful]
    for name, vote, share in unknown[["specimen", "vote", "share"]].itertuples(index=False):
        table.add_row(str(name), str(vote), f"{share:.0%}")
    contradicted = found.table["specimen"].iloc[found.contradicted].tolist()
    facts = {
        "label": label,
        "accuracy": found.accuracy._asdict(),
        "colour_statistics": found.baseline._asdict(),
        "commonest": found.commonest,
        "contradicted": contradicted,
        "specimens": rows_of(found.table),
    }
    words: list[Any] = [table if len(unknown) else f"every specimen has a {label}"]
    if len(contradicted):
        words.append("named otherwise than their neighbours: " + ", ".join(contradicted))
    return Answer(facts, [*words, judgement(found)], "specimens")


@command
def twins(
    run: Run,
    over: Annotated[
        str, typer.Option(help="column of a split, e.g. split or folder: what is on both sides")
    ] = "",
    same: Annotated[
        str, typer.Option(help="column of what must not be on both sides, e.g. individual")
    ] = "",
    least: Annotated[
        float,
        typer.Option(
            help="lowest correlation of two pictures that count as duplicates", min=0, max=1
        ),
    ] = 0.98,
    space: Space = "",
    collection: Others = None,
    change: SetCollection = [],  # noqa: B006
) -> Answer:
    """Find duplicates, and specimens that are in both parts of a split."""
    from napari_phenoscape.analysis import twins as verb

    change_run(run, change)
    source = source_of(collection)
    found = listen(verb(run, over=over, same=same, least=least, space=space, source=source))
    table = Table("first", "second", "why", "correlation", *(["leak"] if over else []))
    for name in table.columns[:2]:
        name.overflow = "fold"
    for line in found.lines():
        table.add_row(*line)
    facts = {"specimens": found.specimens, "pairs": rows_of(found.table)}
    words: list[Any] = [*([table] if len(found.table) else []), found.words()]
    return Answer(facts, words, "pairs", [*map(str, found.table)])


@command
def report(
    run: Run,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="where to write it [default: RUN/report.html]"),
    ] = None,
    collection: Others = None,
    change: SetCollection = [],  # noqa: B006
    untrained: Annotated[
        bool, typer.Option("--untrained", help="use the untrained control")
    ] = False,
    overwrite: Overwrite = False,
) -> Made:
    """Write the result of a run as one web page, to read or to print."""
    from napari_phenoscape.analysis import report as verb

    if output:
        check_outputs([output], [run], overwrite=overwrite)
    change_run(run, change)
    source = source_of(collection)
    page = listen(verb(run, output, source=source, untrained=untrained))
    return wrote([page], "page")


def _colours_table(rows: list[dict[str, Any]]) -> Table:
    table = Table("eye", "cluster", "and", "JND", "95 %", "for this eye")
    for row in rows:
        interval = f"{row['low']:.2f}-{row['high']:.2f}"
        names = [Text(row[key]) for key in ("eye", "name", "other_name")]
        table.add_row(*names, f"{row['jnd']:.2f}", interval, row["words"])
    return table


def _clusters_table(explanation: Explanation) -> tuple[list[dict[str, Any]], Table]:
    """What tells each cluster, for a program and for the eye."""
    from napari_phenoscape.analysis import NAMED, borderline, differences, missed

    rows, table = [], Table(show_header=False)
    table.add_column()
    table.add_column(overflow="fold")
    names, ids = explanation.clusters.names, explanation.table["specimen"]
    membership = explanation.membership
    for number, near in explanation.nearest.items():
        row: dict[str, Any] = {
            "cluster": names[number],
            "specimens": int((membership.labels == number).sum()),
            "differs": differences(explanation, number),
            "nearest": names[near],
            "differs_from_nearest": differences(explanation, number, near),
            "misses_when_hidden": missed(explanation, number),
            "typical": ids.iloc[membership.typical(number)[:NAMED]].tolist(),
            "borderline": borderline(explanation, number),
        }
        lines = {
            "differs from all others by": row["differs"],
            f"from {names[near]} by": row["differs_from_nearest"],
            "misses, when hidden": row["misses_when_hidden"],
            "typical": "\n".join(row["typical"]),
            "borderline": row["borderline"],
        }
        rows.append(row)
        table.add_row(Text(names[number], "bold"), f"{row['specimens']} specimens")
        for what, words in lines.items():
            if words:
                table.add_row(what, words)
        table.add_section()
    return rows, table
