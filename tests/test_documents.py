"""Every bash, YAML and Python block of the pages runs as it is written, page by page, in order.

Specimens are few and small, a training has three steps of a small net, a map by UMAP is one by PCA,
an explanation hides few bands and places, and an evaluation draws no figure: what is cut is what a
command costs, not its words.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import tifffile
import yaml
from PIL import Image
from typer.testing import CliRunner

from napari_phenoscape.cli._console import app
from napari_phenoscape.cubes import Cube, binned, cropped, open_cube, write_cube
from napari_phenoscape.events import result
from napari_phenoscape.samples import write_samples
from napari_phenoscape.samples._specimens import individual, photograph
from napari_phenoscape.training import (
    PCA,
    UMAP,
    Experiment,
    build_model,
    preview,
    specimens_of,
    train,
)
from tests.cubes.test_raw import BLACK, WHITE, saved

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

#: What begins so is not run here, and why.
NOT_RUN = {
    "pip install": "it fetches from an index",
    "napari": "it opens a window; tests/widgets works in one",
    "make ": "it tests, draws or measures the project; test_house.py knows its targets",
    "python ": "it measures, for minutes, in a clone; the script is looked for",
    "PHENOSCAPE_DATA": "the same",
    "MALLOC_ARENA_MAX": "the same",
    "xvfb-run": "the same",
    "torchrun": "several processes; tests/training/test_runtime.py starts them",
    "phenoscape train experiment.yaml --devices": "the same",
    "from napari_phenoscape import Experiment, launch": "the same",
    "phenoscape embed runs/RUN --devices": "the same",
    "phenoscape evaluate runs/RUN --label species --devices": "the same",
    "srun": "a cluster",
    "cd ": "the folder of a page's commands stays; a reader's has the same files",
    "cp ": "the same",
    "phenoscape find butterflies": "a pretrained net, for minutes; test_ground.py runs it",
    "phenoscape look butterflies": "the same",
    "phenoscape demo": "two trainings of minutes; test_pipeline.py runs it",
    "phenoscape info https://": "a server; tests/test_remote.py is one",
    "phenoscape look s3://": "the same",
    "phenoscape spectra https://": "the same",
    "import scanpy": "a program of others; tests/embeddings/test_table_export.py opens the file",
}
#: A package of its own, which test_extending.py installs and uses.
ELSEWHERE = {"extending.md"}

#: The longest page, but for those that are looked things up in.
MOST_WORDS = 1500
REFERENCE = {"configuration.md", "command-line.md", "api.md"}


class Block(NamedTuple):
    """What stands between two fences of a page, and where."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def place(self) -> str:
        return f"{self.page.name}, line {self.line}:\n{self.text}"


def blocks(page: Path) -> list[Block]:
    text = page.read_text("utf-8")
    return [
        Block(page, text.count("\n", 0, found.start()) + 1, found[1], found[2])
        for found in re.finditer(r"^```(\w+)\n(.*?)^```", text, re.M | re.S)
        if found[1] in ("bash", "yaml", "python")
    ]


def lines(block: Block) -> list[str]:
    """The commands of a shell's block."""
    return [line for line in block.text.replace("\\\n", " ").splitlines() if line.strip()]


def not_run(text: str) -> bool:
    return any(line.startswith(tuple(NOT_RUN)) for line in text.splitlines())


# ------------------------------------------------------------------------- what a reader has


def copied(source: Path, folder: Path) -> None:
    """Whole; large files, which no command writes into, are linked."""

    def copy(one: str, other: str) -> None:
        large = Path(one).stat().st_size > 100_000
        (os.link if large else shutil.copy2)(one, other)

    shutil.copytree(source, folder, copy_function=copy, dirs_exist_ok=True)


