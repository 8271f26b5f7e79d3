"""Classification: labels for specimens that have none, by those that have, and how far to trust."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from napari_phenoscape._atomic import atomic
from napari_phenoscape.analysis.evaluation._baseline import colour_statistics, standardised
from napari_phenoscape.analysis.evaluation._columns import check_columns
from napari_phenoscape.analysis.evaluation._neighbours import knn_vote
from napari_phenoscape.analysis.evaluation._score import Score, over_specimens
from napari_phenoscape.embeddings import clusters_path, embedded_specimens, read_embeddings
from napari_phenoscape.errors import CollectionError
from napari_phenoscape.events import Event, Saved
from napari_phenoscape.specimens import Source

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
    embeddings = read_embeddings(run, space, source)
    table = embeddings.table
    check_columns(run, table, (label, groups))
    codes, names = pd.factorize(table[label])  # -1 where it is empty
    labelled = codes >= 0
    if len(names) < 2:
        raise CollectionError(
            f"{int(labelled.sum())} of {len(table)} specimens have a '{label}', and they have "
            f"{len(names)} different ones; at least 2 were expected. Fill the column for some "
            "specimens of each kind."
        )
    level = table[groups].astype(str) if groups else None
    votes, share = knn_vote(embeddings.x, codes, VOTERS, level)
    crops = yield from embedded_specimens(run, embeddings)
    plain, _ = knn_vote(standardised(colour_statistics(crops)), codes, VOTERS, level)
    classification = Classification(
        table[["specimen", "filename", label]].assign(
            vote=pd.Series(names).reindex(votes).to_numpy(), share=share
        ),
        over_specimens(votes[labelled] == codes[labelled]),
        over_specimens(plain[labelled] == codes[labelled]),
        float(np.bincount(codes[labelled]).max() / labelled.sum()),
    )
    stem = f"{clusters_path(run, embeddings).stem}-{label.replace('/', '_')}"
    path = run / "classifications" / f"{stem}.csv"
    with atomic(path) as temporary:
        temporary.parent.mkdir(exist_ok=True)
        classification.table.to_csv(temporary, index=False, float_format="%.6g")
    yield Saved(path)
    return classification
