"""Agreement: neighbours that two embeddings of the same specimens share, beyond chance."""

from __future__ import annotations

import numpy as np
import pytest

from napari_phenoscape.training._agreement import shared_neighbours


def test_turned_and_scaled_rows_have_the_same_neighbours() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(100, 4))
    turn, _ = np.linalg.qr(random.normal(size=(4, 4)))
    assert shared_neighbours(x, 3 * x @ turn) == pytest.approx(1)


def test_of_rows_that_know_nothing_of_each_other_chance_is_taken_off() -> None:
    random = np.random.default_rng(0)
    drawn = [
        shared_neighbours(random.normal(size=(40, 3)), random.normal(size=(40, 3)))
        for _ in range(20)
    ]
    # never below 0, so a little above it on average; 5 / 39 if chance were left in
    assert min(drawn) >= 0
    assert np.mean(drawn) < 0.03


def test_two_pairs_of_four_specimens_share_what_can_be_counted_by_hand() -> None:
    # 1 neighbour each: 0-1 and 2-3 by the one; 0-1, and 2 → 1, 3 → 0 by the other
    one, other = (
        np.c_[np.cos(np.radians(angles)), np.sin(np.radians(angles))]
        for angles in ([0, 10, 90, 100], [0, 10, 60, 300])
    )
    # 2 of 4 are the same, and 1 / 3 of them by lot
    assert shared_neighbours(one, other) == pytest.approx((1 / 2 - 1 / 3) / (1 - 1 / 3))


def test_specimens_that_one_of_the_two_does_not_know_have_no_say() -> None:
    random = np.random.default_rng(0)
    x = random.normal(size=(30, 3))
    lacking = x.copy()
    lacking[::3] = np.nan
    assert shared_neighbours(x, lacking) == pytest.approx(1)
