"""Presets: how much a whole experiment is to compute, from a first look to a publication."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ExperimentPresetName = Literal["look", "quick", "workstation", "paper"]


@dataclass(frozen=True, slots=True)
class ExperimentPreset:
    """How much to compute for specimens whose number and size are known.

    Parameters
    ----------
    words
        What it is for, and how long it takes.
    trains
        Whether a net is trained; else the schedule is that of a training that may follow.
    times
        That each specimen is seen in a training.
    least_steps, most_steps
        Of it, however many specimens there are.
    most_batch
        Specimens of a batch at most.
    most_px
        Side of a view in pixels at most.
    backbone
        Of the encoder, where that does not start from a pretrained net.
    """

    words: str
    trains: bool = True
    times: int = 150
    least_steps: int = 200
    most_steps: int = 2000
    most_batch: int = 64
    most_px: int = 96
    backbone: str = "resnet18"


EXPERIMENT_PRESETS: dict[ExperimentPresetName, ExperimentPreset] = {
    "look": ExperimentPreset(
        "No training: colour and texture are described, and what views vary is divided out. "
        "Seconds to minutes.",
        trains=False,
    ),
    "quick": ExperimentPreset(
        "A short training, to see where it goes. Minutes, on a laptop too.",
        times=20,
        least_steps=50,
        most_steps=300,
    ),
    "workstation": ExperimentPreset(
        "A training that fits most collections. Minutes on a GPU, up to some hours on a processor."
    ),
    "paper": ExperimentPreset(
        "A long training of a large net on large views, to be published. Up to hours on a GPU; on "
        "a processor for small specimens alone.",
        times=800,
        least_steps=2000,
        most_steps=30_000,
        most_batch=128,
        most_px=224,
        backbone="resnet50",
    ),
}
