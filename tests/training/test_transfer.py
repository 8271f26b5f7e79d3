"""A run starts from the encoders of another: all of them, at a share of the rate, or frozen."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from napari_phenoscape.errors import CheckpointError
from napari_phenoscape.events import result
from napari_phenoscape.samples import write_samples
from napari_phenoscape.training import Experiment, build_model, last_checkpoint, specimens_of, train
from tests.least import least


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    folder = tmp_path_factory.mktemp("transfer")
    samples = result(write_samples(folder / "samples", specimens=24, size=32, drawer=False))
    given = least(samples)
    given["schedule"] |= {"steps": 1, "batch_size": 8, "optimizer": "sgd", "weight_decay": 0}
    given |= {"image_size": 32, "modalities": ["rgb", "uv"], "runs": str(folder / "runs")}
    return Experiment.parse(given)


@pytest.fixture(scope="module")
def run(before: Experiment) -> Path:
    return result(train(before))


def started(before: Experiment, run: Path, *, modalities=("rgb", "uv"), **encoder) -> Experiment:
    given = before.model_dump(mode="json")
    given["encoder"] |= {"weights": str(run), **encoder}
    return Experiment.parse({**given, "modalities": modalities, "seed": 1})


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(last_checkpoint(run) / "weights.safetensors")


@pytest.mark.parametrize("modalities", [("rgb", "uv"), ("uv",)])
def test_each_modality_takes_the_encoder_of_its_name(
    before: Experiment, run: Path, modalities: tuple[str, ...]
) -> None:
    experiment = started(before, run, modalities=modalities)
    _, crops = result(specimens_of(experiment))
    net, theirs = build_model(experiment, crops.statistics), weights(run)
    for place, name in enumerate(modalities):
        source = ("rgb", "uv").index(name)
        for key, tensor in net.encoders[place].state_dict().items():
            assert torch.equal(tensor, theirs[f"encoders.{source}.{key}"]), key


def test_a_share_of_the_rate_is_a_share_of_the_step(before: Experiment, run: Path) -> None:
    start = weights(run)
    whole, tenth = (weights(result(train(started(before, run, rate=rate)))) for rate in (1, 0.1))
    moved = 0
    for name in whole:
        if name.startswith("encoders.0.backbone") and start[name].is_floating_point():
            if "running" in name:
                continue  # statistics, no parameters
            difference = whole[name] - start[name]
            moved += bool(difference.abs().max() > 1e-6)
            torch.testing.assert_close(
                tenth[name] - start[name], 0.1 * difference, atol=1e-6, rtol=0
            )
    assert moved > 20
    assert torch.equal(whole["heads.0.0.weight"], tenth["heads.0.0.weight"])


def test_a_frozen_encoder_stays_what_it_was(before: Experiment, run: Path) -> None:
    start, end = weights(run), weights(result(train(started(before, run, rate=0))))
    encoders = [name for name in start if name.startswith("encoders.")]
    assert len(encoders) > 100
    for name in encoders:  # the statistics of its norms too
        assert torch.equal(start[name], end[name]), name
    assert any(not torch.equal(start[n], end[n]) for n in end if n.startswith("heads."))


def test_what_does_not_fit_is_refused(before: Experiment, run: Path, tmp_path: Path) -> None:
    for words, experiment in {
        "no 'rgb\\+uv' to start from": started(before, run, modalities=("rgb+uv",)),
        "does not fit 'rgb'": started(before, run, backbone="resnet34"),
        "holds no checkpoint": started(before, tmp_path),
    }.items():
        with pytest.raises(CheckpointError, match=words):
            result(train(experiment))
    alone = result(train(before.model_copy(update={"modalities": ("uv",)})))
    with pytest.raises(CheckpointError, match="for 3 bands: UV_R, UV_G, UV_B"):
        result(train(started(before, alone, modalities=("rgb",))))
