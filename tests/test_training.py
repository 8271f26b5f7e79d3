"""Training: exact resume, stop, and what it says when something is wrong."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from napari_phenoscape.checkpoint import last_checkpoint
from napari_phenoscape.errors import CollectionError, OptionError, TrainingError
from napari_phenoscape.events import Finished, Progress, Saved, Started, Step, result
from napari_phenoscape.experiment import Experiment, Schedule
from napari_phenoscape.preview import views_of
from napari_phenoscape.run import read_events
from napari_phenoscape.samples import write_samples
from napari_phenoscape.samples.experiments import RGB_UV
from napari_phenoscape.training import (
    augmenter,
    batch_of_step,
    learning_rate,
    specimens_of,
    train,
)


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("train") / "samples"
    return result(write_samples(folder, specimens=24, size=32, drawer=False))


@pytest.fixture
def experiment(samples: Path, tmp_path: Path) -> Experiment:
    given = RGB_UV.anchored(samples).model_dump(mode="json")
    given["schedule"] |= {"steps": 6, "batch_size": 8, "checkpoint_every": 2}
    return Experiment.parse({**given, "image_size": 32, "runs": str(tmp_path / "runs")})


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(last_checkpoint(run) / "weights.safetensors")


def with_steps(experiment: Experiment, steps: int, **given: object) -> Experiment:
    schedule = experiment.schedule.model_copy(update={"steps": steps, **given})
    return experiment.model_copy(update={"schedule": schedule})


def test_a_stopped_and_resumed_run_gives_the_numbers_of_an_uninterrupted_one(
    experiment: Experiment,
) -> None:
    whole = result(train(experiment))
    verb = train(experiment)
    for event in verb:
        if isinstance(event, Step) and event.step == 3:
            break
    verb.close()
    torn = Path(read_events(sorted(experiment.runs.iterdir())[-1])[0].run)  # type: ignore[union-attr]
    assert last_checkpoint(torn).name == "step-00000003"
    assert read_events(torn)[-1] == Finished(torn, stopped=True)
    result(train(experiment, torn))
    one, other = weights(whole), weights(torn)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_run_killed_between_checkpoints_goes_on_from_the_last_one(
    experiment: Experiment, tmp_path: Path
) -> None:
    verb = train(experiment)
    for event in verb:
        if isinstance(event, Step) and event.step == 3:
            # as a kill leaves it: nothing is saved after step 2, the last line is torn
            run = next(experiment.runs.iterdir())
            killed = tmp_path / "killed"
            shutil.copytree(run, killed)
            with (killed / "events.jsonl").open("a") as file:
                file.write('{"event": "St')
    started = next(e for e in train(experiment, killed) if isinstance(e, Started))
    assert started.step == 2
    result(train(experiment, killed))
    one, other = weights(run), weights(killed)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_every_event_is_in_the_log_and_the_checkpoints_are_announced(
    experiment: Experiment,
) -> None:
    events = list(train(experiment))
    run = events[-1].path  # type: ignore[union-attr]
    assert read_events(run) == [e for e in events if not isinstance(e, Progress)]
    assert [e.step for e in events if isinstance(e, Step)] == [1, 2, 3, 4, 5, 6]
    assert [e.path.name[-1] for e in events if isinstance(e, Saved)] == ["2", "4", "6"]


def test_the_rate_rises_then_falls_to_zero() -> None:
    schedule = Schedule(steps=100, warmup=0.1, learning_rate=1.0)
    rates = [learning_rate(schedule, step) for step in range(101)]
    assert rates[:10] == pytest.approx([0.1 * i for i in range(1, 11)])
    assert rates[55] == pytest.approx(0.5)
    assert rates[100] == pytest.approx(0.0)


def test_an_epoch_shows_every_specimen_once_in_a_new_order() -> None:
    epochs = [
        np.concatenate([batch_of_step(s + 3 * e, 24, 8, 0) for s in range(3)]) for e in (0, 1)
    ]
    assert all(sorted(epoch) == list(range(24)) for epoch in epochs)
    assert not np.array_equal(*epochs)


def test_a_batch_larger_than_the_collection_is_refused_before_a_run_is_made(
    experiment: Experiment,
) -> None:
    with pytest.raises(CollectionError, match=r"batch of 64 is larger than .* 24 specimens"):
        result(train(with_steps(experiment, 6, batch_size=64)))
    assert not experiment.runs.exists()


def test_another_experiment_cannot_go_on_with_a_run(experiment: Experiment) -> None:
    run = result(train(with_steps(experiment, 1)))
    with pytest.raises(OptionError, match="trained with another 'modalities'"):
        result(train(experiment.model_copy(update={"modalities": ("rgb",)}), run))


def test_a_loss_that_is_no_number_names_the_specimens_and_keeps_the_checkpoint(
    experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    verb = train(experiment)
    for event in verb:
        if isinstance(event, Step) and event.step == 3:
            monkeypatch.setattr(torch.nn.functional, "normalize", lambda z, dim: z * math.nan)
            with pytest.raises(TrainingError, match=r"step 4 is not a number.*\.tif"):
                next(verb)
            break
    run = next(experiment.runs.iterdir())
    assert last_checkpoint(run).name == "step-00000002"


def test_the_preview_shows_the_very_views_that_a_training_step_sees(
    experiment: Experiment,
) -> None:
    """Bit for bit, at a batch position and in a batch that the preview does not know."""
    _, crops = result(specimens_of(experiment))
    step = 2
    batch = batch_of_step(step, len(crops.ids), 8, experiment.seed)
    images, masks = torch.from_numpy(crops.images[batch]), torch.from_numpy(crops.masks[batch])
    make = augmenter(experiment, crops)
    trained = [
        make(images, masks, seed=experiment.seed, step=step, specimens=batch, view=view).image
        for view in (0, 1)
    ]
    for position in (0, 5):
        shown = views_of(
            experiment, crops, int(batch[position]), seed=experiment.seed, step=step
        ).image
        assert torch.equal(shown, torch.stack([view[position] for view in trained]))
    assert not torch.equal(*shown)
