"""Health: whether the net learns, and what to say when the numbers or the memory give out."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray

from napari_phenoscape._device import lacks_memory
from napari_phenoscape.errors import RESUMABLE, TrainingError
from napari_phenoscape.events import Health
from napari_phenoscape.losses import Projections
from napari_phenoscape.specimens import Crops
from napari_phenoscape.training._experiment import Experiment

#: Below this spread (1 = over the whole sphere) the projections have collapsed.
COLLAPSED = 0.1

#: So have they when, from this step on, the loss is at least this share of that of a net that
#: gives every view the same projection.
LEARNS_BY, NOTHING_LEARNED = 50, 0.97

#: Specimens that an error names at most.
NAMED = 5


def health(step: int, spread: float, loss: float, nothing: float) -> Health:
    """What ``spread`` and the recent ``loss`` say; ``nothing`` is the loss of equal projections."""
    verdict = ""
    if spread < COLLAPSED:
        verdict = (
            f"collapsed: all specimens have nearly the same projection (spread {spread:.3f}, "
            "1 = over the whole sphere). Are the images all alike? Else lower the learning rate, "
            "or enlarge the batch."
        )
    elif step >= LEARNS_BY and loss >= NOTHING_LEARNED * nothing:
        verdict = (
            f"collapsed: after {step} steps the loss ({loss:.3f}) is still that of a net that "
            f"tells no specimen from another ({nothing:.3f}). Are the images all alike? Else "
            "change the learning rate, or lessen the augmentations."
        )
    return Health(step, spread, verdict)


def check_finite(
    loss: float, batch: Projections, specimens: NDArray[np.int64], crops: Crops, step: int
) -> None:
    """Stop a training whose loss is not a number, and name who is to blame.

    Parameters
    ----------
    loss, batch
        Of the step, and what it was computed from.
    specimens : (N,)
        Their numbers in ``crops``.
    step
        From 0.

    Raises
    ------
    TrainingError
        The loss is not finite. Named are the specimens whose projections are not finite; if those
        of all are, or none, then the specimens whose values are farthest from the mean.
    """
    if math.isfinite(loss):
        return
    rows = [*batch.z.values(), *batch.patches.values(), *batch.cross.values()]
    sick = torch.stack([~each.detach().isfinite().flatten(1).all(1) for each in rows]).any(0)
    named = sick.view(2, -1).any(0).cpu().numpy()
    if named.any() and not named.all():
        guilty = [crops.ids[i] for i in specimens[named]]
        cause = f"not finite are the projections of {_listed(guilty)}"
        way = "Look at these specimens, or leave them out"
    else:
        extreme = _extremes(crops, specimens)
        order = np.argsort(-extreme)[:NAMED]
        far = [f"{crops.ids[specimens[i]]} ({extreme[i]:.3g})" for i in order]
        cause = (
            f"not finite are {'all projections' if named.any() else 'similarities'}; farthest from "
            f"the mean, in standard deviations of a band, are {_listed(far)}"
        )
        way = "If these look right, lower schedule.learning_rate or set schedule.clip to 1"
    raise TrainingError(
        f"The loss of step {step + 1} is not a number: {cause}. {way}, or use precision float32; "
        f"{RESUMABLE}."
    )


def _extremes(crops: Crops, specimens: NDArray[np.int64]) -> NDArray[np.float64]:
    """(N,) largest distance of a specimen's values from the mean, in standard deviations."""
    found = []
    for i in specimens:
        pixels = crops.images[i].astype(np.float64).reshape(len(crops.mean), -1)
        distance = np.abs(pixels - crops.mean[:, None]) / crops.std[:, None]
        found.append(np.nan_to_num(distance, nan=np.inf).max())
    return np.array(found)


def _listed(names: list[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(names[:NAMED]) + (f" and {more} more" if more > 0 else "")


@contextmanager
def advice(experiment: Experiment, share: int) -> Iterator[None]:
    """Turn "out of memory" into advice; ``share`` is how many specimens a device works on."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not lacks_memory(error):
            raise
        chunk = experiment.runtime.chunk
        together = min(chunk or share, share)
        fewer = max(1, together // 2)
        caching = (
            f"Lower runtime.chunk to {fewer}"
            if chunk
            else f"Set runtime.chunk to {fewer} (gradient caching: the same batch and gradient in "
            "less memory, for backbones without BatchNorm)"
        )
        raise TrainingError(
            f"Out of memory with {together} of {experiment.schedule.batch_size} specimens at a "
            f"time at {experiment.image_size} px. {caching}, or lower schedule.batch_size or "
            f"image_size; {RESUMABLE}."
        ) from None
