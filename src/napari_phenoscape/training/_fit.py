"""Fit: what `train` does for an instant run."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from napari_phenoscape._device import index
from napari_phenoscape.errors import CollectionError
from napari_phenoscape.events import Event, Finished, Notice, Progress, Saved, Started
from napari_phenoscape.nets import Descriptor
from napari_phenoscape.specimens import Crops, colour_statistics, standardised
from napari_phenoscape.training._checkpoint import State, checkpoints, save_checkpoint
from napari_phenoscape.training._experiment import Experiment
from napari_phenoscape.training._inputs import present
from napari_phenoscape.training._instant import InstantNet
from napari_phenoscape.training._levels import (
    centred,
    level_means,
    mixing_words,
    same_level,
    without_means,
)
from napari_phenoscape.training._looks import Looks, batches, pictures
from napari_phenoscape.training._model import JOINT, SimCLR
from napari_phenoscape.training._run import log_event

if TYPE_CHECKING:
    from lightning_fabric import Fabric

#: Two can always be told apart, and say nothing about a third.
FEWEST_SPECIMENS = 3


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
    """Fit the readouts of a net to views of all specimens, and save it as step 1 of 1.

    The same bits for the same specimens, views and threads. Stopped before that, it begins anew.
    """
    done = len(checkpoints(run))
    try:
        yield Started(run, len(crops.ids), done, 1, str(fabric.device))
        if not done:
            features = yield from fit_readouts(experiment, crops, net, fabric.device)
            levels = crops.levels if experiment.nuisance.centre else None
            offsets, mixed = {}, {}
            for space, having in _having(crops, net).items():
                own = levels and levels.take(np.flatnonzero(having))
                rows = torch.from_numpy(features[space][having]).to(fabric.device)
                with torch.inference_mode():
                    x = net.readouts[space](rows).double().mean(dim=1).cpu().numpy()
                means = level_means(x, own)
                offsets[space] = {level: mean.tolist() for level, mean in means.items()}
                if crops.levels is not None:
                    of = crops.levels.take(np.flatnonzero(having))
                    mixed[space] = float(np.nanmean(same_level(without_means(x, own, means), of)))
            if fabric.is_global_zero:
                yield Saved(save_checkpoint(run, State.of(1, crops, offsets), net))
            if crops.levels is not None:
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
    """Fit the readouts of a net to views of all specimens, on a device.

    Returns
    -------
    (N, V, D) by space: what they were fitted to.
    """
    net.to(device).eval()
    yield from lead(experiment, crops, net, device)
    features = yield from features_of(experiment, crops, net, device)
    fit_to(experiment, crops, net, features)
    return features


def fit_to(
    experiment: Experiment, crops: Crops, net: InstantNet, features: dict[str, NDArray[np.float32]]
) -> None:
    """Fit the readouts of a net to (N, V, D) features by space."""
    levels = crops.levels if experiment.nuisance.centre else None
    for space, having in _having(crops, net).items():
        own = levels and levels.take(np.flatnonzero(having))
        rows = centred(features[space][having], own)
        net.fit(space, rows, experiment.method.readout)


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
            scatter[name] = scatter[name] + descriptor.pixel_scatter(image, mask).double().cpu()
        yield Progress("finding the leading planes", int(batch[-1]) + 1, len(crops.ids))
    for name, descriptor in led.items():
        descriptor.lead(scatter[name] / crops.present[name].sum())


def features_of(
    experiment: Experiment, crops: Crops, net: InstantNet, device: torch.device
) -> Generator[Progress, None, dict[str, NDArray[np.float32]]]:
    """(N, V, D) by space, of the views of which an embedding is the mean."""
    looks = Looks(experiment, crops, experiment.method.readout.views, device)
    rows: dict[str, list[NDArray[np.float32]]] = {space: [] for space in net.spaces}
    for batch in batches(crops):
        having = present(crops, batch) or None
        found = []
        for number, view in enumerate(looks(batch), 1):
            with torch.inference_mode():
                features = net.features(*pictures(crops, view, device), having)
            found.append({space: one.cpu().numpy() for space, one in features.items()})
            done = int(batch[0]) * len(looks) + len(batch) * number
            yield Progress("describing views", done, len(crops.ids) * len(looks))
        for space, parts in rows.items():
            parts.append(np.stack([one[space] for one in found], axis=1))
    return {space: np.concatenate(parts) for space, parts in rows.items()}
