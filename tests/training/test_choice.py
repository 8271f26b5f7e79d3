"""How many clusters there are: found where they were planted, one where there are none."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from napari_phenoscape.embeddings import cluster, unit_length
from napari_phenoscape.errors import OptionError
from napari_phenoscape.training import Choice, GaussianMixture, KMeans, Ward
from napari_phenoscape.training.grouping._clusterings import Counted
from napari_phenoscape.training.grouping._counting import SPECIMENS, choose

METHODS = [KMeans(), Ward(), GaussianMixture()]


def planted(number: int, each: int, spread: float = 0.2) -> NDArray[np.float32]:
    """So many specimens around each of ``number`` axes of the space, on the sphere."""
    noise = np.random.default_rng(3).normal(scale=spread, size=(number * each, 8))
    return unit_length((np.eye(8)[np.arange(number * each) % number] + noise).astype(np.float32))


def cloud(number: int, seed: int) -> NDArray[np.float32]:
    """One normal distribution, longer along some axes than along others, on the sphere."""
    drawn = np.random.default_rng(seed).standard_normal((number, 8)) * np.linspace(2, 0.5, 8)
    return unit_length(drawn.astype(np.float32))


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.kind)
@pytest.mark.parametrize("number", [2, 3, 5])
def test_the_number_that_was_planted_is_chosen(method: Counted, number: int) -> None:
    x = planted(number, 12)
    settled, choice = method.settled(x, 0)
    assert choice is not None
    assert choice.chosen == choice.best == number
    assert settled == method.model_copy(update={"clusters": number})
    labels = method.labels(x, 0)
    # those of one axis are one cluster: row i is of axis i mod number
    pairs = {(row % number, label) for row, label in enumerate(labels.tolist())}
    assert len(pairs) == number


def test_one_cloud_is_one_group_in_19_of_20_at_least_and_it_is_said() -> None:
    choices = [KMeans().settled(cloud(40, seed), 0)[1] for seed in range(10)]
    one = [choice for choice in choices if choice is not None and choice.chosen == 1]
    assert len(one) >= 9
    assert one[0].words.startswith("One group only: ")
    assert set(KMeans().labels(cloud(40, choices.index(one[0])), 0).tolist()) == {0}


def test_the_curve_has_a_value_for_each_number_and_says_what_was_chosen() -> None:
    _, choice = KMeans().settled(planted(3, 12), 0)
    assert choice is not None
    assert choice.numbers == tuple(range(2, 10))  # 36 specimens, 4 each at least
    assert len(choice.silhouette) == len(choice.stability) == len(choice.numbers)
    assert choice.stability[1] == 1.0  # three parts of each half are those of the other
    assert choice.silhouette[1] == max(choice.silhouette) > choice.cloud
    assert choice.words.startswith("3 clusters, chosen of 2 to 9: silhouette ")
    assert "they come back (stability 1.00 of 1)" in choice.words


def test_parts_that_ignore_the_specimens_do_not_come_back() -> None:
    def by_chance(x: NDArray[np.float32], number: int) -> NDArray[np.int64]:
        return np.random.default_rng(len(x)).permutation(np.arange(len(x)) % number)

    choice = choose(cloud(400, 0), by_chance, 0)
    assert np.abs(choice.stability).max() < 0.05
    assert choice.chosen == 1


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.kind)
def test_the_choice_is_the_same_at_every_call(method: Counted) -> None:
    x = planted(3, 8, 0.4)
    assert method.settled(x, 5) == method.settled(x, 5)


def test_of_many_specimens_the_number_is_chosen_by_some_and_all_are_clustered() -> None:
    x = planted(4, SPECIMENS // 2, 0.1)
    found = cluster(x, [str(i) for i in range(len(x))], KMeans())
    assert np.bincount(found.labels)[1:].tolist() == [SPECIMENS // 2] * 4
    assert found.method == KMeans(clusters=4)
    assert found.choice is not None
    assert found.choice.chosen == 4


def test_too_few_to_choose_are_one_group_in_words() -> None:
    found = cluster(planted(2, 3), list("abcdef"), KMeans())
    assert found.choice == Choice()
    assert found.choice.words.startswith("One group: fewer than 8 specimens differ")
    assert set(found.labels.tolist()) == {1}


def test_a_number_that_is_given_is_taken_and_not_explained() -> None:
    found = cluster(planted(3, 8), [str(i) for i in range(24)], Ward(clusters=2))
    assert found.choice is None
    assert set(found.labels.tolist()) == {1, 2}


def test_the_largest_number_that_was_tried_is_said_to_be_that() -> None:
    words = Choice((2, 3), (0.3, 0.5), (0.9, 0.5), best=3, cloud=0.2, chosen=3).words
    assert words.endswith("the largest number that was tried: there may be more.")
    assert "they come back only in part (stability 0.50 of 1)" in words


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.kind)
def test_specimens_that_are_all_the_same_cannot_be_counted(method: Counted) -> None:
    with pytest.raises(OptionError, match="All 9 specimens have the same embedding"):
        method.labels(np.ones((9, 4), np.float32), 0)
