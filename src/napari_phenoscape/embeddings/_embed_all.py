"""Embed all: a run beside its control and beside what needs no training, of the same specimens."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape._device import computing, fetched, one_late
from napari_phenoscape.embeddings._embedding import PRESENT, embedded, spaces_of, together
from napari_phenoscape.embeddings._parts import Part, in_parts, net_key
from napari_phenoscape.embeddings._restore import Restored, with_net
from napari_phenoscape.embeddings._table import Embeddings
from napari_phenoscape.events import Event, Notice, Progress
from napari_phenoscape.nets import (
    AnyFeatures,
    DescriptorFeatures,
    PretrainedNetFeatures,
    offline_net,
)
from napari_phenoscape.specimens import Collection, Crops, collect
from napari_phenoscape.training import (
    CropsInParts,
    Experiment,
    InstantMethod,
    Looks,
    batches,
    crops_for,
    features_of,
    instant_embeddings,
    instant_net,
    kept_embeddings,
    last_checkpoint,
    read_experiment,
    read_state,
)

if TYPE_CHECKING:
    from torch import Tensor

    from napari_phenoscape.training import InstantNet


class Projections(NamedTuple):
    """Projections of two views of N specimens; NaN where one lacks the modality.

    Parameters
    ----------
    z : (2, N, P) each
        By space.
    cross : (2, N, P) each
        By modality, in the space of the loss ``cross_modal``; empty for a run without it.
    """

    z: dict[str, NDArray[np.float32]]
    cross: dict[str, NDArray[np.float32]]


class NetOutput(NamedTuple):
    """What one net makes of N specimens.

    Parameters
    ----------
    spaces
        Embeddings of the whole specimens, by space.
    projections
        Of two views of each. The views are made by the run's augmentations from random numbers
        that no training step uses.
    """

    spaces: dict[str, Embeddings]
    projections: Projections


#: What `embed_all` sets beside a run, and what it is called: with readout, and without.
_OTHERS: dict[AnyFeatures, tuple[str, str]] = {
    DescriptorFeatures(): InstantMethod.outcomes,
    PretrainedNetFeatures(): ("pretrained net", "features of the pretrained net"),
}


@dataclass(frozen=True, eq=False)
class EmbeddedRun:
    """What a run makes of N specimens, beside its control.

    Parameters
    ----------
    crops
        The specimens as the nets saw them.
    trained, untrained
        By the newest weights, and by those that training began with.
    others : (N, D) each
        By name, what stands beside them in the main space: the features of both nets as they are,
        and instant runs of the same specimens and views, by the descriptor and, where it is
        installed, the pretrained net, that the run itself does not have.
    """

    crops: Crops
    trained: NetOutput
    untrained: NetOutput
    others: dict[str, NDArray[np.float32]]


@computing
def embed_all(
    run: Path, folder: Path, collection: Collection | None = None
) -> Generator[Event, None, EmbeddedRun | None]:
    """Embed specimens with the net of a run and with its control, whole and in two views.

    Every file is read once, whatever is asked of the embeddings then.

    Parameters
    ----------
    run
        A run directory.
    folder
        Where what was computed is kept for who runs the same again; see `in_parts`.
    collection
        N specimens; None for the run's own.

    Returns
    -------
    None in a process that does not put together what all have computed.

    Raises
    ------
    CheckpointError
        As `embed` does.
    """
    import torch

    if collection is None:
        collection = yield from collect(read_experiment(run).collection)
    crops = yield from crops_for(run, collection)
    collection = collection.take(crops.ids)
    nets: dict[str, Restored] = {}
    plain: list[str] = []
    experiment = read_experiment(run)
    for untrained in (False, True):
        net = yield from with_net(run, collection, crops, untrained=untrained)
        if net.note and not untrained:
            yield Notice(net.note)
        outcome = experiment.method.outcomes[untrained]
        nets[outcome] = net
        if experiment.method.trains:
            plain.append(f"{outcome} plain")
            nets[plain[-1]] = yield from with_net(
                run, collection, crops, untrained=untrained, plain=True
            )
    instants: dict[tuple[str, str], tuple[Experiment, InstantNet]] = {}
    own = {features.kind for features in experiment.method.features}
    for features, called in _OTHERS.items():
        if features.kind not in own and (features.kind == "descriptor" or offline_net()):
            method = InstantMethod(features=(features,))
            instants[called] = yield from instant_net(experiment, crops, method)

    def part(number: int, reading: Generator[Event, None, Crops]) -> Generator[Event, None, Part]:
        rows: dict[str, NDArray[Any]] = {}
        chosen = whole.numbers(number)
        mine = yield from reading
        for name, each in nets.items():
            net = replace(each, crops=mine)
            h = {}
            if name not in plain:
                newest = last_checkpoint(run)
                h = kept_embeddings(newest, experiment, mine, untrained=net.untrained)
            h = h or (yield from embedded(net, chosen.start, len(crops.ids)))
            rows |= {f"{name}/h/{space}": x for space, x in h.items()}
            if name not in plain:
                views = yield from _projected(net, chosen.start, len(crops.ids))
                rows |= {f"{name}/{kind}/{space}": z for (kind, space), z in views.items()}
        for called, (instant, made) in instants.items():
            found = yield from features_of(
                *(instant, mine, made, torch.device("cpu"), np.arange(len(mine.ids))),
                start=chosen.start,
                total=len(crops.ids),
            )
            rows |= {f"{called[0]}/views/{space}": views for space, views in found.items()}
        return Part(mine.ids, rows)

    whole = CropsInParts(experiment, read_state(last_checkpoint(run)), collection, crops)
    key = net_key(run, False, True)
    keys = [f"{key}{whole.key(number)}" for number in range(len(whole))]
    parts = yield from in_parts(folder, keys, whole.crops, part, room=whole.room)
    if parts is None:
        return None
    _, rows = together(collection, parts)

    def of(name: str, kind: str) -> dict[str, NDArray[Any]]:
        start = f"{name}/{kind}/"
        return {key.removeprefix(start): x for key, x in rows.items() if key.startswith(start)}

    present = {f"{PRESENT}{name}": there for name, there in crops.present.items()}
    outputs = []
    for control, outcome in zip((False, True), experiment.method.outcomes, strict=True):
        spaces = spaces_of(of(outcome, "h") | present, collection, untrained=control)
        # (n, 2, P) -> (2, n, P)
        z, cross = (
            {space: z.swapaxes(0, 1) for space, z in of(outcome, kind).items()}
            for kind in Projections._fields
        )
        outputs.append(NetOutput(spaces, Projections(z, cross)))
    others = {}
    for name in plain:
        space, main = list(of(name, "h").items())[-1]
        others[f"{name}, {space}"] = main
    for called, (instant, made) in instants.items():
        views_of = of(called[0], "views")
        others |= instant_embeddings(instant, crops, made, views_of, called)
    return EmbeddedRun(crops, outputs[0], outputs[1], others)


def _projected(
    net: Restored, start: int, total: int
) -> Generator[Progress, None, dict[tuple[str, str], NDArray[Any]]]:
    """(n, 2, P) by kind of projection and space, of n specimens from number ``start`` on."""
    looks = Looks(net.experiment, net.crops, 2, net.device)
    rows: dict[tuple[str, str], list[NDArray[np.float32]]] = {}

    def begun(batch: NDArray[np.int64]) -> dict[tuple[str, str], list[Callable[[], Tensor]]]:
        views: dict[tuple[str, str], list[Callable[[], Tensor]]] = {}
        for view in looks(batch):
            seen = net.features(view, batch)
            for kind in Projections._fields:
                for space, z in getattr(seen, kind).items():
                    views.setdefault((kind, space), []).append(fetched(z.float()))
        return views

    pairs = ((batch, begun(batch)) for batch in batches(net.crops))
    for batch, pair in one_late(pairs, net.device):
        for (kind, space), views in pair.items():
            both = np.stack([view().numpy() for view in views], axis=1)
            if space in net.crops.present:
                both[~net.crops.present[space][batch]] = np.nan
            rows.setdefault((kind, space), []).append(both)
        yield Progress("projecting views", start + int(batch[-1]) + 1, total)
    return {key: np.concatenate(parts) for key, parts in rows.items()}
