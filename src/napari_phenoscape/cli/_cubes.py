"""Verbs on cubes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.text import Text

from napari_phenoscape._atomic import check_outputs
from napari_phenoscape._remote import address, located
from napari_phenoscape.cli._answer import Answer, Made, wrote
from napari_phenoscape.cli._console import YAML, Overwrite, command, listen
from napari_phenoscape.cli._listing import listed
from napari_phenoscape.cli._read_as import (
    Axis,
    FullScale,
    IgnoreValue,
    Names,
    Wavelengths,
    read_as_of,
)
from napari_phenoscape.errors import CubeError, OptionError
from napari_phenoscape.events import agreement_words

if TYPE_CHECKING:
    from napari_phenoscape.cubes import Cube, Modality
    from napari_phenoscape.specimens import Source
    from napari_phenoscape.spectra import Eye, Illuminant, Measure, References

#: Names of bands that are listed, at most; --json has all.
MOST_NAMES = 16

Vision = Annotated[
    str,
    typer.Option(
        help="what an eye sees: human, bird-uv, bird-v, honeybee, or a CSV of sensitivities, "
        "pigments, or a camera's model"
    ),
]
Light = Annotated[
    str,
    typer.Option(
        "--illuminant", help="of --vision: d65 (default), equal-energy, equal-quanta, or a CSV"
    ),
]


@command
def info(
    path: Annotated[
        Path,
        typer.Argument(
            help="a cube, a run directory, an experiment.yaml, or a folder of specimens, of runs "
            "or of prepared crops"
        ),
    ],
    names: Names = "",
    wavelengths: Wavelengths = "",
    axis: Axis = None,
    full_scale: FullScale = None,
    ignore_value: IgnoreValue = None,
) -> Answer:
    """Say what a cube, a run or a folder holds, and what was assumed or left out, and why."""
    from napari_phenoscape.cubes import open_cube
    from napari_phenoscape.specimens import source_at, store_words, stores_at
    from napari_phenoscape.training import CHECKPOINTS, EVENTS, EXPERIMENT, Experiment, run_near

    if stores := stores_at(path := located(path)):
        words = [store_words(store) for store in stores]
        return Answer({"prepared": stores, "words": words}, words)
    # an experiment alone may lie beside the specimens
    if (path / CHECKPOINTS).is_dir() or all((path / own).exists() for own in (EXPERIMENT, EVENTS)):
        return _of_run(path)
    if path.is_dir() and (run := run_near(path)) and run.parent == path.absolute():
        return listed(path)
    if path.suffix in YAML:
        return _of_collection(Experiment.read(path).collection)
    read_as = read_as_of(names, wavelengths, axis, full_scale, ignore_value=ignore_value)
    try:
        cube = open_cube(path, read_as)
    except CubeError:
        if not path.is_dir():
            raise
        return _of_collection(listen(source_at(path, {"read_as": read_as})))
    return _of_cube(cube)


@command
def convert(
    cube: Annotated[Path, typer.Argument(help="a cube")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="NAME.bil, .bip, .bsq (ENVI), .tif or .zarr")
    ],
    modality: Annotated[
        str,
        typer.Option(help="rgb, uv, vis, nir, swir, full, all, a sum, or LOW-HIGH in nm"),
    ] = "all",
    rows: Annotated[str, typer.Option(help="FIRST:END, without END itself")] = ":",
    columns: Annotated[str, typer.Option(help="FIRST:END, without END itself")] = ":",
    bin_bands: Annotated[int, typer.Option(help="average this many neighbouring bands", min=1)] = 1,
    bin_pixels: Annotated[int, typer.Option(help="average squares of this side", min=1)] = 1,
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
            help="instead of --white, where CUBE shows it: ROW:ROW,COLUMN:COLUMN; or a label image,"
            " with ,NUMBER for one of its regions; or auto: it is found"
        ),
    ] = "",
    dark_region: Annotated[str, typer.Option(help="the same for a dark reference")] = "",
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
    axis: Axis = None,
    full_scale: FullScale = None,
    ignore_value: IgnoreValue = None,
    angle: Annotated[
        str,
        typer.Option(
            help="spectral angle in radians to the pixel ROW,COLUMN, or to each spectrum of a CSV"
        ),
    ] = "",
    vision: Vision = "",
    light: Light = "",
    overwrite: Overwrite = False,
) -> Made:
    """Save a cube, a part of it, or something computed from it, as ENVI, TIFF or Zarr."""
    from napari_phenoscape.spectra import Part, convert as verb

    references = _references((white, white_region), (dark, dark_region), panel)
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
    written = listen(
        verb(
            cube,
            output,
            part,
            references=references,
            measure=_measure(index, angle, *_sight(vision, light, output)),
            read_as=read_as_of(names, wavelengths, axis, full_scale, ignore_value=ignore_value),
            overwrite=overwrite,
        )
    )
    return wrote(written)


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
        bool, typer.Option("--mean", help="also write the mean of all, and their deviation")
    ] = False,
    vision: Vision = "",
    light: Light = "",
    names: Names = "",
    wavelengths: Wavelengths = "",
    axis: Axis = None,
    full_scale: FullScale = None,
    ignore_value: IgnoreValue = None,
    overwrite: Overwrite = False,
) -> Made:
    """Write spectra of pixels, regions or the mask as a table (per cent by nm, as for pavo)."""
    from napari_phenoscape.spectra import spectra as verb

    pixels = []
    for text in pixel:
        if (place := _pixel(text)) is None:
            raise OptionError(f"--pixel {text}: 'ROW,COLUMN' was expected, e.g. 10,25.")
        pixels.append(place)
    read_as = read_as_of(names, wavelengths, axis, full_scale, ignore_value=ignore_value)
    eye, shining = _sight(vision, light, output)
    written = verb(
        cubes,
        output,
        regions,
        pixels,
        mean=mean,
        read_as=read_as,
        eye=eye,
        light=shining,
        overwrite=overwrite,
    )
    return wrote(listen(written))


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
    axis: Axis = None,
    full_scale: FullScale = None,
    ignore_value: IgnoreValue = None,
    overwrite: Overwrite = False,
) -> Made:
    """Write a cube as a picture to look at."""
    from napari_phenoscape.spectra import write_picture

    read_as = read_as_of(names, wavelengths, axis, full_scale, ignore_value=ignore_value)
    written = listen(write_picture(cube, output, show, read_as, overwrite=overwrite))
    return wrote([written], "picture in")


def _of_cube(cube: Cube) -> Answer:
    from napari_phenoscape.cubes import doubts

    bands, rows, columns = cube.shape
    nm, doubted = cube.bands.wavelengths_nm, doubts(cube)
    facts: dict[str, Any] = {
        "cube": address(cube.path),
        "rows": rows,
        "columns": columns,
        "dtype": cube.array.dtype.name,
        "masked": None if cube.mask is None else cube.mask.mean(),
        "assumed": cube.provenance,
        "warnings": doubted,
        "bands": [
            {"band": number, "name": band.name, "wavelength_nm": band.wavelength_nm}
            for number, band in enumerate(cube.bands)
        ],
    }
    words: list[str | Text] = [
        f"{address(cube.path)}: {bands} bands, {rows} rows, {columns} columns, {cube.array.dtype}",
        "bands: " + ", ".join(_few(cube.bands.names))
        if nm is None
        else f"{nm.min():.2f} to {nm.max():.2f} nm",
    ]
    if cube.mask is not None:
        words.append(f"mask: {cube.mask.mean():.0%} of the pixels")
    words += [f"assumed: {sentence}" for sentence in cube.provenance]
    words += [Text.assemble(("warning:", "bold yellow"), " ", one) for one in doubted]
    return Answer(facts, words, "bands")


def _few(names: Sequence[str]) -> Sequence[str]:
    """Names of bands, of more than a camera's filters the first and the last."""
    return names if len(names) <= MOST_NAMES else [*names[:3], "...", names[-1]]


