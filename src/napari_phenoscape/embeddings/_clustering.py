"""Clustering: which specimens look alike, under numbers, names and colours that stay.

Embeddings are scaled to unit length first. The contrastive loss compares directions only, so the
space in which likeness was learnt is the sphere; there the squared Euclidean distance that the
methods use is ``2 - 2 cos``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.embeddings._reduction import unit_length
from napari_phenoscape.errors import CollectionError
from napari_phenoscape.training import (
    PALETTE,
    PALETTES,
    AnyReduction,
    Choice,
    Clustering,
    PaletteName,
)

#: Label, name and colour of specimens that belong nowhere.
NOISE, NOISE_NAME, NOISE_COLOUR = -1, "noise", "#6e6e6e"


@dataclass(frozen=True, eq=False)
class Clusters:
    """A cluster for every specimen.

    Parameters
    ----------
    labels : (N,) int64
        Cluster numbers from 1; -1 = noise.
    specimens
        N ids in the same order.
    names, colours
        Of every number that occurs in ``labels``; colours as ``#rrggbb``.
    method, seed
        What made them.
    space
        Whose embeddings they are of, a modality or ``joint``; empty when that was not said.
    xy : (N, 2)
        Places of the specimens on a map, unitless; None before one was drawn.
    map
        What drew it.
    edits
        What was changed by hand since, in words.
    palette
        Where clusters that are to come take their colours from.
    former
        Number, name and colour of the last cluster that a specimen was in, of those that a person
        has named and that are no more; by id. They come back with their specimens.
    choice
        Why there are so many, where the method chose it.
    """

    labels: NDArray[np.int64]
    specimens: tuple[str, ...]
    names: dict[int, str]
    colours: dict[int, str]
    method: Clustering
    seed: int = 0
    space: str = ""
    xy: NDArray[np.float32] | None = None
    map: AnyReduction | None = None
    former: dict[str, tuple[int, str, str]] = field(default_factory=dict)
    choice: Choice | None = None
    edits: tuple[str, ...] = ()
    palette: PaletteName = PALETTE

    @property
    def rgb(self) -> NDArray[np.uint8]:
        """(N, 3) colour of each specimen's cluster."""
        numbers, codes = np.unique(self.labels, return_inverse=True)
        colours = [
            tuple(bytes.fromhex(self.colours[n].removeprefix("#"))) for n in numbers.tolist()
        ]
        return np.array(colours, np.uint8).reshape(-1, 3)[codes]


def cluster(
    x: NDArray[np.float32],
    specimens: Sequence[str],
    method: Clustering,
    seed: int = 0,
    previous: Clusters | None = None,
    space: str = "",
    palette: PaletteName | None = None,
) -> Clusters:
    """Clusters of the embeddings, the same at every call.

    Parameters
    ----------
    x : (N, D)
        Embeddings of any length; only their directions count.
    specimens
        N ids.
    seed
        Of the method's random numbers.
    previous
        Clusters, of the same or of other specimens. New clusters inherit number, name and colour
        from these, or from former ones that were named by hand, matched one to one so that most
        specimens keep theirs (Hungarian method); a cluster that inherits from none gets a number
        and a colour that none of them has. Without ``previous``, numbers go by decreasing size.
    space
        Whose embeddings they are.
    palette
        Of the clusters; those of ``previous`` get its colours. None: that of ``previous``.

    Raises
    ------
    OptionError
        More clusters are asked for than can be.
    CollectionError
        There are no specimens, or some embeddings are not numbers.
    """
    if not specimens:
        raise CollectionError("There are no specimens to cluster; give at least 2.")
    x = unit_length(x)
    method, choice = method.settled(x, seed)
    found = _by_size(method.labels(x, seed))
    palette = palette or (previous.palette if previous else PALETTE)
    previous = previous and _painted(previous, palette)
    numbers, names, colours = _inherit(found, specimens, previous, palette)
    labels = np.array([numbers[label] for label in found.tolist()], dtype=np.int64)
    return Clusters(
        labels,
        tuple(specimens),
        names,
        colours,
        method,
        seed,
        space,
        former=_former(labels.tolist(), specimens, previous),
        choice=choice,
        palette=palette,
    )


def _painted(clusters: Clusters, palette: PaletteName) -> Clusters:
    """The same in the colours of another palette, each at its place there."""
    table = dict(zip(PALETTES[clusters.palette], PALETTES[palette], strict=True))
    return replace(
        clusters,
        palette=palette,
        colours={number: table.get(of, of) for number, of in clusters.colours.items()},
        former={
            one: (n, name, table.get(of, of)) for one, (n, name, of) in clusters.former.items()
        },
    )


def inherited(
    found: NDArray[np.int64], previous: Clusters, counted: NDArray[np.bool_] | None = None
) -> Clusters:
    """The same specimens under other labels, with the numbers, names and colours that stay.

    Parameters
    ----------
    found : (N,)
        In the order of ``previous``; -1 = noise, the other numbers mean nothing.
    counted : (N,)
        Whose place in ``previous`` says who inherits; None: all.
    """
    specimens = previous.specimens
    heard = previous
    if counted is not None:
        heard = replace(previous, labels=np.where(counted, previous.labels, NOISE))
    numbers, names, colours = _inherit(found, specimens, heard, previous.palette)
    labels = np.array([numbers[label] for label in found.tolist()], dtype=np.int64)
    former = _former(labels.tolist(), specimens, previous)
    return replace(previous, labels=labels, names=names, colours=colours, former=former)


