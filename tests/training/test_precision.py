"""`precision: auto`, and a loop that reads its numbers a step late."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from napari_phenoscape import _device
from napari_phenoscape.events import Event, Finished, Notice, Saved, Step, result
from napari_phenoscape.samples import write_samples
from napari_phenoscape.samples._experiments import RGB
from napari_phenoscape.training import (
    WAITING,
    Experiment,
    SimCLR,
    _precision as precision,
    build_model,
    last_checkpoint,
    read_events,
    read_experiment,
    read_state,
    specimens_of,
    train,
)


@pytest.fixture(scope="module")
def fields(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("precision")
    samples = result(write_samples(folder / "samples", specimens=24, size=32, drawer=False))
    given = RGB.anchored(samples).model_dump(mode="json")
    given["schedule"] |= {"steps": 4, "batch_size": 4, "average": 0.5, "checkpoint_every": 3}
    given["encoder"] |= {"backbone": "squeezenet1_1"}
    return given | {"image_size": 32, "runtime": {"device": "cpu"}}


def experiment(fields: dict[str, Any], runs: Path, **runtime: object) -> Experiment:
    return Experiment.parse({**fields, "runs": str(runs), "runtime": {"device": "cpu", **runtime}})


def words(events: list[Event]) -> list[str]:
    return [type(event).__name__ for event in events if isinstance(event, Step | Saved | Finished)]


def test_numbers_that_are_read_a_step_late_are_those_that_are_read_at_once(
    fields: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_once = read_events(result(train(experiment(fields, tmp_path / "at once"))))
    monkeypatch.setattr(_device, "FEW_AT_A_TIME", {"mps"})
    late = read_events(result(train(experiment(fields, tmp_path / "late"))))
    assert words(late) == words(at_once) == [*["Step"] * 3, "Saved", "Step", "Saved", "Finished"]
    for one, other in zip(late, at_once, strict=True):
        if isinstance(one, Step) and isinstance(other, Step):
            assert one.step == other.step
            assert one.learning_rate == other.learning_rate
            assert one.loss == pytest.approx(other.loss, abs=1e-3)


def test_a_loop_that_is_stopped_logs_the_step_whose_numbers_were_on_their_way(
    fields: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_device, "FEW_AT_A_TIME", {"mps"})
    verb = train(experiment(fields, tmp_path))
    heard = next(event for event in verb if isinstance(event, Step))
    verb.close()
    (run,) = tmp_path.iterdir()
    steps = [event.step for event in read_events(run) if isinstance(event, Step)]
    assert heard.step == 1
    assert steps == [1, 2]
    assert read_state(last_checkpoint(run)).step == 2


def test_a_precision_that_was_measured_is_said_kept_and_not_measured_again(
    fields: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "measured_precision", lambda *_: ("bf16", "bf16 is faster."))
    asked = experiment(fields, tmp_path, precision="auto")
    run = result(train(asked))
    assert Notice("bf16 is faster.") in read_events(run)
    assert read_experiment(run).runtime.precision == "bf16"
    monkeypatch.setattr(precision, "measured_precision", lambda *_: ("float32", "asked again"))
    longer = asked.schedule.model_copy(update={"steps": 5})
    result(train(asked.model_copy(update={"schedule": longer}), run))
    assert read_experiment(run).runtime.precision == "bf16"
    assert Notice("asked again") not in read_events(run)


def test_measuring_changes_neither_the_net_nor_the_random_numbers(
    fields: dict[str, Any], tmp_path: Path
) -> None:
    asked = experiment(fields, tmp_path)
    net = build_model(asked, result(specimens_of(asked))[1].statistics)
    assert isinstance(net, SimCLR)
    before = {name: each.clone() for name, each in net.state_dict().items()}
    random = torch.get_rng_state()
    chosen, why = precision.measured_precision(net, 32)
    assert chosen in ("float32", "bf16")
    assert why.startswith(f"Precision {chosen}: 8 images take ")
    assert torch.equal(torch.get_rng_state(), random)
    for name, each in net.state_dict().items():
        assert torch.equal(each, before[name])
    assert all(weight.grad is None for weight in net.parameters())


def test_threads_of_the_command_line_spin_briefly_then_sleep_unless_told_otherwise() -> None:
    asks = "import os, sys, napari_phenoscape.cli as c\nprint('torch' in sys.modules, "
    asks += "os.environ['OMP_WAIT_POLICY'], os.environ['GOMP_SPINCOUNT'])"
    spins = WAITING["GOMP_SPINCOUNT"]
    asleep, told = f"False PASSIVE {spins}", f"False ACTIVE {spins}"
    free = {name: value for name, value in os.environ.items() if name[:4] not in ("OMP_", "GOMP")}
    for given, said in (({}, asleep), ({"OMP_WAIT_POLICY": "ACTIVE"}, told)):
        words = [sys.executable, "-c", asks]
        end = subprocess.run(words, env=free | given, capture_output=True, text=True, check=True)
        assert end.stdout.strip() == said
