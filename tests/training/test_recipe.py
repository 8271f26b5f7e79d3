"""The recipe: what decays, what is clipped, what a step draws, and what may change on resuming."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn, optim
from torch.profiler import ProfilerActivity, profile

from napari_phenoscape.errors import OptionError
from napari_phenoscape.events import Step, result
from napari_phenoscape.losses import NTXent
from napari_phenoscape.nets import Encoder, ProjectionHead
from napari_phenoscape.nets._fusion_options import Gated
from napari_phenoscape.samples import write_samples
from napari_phenoscape.specimens import Nuisance
from napari_phenoscape.training import (
    Experiment,
    InstantMethod,
    Schedule,
    build_model,
    last_checkpoint,
    train,
)
from napari_phenoscape.training._checkpoint import read_state
from napari_phenoscape.training._optimizers import AdamW
from napari_phenoscape.training._recipe import learning_rate, optimizer_of, step_seed
from tests.least import least


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    folder = tmp_path_factory.mktemp("recipe")
    samples = result(write_samples(folder / "samples", specimens=24, size=32, drawer=False))
    given = least(samples)
    given["schedule"] |= {"steps": 1, "batch_size": 8}
    given["encoder"]["backbone"] = "squeezenet1_1"
    return Experiment.parse({**given, "image_size": 32, "runs": str(folder / "runs")})


@pytest.fixture(scope="module")
def run(experiment: Experiment) -> Path:
    return result(train(experiment))


def changed(experiment: Experiment, part: str, **given: object) -> Experiment:
    section = getattr(experiment, part).model_copy(update=given)
    return experiment.model_copy(update={part: section})


class _Net(nn.Module):
    """A weight, a norm and response curves in the encoders, and a head."""

    def __init__(self) -> None:
        super().__init__()
        self.encoders = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        stem = nn.ParameterDict({"coefficients": torch.ones(2, 3)})
        self.encoders.add_module("stem", stem)
        self.head = nn.Linear(4, 2)


def test_norms_biases_and_response_curves_do_not_decay_and_weights_do() -> None:
    net = _Net()
    optimizer = optimizer_of(net, Schedule(weight_decay=0.3), rate=0.1)  # type: ignore[arg-type]
    decay = {
        id(weight): group["weight_decay"]
        for group in optimizer.param_groups
        for weight in group["params"]
    }
    assert {name: decay[id(weight)] for name, weight in net.named_parameters()} == {
        "encoders.0.weight": 0.3,
        "encoders.0.bias": 0.0,
        "encoders.1.weight": 0.0,
        "encoders.1.bias": 0.0,
        "encoders.stem.coefficients": 0.0,
        "head.weight": 0.3,
        "head.bias": 0.0,
    }


def test_encoders_get_their_share_of_the_rate_and_heads_all_of_it() -> None:
    net = _Net()
    optimizer = optimizer_of(net, Schedule(), rate=0.1)  # type: ignore[arg-type]
    share = {id(w): group["share"] for group in optimizer.param_groups for w in group["params"]}
    assert {share[id(weight)] for weight in net.encoders.parameters()} == {0.1}
    assert {share[id(weight)] for weight in net.head.parameters()} == {1.0}


@pytest.mark.parametrize("clip", [1e-3, 1e-2])
def test_a_step_is_no_longer_than_the_clipped_gradient(experiment: Experiment, clip: float) -> None:
    asked = changed(experiment, "schedule", optimizer="sgd", clip=clip, weight_decay=0.0)
    trained = result(train(asked))
    checkpoint = last_checkpoint(trained)
    before = dict(build_model(asked, read_state(checkpoint).statistics).named_parameters())
    after = load_file(checkpoint / "weights.safetensors")
    moved = torch.cat([(after[name] - w.detach()).flatten() for name, w in before.items()])
    # the first step of SGD is the rate times the gradient, whose norm is above 0.01
    assert float(moved.norm()) == pytest.approx(learning_rate(asked.schedule, 0) * clip, rel=0.02)


def test_what_torch_draws_in_a_step_depends_on_seed_and_step_alone(experiment: Experiment) -> None:
    asked = changed(experiment, "schedule", steps=3)
    asked = asked.model_copy(update={"seed": 5})
    drawn = [torch.initial_seed() for event in train(asked) if isinstance(event, Step)]
    assert drawn == [step_seed(5, step) for step in range(3)]
    assert len({step_seed(seed, step) for seed in range(20) for step in range(20)}) == 400


#: Parts of an experiment of which nothing may change when a run goes on, with another value.
KEPT = {
    "modalities": ("rgb",),
    "image_size": 48,
    "nuisance": Nuisance(columns=("sex",)),
    "background": "keep",
    "augmentations": "shape-only",
    "method": InstantMethod(),
    "encoder": Encoder(backbone="resnet18"),
    "fusion": Gated(),
    "head": ProjectionHead(out=16),
    "losses": (NTXent(temperature=0.5),),
    "seed": 1,
}
#: What of the others may not.
KEPT_OF = (
    ("schedule", "batch_size", 4),
    ("schedule", "optimizer", "sgd"),
    ("schedule", "average", 0.9),
    ("preparation", "bin_bands", 2),
    ("preparation", "precision", "float16"),
)


@pytest.mark.parametrize("name", KEPT)
def test_a_run_goes_on_with_its_own_experiment_only(experiment, run, name):
    with pytest.raises(OptionError, match=f"was trained with another '{name}'"):
        result(train(experiment.model_copy(update={name: KEPT[name]}), run))


def test_of_every_part_of_an_experiment_it_is_tested_whether_it_may_change():
    elsewhere = {"collection", "runs", "name", "runtime", "grouping"}  # where, and what comes after
    assert {*KEPT, *(part for part, *_ in KEPT_OF), *elsewhere} == set(Experiment.model_fields)


@pytest.mark.parametrize(("part", "name", "value"), KEPT_OF)
def test_what_a_step_means_does_not_change_on_resuming(experiment, run, part, name, value):
    with pytest.raises(OptionError, match=rf"was trained with {name} .*, not {value}"):
        result(train(changed(experiment, part, **{name: value}), run))


def test_the_number_of_steps_and_where_to_compute_may_change_on_resuming(experiment, run):
    asked = changed(changed(experiment, "schedule", steps=2), "runtime", threads=1)
    steps = [event.step for event in train(asked, run) if isinstance(event, Step)]
    assert steps == [2]


def test_a_fused_step_has_the_bits_of_torchs_and_copies_no_gradient_that_is_channels_last() -> None:
    steps = []
    for kind in (AdamW, optim.AdamW):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Conv2d(8, 40, 1))
        net.to(memory_format=torch.channels_last)
        optimizer = kind(net.parameters(), lr=0.1, fused=True)
        for _ in range(3):
            net(torch.rand(2, 3, 8, 8)).square().sum().backward()
            with profile(activities=[ProfilerActivity.CPU]) as seen:
                optimizer.step()
            optimizer.zero_grad()
        copied = sum(event.count for event in seen.key_averages() if event.key == "aten::clone")
        moments = [optimizer.state[weight]["exp_avg"] for weight in net.parameters()]
        assert moments[0].shape == (8, 3, 3, 3)
        steps.append((copied, [*net.parameters(), *moments]))
    (ours, mine), (torchs, theirs) = steps
    assert ours == 0 < torchs
    assert all(torch.equal(own, other) for own, other in zip(mine, theirs, strict=True))