def _of_run(run: Path) -> Answer:
    from napari_phenoscape.training import read_experiment, read_log

    experiment, log = read_experiment(run), read_log(run)
    facts = {
        "run": run,
        "steps": log.steps,
        "of": experiment.schedule.steps,
        "loss": log.last.loss if log.last else None,
        "agreement": log.last.agreement if log.last else None,
        "notices": log.notices,
        "experiment": experiment.model_dump(mode="json"),
    }
    words = [f"run {run.name}: {log.steps} of {experiment.schedule.steps} steps", *log.notices]
    if log.last:
        words.append(f"last loss {log.last.loss:.3f}; {agreement_words(log.last, [log.last])}")
    return Answer(facts, [*words, experiment.to_yaml()])


def _of_collection(source: Source) -> Answer:
    from napari_phenoscape.specimens import collect

    collection = listen(collect(source))
    known = {str(name): collection.metadata[name].tolist() for name in collection.metadata}
    facts = {
        "collection": address(source.path),
        "assumed": collection.assumed,
        "left_out": [
            {"path": address(one.path), "reason": one.reason, "lacking": one.only_lacks}
            for one in collection.skipped
        ],
        "specimens": [
            {"specimen": one.id, "path": address(one.path)}
            | {_beside_ours(name): known[name][row] for name in known}
            for row, one in enumerate(collection.specimens)
        ],
    }
    number, columns = len(collection.specimens), ", ".join(map(str, known)) or "none"
    words = [f"{address(source.path)}: {number} specimens; metadata: {columns}"]
    words += [f"assumed: {sentence}" for sentence in collection.assumed]
    for one in collection.skipped:
        words.append(
            f"{'note' if one.only_lacks else 'left out'}: {address(one.path)}: {one.reason}"
        )
    return Answer(facts, words, "specimens")


