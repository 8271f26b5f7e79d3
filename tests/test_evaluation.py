"""Agreement with what is known, in numbers that can be checked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from napari_phenoscape.collection import Folder, collect
from napari_phenoscape.cube import Band, as_modality
from napari_phenoscape.errors import CollectionError
from napari_phenoscape.evaluation import adjusted_rand, colour_statistics, knn_accuracy
from napari_phenoscape.events import result
from napari_phenoscape.store import Crops, prepare


def directions(*degrees: float) -> np.ndarray:
    angle = np.radians(degrees)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def test_each_specimen_is_judged_by_the_majority_of_its_nearest_others():
    x = directions(0, 1, 2, 90, 91, 92, 3.5)
    labels = ["a", "a", "a", "b", "b", "b", "b"]  # the last one lies among a
    assert knn_accuracy(x, labels, k=2) == pytest.approx(6 / 7)


def test_length_does_not_matter():
    x = directions(0, 1, 90, 91) * [[1], [1000], [1], [1000]]
    assert knn_accuracy(x, [0, 0, 1, 1], k=1) == 1


def test_of_equally_many_votes_the_nearest_voter_wins():
    # 0° and 1° have one vote for z, 1° away, and one for b, further away; 3° has two for z
    assert knn_accuracy(directions(0, 1, 3), ["z", "z", "b"], k=2) == 2 / 3


def test_neighbours_of_the_same_group_do_not_vote():
    x = directions(0, 1, 40, 41, 80, 81)
    labels = [0, 0, 1, 1, 0, 0]
    pairs = [7, 7, 8, 8, 9, 9]
    assert knn_accuracy(x, labels, k=1) == 1
    # 0° and 1° are nearest to 40°; 40° and 41° to 1° or 80°; 80° and 81° to 41°
    assert knn_accuracy(x, labels, k=1, groups=pairs) == 0


def test_groups_leave_as_many_voters_as_there_are():
    # 1° and 90° have one voter each: 0°
    assert knn_accuracy(directions(0, 1, 90), [0, 0, 1], k=5, groups=["i", "j", "j"]) == 2 / 3


def test_one_group_alone_cannot_be_judged():
    with pytest.raises(CollectionError, match="at least 2 groups"):
        knn_accuracy(directions(0, 1), [0, 1], groups=["i", "i"])


def test_more_specimens_than_are_compared_at_once():
    x = directions(*np.linspace(0, 170, 1500))
    labels = np.arange(1500) >= 750
    # of the five nearest of one beside the border, two or three lie beyond
    assert 1498 / 1500 <= knn_accuracy(x, labels) <= 1


def test_rand_index_is_one_for_renamed_clusters_and_counts_levels_apart():
    species = ["x"] * 4 + ["y"] * 4
    morph = [0, 0, 1, 1, 0, 0, 1, 1]
    found = [5, 5, 3, 3, 2, 2, 2, 2]
    assert adjusted_rand([3, 3, 3, 3, 5, 5, 5, 5], species) == 1
    assert adjusted_rand(found, morph, within=species) == pytest.approx((1 + 0) / 2)


def test_colour_statistics_are_mean_and_deviation_under_the_mask():
    images = np.array([[[[1, 3], [5, 99]], [[2, 2], [2, 99]]]], np.float32)
    masks = np.array([[[[True, True], [True, False]]]])
    one = np.ones(2, np.float32)
    crops = Crops(images, masks, ("a",), (Band("R"), Band("G")), {}, one, one)
    np.testing.assert_allclose(colour_statistics(crops), [[3, 2, np.sqrt(8 / 3), 0]], rtol=1e-6)


def test_colour_alone_tells_most_real_blood_cells(phenoscape_data):
    folder = phenoscape_data / "wbc-zheng"
    source = Folder(
        path=folder / "Dataset 1",
        pattern="*.bmp",
        mask="{stem}.png",
        metadata=folder / "Class Labels of Dataset 1.csv",
    )
    collection = result(collect(source))
    x = colour_statistics(result(prepare(collection, [as_modality("rgb")], 96)))
    standard = (x - x.mean(axis=0)) / x.std(axis=0)
    accuracy = knn_accuracy(standard, collection.metadata["class label"])
    assert 0.78 <= accuracy <= 0.88  # 0.83 when written; the largest class is 0.587
