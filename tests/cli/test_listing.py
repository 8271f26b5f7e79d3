"""``phenoscape runs``: the runs of a folder as a table."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import tifffile
from typer.testing import CliRunner

from napari_phenoscape.cli._console import app
from napari_phenoscape.events import Started, Step
from napari_phenoscape.specimens import Folder
from napari_phenoscape.training import Experiment
from napari_phenoscape.training._run import EXPERIMENT, log_event, new_run


def runs(folder: Path, *words: str) -> str:
    end = CliRunner().invoke(app, ["runs", str(folder), *words])
    assert end.exit_code == 0, end.output
    return end.stdout


def test_runs_are_listed_with_what_differs_and_what_is_wrong(tmp_path: Path) -> None:
    first = Experiment(collection=Folder(path=tmp_path), runs=tmp_path / "runs", name="one")
    one = new_run(first)
    log_event(one, Started(one, 24, 0, 60, "cpu"))
    log_event(one, Step(12, 60, 1.25, 0.5, 1e-3, 10.0, 1.0))
    other = new_run(first.model_copy(update={"seed": 7, "name": "other"}))
    (other / "evaluation-morph.csv").write_text("embedding,measure,value\na,silhouette,0.25\n")
    lines = runs(tmp_path / "runs").splitlines()
    assert [cell.strip() for cell in lines[1].strip("┃").split("┃")] == [
        "run",
        "state",
        "step",
        "loss",
        "seed",
        "morph silhouette",
    ]
    cells = {
        row[0]: row[1:]
        for row in (
            [c.strip() for c in line.strip("│").split("│")] for line in lines if "│" in line
        )
    }
    assert cells == {
        one.name: ["interrupted", "12 of 60", "1.250", "0", ""],
        other.name: ["new", "0 of 2000", "", "7", "0.250"],
    }
    told = json.loads(runs(tmp_path / "runs", "--json"))["runs"]
    assert told[1] == {
        "run": str(one), "state": "interrupted", "step": 12, "steps": 60, "loss": 1.25,
        "wrong": "", "seed": "0",
    }  # fmt: skip
    end = CliRunner().invoke(app, ["info", str(tmp_path / "runs"), "--json"])
    assert json.loads(end.stdout)["runs"] == told
    (other / EXPERIMENT).write_text("name: [")
    assert f"{other.name}: '" in runs(tmp_path / "runs")


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    end = CliRunner().invoke(app, ["runs", str(tmp_path / "nowhere")])
    assert end.exit_code == 2
    assert "There is no folder" in end.stderr


def test_a_folder_without_runs_says_so_and_how_to_make_one(tmp_path: Path) -> None:
    assert runs(tmp_path).strip() == (
        f"No runs are in '{tmp_path}'. `phenoscape look FOLDER` makes one of your specimens."
    )


def test_train_check_says_what_would_go_wrong_and_trains_nothing(tmp_path: Path) -> None:
    for number in range(8):
        planes = np.full((7, 32, 32), 100 + number, "u2")
        tifffile.imwrite(
            tmp_path / f"{number}.tif", planes, photometric="minisblack", metadata=None
        )
    experiment = Experiment(collection=Folder(path=tmp_path), image_size=32, runs=tmp_path / "runs")
    (tmp_path / "experiment.yaml").write_text(experiment.to_yaml())
    words = ["train", str(tmp_path / "experiment.yaml"), "--check"]
    end = CliRunner().invoke(app, words)
    assert end.exit_code == 0, end.output
    assert end.stdout.splitlines()[0] == (
        "error: A batch of 64 is larger than the collection of 8 specimens. "
        "--set schedule.batch_size=2"
    )
    assert all(
        line.startswith(("error: ", "warning: ", "note: ")) for line in end.stdout.splitlines()
    )
    mended = CliRunner().invoke(app, [*words, "--set", "schedule.batch_size=2", "--json"])
    checks = json.loads(mended.stdout)["checks"]
    assert {check["tone"] for check in checks} == {"plain"}
    assert checks[-1]["words"].startswith("It takes about")
    assert not (tmp_path / "runs").exists()


def test_info_lists_the_first_and_the_last_of_many_names(tmp_path: Path) -> None:
    np.save(tmp_path / "scan.npy", np.zeros((40, 5, 6), "f4"))
    end = CliRunner().invoke(app, ["info", str(tmp_path / "scan.npy"), "--axis", "0"])
    assert "bands: band 1, band 2, band 3, ..., band 40" in end.stdout
    end = CliRunner().invoke(app, ["info", str(tmp_path / "scan.npy"), "--axis", "0", "--json"])
    assert len(json.loads(end.stdout)["bands"]) == 40


def test_an_experiment_beside_the_specimens_makes_no_run_of_their_folder(tmp_path: Path) -> None:
    for number in range(3):
        np.save(tmp_path / f"{number}.npy", np.zeros((9, 9, 4), "f4"))
    (tmp_path / "experiment.yaml").write_text("name: mine\n")
    end = CliRunner().invoke(app, ["info", str(tmp_path)])
    assert end.exit_code == 0, end.output
    assert "3 specimens" in end.stdout
