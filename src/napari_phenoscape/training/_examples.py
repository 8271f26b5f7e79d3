"""Examples: what a training shows its net, now and then, as a picture."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.events import Progress
from napari_phenoscape.specimens import Crops
from napari_phenoscape.spectra import rgb_bands, stretch
from napari_phenoscape.training._batching import batches_of
from napari_phenoscape.training._experiment import Experiment
from napari_phenoscape.training._preview import views_of
from napari_phenoscape.views import view_sheet

if TYPE_CHECKING:
    from napari_phenoscape.training._model import SimCLR

#: Specimens that tell how bright the pictures are.
MEASURED = 64


@dataclass(frozen=True, slots=True, eq=False)
class Example(Progress):
    """Both views of one specimen of the batch that comes after ``done`` steps of ``total``.

    Parameters
    ----------
    specimen
        Its id.
    picture : (h, 2 w + gap, 3) uint8
        The views side by side; all pictures of a training are brightened alike.
    """

    specimen: str
    picture: NDArray[np.uint8]


class Examples:
    """The first specimen of a batch, every so many steps; the training does not notice.

    Parameters
    ----------
    experiment, crops
        What is trained, and on which specimens.
    """

    #: Steps between two.
    every = 25

    def __init__(self, experiment: Experiment, crops: Crops) -> None:
        self._experiment, self._crops = experiment, crops
        self._batches = batches_of(experiment, crops)

    def __call__(self, net: SimCLR, step: int) -> Generator[Progress, None, None]:
        """An `Example` after so many steps."""
        experiment, crops = self._experiment, self._crops
        number = int(self._batches(step)[0])
        views = views_of(experiment, crops, number, seed=experiment.seed, step=step)
        picture = view_sheet(views, crops.bands, limits=self._limits)
        steps = experiment.schedule.steps
        yield Example("two views of a specimen", step, steps, crops.ids[number], picture)

    @cached_property
    def _limits(self) -> tuple[float, float]:
        """Reflectance that is black, and white."""
        some = self._crops.rows(np.arange(min(MEASURED, len(self._crops.ids))))
        images = np.asarray(some.images)[:, list(rgb_bands(some.bands))]
        return stretch(images.swapaxes(0, 1), some.masks[:, 0])
