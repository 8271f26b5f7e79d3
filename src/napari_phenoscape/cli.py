"""The command line: every verb of the docks, from the same experiment.yaml."""

from __future__ import annotations

import functools
import os
import re
import signal
import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
import yaml
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from napari_phenoscape.cube import Modality
from napari_phenoscape.errors import OptionError, PhenoscapeError
from napari_phenoscape.events import (
    Event,
    Failed,
    Finished,
    Health,
    Notice,
    Progress,
    Saved,
    Started,
    Step,
    event_line,
)
from napari_phenoscape.experiment import Experiment
from napari_phenoscape.io import Interpretation
from napari_phenoscape.runtime import rank

if TYPE_CHECKING:
    from napari_phenoscape.vision import Eye, Illuminant

T = TypeVar("T")

app = typer.Typer(
    help="See which organisms look alike, in any part of the spectrum, without labels.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

Yaml = Annotated[Path, typer.Argument(help="experiment.yaml", show_default=False)]
Run = Annotated[Path, typer.Argument(help="run directory", show_default=False)]
Set = Annotated[
    list[str],
    typer.Option("--set", help="change one value, e.g. --set schedule.steps=500; repeatable"),
]

Names = Annotated[
    str,
    typer.Option(
        help="what the planes are, in the order of the file, e.g. R,G,B,UV_B,UV_R,mask; '-' = none"
    ),
]
Wavelengths = Annotated[
    str, typer.Option(help="of the bands in nm: FIRST,LAST when evenly spaced, or one for each")
]
FullScale = Annotated[float | None, typer.Option(help="the number that is reflectance 1")]
Vision = Annotated[
    str,
    typer.Option(
        help="what an eye catches: human, bird-uv, bird-v, honeybee, or a CSV of sensitivities, "
        "pigments, or a camera's model"
    ),
]
Light = Annotated[
    str,
    typer.Option(
        "--illuminant", help="of --vision: d65 (default), equal-energy, equal-quanta, or a CSV"
    ),
]

Devices = Annotated[
    int | None, typer.Option(min=1, help="of each node; in place of runtime.devices")
]
Nodes = Annotated[int | None, typer.Option(min=1, help="in place of runtime.nodes")]


def command(function: Callable[..., None]) -> Callable[..., None]:
    """A verb whose errors are one sentence and exit code 2; Ctrl-C is exit code 130."""

    @app.command()
    @functools.wraps(function)
    def verb(*args: Any, **kwargs: Any) -> None:
        # of several processes one speaks
        out.quiet = err.quiet = rank() > 0
        try:
            function(*args, **kwargs)
        except PhenoscapeError as error:
            err.print(f"[bold red]error:[/] {_plain(str(error))}", soft_wrap=True)
            raise typer.Exit(2) from None
        except KeyboardInterrupt:
            err.print("stopped; what was done is saved")
            raise typer.Exit(130) from None

    return verb


@command
def info(
    path: Annotated[Path, typer.Argument(help="a cube, a run directory, or prepared crops")],
    names: Names = "",
    wavelengths: Wavelengths = "",
    full_scale: FullScale = None,
) -> None:
    """Say what a cube, a run or a folder of prepared crops holds, and what was assumed about it."""
    from napari_phenoscape.io import doubts, open_cube
    from napari_phenoscape.run import EXPERIMENT, read_events, read_experiment
    from napari_phenoscape.store.disk import MANIFEST, store_words

    if (path / MANIFEST).is_file():
        out.print(_plain(store_words(path)), soft_wrap=True)
        return
    if (path / EXPERIMENT).is_file():
        experiment = read_experiment(path)
        events = read_events(path)
        steps = [event for event in events if isinstance(event, Step)]
        out.print(f"run {path.name}: {len(steps)} of {experiment.schedule.steps} steps")
        for sentence in dict.fromkeys(e.message for e in events if isinstance(e, Notice)):
            out.print(_plain(sentence), soft_wrap=True)
        if steps:
            out.print(f"last loss {steps[-1].loss:.3f}, agreement {steps[-1].agreement:.0%}")
        out.print(_plain(experiment.to_yaml()))
        return
    cube = open_cube(path, _read_as(names, wavelengths, full_scale))
    bands, rows, columns = cube.shape
    out.print(f"{cube.path}: {bands} bands, {rows} rows, {columns} columns, {cube.array.dtype}")
    if (centres := cube.wavelengths_nm) is not None:
        out.print(f"{centres.min():.2f} to {centres.max():.2f} nm")
    else:
        out.print(_plain("bands: " + ", ".join(band.name for band in cube.bands)))
    if cube.mask is not None:
        out.print(f"mask: {cube.mask.mean():.0%} of the pixels")
    for sentence in cube.provenance:
        out.print(_plain(f"assumed: {sentence}"))
    for sentence in doubts(cube):
        out.print(f"[bold yellow]warning:[/] {_plain(sentence)}")


@command
def convert(
    cube: Annotated[Path, typer.Argument(help="a cube")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="NAME.bil, .bip, .bsq (ENVI), .tif or .zarr")
    ],
    modality: Annotated[
        str, typer.Option(help="bands: rgb, uv, vis, nir, full, all, a sum, or LOW-HIGH in nm")
    ] = "all",
    rows: Annotated[str, typer.Option(help="FIRST:END, END left out")] = ":",
    columns: Annotated[str, typer.Option(help="FIRST:END, END left out")] = ":",
    bin_bands: Annotated[int, typer.Option(help="mean of so many neighbouring bands", min=1)] = 1,
    bin_pixels: Annotated[int, typer.Option(help="mean of squares of so many", min=1)] = 1,
    reflectance: Annotated[
        bool, typer.Option("--reflectance", help="write reflectance, not the file's numbers")
    ] = False,
    white: Annotated[
        Path | None, typer.Option(help="cube of a white reference, to calibrate with")
    ] = None,
    dark: Annotated[Path | None, typer.Option(help="cube of a dark reference")] = None,
    white_region: Annotated[
        str,
        typer.Option(
            help="instead of --white, where CUBE shows it: ROW:ROW,COLUMN:COLUMN, or a label image,"
            " with ,NUMBER for one of its regions"
        ),
    ] = "",
    dark_region: Annotated[str, typer.Option(help="the same, of what is dark")] = "",
    panel: Annotated[float, typer.Option(help="reflectance of the white reference, 0-1")] = 1.0,
    smooth: Annotated[
        int, typer.Option(help="bands in the window of a Savitzky-Golay filter", min=0)
    ] = 0,
    continuum: Annotated[
        bool, typer.Option("--continuum", help="divide spectra by their continuum")
    ] = False,
    index: Annotated[
        str, typer.Option(help="one band by a formula, e.g. '(R800 - R670) / (R800 + R670)'")
    ] = "",
    names: Names = "",
    wavelengths: Wavelengths = "",
    full_scale: FullScale = None,
    angle: Annotated[
        str,
        typer.Option(
            help="spectral angle in radians to the pixel ROW,COLUMN, or to each spectrum of a CSV"
        ),
    ] = "",
    vision: Vision = "",
    light: Light = "",
) -> None:
    """Write a cube, a part of it, or what is computed from it, as ENVI, TIFF or Zarr."""
    from napari_phenoscape.convert import Angles, Catches, Index, Measure, Part, References
    from napari_phenoscape.convert import convert as verb

    for name, file, region in (("white", white, white_region), ("dark", dark, dark_region)):
        if file is not None and region:
            raise OptionError(f"--{name} and --{name}-region were both given; choose one of them.")
    bright, shade = white or white_region, dark or dark_region
    if shade and not bright:
        raise OptionError("A dark reference was given without a white one; both are needed.")
    part = Part(
        _bands(modality),
        _range("--rows", rows),
        _range("--columns", columns),
        bin_bands=bin_bands,
        bin_pixels=bin_pixels,
        reflectance=reflectance,
        smooth=smooth,
        continuum=continuum,
    )
    eye, shining = _sight(vision, light)
    measures: list[Measure] = []
    if index:
        measures.append(Index(index))
    if angle:
        measures.append(Angles(_pixel(angle) or Path(angle)))
    if eye is not None:
        measures.append(Catches(eye, shining))
    if len(measures) > 1:
        raise OptionError(
            "More than one of --index, --angle and --vision was given; choose one of them."
        )
    written = _listen(
        verb(
            cube,
            output,
            part,
            references=References(bright, shade or None, panel) if bright else None,
            measure=measures[0] if measures else None,
            read_as=_read_as(names, wavelengths, full_scale),
        )
    )
    for path in written:
        out.print(f"wrote {path}", soft_wrap=True)


