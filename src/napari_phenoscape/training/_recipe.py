"""Recipe: which specimens in which step, how fast, by which optimiser, and the average."""

from __future__ import annotations

import math
from copy import deepcopy
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.specimens import Levels
from napari_phenoscape.training._checkpoint import load_weights
from napari_phenoscape.training._experiment import Schedule

if TYPE_CHECKING:
    from torch import Tensor, optim

    from napari_phenoscape.training._model import SimCLR


class Batches:
    """Which specimens are in which step, a pure function of seed and step.

    Each epoch is a new order of all specimens; what is left over at its end (fewer than a batch)
    sits out. With levels, each batch is of one: as many as asked for, or all that a smaller level
    has; the specimens that no level has, or one that is too small, are together a level. So
    nothing that tells levels apart tells a specimen from the others (InfoNCE conditioned on the
    level [1]_).

    Parameters
    ----------
    specimens
        N.
    batch_size
        Specimens in a batch.
    seed
        Of the order.
    levels
        Of the N specimens; None: all are one.
    ranks
        That share each batch equally.

    References
    ----------
    .. [1] Ma et al. 2021, Conditional contrastive learning for improving fairness in
       self-supervised learning. https://arxiv.org/abs/2106.02866
    """

    def __init__(
        self,
        specimens: int,
        batch_size: int,
        seed: int,
        levels: Levels | None = None,
        ranks: int = 1,
    ) -> None:
        self._number, self._seed = specimens, seed
        self._group = np.zeros(specimens, np.int64)
        if levels is not None:
            for number, level in enumerate(levels.judged, start=1):
                self._group[levels.rows(level)] = number
        sizes = np.bincount(self._group)
        #: Specimens in the batches of each group; 0 where they are too few to be told apart.
        self.sizes = np.minimum(sizes // ranks * ranks, batch_size)
        self.sizes[(sizes < 2) | (self.sizes < 2)] = 0
        self._batches = np.divide(sizes, self.sizes, where=self.sizes > 0, out=0.0 * sizes)
        #: Batches in which each specimen is seen once.
        self.epoch = int(self._batches.astype(int).sum())

    def __call__(self, step: int) -> NDArray[np.int64]:
        """Specimen numbers of a step (from 0), none twice."""
        epoch, position = divmod(step, self.epoch)
        order = np.random.default_rng((self._seed, epoch)).permutation(self._number)
        group, found = self._group[order], list[NDArray[np.int64]]()
        for number, size in enumerate(self.sizes):
            places = np.flatnonzero(group == number)
            ends = range(size, len(places) + 1, size) if size else ()
            found += [places[end - size : end] for end in ends]
        # in the order in which they are full
        return order[sorted(found, key=lambda places: int(places[-1]))[position]]


def step_seed(seed: int, step: int) -> int:
    """Seed of torch's own random numbers in a step (from 0), 32 bits.

    Dropout and stochastic depth become a function of (seed, step), so that resuming is exact.
    """
    return int(np.random.SeedSequence((seed, step)).generate_state(1)[0])


def learning_rate(schedule: Schedule, step: int) -> float:
    """Rate of a step (from 0): linear warm-up, then half a cosine to 0 (SGDR, eq. 5)."""
    warm = max(1, round(schedule.warmup * schedule.steps))
    if step < warm:
        return schedule.learning_rate * (step + 1) / warm
    done = (step - warm) / max(1, schedule.steps - warm)
    return schedule.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


def optimizer_of(
    net: SimCLR, schedule: Schedule, rate: float, *, fused: bool = True
) -> optim.Optimizer:
    """Norms, biases (fewer than two axes) and response curves do not decay.

    The encoders get ``rate`` of the learning rate. A ``fused`` step cannot be clipped in fp16.
    """
    from torch import optim

    from napari_phenoscape.training._optimizers import LARS, AdamW

    parts: dict[tuple[bool, float], list[Tensor]] = {}
    for name, parameter in net.named_parameters():
        if parameter.requires_grad:
            kept = parameter.ndim <= 1 or name.endswith("stem.coefficients")
            share = rate if name.startswith("encoders.") else 1.0
            parts.setdefault((kept, share), []).append(parameter)
    groups = [
        {"params": parts[kept, share], "share": share}
        | {"weight_decay": 0.0 if kept else schedule.weight_decay}
        # in an order of their own: checkpoints number the parameters
        for kept, share in sorted(parts)
    ]
    match schedule.optimizer:
        case "adamw":
            return AdamW(groups, lr=schedule.learning_rate, fused=fused)
        case "sgd":
            return optim.SGD(groups, lr=schedule.learning_rate, momentum=0.9)
        case "lars":
            return LARS(groups, lr=schedule.learning_rate)


class Average:
    """Moving average of the weights and statistics of a net; torch's waits for the device.

    Parameters
    ----------
    net
        Whose they are.
    share
        Of the old, at each step.
    """

    def __init__(self, net: SimCLR, share: float) -> None:
        self.module, self.share, self.begun = deepcopy(net), share, False

    def update(self, net: SimCLR) -> None:
        """After a step; the first one is taken as it is."""
        import torch

        with torch.no_grad():
            for old, new in zip(_state(self.module), _state(net), strict=True):
                if not self.begun:
                    torch._foreach_copy_(old, new)
                elif old and old[0].is_floating_point():
                    torch._foreach_lerp_(old, new, 1 - self.share)
                else:
                    for one, other in zip(old, new, strict=True):
                        one.copy_(one * self.share + other * (1 - self.share))
        self.begun = True


def _state(net: SimCLR) -> tuple[list[Tensor], list[Tensor]]:
    """Weights and statistics: those that are floating-point numbers, and the others."""
    every = [each.detach() for each in (*net.parameters(), *net.buffers())]
    floats = [each for each in every if each.is_floating_point()]
    return floats, [each for each in every if not each.is_floating_point()]


def average_of(net: SimCLR, schedule: Schedule, checkpoint: Path | None) -> Average | None:
    """The moving average of the weights, as it was at the checkpoint."""
    if not schedule.average:
        return None
    average = Average(net, schedule.average)
    if checkpoint is not None:
        load_weights(checkpoint, average.module, averaged=True)
        average.begun = True
    return average
