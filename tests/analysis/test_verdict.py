"""Which of two embeddings is better, by numbers that can be checked, and how often by luck."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from napari_phenoscape.analysis.evaluation._score import Score
from napari_phenoscape.analysis.evaluation._verdict import (
    COMMONEST,
    could_be_right,
    paired,
    verdict,
)

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
        ({}, None, "Cannot be judged without a label: label 20 specimens."),
        (
            {START: SURE, STATISTICS: SURE}, 19,
            "Cannot be judged by 19 specimens (or groups) whose label can be found among others: "
            "it takes 20.",
        ),
        (
            {COMMONEST: UNSURE, START: SURE, STATISTICS: SURE, TEXTURE: SURE}, 20,
            "Not better than naming the commonest label.",
        ),
        ({COMMONEST: SURE, STATISTICS: SURE}, 20, "Better than plain colour."),
        (
            {START: SURE, STATISTICS: SURE, QUANTILES: SURE, TEXTURE: SURE}, 20,
            "Better than before training, than plain colour and than plain texture.",
        ),
        (
            {START: SURE, STATISTICS: SURE, QUANTILES: SURE, TEXTURE: UNSURE}, 20,
            "Better than before training and than plain colour. Not better than plain texture: "
            "instant may do as well.",
        ),
        (
            {START: SURE, STATISTICS: SURE, TEXTURE: SURE._replace(value=-0.2)}, 20,
            "Not better than plain texture: use instant.",
        ),
        (
            {START: UNSURE, STATISTICS: SURE, QUANTILES: SURE, TEXTURE: UNSURE}, 20,
            "Not better than before training and than plain texture: use instant.",
        ),
        ({START: SURE, STATISTICS: SURE, QUANTILES: UNSURE}, 20, "Not better than plain colour."),
        ({STATISTICS: SURE, QUANTILES: SURE}, 20, "Better than plain colour."),
        ({STATISTICS: SURE._replace(value=-0.2)}, 20, "Not better than plain colour."),
    ],
    ids=[
        "no label", "few", "commonest", "told", "all", "not texture", "below texture", "instant",
        "one colour", "of instant", "worse",
    ],
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


def said(own, labels, groups=None, within=None, barred=None) -> str:
    """The verdict on an embedding beside three that know nothing."""
    nothing = np.random.default_rng(1).normal(size=(3, len(labels), 8)).astype(np.float32)
    others = dict(zip((START, STATISTICS, TEXTURE), nothing, strict=True)) | {COMMONEST: None}
    asked = (pd.Series(labels, name="kind"), groups, within, barred)
    against = {name: paired(own, x, *asked) for name, x in others.items()}
    return verdict(against, could_be_right(*asked))


def test_a_net_that_has_collapsed_is_not_better_for_naming_what_is_common():
    labels = ["a"] * 240 + ["b"] * 60
    # all are alike, so the first five are everybody's nearest
    alike, known = np.ones((300, 8), np.float32), directions(*[0] * 240, *[90] * 60)
    start = np.random.default_rng(0).normal(size=(300, 8)).astype(np.float32)
    score = paired(alike, start, pd.Series(labels))
    assert score.p < 0.05
    assert score.value > 0
    assert said(alike, labels) == "Not better than naming the commonest label."
    better = "Better than before training, than plain colour and than plain texture."
    assert said(known, labels) == better


@pytest.mark.parametrize(
    ("labels", "given", "number"),
    [
        ([*"ab" * 5], {}, 10),
        (range(40), {}, 0),
        ([0, 0, *range(1, 39)], {}, 2),
        ([*"abab" * 10], {"groups": pd.Series([*"ijkl" * 10])}, 4),
        ([*"ab" * 20], {"groups": pd.Series([*"ij" * 20])}, 0),
        ([*"ab" * 20], {"barred": np.tile([0, 1], 20)}, 0),
        ([*"aabb" * 10], {"within": pd.Series([*"xyxz" * 10])}, 20),
        ([*"abcd" * 5, *"e" * 20], {"within": pd.Series([*"xxxx" * 5, *range(20)])}, 20),
    ],
    ids=[
        "ten", "each alone", "a pair", "four individuals", "a kind is one individual",
        "the label is the lab", "one kind in a level", "alone in a level",
    ],
)  # fmt: skip
def test_who_could_be_right_is_who_has_one_of_its_label_to_be_found_by(labels, given, number):
    kinds = pd.Series(labels, name="kind")
    assert could_be_right(kinds, **given) == number
    if number < 20:
        x = np.random.default_rng(0).normal(size=(len(kinds), 8)).astype(np.float32)
        assert f"Cannot be judged by {number} specimens" in said(x, labels, **given)


def test_to_know_the_lab_is_no_gain_where_its_own_are_not_asked():
    # two kinds and two labs that have nothing to do with each other
    kinds, labs = np.tile([0, 1], 40), np.repeat([0, 1], 40)
    draws = np.random.default_rng(0).normal(size=(80, 6)).astype(np.float32)
    knows = np.concatenate([directions(*(90 * kinds)) * 9, draws], axis=1)
    # what kinds look like in one lab, the other ones do in the other
    fooled = np.concatenate([directions(*(90 * (kinds ^ labs) + 30 * labs)) * 20, draws], axis=1)
    better = "Better than before training, than plain colour and than plain texture."
    assert said(knows, kinds) == said(fooled, kinds) == better
    assert said(knows, kinds, barred=labs) == better
    assert said(fooled, kinds, barred=labs) == "Not better than naming the commonest label."
