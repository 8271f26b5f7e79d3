"""Classification: labels for specimens that have none, by those that have, and how far to trust."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from napari_phenoscape._atomic import atomic, check_outputs
from napari_phenoscape._tables import is_unknown
from napari_phenoscape.analysis._retrieval import check_from_run
from napari_phenoscape.analysis.evaluation._columns import check_columns, group_codes, identities
from napari_phenoscape.analysis.evaluation._neighbours import knn_correct, knn_vote
from napari_phenoscape.analysis.evaluation._score import Score, mean_of, scored
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
    Labels,
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


class Named(NamedTuple):
    """Specimens, and what they are named.

    Parameters
    ----------
    embeddings
        Of N specimens.
    given : (N,)
        Their names; empty where they have none.
    crops
        The same specimens, for plain colour.
    """

    embeddings: Embeddings
    given: pd.Series
    crops: Crops


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
        Of votes on specimens that have a label: by the embeddings, and by colour statistics, which
        learnt nothing.
    commonest
        Share of the commonest label among them: what always guessing it is worth.
    judged
        In words, whose votes on whom these are of.
    elsewhere
        Whether they are of the run's own specimens, since none that is voted on has a label.
    """

    table: pd.DataFrame
    label: str
    accuracy: Score
    baseline: Score
    commonest: float
    judged: str
    elsewhere: bool

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
    from_run: bool = False,
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
    from_run
        The run's own specimens vote on those of ``source``, which need no label; where some have
        one, it is what the votes are judged by.
    groups
        Specimens of the same level of this column, e.g. photographs of one individual, never vote
        for each other; nor does a specimen for itself that is in both collections.
    save
        Also into the table beside the photographs.
    overwrite
        That table, if it is there.

    Raises
    ------
    OptionError
        The metadata has no such column; ``from_run`` without a ``source``.
    CollectionError
        Fewer than two labels are given, specimens lack the modality, or they are no longer those
        that were embedded.
    RunError
        The table beside the photographs is there already.
    """
    check_from_run(source, from_run=from_run)
    embeddings, collection = yield from labelled_today(read_embeddings(run, space, source))
    if save:
        check_outputs([labels_path(embeddings.source, label)], overwrite=overwrite)
    given, labels = _given(run, embeddings, label, groups, needed=not from_run, keep=save)
    voters = (yield from voters_of(run, label, space, groups)) if from_run else None
    crops = yield from crops_for(run, collection)
    classification = classified(Named(embeddings, given, crops), label, groups, voters)
    stem = f"{clusters_path(run, embeddings).stem}-{label.replace('/', '_')}"
    path = run / "classifications" / f"{stem}.csv"
    with atomic(path) as temporary:
        temporary.parent.mkdir(exist_ok=True)
        classification.table.to_csv(temporary, index=False, float_format="%.6g")
    yield Saved(path)
    if save and labels is not None:
        write_labels(
            labels, embeddings.source, embeddings.table, classification.table, overwrite=overwrite
        )
        yield Saved(labels.path)
    return classification


def voters_of(
    run: Path, label: str, space: str = "", groups: str = ""
) -> Generator[Event, None, Named]:
    """The run's own specimens, and what they are named; parameters and errors as `classify`."""
    own, collection = yield from labelled_today(read_embeddings(run, space))
    given, _ = _given(run, own, label, groups)
    return Named(own, given, (yield from crops_for(run, collection)))


def _given(
    run: Path,
    embeddings: Embeddings,
    label: str,
    groups: str,
    *,
    needed: bool = True,
    keep: bool = False,
) -> tuple[pd.Series, Labels | None]:
    """(N,) what specimens are named, and their `Labels` where they have some, or are to ``keep``.

    ``needed``: the label must be a column of the metadata, if it has no table of its own.
    """
    table, source = embeddings.table, embeddings.source
    has_table = label in label_names(source)
    check_columns(run, table, (label, groups) if needed and not has_table else (groups,))
    column = table[label] if label in table else pd.Series([None] * len(table), dtype=object)
    if not (has_table or keep):
        return column, None
    known = column.set_axis(table["specimen"]) if label in table else None
    labels = read_labels(source, label, known)
    return labels.column(table["specimen"]), labels


