"""The dry step: what a training would take, and that it leaves nothing behind."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from napari_phenoscape.events import result
from napari_phenoscape.nets import Encoder
from napari_phenoscape.specimens import Collection, Folder, collect
from napari_phenoscape.training import Experiment, InstantMethod, Schedule, dry_step
from napari_phenoscape.training._dry_step import _lasting, _tried
from napari_phenoscape.training._experiment import Runtime


@pytest.fixture
def collection(tmp_path: Path) -> Collection:
    folder = tmp_path / "beetles"
    folder.mkdir()
    for number in range(12):
        pixels = np.random.default_rng(number).integers(0, 255, (32, 32, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return result(collect(Folder(path=folder)))


@pytest.fixture
def experiment(collection, tmp_path) -> Experiment:
    return Experiment(
        collection=collection.source,
        image_size=32,
        encoder=Encoder(backbone="shufflenet_v2_x0_5"),
        schedule=Schedule(steps=100, batch_size=4),
        runtime=Runtime(device="cpu", precision="float32"),
        runs=tmp_path / "runs",
    )


def test_it_says_how_long_all_steps_take_and_leaves_nothing_behind(
    experiment, collection, tmp_path
):
    before = torch.get_rng_state(), sorted(tmp_path.rglob("*"))
    check = result(dry_step(experiment, collection))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert sorted(tmp_path.rglob("*")) == before[1]
    assert check.tone == "plain"
    assert re.search(r"about .+: 100 steps of .+ s, as one took .+ GB of memory", check.words)


def test_epochs_are_counted_in_steps(experiment, collection):
    schedule = Schedule(epochs=7, batch_size=4)  # 12 specimens: 3 batches
    check = result(dry_step(experiment.model_copy(update={"schedule": schedule}), collection))
    assert "21 steps" in check.words


def test_a_batch_twice_as_large_keeps_twice_as_much_beside_the_weights(experiment, collection):
    def bytes_of(batch: int) -> float:
        schedule = Schedule(steps=1, batch_size=batch)
        asked = experiment.model_copy(update={"schedule": schedule})
        return result(_tried(asked, collection))[1]

    four, eight, twelve = map(bytes_of, (4, 8, 12))
    assert eight - four == pytest.approx(twelve - eight, rel=0.1)
    assert eight > four


def test_what_would_be_refused_is_an_error(experiment, collection):
    chunked = Runtime(device="cpu", precision="float32", chunk=2)  # with BatchNorm
    check = result(dry_step(experiment.model_copy(update={"runtime": chunked}), collection))
    assert check.tone == "error"
    assert "gradient caching" in check.words


def test_a_run_that_trains_no_net_has_no_steps(experiment, collection):
    instant = experiment.model_copy(update={"method": InstantMethod()})
    assert result(dry_step(instant, collection)) is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.234, "0.23 s"), (1.84, "1.8 s"), (40, "40 s"), (1500, "25 minutes"), (9000, "2.5 hours")],
)
def test_durations_are_read_at_a_glance(seconds, words):
    assert _lasting(seconds) == words
