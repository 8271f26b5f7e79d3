"""Association: how clusters go with what is known, and with other clusters."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from napari_phenoscape._atomic import atomic
from napari_phenoscape._tables import is_numeric
from napari_phenoscape.analysis.evaluation._partition import adjusted_rand, mutual_information
from napari_phenoscape.embeddings import (
    METADATA,
    Clusters,
    clusters_path,
    labels_of,
    read_clusters,
    read_embeddings,
    read_results,
)
from napari_phenoscape.errors import PhenoscapeError
from napari_phenoscape.events import Event, Notice, Saved
from napari_phenoscape.training import runs_in

#: Parts that numbers are divided into, each with as many specimens.
QUARTERS = 4

PERMUTATIONS = 999

#: Runs of a folder whose results are looked at.
RUNS = 20


def association(
    table: pd.DataFrame,
    clusters: Clusters,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> pd.DataFrame:
    """How far clusters go with each column of the metadata, the closest first.

    Numbers of more than ten values are divided into quarters. Specimens without a value are left
    out of their column; a column of one value, or of another value for each specimen, is left out.
    Noise is a cluster like any other.

    Parameters
    ----------
    table
        Of embeddings; see `Embeddings`.
    clusters
        Of its specimens at least.
    permutations
        How often clusters are dealt out anew.

    Returns
    -------
    ``column``, ``levels``, ``specimens``, ``mutual_information`` (adjusted: 1 = the same division,
    0 = chance) and ``p``: the share of the permutations, the observed order among them, that go
    with the column as much or more. It is not corrected for the number of columns.
    """
    labels = np.array(labels_of(table["specimen"].tolist(), clusters))
    rows = []
    for name in table.columns[METADATA:]:
        codes = _codes(table[name])
        known = codes >= 0
        levels = len(np.unique(codes[known]))
        if levels < 2 or levels == known.sum():
            continue
        own = np.unique(labels[known], return_inverse=True)[1]
        value = mutual_information(own, codes[known])
        p = _permutation_p(own, codes[known], permutations, seed)
        rows.append((str(name), levels, int(known.sum()), value, p))
    names = ["column", "levels", "specimens", "mutual_information", "p"]
    found = pd.DataFrame(rows, columns=names)
    return found.sort_values("mutual_information", ascending=False, ignore_index=True)


def results_agreement(results: Mapping[str, Clusters]) -> pd.DataFrame:
    """How far results of clustering divide the specimens that they share alike, two by two.

    Returns
    -------
    ``first``, ``second``, ``specimens`` (shared), ``rand`` (adjusted Rand index) and
    ``mutual_information`` (adjusted); 1 = the same, 0 = chance.
    """
    rows = []
    for (first, a), (second, b) in combinations(results.items(), 2):
        shared = [one for one in a.specimens if one in set(b.specimens)]
        if len(shared) < 2:
            continue
        x, y = np.array(labels_of(shared, a)), np.array(labels_of(shared, b))
        rows.append((first, second, len(shared), adjusted_rand(x, y), mutual_information(x, y)))
    names = ["first", "second", "specimens", "rand", "mutual_information"]
    return pd.DataFrame(rows, columns=names)


def associate(
    run: Path, space: str = "", permutations: int = PERMUTATIONS
) -> Generator[Event, None, pd.DataFrame]:
    """The `association` of a run's clusters, also as CSV beside them.

    Raises
    ------
    MissingFileError
        The run has no embeddings, or no clusters, of this space.
    """
    embeddings = read_embeddings(run, space)
    path = clusters_path(run, embeddings)
    found = association(embeddings.table, read_clusters(path), permutations)
    output = path.with_suffix(".association.csv")
    with atomic(output) as temporary:
        found.to_csv(temporary, index=False, float_format="%.6g")
    yield Saved(output)
    return found


def results_beside(run: Path) -> Generator[Event, None, dict[str, Clusters]]:
    """The results of clustering of the runs in the same folder, the one changed last first.

    Of `RUNS` runs at most; what cannot be read is told of and left out.

    Returns
    -------
    ``run: result`` → clusters.
    """
    found: dict[str, Clusters] = {}
    others = [one.path for one in (yield from runs_in(run.parent)) if one.path.name != run.name]
    for other in others[:RUNS]:
        try:
            results = read_results(other)
        except PhenoscapeError as error:
            yield Notice(str(error))
            continue
        found |= {f"{other.name}: {name}": clusters for name, clusters in results.items()}
    return found


def _codes(column: pd.Series) -> NDArray[np.int64]:
    if is_numeric(column) and column.nunique() > 10:
        column = pd.qcut(column.rank(method="average"), QUARTERS, labels=False, duplicates="drop")
    return np.asarray(pd.factorize(column)[0], np.int64)


def _permutation_p(
    own: NDArray[np.intp], codes: NDArray[np.int64], permutations: int, seed: int
) -> float:
    """Share of the permutations that go with the codes as much or more, the observed among them.

    By the mutual information, unadjusted: with sizes fixed, adjusting does not change the order.
    """
    codes = np.unique(codes, return_inverse=True)[1]
    wide = int(codes.max()) + 1
    cells = (int(own.max()) + 1) * wide

    def information(labels: NDArray[np.intp]) -> float:
        count = np.bincount(labels * wide + codes, minlength=cells)
        count = count[count > 0]
        return float((count * np.log(count)).sum())

    draws = np.random.default_rng(seed)
    least = information(own) * (1 - 1e-12)
    as_much = sum(information(draws.permutation(own)) >= least for _ in range(permutations))
    return (as_much + 1) / (permutations + 1)
