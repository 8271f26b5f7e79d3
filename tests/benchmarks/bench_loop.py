"""What the loop of `train` costs beside its work: views, forward, loss, backward and optimiser.

Theirs is that work alone, on the same specimens with the same net, in the plainest loop. At 0.97x
the loop (batches, learning rate, checks, health, events and their log) takes 3 % of a step.

Two lines say how its threads wait, in processes of their own with the settings of the command line:
beside a program that keeps one core busy, against alone (at 0.526x a step takes 1.9 times as long);
and alone, against threads that spin (at 0.952x it takes 5 % longer). They mean something on an idle
machine of two cores only.
"""

from __future__ import annotations

import itertools
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median

import pytest
import torch

from napari_phenoscape.events import Progress, Step, result
from napari_phenoscape.losses import Projections, total_loss
from napari_phenoscape.samples import write_samples
from napari_phenoscape.samples._experiments import RGB
from napari_phenoscape.training import (
    WAITING,
    Experiment,
    augmenter,
    build_model,
    specimens_of,
    train,
)
from napari_phenoscape.training._recipe import Batches
from tests.benchmarks import Comparison, Figure
from tests.benchmarks.bench_train import STEPS, elsewhere, our_steps

#: Steps between two looks at the clock.
STEPS_TOGETHER = 4


def _bare(experiment: Experiment) -> Callable[[], object]:
    crops = result(specimens_of(experiment))[1]
    views = augmenter(experiment, crops)
    net = build_model(experiment, crops.statistics).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
    images, number = torch.from_numpy(crops.images), itertools.count()
    (modality,) = net.modalities

    batches = Batches(len(crops.ids), experiment.schedule.batch_size, seed=0)

    def step() -> None:
        i = next(number)
        batch = batches(i)
        masks = torch.from_numpy(crops.masks[batch])
        both = views(images, masks, seed=0, step=i, specimens=batch, view=(0, 1), rows=batch)
        loss, _ = total_loss(experiment.losses, Projections(net({modality: both.image}).z))
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def comparisons() -> Iterator[Comparison | Figure]:
    """ResNet-18 on photographs of 64 px."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        samples = result(write_samples(folder / "samples", specimens=32, size=80, drawer=False))
        fields = RGB.anchored(samples).model_dump(mode="json")
        fields["schedule"] = {"steps": STEPS, "batch_size": 32, "checkpoint_every": STEPS}
        experiment = Experiment.parse({**fields, "image_size": 64, "runs": str(folder / "runs")})
        yield Figure("loop-watched", partial(_watched, experiment, snapshots=1000), "% longer", 3)
        yield Figure("loop-shown", partial(_watched, experiment, examples=True), "% longer", 2)
        with our_steps(experiment) as ours:
            yield Comparison("loop", ours, _bare(experiment), 0.97)
        with (
            _waiting(experiment, asleep=True) as sleeping,
            _waiting(experiment, asleep=False) as spinning,
            _busy() as beside,
        ):
            yield Comparison("loop-beside-as-alone", beside(sleeping), sleeping, 1 / 1.9)
            yield Comparison("loop-sleeping-as-spinning", sleeping, spinning, 1 / 1.05)


def _watched(experiment: Experiment, *, snapshots: int = 0, examples: bool = False) -> float:
    """How much more of a processor's time a training takes that tells of its specimens, in %.

    After 25 steps of 8, the net so far embeds all 32 of them, nearly the most that it may, or two
    views of one are drawn as a picture; the first time, at the start, is warm-up.
    """
    schedule = experiment.schedule.model_copy(update={"steps": 26, "batch_size": 8})
    steps, seen, before = list[float](), 0.0, time.process_time()
    asked = experiment.model_copy(update={"schedule": schedule})
    for event in train(asked, snapshots=snapshots, examples=examples):
        now = time.process_time()
        if isinstance(event, Step):
            steps.append(now - before)
        elif isinstance(event, Progress) and steps and len(steps) < schedule.steps:
            seen += now - before
        before = now
    return 100 * seen / (25 * median(steps))


@contextmanager
def _waiting(experiment: Experiment, *, asleep: bool) -> Iterator[Callable[[], object]]:
    """A function that makes steps in a process whose threads soon sleep, or spin, to wait."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in WAITING.items():
            environment.delenv(name, raising=False)
            if asleep:
                environment.setenv(name, value)
        with elsewhere(partial(our_steps, experiment)) as step:
            yield lambda: [step() for _ in range(STEPS_TOGETHER)]


@contextmanager
def _busy() -> Iterator[Callable[[Callable[[], object]], Callable[[], object]]]:
    """What does something beside a program that keeps a core busy, and rests otherwise."""
    program = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    program.send_signal(signal.SIGSTOP)

    def beside(call: Callable[[], object]) -> Callable[[], object]:
        def both() -> None:
            program.send_signal(signal.SIGCONT)
            call()
            program.send_signal(signal.SIGSTOP)

        return both

    try:
        yield beside
    finally:
        program.kill()
        program.wait()
