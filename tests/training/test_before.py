"""Before the start: each thing that would go wrong is said, and its change mends it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import tifffile

from napari_phenoscape.errors import OptionError
from napari_phenoscape.events import result
from napari_phenoscape.specimens import Collection, Folder, collect
from napari_phenoscape.training import (
    Check,
    Experiment,
    InstantMethod,
    checks,
    experiment_for,
    mended,
)


def folder(path: Path, number: int = 24, side: int = 40, mask: bool = True) -> Collection:
    """RGB, UV and a mask: 7 planes; or RGB pictures."""
    path.mkdir(exist_ok=True)
    for i in range(number):
        planes = np.random.default_rng(i).integers(1, 9999, (7, side, side)).astype("u2")
        if mask:
            planes[6] = 1
            tifffile.imwrite(path / f"{i}.tif", planes, photometric="minisblack", metadata=None)
        else:
            picture = (planes[:3] // 64).astype("u1").transpose(1, 2, 0)
            tifffile.imwrite(path / f"{i}.tif", picture, photometric="rgb")
    return result(collect(Folder(path=path)))


@pytest.fixture
def collection(tmp_path: Path) -> Collection:
    return folder(tmp_path / "moths")


@pytest.fixture
def fitting(collection, tmp_path) -> Experiment:
    return experiment_for(collection, "workstation", runs=tmp_path / "runs")


def grave(found: tuple[Check, ...]) -> list[Check]:
    return [check for check in found if check.tone != "plain"]


def test_what_is_proposed_for_a_collection_has_nothing_wrong(collection, fitting):
    assert grave(checks(fitting, collection)) == []


@pytest.mark.parametrize(
    ("change", "words", "tone", "act"),
    [
        ({"schedule.batch_size": 64}, "larger than the collection of 24", "error",
         "Set batch size to 6"),
        ({"schedule.batch_size": 12}, "more than a quarter of 24", "warning",
         "Set batch size to 6"),
        ({"modalities": ["nir"]}, "No cube has the bands of 'nir'", "error",
         "Set modalities to rgb+uv"),
        ({"modalities": ["rgb", "nir"]}, "No cube has the bands of 'nir'", "error",
         "Set modalities to rgb"),
        ({"image_size": 96}, "larger than the median specimen (40 px)", "warning",
         "Set image size to 40"),
        ({"runtime.device": "mps"}, "no device 'mps'", "error", "Set device to auto"),
        ({"runtime.device": "cpu", "runtime.precision": "fp16"}, "fp16 needs a CUDA GPU", "error",
         "Set precision to float32"),
        ({"encoder": {"download": True, "rate": 1.0}}, "soon overwrites", "warning",
         "Set rate to the usual"),
    ],
    ids=["batch", "quarter", "bands", "one-of-two", "size", "device", "precision", "rate"],
)  # fmt: skip
def test_each_fault_is_said_with_the_change_that_mends_it(
    collection, fitting, change, words, tone, act
):
    wrong = mended(fitting, change)
    (check,) = grave(checks(wrong, collection))
    assert words in check.words
    assert (check.tone, check.act) == (tone, act)
    assert grave(checks(mended(wrong, check.change), collection)) == []


def test_small_views_of_large_specimens_are_said(tmp_path):
    large = folder(tmp_path / "large", 8, 120)
    wrong = mended(experiment_for(large, "workstation", runs=tmp_path), {"image_size": 16})
    (check,) = grave(checks(wrong, large))
    assert check.change == {"image_size": 96}


def test_views_are_as_large_as_the_net_that_they_start_from_wants(collection, fitting):
    change = {"image_size": 128, "encoder": {"backbone": "pretrained:efficientnet_lite0"}}
    assert grave(checks(mended(fitting, change), collection)) == []
    larger = mended(fitting, {**change, "image_size": 160})
    (check,) = grave(checks(larger, collection))
    assert check.change == {"image_size": 128}


def test_pictures_without_a_mask_are_said_to_be_compared_with_their_background(tmp_path):
    bare = folder(tmp_path / "bare", mask=False)
    experiment = experiment_for(bare, "workstation", runs=tmp_path)
    (check,) = [one for one in checks(experiment, bare) if "outlines" in one.words]
    assert "24 of 24 cubes" in check.words
    assert mended(experiment, check.change).collection == Folder(
        path=tmp_path / "bare", mask="auto"
    )


def test_few_specimens_are_advised_to_do_without_training_and_two_are_too_few(tmp_path):
    few = folder(tmp_path / "few", 5)
    (check,) = grave(checks(experiment_for(few, "workstation", runs=tmp_path), few))
    assert "A net learns little from 5 specimens" in check.words
    instant = mended(experiment_for(few, "workstation", runs=tmp_path), check.change)
    assert instant.method == InstantMethod()
    assert grave(checks(instant, few)) == []
    two = few.take([few.specimens[0].id, few.specimens[1].id])
    (check,) = grave(checks(instant, two))
    assert check.tone == "error"
    assert check.words.startswith("2 specimens are too few")


def test_a_full_disk_is_said_before_the_start(collection, fitting, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=2e8))
    (check,) = grave(checks(fitting, collection))
    assert "0.2 GB are free" in check.words


def test_the_worst_is_first_and_the_command_line_can_take_the_change(collection, fitting):
    wrong = mended(fitting, {"schedule.batch_size": 64, "image_size": 96})
    found = checks(wrong, collection)
    assert [check.tone for check in grave(found)] == ["error", "warning"]
    assert found[0].options == ["--set schedule.batch_size=6"]


def test_a_change_that_is_not_allowed_is_refused(fitting):
    with pytest.raises(OptionError, match="batch_size"):
        mended(fitting, {"schedule.batch_size": 1})
