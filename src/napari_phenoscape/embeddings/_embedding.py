"""Embed: from a run and a collection to one row of D numbers per specimen."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.embeddings._restore import (
    Restored,
    restore,
    with_net,
)
from napari_phenoscape.embeddings._table import (
    Embeddings,
    embedded_collection,
    table_of,
    write_embeddings,
)
from napari_phenoscape.errors import CheckpointError, CollectionError
from napari_phenoscape.events import Event, Notice, Progress, Saved
from napari_phenoscape.nets import (
    AnyFeatures,
    DescriptorFeatures,
    PretrainedNetFeatures,
    offline_net,
)
from napari_phenoscape.specimens import Collection, Crops, Source, collect
from napari_phenoscape.training import (
    InstantMethod,
    Looks,
    batches,
    crops_for,
    instant_embeddings,
    read_experiment,
)


def embed(
    run: Path, source: Source | None = None, *, untrained: bool = False
) -> Generator[Event, None, dict[str, Embeddings]]:
    """Embed every specimen of a collection with the newest checkpoint of a run.

    Writes Parquet and CSV into ``RUN/embeddings``, files of their own for each space and
    collection; see `embeddings_path`.

    Parameters
    ----------
    run
        A run directory.
    source
        Other specimens than those that the run was trained on.
    untrained
        The control: the same net with the weights that training began with.

    Returns
    -------
    Embeddings by space: each modality, and ``joint`` when there are several.

    Raises
    ------
    CheckpointError
        The specimens do not have the bands that the run was trained on (a run with the stem
        ``spectral_response`` takes any that have wavelengths), or the net gives no numbers.
    """
    collection = None
    if source is not None:
        collection = yield from collect(source.anchored(Path.cwd()))
    net = yield from restore(run, collection, untrained=untrained)
    spaces = yield from _embedded(net)
    for embeddings in spaces.values():
        for path in write_embeddings(embeddings, run):
            yield Saved(path)
    return spaces


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


def embed_all(
    run: Path, collection: Collection | None = None
) -> Generator[Event, None, EmbeddedRun]:
    """Embed specimens with the net of a run and with its control, whole and in two views.

    Every file is read once, whatever is asked of the embeddings then; nothing is written.

    Parameters
    ----------
    run
        A run directory.
    collection
        N specimens; None for the run's own.

    Raises
    ------
    CheckpointError
        As `embed` does.
    """
    if collection is None:
        collection = yield from collect(read_experiment(run).collection)
    crops = yield from crops_for(run, collection)
    collection = collection.take(crops.ids)
    outputs: list[NetOutput] = []
    others: dict[str, NDArray[np.float32]] = {}
    experiment = read_experiment(run)
    for untrained in (False, True):
        net = yield from with_net(run, collection, crops, untrained=untrained)
        if net.note and not untrained:
            yield Notice(net.note)
        outputs.append(NetOutput((yield from _embedded(net)), (yield from _projected(net))))
        if experiment.method.trains:
            net = yield from with_net(run, collection, crops, untrained=untrained, plain=True)
            *_, main = (yield from _embedded(net)).values()
            others[f"{experiment.method.outcomes[untrained]} plain, {main.space}"] = main.x
    own = {features.kind for features in experiment.method.features}
    for features, names in _OTHERS.items():
        if features.kind not in own and (features.kind == "descriptor" or offline_net()):
            method = InstantMethod(features=(features,))
            others |= yield from instant_embeddings(experiment, crops, method, names)
    return EmbeddedRun(crops, outputs[0], outputs[1], others)


def embedded_specimens(run: Path, embeddings: Embeddings) -> Generator[Event, None, Crops]:
    """The specimens of some embeddings as the run's net sees them, in the same order.

    Raises
    ------
    CollectionError
        Some are gone, or cannot be read any more.
    """
    collection = yield from embedded_collection(embeddings)
    crops = yield from crops_for(run, collection)
    check_specimens(embeddings, crops.ids)
    return crops


def check_specimens(embeddings: Embeddings, ids: Sequence[str]) -> None:
    """Refuse (N,) specimens that are not those of the embeddings, in their order.

    Raises
    ------
    CollectionError
        Files were added, removed, renamed or damaged since.
    """
    if embeddings.ids != tuple(ids):
        odd = next(iter({*embeddings.ids} ^ {*ids}), "none, but another order")
        raise CollectionError(
            f"{len(embeddings.ids)} specimens were embedded, and these are {len(ids)} (not in "
            f"both: {odd}). Embed and cluster them again."
        )


def _embedded(net: Restored) -> Generator[Progress, None, dict[str, Embeddings]]:
    looks, number = net.looks(), len(net.crops.ids)
    rows: dict[str, list[NDArray[np.float32]]] = {}
    for batch in batches(net.crops):
        for space, h in net.embedding(looks(batch), batch).items():
            rows.setdefault(space, []).append(h)
        yield Progress("embedding specimens", int(batch[-1]) + 1, number)
    table, source = table_of(net.collection), net.collection.source
    spaces = {
        space: Embeddings(np.concatenate(h), table, space, source, net.untrained)
        for space, h in rows.items()
    }
    for space, embeddings in spaces.items():
        there = net.crops.present.get(space, np.ones(number, np.bool_))
        none = int((~np.isfinite(embeddings.x[there]).all(axis=1)).sum())
        if none:
            raise CheckpointError(
                f"The {'untrained' if net.untrained else 'trained'} net gives NaN or infinite "
                f"numbers for {none} of {there.sum()} specimens in '{space}', so they cannot be "
                "compared. Its weights are no numbers, or too large: train again with a lower "
                "learning rate."
            )
    return spaces


def _projected(net: Restored) -> Generator[Progress, None, Projections]:
    looks, number = Looks(net.experiment, net.crops, 2, net.device), len(net.crops.ids)
    rows: dict[tuple[str, str], list[NDArray[np.float32]]] = {}
    for batch in batches(net.crops):
        pair = [net.features(view, batch) for view in looks(batch)]
        for kind in Projections._fields:
            for space in getattr(pair[0], kind):
                both = np.stack([getattr(view, kind)[space].float().cpu().numpy() for view in pair])
                if space in net.crops.present:
                    both[:, ~net.crops.present[space][batch]] = np.nan
                rows.setdefault((kind, space), []).append(both)
        yield Progress("projecting views", int(batch[-1]) + 1, number)
    whole = {key: np.concatenate(parts, axis=1) for key, parts in rows.items()}
    return Projections(
        *({space: z for (of, space), z in whole.items() if of == kind} for kind in ("z", "cross"))
    )