@command
def spectra(
    cubes: Annotated[list[Path], typer.Argument(help="one cube or several")],
    output: Annotated[Path, typer.Option("--output", "-o", help="CSV")] = Path("spectra.csv"),
    regions: Annotated[
        Path | None, typer.Option(help="label image: a spectrum for each number in it")
    ] = None,
    pixel: Annotated[
        list[str], typer.Option(help="ROW,COLUMN, from 0; repeatable; instead of regions")
    ] = [],  # noqa: B006
    mean: Annotated[
        bool, typer.Option("--mean", help="add the mean of them all, and the deviation between")
    ] = False,
    vision: Vision = "",
    light: Light = "",
    names: Names = "",
    wavelengths: Wavelengths = "",
    full_scale: FullScale = None,
) -> None:
    """Write spectra of pixels, regions, or the mask, in per cent by nm, as R's pavo reads them."""
    from napari_phenoscape.spectra import spectra as verb

    pixels = []
    for text in pixel:
        place = _pixel(text)
        if place is None:
            raise OptionError(f"--pixel {text}: 'ROW,COLUMN' was expected, e.g. 10,25.")
        pixels.append(place)
    read_as = _read_as(names, wavelengths, full_scale)
    eye, shining = _sight(vision, light)
    written = verb(
        cubes, output, regions, pixels, mean=mean, read_as=read_as, eye=eye, light=shining
    )
    for path in _listen(written):
        out.print(f"wrote {path}", soft_wrap=True)


