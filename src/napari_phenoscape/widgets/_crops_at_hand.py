"""Crops at hand: those of the last experiment that was previewed, until something else is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_phenoscape.specimens import Crops
    from napari_phenoscape.training import Experiment


class CropsAtHand:
    """The prepared crops of one experiment."""

    def __init__(self) -> None:
        self._kept: tuple[Any, Crops] | None = None

    def of(self, experiment: Experiment) -> Crops | None:
        """Those of an experiment, if they are at hand."""
        if self._kept is not None and self._kept[0] == _key(experiment):
            return self._kept[1]
        return None

    def keep(self, experiment: Experiment, crops: Crops) -> None:
        """Keep these in place of those before."""
        self._kept = _key(experiment), crops

    def forget(self) -> None:
        """Files may have changed since."""
        self._kept = None


def _key(experiment: Experiment) -> tuple[Any, ...]:
    """What crops depend on."""
    return (
        experiment.collection,
        experiment.modalities,
        experiment.image_size,
        experiment.preparation,
        experiment.nuisance,
        experiment.runs,
    )
