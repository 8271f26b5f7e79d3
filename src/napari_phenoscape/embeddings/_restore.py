"""Restore: the net of a run, with specimens for it."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager
from copy import deepcopy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape._device import fetched, placed
from napari_phenoscape.embeddings._norms import Norms, estimating, has_norms
from napari_phenoscape.errors import CheckpointError
from napari_phenoscape.events import Event, Notice, Progress
from napari_phenoscape.nets import Plain
from napari_phenoscape.specimens import BandStatistics, Collection, Crops, collect
from napari_phenoscape.training import (
    BATCH,
    Experiment,
    Looks,
    SimCLRMethod,
    build_model,
    crops_for,
    last_checkpoint,
    level_means,
    load_weights,
    pictures,
    present,
    read_experiment,
    read_state,
    without_means,
)

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from napari_phenoscape.training import InstantNet, ReadNet, Representations
    from napari_phenoscape.views import Views


#: Seconds between two looks whether another process has fitted the readout.
WAIT_S = 0.2

#: The features of a trained net as they are.
PLAIN = SimCLRMethod(readout=Plain(), beside="nothing")


@dataclass(frozen=True, eq=False)
class Restored:
    """A run's net with the weights of its newest checkpoint, and specimens for it.

    Parameters
    ----------
    autocast
        The precision that the run computes a net in, as a context.
    untrained
        Its weights are those that training began with instead.
    norms
        Level of the nuisance → what BatchNorm of the encoders has of its specimens.
    offsets : (D,) each
        Space → level → mean that its embeddings would have, which is taken from them.
    note
        That this machine lacks what the run was trained on; "" where it does not.
    """

    experiment: Experiment
    collection: Collection
    crops: Crops
    model: ReadNet | InstantNet
    device: torch.device
    autocast: Callable[[], AbstractContextManager[None]]
    untrained: bool
    norms: dict[str, Norms] = field(default_factory=dict)
    offsets: dict[str, dict[str, NDArray[np.float64]]] = field(default_factory=dict)
    note: str = ""

    def features(self, views: Views, batch: NDArray[np.int64]) -> Representations:
        """Features and projections of views of (n,) specimens."""
        import torch

        images, mask = pictures(self.crops, views, self.device)
        having = present(self.crops, batch) or None
        with torch.inference_mode(), self.autocast():
            if not self.norms:
                representations: Representations = self.model(images, mask=mask, present=having)
                return representations
            return self._by_level(images, mask, having, batch)

    def _by_level(
        self,
        images: Mapping[str, Tensor],
        mask: Tensor,
        having: Mapping[str, NDArray[np.bool_]] | None,
        batch: NDArray[np.int64],
    ) -> Representations:
        """The same, each level with its own norms."""
        import torch

        from napari_phenoscape.training import Representations

        assert self.crops.levels is not None  # or there were no norms of levels
        levels = self.crops.levels.take(batch)
        names = [levels.names[code] if code >= 0 else "" for code in levels.codes]
        parts, order = [], []
        for name in dict.fromkeys(names):
            rows = np.array([row for row, own in enumerate(names) if own == name])
            at = placed(rows, self.device)
            with self.norms.get(name, Norms()).in_place(self.model):
                parts.append(
                    self.model(
                        {modality: image[at] for modality, image in images.items()},
                        mask=mask[at],
                        present=having
                        and {modality: own[rows] for modality, own in having.items()},
                    )
                )
            order.append(rows)
        back = placed(np.concatenate(order).argsort(), self.device)
        return Representations(
            *(
                {space: torch.cat([part[space] for part in each])[back] for space in each[0]}
                for each in zip(*parts, strict=True)
            )
        )

    def undivided(self) -> Restored:
        """The same, but that nothing is divided out of the features, nor taken from them."""
        model = deepcopy(self.model)
        model.divide_nothing_out()
        return replace(self, model=model, offsets={})

    def looks(self) -> Looks:
        """The views of a specimen from which it is embedded."""
        views = self.experiment.method.readout.views
        return Looks(self.experiment, self.crops, views, self.device)

    def embedding(
        self, views: Iterable[Views], batch: NDArray[np.int64]
    ) -> dict[str, NDArray[np.float32]]:
        """(n, D) by space, the mean over views of n specimens."""
        return self.begun(views, batch)()

    def begun(
        self, views: Iterable[Views], batch: NDArray[np.int64]
    ) -> Callable[[], dict[str, NDArray[np.float32]]]:
        """An `embedding` under way; what comes back waits for it, once called."""
        each = [
            {space: fetched(h.float()) for space, h in self.features(view, batch).h.items()}
            for view in views
        ]
        levels = self.crops.levels and self.crops.levels.take(batch)

        def arrived() -> dict[str, NDArray[np.float32]]:
            return {
                space: without_means(
                    np.mean([h[space]().numpy() for h in each], axis=0),
                    levels,
                    self.offsets.get(space, {}),
                )
                for space in each[0]
            }

        return arrived


def restore(
    run: Path, collection: Collection | None = None, *, untrained: bool = False
) -> Generator[Event, None, Restored]:
    """A run's net, and its specimens or those of another collection. Raises as `embed` does."""
    if collection is None:
        collection = yield from collect(read_experiment(run).collection)
    crops = yield from crops_for(run, collection)
    collection = collection.take(crops.ids)
    net = yield from with_net(run, collection, crops, untrained=untrained)
    if net.note:
        yield Notice(net.note)
    return net