@command
def picture(
    cube: Annotated[Path, typer.Argument(help="a cube")],
    output: Annotated[Path, typer.Option("--output", "-o", help="PNG")] = Path("picture.png"),
    show: Annotated[
        str,
        typer.Option(
            help="'colours', 'true colour', 'colour infrared', 'UV false colour', "
            "'UV yellow-blue', 'principal components'; a band by name or nm; or three, "
            "e.g. 640,550,460"
        ),
    ] = "colours",
    names: Names = "",
    wavelengths: Wavelengths = "",
    full_scale: FullScale = None,
) -> None:
    """Write a cube as a picture for the eye."""
    from napari_phenoscape.picture import write_picture

    read_as = _read_as(names, wavelengths, full_scale)
    out.print(f"picture in {_listen(write_picture(cube, output, show, read_as))}", soft_wrap=True)


@command
def samples(
    directory: Annotated[Path, typer.Argument(help="a new or empty folder")],
    seed: Annotated[int, typer.Option(help="of everything that is drawn")] = 0,
) -> None:
    """Draw specimens with a known answer, with experiment files that train on them."""
    from napari_phenoscape.samples import write_samples

    out.print(f"samples in {_listen(write_samples(directory, seed=seed))}")


@command
def preview(
    experiment: Yaml,
    output: Annotated[Path, typer.Option("--output", "-o", help="PNG")] = Path("views.png"),
    specimen: Annotated[int, typer.Option(help="its number, from 0")] = 0,
    seed: Annotated[int | None, typer.Option(help="instead of the experiment's")] = None,
    step: Annotated[int, typer.Option(help="the training step whose views are wanted")] = 0,
    only: Annotated[str, typer.Option(help="one augmentation alone, in every view")] = "",
    show: Annotated[
        str, typer.Option(help="'colours', 'UV false colour', or the name of a band")
    ] = "colours",
    change: Set = [],  # noqa: B006
) -> None:
    """Write a sheet of augmented views of one specimen."""
    from napari_phenoscape.preview import preview as verb

    asked = _experiment(experiment, change)
    path = _listen(verb(asked, output, specimen, seed=seed, step=step, only=only, show=show))
    out.print(f"views in {path}")


