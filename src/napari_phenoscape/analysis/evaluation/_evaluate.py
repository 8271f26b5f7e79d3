"""Evaluate: the embeddings of runs beside their controls, in tables and figures."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from napari_phenoscape._atomic import atomic
from napari_phenoscape.analysis.evaluation._across import across, mixing, nuisance_notices
from napari_phenoscape.analysis.evaluation._columns import check_columns, group_codes
from napari_phenoscape.analysis.evaluation._comparison import KNN, compare, levels_of
from napari_phenoscape.analysis.evaluation._figure import comparison_figure
from napari_phenoscape.analysis.evaluation._geometry import alignment, rank_me, uniformity
from napari_phenoscape.analysis.evaluation._neighbours import matched
from napari_phenoscape.analysis.evaluation._score import Score, over_specimens
from napari_phenoscape.analysis.evaluation._verdict import (
    COLOUR,
    COMMONEST,
    START,
    TEXTURE,
    could_be_right,
    paired,
    verdict,
)
from napari_phenoscape.embeddings import EmbeddedRun, Projections, embed_all, held, table_of
from napari_phenoscape.errors import CollectionError, OptionError
from napari_phenoscape.events import Event, Progress, Saved
from napari_phenoscape.specimens import (
    Collection,
    Nuisance,
    collect,
    colour_quantiles,
    colour_statistics,
    standardised,
)
from napari_phenoscape.training import (
    InstantMethod,
    joins,
    launch_shares,
    ranks,
    read_experiment,
)

#: Folder of a run with what an evaluation has computed, until it ends.
PARTS = ".evaluation.parts"

#: In place of a verdict on how well a nuisance is told.
NO_GAIN = "Not judged: '{}' differs for technical reasons, so that to tell it is no gain."

RANK, VIEW_FOUND = "effective dimensions (RankMe)", "another view found"


@dataclass(frozen=True)
class Comparison:
    """What one embedding tells.

    Parameters
    ----------
    embedding
        Which one, in words.
    scores
        By measure.
    against
        By what it is compared with: how much more often neighbours are right, see `paired`.
    verdict
        Whether a run is better than these, in a sentence; once in each of its tables.
    """

    embedding: str
    scores: dict[str, Score] = field(default_factory=dict)
    against: dict[str, Score] = field(default_factory=dict)
    verdict: str = ""


def evaluate(
    runs: Sequence[Path],
    *labels: str,
    within: str = "",
    groups: str = "",
    nuisance: str = "",
    devices: int = 1,
) -> Generator[Event, None, dict[str, list[Comparison]]]:
    """Compare embeddings with metadata columns, beside the untrained net, texture and colour.

    Writes ``evaluation-<label>.csv`` and ``.png`` into the first run for each label. Where
    specimens lack a modality, its embedding is measured on those that have it, and named with
    their number.

    Parameters
    ----------
    runs
        Trained runs of the same specimens; each is embedded anew, trained and untrained.
    labels
        The columns to compare with; without one, only what needs no label is measured. The files
        are read once for all of them.
    within
        Compare inside each level of this column; the column itself is compared over all.
    groups
        Specimens of the same level of this column are never on both sides of a judgement, and
        are together for the intervals.
    nuisance
        A column that differs for technical reasons; the first run's when it is not given. How far
        it tells specimens apart is measured, and labels by the neighbours of other levels too.
    devices
        Processes of this machine that share what is computed by specimen; of torchrun and Slurm
        all do.

    Returns
    -------
    By label, ``""`` without one: each embedding. Empty in a process of torchrun or Slurm but the
    first.

    Raises
    ------
    OptionError
        The metadata has no such column, or two runs one name. No pixel was read.
    CollectionError
        The runs have different specimens, or nothing is there to tell apart.
    """
    _check_names(runs)
    named = Nuisance(columns=(nuisance,)) if nuisance else read_experiment(runs[0]).nuisance
    collections = yield from _collections(runs, (*labels, within, groups, *named.columns))
    table = table_of(collections[0])
    group = table[groups] if groups else None
    levels = {label: table[within] if within not in ("", label) else None for label in labels}
    for label, level in levels.items():
        levels_of(table[label], level)  # or no pixel need be read
    technical, bars = named.of(table), None
    if technical is not None and named.bar:
        bars = group_codes(pd.Series(technical.codes).where(technical.codes >= 0), len(table))
    if devices > 1 and ranks() == 1:
        options = {"--within": within, "--groups": groups, "--nuisance": nuisance}
        words = [word for label in labels for word in ("--label", label)]
        words += [word for option in options.items() if option[1] for word in option]
        runtime = read_experiment(runs[0]).runtime
        runtime = runtime.model_copy(update={"devices": devices, "nodes": 1})
        yield from launch_shares(["evaluate", *map(str, runs), *words], runtime)
    rows: list[_Row] = []
    folder = runs[0] / PARTS
    with held(folder):
        for run, collection in zip(runs, collections, strict=True):
            made = yield from embed_all(run, folder / run.name, collection)
            if made is not None:  # of several processes, one goes on
                rows += _rows_of(run, made, f"{run.name}: " if len(runs) > 1 else "")
    if not joins():
        return {}
    comparisons: dict[str, list[Comparison]] = {label: [] for label in labels or ("",)}
    for done, (name, x, of_views, references) in enumerate(rows):
        yield Progress("measuring embeddings", done, len(rows))
        embedded = np.asarray(~np.isnan(x).any(axis=1))
        own = {RANK: Score(rank_me(x[embedded]))} | of_views
        if technical is not None:
            own |= mixing(x, technical, named.name)
        if not embedded.all():
            name = f"{name} ({embedded.sum()} of {len(x)} specimens)"
        for label, of_label in comparisons.items():
            scores: dict[str, Score] = {}
            if label:
                try:
                    scores = compare(x, table[label], group, levels[label])
                except CollectionError:
                    if embedded.all():
                        raise
                    # those that have the modality are all alike in the label
                if technical is not None and named.bar and label not in named.columns:
                    scores |= across(x, table[label], technical, named.name)
            against, judged, said = dict[str, Score](), None, ""
            if references and scores:
                asked = (table[label].where(embedded), group, levels[label], bars)
                judged = could_be_right(*asked)
                way = "" if bars is None else f", across {named.name}"
                against = {
                    f"{other}{way}": paired(x, y, *asked)
                    for other, y in references.items()
                    if judged
                }
            if references:
                technically = label in named.columns
                said = NO_GAIN.format(label) if technically else verdict(against, judged)
            of_label.append(Comparison(name, scores | own, against, said))
    if technical is not None:
        by_name = {row.name: row.x for row in rows}
        yield from nuisance_notices(named, technical, table[list(labels)], by_name)
    for label, of_label in comparisons.items():
        yield from _written(runs[0], label, of_label)
    return comparisons


class _Row(NamedTuple):
    """An (N, D) embedding by name, what its views tell, and, of a run's main one, what to beat."""

    name: str
    x: NDArray[np.float32]
    of_views: dict[str, Score]
    references: dict[str, NDArray[np.float32] | None]


