"""Watching: what a training tells of itself beyond its numbers, without learning otherwise."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from napari_phenoscape.events import Progress
from napari_phenoscape.specimens import Crops
from napari_phenoscape.training._experiment import Experiment

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from napari_phenoscape.training._model import SimCLR


class Watcher(Protocol):
    """Tells something every so many steps."""

    @property
    def every(self) -> int:
        """Steps between two times."""

    def __call__(self, net: SimCLR, step: int) -> Generator[Progress, None, None]:
        """What there is to tell after so many steps."""


@dataclass(frozen=True, slots=True)
class Watched:
    """What is told of a training; see `train`."""

    snapshots: int
    examples: bool

    def watchers(self, experiment: Experiment, crops: Crops, fabric: Fabric) -> tuple[Watcher, ...]:
        """Who tells it, on one device; a net that is compiled is not asked in between."""
        from napari_phenoscape.training._examples import Examples
        from napari_phenoscape.training._snapshots import Snapshots

        found: list[Watcher] = []
        if self.examples and fabric.world_size == 1:
            found.append(Examples(experiment, crops))
        if self.snapshots and fabric.world_size == 1 and not experiment.runtime.compile:
            found.append(Snapshots(experiment, crops, self.snapshots, fabric))
        return tuple(found)
