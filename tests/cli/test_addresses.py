"""Whatever path a verb takes, an address there is read from, or refused in a sentence."""

from __future__ import annotations

import inspect
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from typer.testing import CliRunner

from napari_phenoscape.analysis import cluster_run
from napari_phenoscape.cli._console import app
from napari_phenoscape.embeddings import embed
from napari_phenoscape.events import result
from napari_phenoscape.samples import write_samples
from napari_phenoscape.training import Experiment, train
from tests.least import least

#: Where nobody answers.
NOWHERE = "http://127.0.0.1:9/moths"

#: What else a verb is given, by the name of the parameter.
GIVEN = {
    "run": "run", "runs": "run", "others": "run", "experiment": "experiment.yaml",
    "path": "cube.tif", "cube": "cube.tif", "cubes": "cube.tif", "photographs": "cube.tif",
    "specimens": "folder", "directory": "new", "label": "species", "name": "0=moth",
    "specimen": "Syntheta_australis_001_F_dorsal.tif",
}  # fmt: skip

#: What a verb asks for beside one of them.
MORE = {"convert dark": ["--white", "cube.tif"], "join": ["cube.tif"], "edit": ["--split", "A"]}


def parameters() -> Iterator[tuple[str, str]]:
    """Every verb with each of its paths, by its signature: a new one is not forgotten."""
    for command in app.registered_commands:
        assert command.callback is not None
        for each in inspect.signature(command.callback, eval_str=True).parameters.values():
            if "Path" in str(get_args(each.annotation)[:1] or each.annotation):
                yield command.callback.__name__, each.name


def option(each: inspect.Parameter) -> str:
    """How it is typed; ``""`` of an argument."""
    told = get_args(each.annotation)[1]
    if type(told).__name__ == "ArgumentInfo":
        return ""
    return next(iter(told.param_decls), f"--{each.name.replace('_', '-')}")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of some specimens, with clusters."""
    folder = tmp_path_factory.mktemp("addresses")
    samples = result(write_samples(folder / "samples", specimens=24, size=32, drawer=False))
    given = least(samples)
    given |= {"method": "instant", "image_size": 16, "runs": str(folder / "runs")}
    given["grouping"] = {"method": {"kind": "kmeans", "clusters": 2}, "map": "pca"}
    experiment = Experiment.parse(given)
    run = result(train(experiment))
    result(embed(run))
    result(cluster_run(run))
    (folder / "project").mkdir()
    run.rename(folder / "project" / "run")
    (folder / "project" / "experiment.yaml").write_text(experiment.to_yaml())
    shutil.copytree(samples / "multispectral", folder / "project" / "folder")
    cube = next((samples / "multispectral").rglob("*.tif"))
    shutil.copy(cube, folder / "project" / "cube.tif")
    return folder / "project"


@pytest.mark.parametrize(("verb", "name"), [*parameters()])
def test_an_address_is_read_from_or_refused_and_makes_no_folder(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str, name: str
) -> None:
    here = shutil.copytree(project, tmp_path / "here")
    monkeypatch.chdir(here)
    (function,) = [c.callback for c in app.registered_commands if c.callback.__name__ == verb]  # type: ignore[union-attr]
    words: list[str] = [verb]
    for each in inspect.signature(function, eval_str=True).parameters.values():
        needed = each.default is inspect.Parameter.empty
        if each.name != name and not needed:
            continue
        value = GIVEN.get(each.name, "written.png")
        if each.name == name:
            value = f"{NOWHERE}{'.csv' if name == 'export' else Path(value).suffix}"
        words += [word for word in (option(each), value) if word]
    words += MORE.get(verb, []) + MORE.get(f"{verb} {name}", [])
    before = {path for path in here.rglob("*") if path.is_dir()}
    end = CliRunner().invoke(app, words)
    assert end.exit_code == 2, end.output
    assert "error:" in end.output
    assert "went wrong" not in end.output
    assert "127.0.0.1:9/moths" in " ".join(end.output.split())
    assert not [path for path in here.rglob("*") if path.is_dir() and path not in before]