def classified(
    named: Named, label: str, groups: str = "", voters: Named | None = None
) -> Classification:
    """The votes on the specimens of some embeddings, in their order.

    Parameters
    ----------
    named
        The specimens, and what they are named in the respect that is called ``label``.
    groups
        As in `classify`.
    voters
        Other specimens, which alone vote; None: those that are named vote on each other.

    Raises
    ------
    CollectionError
        Fewer than two different labels are given, or specimens lack the modality.
    """
    every = [named] if voters is None else [named, voters]
    table = named.embeddings.table
    number = len(table)
    given = pd.concat([one.given for one in every], ignore_index=True)
    known = given.where(~is_unknown(given))
    if voters is not None:
        known = known.map(_word, na_action="ignore")  # 1 in one table is 1.0 in another
    codes, names = pd.factorize(known)
    voting = codes.copy()
    if voters is not None:
        voting[:number] = -1
    kinds = len(np.unique(voting[voting >= 0]))
    if kinds < 2:
        raise CollectionError(
            f"{int((voting >= 0).sum())} of {len(every[-1].given)} specimens have a '{label}', and "
            f"they have {kinds} different ones; at least 2 were expected. Fill the column for some "
            "specimens of each kind."
        )
    tables = [one.embeddings.table for one in every]
    group = group_codes(
        pd.concat([each[groups] for each in tables]) if groups else None, len(codes)
    )
    same = None
    if voters is not None:  # one that is in both collections has no vote on itself
        same = group_codes(pd.concat([identities(each) for each in tables]), len(codes))
    x = np.concatenate([one.embeddings.x for one in every])
    plain = standardised(np.concatenate([colour_statistics(one.crops) for one in every]))
    votes = knn_vote(x, voting, VOTERS, group, same)
    by_others = voters is not None and bool((codes[:number] >= 0).any())
    judged = np.flatnonzero((codes[:number] if by_others else voting) >= 0)

    def accuracy(x: NDArray[np.floating]) -> Score:
        own = np.unique(group[judged], return_inverse=True)[1]
        if by_others:
            correct = (knn_vote(x, voting, VOTERS, group, same).codes == codes)[judged]
            return scored(partial(mean_of, correct.astype(float)), own, proportion=True)

        def right(rows: NDArray[np.intp]) -> float:
            if len(np.unique(own[rows])) < 2:
                return np.nan
            of = codes[judged][rows]
            return float(knn_correct(x[judged][rows], of, VOTERS, own[rows]).mean())

        return scored(right, own, proportion=True)

    elsewhere = voters is not None and not by_others
    who = "of the run's own that" if elsewhere else "that"
    how = f"each {groups or 'specimen'} left out of its own vote"
    if by_others:
        how = f"by the votes of {int((voting >= 0).sum())} of the run's own"
    found = table[["specimen", "filename"]].reset_index(drop=True)
    found[label] = named.given.reset_index(drop=True)
    found["vote"] = pd.Series(names).reindex(votes.codes[:number]).to_numpy()
    found["share"], found["similarity"] = votes.share[:number], votes.similarity[:number]
    return Classification(
        found,
        label,
        accuracy(x),
        accuracy(plain),
        float(np.bincount(codes[judged]).max() / len(judged)),
        f"the {len(judged)} {who} have a {label}, {how}",
        elsewhere,
    )


def _word(value: object) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def judgement(classification: Classification) -> str:
    """How far the votes can be trusted, in a sentence, with what they must be better than."""
    values = {"embeddings": classification.accuracy, "plain colour": classification.baseline}
    parts = []
    for name, score in values.items():
        sure = f" ({score.low:.0%} to {score.high:.0%})" if np.isfinite(score.low) else ""
        parts.append(f"{name} {score.value:.0%}{sure}")
    label = classification.label
    unknown = f" How right on these is not known before some of them have a {label}."
    return (
        f"Right on {classification.judged}: {', '.join(parts)}, always the commonest "
        f"{classification.commonest:.0%}.{unknown if classification.elsewhere else ''}"
    )
