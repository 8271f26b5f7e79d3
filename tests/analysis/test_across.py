"""Across levels of a nuisance: who is near whom, and labels judged by other levels alone."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from napari_phenoscape.analysis.evaluation._across import across, mixing
from napari_phenoscape.specimens import Levels
from napari_phenoscape.training import if_mixed, mixing_words

#: Two species by angle, 0 and 90 degrees, in two labs; each has its nearest in its own lab.
ANGLES = np.deg2rad([0, 1, 10, 11, 90, 91, 100, 101])
X = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1).astype(np.float32)
LABS = Levels(("one", "two"), np.array([0, 0, 1, 1] * 2))
SPECIES = pd.Series([*"xxxxyyyy"], name="species")


def test_the_nearest_of_a_level_is_counted_and_what_chance_makes_of_it() -> None:
    assert mixing(X, LABS, "lab")["nearest is of the same lab"].value == 1
    swapped = Levels(LABS.names, np.array([0, 1] * 4))
    assert mixing(X, swapped, "lab")["nearest is of the same lab"].value == 0
    assert if_mixed(LABS) == pytest.approx(3 / 7)
    assert if_mixed(Levels(("a", "b", "c"), np.repeat([0, 1, 2, -1], 100))) == pytest.approx(
        99 / 299
    )


def test_it_is_said_in_words() -> None:
    assert mixing_words("lab", 0.97, {"instant, rgb": 0.41}, LABS) == (
        "97% of nearest neighbours are of the same 'lab' by plain colour, 41% by 'instant, rgb'; "
        "43% if it did not matter."
    )


def test_across_levels_only_others_vote() -> None:
    scores = across(X, SPECIES, LABS, "lab")
    assert {name: score.value for name, score in scores.items()} == {
        "5-NN accuracy across lab": 1,
        "1-NN accuracy across lab": 1,
        "5-NN accuracy across lab: one": 1,
        "5-NN accuracy across lab: two": 1,
    }
    # species x of lab one looks like y of lab two, and the other way round
    odd = pd.Series([*"xxyyyyxx"], name="species")
    assert across(X, odd, LABS, "lab")["1-NN accuracy across lab"].value == 0


def test_who_has_no_level_no_label_or_no_embedding_takes_no_part() -> None:
    x = np.concatenate([X, X[:3]])
    x[8] = np.nan
    labels = pd.Series([*SPECIES, "y", None, "y"], name="species")
    levels = Levels(LABS.names, np.append(LABS.codes, [1, 1, -1]))
    assert across(x, labels, levels, "lab") == across(X, SPECIES, LABS, "lab")
