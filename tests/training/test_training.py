"""Training: exact resume, stop, and what it says when something is wrong."""

from __future__ import annotations

import math
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from safetensors.torch import load_file

from napari_phenoscape.embeddings import embed
from napari_phenoscape.errors import (
    CollectionError,
    OptionError,
    PhenoscapeError,
    RunError,
    TrainingError,
)
from napari_phenoscape.events import (
    Finished,
    Health,
    Notice,
    Progress,
    Saved,
    Started,
    Step,
    result,
)
from napari_phenoscape.losses import NTXent
from napari_phenoscape.samples import write_samples
from napari_phenoscape.training import (
    Experiment,
    Schedule,
    augmenter,
    last_checkpoint,
    read_events,
    read_experiment,
    specimens_of,
    train,
    views_of,
)
from napari_phenoscape.training._gradient import Gradient, Objective
from napari_phenoscape.training._interrupts import interrupt_held
from napari_phenoscape.training._optimizers import LARS
from napari_phenoscape.training._recipe import Batches, learning_rate
from tests.least import BACKBONE, least


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("train") / "samples"
    return result(write_samples(folder, specimens=24, size=32, drawer=False))


@pytest.fixture
def experiment(samples: Path, tmp_path: Path) -> Experiment:
    given = least(samples)
    given["schedule"] |= {"steps": 6, "batch_size": 8, "checkpoint_every": 2}
    return Experiment.parse({**given, "image_size": 32, "runs": str(tmp_path / "runs")})


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(last_checkpoint(run) / "weights.safetensors")


def with_steps(experiment: Experiment, steps: int, **given: object) -> Experiment:
    schedule = experiment.schedule.model_copy(update={"steps": steps, **given})
    return experiment.model_copy(update={"schedule": schedule})


def in_chunks(experiment: Experiment, chunk: int) -> Experiment:
    """With gradient caching, and the local loss, on a grid of 2 × 2."""
    given = experiment.model_dump(mode="json") | {"image_size": 48}
    given["encoder"]["backbone"] = "squeezenet1_1"
    given["runtime"]["chunk"] = chunk
    given["losses"] = [{"kind": "nt_xent"}, {"kind": "local_patches", "weight": 0.25}]
    return Experiment.parse(given)


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


