"""``phenoscape look``: a folder, and nothing else, to clusters; and training as simply begun."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner, Result

from napari_phenoscape.cli._console import app
from napari_phenoscape.events import result
from napari_phenoscape.samples import write_samples
from napari_phenoscape.training import PCA, KMeans, read_experiment


def phenoscape(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


@pytest.fixture(scope="module")
def samples(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("samples") / "samples"
    return result(write_samples(folder, specimens=32, size=40, drawer=False))


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pictures(folder: Path, number: int, values: tuple[int, ...] = (60, 200)) -> None:
    """Squares of two kinds on grey, noise on all, no two of one size."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(number):
        image = rng.normal(128, 6, (48 + i % 3, 48, 3))
        side = 14 + i % 5
        image[14 : 14 + side, 14 : 14 + side, i % 2] = values[i % 2]
        Image.fromarray(image.clip(0, 255).astype(np.uint8)).save(folder / f"IMG_{i}.jpg")


def test_a_folder_of_pictures_is_all_that_is_needed(here) -> None:
    pictures(here / "moths", 24)
    end = phenoscape("look", "moths")
    assert end.exit_code == 0, end.output
    assert "24 specimens, compared in 'rgb' (3 bands), in views of 48 pixels." in end.stderr
    assert end.stdout.startswith("2 clusters, chosen of 2 to 6: silhouette ")
    (run,) = (here / "runs").glob("*_moths")
    table = pd.read_csv(run / "specimens.csv")
    kinds = table["filename"].str.extract(r"(\d+)")[0].astype(int) % 2
    assert len(set(zip(kinds, table["cluster"], strict=True))) == 2  # a cluster for each kind
    assert f"figure runs/{run.name}/clusters/rgb.png" in end.stdout
    with Image.open(run / "clusters" / "rgb.png") as figure:
        assert figure.height > figure.width  # sheet, map, legend and curve
    experiment = read_experiment(run)
    assert experiment.method.kind == "instant"
    assert experiment.grouping.method == KMeans(clusters=0)
    assert experiment.grouping.map == PCA()


def test_what_is_said_to_come_next_runs_as_it_stands(here, samples) -> None:
    end = phenoscape("look", samples / "multispectral")
    assert end.exit_code == 0, end.output
    assert "compared in 'rgb+uv' (6 bands)" in end.stderr
    nexts = [line.split("#")[0].split() for line in end.stdout.split("next:")[1].splitlines()]
    verbs = [words[1:] for words in nexts if words]
    assert [words[0] for words in verbs] == ["explain", "evaluate", "cluster", "train"]
    # of species, morph, sex, ...: the four clusters are the four morphs
    assert verbs[1][-2:] == ["--label", "morph"]
    assert phenoscape(*verbs[2]).exit_code == 0


def test_of_the_samples_the_folder_with_uv_is_looked_at_and_the_other_named(here, samples) -> None:
    end = phenoscape("look", samples)
    assert end.exit_code == 0, end.output
    assert "'multispectral' and 'rgb' show the same specimens" in end.stderr
    assert "32 specimens, compared in 'rgb+uv'" in end.stderr
    assert "training" not in end.stderr  # nothing is trained
    assert "learning from 32 specimens" in end.stderr


def test_a_preset_of_a_folder_is_kept_in_the_run_and_asked_of_nothing_else(here) -> None:
    pictures(here / "moths", 8)
    end = phenoscape("train", "moths", "--preset", "look")
    assert end.exit_code == 0, end.output
    (run,) = (here / "runs").glob("*_moths")
    experiment = read_experiment(run)
    assert experiment.method.kind == "instant"
    for given in (run, run / "experiment.yaml"):
        end = phenoscape("train", given, "--preset", "quick")
        assert end.exit_code == 2
        assert "says itself how much to compute" in " ".join(end.stderr.split())
    assert read_experiment(run) == experiment


def test_a_preset_that_is_none_is_named_with_the_one_that_was_meant(here) -> None:
    end = phenoscape("train", "moths", "--preset", "qick")
    assert end.exit_code == 2
    assert " ".join(end.stderr.split()) == (
        "error: --preset qick: there is no such preset. Did you mean 'quick'? "
        "Choose from look, quick, workstation, paper."
    )


def test_a_folder_is_trained_on_as_it_is(here) -> None:
    pictures(here / "moths", 12)
    short = ("--set", "schedule.steps=2", "--set", "image_size=32")
    end = phenoscape("train", "moths", *short)
    assert end.exit_code == 0, end.output
    (run,) = (here / "runs").glob("*_moths")
    experiment = read_experiment(run)
    assert (experiment.method.kind, experiment.schedule.batch_size) == ("simclr", 3)
    assert phenoscape("train", run, "--set", "schedule.steps=3").exit_code == 0  # goes on


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("empty", "'{}' holds no files of specimens; pictures or cubes were expected"),
        ("one", "'{}' holds 1 specimen, 'IMG_0.jpg'; at least 2 were expected"),
        ("two", "'{}' holds 2 specimens, and 3 or more were expected"),
        ("masks", "'{}' holds masks, 4 files of a few values each, and no pictures."),
        ("nowhere", "There is nothing at '{}'. Correct its path."),
        ("maks", "There is nothing at '{}'. Did you mean 'masks'? Correct its path."),
        ("two/IMG_0.jpg", "'{}' holds 1 specimen, 'IMG_0.jpg#1'; at least 2 were expected"),
    ],
)
def test_what_cannot_be_looked_at_is_one_sentence(here, name, words) -> None:
    (here / "empty").mkdir()
    pictures(here / "one", 1)
    pictures(here / "two", 2)
    (here / "masks").mkdir()
    for i in range(4):
        Image.fromarray(np.eye(9, dtype=np.uint8) * 255).save(here / "masks" / f"{i}.png")
    end = phenoscape("look", here / name)
    assert end.exit_code == 2
    assert "Traceback" not in end.output
    (line,) = [line for line in end.stderr.splitlines() if line.startswith("error: ")]
    assert line.startswith("error: " + words.format(here / name))


def test_a_run_is_no_folder_of_specimens(here, samples) -> None:
    pictures(here / "moths", 12)
    assert phenoscape("look", "moths").exit_code == 0
    (run,) = (here / "runs").glob("*_moths")
    for inside in (run, run / "clusters"):
        end = phenoscape("look", inside)
        assert end.exit_code == 2
        assert f"belongs to the run '{run.name}', and specimens were expected" in end.stderr


def test_pictures_of_mixed_sizes_and_a_broken_one_are_looked_at_and_said(here) -> None:
    pictures(here / "moths", 12)
    shutil.copyfile(here / "moths" / "IMG_0.jpg", here / "moths" / "whole.jpg")
    whole = (here / "moths" / "whole.jpg").read_bytes()
    (here / "moths" / "broken.jpg").write_bytes(whole[:100])
    end = phenoscape("look", "moths")
    assert end.exit_code == 0, end.output
    assert end.stderr.count("left out ('broken.jpg')") == 1  # once, though it is met often
    assert "13 specimens, compared in 'rgb'" in end.stderr