def _by_size(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Labels renumbered 1, 2, ... from the largest cluster; of equals, the first met is first."""
    found, first, sizes = np.unique(labels, return_index=True, return_counts=True)
    order = [label for label in found[np.lexsort((first, -sizes))].tolist() if label != NOISE]
    numbers = {label: number for number, label in enumerate(order, start=1)} | {NOISE: NOISE}
    return np.array([numbers[label] for label in labels.tolist()], dtype=np.int64)


def _inherit(
    found: NDArray[np.int64],
    specimens: Sequence[str],
    previous: Clusters | None,
    palette: PaletteName,
) -> tuple[dict[int, int], dict[int, str], dict[int, str]]:
    """Final number of every label found, and the names and colours of the final numbers."""
    numbers, names, colours = {}, {}, {}
    if previous:
        numbers = _heirs(found, specimens, previous)
        names = {number: name for number, name, _ in previous.former.values()} | previous.names
        colours = {n: colour for n, _, colour in previous.former.values()} | previous.colours
    for label in np.unique(found).tolist():
        if label == NOISE:
            numbers[NOISE] = NOISE
            names.setdefault(NOISE, NOISE_NAME)
            colours.setdefault(NOISE, NOISE_COLOUR)
        elif label not in numbers:
            number = next(n for n in range(1, len(names) + 2) if n not in names)
            table = PALETTES[palette]
            free = [colour for colour in table if colour not in colours.values()]
            numbers[label] = number
            names[number] = f"cluster {number}"
            colours[number] = free[0] if free else table[(number - 1) % len(table)]
    used = sorted(numbers.values())
    return numbers, {n: names[n] for n in used}, {n: colours[n] for n in used}


def _heirs(
    found: NDArray[np.int64], specimens: Sequence[str], previous: Clusters
) -> dict[int, int]:
    """{label found: number in ``previous``} with the most specimens staying where they were."""
    from scipy.optimize import linear_sum_assignment

    of = dict(zip(specimens, found.tolist(), strict=True))
    before = [
        *zip(previous.specimens, previous.labels.tolist(), strict=True),
        *((specimen, number) for specimen, (number, _, _) in previous.former.items()),
    ]
    shared = [
        (of[specimen], number)
        for specimen, number in before
        if specimen in of and NOISE not in (of[specimen], number)
    ]
    if not shared:
        return {}
    labels, rows = np.unique([label for label, _ in shared], return_inverse=True)
    numbers, columns = np.unique([number for _, number in shared], return_inverse=True)
    overlap = np.zeros((len(labels), len(numbers)), np.int64)
    np.add.at(overlap, (rows, columns), 1)
    return {
        int(labels[row]): int(numbers[column])
        for row, column in zip(*linear_sum_assignment(overlap, maximize=True), strict=True)
        if overlap[row, column] > 0
    }


def _former(
    labels: list[int], specimens: Sequence[str], previous: Clusters | None
) -> dict[str, tuple[int, str, str]]:
    """`Clusters.former` after ``previous``, now that specimens have these labels."""
    if previous is None:
        return {}
    given = {
        number: (number, name, previous.colours[number])
        for number, name in previous.names.items()
        if name != (NOISE_NAME if number == NOISE else f"cluster {number}")
    }
    before = zip(previous.specimens, previous.labels.tolist(), strict=True)
    named = {specimen: given[number] for specimen, number in before if number in given}
    here, used = set(specimens), set(labels)
    return {
        specimen: was
        for specimen, was in (*previous.former.items(), *named.items())  # the later one counts
        if specimen in here and was[0] not in used
    }


def labels_of(specimens: Sequence[str], clusters: Clusters) -> list[int]:
    """Cluster number of each of these specimens.

    Raises
    ------
    CollectionError
        One of them was not clustered.
    """
    numbers = dict(zip(clusters.specimens, clusters.labels.tolist(), strict=True))
    missing = [specimen for specimen in specimens if specimen not in numbers]
    if missing:
        raise CollectionError(
            f"{len(missing)} of {len(specimens)} specimens have no cluster, '{missing[0]}' first; "
            "cluster these embeddings again."
        )
    return [numbers[specimen] for specimen in specimens]


def legend(clusters: Clusters) -> list[tuple[str, str, int]]:
    """Name, colour and number of specimens of each cluster, by cluster number, noise last."""
    numbers, counts = np.unique(clusters.labels, return_counts=True)
    sizes = dict(zip(numbers.tolist(), counts.tolist(), strict=True))
    return [
        (clusters.names[number], clusters.colours[number], sizes[number])
        for number in sorted(sizes, key=noise_last)
    ]


def noise_last(label: int) -> tuple[bool, int]:
    """Sorts cluster numbers."""
    return label == NOISE, label
