"""Which of two embeddings is better, by numbers that can be checked, and how often by luck."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from napari_phenoscape.analysis.evaluation._score import Score
from napari_phenoscape.analysis.evaluation._verdict import paired, verdict

SURE, UNSURE = Score(0.2, 0.1, 0.3, 0.001), Score(0.05, -0.1, 0.2, 0.4)
START, STATISTICS, QUANTILES, TEXTURE = (
    "before training", "plain colour: colour statistics", "plain colour: colour quantiles",
    "plain texture: instant, rgb",
)  # fmt: skip


def directions(*degrees: float) -> np.ndarray:
    angle = np.radians(degrees)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)


def test_of_specimens_that_differ_the_sign_test_counts_who_won():
    labels = pd.Series([*"abbbb" * 5], name="kind")
    # five a together: each has four of them among its five nearest
    apart = directions(*[0 if kind == "a" else 90 for kind in labels])
    # at five places, where an a has four b around it
    mixed = directions(*np.repeat([0, 72, 144, 216, 288], 5))
    score = paired(apart, mixed, labels)
    assert score.value == pytest.approx(5 / 25)
    assert score.p == pytest.approx(2 / 2**5)
    assert paired(mixed, apart, labels)[0] == -score.value
    same = paired(apart, apart, labels)
    assert (same.value, same.p) == (0, 1)
    assert same.high == -same.low == pytest.approx(1 - 0.025 ** (1 / 25))  # none of 25
    # five of five that differ: at least 0.478 of them, by Clopper and Pearson
    assert score.low == pytest.approx((2 * 0.025 ** (1 / 5) - 1) * 5 / 25, abs=1e-3)
    # the a of the first two places are one individual: four differ
    groups = pd.Series([0, *range(1, 5), 0, *range(6, 25)])
    assert paired(apart, mixed, labels, groups).p == pytest.approx(2 / 2**4)


def test_who_one_of_the_two_does_not_embed_is_not_counted():
    labels = pd.Series(list("ab") * 15)
    x, y = np.random.default_rng(0).normal(size=(2, 30, 4)).astype(np.float32)
    x[20:] = np.nan
    assert paired(x, y, labels) == paired(x[:20], y[:20], labels[:20])


@pytest.mark.parametrize(
    ("against", "labelled", "said"),
    [
        ({}, 0, "Cannot be judged without a label: name 20 specimens."),
        (
            {START: SURE, STATISTICS: SURE}, 19,
            "Cannot be judged without a label: name 20 specimens.",
        ),
        (
            {START: SURE, STATISTICS: SURE, QUANTILES: SURE, TEXTURE: SURE}, 20,
            "Better than before training, than plain colour and than plain texture.",
        ),
        (
            {START: SURE, STATISTICS: SURE, QUANTILES: SURE, TEXTURE: UNSURE}, 20,
            "Better than before training and than plain colour. Not better than plain texture: "
            "instant does as well.",
        ),
        (
            {START: UNSURE, STATISTICS: SURE, QUANTILES: SURE, TEXTURE: UNSURE}, 20,
            "Not better than before training and than plain texture: use instant.",
        ),
        ({START: SURE, STATISTICS: SURE, QUANTILES: UNSURE}, 20, "Not better than plain colour."),
        ({STATISTICS: SURE, QUANTILES: SURE}, 20, "Better than plain colour."),
        ({STATISTICS: SURE._replace(value=-0.2)}, 20, "Not better than plain colour."),
    ],
    ids=["no label", "few", "all", "not texture", "instant", "one colour", "of instant", "worse"],
)  # fmt: skip
def test_better_is_what_beats_all_that_it_is_compared_with(against, labelled, said):
    assert verdict(against, labelled) == said


def test_of_labels_that_mean_nothing_few_are_called_better():
    # one-sided 2.5 % of 40 trials; five or more come in one of 200 such tests
    better = 0
    for trial in range(40):
        random = np.random.default_rng(trial)
        labels = pd.Series(random.permutation([0] * 30 + [1] * 20 + [2] * 10))
        x, y = random.normal(size=(2, 60, 8)).astype(np.float32)
        score = paired(x, y, labels)
        better += score.p < 0.05 and score.value > 0
    assert better < 5
