"""Emerging: the clusters that a net in training makes so far, on the specimens that are shown."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.analysis import Colouring, by_cluster
from napari_phenoscape.embeddings import NOISE_COLOUR, Clusters, cluster, reduce
from napari_phenoscape.errors import PhenoscapeError
from napari_phenoscape.events import Event, Progress
from napari_phenoscape.training import PCA, Snapshot
from napari_phenoscape.widgets._clustered import ClusteredRun, Projection2D, SoFar

#: Specimens that are embedded at most while a net is trained.
WATCHED = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Emerging(Progress):
    """What is shown, as the net in training tells it apart after ``done`` steps of ``total``."""

    clustered: ClusteredRun


def emerging(
    training: Generator[Event, None, Path], shown: Callable[[], ClusteredRun | None]
) -> Generator[Event, None, Path]:
    """The events of a training, each `Snapshot` as `Emerging`.

    Clusters are found by the method and in the number of those that are shown, and have their
    names and colours where most specimens stay: not those of the snapshot before, since a net that
    knows little yet may swap them, and they would stay swapped. Snapshots of other specimens, or
    that cannot be clustered, are left out: a net that has collapsed is told of by the training.

    Parameters
    ----------
    shown
        What the window shows now.
    """
    with closing(training):
        while True:
            try:
                event = next(training)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            if not isinstance(event, Snapshot):
                yield event
                continue
            clustered = shown()
            if clustered is None or not clustered.rows.keys() >= set(event.specimens):
                continue
            given = clustered.clusters
            try:
                found = cluster(
                    event.x, event.specimens, given.method, given.seed, given, event.space
                )
            except PhenoscapeError:
                continue
            now = replace(clustered, so_far=_so_far(event, found, clustered))
            yield Emerging("clusters so far", event.done, event.total, now)


def _so_far(snapshot: Snapshot, found: Clusters, clustered: ClusteredRun) -> SoFar:
    rows = np.array([clustered.rows[one] for one in snapshot.specimens], np.intp)
    number = len(clustered.ids)
    grey = np.frombuffer(bytes.fromhex(NOISE_COLOUR.removeprefix("#")), np.uint8)
    colours = np.tile(grey, (number, 1))
    colours[rows] = found.rgb
    title = f"step {snapshot.done} of {snapshot.total}"
    colouring = Colouring(f"Training, {title}:", colours, by_cluster(found).legend)
    before = clustered.plotted.xy[rows]
    xy = np.full((number, 2), np.nan, np.float32)
    xy[rows] = turned(reduce(snapshot.x, PCA(), found.seed), before)
    words = f"pca of {snapshot.space}, {title}, the net alone"
    return SoFar(colouring, Projection2D(xy, words))


def turned(xy: NDArray[np.float32], like: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, 2) places, turned and mirrored until they lie as others do (orthogonal Procrustes)."""
    known = np.isfinite(like).all(axis=1)
    if not known.any():
        return xy
    one, other = (x[known] - x[known].mean(axis=0) for x in (xy, like))
    left, _, right = np.linalg.svd(one.T @ other)
    return np.asarray((xy - xy[known].mean(axis=0)) @ (left @ right), np.float32)
