"""Fit: what `train` does for an instant run."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_phenoscape._device import fetched, index, one_late
from napari_phenoscape.errors import CollectionError
from napari_phenoscape.events import Event, Finished, Notice, Progress, Saved, Started
from napari_phenoscape.nets import Descriptor, LinearReadout
from napari_phenoscape.specimens import Crops, colour_statistics, standardised
from napari_phenoscape.training._checkpoint import State, checkpoints, save_checkpoint
from napari_phenoscape.training._experiment import Experiment
from napari_phenoscape.training._inputs import present
from napari_phenoscape.training._instant import InstantNet
from napari_phenoscape.training._kept_readout import keep_embeddings
from napari_phenoscape.training._levels import (
    centred,
    level_means,
    mixing_words,
    same_level,
    without_means,
)
from napari_phenoscape.training._looks import BATCH, Looks, batches, pictures
from napari_phenoscape.training._model import JOINT, SimCLR
from napari_phenoscape.training._run import log_event

if TYPE_CHECKING:
    from lightning_fabric import Fabric

#: Two can always be told apart, and say nothing about a third.
FEWEST_SPECIMENS = 3

#: Specimens that a readout is fitted to at most, evenly from all.
MOST = 4096


def check_number(crops: Crops, net: InstantNet | SimCLR) -> None:
    """Refuse specimens that are too few to tell any apart.

    Raises
    ------
    CollectionError
        In some space.
    """
    for space, having in _having(crops, net).items():
        if having.sum() < FEWEST_SPECIMENS:
            raise CollectionError(
                f"{having.sum()} specimens have all bands of '{space}'; {FEWEST_SPECIMENS} or more "
                "were expected, since it takes as many to tell any apart. Collect more, or leave "
                "out a modality."
            )


def fit(
    experiment: Experiment, crops: Crops, run: Path, fabric: Fabric, net: InstantNet
) -> Generator[Event, None, None]:
    """Fit the readouts of a net to views of its specimens, and save it as step 1 of 1.

    The same bits for the same specimens, views and threads. Stopped before that, it begins anew.
    """
    done = len(checkpoints(run))
    try:
        yield Started(run, len(crops.ids), done, 1, str(fabric.device))
        if not done:
            features = yield from fit_readouts(experiment, crops, net, fabric.device)
            x = {
                space: embeddings_of(net.readouts[space], of, fabric.device)
                for space, of in features.items()
            }
            levels = crops.levels and crops.levels.take(fitted_to(crops))
            centred_by = levels if experiment.nuisance.centre else None
            means = {space: level_means(of, centred_by) for space, of in x.items()}
            offsets = {
                space: {level: mean.tolist() for level, mean in of.items()}
                for space, of in means.items()
            }
            if fabric.is_global_zero:
                path = save_checkpoint(run, State.of(1, crops, offsets), net)
                keep_embeddings(path, experiment, x, crops)
                yield Saved(path)
            if crops.levels is not None and levels is not None:
                mixed = {
                    space: float(
                        np.nanmean(same_level(without_means(of, centred_by, means[space]), levels))
                    )
                    for space, of in x.items()
                }
                plain = same_level(standardised(colour_statistics(crops)), crops.levels)
                name, before = experiment.nuisance.name, float(np.nanmean(plain))
                yield Notice(mixing_words(name, before, mixed, crops.levels))
    except (GeneratorExit, KeyboardInterrupt):
        if fabric.is_global_zero:
            log_event(run, Finished(run, stopped=not checkpoints(run)))
        raise
    yield Finished(run)


def fit_readouts(
    experiment: Experiment, crops: Crops, net: InstantNet, device: torch.device
) -> Generator[Progress, None, dict[str, NDArray[np.float32]]]:
    """Fit the readouts of a net to views of the specimens that they are `fitted_to`, on a device.

    Returns
    -------
    (n, V, D) by space, of these.
    """
    net.to(device).eval()
    yield from lead(experiment, crops, net, device)
    features = yield from features_of(experiment, crops, net, device, fitted_to(crops))
    fit_to(experiment, crops, net, features)
    return features


def fitted_to(crops: Crops) -> NDArray[np.int64]:
    """(n,) numbers of the specimens that a readout is fitted to."""
    number = min(len(crops.ids), MOST)
    return np.linspace(0, len(crops.ids) - 1, number).round().astype(np.int64)


def fit_to(
    experiment: Experiment, crops: Crops, net: InstantNet, features: dict[str, NDArray[np.float32]]
) -> None:
    """Fit the readouts of a net to (n, V, D) features by space, of what they are `fitted_to`."""
    chosen = fitted_to(crops)
    levels = crops.levels if experiment.nuisance.centre else None
    for space, having in _having(crops, net).items():
        own = np.flatnonzero(having[chosen])
        rows = centred(features[space][own], levels and levels.take(chosen[own]))
        net.fit(space, rows, experiment.method.readout)


def views_of(
    readout: LinearReadout, features: NDArray[np.float32], device: torch.device
) -> NDArray[np.float32]:
    """(n, V, K) of (n, V, D) features; the bits that the net would give."""
    parts = []
    for batch in np.split(features, range(BATCH, len(features), BATCH)):
        with torch.inference_mode():
            views = [readout(torch.from_numpy(view).to(device)) for view in batch.swapaxes(0, 1)]
        parts.append(np.stack([view.cpu().numpy() for view in views], axis=1))
    return np.concatenate(parts)


def embeddings_of(
    readout: LinearReadout, features: NDArray[np.float32], device: torch.device
) -> NDArray[np.float32]:
    """(n, K) the mean over views, of (n, V, D) features; the bits that `embed` would give."""
    mean: NDArray[np.float32] = views_of(readout, features, device).mean(axis=1)
    return mean


def _having(crops: Crops, net: InstantNet | SimCLR) -> dict[str, NDArray[np.bool_]]:
    """(N,) by space, which specimens have all of it."""
    having = {name: crops.present[name] for name in net.modalities}
    if JOINT in net.spaces:
        having[JOINT] = np.asarray(np.stack(list(having.values())).all(axis=0))
    return having


def lead(
    experiment: Experiment, crops: Crops, net: InstantNet, device: torch.device
) -> Generator[Progress, None, None]:
    """Find the leading planes of modalities of many bands, from whole specimens."""
    led = {
        name: module
        for source in net.sources
        for name, module in source.items()
        if isinstance(module, Descriptor) and module.components is not None
    }
    if not led:
        return
    whole = Looks(experiment, crops, 0, device)
    scatter = {name: torch.zeros((), dtype=torch.float64) for name in led}
    for batch in batches(crops):
        (view,) = whole(batch)
        for name, descriptor in led.items():
            there = index(np.flatnonzero(crops.present[name][batch]), view.image.device)
            images, masks = pictures(crops, view, device)
            image, mask = images[name][there], masks[there]
            scatter[name] = scatter[name] + descriptor.pixel_scatter(image, mask).cpu().double()
        yield Progress("finding the leading planes", int(batch[-1]) + 1, len(crops.ids))
    for name, descriptor in led.items():
        descriptor.lead(scatter[name] / crops.present[name].sum())


def features_of(
    experiment: Experiment,
    crops: Crops,
    net: InstantNet,
    device: torch.device,
    specimens: NDArray[np.int64],
    *,
    start: int = 0,
    total: int = 0,
) -> Generator[Progress, None, dict[str, NDArray[np.float32]]]:
    """(n, V, D) by space, of the views of which an embedding is the mean, of some specimens.

    Where these are a part, they are those from number ``start`` on, of a ``total``.
    """
    looks = Looks(experiment, crops, experiment.method.readout.views, device)
    rows: dict[str, list[NDArray[np.float32]]] = {space: [] for space in net.spaces}
    every, seen = (total or len(specimens)) * len(looks), start * len(looks)

    def begun() -> Iterator[tuple[int, dict[str, Callable[[], Tensor]]]]:
        for batch in np.split(specimens, range(BATCH, len(specimens), BATCH)):
            having = present(crops, batch) or None
            for view in looks(batch):
                with torch.inference_mode():
                    features = net.features(*pictures(crops, view, device), having)
                yield len(batch), {space: fetched(one) for space, one in features.items()}

    for number, view in one_late(begun(), device):
        for space, parts in rows.items():
            parts.append(view[space]().numpy())
        seen += number
        yield Progress("describing views", seen, every)
    of_batch = range(0, len(parts), len(looks))
    return {
        space: np.concatenate([np.stack(parts[i : i + len(looks)], axis=1) for i in of_batch])
        for space, parts in rows.items()
    }
