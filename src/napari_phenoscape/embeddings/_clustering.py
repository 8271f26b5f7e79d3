"""Clustering: which specimens look alike, under numbers, names and colours that stay.

Embeddings are scaled to unit length first. The contrastive loss compares directions only, so the
space in which likeness was learnt is the sphere; there the squared Euclidean distance that both
methods use is ``2 - 2 cos``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from napari_phenoscape._atomic import atomic
from napari_phenoscape.embeddings._reduction import (
    AnyReduction,
    principal_components,
    unit_length,
)
from napari_phenoscape.errors import CollectionError, MissingFileError, OptionError, RunError
from napari_phenoscape.option import Option

#: Label, name and colour of specimens that belong nowhere.
NOISE, NOISE_NAME, NOISE_COLOUR = -1, "noise", "#6e6e6e"

#: Okabe & Ito's seven (without black), then greedily the sRGB colour furthest from all before it.
#: Any two, and the grey of noise, are at least 0.07 apart in Oklab for normal, protan and deutan
#: eyes (Machado et al. 2009, severity 1); 0.02 is just noticeable.
COLOURS = (
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#443300",
    "#332277", "#0000ff", "#5588ff", "#99ccaa", "#2200bb", "#994400", "#664466", "#ccccff",
    "#552244", "#005599", "#99ee99", "#cc22cc", "#0066ff", "#77bb77", "#883333", "#cccc55",
)  # fmt: skip

#: Density means little in hundreds of dimensions; HDBSCAN sees this many principal components.
HDBSCAN_DIMENSIONS = 15

#: Starts of KMeans, of which the best is kept.
KMEANS_STARTS = 10


class KMeans(Option):
    """So many clusters, each around its mean; every specimen belongs to one."""

    kind: Literal["kmeans"] = "kmeans"
    clusters: int = Field(4, ge=2, description="how many clusters")


class HDBSCAN(Option):
    """As many clusters as there are dense groups; specimens in between are noise [1]_.

    References
    ----------
    .. [1] Campello et al. 2013. https://doi.org/10.1007/978-3-642-37456-2_14
    """

    kind: Literal["hdbscan"] = "hdbscan"
    min_size: int = Field(5, ge=2, description="specimens that make a cluster at least")


AnyClustering = Annotated[KMeans | HDBSCAN, Field(discriminator="kind")]


class _Made(Option):
    """How clusters were made, as kept in their file."""

    method: AnyClustering
    seed: int
    space: str = ""
    map: AnyReduction | None = None


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
    """

    labels: NDArray[np.int64]
    specimens: tuple[str, ...]
    names: dict[int, str]
    colours: dict[int, str]
    method: KMeans | HDBSCAN
    seed: int = 0
    space: str = ""
    xy: NDArray[np.float32] | None = None
    map: AnyReduction | None = None


def cluster(
    x: NDArray[np.float32],
    specimens: Sequence[str],
    method: KMeans | HDBSCAN,
    seed: int = 0,
    previous: Clusters | None = None,
    space: str = "",
) -> Clusters:
    """Clusters of the embeddings, the same at every call.

    Parameters
    ----------
    x : (N, D)
        Embeddings of any length; only their directions count.
    specimens
        N ids.
    seed
        Of KMeans' starts.
    previous
        Clusters, of the same or of other specimens. New clusters inherit number, name and colour
        from these, matched one to one so that most specimens keep theirs (Hungarian method); a
        cluster that inherits from none gets a number and a colour that none of them has. Without
        ``previous``, numbers go by decreasing size.
    space
        Whose embeddings they are.

    Raises
    ------
    OptionError
        More clusters are asked for than can be.
    """
    directions = unit_length(x)
    found = (
        _kmeans(directions, method.clusters, seed)
        if isinstance(method, KMeans)
        else _hdbscan(directions, method.min_size)
    )
    found = _by_size(found)
    numbers, names, colours = _inherit(found, specimens, previous)
    labels = np.array([numbers[label] for label in found.tolist()], dtype=np.int64)
    return Clusters(labels, tuple(specimens), names, colours, method, seed, space)


