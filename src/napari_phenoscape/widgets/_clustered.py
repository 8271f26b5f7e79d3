"""Clustered run: what the docks, the map and the picture all show, in one piece."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.analysis import CLUSTER, Colouring, Layout, Look, by_cluster
from napari_phenoscape.embeddings import (
    METADATA,
    NOISE,
    Clusters,
    ContactSheet,
    Embeddings,
    contact_sheet,
    unit_length,
)
from napari_phenoscape.spectra import COLOURS
from napari_phenoscape.training import PCA, AnyReduction

if TYPE_CHECKING:
    import pandas as pd

    from napari_phenoscape.analysis import Twins
    from napari_phenoscape.specimens import Crops


@dataclass(frozen=True, eq=False)
class Projection2D:
    """Places of the specimens on a plane.

    Parameters
    ----------
    xy : (N, 2)
        Unitless.
    title
        By which method, and of which embeddings.
    method
        That drew it.
    """

    xy: NDArray[np.float32]
    title: str
    method: AnyReduction = field(default_factory=PCA)


class Appearance(NamedTuple):
    """By what specimens are pictured, coloured and laid out; names as in the combo boxes."""

    picture: str = COLOURS
    colour: str = CLUSTER
    order: str = CLUSTER


AS_MADE = Appearance()


@dataclass(frozen=True, eq=False)
class Backdrop:
    """The picture that the specimens are shown on: the cube that they lie in, or a contact sheet.

    Parameters
    ----------
    pictures : (N, h, h, 3) uint8
        Thumbnails.
    cube
        The cube's file; None for a contact sheet.
    centres : (N, 2)
        Row and column of each specimen in its cube, pixels.
    sides : (N,)
        Longest side of each specimen in pixels of its cube.
    ways
        Names of the pictures that the specimens allow.
    bands
        Names of their bands.
    crops
        The specimens, if they are small enough to be kept.
    """

    pictures: NDArray[np.uint8]
    cube: Path | None
    centres: NDArray[np.float64]
    sides: NDArray[np.float64]
    ways: tuple[str, ...] = (COLOURS,)
    bands: tuple[str, ...] = ()
    crops: Crops | None = None


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
class SoFar:
    """How a net in training tells the same specimens apart so far.

    Parameters
    ----------
    colouring
        Of all N specimens; those that were not asked about are grey.
    map
        Of all N; NaN for those.
    """

    colouring: Colouring
    map: Projection2D


@dataclass(frozen=True, eq=False)
class ClusteredRun:
    """N specimens of a run, embedded, clustered, mapped and pictured.

    Row i is the same specimen everywhere in it. Outside of it rows mean nothing, so whoever
    keeps a specimen, or looks one up in a layer, goes by its id.

    Parameters
    ----------
    clusters
        Of the specimens of ``embeddings``, in their order.
    appearance
        What was asked for; `coloured`, `layout` and the pictures of ``backdrop`` are its answer.
    coloured, layout
        None: by cluster.
    labels
        N rows of names that specimens were given, and of votes; None without.
    so_far
        Shown in place of the colours and the map, while a net is trained.
    """

    run: Path
    embeddings: Embeddings
    clusters: Clusters
    map: Projection2D
    backdrop: Backdrop
    appearance: Appearance = AS_MADE
    coloured: Colouring | None = None
    layout: Layout | None = None
    labels: pd.DataFrame | None = None
    so_far: SoFar | None = None

    @cached_property
    def table(self) -> pd.DataFrame:
        """That of the embeddings, with the labels; one that is also metadata goes before it."""
        table, labels = self.embeddings.table, self.labels
        if labels is None:
            return table
        rest = table.drop(columns=[name for name in labels if name in table])
        return rest.reset_index(drop=True).join(labels)

    def known_of(self, row: int) -> dict[str, str]:
        """What is known of a specimen, by column of the metadata and of the labels."""
        one = self.table.iloc[row].iloc[METADATA:]
        return {str(name): str(value) for name, value in one[one.notna()].items()}

    @property
    def ids(self) -> tuple[str, ...]:
        """(N,) ids of the specimens."""
        return self.clusters.specimens

    @cached_property
    def rows(self) -> dict[str, int]:
        """The row of each id."""
        return {specimen: row for row, specimen in enumerate(self.ids)}

    @property
    def key(self) -> Colouring | None:
        """What the colours mean, where they are not those of the clusters."""
        return self.coloured if self.so_far is None else self.so_far.colouring

    @cached_property
    def colouring(self) -> Colouring:
        """By what the specimens are coloured, wherever they are shown."""
        return self.key or by_cluster(self.clusters)

    @property
    def plotted(self) -> Projection2D:
        """The map that is shown."""
        return self.map if self.so_far is None else self.so_far.map

    @property
    def colours(self) -> NDArray[np.uint8]:
        """(N, 3) of the specimens."""
        return self.colouring.colours

    @property
    def directions(self) -> NDArray[np.float32]:
        """(N, D) embeddings of unit length."""
        return directions_of(self.embeddings)

    @cached_property
    def centres(self) -> dict[int, NDArray[np.float32]]:
        """(D,) mean direction of each cluster's specimens, of unit length."""
        labels, x = self.clusters.labels, self.directions
        numbers = [number for number in self.clusters.names if number != NOISE]
        means = [x[labels == number].mean(axis=0) for number in numbers]
        return dict(zip(numbers, unit_length(np.stack(means)), strict=True)) if means else {}

    def next_cluster(self, row: int) -> int | None:
        """The most similar other cluster of a specimen, by the cosine to its centre."""
        own = int(self.clusters.labels[row])
        others = {number: c for number, c in self.centres.items() if number != own}
        return max(others, key=lambda n: float(others[n] @ self.directions[row]), default=None)

    @cached_property
    def sheet(self) -> ContactSheet:
        """All specimens on one picture, in the order that was asked for."""
        pictures, layout = self.backdrop.pictures, self.layout
        if layout is None:
            return contact_sheet(pictures, labels=self.clusters.labels)
        return contact_sheet(pictures, labels=layout.labels, order=layout.order)

    def lies_like(self, other: ClusteredRun) -> bool:
        """Whether the picture is the same as of another, and the frames but for their colours."""
        return (
            self.clusters is other.clusters
            and self.backdrop is other.backdrop
            and self.layout is other.layout
        )

    def is_of_specimens_of(self, embeddings: Embeddings) -> bool:
        """Whether an id means the same specimen here and in other embeddings.

        Ids are unique within one source only: ``001.png`` is in many folders.
        """
        return self.embeddings.source == embeddings.source


class FoundTwins(NamedTuple):
    """Specimens that are there twice, and what was shown when they were looked for."""

    clustered: ClusteredRun
    twins: Twins


@dataclass(frozen=True, eq=False)
class Looked:
    """A first look, and what the window shows of it."""

    seen: Look
    embedded: EmbeddedSpaces
    clustered: ClusteredRun


_DIRECTIONS: WeakKeyDictionary[Embeddings, NDArray[np.float32]] = WeakKeyDictionary()


def directions_of(embeddings: Embeddings) -> NDArray[np.float32]:
    """(N, D) embeddings of unit length; computed once, however often they are clustered."""
    if embeddings not in _DIRECTIONS:
        _DIRECTIONS[embeddings] = unit_length(embeddings.x)
    return _DIRECTIONS[embeddings]
