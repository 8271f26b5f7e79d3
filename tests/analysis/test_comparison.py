"""Embeddings beside a label: what counts, what is read, and what is said before it is read."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Generator
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd
import pytest

from napari_phenoscape.analysis import KNN, RAND, Comparison, compare, evaluate
from napari_phenoscape.embeddings import embed
from napari_phenoscape.errors import CollectionError, OptionError
from napari_phenoscape.events import Event, result
from napari_phenoscape.samples import write_samples
from napari_phenoscape.specimens import collect
from napari_phenoscape.training import Experiment, crops_for, read_experiment, train
from tests.least import least

T = TypeVar("T")

OPENED: list[str] = []
sys.addaudithook(lambda event, given: OPENED.append(str(given[0])) if event == "open" else None)


def opened(verb: Generator[Event, None, T]) -> tuple[Counter[str], T]:
    """How often each specimen's file is opened while a verb runs to its end, and its result."""
    OPENED.clear()
    made = result(verb)
    return Counter(Path(name).name for name in OPENED if name.endswith(".tif")), made


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compare")
    samples = result(write_samples(folder / "samples", specimens=24, size=32, drawer=False))
    given = least(samples)
    given["schedule"] |= {"steps": 2, "batch_size": 8}
    given |= {"image_size": 32, "runs": str(folder / "runs")}
    return result(train(Experiment.parse(given)))


@pytest.fixture(scope="module")
def evaluated(run: Path) -> tuple[Counter[str], dict[str, list[Comparison]]]:
    """Two labels of it, one of them within the other, and how often its files were opened."""
    return opened(evaluate([run], "species", "morph", within="species"))


def directions(*degrees: float) -> np.ndarray:
    angle = np.radians(degrees)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)


def test_who_has_no_label_or_no_embedding_is_left_out():
    apart = [*range(10), *range(80, 90)]
    x = directions(*apart, 5, 85)
    x[-1] = np.nan
    # the one without a label lies among a, that without an embedding is called b
    labels = pd.Series([*"a" * 10, *"b" * 10, None, "b"], name="morph")
    scores = compare(x, labels)
    assert (scores[KNN].value, scores[KNN].high) == (1, 1)
    assert 0.8 < scores[KNN].low < 0.9  # all of twenty are right: 0.025 ** (1 / 20) = 0.83
    assert scores[RAND][:3] == (1, 1, 1)
    assert scores == compare(x[:20], labels[:20])


def test_individuals_that_are_not_known_are_each_their_own():
    draws = np.random.default_rng(0)
    x, labels = draws.normal(size=(24, 4)).astype(np.float32), pd.Series(list("ab") * 12)
    pairs = [f"i{i // 2}" for i in range(12)]
    said = compare(x, labels, pd.Series([*pairs, *(f"alone {i}" for i in range(12))]))
    for unknown in (None, np.nan, "", " ", "?", "Unknown", "-", "n.a."):
        assert compare(x, labels, pd.Series([*pairs, *[unknown] * 12])) == said


def test_levels_that_are_not_known_are_not_compared():
    x = directions(0, 1, 80, 81, 40, 41, 42)
    labels = pd.Series(list("aabbaba"), name="morph")
    level = pd.Series([*"pppp", None, None, ""], name="species")
    assert compare(x, labels, within=level) == compare(x[:4], labels[:4], within=level[:4])


def test_a_copy_of_a_photograph_does_not_stop_the_comparison():
    # the two of level q are one photograph filed twice: no clustering can tell them apart
    x = directions(*range(10), *range(80, 90), 45, 45)
    labels = pd.Series([*"a" * 10, *"b" * 10, "a", "b"], name="sex")
    level = pd.Series([*"p" * 20, *"qq"], name="species")
    assert compare(x, labels, within=level)[RAND].value == 0.5  # the mean of 1 and 0
    # each has a label of its own, two are copies
    alone = compare(directions(0, 30, 60, 60), pd.Series(list("abcd"), name="number"))
    assert (alone[RAND].value, alone[KNN].value) == (0, 0)
    # nothing else could be found, so that it was found says nothing
    assert np.isnan(compare(directions(0, 30, 60), pd.Series(list("abc")))[RAND].value)


def test_intervals_on_noise_hold_chance_and_always_their_value() -> None:
    tried = []
    for trial in range(16):
        draws = np.random.default_rng(trial)
        x = draws.normal(size=(24, 8)).astype(np.float32)
        tried.append(compare(x, pd.Series(draws.integers(0, 8, 24), name="kind")))
    for measure in {*tried[0]} - {"variance explained (PERMANOVA R²)"}:
        scores = [scores[measure] for scores in tried]
        chance = 0 if measure.startswith("adjusted") else np.mean([one.value for one in scores])
        assert all(one.low <= one.value <= one.high for one in scores), measure
        # at 95 %, 13 or more of 16 hold it in 99 of 100 such tests
        assert sum(one.low <= chance <= one.high for one in scores) >= 13, measure


