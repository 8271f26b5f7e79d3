"""Verbs on experiments and runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import RenderableType

from napari_phenoscape._atomic import check_outputs
from napari_phenoscape._remote import located
from napari_phenoscape.cli._answer import Answer, Made, rows_of, short, wrote
from napari_phenoscape.cli._changes import (
    PRESETS,
    Set,
    SetCollection,
    SetGrouping,
    change_run,
    changed,
    preset_called,
)
from napari_phenoscape.cli._console import (
    YAML,
    Others,
    Overwrite,
    Run,
    command,
    inputs_of,
    listen,
    print_events,
    source_of,
)
from napari_phenoscape.errors import OptionError

if TYPE_CHECKING:
    from napari_phenoscape.training import Experiment

Yaml = Annotated[Path, typer.Argument(help="experiment.yaml", show_default=False)]
Devices = Annotated[
    int | None, typer.Option(min=1, help="devices per node; overrides runtime.devices")
]
Shared = Annotated[
    int, typer.Option("--devices", min=1, help="processes on this machine that share the work")
]
Events = Annotated[
    bool, typer.Option("--events", help="print every event as a line of JSON, for programs")
]
Nodes = Annotated[int | None, typer.Option(min=1, help="number of nodes; overrides runtime.nodes")]


@command
def samples(
    directory: Annotated[Path, typer.Argument(help="a new or empty folder")],
    seed: Annotated[int, typer.Option(help="seed of everything random")] = 0,
) -> Made:
    """Draw practice specimens whose answer is known, with experiments ready to run."""
    from napari_phenoscape.samples import write_samples

    return wrote([listen(write_samples(directory, seed=seed))], "samples in")


@command
def preview(
    experiment: Yaml,
    output: Annotated[Path, typer.Option("--output", "-o", help="PNG")] = Path("views.png"),
    specimen: Annotated[int, typer.Option(help="which specimen, counted from 0")] = 0,
    seed: Annotated[int | None, typer.Option(help="seed, in place of the experiment's")] = None,
    step: Annotated[int, typer.Option(help="the training step whose views are wanted")] = 0,
    only: Annotated[str, typer.Option(help="one augmentation alone, in every view")] = "",
    show: Annotated[
        str, typer.Option(help="'colours', 'UV false colour', or the name of a band")
    ] = "colours",
    change: Set = [],  # noqa: B006
    overwrite: Overwrite = False,
) -> Made:
    """Show what the network sees: a sheet of augmented views of one specimen."""
    from napari_phenoscape.training import Experiment, preview as verb

    asked = changed(Experiment.read(experiment), change)
    check_outputs([output], [experiment, *inputs_of(asked.collection)], overwrite=overwrite)
    path = listen(verb(asked, output, specimen, seed=seed, step=step, only=only, show=show))
    return wrote([path], "views in")


@command
def prepare(experiment: Yaml, change: Set = []) -> Made:  # noqa: B006
    """Read and scale the specimens once and keep them on disk for training."""
    from napari_phenoscape.specimens import store_words
    from napari_phenoscape.training import Experiment, specimens_of

    _, crops = listen(specimens_of(changed(Experiment.read(experiment), change), keep=True))
    assert crops.folder is not None  # as was asked
    return Made({"files": [crops.folder]}, [store_words(crops.folder)])


@command
def train(
    experiment: Annotated[
        Path,
        typer.Argument(
            help="an experiment.yaml, a run to continue, a folder of specimens, or a drawer"
        ),
    ],
    change: Set = [],  # noqa: B006
    devices: Devices = None,
    nodes: Nodes = None,
    events: Events = False,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="train nothing; say what would go wrong, how to fix it, and how long it takes",
        ),
    ] = False,
    preset: Annotated[
        str | None,
        typer.Option(
            metavar="|".join(PRESETS),
            help="how much to compute, if you name a folder of specimens or a drawer; "
            "default: workstation",
            show_default=False,
        ),
    ] = None,
) -> Made | None:
    """Train a network (or fit an instant run), or continue a run that was stopped.

    Of a folder of specimens, or a drawer, it makes a suitable experiment, kept in the run.
    """
    from napari_phenoscape.training import Experiment, read_experiment, run_near, train as verb

    chosen = preset_called(preset or "workstation")
    run, experiment = None, located(experiment)
    is_folder = experiment.is_dir()
    is_run = is_folder and run_near(experiment) is not None
    is_specimens = is_folder or (experiment.is_file() and experiment.suffix not in YAML)
    if preset and (is_run or not is_specimens):
        raise OptionError(
            f"--preset {preset}: '{experiment}' says itself how much to compute, and a folder of "
            "specimens, or a drawer, was expected. Leave it out, or change values with --set."
        )
    if is_run:
        run, given = experiment, read_experiment(experiment)
    elif is_specimens:
        from napari_phenoscape.analysis import proposed

        given, _ = listen(proposed(experiment, preset=chosen))
    else:
        given = Experiment.read(experiment)
    given = changed(given, [*change, *_places(devices, nodes)])
    if check:
        return _checked(given)
    working = verb(given, run)
    if events:
        print_events(working)
        return None
    run = listen(working)
    return Made({"run": run}, [f"run {short(run)}"])


def _checked(experiment: Experiment) -> Made:
    from napari_phenoscape.specimens import collect
    from napari_phenoscape.training import checks, dry_step

    collection = listen(collect(experiment.collection))
    found = list(checks(experiment, collection))
    if all(check.tone != "error" for check in found):
        found += filter(None, [listen(dry_step(experiment, collection))])
    rows = [{"tone": one.tone, "words": one.words, "change": one.change} for one in found]
    said = {"plain": "note", "warning": "warning", "error": "error"}
    words = [" ".join([f"{said[one.tone]}: {one.words}", *one.options]) for one in found]
    return Made({"checks": rows}, words or ["Nothing would go wrong that is known of."])


@command
def slurm(
    experiment: Yaml,
    change: Set = [],  # noqa: B006
    devices: Devices = None,
    nodes: Nodes = None,
    time: Annotated[str, typer.Option(help="longest time of a job, days-hours:min:s")] = "24:00:00",
    more: Annotated[
        list[str],
        typer.Option("--sbatch", help="any option of sbatch, e.g. --sbatch=--partition=gpu"),
    ] = [],  # noqa: B006
) -> Made:
    """Write a batch script that trains an experiment on a Slurm computing cluster."""
    from napari_phenoscape.training import Experiment, write_batch_script

    given = changed(Experiment.read(experiment), [*change, *_places(devices, nodes)])
    return wrote([write_batch_script(given, time, more)], "sbatch")


@command
def embed(
    run: Run,
    collection: Others = None,
    change: SetCollection = [],  # noqa: B006
    untrained: Annotated[
        bool, typer.Option("--untrained", help="the control: weights before training")
    ] = False,
    export: Annotated[
        Path | None, typer.Option(help="also the joint or only space as .csv, .parquet or .h5ad")
    ] = None,
    devices: Shared = 1,
    events: Events = False,
    overwrite: Overwrite = False,
) -> Answer | None:
    """Turn specimens into rows of numbers with a trained run, as Parquet and CSV."""
    from napari_phenoscape.embeddings import embed as verb, export_table

    _check_export(export, run, collection, overwrite)
    change_run(run, change)
    working = verb(run, source_of(collection), untrained=untrained, devices=devices)
    if events:
        print_events(working)
        return None
    spaces = listen(working)
    rows = [
        dict(zip(("space", "specimens", "dimensions"), (space, *embeddings.x.shape), strict=True))
        for space, embeddings in spaces.items()
    ]
    words = ["{space}: {specimens} specimens, {dimensions} numbers each".format(**r) for r in rows]
    if export and spaces:
        export_table(list(spaces.values())[-1], export)
        words.append(f"table {export}")
    return Answer({"spaces": rows}, words, "spaces")


@command
def export(
    run: Run,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="a new folder [default: RUN/encoder]")
    ] = None,
    onnx: Annotated[
        bool, typer.Option("--onnx", help="as encoder.onnx too; needs napari-phenoscape[onnx]")
    ] = False,
) -> Made:
    """Write the trained encoder on its own, for Python, torch or ONNX."""
    from napari_phenoscape.embeddings import ENCODER, export as verb

    return wrote([listen(verb(run, output or run / ENCODER, onnx=onnx))], "encoder in")


@command
def cluster(
    run: Run,
    clusters: Annotated[
        int | None,
        typer.Option(help="how many, by kmeans, 0 = chosen; in place of grouping.method", min=0),
    ] = None,
    space: Annotated[
        str, typer.Option(help="which embedding: a modality, or joint; in place of grouping.space")
    ] = "",
    change: SetGrouping = [],  # noqa: B006
    collection: Others = None,
    untrained: Annotated[
        bool, typer.Option("--untrained", help="use the untrained control")
    ] = False,
    export: Annotated[
        Path | None,
        typer.Option(help="also embeddings, clusters and map as .csv, .parquet or .h5ad"),
    ] = None,
    keep: Annotated[str, typer.Option(help="also keep the clusters under this name")] = "",
    overwrite: Overwrite = False,
) -> Answer:
    """Group the specimens of a run into clusters and draw their map; a table and a figure.

    A table and a figure go into the run, and what is changed is kept in its experiment.yaml.
    """
    from napari_phenoscape.analysis import cluster_run
    from napari_phenoscape.embeddings import (
        export_table,
        keep_clusters,
        kept_path,
        read_embeddings,
    )

    if keep:
        kept_path(run, keep)  # or it is refused after the work
    plain = []
    if clusters is not None:
        plain.append(f"grouping.method={{kind: kmeans, clusters: {clusters}}}")
    if space:
        plain.append(f"grouping.space={json.dumps(space)}")
    after = change_run(run, [*plain, *change], "grouping")
    _check_export(export, run, collection, overwrite)
    source = source_of(collection)
    made = listen(cluster_run(run, after.grouping, source=source, untrained=untrained))
    rows = [
        {"cluster": number, "name": name, "specimens": int((made.labels == number).sum())}
        for number, name in made.names.items()
    ]
    words = ["{name}: {specimens} specimens".format(**row) for row in rows]
    if made.choice:
        words.insert(0, made.choice.words)
    if keep:
        words.append(f"kept {keep_clusters(run, made, keep)}")
    if export:
        embeddings = read_embeddings(run, after.grouping.space, source, untrained=untrained)
        export_table(embeddings, export, made)
        words.append(f"table {export}")
    return Answer({"clusters": rows}, words, "clusters")


@command
def evaluate(
    runs: Annotated[list[Path], typer.Argument(help="runs of the same specimens")],
    label: Annotated[
        list[str], typer.Option(help="metadata column to compare with; repeatable")
    ] = [],  # noqa: B006
    within: Annotated[str, typer.Option(help="compare inside each level of this column")] = "",
    groups: Annotated[
        str,
        typer.Option(
            help="column of what must not be on both sides of a comparison, e.g. the individual"
        ),
    ] = "",
    nuisance: Annotated[
        str,
        typer.Option(help="column that differs for technical reasons, instead of the run's own"),
    ] = "",
    change: SetCollection = [],  # noqa: B006
    devices: Shared = 1,
    events: Events = False,
) -> Answer | None:
    """Compare a run with labels and with controls: was it worth it? Tables and figures."""
    from rich.table import Table
    from rich.text import Text

    from napari_phenoscape.analysis import as_table, evaluate as verb

    for run in runs:
        change_run(run, change)
    asked = {"within": within, "groups": groups, "nuisance": nuisance}
    working = verb(runs, *label, **asked, devices=devices)
    if events:
        print_events(working)
        return None
    comparisons = listen(working)
    rows: list[dict[str, Any]] = []
    words: list[RenderableType] = []
    for of, embeddings in comparisons.items():
        rows += [{"label": of, **row} for row in rows_of(as_table(embeddings))]
        table = Table("measure", title=of or None)
        for column in ("embedding", "value", "95 % interval"):
            table.add_column(column, no_wrap=True)
        for measure in dict.fromkeys(name for one in embeddings for name in one.scores):
            first = measure
            for one in embeddings:
                if measure in one.scores:
                    table.add_row(first, one.embedding, *one.scores[measure].words())
                    first = ""
            table.add_section()
        for one in embeddings:
            for other, score in one.against.items():
                value, ends = score._replace(p=float("nan")).words()
                table.add_row(f"right more often than {other}", one.embedding, value, ends)
        words.append(table)
        verdicts = [(one.embedding, one.verdict) for one in embeddings if one.verdict]
        words += [Text.assemble(f"{name}: ", (verdict, "bold")) for name, verdict in verdicts]
    return Answer({"scores": rows}, words, "scores")


@command
def demo(
    directory: Annotated[Path, typer.Argument(help="a folder for all of it")] = Path("demo"),
    seed: Annotated[int, typer.Option(help="seed of weights and views")] = 0,
    steps: Annotated[int, typer.Option(help="steps of each training", min=1)] = 120,
    viewer: Annotated[bool, typer.Option(help="open the result in napari")] = True,
) -> Made:
    """Show everything at once: samples, training and clusters, with and without UV."""
    from napari_phenoscape.samples import demo as verb, has_display, show

    result = listen(verb(directory, seed=seed, steps=steps))
    if viewer and has_display():
        show(result.runs["RGB + UV"])
    facts = {"runs": result.runs, "figure": result.figure}
    return Made(facts, [result.table, f"figure {result.figure}"])


def _check_export(export: Path | None, run: Path, collection: Path | None, overwrite: bool) -> None:
    """Raise before the work what would be raised after it."""
    from napari_phenoscape.embeddings import check_table
    from napari_phenoscape.training import read_experiment

    if export is None:
        return
    check_table(export)
    source = source_of(collection) or read_experiment(run).collection
    read = [run, *([collection] if collection else []), *inputs_of(source)]
    check_outputs([export], read, overwrite=overwrite)


def _places(devices: int | None, nodes: int | None) -> list[str]:
    """``--devices`` and ``--nodes`` as ``--set`` would say them."""
    given = {"devices": devices, "nodes": nodes}
    return [f"runtime.{name}={number}" for name, number in given.items() if number]