@command
def prepare(experiment: Yaml, change: Set = []) -> None:  # noqa: B006
    """Read and scale the specimens and keep them on disk, where training finds them."""
    from napari_phenoscape.store.disk import store_words
    from napari_phenoscape.training.specimens import specimens_of

    _, crops = _listen(specimens_of(_experiment(experiment, change), keep=True))
    assert crops.folder is not None  # as was asked
    out.print(_plain(store_words(crops.folder)), soft_wrap=True)


@command
def train(
    experiment: Annotated[Path, typer.Argument(help="experiment.yaml, or a run to go on with")],
    change: Set = [],  # noqa: B006
    devices: Devices = None,
    nodes: Nodes = None,
    events: Annotated[
        bool, typer.Option("--events", help="print every event as a line of JSON, for programs")
    ] = False,
) -> None:
    """Train SimCLR; a run directory instead of a file goes on where it ended."""
    from napari_phenoscape.run import EXPERIMENT
    from napari_phenoscape.training import train as verb

    run = experiment if experiment.is_dir() else None
    path = experiment / EXPERIMENT if run else experiment
    working = verb(_experiment(path, [*change, *_places(devices, nodes)]), run)
    if events:
        _print_events(working)
    else:
        out.print(f"run {_listen(working)}", soft_wrap=True)


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
) -> None:
    """Make a run and write the batch script that trains it on a Slurm cluster."""
    from napari_phenoscape.slurm import write_batch_script

    given = _experiment(experiment, [*change, *_places(devices, nodes)])
    out.print(f"sbatch {write_batch_script(given, time, more)}", soft_wrap=True)


@command
def embed(
    run: Run,
    collection: Annotated[
        Path | None, typer.Option(help="experiment.yaml with other specimens")
    ] = None,
    untrained: Annotated[
        bool, typer.Option("--untrained", help="the control: weights before training")
    ] = False,
) -> None:
    """Embed the specimens with a trained run; Parquet and CSV into the run."""
    from napari_phenoscape.embedding import embed as verb

    source = Experiment.read(collection).collection if collection else None
    for space, embeddings in _listen(verb(run, source, untrained=untrained)).items():
        number, dimensions = embeddings.x.shape
        out.print(f"{space}: {number} specimens, {dimensions} numbers each")


@command
def export(
    run: Run,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="a new folder; RUN/encoder when not given")
    ] = None,
) -> None:
    """Write the trained encoder by itself, for Python and for any program with torch."""
    from napari_phenoscape.export import export as verb

    out.print(f"encoder in {_listen(verb(run, output or run / 'encoder'))}", soft_wrap=True)


@command
def cluster(
    run: Run,
    method: Annotated[str, typer.Option(help="kmeans or hdbscan")] = "kmeans",
    clusters: Annotated[int, typer.Option(help="how many, for kmeans", min=2)] = 4,
    min_size: Annotated[int, typer.Option(help="of a cluster, for hdbscan", min=2)] = 5,
    chart: Annotated[str, typer.Option("--map", help="of the figure: pca, umap or tsne")] = "pca",
    space: Annotated[str, typer.Option(help="a modality, or joint")] = "",
    untrained: Annotated[bool, typer.Option("--untrained", help="of the control")] = False,
) -> None:
    """Cluster the embeddings of a run; a table and a figure into the run."""
    from napari_phenoscape.clustering import HDBSCAN, AnyClustering, KMeans
    from napari_phenoscape.reduction import PCA, TSNE, UMAP, AnyReduction
    from napari_phenoscape.report import cluster_run

    methods: dict[str, AnyClustering] = {
        "kmeans": KMeans(clusters=clusters),
        "hdbscan": HDBSCAN(min_size=min_size),
    }
    charts: dict[str, AnyReduction] = {"pca": PCA(), "umap": UMAP(), "tsne": TSNE()}
    for given, known in ((method, methods), (chart, charts)):
        if given not in known:
            raise OptionError(f"'{given}' is unknown; choose from {', '.join(known)}.")
    found = _listen(
        cluster_run(run, methods[method], charts[chart], space=space, untrained=untrained)
    )
    for number, name in found.names.items():
        out.print(f"{name}: {int((found.labels == number).sum())} specimens")