def test_intervals_are_of_the_specimens_that_were_judged():
    draws = np.random.default_rng(0)
    x = draws.normal(size=(40, 4)).astype(np.float32)
    # the first twelve, of the level without two labels, tell nothing
    labels = pd.Series([*"a" * 12, *draws.permutation([*"ab" * 14])], name="morph")
    level = pd.Series([*"p" * 12, *"q" * 28], name="species")
    groups = pd.Series(np.arange(40) // 3)
    alone = slice(12, None)
    assert compare(x, labels, groups, level) == compare(x[alone], labels[alone], groups[alone])


def test_intervals_are_of_groups_that_are_drawn_together():
    draws = np.random.default_rng(0)
    labels, x = pd.Series(list("ab") * 20), draws.normal(size=(40, 4)).astype(np.float32)
    pairs = np.repeat(np.arange(40), 2)
    # the centroid of the others is the same, and each of them twice is no more evidence than once
    measure = "nearest-centroid accuracy"
    twice = compare(x[pairs], labels[pairs].reset_index(drop=True), pd.Series(pairs))[measure]
    assert twice == pytest.approx(compare(x, labels)[measure], nan_ok=True)
    assert twice.high - twice.low > 0.2


def test_one_label_alone_cannot_be_told_apart():
    x, alike = directions(0, 1, 80, 81), pd.Series(list("aaaa"), name="morph")
    with pytest.raises(CollectionError, match="No specimens hold two values of 'morph'"):
        compare(x, alike)
    level = pd.Series(list("ppqq"), name="species")
    with pytest.raises(CollectionError, match="No level of 'species' holds two values of 'morph'"):
        compare(x, level.rename("morph"), within=level)


def test_a_second_label_costs_no_second_reading_of_the_files(run: Path, evaluated) -> None:
    to_find, collection = opened(collect(read_experiment(run).collection))
    to_read, _ = opened(crops_for(run, collection))
    assert len(to_read) == 24
    assert evaluated[0] == to_find + to_read


def test_the_column_that_others_are_compared_within_is_compared_over_all(
    run: Path, evaluated
) -> None:
    embeddings = result(embed(run))["rgb+uv"]
    scores = compare(embeddings.x, embeddings.table["species"])
    trained = evaluated[1]["species"][0]
    assert {measure: trained.scores[measure] for measure in scores} == scores
    for label, comparisons in evaluated[1].items():
        kept = pd.read_csv(run / f"evaluation-{label}.csv")
        assert kept["embedding"].unique().tolist() == [one.embedding for one in comparisons]


def test_the_run_is_judged_against_its_start_colour_and_texture_in_a_sentence_at_the_end(
    run: Path, evaluated
) -> None:
    for label, comparisons in evaluated[1].items():
        (judged,) = (one for one in comparisons if one.verdict)
        assert judged.embedding == "trained, rgb+uv"
        assert list(judged.against) == [
            "naming the commonest label", "before training", "plain texture: instant, rgb+uv",
            "plain colour: colour statistics", "plain colour: colour quantiles",
        ]  # fmt: skip
        kept = pd.read_csv(run / f"evaluation-{label}.csv")
        assert kept.loc[kept["measure"] == "verdict", "words"].tolist() == [judged.verdict]
        (p,) = kept.loc[kept["measure"] == "5-NN accuracy more than before training", "p"]
        assert p == judged.against["before training"].p
    said = [one.verdict for one in result(evaluate([run]))[""] if one.verdict]
    assert said == ["Cannot be judged without a label: label 20 specimens."]


def test_a_column_that_is_not_there_is_said_before_any_pixel_is_read(run: Path) -> None:
    for given, words in (
        ({"labels": ("specie",)}, "column 'specie'. Did you mean 'species'"),
        ({"labels": ("species", "murph")}, "Did you mean 'morph'"),
        ({"labels": ("species",), "within": "sox"}, "Did you mean 'sex'"),
        ({"labels": ("species",), "groups": "q"}, "column 'q'. They have specimen, filename"),
    ):
        events = []
        with pytest.raises(OptionError, match=words):
            events.extend(evaluate([run], *given.pop("labels"), **given))
        assert {event.what for event in events} <= {"finding specimens"}


def test_runs_of_one_name_whose_rows_would_be_one_are_refused(run: Path) -> None:
    for other in (run, run.parent / "elsewhere" / run.name):
        with pytest.raises(OptionError, match=f"2 of the runs are named '{run.name}', and"):
            next(evaluate([run, other], "species"))


def test_what_cannot_be_told_apart_is_said_before_any_pixel_is_read(run: Path) -> None:
    events: list[Event] = []
    with pytest.raises(CollectionError, match="'morph' holds two values of 'species'"):
        events.extend(evaluate([run], "species", within="morph"))
    assert {event.what for event in events} == {"finding specimens"}
