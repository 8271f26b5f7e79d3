"""Gradient: from the specimens of a batch to its loss and the gradient of every weight.

With gradient caching [1]_ only a few specimens are in memory at a time, and the gradient is that
of the whole batch: a first pass keeps features alone; the loss of all of them gives the gradient
of each feature; a second pass over the same views takes it to the weights of the encoders.

References
----------
.. [1] Gao et al. 2021, Scaling deep contrastive learning batch size under memory limited setup
   (GradCache). https://arxiv.org/abs/2101.06983
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from napari_phenoscape._device import together
from napari_phenoscape._distributed import average_gradients, gathered, local_batch
from napari_phenoscape._tables import is_unknown
from napari_phenoscape.errors import OptionError, did_you_mean
from napari_phenoscape.losses import Projections, total_loss
from napari_phenoscape.specimens import Collection, Crops
from napari_phenoscape.training._experiment import Experiment
from napari_phenoscape.training._health import check_finite
from napari_phenoscape.training._inputs import InputPipeline, present
from napari_phenoscape.training._model import SimCLR

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def known_columns(experiment: Experiment, collection: Collection) -> dict[str, NDArray[np.int64]]:
    """(N,) whole numbers of each metadata column that a loss needs, equal where it is.

    -1 where it is not known.

    Raises
    ------
    OptionError
        There is no such column, or it is empty.
    """
    metadata = collection.metadata
    known = {}
    for column in {name for loss in experiment.losses for name in loss.columns}:
        if column not in metadata or (unknown := is_unknown(metadata[column])).all():
            raise OptionError(
                f"A loss names the metadata column '{column}', which the specimens do not have "
                f"(they have {', '.join(metadata.columns) or 'none'}). "
                f"{did_you_mean(column, metadata)}Name one of these, or leave 'positives' "
                "and 'ignore' empty."
            )
        codes = metadata[column].mask(unknown).astype("category").cat.codes
        known[column] = np.asarray(codes, dtype=np.int64)
    return known


class Objective(NamedTuple):
    """What a batch says.

    Parameters
    ----------
    loss : ()
        In nats.
    terms
        Each before its weight.
    batch
        What they were computed from.
    """

    loss: Tensor
    terms: dict[str, Tensor]
    batch: Projections


@dataclass(frozen=True, eq=False)
class Gradient:
    """Adds the gradient of a batch's loss to the ``grad`` of every weight, the same on all ranks.

    Parameters
    ----------
    experiment
        Its losses, and how many specimens may be in memory at a time.
    crops
        The specimens.
    known : (N,) each
        What the losses know of them.
    pipeline
        Makes the views.
    net
        Without what Fabric wraps it in.
    model
        The same within.
    fabric
        Where they are.
    """

    experiment: Experiment
    crops: Crops
    known: dict[str, NDArray[np.int64]]
    pipeline: InputPipeline
    net: SimCLR
    model: Any
    fabric: Fabric

    def __call__(self, batch: NDArray[np.int64], step: int) -> Objective:
        """The loss of (N,) specimens at a step (from 0), after its gradient is known.

        Raises
        ------
        TrainingError
            The loss is not a number. That of an accelerator is not asked for here.
        """
        mine, chunk = local_batch(batch), self.experiment.runtime.chunk
        if 0 < chunk < len(mine):
            return self._cached(batch, np.split(mine, range(chunk, len(mine), chunk)), step)
        images, mixed, matches, there = self.pipeline(mine, step)
        seen = self.model(images, mixed, None if matches is None else matches.cell, there)
        position = None if matches is None else matches.position
        return self._backward(batch, seen.z, seen.patches, seen.cross, position, step)

    def _backward(
        self,
        batch: NDArray[np.int64],
        z: dict[str, Tensor],
        patches: dict[str, Tensor],
        cross: dict[str, Tensor],
        position: Tensor | None,
        step: int,
    ) -> Objective:
        """Loss of the rows of all ranks, and its gradient as far as autograd knows the way."""
        projected = Projections(
            {name: gathered(rows) for name, rows in z.items()},
            {name: codes[batch] for name, codes in self.known.items()},
            {name: gathered(rows) for name, rows in patches.items()},
            None if position is None else gathered(position),
            present(self.crops, batch),
            {name: gathered(rows) for name, rows in cross.items()},
        )
        loss, terms = total_loss(self.experiment.losses, projected)
        if not together(loss.device):
            check_finite(float(loss.detach()), projected, batch, self.crops, step)
        self.fabric.backward(loss)
        return Objective(loss, terms, projected)

    def _cached(
        self, batch: NDArray[np.int64], chunks: Sequence[NDArray[np.int64]], step: int
    ) -> Objective:
        """The same, with the features of one of the ``chunks`` of this rank at a time."""
        device = self.fabric.device
        states, kept, positions = [], [], []
        for chunk in chunks:
            states.append(_random_state(device))
            with torch.no_grad():
                rows, position = self._features(chunk, step)
            kept.append(rows)
            positions.append(position)
        whole = {key: _joined([rows[key] for rows in kept]).requires_grad_() for key in kept[0]}
        kept.clear()
        with self.fabric.autocast():
            there = self.pipeline.present(np.concatenate(chunks))
            projections = self.net.project(*_apart(whole), there)
        position = (
            None if positions[0] is None else _joined([p for p in positions if p is not None])
        )
        objective = self._backward(batch, *projections, position, step)
        start = 0
        for chunk, state in zip(chunks, states, strict=True):
            _set_random_state(device, state)
            rows, _ = self._features(chunk, step)
            stop = start + len(chunk)
            # a space that no loss looks at has no gradient; frozen encoders give none
            grads = {
                key: _part(grad, start, stop)
                for key, each in whole.items()
                if (grad := each.grad) is not None and rows[key].requires_grad
            }
            if grads:
                # already scaled for half precision, as the loss was
                torch.autograd.backward([rows[key] for key in grads], list(grads.values()))
            start = stop
        average_gradients(self.net)
        return objective

    def _features(
        self, chunk: NDArray[np.int64], step: int
    ) -> tuple[dict[tuple[str, str], Tensor], Tensor | None]:
        """What the heads take of (n,) specimens, (2n, ...) each, and where the cells lie."""
        images, mixed, matches, there = self.pipeline(chunk, step)
        cell = None if matches is None else matches.cell
        with self.fabric.autocast():
            h, cells = self.net.features(images, mixed, cell, there)
        rows = {("h", name): each for name, each in h.items()}
        rows |= {("cells", name): each for name, each in cells.items()}
        return rows, None if matches is None else matches.position


def check_caching(experiment: Experiment, net: SimCLR) -> None:
    """Refuse gradient caching where the features of an image depend on the images beside it.

    The norms of the projection heads see the whole batch and may stay; so may those of frozen
    encoders, which do not look at the batch.

    Raises
    ------
    OptionError
        The encoders have BatchNorm.
    """
    norms = sum(isinstance(module, _BatchNorm) for module in net.encoders.modules())
    if experiment.runtime.chunk and norms and not net.frozen:
        raise OptionError(
            f"runtime.chunk (gradient caching) needs a backbone to which every image is alone; "
            f"'{experiment.encoder.backbone}' has BatchNorm in {norms} places. Choose one with "
            "LayerNorm or GroupNorm, e.g. convnext_tiny, swin_t, vit_b_16 or timm:resnet50_gn, "
            "freeze the encoders (encoder.rate: 0), or set runtime.chunk to 0."
        )


def _apart(
    rows: dict[tuple[str, str], Tensor],
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Features and cells, by name."""
    h = {name: each for (what, name), each in rows.items() if what == "h"}
    return h, {name: each for (what, name), each in rows.items() if what == "cells"}


def _joined(parts: Sequence[Tensor]) -> Tensor:
    """(2n, ...) rows of all chunks, from the (2c, ...) of each: first all first views."""
    return torch.cat([part.view(2, -1, *part.shape[1:]) for part in parts], dim=1).flatten(0, 1)


def _part(rows: Tensor, start: int, stop: int) -> Tensor:
    """(2c, ...) rows of the specimens from start to stop, of (2n, ...)."""
    return rows.view(2, -1, *rows.shape[1:])[:, start:stop].flatten(0, 1)


def _random_state(device: torch.device) -> list[Tensor]:
    """Of the CPU, and of an accelerator."""
    states = [torch.get_rng_state()]
    if device.type == "cuda":
        states.append(torch.cuda.get_rng_state(device))
    elif device.type == "mps":
        states.append(torch.mps.get_rng_state())
    return states


def _set_random_state(device: torch.device, states: list[Tensor]) -> None:
    torch.set_rng_state(states[0])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states[1], device)
    elif device.type == "mps":
        torch.mps.set_rng_state(states[1])
