"""Readouts of a trained net: fitted to its own specimens, and kept beside its checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import binomtest
from torch import Tensor

from napari_phenoscape._device import fetched, one_late
from napari_phenoscape.errors import CheckpointError, OptionError
from napari_phenoscape.events import Event, Notice, Progress
from napari_phenoscape.nets import Affine, LinearReadout
from napari_phenoscape.specimens import BandStatistics, Crops
from napari_phenoscape.training._agreement import shared_neighbours
from napari_phenoscape.training._build import build_model
from napari_phenoscape.training._checkpoint import last_checkpoint, load_weights, read_state
from napari_phenoscape.training._experiment import Experiment
from napari_phenoscape.training._fit import (
    embeddings_of,
    fit_readouts,
    fit_to,
    fitted_to,
    lead,
    views_of,
)
from napari_phenoscape.training._inputs import present
from napari_phenoscape.training._instant import InstantNet
from napari_phenoscape.training._kept_readout import (
    keep_embeddings,
    keep_readout,
    keeps,
    load_readout,
)
from napari_phenoscape.training._levels import level_means, without_means
from napari_phenoscape.training._looks import BATCH, Looks, pictures
from napari_phenoscape.training._method import InstantMethod
from napari_phenoscape.training._model import SimCLR
from napari_phenoscape.training._read_net import ReadNet, Readouts, beside

if TYPE_CHECKING:
    from lightning_fabric import Fabric

#: Of the test whether a net tells specimens worse than at its start.
LEVEL = 0.05


def read_net(
    run: Path,
    experiment: Experiment,
    statistics: Mapping[str, BandStatistics],
    *,
    untrained: bool,
    fitted: bool = True,
) -> ReadNet:
    """The net of a run's newest checkpoint, and its readouts where these are fitted.

    Parameters
    ----------
    statistics
        Of the specimens that it is for.
    untrained
        With the weights that training began with instead.
    """
    checkpoint = last_checkpoint(run)
    net = build_model(experiment, statistics, pretrained=False)
    assert isinstance(net, SimCLR)
    if untrained:
        # built for the bands that training began with: curves begin where these lie
        learnt = read_state(checkpoint).statistics
        net.load_state_dict(build_model(experiment, learnt).state_dict())
    else:
        load_weights(checkpoint, net, averaged=True)
    reading = Readouts(experiment, net.widths, statistics)
    if fitted and _fits(experiment):
        load_readout(checkpoint, reading, untrained=untrained)
    return ReadNet(net, reading)


def keeps_readout(run: Path, experiment: Experiment, *, untrained: bool) -> bool:
    """Whether the newest checkpoint has the readouts that the method asks for, if it does."""
    return not _fits(experiment) or keeps(
        last_checkpoint(run), experiment.method, untrained=untrained
    )


class Beside(NamedTuple):
    """The instant embedding that stands beside a trained net.

    Parameters
    ----------
    net
        Fitted.
    x : (n, V, K)
        By space, of views of the specimens that it was fitted to; their means over views, the
        embeddings, have total variance 1.
    """

    net: InstantNet
    x: dict[str, NDArray[np.float32]]


def instant_beside(
    experiment: Experiment, crops: Crops, device: torch.device
) -> Generator[Progress, None, Beside | None]:
    """What stands beside a net, fitted to the specimens of a run; None where nothing does."""
    if experiment.method.beside != "instant":
        return None
    other = beside(experiment)
    net = build_model(other, crops.statistics)
    assert isinstance(net, InstantNet)
    features = yield from fit_readouts(other, crops, net, device)
    for space, readout in net.readouts.items():
        _even(readout, embeddings_of(readout, features[space], device))
    x = {space: views_of(net.readouts[space], of, device) for space, of in features.items()}
    return Beside(net, x)


def read_out(
    run: Path,
    experiment: Experiment,
    crops: Crops,
    fabric: Fabric,
    other: Beside | None,
    *,
    untrained: bool,
) -> Generator[Progress, None, NDArray[np.bool_]]:
    """Fit the readouts of a run's net to views of its own specimens, and keep them.

    The same bits for the same specimens, views and threads.

    Parameters
    ----------
    other
        Of `instant_beside`.

    Returns
    -------
    (n,) whether half of a specimen's views is nearest, of all, to its other half, in the main
    space and by the net alone; none where there is one view.

    Raises
    ------
    CheckpointError
        The net gives no numbers.
    OptionError
        There is nothing to divide out.
    """
    read = read_net(run, experiment, crops.statistics, untrained=untrained, fitted=False)
    net, reading, readout = read.net, read.reading, experiment.method.readout
    reading.beside = other and other.net
    read.to(fabric.device).eval()
    found, x = np.zeros(0, np.bool_), dict[str, NDArray[np.float32]]()
    chosen = fitted_to(crops)
    for space, rows in (yield from _features(experiment, crops, net, fabric)).items():
        _check_finite(rows, space)
        own = reading.readouts[space]
        affine = readout.fit(rows) if readout.views else _centred(rows)
        own.take(affine)
        if space == net.space and readout.views:
            found = _found(affine(rows))
        there = _there(crops, space, chosen)
        if other is not None:
            _even(own, affine(rows).mean(axis=1))
            mine, theirs = embeddings_of(own, rows, fabric.device), other.x[space].mean(axis=1)
            # what a net knows by heart of its own specimens looks as sure as what it has learned;
            # neighbours that numbers of another kind confirm do not
            share = shared_neighbours(mine, theirs[there])
            own.weights = own.weights * share
            reading.confirm(space, share)
        views = np.full((len(chosen), rows.shape[1], own.weights.shape[1]), np.nan, np.float32)
        views[there] = views_of(own, rows, fabric.device)
        if other is not None:
            both = [torch.from_numpy(each).to(fabric.device) for each in (views, other.x[space])]
            views = reading.joined(space, *both).cpu().numpy()
        x[space] = views.mean(axis=1)
    keep_readout(last_checkpoint(run), experiment.method, reading, untrained=untrained)
    keep_embeddings(last_checkpoint(run), experiment, x, crops, untrained=untrained)
    return found


def read_out_both(
    run: Path, experiment: Experiment, crops: Crops, fabric: Fabric
) -> Generator[Event, None, None]:
    """Fit the readouts of a trained net and of its start, and say when the start is better."""
    if keeps_readout(run, experiment, untrained=False):
        return
    try:
        other = yield from instant_beside(experiment, crops, fabric.device)
        trained = yield from read_out(run, experiment, crops, fabric, other, untrained=False)
        start = yield from read_out(run, experiment, crops, fabric, other, untrained=True)
    except (CheckpointError, OptionError) as error:
        yield Notice(f"The readout could not be fitted. {error}")
        return
    yield from worse(trained, start, run)


def instant_net(
    experiment: Experiment, crops: Crops, method: InstantMethod
) -> Generator[Progress, None, tuple[Experiment, InstantNet]]:
    """The experiment and the net of an instant run of the same specimens, not fitted yet."""
    instant = experiment.model_copy(update={"method": method})
    net = build_model(instant, crops.statistics)
    assert isinstance(net, InstantNet)
    device = torch.device("cpu")
    net.to(device).eval()
    yield from lead(instant, crops, net, device)
    return instant, net


def instant_embeddings(
    instant: Experiment,
    crops: Crops,
    net: InstantNet,
    features: dict[str, NDArray[np.float32]],
    names: tuple[str, str],
) -> dict[str, NDArray[np.float32]]:
    """(N, K) of an instant run in its main space, and without its readout, by these names.

    Parameters
    ----------
    instant, net
        Of `instant_net`.
    features : (N, V, D)
        By space, of views of N specimens.
    """
    chosen, readout = fitted_to(crops), net.readouts[net.space]
    fit_to(instant, crops, net, {space: of[chosen] for space, of in features.items()})
    levels = crops.levels if instant.nuisance.centre else None
    found = {}
    for name in names:
        x = embeddings_of(readout, features[net.space], torch.device("cpu"))
        found[f"{name}, {net.space}"] = without_means(x, levels, level_means(x, levels))
        readout.divide_nothing_out(net.widths[net.space])
    return found


def worse(trained: NDArray[np.bool_], start: NDArray[np.bool_], run: Path) -> Iterator[Notice]:
    """Say so where a net finds fewer of (n,) specimens again than its start, beyond chance.

    By the exact sign test of those that one of the two finds (McNemar), two-sided.
    """
    won, lost = int((trained & ~start).sum()), int((start & ~trained).sum())
    if lost > won and binomtest(won, won + lost).pvalue < LEVEL:
        yield Notice(
            "Training made it worse: half of the views of a specimen finds the other half in "
            f"{trained.mean():.0%} of specimens, and did so in {start.mean():.0%} before. Both are "
            f"kept: `phenoscape embed {run} --untrained` gives the start. Train longer or on more "
            "specimens, or take the method 'instant'."
        )


def _fits(experiment: Experiment) -> bool:
    """Whether anything has to be fitted: the features of a net by themselves have one unit."""
    return experiment.method.readout.views > 0 or experiment.method.beside == "instant"


def _centred(rows: NDArray[np.float32]) -> Affine:
    width = rows.shape[-1]
    mean = rows.reshape(-1, width).mean(axis=0, dtype=np.float64)
    return Affine(mean, np.ones(width), np.eye(width))


def _features(
    experiment: Experiment, crops: Crops, net: SimCLR, fabric: Fabric
) -> Generator[Progress, None, dict[str, NDArray[np.float32]]]:
    """(n, V, D) by space, of views of the specimens that have it."""
    looks = Looks(experiment, crops, experiment.method.readout.views, fabric.device)
    chosen = fitted_to(crops)
    number = len(chosen)
    rows: dict[str, list[NDArray[np.float32]]] = {space: [] for space in net.spaces}

    def begun(batch: NDArray[np.int64]) -> list[dict[str, Callable[[], Tensor]]]:
        having = present(crops, batch) or None
        views = []
        for view in looks(batch):
            images, _ = pictures(crops, view, fabric.device)
            with torch.inference_mode(), fabric.autocast():
                h = net.embed(images, having)
            views.append({space: fetched(one.float()) for space, one in h.items()})
        return views

    batches = np.split(chosen, range(BATCH, number, BATCH))
    for batch, views in one_late(((one, begun(one)) for one in batches), fabric.device):
        for space, parts in rows.items():
            there = _there(crops, space, batch)
            parts.append(np.stack([one[space]().numpy() for one in views], axis=1)[there])
        yield Progress("reading out the net", int(np.searchsorted(chosen, batch[-1])) + 1, number)
    return {space: np.concatenate(parts) for space, parts in rows.items()}


def _there(crops: Crops, space: str, batch: NDArray[np.int64]) -> NDArray[np.bool_]:
    """(n,) which specimens of a batch a net sees in a space; whatever they have is their joint."""
    there = crops.present.get(space)
    return np.ones(len(batch), np.bool_) if there is None else there[batch]


def _check_finite(rows: NDArray[np.float32], space: str) -> None:
    none = int((~np.isfinite(rows).all(axis=(1, 2))).sum())
    if none:
        raise CheckpointError(
            f"The net gives NaN or infinite numbers for {none} of {len(rows)} specimens in "
            f"'{space}', so no readout can be fitted to them. Its weights are no numbers, or too "
            "large: train again with a lower learning rate."
        )


def _found(rows: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(n,) whether the mean of a specimen's first half of (n, V, K) views is nearest to its own."""
    half = rows.shape[1] // 2
    one, other = rows[:, :half].mean(axis=1), rows[:, half:].mean(axis=1)
    one, other = (x / np.linalg.norm(x, axis=1, keepdims=True).clip(1e-12) for x in (one, other))
    nearest: NDArray[np.bool_] = (one @ other.T).argmax(axis=1) == np.arange(len(rows))
    return nearest


def _even(readout: LinearReadout, x: NDArray[np.floating]) -> None:
    """Make the total variance of embeddings 1, which are (n, K) by now."""
    total = float(np.nanvar(x, axis=0, dtype=np.float64).sum())
    readout.weights = readout.weights / (total**0.5 if total > 0 else 1.0)
