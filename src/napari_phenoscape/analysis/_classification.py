"""Classification: labels for specimens that have none, by those that have, and how far to trust."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from napari_phenoscape._atomic import atomic, check_outputs
from napari_phenoscape._tables import is_unknown
from napari_phenoscape.analysis.evaluation._columns import check_columns, group_codes
from napari_phenoscape.analysis.evaluation._neighbours import knn_correct, knn_vote
from napari_phenoscape.analysis.evaluation._score import Score, scored
from napari_phenoscape.embeddings import (
    Embeddings,
    clusters_path,
    labelled_today,
    read_embeddings,
)
from napari_phenoscape.errors import CollectionError
from napari_phenoscape.events import Event, Saved
from napari_phenoscape.specimens import (
    Crops,
    Source,
    colour_statistics,
    label_names,
    labels_path,
    read_labels,
    standardised,
    write_labels,
)
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
        there was none), ``vote``, its ``share`` of the votes, 0-1, and ``similarity``, the cosine
        to the nearest who voted.
    label
        Which column is the label.
    accuracy, baseline
        Of votes on the specimens that have a label, each left out of its own vote: by the
        embeddings, and by colour statistics, which learnt nothing.
    commonest
        Share of the commonest label: what always guessing it is worth.
    """

    table: pd.DataFrame
    label: str
    accuracy: Score
    baseline: Score
    commonest: float

    @property
    def contradicted(self) -> NDArray[np.intp]:
        """Rows of specimens whose label is not that of their neighbours, the surest vote first."""
        given, vote = self.table[self.label], self.table["vote"]
        rows = np.flatnonzero(~is_unknown(given) & vote.notna() & (given != vote))
        return rows[np.argsort(-self.table["share"].to_numpy()[rows], kind="stable")]

    @property
    def doubtful(self) -> NDArray[np.intp]:
        """Rows of specimens without a label, the most doubtful first.

        Those of the smallest share, and of these the ones least like any that has a label.
        """
        rows = np.flatnonzero(is_unknown(self.table[self.label]))
        share, similarity = (self.table[name].to_numpy()[rows] for name in ("share", "similarity"))
        return rows[np.lexsort((np.nan_to_num(similarity, nan=-2), share))]


def classify(
    run: Path,
    label: str,
    *,
    space: str = "",
    source: Source | None = None,
    groups: str = "",
    save: bool = False,
    overwrite: bool = False,
) -> Generator[Event, None, Classification]:
    """Let the five nearest labelled specimens vote on each specimen of a run.

    Writes ``RUN/classifications/<embeddings>-<label>.csv``.

    Parameters
    ----------
    run
        With embeddings.
    label
        A column of the metadata, or a label with a table beside the photographs
        (`read_labels`), which goes before it; filled for some specimens.
    space
        Whose embeddings: a modality, or the joint or only one.
    source
        Where the specimens came from, if not from the run's own collection.
    groups
        Specimens of the same level of this column, e.g. photographs of one individual, never vote
        for each other.
    save
        Also into the table beside the photographs.
    overwrite
        That table, if it is there.

    Raises
    ------
    OptionError
        The metadata has no such column.
    CollectionError
        Fewer than two labels are given, specimens lack the modality, or they are no longer those
        that were embedded.
    RunError
        The table beside the photographs is there already.
    """
    embeddings, collection = yield from labelled_today(read_embeddings(run, space, source))
    table, source = embeddings.table, embeddings.source
    if save:
        check_outputs([labels_path(source, label)], overwrite=overwrite)
    named = label in label_names(source)
    check_columns(run, table, (groups,) if named else (label, groups))
    given = table.get(label)
    labels = None
    if named or save:
        known = None if given is None else given.set_axis(table["specimen"])
        labels = read_labels(source, label, known)
        given = labels.column(table["specimen"])
    assert given is not None  # or it has no table, and was refused
    crops = yield from crops_for(run, collection)
    classification = classified(embeddings, label, given, crops, groups)
    stem = f"{clusters_path(run, embeddings).stem}-{label.replace('/', '_')}"
    path = run / "classifications" / f"{stem}.csv"
    with atomic(path) as temporary:
        temporary.parent.mkdir(exist_ok=True)
        classification.table.to_csv(temporary, index=False, float_format="%.6g")
    yield Saved(path)
    if save and labels is not None:
        write_labels(labels, source, table, classification.table, overwrite=overwrite)
        yield Saved(labels.path)
    return classification


def classified(
    embeddings: Embeddings, label: str, given: pd.Series, crops: Crops, groups: str = ""
) -> Classification:
    """The votes on the specimens of some embeddings, in their order.

    Parameters
    ----------
    label, given : (N,)
        What the specimens are named, and in which respect; empty where it is not known.
    crops
        The same specimens, for plain colour.
    groups
        As in `classify`.

    Raises
    ------
    CollectionError
        Fewer than two different labels are given, or specimens lack the modality.
    """
    table = embeddings.table
    given = given.reset_index(drop=True)
    codes, names = pd.factorize(given.where(~is_unknown(given)))
    labelled = codes >= 0
    if len(names) < 2:
        raise CollectionError(
            f"{int(labelled.sum())} of {len(table)} specimens have a '{label}', and they have "
            f"{len(names)} different ones; at least 2 were expected. Fill the column for some "
            "specimens of each kind."
        )
    group = group_codes(table[groups] if groups else None, len(table))
    votes = knn_vote(embeddings.x, codes, VOTERS, group)
    plain = standardised(colour_statistics(crops))

    def accuracy(x: NDArray[np.float32]) -> Score:
        own = np.unique(group[labelled], return_inverse=True)[1]

        def right(rows: NDArray[np.intp]) -> float:
            if len(np.unique(own[rows])) < 2:
                return np.nan
            kinds = codes[labelled][rows]
            return float(knn_correct(x[labelled][rows], kinds, VOTERS, own[rows]).mean())

        return scored(right, own, proportion=True)

    found = table[["specimen", "filename"]].reset_index(drop=True)
    found[label] = given
    found["vote"] = pd.Series(names).reindex(votes.codes).to_numpy()
    found["share"], found["similarity"] = votes.share, votes.similarity
    return Classification(
        found,
        label,
        accuracy(embeddings.x),
        accuracy(plain),
        float(np.bincount(codes[labelled]).max() / labelled.sum()),
    )


def judgement(classification: Classification, groups: str = "") -> str:
    """How far the votes can be trusted, in a sentence, with what they must be better than."""
    label, given = classification.label, classification.table[classification.label]
    values = {"embeddings": classification.accuracy, "plain colour": classification.baseline}
    parts = []
    for name, score in values.items():
        sure = f" ({score.low:.0%} to {score.high:.0%})" if np.isfinite(score.low) else ""
        parts.append(f"{name} {score.value:.0%}{sure}")
    return (
        f"Right on the {int((~is_unknown(given)).sum())} that have a {label}, each "
        f"{groups or 'specimen'} left out of its own vote: {', '.join(parts)}, always the "
        f"commonest {classification.commonest:.0%}."
    )
