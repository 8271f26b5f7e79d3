"""Steps of `train` against SimCLR in a Lightning Trainer: ResNet-18, 96 px, images in memory.

3 bands, batch 64: lightly's recipe as its tutorial has it (PIL images, `SimCLRTransform`), against
the same augmentations of ours. 408 bands, batch 16 (theirs would take a minute a step at 64):
Kornia's `AugmentationSequential` and a convolution over all bands, against the spectral response
stem. Both sides in float32; where the CPU has instructions for bf16, ours once more in it against
theirs as it is. Loaders have no workers: all cores belong to torch on both sides. Each side has a
process of its own, as its users start it, and waits while the other makes a step.
"""

from __future__ import annotations

import logging
import multiprocessing
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import kornia.augmentation as kornia
import numpy as np
import pytorch_lightning as lightning
import torch
from lightly.loss import NTXentLoss
from lightly.models.modules import SimCLRProjectionHead
from lightly.transforms import SimCLRTransform
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.models import resnet18

from napari_phenoscape.events import Step, result
from napari_phenoscape.samples import write_samples
from napari_phenoscape.samples._experiments import DRAWER, RGB
from napari_phenoscape.training import Experiment, specimens_of, train
from tests.benchmarks import Comparison

SIZE = 96
ROUNDS = 7
STEPS = 100_000  # more than are ever made


class Images(Dataset[Any]):
    """Images in memory; by default as often as a long epoch needs them."""

    def __init__(
        self, images: list[Any], transform: Callable[[Any], Any], length: int = STEPS * 64
    ) -> None:
        self.images, self.transform, self.length = images, transform, length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> Any:
        return self.transform(self.images[index % len(self.images)])


class Theirs(lightning.LightningModule):
    """SimCLR as in lightly's tutorial."""

    def __init__(self, bands: int, augment: nn.Module | None) -> None:
        super().__init__()
        net = resnet18()
        if bands != 3:
            net.conv1 = nn.Conv2d(bands, 64, 7, 2, 3, bias=False)
        self.backbone = nn.Sequential(*list(net.children())[:-1])
        self.head = SimCLRProjectionHead(512, 512, 128)
        self.loss = NTXentLoss()
        self.augment = augment

    def training_step(self, batch: Any, _: int) -> Tensor:
        views = batch if self.augment is None else [self.augment(batch) for _ in range(2)]
        z0, z1 = (self.head(self.backbone(view).flatten(1)) for view in views)
        loss: Tensor = self.loss(z0, z1)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.06)


class Turnstile(lightning.Callback):
    """Lets a trainer in a thread of its own make one step at a time."""

    def __init__(self) -> None:
        self.go, self.done = threading.Semaphore(0), threading.Semaphore(0)

    def on_train_batch_end(self, *_: Any) -> None:
        self.done.release()
        self.go.acquire()

    def step(self) -> None:
        self.go.release()
        self.done.acquire()


def _their_steps(net: Theirs, images: Images, batch: int) -> Callable[[], object]:
    turnstile = Turnstile()

    def fit() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            lightning.Trainer(
                max_steps=STEPS, accelerator="cpu", logger=False, callbacks=[turnstile],
                enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
            ).fit(net, DataLoader(images, batch_size=batch, drop_last=True))  # fmt: skip

    threading.Thread(target=fit, daemon=True).start()
    turnstile.done.acquire()
    return turnstile.step


@contextmanager
def their_steps(experiment: Experiment) -> Iterator[Callable[[], object]]:
    """A function that makes the next step of theirs, on the specimens of an experiment of ours."""
    crops = result(specimens_of(experiment))[1]
    if len(crops.bands) == 3:
        pixels = np.round(255 * np.clip(crops.images, 0, 1)).astype(np.uint8)
        pictures = Images(
            [Image.fromarray(image.transpose(1, 2, 0)) for image in pixels],
            SimCLRTransform(input_size=SIZE),
        )
        yield _their_steps(Theirs(3, None), pictures, experiment.schedule.batch_size)
        return
    augment = kornia.AugmentationSequential(
        kornia.RandomBrightness((0.75, 1.25), clip_output=False),
        kornia.RandomResizedCrop((SIZE, SIZE), scale=(0.35, 1.0)),
        kornia.RandomHorizontalFlip(),
        kornia.RandomVerticalFlip(),
        kornia.RandomRotation(180.0, p=1.0),
        kornia.RandomGaussianBlur((7, 7), (0.1, 1.0)),
        kornia.RandomGaussianNoise(std=0.02, p=1.0),
        data_keys=["input"],
    )
    scans = Images([torch.from_numpy(image) for image in crops.images], lambda image: image)
    net = Theirs(len(crops.bands), augment)
    yield _their_steps(net, scans, experiment.schedule.batch_size)


@contextmanager
def our_steps(experiment: Experiment) -> Iterator[Callable[[], object]]:
    """A function that makes the next step of a training."""
    with closing(train(experiment)) as verb:
        yield lambda: next(event for event in verb if isinstance(event, Step))


def _experiment(base: Experiment, folder: Path, batch: int, **given: object) -> Experiment:
    fields = base.anchored(folder).model_dump(mode="json")
    fields["schedule"] = {"steps": STEPS, "batch_size": batch, "checkpoint_every": STEPS}
    return Experiment.parse({**fields, "image_size": SIZE, "runs": str(folder / "runs"), **given})


Steps = Callable[[], AbstractContextManager[Callable[[], object]]]


def _serve(steps: Steps, connection: Connection) -> None:
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with steps() as step:
        while connection.recv():
            step()
            connection.send(True)


@contextmanager
def elsewhere(steps: Steps) -> Iterator[Callable[[], object]]:
    """A function that makes the next of the steps, in a process of their own."""
    here, there = multiprocessing.Pipe()
    spawn = multiprocessing.get_context("spawn")
    process = spawn.Process(target=_serve, args=(steps, there), daemon=True)
    process.start()
    there.close()  # so that the end of the process is the end of the pipe

    def step() -> None:
        here.send(True)
        here.recv()

    try:
        yield step
    finally:
        process.kill()


def _both_precisions(name: str, experiment: Experiment, goal: float) -> Iterator[Comparison]:
    """Ours in float32, and in bf16 where that is fast, against theirs in float32."""
    precisions = [("float32", name)]
    if torch.cpu._is_avx512_bf16_supported():
        precisions.append(("bf16", f"{name}-bf16"))
    for precision, called in precisions:
        runtime = experiment.runtime.model_copy(update={"precision": precision})
        own = experiment.model_copy(update={"runtime": runtime})
        with (
            elsewhere(partial(our_steps, own)) as ours,
            elsewhere(partial(their_steps, experiment)) as theirs,
        ):
            yield Comparison(called, ours, theirs, goal, ROUNDS)


def comparisons() -> Iterator[Comparison]:
    """Photographs, then the scanned drawer."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        samples = result(write_samples(folder / "samples", specimens=64, size=120))
        photographs = _experiment(RGB, samples, 64, augmentations="simclr-rgb")
        yield from _both_precisions("train-3-bands", photographs, 2.0)
        yield from _both_precisions("train-408-bands", _experiment(DRAWER, samples, 16), 10.0)
