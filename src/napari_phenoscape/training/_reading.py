"""Reading: the numbers of a step, which are asked for when they have arrived."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_phenoscape._device import fetched, together
from napari_phenoscape.losses import agreement
from napari_phenoscape.specimens import Crops
from napari_phenoscape.training._gradient import Objective
from napari_phenoscape.training._health import check_finite


@dataclass(frozen=True)
class Told:
    """What a step says: see `events.Step`."""

    loss: float
    agreement: float
    terms: dict[str, float]


class Reading:
    """The numbers of a step on their way to the processor.

    Asked for at once, they would make an accelerator's work stop at every step: it is given the
    next step first.

    Parameters
    ----------
    step
        Steps done, this one too.
    rate
        The learning rate that was used.
    objective, specimens : (N,)
        What the batch says, and its specimens.
    joint : (M, P)
        Their projections in the main space.
    """

    def __init__(
        self,
        step: int,
        rate: float,
        objective: Objective,
        specimens: NDArray[np.int64],
        joint: Tensor,
    ) -> None:
        self.step, self.rate, self.specimens = step, rate, len(specimens)
        self.chance = 1 / max(len(joint) - 1, 1)
        self._objective, self._rows = objective, specimens
        numbers = [objective.loss, agreement(joint), *objective.terms.values()]
        self._numbers = fetched(torch.stack([one.detach().float() for one in numbers]))

    def told(self, crops: Crops) -> Told:
        """The numbers, waited for.

        Raises
        ------
        TrainingError
            The loss is not a number.
        """
        loss, share, *terms = self._numbers().tolist()
        objective = self._objective
        if together(objective.loss.device):
            check_finite(loss, objective.batch, self._rows, crops, self.step - 1)
        return Told(loss, share, dict(zip(objective.terms, terms, strict=True)))