def _rows_of(run: Path, made: EmbeddedRun, prefix: str) -> list[_Row]:
    """The embeddings of a run, trained and not, those of instant runs, and plain colour."""
    colours = {
        "colour statistics": standardised(colour_statistics(made.crops)),
        "colour quantiles": standardised(colour_quantiles(made.crops)),
    }
    main = list(made.trained.spaces)[-1]
    outcomes = read_experiment(run).method.outcomes
    rows = []
    for net, output in zip(outcomes, (made.trained, made.untrained), strict=True):
        views = scores_of_views(output.projections)
        for space, embeddings in output.spaces.items():
            is_main = output is made.trained and space == main
            references = _references(made, main, colours) if is_main else {}
            rows.append(_Row(f"{prefix}{net}, {space}", embeddings.x, views[space], references))
    others = {**made.others, **colours}
    return [*rows, *(_Row(f"{prefix}{name}", x, {}, {}) for name, x in others.items())]


def evaluation_path(run: Path, label: str = "") -> Path:
    """Where `evaluate` writes its table: ``RUN/evaluation-species.csv``, the figure beside it."""
    stem = "-".join(["evaluation", *([label.replace("/", "_")] if label else [])])
    return run / f"{stem}.csv"


def _written(run: Path, label: str, comparisons: list[Comparison]) -> Generator[Saved, None, None]:
    """Write the table and the figure of a label into a run."""
    path = evaluation_path(run, label)
    with atomic(path) as temporary:
        as_table(comparisons).to_csv(temporary, index=False)
    yield Saved(path)
    figure = path.with_suffix(".png")
    comparison_figure({each.embedding: each.scores for each in comparisons}, figure)
    yield Saved(figure)


