"""Snapshots and examples: the training does not notice that it is watched."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from napari_phenoscape.events import Event, Finished, Progress, Step, result
from napari_phenoscape.samples import write_samples
from napari_phenoscape.spectra import stretch, stretched
from napari_phenoscape.training import (
    Example,
    Experiment,
    InstantMethod,
    SimCLR,
    Snapshot,
    _snapshots as snapshots,
    last_checkpoint,
    read_events,
    specimens_of,
    train,
    views_of,
)
from napari_phenoscape.training._examples import Examples
from napari_phenoscape.training._recipe import Batches
from tests.least import least


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("snapshots") / "samples"
    return result(write_samples(folder, specimens=24, size=32, drawer=False))


@pytest.fixture
def experiment(samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Experiment:
    """Three steps, watched every second one."""
    monkeypatch.setattr(Examples, "every", 2)
    monkeypatch.setattr(snapshots, "EVERY", 2)
    monkeypatch.setattr(snapshots, "SHARE", 1.0)
    given = least(samples)
    given["schedule"] |= {"steps": 3, "batch_size": 8}
    return Experiment.parse({**given, "image_size": 32, "runs": str(tmp_path / "runs")})


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(last_checkpoint(run) / "weights.safetensors")


def losses(events: list[Event]) -> list[tuple[int, float]]:
    return [(event.step, event.loss) for event in events if isinstance(event, Step)]


def of_kind(events: list[Event]) -> list[Snapshot]:
    return [event for event in events if isinstance(event, Snapshot)]


def test_what_is_learnt_is_the_same_to_the_bit(experiment: Experiment) -> None:
    alone = list(train(experiment))
    watched = list(train(experiment, snapshots=10, examples=True))
    assert losses(watched) == losses(alone)
    first, second = sorted(experiment.runs.iterdir())
    one, other = weights(first), weights(second)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    # nor do the events of the run tell of it
    kinds = [[type(each) for each in read_events(run)] for run in (first, second)]
    assert kinds[0] == kinds[1]
    assert not of_kind(alone)
    # the same ten specimens, every second step
    seen = of_kind(watched)
    assert [(each.done, each.total) for each in seen] == [(0, 3), (2, 3)]
    assert {each.specimens for each in seen} == {seen[0].specimens}
    assert len(set(seen[0].specimens)) == 10
    assert {each.space for each in seen} == {"rgb+uv"}
    assert all(len(each.x) == 10 and np.isfinite(each.x).all() for each in seen)
    assert not np.array_equal(seen[0].x, seen[1].x)


def test_an_example_is_what_the_net_is_shown_in_that_step(experiment: Experiment) -> None:
    seen = [one for one in train(experiment, examples=True) if isinstance(one, Example)]
    assert [(one.done, one.total) for one in seen] == [(0, 3), (2, 3)]
    crops = result(specimens_of(experiment))[1]
    batches = Batches(24, 8, experiment.seed)
    limits = stretch(crops.images[:, :3].swapaxes(0, 1), crops.masks[:, 0])
    for one in seen:
        assert one.specimen == crops.ids[batches(one.done)[0]]
        views = views_of(
            experiment, crops, crops.ids.index(one.specimen), seed=experiment.seed, step=one.done
        )
        left, right = (stretched(np.asarray(view[:3]), limits) for view in views.image)
        assert np.array_equal(one.picture[:, :32], left)
        assert np.array_equal(one.picture[:, -32:], right)
        assert not np.array_equal(left, right)


def test_a_training_that_is_stopped_while_it_is_watched_is_saved(experiment: Experiment) -> None:
    verb = train(experiment, snapshots=24)
    for event in verb:
        if isinstance(event, Progress) and event.what == "embedding as after step 2":
            break
    verb.close()
    (run,) = experiment.runs.iterdir()
    assert last_checkpoint(run).name == "step-00000002"
    assert read_events(run)[-1] == Finished(run, stopped=True)


def test_an_instant_run_has_nothing_to_watch(experiment: Experiment) -> None:
    instant = experiment.model_copy(update={"method": InstantMethod()})
    told = list(train(instant, snapshots=24, examples=True))
    assert not any(isinstance(event, Example | Snapshot) for event in told)


@pytest.mark.parametrize(
    ("specimens", "batch", "every"), [(72, 18, 25), (1000, 64, 100), (1000, 256, 25)]
)
def test_the_net_sees_at_most_three_views_more_in_a_hundred(
    specimens: int, batch: int, every: int
) -> None:
    # in 25 steps 72 specimens against 18 x 2 views x (forward + twice that backward) x 25 = 2700
    assert snapshots.steps_between(specimens, batch) == every
    assert specimens <= 0.03 * every * 6 * batch


def test_the_net_is_shown_the_same_pictures_in_every_precision(
    experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[torch.Tensor] = []
    embed = SimCLR.embed

    def seen(net: SimCLR, images: dict[str, torch.Tensor], *given: object) -> object:
        shown.append(images["rgb+uv"])
        return embed(net, images, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(SimCLR, "embed", seen)
    for precision in ("float32", "bf16"):
        runtime = experiment.runtime.model_copy(update={"device": "cpu", "precision": precision})
        asked = experiment.model_copy(update={"runtime": runtime})
        work = train(asked, snapshots=4)
        while not isinstance(next(work), Snapshot):
            pass
        work.close()
    torch.testing.assert_close(shown[0], shown[1], atol=0, rtol=0)