@command
def evaluate(
    runs: Annotated[list[Path], typer.Argument(help="runs of the same specimens")],
    label: Annotated[str, typer.Option(help="metadata column to compare with")] = "",
    within: Annotated[str, typer.Option(help="compare inside each level of this column")] = "",
    groups: Annotated[
        str, typer.Option(help="column of what must not be on both sides, e.g. the individual")
    ] = "",
) -> None:
    """Compare embeddings with a label, beside the controls; a table and a figure into the run."""
    from rich.table import Table

    from napari_phenoscape.evaluation.worth import evaluate as verb

    found = _listen(verb(runs, label, within=within, groups=groups))
    table = Table("measure")
    for column in ("embedding", "value", "95 % interval"):
        table.add_column(column, no_wrap=True)
    for measure in dict.fromkeys(name for worth in found for name in worth.scores):
        measured = [(worth.embedding, worth.scores.get(measure)) for worth in found]
        first = measure
        for embedding, score in measured:
            if score is not None:
                table.add_row(first, embedding, *score.words())
                first = ""
        table.add_section()
    out.print(table)


@command
def demo(
    directory: Annotated[Path, typer.Argument(help="a folder for all of it")] = Path("demo"),
    seed: Annotated[int, typer.Option(help="of weights and views")] = 0,
    steps: Annotated[int, typer.Option(help="of each training", min=1)] = 120,
    viewer: Annotated[bool, typer.Option(help="open the result in napari")] = True,
) -> None:
    """Samples, training, embedding and clusters, with and without UV, in one go."""
    from napari_phenoscape.demo import demo as verb
    from napari_phenoscape.demo import has_display, show

    result = _listen(verb(directory, seed=seed, steps=steps))
    out.print(result.table)
    out.print(f"figure {result.figure}", soft_wrap=True)
    if viewer and has_display():
        show(result.runs["RGB + UV"])


def _experiment(path: Path, change: list[str]) -> Experiment:
    experiment = Experiment.read(path)
    if not change:
        return experiment
    given = experiment.model_dump(mode="json")
    for text in change:
        name, equals, value = text.partition("=")
        if not equals:
            raise OptionError(f"--set {text}: 'name=value' was expected, e.g. schedule.steps=500.")
        *parents, last = name.split(".")
        inner: Any = given
        for parent in parents:
            inner = inner.get(parent) if isinstance(inner, dict) else None
        if not isinstance(inner, dict):
            raise OptionError(f"--set {text}: the experiment has no '{'.'.join(parents)}'.")
        inner[last] = yaml.safe_load(value)
    return Experiment.parse(given, "--set").anchored(Path.cwd())


def _bands(text: str) -> Modality | str:
    """A modality by name, or the bands of a range such as ``400-700``."""
    if match := re.fullmatch(r"([\d.]+)-([\d.]+)", text):
        return Modality(name=text, range_nm=(float(match[1]), float(match[2])))
    return text


def _read_as(names: str, wavelengths: str, full_scale: float | None) -> Interpretation:
    return Interpretation.parse(
        {
            "names": [name.strip() for name in names.split(",") if name.strip()],
            "wavelengths_nm": [text for text in wavelengths.split(",") if text.strip()],
            "full_scale": full_scale,
        },
        "--names, --wavelengths, --full-scale:",
    )


def _sight(vision: str, light: str) -> tuple[Eye | None, Illuminant | None]:
    """The eye of ``--vision``, and the light of ``--illuminant``."""
    from napari_phenoscape.vision import illuminant, read_eye

    if light and not vision:
        raise OptionError(
            f"--illuminant {light} was given without --vision, the eye that sees it; give both."
        )
    return read_eye(vision) if vision else None, illuminant(light) if light else None


