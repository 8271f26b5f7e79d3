"""What is left when verbs are killed at random times: ``kill -9``, many times each.

A kill must leave no half file under a final name, nor take away what was whole before; and one
whole run of the verb afterwards must leave nothing in the folder but what it makes. Each verb runs
in a fork of a process that has loaded everything, so that kills fall into its work; after ten of
them it runs once to its end. Printed for each verb: kills, those that fell into its work, findings.

    python docs/measure_kills.py [KILLS] [VERB ...]

Linux or macOS.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import resource
import shutil
import signal
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile
import yaml
import zarr
from PIL import Image
from safetensors.numpy import load_file

from napari_phenoscape.cli import app
from napari_phenoscape.cubes import open_cube
from napari_phenoscape.events import result
from napari_phenoscape.samples import write_samples

#: Kills between two whole runs.
KILLS_A_RUN = 10

TINY = "--set schedule.steps=2 --set schedule.batch_size=8 --set image_size=32 --set runs=runs"

#: Words of each verb, in the folder of the samples; RUN is a trained one with embeddings.
VERBS = {
    "convert to ENVI": "convert CUBE -o made/a.bil --overwrite",
    "convert to TIFF": "convert CUBE -o made/a.tif --overwrite",
    "convert to Zarr": "convert CUBE -o made/a.zarr --overwrite",
    "spectra": "spectra CUBE -o made/spectra.csv --overwrite",
    "picture": "picture CUBE -o made/picture.png --overwrite",
    "info": "info rgb-uv.yaml -o made/specimens.csv --overwrite",
    "preview": "preview rgb-uv.yaml -o made/views.png --overwrite --set image_size=32",
    "prepare": f"prepare rgb-uv.yaml {TINY} --set preparation.folder=made/prepared",
    "find": "find drawer.bil -o made/regions.tif --overwrite",
    "join": "join pair/vis.png pair/uv.png --parts vis,uv -o made/joined.tif --overwrite",
    "look": "look multispectral --runs made/looks",
    "samples": "samples made/samples",
    "slurm": f"slurm rgb-uv.yaml {TINY}",
    "train": f"train rgb-uv.yaml {TINY} --set schedule.checkpoint_every=1",
    "train, going on": "train RUN --set schedule.steps=STEPS",
    "embed": "embed RUN --export made/embedded.parquet --overwrite",
    "export": "export RUN -o made/encoder",
    "cluster": "cluster RUN --clusters 3 --set grouping.map=pca --export made/c.csv --overwrite",
    "neighbours": "neighbours RUN SPECIMEN -o made/near.csv --overwrite",
    "classify": "classify RUN --label morph -o made/classes.csv --overwrite",
    "evaluate": "evaluate RUN --label morph -o made/scores.csv --overwrite",
    "explain": "explain RUN --no-occlusion -o made/why.csv --overwrite",
    "associate": "associate RUN --permutations 99 -o made/goes.csv --overwrite",
    "draw": "draw RUN -o made/map.png --overwrite",
    "twins": "twins RUN -o made/twins.csv --overwrite",
    "report": "report RUN -o made/report.html --overwrite",
    "runs": "runs runs -o made/runs.csv --overwrite",
}

#: What shows that a file is whole, by its ending.
WHOLE: dict[str, Callable[[Path], object]] = {
    ".parquet": pd.read_parquet,
    ".csv": pd.read_csv,
    ".png": lambda path: Image.open(path).load(),
    ".json": lambda path: json.loads(path.read_text("utf-8")),
    ".yaml": lambda path: yaml.safe_load(path.read_text("utf-8")),
    ".safetensors": load_file,
    ".tif": tifffile.imread,
    ".html": lambda path: path.read_text("utf-8").rindex("</html>"),
    ".npy": lambda path: np.load(path).sum(),
    ".hdr": lambda path: open_cube(path).array[:],
    ".zarr": lambda path: zarr.open(path, mode="r"),
}


def main(kills: int, *names: str) -> None:
    """Print a line for each verb; exit 1 with findings."""
    found = 0
    with ready() as folder:
        print("| verb | kills | in its work | findings |\n|---|---|---|---|")
        for verb in names or VERBS:
            findings, inside = _kill(verb, kills, folder)
            found += len(findings)
            print(f"| {verb} | {kills} | {inside} | {len(findings)} |", flush=True)
            for finding in sorted(findings):
                print(f"    {finding}", flush=True)
    sys.exit(bool(found))


@contextlib.contextmanager
def ready() -> Iterator[Path]:
    """A folder of samples, with a run, in which the verbs find what they are given."""
    warnings.simplefilter("ignore")
    for stage in ("analysis", "embeddings", "samples", "specimens", "spectra", "training"):
        module = importlib.import_module(f"napari_phenoscape.{stage}")
        for name in module.__all__:
            getattr(module, name)
    for heavy in ("umap", "torchvision", "kornia", "matplotlib.pyplot", "sklearn.cluster"):
        importlib.import_module(heavy)
    with tempfile.TemporaryDirectory(prefix="kills-") as name, contextlib.chdir(name):
        folder = Path(name).resolve()
        (folder / "tmp").mkdir()
        tempfile.tempdir = str(folder / "tmp")
        result(write_samples(folder / "samples", specimens=24, size=32))
        os.chdir(folder / "samples")
        Path("made").mkdir()
        _pair(Path("pair"))
        run(f"train rgb-uv.yaml {TINY}")
        run(f"embed {_run_directory()}")
        run(f"cluster {_run_directory()} --clusters 3 --set grouping.map=pca")
        yield folder


def _pair(folder: Path) -> None:
    """Two photographs of one drawn thing, the second 3 px beside the first."""
    draws = np.random.default_rng(0)
    folder.mkdir()
    blocks = draws.integers(0, 255, (40, 40, 3)).astype(np.uint8).repeat(6, 0).repeat(6, 1)
    Image.fromarray(blocks[:-8, :-8]).save(folder / "vis.png")
    Image.fromarray(blocks[3:-5, 3:-5]).save(folder / "uv.png")


def _kill(verb: str, kills: int, folder: Path) -> tuple[set[str], int]:
    draws, findings, inside, lasts = np.random.default_rng(0), set[str](), 0, 0.0
    steps, seen = 2, set[tuple[Path, int, int]]()
    for number in range(kills):
        if number % KILLS_A_RUN == 0:
            steps += 1
            start = time.monotonic()
            said = run(words_of(verb, steps))
            lasts = time.monotonic() - start
            findings |= {f"whole run: {said}"} if said else set()
            findings |= {f"left: {path.relative_to(folder)}" for path in leftovers(folder)}
        if not number % 2:
            shutil.rmtree("made")
            Path("made").mkdir()
        before = set(_files(folder))
        was_killed = run(words_of(verb, steps + 1), draws.uniform(0, lasts)) == "killed"
        inside += was_killed
        gone = before - set(_files(folder))
        findings |= {
            f"gone: {path.relative_to(folder)}"
            for path in gone
            if path.suffix in WHOLE and "checkpoints" not in path.parts
        }
        findings |= {f"half: {path.relative_to(folder)}" for path in half(folder, seen)}
        if not was_killed:  # what is whole is not made again by every verb
            shutil.rmtree("made")
            Path("made").mkdir()
    said = run(words_of(verb, steps + 1))
    findings |= {f"whole run: {said}"} if said else set()
    findings |= {f"left: {path.relative_to(folder)}" for path in leftovers(folder)}
    return findings, inside


def words_of(verb: str, steps: int) -> str:
    """What is typed; ``steps`` of a training that goes on."""
    cube = next(Path("multispectral").rglob("*.tif"))
    return (
        VERBS[verb]
        .replace("RUN", str(_run_directory()))
        .replace("CUBE", str(cube))
        .replace("SPECIMEN", cube.name)
        .replace("STEPS", str(steps))
    )


def _run_directory() -> Path:
    # the first of them; the others have a number at the end
    return min(Path("runs").glob("[!.]*"), key=lambda path: (len(path.name), path.name))


def run(words: str, kill_after: float | None = None, largest: int | None = None) -> str:
    """Run a verb in a fork; what it said when it failed, or ``"killed"``.

    Parameters
    ----------
    kill_after
        Seconds after which it is killed.
    largest
        Bytes that a file may have.
    """
    with tempfile.TemporaryFile("w+") as said:
        child = os.fork()
        if not child:
            os.dup2(said.fileno(), 1)
            os.dup2(said.fileno(), 2)
            if largest is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (largest, resource.RLIM_INFINITY))
            try:
                app(words.split(), standalone_mode=True)
            except SystemExit as left:
                os._exit(int(left.code or 0))
            finally:  # the folder is not the child's to remove
                os._exit(99)
        if kill_after is not None:
            end = time.monotonic() + kill_after
            while time.monotonic() < end:
                pid, status = os.waitpid(child, os.WNOHANG)
                if pid:
                    break
                time.sleep(0.001)
            else:
                os.kill(child, signal.SIGKILL)
                status = os.waitpid(child, 0)[1]
        else:
            status = os.waitpid(child, 0)[1]
        if os.WIFSIGNALED(status):
            return "killed"
        said.seek(0)
        return "" if status == 0 else f"{words.split()[0]}: {said.read().strip()[-300:]}"


def _files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if not _is_hidden(path, folder)]


def _is_hidden(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)


def leftovers(folder: Path) -> list[Path]:
    """What no verb makes for good: hidden parts, and what lies in the folder for temporaries."""
    hidden = [path for path in folder.rglob(".*") if path.name.endswith((".part", ".old"))]
    return [*hidden, *(folder / "tmp").iterdir()]


def half(folder: Path, seen: set[tuple[Path, int, int]]) -> list[Path]:
    """Files under a final name that are not whole.

    Parameters
    ----------
    seen
        Whole files, by path, time and size; not read again. Those found whole are added.
    """
    broken = []
    for path in _files(folder):
        if path.suffix in WHOLE and path.parent.suffix != ".zarr":
            stamp = (path, path.stat().st_mtime_ns, path.stat().st_size)
            try:
                # the numbers of a header lie in another file, those of Zarr in many
                if path.suffix in (".hdr", ".zarr") or stamp not in seen:
                    WHOLE[path.suffix](path)
            except Exception:  # noqa: BLE001 - whatever says that it is not whole
                broken.append(path)
            else:
                seen.add(stamp)
    return broken


if __name__ == "__main__":
    kills, *names = sys.argv[1:] or ["100"]
    main(int(kills), *names)