def _references(
    made: EmbeddedRun, space: str, colours: Mapping[str, NDArray[np.float32]]
) -> dict[str, NDArray[np.float32] | None]:
    """What the main embedding of a run is measured against; the names are `verdict`'s."""
    colour = {f"{COLOUR}: {name}": x for name, x in colours.items()}
    others: dict[str, NDArray[np.float32] | None] = {COMMONEST: None}
    for name, x in made.others.items():
        if name.startswith(InstantMethod.outcomes[0]):
            others |= {START: made.untrained.spaces[space].x, f"{TEXTURE}: {name}": x}
    return others | colour


def _check_names(runs: Sequence[Path]) -> None:
    """Rows of a table are told apart by the names of the runs."""
    names = [run.name for run in runs]
    for name in names:
        if names.count(name) > 1:
            raise OptionError(
                f"{names.count(name)} of the runs are named '{name}', and runs of different names "
                "were expected, which tell their rows apart. Name each run once, or rename its "
                "folder."
            )


def _collections(
    runs: Sequence[Path], columns: Sequence[str]
) -> Generator[Event, None, list[Collection]]:
    """The specimens of the runs, which are the same and have these columns."""
    collections: list[Collection] = []
    for run in runs:
        collection = yield from collect(read_experiment(run).collection)
        check_columns(run, table_of(collection), columns)
        collections.append(collection)
        ids, first = (
            [specimen.id for specimen in of.specimens] for of in (collection, collections[0])
        )
        if ids != first:
            raise CollectionError(
                f"'{run.name}' has other specimens than '{runs[0].name}' ({len(ids)} and "
                f"{len(first)}), so their numbers cannot be compared. Evaluate them apart."
            )
    return collections


def as_table(comparisons: Sequence[Comparison]) -> pd.DataFrame:
    """One row per embedding and measure: ``embedding, measure, value, low, high, p, words``.

    After the measures, what an embedding is compared with, and the verdict in words.
    """
    return pd.DataFrame(
        [
            {"embedding": comparison.embedding, "measure": measure, **score._asdict()}
            for comparison in comparisons
            for measure, score in (
                *comparison.scores.items(),
                *((f"{KNN} more than {other}", s) for other, s in comparison.against.items()),
            )
        ]
        + [
            {"embedding": each.embedding, "measure": "verdict", "words": each.verdict}
            for each in comparisons
            if each.verdict
        ],
        columns=["embedding", "measure", *Score._fields, "words"],
    )


def scores_of_views(projections: Projections) -> dict[str, dict[str, Score]]:
    """What projections of two views tell, by space."""
    scores: dict[str, dict[str, Score]] = {}
    having = {space: ~np.isnan(z[0]).any(axis=1) for space, z in projections.z.items()}
    for space, (first, second) in projections.z.items():
        own = having[space]
        distance = alignment(first[own], second[own])
        scores[space] = {
            "alignment of two views": over_specimens(distance, proportion=False),
            "uniformity": Score(uniformity(first[own])),
            VIEW_FOUND: over_specimens(matched(first[own], second[own])),
        }
    # without the loss cross_modal, nothing makes the projections of two modalities comparable
    for space, other in permutations(projections.cross, 2):
        both = having[space] & having[other]
        mine, theirs = projections.cross[space][0], projections.cross[other]
        for view, projected in zip(("same view", "another view"), theirs, strict=True):
            score = over_specimens(matched(mine[both], projected[both]))
            scores[space][f"{view} found among {other}"] = score
    return scores
