"""Labelled run: what specimens were named, and what the others are by their neighbours."""

from __future__ import annotations

import itertools
from collections.abc import Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from napari_phenoscape.analysis import Classification, Named, classified, voters_of
from napari_phenoscape.embeddings import (
    METADATA,
    embedded_specimens,
    embeddings_path,
    read_embeddings,
)
from napari_phenoscape.errors import PhenoscapeError
from napari_phenoscape.events import Event, Progress
from napari_phenoscape.specimens import Labels, label_names, read_labels, write_labels

if TYPE_CHECKING:
    from napari_phenoscape.embeddings import Embeddings
    from napari_phenoscape.widgets._clustered import ClusteredRun


@dataclass(frozen=True, eq=False)
class LabelledRun:
    """Labels of specimens, and what their neighbours make of the others.

    Parameters
    ----------
    embeddings
        Whose specimens they are.
    votes
        By those embeddings; None before they were asked for.
    """

    labels: Labels
    embeddings: Embeddings
    votes: Classification | None = None

    def columns_for(self, embeddings: Embeddings) -> pd.DataFrame:
        """(N, 1 or 3) the labels; of the same embeddings also label or vote, and its share."""
        name = self.labels.name
        given = self.labels.column(embeddings.ids)
        columns = pd.DataFrame({name: given})
        if self.votes is not None and embeddings is self.embeddings:
            of = predicted_columns(name)
            columns[of[0]] = given.where(given.notna(), self.votes.table["vote"])
            columns[of[1]] = self.votes.table["share"]
        return columns


def predicted_columns(label: str) -> tuple[str, str]:
    """What label or vote of a specimen, and its share of the votes, are called."""
    return f"predicted {label}", f"votes for {label}"


class FoundLabels(NamedTuple):
    """The labels that specimens can have, and what is known of one.

    Parameters
    ----------
    names
        Of specimens that are not the run's own, also of the labels that these have.
    labelled
        By the name that was asked for, or given last; None where there is none.
    others
        Whether others than the run's own specimens are shown, and it has embeddings of its own.
    """

    names: tuple[str, ...]
    labelled: LabelledRun | None
    others: bool


def found_labels(clustered: ClusteredRun, name: str = "") -> Generator[Event, None, FoundLabels]:
    """Look for the labels of the specimens that are shown."""
    yield Progress("reading labels", 0, 1)
    embeddings = clustered.embeddings
    there, columns = _names(embeddings)
    more: tuple[str, ...] = ()
    others = _others(clustered)
    if others:
        more = (*itertools.chain(*_names(read_embeddings(clustered.run, embeddings.space))),)
    names = tuple(dict.fromkeys([*there, *columns, *more]))
    name = name or next(iter(there), "")
    if not name:
        return FoundLabels(names, None, others)
    table = embeddings.table
    known = table[name].set_axis(table["specimen"]) if name in columns else None
    labelled = LabelledRun(read_labels(embeddings.source, name, known), embeddings)
    return FoundLabels(names, labelled, others)


def _names(embeddings: Embeddings) -> tuple[tuple[str, ...], list[str]]:
    """Labels that specimens have beside their photographs, and in their metadata."""
    columns = [str(column) for column in embeddings.table.columns[METADATA:]]
    return label_names(embeddings.source), columns


def _others(clustered: ClusteredRun) -> bool:
    run, shown = clustered.run, clustered.embeddings
    try:
        own = embeddings_path(run, shown.space)
        return own != embeddings_path(run, shown.space, shown.source) and own.is_file()
    except PhenoscapeError:  # it was moved away, and can name nobody
        return False


def named(labelled: LabelledRun, *, overwrite: bool = False) -> Generator[Event, None, LabelledRun]:
    """Labels written into their table beside the photographs."""
    yield Progress("writing labels", 0, 1)
    of = labelled.embeddings
    written = write_labels(labelled.labels, of.source, of.table, overwrite=overwrite)
    return LabelledRun(written, of)


def predicted(
    labelled: LabelledRun,
    clustered: ClusteredRun,
    groups: str,
    *,
    from_run: bool = False,
    overwrite: bool = False,
) -> Generator[Event, None, LabelledRun]:
    """What the neighbours make of all specimens, written into that table too.

    ``from_run``: the run's own specimens are these neighbours.
    """
    embeddings, labels = clustered.embeddings, labelled.labels
    crops = clustered.backdrop.crops
    if crops is None:
        crops = yield from embedded_specimens(clustered.run, embeddings)
    yield Progress("asking the neighbours", 0, 1)
    known = Named(embeddings, labels.column(embeddings.ids), crops)
    voters = None
    if from_run:
        voters = yield from voters_of(clustered.run, labels.name, embeddings.space, groups)
    votes = classified(known, labels.name, groups, voters)
    written = write_labels(
        labels, embeddings.source, embeddings.table, votes.table, overwrite=overwrite
    )
    return LabelledRun(written, embeddings, votes)
