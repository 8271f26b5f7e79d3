"""Working with clusters: merged, split, left out, clustered again in part; undone and redone."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.embeddings._clustering import NOISE, Clusters, inherited
from napari_phenoscape.embeddings._clusters_file import read_clusters, write_clusters
from napari_phenoscape.embeddings._reduction import unit_length
from napari_phenoscape.errors import OptionError
from napari_phenoscape.training import Clustering, KMeans

#: Where a run keeps clusters under a name of the user's.
KEPT = "kept"


def merged(clusters: Clusters, numbers: Collection[int]) -> Clusters:
    """Some clusters as one, which keeps number, name and colour of the largest.

    Raises
    ------
    OptionError
        Fewer than two clusters are given.
    """
    chosen = [number for number in clusters.names if number in numbers and number != NOISE]
    if len(chosen) < 2:
        raise OptionError("Two clusters at least are merged; choose them in the legend with Ctrl.")
    found = clusters.labels.copy()
    found[np.isin(found, chosen)] = chosen[0]
    return _edited(clusters, found, f"merged {_names(clusters, chosen)}")


def excluded(clusters: Clusters, ids: Collection[str]) -> Clusters:
    """Some specimens in no cluster any more."""
    found = clusters.labels.copy()
    found[_members(clusters, ids)] = NOISE
    return _edited(clusters, found, f"left out {len(ids)} specimens")


def split(
    clusters: Clusters, number: int, x: NDArray[np.floating[Any]], parts: int = 2, seed: int = 0
) -> Clusters:
    """A cluster in so many by KMeans; the largest part keeps number, name and colour.

    ``x`` (N, D) are the embeddings of the clusters' specimens, in their order.
    """
    own = clusters.labels == number
    ids = [one for one, inside in zip(clusters.specimens, own, strict=True) if inside]
    again = regrouped(clusters, ids, x, KMeans(clusters=parts), seed)
    return replace(again, edits=(*clusters.edits, f"split {_names(clusters, [number])}"))


def regrouped(
    clusters: Clusters,
    ids: Collection[str],
    x: NDArray[np.floating[Any]],
    method: Clustering,
    seed: int = 0,
) -> Clusters:
    """Some specimens clustered by themselves; the others stay where they are.

    A cluster of which some stay keeps number, name and colour for these; one of which none stays
    hands them to the new cluster that it shares most specimens with.

    Parameters
    ----------
    x : (N, D)
        Embeddings of the clusters' specimens, in their order.

    Raises
    ------
    OptionError
        More clusters are asked for than can be.
    """
    members = _members(clusters, ids)
    found = clusters.labels.copy()
    parts = method.labels(unit_length(x[members]), seed)
    found[members] = np.where(parts == NOISE, NOISE, parts + 1 + found.max(initial=0))
    stay = np.delete(clusters.labels, members)
    counted = np.isin(clusters.labels, stay, invert=True)
    counted[np.setdiff1d(np.arange(len(found)), members)] = True
    words = f"clustered {len(members)} specimens again ({method.kind})"
    return _edited(clusters, found, words, counted)


@dataclass(frozen=True)
class History:
    """Clusters as they are, were, and were before they were undone."""

    now: Clusters
    past: tuple[Clusters, ...] = ()
    future: tuple[Clusters, ...] = ()

    def then(self, clusters: Clusters) -> History:
        """A step on; what was undone is gone."""
        return History(clusters, (*self.past, self.now))

    def undone(self) -> History:
        """A step back, if there is one."""
        if not self.past:
            return self
        return History(self.past[-1], self.past[:-1], (self.now, *self.future))

    def redone(self) -> History:
        """The step that was undone last, if there is one."""
        if not self.future:
            return self
        return History(self.future[0], (*self.past, self.now), self.future[1:])


def kept_path(run: Path, name: str) -> Path:
    """Where a run keeps clusters under a name of their own.

    Raises
    ------
    OptionError
        The name is empty, or is none for a file.
    """
    if not name.strip() or Path(name).name != name or name.startswith("."):
        raise OptionError(
            f"'{name}' cannot be the name of a file; type one of letters and numbers, e.g. morphs."
        )
    return run / "clusters" / KEPT / f"{name.strip()}.parquet"


def keep_clusters(run: Path, clusters: Clusters, name: str) -> Path:
    """Write clusters under a name of their own, beside those that are clustered anew.

    Raises
    ------
    OptionError
        As `kept_path`.
    RunError
        The disk is full or cannot be written.
    """
    path = kept_path(run, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_clusters(clusters, path)
    return path


def read_results(run: Path) -> dict[str, Clusters]:
    """All clusters of a run by name: those of each space, then those that were kept."""
    folder = run / "clusters"
    paths = [*sorted(folder.glob("*.parquet")), *sorted((folder / KEPT).glob("*.parquet"))]
    return {path.stem: read_clusters(path) for path in paths}


def _edited(
    clusters: Clusters,
    found: NDArray[np.int64],
    words: str,
    counted: NDArray[np.bool_] | None = None,
) -> Clusters:
    # of a number that was chosen, this is none any more
    return replace(inherited(found, clusters, counted), edits=(*clusters.edits, words), choice=None)


def _members(clusters: Clusters, ids: Collection[str]) -> NDArray[np.intp]:
    chosen = set(ids)
    return np.flatnonzero([specimen in chosen for specimen in clusters.specimens])


def _names(clusters: Clusters, numbers: Collection[int]) -> str:
    return " and ".join(clusters.names[number] for number in numbers)
