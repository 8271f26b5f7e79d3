"""Restore: the net of a run, with specimens for it."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cubes import Band
from napari_phenoscape.errors import CheckpointError
from napari_phenoscape.events import Event
from napari_phenoscape.specimens import BandStatistics, Collection, Crops, collect
from napari_phenoscape.training import (
    Experiment,
    augmenter,
    build_model,
    crops_for,
    last_checkpoint,
    load_weights,
    read_experiment,
    read_state,
)

if TYPE_CHECKING:
    import torch

    from napari_phenoscape.training import Representations, SimCLR
    from napari_phenoscape.views import Augmenter

#: Specimens in one forward pass.
BATCH = 64


@dataclass(frozen=True, eq=False)
class Restored:
    """A run's net with the weights of its newest checkpoint, and specimens for it.

    Parameters
    ----------
    untrained
        Its weights are those that training began with instead.
    """

    experiment: Experiment
    collection: Collection
    crops: Crops
    model: SimCLR
    device: torch.device
    untrained: bool

    def images(self, views: Augmenter, batch: NDArray[np.int64], view: int = 0) -> torch.Tensor:
        """(n, C, h, w) one view of some specimens, in reflectance."""
        import torch

        with torch.inference_mode():
            return views(
                torch.from_numpy(self.crops.images[batch]),
                torch.from_numpy(self.crops.masks[batch]),
                seed=self.experiment.seed,
                step=self.experiment.schedule.steps,
                specimens=batch,
                view=view,
            ).image

    def features(self, image: torch.Tensor, batch: NDArray[np.int64]) -> Representations:
        """Features and projections of (n, C, h, w) images of some specimens."""
        import torch

        from napari_phenoscape.training import present

        with torch.inference_mode():
            inputs = {
                name: image[:, torch.from_numpy(index)].to(self.device)
                for name, index in self.crops.modalities.items()
            }
            having = present(self.crops, batch, self.device) or None
            representations: Representations = self.model(inputs, present=having)
        return representations


def restore(
    run: Path, collection: Collection | None = None, *, untrained: bool = False
) -> Generator[Event, None, Restored]:
    """A run's net, and its specimens or those of another collection. Raises as `embed` does."""
    if collection is None:
        collection = yield from collect(read_experiment(run).collection)
    crops = yield from crops_for(run, collection)
    return with_net(run, collection.take(crops.ids), crops, untrained=untrained)


def with_net(run: Path, collection: Collection, crops: Crops, *, untrained: bool) -> Restored:
    """Specimens that were read for a run, with its net."""
    from napari_phenoscape.training import fabric_of

    experiment, checkpoint = read_experiment(run), last_checkpoint(run)
    learnt = read_state(checkpoint).statistics
    if not experiment.encoder.stem.takes_any_bands:
        _check_bands(crops, learnt, run)
    net = build_model(experiment, crops.statistics, pretrained=False)
    if untrained:
        # built for the bands that training began with: curves begin where these lie
        net.load_state_dict(build_model(experiment, learnt).state_dict())
    else:
        load_weights(checkpoint, net, averaged=True)
    fabric = fabric_of(experiment.runtime)
    model = fabric.setup(net)
    net.eval()
    return Restored(experiment, collection, crops, model, fabric.device, untrained)


def whole_views(restored: Restored) -> Augmenter:
    """Whole specimens, as they are."""
    return augmenter(
        restored.experiment.model_copy(update={"augmentations": "none"}), restored.crops
    )


def batches(crops: Crops) -> Iterator[NDArray[np.int64]]:
    """Numbers of specimens that go through a net together."""
    number = len(crops.ids)
    for start in range(0, number, BATCH):
        yield np.arange(start, min(start + BATCH, number))


def _check_bands(crops: Crops, learnt: Mapping[str, BandStatistics], run: Path) -> None:
    for name, own in crops.statistics.items():
        if own.bands != learnt[name].bands:
            raise CheckpointError(
                f"The specimens have {_bands(own.bands)} as modality '{name}'; run '{run.name}' "
                f"was trained on {_bands(learnt[name].bands)}. Embed specimens of the same camera, "
                "or train a run on these."
            )


def _bands(bands: tuple[Band, ...]) -> str:
    return f"{len(bands)} bands ({bands[0].name} to {bands[-1].name})"
