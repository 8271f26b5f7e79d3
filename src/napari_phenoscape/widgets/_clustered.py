"""Clustered run: what the docks, the map and the picture all show, in one piece."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.analysis import Look
from napari_phenoscape.embeddings import Clusters, Embeddings


@dataclass(frozen=True, eq=False)
class Projection2D:
    """Places of the specimens on a plane.

    Parameters
    ----------
    xy : (N, 2)
        Unitless.
    title
        By which method, and of which embeddings.
    """

    xy: NDArray[np.float32]
    title: str


@dataclass(frozen=True, eq=False)
class Backdrop:
    """The picture that the specimens are shown on: the cube that they lie in, or a contact sheet.

    Parameters
    ----------
    pictures : (N, 64, 64, 3) uint8 or None
        Thumbnails for a contact sheet; None when the specimens lie in one cube.
    cube
        That cube's file, else None.
    centres : (N, 2)
        Row and column of each specimen in its cube, pixels.
    sides : (N,)
        Longest side of each specimen in pixels of its cube.
    """

    pictures: NDArray[np.uint8] | None
    cube: Path | None
    centres: NDArray[np.float64]
    sides: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class EmbeddedSpaces:
    """The embeddings of a run, and the clusters that it was in when it was opened.

    Parameters
    ----------
    spaces
        By name, the joint one last; all of the same specimens.
    clusters
        None unless the run holds some.
    """

    run: Path
    spaces: dict[str, Embeddings]
    clusters: Clusters | None = None


@dataclass(frozen=True, eq=False)
class ClusteredRun:
    """N specimens of a run, embedded, clustered, mapped and pictured.

    Row i is the same specimen everywhere in it. Outside of it rows mean nothing, so whoever
    keeps a specimen, or looks one up in a layer, goes by its id.

    Parameters
    ----------
    clusters
        Of the specimens of ``embeddings``, in their order.
    """

    run: Path
    embeddings: Embeddings
    clusters: Clusters
    map: Projection2D
    backdrop: Backdrop

    @property
    def ids(self) -> tuple[str, ...]:
        """(N,) ids of the specimens."""
        return self.clusters.specimens

    @cached_property
    def rows(self) -> dict[str, int]:
        """The row of each id."""
        return {specimen: row for row, specimen in enumerate(self.ids)}

    def is_of_specimens_of(self, embeddings: Embeddings) -> bool:
        """Whether an id means the same specimen here and in other embeddings.

        Ids are unique within one source only: ``001.png`` is in many folders.
        """
        return self.embeddings.source == embeddings.source


@dataclass(frozen=True, eq=False)
class Looked:
    """A first look, and what the window shows of it."""

    seen: Look
    embedded: EmbeddedSpaces
    clustered: ClusteredRun