def _beside_ours(name: str) -> str:
    """A column of the metadata; one that bears the name of ours as tables of embeddings have it."""
    return f"metadata.{name}" if name in ("specimen", "path") else name


def _bands(text: str) -> Modality | str:
    """A modality by name, or the bands of a range such as ``400-700``."""
    from napari_phenoscape.cubes import Modality

    if match := re.fullmatch(r"([\d.]+)-([\d.]+)", text):
        return Modality.parse({"name": text, "range_nm": match.groups()})
    return text


def _references(
    white: tuple[Path | None, str], dark: tuple[Path | None, str], panel: float
) -> References | None:
    """What calibrates: of white and of dark a cube, or a region in words."""
    from napari_phenoscape.spectra import references_of

    for name, (file, region) in (("white", white), ("dark", dark)):
        if file is not None and region:
            raise OptionError(f"--{name} and --{name}-region were both given; choose one of them.")
    bright, shade = (file or region for file, region in (white, dark))
    return references_of(bright, shade, panel)


def _measure(index: str, angle: str, eye: Eye | None, light: Illuminant | None) -> Measure | None:
    """What is written in place of the cube."""
    from napari_phenoscape.spectra import Angles, Catches, Index

    measures: list[Measure] = [Index(index)] if index else []
    measures += [Angles(_pixel(angle) or Path(angle))] if angle else []
    measures += [Catches(eye, light)] if eye is not None else []
    if len(measures) > 1:
        raise OptionError(
            "More than one of --index, --angle and --vision was given; choose one of them."
        )
    return measures[0] if measures else None


def _sight(vision: str, light: str, output: Path) -> tuple[Eye | None, Illuminant | None]:
    """The eye of ``--vision`` and the light of ``--illuminant``; their tables stay."""
    from napari_phenoscape.spectra import illuminant, read_eye

    if light and not vision:
        raise OptionError(
            f"--illuminant {light} was given without --vision, the eye that sees it; give both."
        )
    eye = read_eye(vision) if vision else None
    shining = illuminant(light) if light else None
    check_outputs([output], [Path(table) for table in (vision, light) if table], overwrite=True)
    return eye, shining


def _pixel(text: str) -> tuple[int, int] | None:
    """Row and column of ``ROW,COLUMN``, None when it says something else."""
    match = re.fullmatch(r"(\d+),(\d+)", text)
    return (int(match[1]), int(match[2])) if match else None


def _range(name: str, text: str) -> slice:
    match = re.fullmatch(r"(\d*):(\d*)", text)
    if match is None:
        raise OptionError(f"{name} {text}: 'FIRST:END' was expected, e.g. 0:100 or 50:.")
    return slice(*(int(end) if end else None for end in match.groups()))
