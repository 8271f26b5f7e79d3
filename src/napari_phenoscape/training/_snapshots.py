"""Snapshots: how the net of a training embeds some of its specimens so far."""

from __future__ import annotations

import math
from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from napari_phenoscape.events import Progress
from napari_phenoscape.specimens import Crops
from napari_phenoscape.training._experiment import Experiment
from napari_phenoscape.training._inputs import present
from napari_phenoscape.training._looks import BATCH, Looks, pictures
from napari_phenoscape.training._model import SimCLR

if TYPE_CHECKING:
    from lightning_fabric import Fabric

#: What they may cost, as a share of what the net computes in its steps.
SHARE = 0.03

#: Least steps between two.
EVERY = 25

#: Passes through the net that a specimen costs in a step: two views, and a gradient, which is two.
PASSES = 6


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot(Progress):
    """Embeddings of some specimens by the net so far; ``done`` steps of ``total``.

    Parameters
    ----------
    space
        The main one of the net.
    specimens
        n ids.
    x : (n, D)
        Features of each specimen as it is, by the net alone: no readout, and nothing beside it.
    """

    space: str
    specimens: tuple[str, ...]
    x: NDArray[np.float32]


class Snapshots:
    """Embeds the same specimens, drawn once, every so many steps; the training does not notice.

    Parameters
    ----------
    experiment, crops
        What is trained, and on which specimens.
    most
        Specimens that are embedded at most.
    fabric
        Where, and in which precision.
    """

    def __init__(self, experiment: Experiment, crops: Crops, most: int, fabric: Fabric) -> None:
        self._crops, self._fabric = crops, fabric
        self._steps = experiment.schedule.steps
        self._looks = Looks(experiment, crops, 0, fabric.device)
        drawn = np.random.default_rng(experiment.seed).permutation(len(crops.ids))[:most]
        self._rows = np.sort(drawn)
        #: Steps between two.
        self.every = steps_between(len(drawn), experiment.schedule.batch_size)

    def __call__(self, net: SimCLR, step: int) -> Generator[Progress, None, None]:
        """A `Snapshot` after so many steps; the net is left in training, as it came."""
        crops, parts = self._crops, list[NDArray[np.float32]]()
        for batch in np.split(self._rows, range(BATCH, len(self._rows), BATCH)):
            # where pixels lie is computed in single precision, whatever the net is
            (view,) = self._looks(batch)
            images, _ = pictures(crops, view, self._fabric.device)
            net.eval()
            with torch.inference_mode(), self._fabric.autocast():
                h = net.embed(images, present(crops, batch) or None)[net.space]
            net.train()
            parts.append(h.float().cpu().numpy())
            done = sum(map(len, parts))
            yield Progress(f"embedding as after step {step}", done, len(self._rows))
        specimens = tuple([crops.ids[row] for row in self._rows.tolist()])
        x = np.concatenate(parts)
        yield Snapshot("embeddings so far", step, self._steps, net.space, specimens, x)


def steps_between(specimens: int, batch_size: int) -> int:
    """Two snapshots of so many specimens, so that they cost no more than their share."""
    return EVERY * math.ceil(specimens / (SHARE * PASSES * batch_size * EVERY))
