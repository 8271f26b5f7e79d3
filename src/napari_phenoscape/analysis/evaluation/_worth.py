"""Worth: what the embeddings of runs tell, beside the controls, in tables and a figure."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import permutations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from napari_phenoscape._atomic import atomic
from napari_phenoscape.analysis.evaluation._figure import worth_figure
from napari_phenoscape.analysis.evaluation._floor import colour_statistics
from napari_phenoscape.analysis.evaluation._geometry import alignment, rank_me, uniformity
from napari_phenoscape.analysis.evaluation._interval import bootstrap
from napari_phenoscape.analysis.evaluation._neighbours import (
    average_precision,
    knn_correct,
    matched,
)
from napari_phenoscape.analysis.evaluation._partition import (
    adjusted_rand,
    mutual_information,
    permanova,
    silhouette,
)
from napari_phenoscape.analysis.evaluation._probes import (
    centroid_correct,
    few_shot_correct,
    linear_correct,
)
from napari_phenoscape.embeddings import Projections, cluster, embed, project
from napari_phenoscape.errors import CollectionError, OptionError
from napari_phenoscape.events import Event, Progress, Saved
from napari_phenoscape.training import KMeans, specimens_for

KNN, RAND, RANK = "5-NN accuracy", "adjusted Rand index", "effective dimensions (RankMe)"

#: Measures of single specimens, whose mean is told: (embeddings, labels, groups) -> (N,).
OF_SPECIMENS: dict[str, Callable[..., NDArray[Any]]] = {
    KNN: lambda x, labels, groups: knn_correct(x, labels, 5, groups),
    "linear probe accuracy": linear_correct,
    "5-shot accuracy": few_shot_correct,
    "nearest-centroid accuracy": centroid_correct,
    "retrieval mAP": average_precision,
    "silhouette": lambda x, labels, _: silhouette(x, labels),
}

#: Measures of a clustering beside the labels: KMeans with as many clusters as there are labels.
OF_CLUSTERS = {RAND: adjusted_rand, "normalised mutual information": mutual_information}


class Score(NamedTuple):
    """One number, how sure it is, and whether chance could have made it.

    Parameters
    ----------
    value
        NaN where it is not defined.
    low, high
        95 % bootstrap interval over the specimens (or their groups); NaN where there is none.
    p
        Of the permutation test, NaN where there is none.
    """

    value: float
    low: float = np.nan
    high: float = np.nan
    p: float = np.nan

    def words(self) -> tuple[str, str]:
        """The value, and its interval or p, for a table; a dash where it is not defined."""
        value = f"{self.value:.3f}" if np.isfinite(self.value) else "-"
        interval = f"{self.low:.3f} to {self.high:.3f}" if np.isfinite(self.low) else ""
        return value, f"p = {self.p:.3f}" if np.isfinite(self.p) else interval


@dataclass(frozen=True)
class Worth:
    """What one embedding tells.

    Parameters
    ----------
    embedding
        Which one, in words.
    scores
        By measure.
    """

    embedding: str
    scores: dict[str, Score] = field(default_factory=dict)


def evaluate(
    runs: Sequence[Path], label: str = "", *, within: str = "", groups: str = ""
) -> Generator[Event, None, list[Worth]]:
    """Compare embeddings with a metadata column, beside the untrained net and plain colour.

    Writes ``evaluation-<label>.csv`` and ``.png`` into the first run. Where specimens lack a
    modality, its embedding is measured on those that have it, and named with their number.

    Parameters
    ----------
    runs
        Trained runs of the same specimens; each is embedded anew, trained and untrained.
    label
        The column to compare with; without one, only what needs no label is measured.
    within
        Compare inside each level of this column.
    groups
        Specimens of the same level of this column are never on both sides of a judgement, and
        are drawn together for the intervals.

    Raises
    ------
    OptionError
        The metadata has no such column.
    CollectionError
        The runs have different specimens, or nothing is there to tell apart.
    """
    rows: list[tuple[str, NDArray[np.float32]]] = []
    pairs: dict[str, dict[str, Score]] = {}
    tables: list[pd.DataFrame] = []
    for run in runs:
        name = f"{run.name}: " if len(runs) > 1 else ""
        trained = yield from embed(run)
        untrained = yield from embed(run, untrained=True)
        tables.append(next(iter(trained.values())).table)
        check_columns(run, tables[-1], (label, within, groups))
        rows += [(f"{name}trained, {space}", e.x) for space, e in trained.items()]
        rows += [(f"{name}untrained, {space}", e.x) for space, e in untrained.items()]
        pairs |= _of_views((yield from project(run)), f"{name}trained, ")
        pairs |= _of_views((yield from project(run, untrained=True)), f"{name}untrained, ")
        _, crops = yield from specimens_for(run)
        rows.append((f"{name}colour statistics", standardised(colour_statistics(crops))))
    for run, other in zip(runs, tables, strict=True):
        if list(other["specimen"]) != list(tables[0]["specimen"]):
            raise CollectionError(
                f"'{run.name}' has other specimens than '{runs[0].name}' ({len(other)} and "
                f"{len(tables[0])}), so their numbers cannot be compared. Evaluate them apart."
            )
    known = _Known.of(tables[0], label, within, groups) if label else None
    found = []
    for done, (name, x) in enumerate(rows):
        yield Progress("measuring embeddings", done, len(rows))
        having = ~np.isnan(x).any(axis=1)
        scores = {RANK: Score(rank_me(x[having]))} | pairs.get(name, {})
        own = known
        if not having.all():
            name = f"{name} ({having.sum()} of {len(x)} specimens)"
            try:
                table = tables[0].iloc[np.flatnonzero(having)]
                own = known and _Known.of(table, label, within, groups)
            except CollectionError:
                own = None  # those that have the modality are all alike in the label
        found.append(Worth(name, own.scores(x[having]) | scores if own else scores))
    stem = "-".join(["evaluation", *([label.replace("/", "_")] if label else [])])
    path = runs[0] / f"{stem}.csv"
    with atomic(path) as temporary:
        as_table(found).to_csv(temporary, index=False)
    yield Saved(path)
    figure = path.with_suffix(".png")
    worth_figure({worth.embedding: worth.scores for worth in found}, figure)
    yield Saved(figure)
    return found


def as_table(found: Sequence[Worth]) -> pd.DataFrame:
    """One row per embedding and measure: ``embedding, measure, value, low, high, p``."""
    return pd.DataFrame(
        [
            {"embedding": worth.embedding, "measure": measure, **score._asdict()}
            for worth in found
            for measure, score in worth.scores.items()
        ]
    )


@dataclass(frozen=True, eq=False)
class _Known:
    """What is known of the N specimens that have a label.

    Parameters
    ----------
    rows : (N,)
        Their rows in the embeddings.
    ids
        N specimen ids.
    labels, groups : (N,)
        Numbers from 0.
    levels
        Rows (of the N) of each level that has two labels at least.
    """

    rows: NDArray[np.intp]
    ids: NDArray[np.str_]
    labels: NDArray[np.intp]
    groups: NDArray[np.intp]
    levels: tuple[NDArray[np.intp], ...]

    @classmethod
    def of(cls, table: pd.DataFrame, label: str, within: str, groups: str) -> _Known:
        def codes(column: str, otherwise: NDArray[np.intp]) -> NDArray[np.intp]:
            if not column:
                return otherwise[: len(known)]
            return np.unique(known[column].astype(str), return_inverse=True)[1]

        rows = np.flatnonzero(table[label].notna())
        known = table.iloc[rows]
        labels = codes(label, rows)
        level = codes(within, np.zeros(len(table), np.intp))
        members = [np.flatnonzero(level == one) for one in np.unique(level)]
        levels = tuple(own for own in members if len(np.unique(labels[own])) > 1)
        if not levels:
            where = f"No level of '{within}' holds" if within else "The specimens do not hold"
            raise CollectionError(
                f"{where} two values of '{label}', so there is nothing to tell apart; choose "
                "another column."
            )
        group = codes(groups, np.arange(len(table), dtype=np.intp))
        ids = known["specimen"].to_numpy(str)
        return cls(rows, ids, labels, group, levels)

    def scores(self, embeddings: NDArray[np.float32]) -> dict[str, Score]:
        """All measures of (all, D) embeddings."""
        x = embeddings[self.rows]
        scores = {}
        own = np.concatenate(self.levels)
        for name, measure in OF_SPECIMENS.items():
            values = np.full(len(x), np.nan)
            for level in self.levels:
                values[level] = measure(x[level], self.labels[level], self.groups[level])
            scores[name] = self._score(partial(_mean_of, values), own)
        clusters = np.empty(len(x), np.int64)
        for level in self.levels:
            kinds = KMeans(clusters=len(np.unique(self.labels[level])))
            clusters[level] = cluster(x[level], tuple(self.ids[level]), kinds, 0).labels
        level_of = np.full(len(x), -1)
        for number, level in enumerate(self.levels):
            level_of[level] = number

        def mean_agreement(agree: Callable[..., float], rows: NDArray[np.intp]) -> float:
            parts = [rows[level_of[rows] == number] for number in np.unique(level_of[rows])]
            return float(np.mean([agree(clusters[part], self.labels[part]) for part in parts]))

        for name, agree in OF_CLUSTERS.items():
            scores[name] = self._score(partial(mean_agreement, agree), own)
        explained = permanova(x[own], self.labels[own], self.groups[own], level_of[own])
        scores["variance explained (PERMANOVA R²)"] = Score(explained.r2, p=explained.p)
        return scores

    def _score(
        self, statistic: Callable[[NDArray[np.intp]], float], own: NDArray[np.intp]
    ) -> Score:
        groups = np.unique(self.groups[own], return_inverse=True)[1]
        return Score(statistic(own), *bootstrap(lambda rows: statistic(own[rows]), groups))


def _of_views(projections: Projections, name: str) -> dict[str, dict[str, Score]]:
    """What projections of two views tell, by embedding."""
    scores: dict[str, dict[str, Score]] = {}
    having = {space: ~np.isnan(z[0]).any(axis=1) for space, z in projections.z.items()}
    for space, (first, second) in projections.z.items():
        own = having[space]
        distance = alignment(first[own], second[own])
        scores[name + space] = {
            "alignment of two views": over_specimens(distance),
            "uniformity": Score(uniformity(first[own])),
            "another view found": over_specimens(matched(first[own], second[own])),
        }
    # without the loss cross_modal, nothing makes the projections of two modalities comparable
    for space, other in permutations(projections.cross, 2):
        both = having[space] & having[other]
        mine, theirs = projections.cross[space][0], projections.cross[other]
        for view, there in zip(("same view", "another view"), theirs, strict=True):
            found = over_specimens(matched(mine[both], there[both]))
            scores[name + space][f"{view} found among {other}"] = found
    return scores


def over_specimens(values: NDArray[Any]) -> Score:
    """Mean of (N,) values, one of each specimen, and its interval."""
    statistic = partial(_mean_of, values)
    everyone = np.arange(len(values))
    return Score(statistic(everyone), *bootstrap(statistic, everyone))


def _mean_of(values: NDArray[Any], rows: NDArray[np.intp]) -> float:
    """Over what is defined, NaN where nothing is."""
    defined = values[rows][~np.isnan(values[rows])]
    return float(defined.mean()) if len(defined) else np.nan


def check_columns(run: Path, table: pd.DataFrame, columns: Sequence[str]) -> None:
    """Raise `OptionError` for a column that the specimens' metadata lack; ``""`` is none."""
    for column in columns:
        if column and column not in table:
            raise OptionError(
                f"The specimens of '{run.name}' have no metadata column '{column}'; they have "
                f"{', '.join(table.columns)}."
            )


def standardised(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """(N, D) with mean 0 and standard deviation 1 of every column; a constant one is 0."""
    spread = x.std(axis=0)
    scaled: NDArray[np.float32] = (x - x.mean(axis=0)) / np.where(spread > 0, spread, 1)
    return scaled
