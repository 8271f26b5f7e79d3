"""What the loop of `train` costs beside its work: views, forward, loss, backward and optimiser.

Theirs is that work alone, on the same specimens with the same net, in the plainest loop. At 0.97x
the loop (batches, learning rate, checks, health, events and their log) takes 3 % of a step.
"""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from napari_phenoscape.events import result
from napari_phenoscape.losses import Projections, total_loss
from napari_phenoscape.samples import write_samples
from napari_phenoscape.samples._experiments import RGB
from napari_phenoscape.training import Experiment, augmenter, build_model, specimens_of
from napari_phenoscape.training._recipe import Batches
from tests.benchmarks import Comparison
from tests.benchmarks.bench_train import STEPS, our_steps


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


def comparisons() -> Iterator[Comparison]:
    """ResNet-18 on photographs of 64 px."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        samples = result(write_samples(folder / "samples", specimens=32, size=80, drawer=False))
        fields = RGB.anchored(samples).model_dump(mode="json")
        fields["schedule"] = {"steps": STEPS, "batch_size": 32, "checkpoint_every": STEPS}
        experiment = Experiment.parse({**fields, "image_size": 64, "runs": str(folder / "runs")})
        with our_steps(experiment) as ours:
            yield Comparison("loop", ours, _bare(experiment), 0.97)