def write_clusters(clusters: Clusters, path: Path) -> None:
    """Write Parquet: a row per specimen, and what made them as JSON in the schema's metadata.

    Raises
    ------
    RunError
        The disk is full or cannot be written; a file that was there stays.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    labels = clusters.labels.tolist()
    columns = {
        "specimen": pa.array(clusters.specimens, pa.string()),
        "cluster": pa.array(labels, pa.int64()),
        "name": pa.array([clusters.names[label] for label in labels], pa.string()),
        "colour": pa.array([clusters.colours[label] for label in labels], pa.string()),
    }
    if clusters.xy is not None:
        columns |= {"x": pa.array(clusters.xy[:, 0]), "y": pa.array(clusters.xy[:, 1])}
    made = _Made(method=clusters.method, seed=clusters.seed, space=clusters.space, map=clusters.map)
    table = pa.table(columns, metadata={"phenoscape": json.dumps(made.model_dump(mode="json"))})
    with atomic(path) as temporary:
        temporary.parent.mkdir(exist_ok=True)
        pq.write_table(table, temporary)


def read_clusters(path: Path) -> Clusters:
    """The clusters that `write_clusters` wrote.

    Raises
    ------
    MissingFileError, RunError
        There is no such file, or it holds something else.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        raise MissingFileError(
            f"There is no file '{path}'; `phenoscape cluster` makes one of the embeddings of the "
            "same name."
        )
    try:
        table = pq.read_table(path)
        made = _Made.parse(json.loads((table.schema.metadata or {})[b"phenoscape"]))
        columns = table.to_pydict()
        labels, has_map = columns["cluster"], "x" in columns
        clusters = Clusters(
            labels=np.array(labels, dtype=np.int64),
            specimens=tuple(columns["specimen"]),
            names=dict(sorted(zip(labels, columns["name"], strict=True))),
            colours=dict(sorted(zip(labels, columns["colour"], strict=True))),
            method=made.method,
            seed=made.seed,
            space=made.space,
            xy=np.array([columns["x"], columns["y"]], np.float32).T if has_map else None,
            map=made.map,
        )
    except (pa.ArrowInvalid, OSError, KeyError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise RunError(
            f"'{path}' does not hold clusters ({reason}); "
            "name a file that `phenoscape cluster` wrote."
        ) from None
    return clusters


def _kmeans(x: NDArray[np.float32], clusters: int, seed: int) -> NDArray[np.int64]:
    from sklearn.cluster import KMeans as Algorithm

    distinct = len(np.unique(x, axis=0))
    if distinct < clusters:
        raise OptionError(
            f"KMeans cannot make {clusters} clusters of {len(x)} specimens with {distinct} "
            f"distinct embeddings; ask for at most {distinct} clusters, or give more specimens."
            if distinct > 1
            else f"All {len(x)} specimens have the same embedding, so there is nothing to cluster; "
            "give more specimens, or train again if the encoder has collapsed."
        )
    labels = Algorithm(clusters, n_init=KMEANS_STARTS, random_state=seed).fit_predict(x)
    return np.asarray(labels, dtype=np.int64)


def _hdbscan(x: NDArray[np.float32], min_size: int) -> NDArray[np.int64]:
    from sklearn.cluster import HDBSCAN as Algorithm

    if len(x) < min_size:
        raise OptionError(
            f"HDBSCAN with clusters of at least {min_size} needs as many specimens, "
            f"there are {len(x)}; choose a smaller min_size, or KMeans."
        )
    reduced = principal_components(x, min(HDBSCAN_DIMENSIONS, *x.shape))
    labels = Algorithm(min_cluster_size=min_size, copy=True).fit_predict(reduced)
    return np.asarray(labels, dtype=np.int64)


def _by_size(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Labels renumbered 1, 2, ... from the largest cluster; of equals, the first met is first."""
    found, first, sizes = np.unique(labels, return_index=True, return_counts=True)
    order = [label for label in found[np.lexsort((first, -sizes))].tolist() if label != NOISE]
    numbers = {label: number for number, label in enumerate(order, start=1)} | {NOISE: NOISE}
    return np.array([numbers[label] for label in labels.tolist()], dtype=np.int64)


def _inherit(
    found: NDArray[np.int64], specimens: Sequence[str], previous: Clusters | None
) -> tuple[dict[int, int], dict[int, str], dict[int, str]]:
    """Final number of every label found, and the names and colours of the final numbers."""
    numbers = _heirs(found, specimens, previous) if previous else {}
    names = dict(previous.names) if previous else {}
    colours = dict(previous.colours) if previous else {}
    for label in np.unique(found).tolist():
        if label == NOISE:
            numbers[NOISE] = NOISE
            names.setdefault(NOISE, NOISE_NAME)
            colours.setdefault(NOISE, NOISE_COLOUR)
        elif label not in numbers:
            number = next(n for n in range(1, len(names) + 2) if n not in names)
            free = [colour for colour in COLOURS if colour not in colours.values()]
            numbers[label] = number
            names[number] = f"cluster {number}"
            colours[number] = free[0] if free else COLOURS[(number - 1) % len(COLOURS)]
    used = sorted(numbers.values())
    return numbers, {n: names[n] for n in used}, {n: colours[n] for n in used}


def _heirs(
    found: NDArray[np.int64], specimens: Sequence[str], previous: Clusters
) -> dict[int, int]:
    """{label found: number in ``previous``} with the most specimens staying where they were."""
    from scipy.optimize import linear_sum_assignment

    before = dict(zip(previous.specimens, previous.labels.tolist(), strict=True))
    shared = [
        (label, before[specimen])
        for label, specimen in zip(found.tolist(), specimens, strict=True)
        if specimen in before and NOISE not in (label, before[specimen])
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