def with_net(
    run: Path, collection: Collection, crops: Crops, *, untrained: bool, plain: bool = False
) -> Generator[Event, None, Restored]:
    """Specimens that were read for a run, with its net; ``plain``: a trained one's features."""
    from napari_phenoscape.training import fabric_of, runtime_here

    experiment, learnt = read_experiment(run), read_state(last_checkpoint(run)).statistics
    if plain:
        experiment = experiment.model_copy(update={"method": PLAIN})
    method, any_bands = experiment.method, experiment.encoder.stem.takes_any_bands
    if not (method.trains and any_bands and method.beside == "nothing"):
        _check_bands(crops, learnt, run, method.trains and any_bands)
    yield from read_out_once(run, experiment, untrained=untrained, own=(collection, crops))
    runtime, note = runtime_here(experiment.runtime)
    fabric = fabric_of(runtime, alone=True)
    model = net_of(run, experiment, crops.statistics, untrained=untrained).to(fabric.device).eval()
    restored = Restored(
        experiment, collection, crops, model, fabric.device, fabric.autocast, untrained, note=note
    )
    return (yield from _with_levels(restored, read_state(last_checkpoint(run)).offsets))


def _with_levels(
    net: Restored, known: Mapping[str, Mapping[str, Sequence[float]]]
) -> Generator[Event, None, Restored]:
    """Norms of each level, and the mean embedding of those that the run does not know."""
    levels, nuisance = net.crops.levels, net.experiment.nuisance
    if levels is None:
        return net
    looks = net.looks()
    if nuisance.norms and net.experiment.method.trains and has_norms(net.model):
        norms = {}
        for done, level in enumerate(levels.judged):
            yield Progress("norms of levels", done, len(levels.judged))
            rows = levels.rows(level)
            parts = np.array_split(rows, max(1, len(rows) // BATCH))
            with estimating(net.model) as estimated:
                for part in parts:
                    for view in looks(part):
                        net.features(view, part)
            norms[level] = estimated[0]
        net = replace(net, norms=norms)
    if not known or not nuisance.centre:
        return net
    offsets = {
        space: {level: np.array(mean) for level, mean in of.items()} for space, of in known.items()
    }
    if net.untrained:
        # the control has dimensions of its own
        offsets = {space: {} for space in known}
    strange = [level for level in levels.judged if all(level not in of for of in offsets.values())]
    if strange:
        rows = np.concatenate([levels.rows(level) for level in strange])
        found: dict[str, list[NDArray[np.float32]]] = {space: [] for space in offsets}
        for part in np.array_split(rows, -(-len(rows) // BATCH)):
            for space, h in net.embedding(looks(part), part).items():
                found[space].append(h)
            yield Progress("means of levels", int(sum(map(len, found[space]))), len(rows))
        for space, rows_of in found.items():
            offsets[space] |= level_means(np.concatenate(rows_of), levels.take(rows))
        if not net.untrained:
            yield Notice(
                f"The run does not know {', '.join(map(repr, strange))} of '{nuisance.name}'; what "
                "is taken out of their embeddings is their mean here."
            )
    return replace(net, offsets=offsets)


def read_out_once(
    run: Path,
    experiment: Experiment,
    *,
    untrained: bool = False,
    own: tuple[Collection, Crops] | None = None,
) -> Generator[Event, None, None]:
    """Fit the readouts of a training that was stopped, which has none yet.

    They are fitted to the specimens that it was trained on, whatever is embedded; ``own`` need not
    be read again if they are these.
    """
    from napari_phenoscape.training import (
        fabric_of,
        instant_beside,
        keeps_readout,
        rank,
        read_out,
        runtime_here,
    )

    def is_there() -> bool:
        return not experiment.method.trains or keeps_readout(run, experiment, untrained=untrained)

    while rank() and not is_there():  # the first of several processes fits it
        yield Progress("waiting for the readout", 0, 1)
        time.sleep(WAIT_S)
    if is_there():
        return
    ids = tuple(read_state(last_checkpoint(run)).specimens)
    if own is None or own[0].source != experiment.collection or own[1].ids != ids:
        collection = yield from collect(experiment.collection)
        crops = yield from crops_for(run, collection.take(ids))
    else:
        crops = own[1]
    fabric = fabric_of(runtime_here(experiment.runtime)[0], alone=True)
    other = yield from instant_beside(experiment, crops, fabric.device)
    yield from read_out(run, experiment, crops, fabric, other, untrained=untrained)


def net_of(
    run: Path,
    experiment: Experiment,
    statistics: Mapping[str, BandStatistics],
    *,
    untrained: bool = False,
) -> ReadNet | InstantNet:
    """The net of a run's newest checkpoint with its readouts, for specimens of these statistics."""
    from napari_phenoscape.training import InstantNet, read_net

    if experiment.method.trains:
        return read_net(run, experiment, statistics, untrained=untrained)
    net = build_model(experiment, statistics, pretrained=False)
    assert isinstance(net, InstantNet)
    load_weights(last_checkpoint(run), net, averaged=True)
    if untrained:
        net.divide_nothing_out()
    return net


def _check_bands(
    crops: Crops, learnt: Mapping[str, BandStatistics], run: Path, any_bands: bool = False
) -> None:
    for name, own in crops.statistics.items():
        if own.bands.short != learnt[name].bands.short:
            raise CheckpointError(
                f"The specimens have other bands ({own.bands.words}) of the modality '{name}' than "
                f"run '{run.name}' was trained on ({learnt[name].bands.words}). Embed specimens of "
                "the same camera, or train a run on these"
                + (" (with method.beside 'nothing' a net takes any)." if any_bands else ".")
            )
