"""Nearest neighbours of our embeddings beside those of lightly's SimCLR: same images, same budget.

    python -m tests.benchmarks.quality wbc.yaml --label "class label" --seeds 3

Theirs is lightly's recipe for RGB as its tutorial has it: `SimCLRTransform`, `NTXentLoss`, SGD at
0.06, a Lightning Trainer; "our optimiser" is the same with the rate, warm-up and AdamW of the
experiment, so that the difference is views and loss alone. Both sides see the same crops, the same
ResNet from random weights, and as many steps of as many specimens. Prints 5-NN accuracy (leave one
out, cosine similarity) of each seed and the median.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as lightning
import torch
from lightly.transforms import SimCLRTransform
from lightly.transforms.utils import IMAGENET_NORMALIZE
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import DataLoader
from torchvision.transforms import functional

from napari_phenoscape.analysis.evaluation._neighbours import knn_correct
from napari_phenoscape.embeddings import embed
from napari_phenoscape.events import result
from napari_phenoscape.specimens import Collection, Crops, colour_statistics
from napari_phenoscape.training import Experiment, Schedule, specimens_of, train
from napari_phenoscape.training._recipe import learning_rate
from napari_phenoscape.views import Augmenter
from tests.benchmarks.bench_train import Images, Theirs


class OurOptimiser(Theirs):
    """lightly's views and loss, with the optimiser of an experiment."""

    def __init__(self, schedule: Schedule) -> None:
        super().__init__(3, None)
        self.schedule = schedule

    def configure_optimizers(self) -> Any:
        schedule = self.schedule
        optimizer = torch.optim.AdamW(
            self.parameters(), lr=schedule.learning_rate, weight_decay=schedule.weight_decay
        )
        share = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: learning_rate(schedule, step) / schedule.learning_rate
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": share, "interval": "step"}}


def _pictures(images: NDArray[np.float32]) -> list[Image.Image]:
    """8 bit, as lightly's transform takes them, of (N, 3, S, S) reflectance."""
    pixels = np.round(255 * np.clip(images, 0, 1)).astype(np.uint8)
    return [Image.fromarray(image.transpose(1, 2, 0)) for image in pixels]


def _their_embeddings(net: Theirs, experiment: Experiment, crops: Crops) -> NDArray[np.float32]:
    """(N, D) after training for the experiment's budget."""
    schedule, size = experiment.schedule, experiment.image_size
    transform = SimCLRTransform(input_size=size)
    loader = DataLoader(
        Images(_pictures(crops.images), transform, len(crops.ids)),
        batch_size=schedule.batch_size,
        shuffle=True,
        drop_last=True,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        lightning.Trainer(
            max_steps=schedule.steps, accelerator="cpu", logger=False,
            enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
        ).fit(net, loader)  # fmt: skip
    whole = Augmenter(
        (), bands=crops.bands, fill=crops.mean, size=size, background=experiment.background
    )
    shown = whole(
        torch.from_numpy(crops.images), torch.from_numpy(crops.masks),
        seed=0, step=0, specimens=np.arange(len(crops.ids)), view=0,
    ).image  # fmt: skip
    rows = []
    net.eval()
    for picture in _pictures(shown.numpy()):
        image = functional.normalize(functional.to_tensor(picture), **IMAGENET_NORMALIZE)
        with torch.inference_mode():
            rows.append(net.backbone(image[None]).flatten(1)[0].numpy())
    return np.array(rows)


def _accuracies(
    experiment: Experiment, collection: Collection, crops: Crops, label: str
) -> dict[str, float]:
    """5-NN accuracy of each way, for one seed."""
    labels = collection.metadata[label].astype(str)

    def accuracy(x: NDArray[np.float32]) -> float:
        return float(knn_correct(x, labels).mean())

    found = {}
    with tempfile.TemporaryDirectory() as folder:
        run = result(train(experiment.model_copy(update={"runs": Path(folder)})))
        for space, embeddings in result(embed(run)).items():
            found[f"ours, {space}"] = accuracy(embeddings.x)
        for space, embeddings in result(embed(run, untrained=True)).items():
            found[f"untrained, {space}"] = accuracy(embeddings.x)
    torch.manual_seed(experiment.seed)
    found["lightly"] = accuracy(_their_embeddings(Theirs(3, None), experiment, crops))
    torch.manual_seed(experiment.seed)
    theirs = OurOptimiser(experiment.schedule)
    found["lightly, our optimiser"] = accuracy(_their_embeddings(theirs, experiment, crops))
    x = colour_statistics(crops)
    found["colour statistics"] = accuracy((x - x.mean(0)) / x.std(0))
    return found


def main() -> None:
    """Print a table of accuracies, a row for each way."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("experiment", type=Path, help="experiment.yaml of RGB specimens")
    parser.add_argument("--label", required=True, help="column of the metadata")
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    experiment = Experiment.read(given.experiment)
    rgb = experiment.model_copy(update={"modalities": ("rgb",)})
    found = []
    for seed in range(given.seeds):
        collection, crops = result(specimens_of(rgb))
        seeded = experiment.model_copy(update={"seed": seed})
        found.append(_accuracies(seeded, collection, crops, given.label))
    for way in found[0]:
        values = [one[way] for one in found]
        each = ", ".join(f"{value:.3f}" for value in values)
        print(f"| {way} | {statistics.median(values):.3f} | {each} |", flush=True)


if __name__ == "__main__":
    main()
