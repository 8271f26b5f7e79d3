"""Embed: from a run and a collection to one row of D numbers per specimen."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape._atomic import scratch
from napari_phenoscape._device import computing, one_late
from napari_phenoscape.embeddings._parts import Part, held, in_parts, net_key
from napari_phenoscape.embeddings._restore import Restored, read_out_once, with_net
from napari_phenoscape.embeddings._table import (
    Embeddings,
    embedded_collection,
    embeddings_path,
    table_of,
    write_embeddings,
)
from napari_phenoscape.errors import BandMismatchError, CheckpointError, CollectionError
from napari_phenoscape.events import Event, Notice, Progress, Saved
from napari_phenoscape.specimens import (
    Collection,
    Crops,
    Source,
    TooFewError,
    check_measured,
    collect,
    left_out,
    without,
)
from napari_phenoscape.training import (
    CropsInParts,
    Experiment,
    batches,
    crops_for,
    crops_in_parts,
    kept_embeddings,
    last_checkpoint,
    launch_shares,
    ranks,
    read_experiment,
)


@computing
def embed(
    run: Path, source: Source | None = None, *, untrained: bool = False, devices: int = 1
) -> Generator[Event, None, dict[str, Embeddings]]:
    """Embed every specimen of a collection with the newest checkpoint of a run.

    Writes Parquet and CSV into ``RUN/embeddings``, files of their own for each space and
    collection; see `embeddings_path`. Many specimens are read and embedded a part at a time, and
    what was computed before a kill is found again.

    Parameters
    ----------
    run
        A run directory.
    source
        Other specimens than those that the run was trained on.
    untrained
        The control: the same net with the weights that training began with.
    devices
        Processes of this machine that share the work; of torchrun and Slurm all do.

    Returns
    -------
    Embeddings by space: each modality, and ``joint`` when there are several. Empty in a process of
    torchrun or Slurm but the first.

    Raises
    ------
    CheckpointError
        The specimens do not have the bands that the run was trained on (a run with the stem
        ``spectral_response`` takes any that have wavelengths), or the net gives no numbers.
    CollectionError
        Specimens changed while they were read, or there are fewer than two.
    """
    experiment = read_experiment(run)
    if devices > 1 and ranks() == 1:
        yield from _share(run, source, experiment, devices, untrained=untrained)
    collection = yield from collect((source or experiment.collection).anchored(Path.cwd()))
    yield from read_out_once(run, experiment, untrained=untrained)
    crops = yield from crops_in_parts(run, collection)
    work = _Embedding(run, crops, untrained=untrained)
    home = embeddings_path(run, source=source, untrained=untrained)
    folder = home.with_name(f".{home.stem}.parts")
    key = net_key(run, untrained)
    with held(folder):
        keys = [f"{key}{own}" for own in work.keys]
        parts = yield from in_parts(folder, keys, crops.crops, work.part, room=crops.room)
        if parts is None:
            return {}
        gone = [one for part in parts for one in part.left_out]
        collection, rows = together(collection, parts)
        yield from left_out(gone, len(collection.specimens))
        spaces = spaces_of(rows, collection, untrained=untrained)
        there = {
            name.removeprefix(PRESENT): own.astype(np.bool_)
            for name, own in rows.items()
            if name.startswith(PRESENT)
        }
        if crops.whole is None and (words := without(there, [s.id for s in collection.specimens])):
            yield Notice(words)
        for embeddings in spaces.values():
            for path in write_embeddings(embeddings, run):
                yield Saved(path)
    return spaces


def _share(
    run: Path, source: Source | None, experiment: Experiment, devices: int, *, untrained: bool
) -> Generator[Event, None, None]:
    """Let processes of this machine compute the parts of `embed`."""
    runtime = experiment.runtime.model_copy(update={"devices": devices, "nodes": 1})
    with scratch() as folder:
        words = ["embed", str(run), *(["--untrained"] if untrained else [])]
        if source is not None:
            others = folder / "experiment.yaml"
            source = source.anchored(Path.cwd())
            there = experiment.model_copy(update={"collection": source})
            others.write_text(there.to_yaml(), "utf-8")
            words += ["--collection", str(others)]
        yield from launch_shares(words, runtime)


class _Embedding:
    """Embeds parts of a collection; the net is made when it is needed, and made anew for bands."""

    def __init__(self, run: Path, crops: CropsInParts, *, untrained: bool) -> None:
        self._run, self._crops, self._untrained = run, crops, untrained
        self._net: Restored | None = None
        #: Of each part, what changes when its specimens do.
        self.keys = [crops.key(number) for number in range(len(crops))]

    def part(
        self, number: int, reading: Generator[Event, None, Crops]
    ) -> Generator[Event, None, Part]:
        try:
            crops = yield from reading
        except TooFewError as error:
            return Part((), left_out=error.left_out)
        if not crops.ids:
            return Part(())
        newest, experiment = last_checkpoint(self._run), read_experiment(self._run)
        rows: dict[str, NDArray[Any]] = {
            **kept_embeddings(newest, experiment, crops, untrained=self._untrained)
        }
        if not rows:
            net = yield from self._restored(crops)
            start, total = self._crops.numbers(number).start, len(self._crops.collection.specimens)
            rows = yield from embedded(net, start, total)
        for name, there in crops.present.items():
            rows[PRESENT + name] = there.astype(np.uint8)
        if self._crops.key(number) != self.keys[number]:
            raise CollectionError(
                f"Files of the specimens {crops.ids[0]} to {crops.ids[-1]} changed while they were "
                "read, so it is not known what was embedded. Run the same again: what did not "
                "change is not computed again."
            )
        return Part(crops.ids, rows, crops.left_out, crops.bands, crops.unmeasured)

    def _restored(self, crops: Crops) -> Generator[Event, None, Restored]:
        """The net, with the specimens of a part."""
        if self._net is None or self._net.crops.statistics != crops.statistics:
            # of levels, what is known of them is known from all
            of = self._crops.whole if self._crops.whole is not None else crops
            collection = self._crops.collection.take(of.ids)
            net = yield from with_net(self._run, collection, of, untrained=self._untrained)
            if net.note and self._net is None:
                yield Notice(net.note)
            self._net = net
        return replace(self._net, crops=crops)


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


def some_specimens(
    run: Path, embeddings: Embeddings, rows: NDArray[np.intp]
) -> Generator[Event, None, Crops]:
    """The specimens of some rows of embeddings, in their order; others need not be read.

    Raises
    ------
    CollectionError
        Some are gone, or cannot be read any more.
    """
    collection = yield from embedded_collection(embeddings)
    parts = yield from crops_in_parts(run, collection)
    chosen = collection.rows(rows.tolist())
    crops = yield from parts.some(chosen)
    check_specimens(embeddings.take(rows), crops.ids)
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


#: Begins the name of the rows that say which specimens have a modality.
PRESENT = "present/"


def embedded(
    net: Restored, start: int, total: int
) -> Generator[Progress, None, dict[str, NDArray[Any]]]:
    """(n, D) by space, of n specimens from number ``start`` on, of a ``total``."""
    looks = net.looks()
    rows: dict[str, list[NDArray[np.float32]]] = {}
    begun = ((batch, net.begun(looks(batch), batch)) for batch in batches(net.crops))
    for batch, found in one_late(begun, net.device):
        for space, h in found().items():
            rows.setdefault(space, []).append(h)
        yield Progress("embedding specimens", start + int(batch[-1]) + 1, total)
    return {space: np.concatenate(h) for space, h in rows.items()}


def together(
    collection: Collection, parts: Sequence[Part]
) -> tuple[Collection, dict[str, NDArray[Any]]]:
    """The specimens of all parts, and their rows.

    Raises
    ------
    BandMismatchError
        Parts have other bands.
    CollectionError
        Fewer than two specimens are left, or a band was measured on none.
    """
    seen = [part for part in parts if part.ids]
    ids = [name for part in seen for name in part.ids]
    gone = [one for part in parts for one in part.left_out]
    if len(ids) < 2:
        raise CollectionError(
            f"{len(gone)} of {len(gone) + len(ids)} specimens cannot be used, and at least 2 that "
            f"can were expected: '{gone[0].path.name}' was left out, since: {gone[0].reason}"
        )
    first = seen[0]
    check_measured([name for name in first.unmeasured if all(name in p.unmeasured for p in seen)])
    for part in seen:
        if part.bands != first.bands and part.bands is not None and first.bands is not None:
            raise BandMismatchError(
                f"'{part.ids[0]}' has other bands ({part.bands.words}) than '{ids[0]}' "
                f"({first.bands.words}); specimens with the same bands were expected. Embed them "
                "apart."
            )
    rows = {name: np.concatenate([part.rows[name] for part in seen]) for name in first.rows}
    return collection.take(ids), rows


def spaces_of(
    rows: dict[str, NDArray[Any]], collection: Collection, *, untrained: bool
) -> dict[str, Embeddings]:
    """Embeddings by space, of (N, D) rows by space and (N,) by modality, who has it.

    Raises
    ------
    CheckpointError
        Some are no numbers.
    """
    table, number = table_of(collection), len(collection.specimens)
    spaces = {
        space: Embeddings(x, table, space, collection.source, untrained)
        for space, x in rows.items()
        if not space.startswith(PRESENT)
    }
    for space, embeddings in spaces.items():
        there = rows.get(PRESENT + space, np.ones(number, np.bool_)).astype(np.bool_)
        none = int((~np.isfinite(embeddings.x[there]).all(axis=1)).sum())
        if none:
            raise CheckpointError(
                f"The {'untrained' if untrained else 'trained'} net gives NaN or infinite "
                f"numbers for {none} of {there.sum()} specimens in '{space}', so they cannot be "
                "compared. Its weights are no numbers, or too large: train again with a lower "
                "learning rate."
            )
    return spaces