def _pixel(text: str) -> tuple[int, int] | None:
    """Row and column of ``ROW,COLUMN``, None when it says something else."""
    match = re.fullmatch(r"(\d+),(\d+)", text)
    return (int(match[1]), int(match[2])) if match else None


def _range(name: str, text: str) -> slice:
    match = re.fullmatch(r"(\d*):(\d*)", text)
    if match is None:
        raise OptionError(f"{name} {text}: 'FIRST:END' was expected, e.g. 0:100 or 50:.")
    return slice(*(int(end) if end else None for end in match.groups()))


def _places(devices: int | None, nodes: int | None) -> list[str]:
    """``--devices`` and ``--nodes`` as ``--set`` would say them."""
    given = {"devices": devices, "nodes": nodes}
    return [f"runtime.{name}={number}" for name, number in given.items() if number]


@contextmanager
def _stop_signals(say: Callable[[str], object]) -> Iterator[list[int]]:
    """A list that holds the signal that asked to stop: Ctrl-C, or SIGTERM, which clusters send.

    Between two events a verb can save; in the middle of one it could not.
    """
    stopping: list[int] = []

    def stop(number: int, _frame: object) -> None:
        if stopping:  # asked twice: at once, without saving
            raise KeyboardInterrupt
        stopping.append(number)
        say("stopping; again to stop without saving")

    handlers = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopping
    finally:
        for number, before in handlers.items():
            signal.signal(number, before)


def _print_events(verb: Generator[Event, None, object]) -> None:
    """Run a verb to its end and print its events, one line of JSON each; `Failed` on every rank.

    When nobody reads them any more, the verb goes on.
    """
    heard = True

    def line(event: Event) -> None:
        nonlocal heard
        try:
            if heard:
                sys.stdout.write(event_line(event) + "\n")
                sys.stdout.flush()
        except OSError:
            heard = False
            # what waits in the buffer must go somewhere when Python ends
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    with _stop_signals(err.print) as stopping:
        try:
            while not stopping:
                event = next(verb)
                if rank() == 0:
                    line(event)
        except StopIteration:
            return
        except PhenoscapeError as error:
            line(Failed(str(error)))
            raise
        finally:
            verb.close()
    raise KeyboardInterrupt


def _listen(verb: Generator[Event, None, T]) -> T:
    """Run a verb to its end with a progress bar; what it returns.

    Ctrl-C (or SIGTERM) closes the verb after the running batch, and raises KeyboardInterrupt.
    """
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with (
        Bar(*columns, TimeRemainingColumn(), console=err, transient=True) as bar,
        _stop_signals(bar.console.print) as stopping,
    ):
        tasks: dict[str, Any] = {}

        def show(what: str, done: int, total: int, detail: str = "") -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done, total=total, description=what + detail)

        try:
            while not stopping:
                match next(verb):
                    case Progress(what, done, total):
                        show(what, done, total)
                    case Notice(message):
                        bar.console.print(f"[yellow]note:[/] {_plain(message)}", soft_wrap=True)
                    case Started(_, specimens, step, steps, device):
                        bar.console.print(f"training on {specimens} specimens, {device}")
                        show("training", step, steps)
                    case Step(step=step, steps=steps, loss=loss, terms=terms):
                        parts = [f"{name} {term:.3f}" for name, term in terms.items()]
                        several = f" ({', '.join(parts)})" if len(parts) > 1 else ""
                        show("training", step, steps, f"  loss {loss:.3f}{several}")
                    case Health(step, _, verdict) if verdict:
                        bar.console.print(f"[yellow]step {step}:[/] {_plain(verdict)}")
                    case Finished(stopped=True):
                        stopping.append(signal.SIGTERM)  # elsewhere, e.g. on another rank
                    case Saved() | Finished() | Health():
                        pass
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        finally:
            verb.close()
    raise KeyboardInterrupt


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)


if __name__ == "__main__":
    app()
