"""Restore: the net of a run, with specimens for it."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.errors import CheckpointError
from napari_phenoscape.events import Event, Notice
from napari_phenoscape.specimens import BandStatistics, Collection, Crops, collect
from napari_phenoscape.training import (
    Experiment,
    Looks,
    build_model,
    crops_for,
    last_checkpoint,
    load_weights,
    pictures,
    read_experiment,
    read_state,
)

if TYPE_CHECKING:
    import torch

    from napari_phenoscape.training import InstantNet, Representations, SimCLR
    from napari_phenoscape.views import Views


@dataclass(frozen=True, eq=False)
class Restored:
    """A run's net with the weights of its newest checkpoint, and specimens for it.

    Parameters
    ----------
    untrained
        Its weights are those that training began with instead.
    note
        That this machine lacks what the run was trained on; "" where it does not.
    """

    experiment: Experiment
    collection: Collection
    crops: Crops
    model: SimCLR | InstantNet
    device: torch.device
    untrained: bool
    note: str = ""

    def features(self, views: Views, batch: NDArray[np.int64]) -> Representations:
        """Features and projections of views of (n,) specimens."""
        import torch

        from napari_phenoscape.training import present

        with torch.inference_mode():
            images, mask = pictures(self.crops, views, self.device)
            having = present(self.crops, batch) or None
            representations: Representations = self.model(images, mask=mask, present=having)
        return representations

    def looks(self) -> Looks:
        """The views of a specimen from which it is embedded."""
        views = self.experiment.method.readout.views
        return Looks(self.experiment, self.crops, views, self.device)

    def embedding(
        self, views: Iterable[Views], batch: NDArray[np.int64]
    ) -> dict[str, NDArray[np.float32]]:
        """(n, D) by space, the mean over views of n specimens."""
        each = [
            {space: h.float().cpu().numpy() for space, h in self.features(view, batch).h.items()}
            for view in views
        ]
        return {space: np.mean([h[space] for h in each], axis=0) for space in each[0]}


def restore(
    run: Path, collection: Collection | None = None, *, untrained: bool = False
) -> Generator[Event, None, Restored]:
    """A run's net, and its specimens or those of another collection. Raises as `embed` does."""
    if collection is None:
        collection = yield from collect(read_experiment(run).collection)
    crops = yield from crops_for(run, collection)
    net = with_net(run, collection.take(crops.ids), crops, untrained=untrained)
    if net.note:
        yield Notice(net.note)
    return net


def with_net(run: Path, collection: Collection, crops: Crops, *, untrained: bool) -> Restored:
    """Specimens that were read for a run, with its net."""
    from napari_phenoscape.training import InstantNet, fabric_of, runtime_here

    experiment, checkpoint = read_experiment(run), last_checkpoint(run)
    learnt = read_state(checkpoint).statistics
    if not (experiment.method.trains and experiment.encoder.stem.takes_any_bands):
        _check_bands(crops, learnt, run)
    net = build_model(experiment, crops.statistics, pretrained=False)
    if untrained and experiment.method.trains:
        # built for the bands that training began with: curves begin where these lie
        net.load_state_dict(build_model(experiment, learnt).state_dict())
    else:
        load_weights(checkpoint, net, averaged=True)
    if untrained and isinstance(net, InstantNet):
        for readout in net.readouts.values():
            readout.divide_nothing_out()
    runtime, note = runtime_here(experiment.runtime)
    fabric = fabric_of(runtime)
    model = fabric.setup(net)
    net.eval()
    return Restored(experiment, collection, crops, model, fabric.device, untrained, note)


def _check_bands(crops: Crops, learnt: Mapping[str, BandStatistics], run: Path) -> None:
    for name, own in crops.statistics.items():
        if own.bands.short != learnt[name].bands.short:
            raise CheckpointError(
                f"The specimens have other bands ({own.bands.words}) of the modality '{name}' than "
                f"run '{run.name}' was trained on ({learnt[name].bands.words}). Embed specimens of "
                "the same camera, or train a run on these."
            )
