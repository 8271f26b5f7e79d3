"""Classification: labels for specimens that have none, by those that have, and how far to trust."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from napari_phenoscape._atomic import atomic
from napari_phenoscape.analysis.evaluation._baseline import colour_statistics, standardised
from napari_phenoscape.analysis.evaluation._columns import check_columns, group_codes, is_unknown
from napari_phenoscape.analysis.evaluation._neighbours import knn_correct, knn_vote
from napari_phenoscape.analysis.evaluation._score import Score, scored
from napari_phenoscape.embeddings import clusters_path, labelled_today, read_embeddings
from napari_phenoscape.errors import CollectionError
from napari_phenoscape.events import Event, Saved
from napari_phenoscape.specimens import Source
from napari_phenoscape.training import crops_for

#: Neighbours that vote.
VOTERS = 5


@dataclass(frozen=True, eq=False)
class Classification:
    """What the nearest labelled specimens say of every specimen.

    Parameters
    ----------
    table
        One row per specimen: ``specimen``, ``filename``, the label as it was given (empty where
        there was none), ``vote``, and ``share`` of the votes, 0-1.
    accuracy, baseline
        Of votes on the specimens that have a label, each left out of its own vote: by the
        embeddings, and by colour statistics, which learnt nothing.
    commonest
        Share of the commonest label: what always guessing it is worth.
    """

    table: pd.DataFrame
    accuracy: Score
    baseline: Score
    commonest: float


def classify(
    run: Path,
    label: str,
    *,
    space: str = "",
    source: Source | None = None,
    groups: str = "",
) -> Generator[Event, None, Classification]:
    """Let the five nearest labelled specimens vote on each specimen of a run.

    Writes ``RUN/classifications/<embeddings>-<label>.csv``.

    Parameters
    ----------
    run
        With embeddings.
    label
        A column of the metadata, filled for some specimens.
    space
        Whose embeddings: a modality, or the joint or only one.
    source
        Where the specimens came from, if not from the run's own collection.
    groups
        Specimens of the same level of this column, e.g. photographs of one individual, never vote
        for each other.

    Raises
    ------
    OptionError
        The metadata has no such column.
    CollectionError
        Fewer than two labels are given, specimens lack the modality, or they are no longer those
        that were embedded.
    """
    embeddings, collection = yield from labelled_today(read_embeddings(run, space, source))
    table = embeddings.table
    check_columns(run, table, (label, groups))
    codes, names = pd.factorize(table[label].where(~is_unknown(table[label])))
    labelled = codes >= 0
    if len(names) < 2:
        raise CollectionError(
            f"{int(labelled.sum())} of {len(table)} specimens have a '{label}', and they have "
            f"{len(names)} different ones; at least 2 were expected. Fill the column for some "
            "specimens of each kind."
        )
    group = group_codes(table[groups] if groups else None, len(table))
    votes, share = knn_vote(embeddings.x, codes, VOTERS, group)
    crops = yield from crops_for(run, collection)
    plain = standardised(colour_statistics(crops))

    def accuracy(x: NDArray[np.float32]) -> Score:
        own = np.unique(group[labelled], return_inverse=True)[1]

        def right(rows: NDArray[np.intp]) -> float:
            if len(np.unique(own[rows])) < 2:
                return np.nan
            kinds = codes[labelled][rows]
            return float(knn_correct(x[labelled][rows], kinds, VOTERS, own[rows]).mean())

        return scored(right, own, proportion=True)

    classification = Classification(
        table[["specimen", "filename", label]].assign(
            vote=pd.Series(names).reindex(votes).to_numpy(), share=share
        ),
        accuracy(embeddings.x),
        accuracy(plain),
        float(np.bincount(codes[labelled]).max() / labelled.sum()),
    )
    stem = f"{clusters_path(run, embeddings).stem}-{label.replace('/', '_')}"
    path = run / "classifications" / f"{stem}.csv"
    with atomic(path) as temporary:
        temporary.parent.mkdir(exist_ok=True)
        classification.table.to_csv(temporary, index=False, float_format="%.6g")
    yield Saved(path)
    return classification