@pytest.fixture(scope="module")
def small() -> Iterator[None]:
    """Samples, trainings, maps and intervals of the least size."""

    def cut(experiment: Experiment) -> Experiment:
        of = experiment.schedule
        schedule = {
            "steps": min(of.steps, 3),
            "epochs": 0,
            "batch_size": min(of.batch_size, 8),
        }
        encoder = experiment.encoder
        if encoder.backbone == "resnet18":
            encoder = encoder.model_copy(update={"backbone": "shufflenet_v2_x0_5"})
        return experiment.model_copy(
            update={
                "image_size": min(experiment.image_size, 32),
                "encoder": encoder,
                "schedule": of.model_copy(update=schedule),
                "runtime": experiment.runtime.model_copy(update={"device": "cpu"}),
            }
        )

    from napari_phenoscape.analysis.explanation import _occlusion, _where
    from napari_phenoscape.cli import _runs

    few = partial(_where.cells_of, number=8)
    windows_of = _occlusion.windows_of
    changed = _runs.changed
    read = Experiment.read
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_runs, "changed", lambda *given: cut(changed(*given)))
        patch.setattr(Experiment, "read", lambda path: cut(read(path)))
        patch.setattr(UMAP, "map", lambda self, x, seed: PCA().map(x, seed))
        patch.setattr(_where, "cells_of", few)
        patch.setattr(_occlusion, "windows_of", lambda b, of, nm: windows_of(b, of, 10 * nm))
        patch.setattr("napari_phenoscape.embeddings._embed_all.offline_net", lambda: None)
        patch.setattr("napari_phenoscape.training._proposal.offline_net", lambda: None)
        patch.setattr(
            "napari_phenoscape.analysis.evaluation._evaluate.comparison_figure", lambda *_: None
        )
        for name in ("HALVINGS", "PARTS"):
            patch.setattr(f"napari_phenoscape.analysis.evaluation._interval.{name}", 4)
        for name, value in {"specimens": 32, "size": 32}.items():
            patch.setitem(write_samples.__kwdefaults__, name, value)
        yield