@pytest.fixture
def interruptible() -> Iterator[None]:
    """SIGINT as Python has it; a program that a shell starts in the background ignores it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_in_the_middle_of_a_batch_saves_the_batch_and_stops(
    experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    # as a notebook's stop button: SIGINT to a program that does not listen
    whole = Gradient.__call__

    def interrupted(self: Gradient, batch: np.ndarray, step: int) -> Objective:
        if step == 2:
            signal.raise_signal(signal.SIGINT)
        return whole(self, batch, step)

    monkeypatch.setattr(Gradient, "__call__", interrupted)
    before = signal.getsignal(signal.SIGINT)
    steps = []
    with pytest.raises(KeyboardInterrupt, match="saved"):
        steps += [event.step for event in train(experiment) if isinstance(event, Step)]
    assert signal.getsignal(signal.SIGINT) is before
    (run,) = experiment.runs.iterdir()
    assert last_checkpoint(run).name == "step-00000003"
    assert read_events(run)[-2:] == [
        Saved(last_checkpoint(run)),
        Finished(run, stopped=True),
    ]


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_that_is_asked_for_twice_does_not_wait() -> None:
    reached = []

    def batch() -> None:
        with interrupt_held() as asked:
            signal.raise_signal(signal.SIGINT)
            reached.append(len(asked))
            signal.raise_signal(signal.SIGINT)
            reached.append(2)

    with pytest.raises(KeyboardInterrupt):
        batch()
    assert reached == [1]


def test_a_run_is_trained_by_one_program_at_a_time(experiment: Experiment) -> None:
    first = train(experiment)
    run = next(event.run for event in first if isinstance(event, Started))
    with pytest.raises(RunError, match="is being trained by another program"):
        result(train(experiment, run))
    first.close()
    result(train(experiment, run))
    assert last_checkpoint(run).name == "step-00000006"


def test_what_was_left_out_is_told_and_stands_in_the_log(
    experiment: Experiment, tmp_path: Path
) -> None:
    photographs = shutil.copytree(experiment.collection.path, tmp_path / "photographs")
    names = sorted(path.name for path in photographs.rglob("*.tif"))[:2]
    for path in photographs.rglob("*.tif"):
        if path.name in names:
            path.write_bytes(b"II*\0")
    source = experiment.collection.model_copy(update={"path": photographs})
    asked = with_steps(experiment.model_copy(update={"collection": source}), 1)
    told = [event.message for event in train(asked) if isinstance(event, Notice)]
    first = f"2 of 24 left out ('{names[0]}', '{names[1]}'): "
    assert any(words.startswith(first) for words in told)
    (run,) = experiment.runs.iterdir()
    assert [e.message for e in read_events(run) if isinstance(e, Notice)] == told


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
    batches = Batches(24, 8, seed=0)
    epochs = [np.concatenate([batches(s + 3 * e) for s in range(3)]) for e in (0, 1)]
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


def test_steps_that_were_done_cannot_be_taken_back(experiment: Experiment) -> None:
    run = result(train(with_steps(experiment, 2)))
    with pytest.raises(OptionError, match=r"has learned for 2 steps, .* asks for 1 in all"):
        result(train(with_steps(experiment, 1), run))
    assert read_experiment(run).schedule.steps == 2
    # the way out that it names is one
    assert result(train(with_steps(experiment, 2), run)) == run


@pytest.mark.parametrize(
    ("method", "encoder", "words"),
    [
        ("simclr", {"backbone": "resnet81"}, "Nearest: resnet18"),
        ("simclr", {"backbone": "timm:test_resnext"}, "Nearest: test_resnet"),
        ("simclr", {"backbone": "pretrained:dofa_base"}, "no pretrained net that training can"),
        ("simclr", {"weights": "none.pth"}, "no file of weights at"),
        ({"kind": "instant", "features": [{"kind": "pretrained", "weights": "none.pth"}]}, {},
         "no file of weights at"),
    ],
    ids=["torchvision", "timm", "listed", "weights", "instant"],
)  # fmt: skip
def test_a_net_that_is_not_there_is_refused_before_specimens_are_read(
    experiment: Experiment, method: object, encoder: dict[str, object], words: str
) -> None:
    given = {**experiment.model_dump(mode="json"), "method": method}
    given["encoder"] |= encoder
    events = []
    with pytest.raises(PhenoscapeError, match=words):
        events.extend(train(Experiment.parse(given)))
    assert events == []


@pytest.mark.parametrize("every", [2, 100], ids=["a checkpoint", "none yet"])
def test_a_loss_that_is_no_number_names_the_specimens_and_keeps_the_checkpoint(
    experiment: Experiment, monkeypatch: pytest.MonkeyPatch, every: int
) -> None:
    schedule = experiment.schedule.model_copy(update={"checkpoint_every": every})
    verb = train(experiment.model_copy(update={"schedule": schedule}))
    for event in verb:
        if isinstance(event, Step) and event.step == 3:
            monkeypatch.setattr(torch.nn.functional, "normalize", lambda z, dim: z * math.nan)
            with pytest.raises(TrainingError, match=r"step 4 is not a number.*\.tif") as caught:
                next(verb)
            break
    assert str(caught.value).endswith("can be resumed, from its newest checkpoint if it has one.")
    run = next(experiment.runs.iterdir())
    kept = [path.name for path in (run / "checkpoints").glob("step-*")]
    assert kept == (["step-00000002"] if every == 2 else [])
    monkeypatch.undo()
    resumed = next(event for event in train(experiment, run) if isinstance(event, Started))
    assert resumed.step == (2 if every == 2 else 0)


def test_the_preview_shows_the_very_views_that_a_training_step_sees(
    experiment: Experiment,
) -> None:
    """Bit for bit, at a batch position and in a batch that the preview does not know."""
    _, crops = result(specimens_of(experiment))
    step = 2
    batch = Batches(len(crops.ids), 8, experiment.seed)(step)
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


@pytest.mark.parametrize(
    ("optimizer", "chunk"), [("sgd", 0), ("lars", 0), ("adamw", 0), ("lars", 3)]
)
def test_every_recipe_is_resumed_exactly(
    experiment: Experiment, optimizer: str, chunk: int
) -> None:
    asked = with_steps(experiment, 4, optimizer=optimizer, average=0.9, clip=1.0)
    if chunk:
        asked = in_chunks(asked, chunk)
    whole = result(train(asked))
    verb = train(asked)
    for event in verb:
        if isinstance(event, Step) and event.step == 3:
            break
    verb.close()
    torn = sorted(experiment.runs.iterdir())[-1]
    result(train(asked, torn))
    for file in ("weights", "average"):
        one, other = (
            load_file(last_checkpoint(run) / f"{file}.safetensors") for run in (whole, torn)
        )
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)


def test_specimens_are_embedded_with_the_moving_average(experiment: Experiment) -> None:
    run = result(train(with_steps(experiment, 3, average=0.5, checkpoint_every=1)))
    checkpoint = last_checkpoint(run)
    averaged = result(embed(run))["rgb+uv"].x
    (checkpoint / "weights.safetensors").write_bytes(
        (checkpoint / "average.safetensors").read_bytes()
    )
    (checkpoint / "average.safetensors").unlink()
    np.testing.assert_array_equal(result(embed(run))["rgb+uv"].x, averaged)


def test_moving_average_is_the_recursion(experiment: Experiment) -> None:
    seen, verb = [], train(with_steps(experiment, 3, average=0.75, checkpoint_every=1))
    for event in verb:
        if isinstance(event, Saved):
            files = (load_file(event.path / f"{n}.safetensors") for n in ("weights", "average"))
            seen.append([tensors["heads.0.3.weight"] for tensors in files])
    expected = seen[0][0]  # begins as the weights after the first step
    for weight, average in seen:
        expected = 0.75 * expected + 0.25 * weight
        torch.testing.assert_close(average, expected)


def test_epochs_are_counted_in_steps(experiment: Experiment) -> None:
    run = result(train(with_steps(experiment, 2000, epochs=2)))
    assert [e.step for e in read_events(run) if isinstance(e, Step)] == [1, 2, 3, 4, 5, 6]


def test_a_loss_by_a_column_that_is_not_there_is_refused(experiment: Experiment) -> None:
    asked = experiment.model_copy(update={"losses": (NTXent(positives="burrow"),)})
    with pytest.raises(OptionError, match=r"column 'burrow'.*they have .*species"):
        result(train(asked))
    assert not experiment.runs.exists()


def test_supervised_training_reports_its_terms(experiment: Experiment) -> None:
    losses = (NTXent(weight=0.5), NTXent(positives="species", ignore="morph"))
    run = result(train(with_steps(experiment.model_copy(update={"losses": losses}), 2)))
    step = next(event for event in read_events(run) if isinstance(event, Step))
    assert set(step.terms) == {"nt_xent", "nt_xent_2"}
    assert step.loss == pytest.approx(0.5 * step.terms["nt_xent"] + step.terms["nt_xent_2"])


def test_gradient_caching_is_refused_with_batch_norm_before_a_run_is_made(
    experiment: Experiment,
) -> None:
    runtime = experiment.runtime.model_copy(update={"chunk": 4})
    with pytest.raises(OptionError, match=r"'shufflenet_v2_x0_5' has BatchNorm in 56 places"):
        result(train(experiment.model_copy(update={"runtime": runtime})))
    assert not experiment.runs.exists()


def test_the_local_loss_is_a_term_of_its_own_and_its_heads_are_no_part_of_the_embedding(
    experiment: Experiment,
) -> None:
    run = result(train(with_steps(in_chunks(experiment, 3), 2)))
    step = next(event for event in read_events(run) if isinstance(event, Step))
    assert step.loss == pytest.approx(step.terms["nt_xent"] + 0.25 * step.terms["local_patches"])
    assert {"patch_heads.0.0.weight", "patch_heads.0.2.weight"} <= weights(run).keys()
    net = result(embed(run))["rgb+uv"].x
    assert net.shape[0] == 24
    assert not np.isnan(net).any()


def test_what_cannot_be_compiled_is_refused_before_a_run_is_made(
    experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda _: None)
    runtime = experiment.runtime.model_copy(update={"compile": True, "device": "cpu"})
    with pytest.raises(OptionError, match=r"runtime\.compile needs a C\+\+ compiler"):
        result(train(experiment.model_copy(update={"runtime": runtime})))
    assert not experiment.runs.exists()


def test_half_precision_needs_a_gpu(experiment: Experiment) -> None:
    runtime = experiment.runtime.model_copy(update={"precision": "fp16", "device": "cpu"})
    with pytest.raises(OptionError, match="fp16 needs a CUDA GPU"):
        result(train(experiment.model_copy(update={"runtime": runtime})))


def test_lars_scales_the_rate_of_each_layer() -> None:
    layer, bias = torch.nn.Parameter(torch.tensor([[3.0, 4.0]])), torch.nn.Parameter(torch.ones(1))
    groups = [{"params": [layer], "weight_decay": 0.1}, {"params": [bias], "weight_decay": 0.0}]
    optimizer = LARS(groups, lr=2.0)
    for _ in range(2):
        layer.grad, bias.grad = torch.tensor([[0.0, 2.0]]), torch.tensor([0.25])
        before = layer.detach().clone(), bias.detach().clone()
        buffers = [optimizer.state[w].get("momentum_buffer", torch.zeros(1)) for w in (layer, bias)]
        buffers = [buffer.clone() for buffer in buffers]
        optimizer.step()
        size = before[0].norm()
        rate = 0.001 * size / (2.0 + 0.1 * size)
        moved = 0.9 * buffers[0] + 2.0 * rate * (layer.grad + 0.1 * before[0])
        torch.testing.assert_close(layer.detach(), before[0] - moved)
        torch.testing.assert_close(bias.detach(), before[1] - (0.9 * buffers[1] + 2.0 * 0.25))


@pytest.mark.parametrize("preset", ["colour-pattern", "none"])
def test_photographs_that_are_all_alike_are_called_collapsed_within_50_steps(
    tmp_path: Path, preset: str
) -> None:
    for number in range(16):
        picture = np.full((32, 32, 3), 120, np.uint8)
        tifffile.imwrite(tmp_path / f"{number}.tif", picture, photometric="rgb")
    given = {
        "collection": {"kind": "folder", "path": str(tmp_path), "pattern": "*.tif"},
        "image_size": 32,
        "augmentations": preset,
        "encoder": {"backbone": BACKBONE},
        "method": {"kind": "simclr", "readout": "plain"},
        "schedule": {"steps": 50, "batch_size": 16},
        "runs": str(tmp_path / "runs"),
    }
    told = [event for event in train(Experiment.parse(given)) if isinstance(event, Health)]
    assert told[-1].step == 50
    assert told[-1].verdict.startswith("collapsed")
