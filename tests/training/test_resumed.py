"""A run that goes on does so with its own specimens, wherever they are by then."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_phenoscape.errors import CheckpointError
from napari_phenoscape.events import Finished, Notice, result
from napari_phenoscape.training import (
    EXPERIMENT,
    Experiment,
    last_checkpoint,
    read_events,
    read_experiment,
    read_state,
    train,
)


def photograph(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (12, 12, 3), np.uint8)
    Image.fromarray(pixels).save(path)


def experiment(project: Path, steps: int) -> Experiment:
    return Experiment.parse(
        {
            "name": "t",
            "collection": {"kind": "folder", "path": str(project / "photos")},
            "image_size": 32,
            "encoder": {"backbone": "shufflenet_v2_x0_5"},
            "head": {"hidden": 8, "out": 4},
            "schedule": {"steps": steps, "batch_size": 4},
            "runtime": {"device": "cpu", "threads": 1},
            "runs": str(project / "runs"),
        }
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of six photographs and a run of one step."""
    project = tmp_path_factory.mktemp("trained") / "project"
    for i in range(6):
        photograph(project / "photos" / f"S{i}.png", i)
    result(train(experiment(project, 1)))
    return project


@pytest.fixture
def project(trained: Path, tmp_path: Path) -> Path:
    """A copy of it to spoil."""
    return Path(shutil.copytree(trained, tmp_path / "project"))


def run_of(project: Path) -> Path:
    (run,) = (path for path in (project / "runs").iterdir() if not path.name.startswith("."))
    return run


def notices(run: Path) -> list[str]:
    return [event.message for event in read_events(run) if isinstance(event, Notice)]


def test_a_checkpoint_names_its_specimens_and_stamps_their_pixels(project):
    stamps = read_state(last_checkpoint(run_of(project))).specimens
    assert list(stamps) == [f"S{i}.png" for i in range(6)]
    assert len(set(stamps.values())) == 6


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda photos: (photos / "S3.png").unlink(), r"6 specimens, .* 5: 1 are gone.*'S3\.png'"),
        (lambda photos: photograph(photos / "S9.png", 9), r"are 7: 1 are new, e\.g\. 'S9\.png'"),
        (
            lambda photos: (photos / "S3.png").rename(photos / "X.png"),
            r"are 6: 1 are gone, e\.g\. 'S3\.png'; 1 are new, e\.g\. 'X\.png'",
        ),
        (
            lambda photos: (photos / "S3.png").write_bytes((photos / "S3.png").read_bytes()[:90]),
            r"are 5: 1 are gone",
        ),
    ],
    ids=["deleted", "added", "renamed", "damaged"],
)
def test_a_run_does_not_go_on_with_other_specimens(project, change, words):
    change(project / "photos")
    run = run_of(project)
    with pytest.raises(CheckpointError, match=words) as error:
        result(train(experiment(project, 2), run))
    # the way out that it names is one
    assert f"encoder.weights: {run}" in str(error.value)
    given = experiment(project, 1)
    encoder = given.encoder.model_copy(update={"weights": run})
    assert result(train(given.model_copy(update={"encoder": encoder}))) != run


def test_other_pixels_under_the_same_name_are_told(project):
    photograph(project / "photos" / "S3.png", 33)
    run = run_of(project)
    result(train(experiment(project, 2), run))
    (notice,) = notices(run)
    assert notice.startswith("1 of 6 specimens have other pixels than before, e.g. 'S3.png'")
    assert read_events(run)[-1] == Finished(run)


def test_a_run_whose_project_was_moved_finds_its_specimens_beside_it(project, tmp_path):
    moved = project.rename(tmp_path / "elsewhere")
    run = run_of(moved)
    found = read_experiment(run)
    assert (found.collection.path, found.runs) == (moved / "photos", moved / "runs")
    later = found.model_copy(update={"schedule": found.schedule.model_copy(update={"steps": 2})})
    result(train(later, run))
    assert notices(run) == []
    assert Experiment.read(run / EXPERIMENT).collection.path == moved / "photos"


def test_a_run_that_was_moved_alone_finds_its_specimens_where_they_were(trained, project, tmp_path):
    run = run_of(project).rename(tmp_path / "alone")
    assert read_experiment(run).collection.path == trained / "photos"


def test_specimens_that_were_moved_can_be_named_when_a_run_goes_on(project, tmp_path):
    (project / "photos").rename(tmp_path / "photos")
    run = run_of(project)
    collection = experiment(project, 2).collection.model_copy(update={"path": tmp_path / "photos"})
    result(train(experiment(project, 2).model_copy(update={"collection": collection}), run))
    assert notices(run) == []
    assert read_experiment(run).collection.path == tmp_path / "photos"