@pytest.fixture(scope="module")
def project(small: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as a reader may have it: photographs, a drawer, experiments and runs."""
    folder = tmp_path_factory.mktemp("project")
    samples = result(write_samples(folder / "samples"))
    for path in samples.iterdir():
        shutil.move(path, folder / {"multispectral": "moths"}.get(path.name, path.name))
    samples.rmdir()
    table = pd.read_csv(folder / "moths" / "metadata.csv")
    table["lab"] = np.arange(len(table)) // 2 % 2
    table["split"] = np.where(table.index < 24, "train", "test")
    table.to_csv(folder / "moths" / "metadata.csv", index=False)
    for copy in ("photographs", "archive/moths"):
        copied(folder / "moths", folder / copy)
    shutil.copy(next((folder / "moths").rglob("*.tif")), folder / "moth.tif")
    given = {
        "name": "moths",
        "modalities": ["rgb", "uv"],
        "grouping": {"method": {"kind": "kmeans", "clusters": 4}},
    }
    scan = {"path": "drawer.bil", "regions": "drawer_regions.tif"}
    scan |= {"metadata": "drawer_metadata.csv", "kind": "drawer"}
    files: dict[str, dict[str, Any]] = {
        "experiment": {"collection": {"kind": "folder", "path": "moths"}},
        "others": {"collection": {"kind": "folder", "path": "photographs"}},
        "photographs": {"collection": {"kind": "folder", "path": "rgb"}},
        "scan": {"collection": scan, "modalities": ["vis", "uv"], "method": "instant"},
    }
    for name, own in files.items():
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(given | own), "utf-8")
    dated = [f"2026-11-24_{name}" for name in ("scan", "rgb-moths", "uv-moths", "moths")]
    for name, names in {"scan": dated[:1], "experiment": ["rgb", "uv", "both", *dated[1:]]}.items():
        run = result(train(Experiment.read(folder / f"{name}.yaml")))
        succeed("embed", run)
        for space in ("uv", "joint"):
            succeed("cluster", run, "--space", space)
        for copy in names:
            copied(run, folder / "runs" / copy)
        shutil.rmtree(run)
    return folder


def succeed(*words: object) -> None:
    end = CliRunner().invoke(app, [str(word) for word in words])
    assert end.exit_code == 0, end.output


def labelled_cells(folder: Path) -> None:
    """As the data of Zheng et al. are: pictures, masks beside them, a table of classes."""
    rng = np.random.default_rng(0)
    (folder / "Dataset 1").mkdir()
    rows, columns = np.indices((40, 40)) - 20
    for number in range(1, 25):
        mask = np.hypot(rows, columns) < 12 + number % 3
        cell = rng.normal(120, 20, (40, 40, 3)).clip(0, 255)
        cell[..., number % 3] /= 3  # another stain
        path = folder / "Dataset 1" / f"{number:03d}.bmp"
        Image.fromarray(np.where(mask[..., None], cell, 220).astype("u1")).save(path)
        Image.fromarray(255 * mask.astype("u1")).save(path.with_suffix(".png"))
    table = pd.DataFrame({"image ID": range(1, 25), "class label": np.arange(1, 25) % 3})
    table.to_csv(folder / "Class Labels of Dataset 1.csv", index=False)


def trees(folder: Path) -> None:
    """As the crowns of NEON are: small TIFFs of many bands, and their year."""
    rng = np.random.default_rng(0)
    place = folder / "110ac77ae89043898f618466359c2a2e"
    place.mkdir()
    names = [f"{tree}_{year}.tif" for year in (2018, 2019) for tree in range(12)]
    for number, name in enumerate(names):
        crown = rng.uniform(0.1, 0.6, (40, 5, 6)) * (1 + number // 12)
        tifffile.imwrite(place / name, crown.astype("f4"), photometric="minisblack")
    table = pd.DataFrame({"filename": names, "tile_year": [n[-8:-4] for n in names]})
    table.assign(taxonID=[int(n.split("_")[0]) % 4 for n in names]).to_csv(
        place / "annotations.csv", index=False
    )


def scans(folder: Path) -> None:
    """A scan in counts with its references, two leaves, and planes whose order no file says."""
    piece = cropped(open_cube(folder / "drawer.bil"), range(0, 408, 4), slice(0, 48), slice(0, 48))
    write(piece, folder / "scan.bil")
    for name, level in {"white": 9000, "dark": 100}.items():
        write(replace(piece, array=np.full(piece.shape, level, "<u2")), folder / f"{name}.bil")
    for name in ("leaf1", "leaf2"):
        write(piece, folder / f"{name}.bil")
        (folder / f"{name}.bil.hdr").rename(folder / f"{name}.hdr")
    numbers = np.asarray(piece.array[:])
    tifffile.imwrite(folder / "scan.tif", numbers, photometric="minisblack")
    np.save(folder / "scan.npy", numbers)


def write(cube: Cube, path: Path) -> None:
    result(write_cube(cube, path))


def with_a_standard(folder: Path) -> None:
    """Visible light and UV of specimens, with a grey square beside each."""
    shutil.rmtree(folder / "moths")
    (folder / "moths").mkdir()
    for number in range(3):
        planes, mask = photograph(individual(number, 0), 150)
        seen = np.full((6, 150, 220), 20000, np.uint16)
        seen[:, :, :150][:, mask] = planes[:, mask]
        seen[:, 60:90, 170:200] = 50000
        for part, of in (("vis", seen[:3]), ("uv", seen[3:])):
            name = folder / "moths" / f"moth{number}_{part}.tif"
            tifffile.imwrite(name, np.moveaxis(of, 0, -1), photometric="rgb")
    shutil.copy(folder / "moths" / "moth0_vis.tif", folder / "moth.tif")


def torn_apart(folder: Path) -> None:
    """Visible light and UV of a specimen in files of their own."""
    shutil.rmtree(folder / "moths")
    (folder / "moths").mkdir()
    (folder / "moth.tif").unlink()
    for number in range(3):
        planes, _ = photograph(individual(number, 0), 150)
        parts = {"vis": planes[:3], "uv": planes[3:], "nir": planes[:1]}
        for part, of in parts.items():
            pixels = np.ascontiguousarray(of.transpose(1, 2, 0).squeeze())
            light = "minisblack" if part == "nir" else "rgb"
            if part != "nir":
                tifffile.imwrite(
                    folder / "moths" / f"moth{number}_{part}.tif", pixels, photometric=light
                )
            if number == 0:
                tifffile.imwrite(folder / f"moth_{part}.tif", pixels, photometric=light)


def raw(folder: Path) -> None:
    """Raw files of a specimen in visible light and in UV, a grey card on the right, their list."""
    planes, mask = photograph(individual(0, 0), 500)
    seen = np.full((6, 600, 2200), 0.35)
    seen[:, 50:550, 300:800][:, mask] = planes[:, mask] / 65535
    seen[:, 30:100, 1990:2070] = 0.2
    seen[3:] = np.roll(seen[3:], (4, -7), axis=(1, 2))
    seen += np.random.default_rng(0).normal(0, 0.004, seen.shape)
    numbers = (BLACK + (WHITE - BLACK) * seen.clip(0, 1)).astype(np.uint16)
    for part, (red, green, blue) in (("vis", numbers[:3]), ("uv", numbers[3:])):
        mosaic = green.copy()
        mosaic[::2, ::2], mosaic[1::2, 1::2] = red[::2, ::2], blue[1::2, 1::2]
        saved(folder / f"moth_{part}.dng", mosaic)
    (folder / "moth.mspec").write_text(
        "mspec calibrated image\nfiles=moth_vis.dng,moth_uv.dng\nimageType=RAW Photo\n"
        "slices=1,2,3,5,0,4\nlabels=visible:R,visible:G,visible:B,uv:R,uv:B\n"
        "refVals=20:812.345,20:801.012,20:710.012,20:90.112,20:59.012\nalignMethod=Auto-Align\n"
        "alignData=0:0:1,0:0:1,0:0:1,-7:4:1,-7:4:1\n"
    )


def named_by_pattern(folder: Path) -> None:
    """A mask beside each photograph, and a table of another name."""
    for path in sorted((folder / "photographs").rglob("*.tif")):
        mask = tifffile.imread(path)[..., 6] > 0
        Image.fromarray(255 * mask.astype("u1")).save(path.with_suffix(".png"))
    (folder / "photographs" / "metadata.csv").rename(folder / "photographs" / "who.csv")


def field(folder: Path) -> None:
    """Photographs, and masks in a folder of theirs."""
    (folder / "butterflies" / "masks").mkdir(parents=True)
    for path in sorted((folder / "rgb").glob("*.png"))[:4]:
        with Image.open(shutil.copy(path, folder / "butterflies")) as picture:
            mask = np.asarray(picture).max(axis=-1) > 0
        Image.fromarray(255 * mask.astype("u1")).save(folder / "butterflies" / "masks" / path.name)


def other_camera(folder: Path) -> None:
    """The drawer in a fourth of the bands."""
    write(binned(open_cube(folder / "drawer.bil"), 4), folder / "binned.bil")
    text = (folder / "scan.yaml").read_text("utf-8").replace("drawer.bil", "binned.bil")
    (folder / "other-camera.yaml").write_text(text, "utf-8")


def same_file(folder: Path) -> None:
    """The experiment of another page."""
    (text,) = (b.text for b in blocks(ROOT / "docs" / "see-at-once.md") if b.language == "yaml")
    (folder / "wbc.yaml").write_text(text, "utf-8")


def camera_model(folder: Path) -> None:
    """The last table of the page."""
    page = (ROOT / "docs" / "own-eye.md").read_text("utf-8")
    *_, table = re.findall(r"^```text\n(.*?)^```", page, re.M | re.S)
    (folder / "nikon-bird.csv").write_text(table, "utf-8")


#: What a reader of a page has besides the project.
BEFORE: dict[str, list[Callable[[Path], None]]] = {
    "batch-effects.md": [trees],
    "collections.md": [named_by_pattern],
    "spectra.md": [scans],
    "finding.md": [lambda folder: (folder / "drawer_regions.tif").unlink()],
    "field-photographs.md": [field],
    "hyperspectral.md": [other_camera],
    "opening-cubes.md": [scans],
    "own-eye.md": [camera_model],
    "writing-cubes.md": [scans],
    "photographs.md": [torn_apart, raw],
    "standards.md": [with_a_standard, raw],
    "pretrained.md": [labelled_cells, same_file],
    "real-data.md": [labelled_cells, trees],
    "see-at-once.md": [labelled_cells],
}


# ---------------------------------------------------------------------------- how a block runs


def meant(word: str) -> str:
    """A word of a command, with what `runs/RUN`, a run's date or a key stands for here."""
    if re.fullmatch(r"runs/\.prepared/[0-9a-f]{16}", word):
        (found,) = Path("runs/.prepared").glob("*/manifest.json")
        return str(found.parent)
    folder, _, name = word.rpartition("/")
    dated = re.fullmatch(r"\d{4}-\d\d-\d\d(_.*)", name)
    if not (dated or name in ("RUN", "OTHER")):
        return word
    found = Path(folder).glob(f"*{dated[1] if dated else ''}/experiment.yaml")
    newest = sorted(found, key=lambda path: path.stat().st_mtime_ns)
    return str(newest[-2 if name == "OTHER" else -1].parent)


def run_bash(block: Block, names: dict[str, Any]) -> None:
    for line in lines(block):
        words = shlex.split(re.sub(r"(^|\s)#.*", "", line))
        if not words or not_run(line):
            continue
        assert words[0] == "phenoscape", f"{block.place}\nnothing runs '{line}'"
        end = CliRunner().invoke(app, [meant(word) for word in words[1:]])
        assert end.exit_code == 0, f"{block.place}\n$ {line}\n{end.output}"


def run_yaml(block: Block, names: dict[str, Any]) -> None:
    """A whole experiment is a file for the commands below it; a part is one of the moths'.

    Its views are drawn, and the net is built that it speaks of.
    """
    given = yaml.safe_load(block.text)
    if "name" in given:
        for name in ("experiment", given["name"]):
            Path(f"{name}.yaml").write_text(block.text, "utf-8")
    whole = {"collection": {"kind": "folder", "path": "moths"}, **given}
    experiment = Experiment.parse(whole, block.place).anchored(Path.cwd())
    if "://" in block.text:  # a server; tests/test_remote.py is one
        return
    experiment = experiment.model_copy(update={"image_size": min(experiment.image_size, 32)})
    result(preview(experiment, Path(f"views-{block.line}.png"), 0))
    if experiment.method.trains and given.keys() & {"encoder", "fusion", "head"}:
        _, crops = result(specimens_of(experiment))
        build_model(experiment, crops.statistics, pretrained=False)


def run_python(block: Block, names: dict[str, Any]) -> None:
    if not not_run(block.text):
        exec(compile(block.text, f"{block.page.name}:{block.line}", "exec"), names)


RUN = {"bash": run_bash, "yaml": run_yaml, "python": run_python}


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if page.name not in ELSEWHERE and blocks(page)],
    ids=lambda page: page.name,
)
def test_every_block_of_a_page_runs_as_it_is_written(
    page: Path, project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied(project, tmp_path)
    monkeypatch.chdir(tmp_path)
    for prepare in BEFORE.get(page.name, []):
        prepare(tmp_path)
    names: dict[str, Any] = {}
    for block in blocks(page):
        RUN[block.language](block, names)


@pytest.mark.parametrize("beginning", NOT_RUN)
def test_what_is_not_run_is_on_a_page(beginning: str) -> None:
    every = [block for page in PAGES for block in blocks(page)]
    said = [line for b in every if b.language == "bash" for line in lines(b)]
    said += [line for b in every if b.language == "python" for line in b.text.splitlines()]
    assert any(line.startswith(beginning) for line in said)


def test_scripts_that_pages_name_are_there() -> None:
    text = "\n".join(page.read_text("utf-8") for page in PAGES)
    named = set(re.findall(r"\bpython (docs/\w+)\.py", text))
    named |= {name.replace(".", "/") for name in re.findall(r"\bpython -m (tests[.\w]+)", text)}
    assert len(named) > 5
    places = {name: (ROOT / name, ROOT / f"{name}.py") for name in named}
    assert [name for name, either in places.items() if not any(p.exists() for p in either)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_answers_one_question(page: Path) -> None:
    assert page.name in REFERENCE or len(page.read_text("utf-8").split()) <= MOST_WORDS


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_that_names_files_says_where_a_reader_without_any_gets_them(page: Path) -> None:
    text = page.read_text("utf-8")
    said = [line for b in blocks(page) if b.language == "bash" for line in lines(b)]
    made = re.compile(r"phenoscape train (neon|wbc)\.yaml")
    needs = re.compile(r" (moths|moth\.tif|photographs|drawer\.bil|experiment\.yaml|runs/\S+)( |$)")
    if any(needs.search(re.sub(r"\s#.*", "", line)) for line in said):
        told = ("samples.md#to-type-along", "phenoscape samples", "stand for files of yours")
        assert made.search("\n".join(said)) or any(words in text for words in told)


def test_links_of_the_pages_lead_somewhere() -> None:
    def anchors(page: Path) -> set[str]:
        headings = re.findall(r"^#+ (.*)$", page.read_text("utf-8").lower(), re.M)
        return {re.sub(r"[^\w\- ]", "", name).strip().replace(" ", "-") for name in headings}

    broken = []
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:)([^)]+)\)", page.read_text("utf-8")):
            file, _, anchor = target.partition("#")
            there = page.parent / file if file else page
            if not there.exists() or (anchor and anchor not in anchors(there)):
                broken.append((page.name, target))
    assert broken == []
