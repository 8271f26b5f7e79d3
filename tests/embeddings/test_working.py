"""Clusters worked with by hand: merged, split, left out, clustered again, undone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_phenoscape.embeddings import (
    NOISE,
    Clusters,
    History,
    excluded,
    keep_clusters,
    merged,
    read_clusters,
    read_results,
    regrouped,
    split,
    write_clusters,
)
from napari_phenoscape.errors import OptionError
from napari_phenoscape.training import KMeans

IDS = tuple("abcdefgh")


@pytest.fixture
def x():
    """Four pairs of the same direction."""
    return np.repeat(np.eye(4, dtype=np.float32), 2, axis=0)


@pytest.fixture
def clusters():
    """Sizes 4, 3 and 1."""
    return Clusters(
        labels=np.array([1, 1, 1, 1, 2, 2, 2, 3]),
        specimens=IDS,
        names={1: "pale", 2: "dark", 3: "cluster 3"},
        colours={1: "#0072b2", 2: "#e69f00", 3: "#009e73"},
        method=KMeans(clusters=3),
    )


def test_merged_clusters_keep_number_name_and_colour_of_the_largest(clusters):
    one = merged(clusters, (3, 2))
    assert one.labels.tolist() == [1, 1, 1, 1, 2, 2, 2, 2]
    assert one.names == {1: "pale", 2: "dark"}
    assert one.colours[2] == "#e69f00"
    assert one.edits == ("merged dark and cluster 3",)
    assert clusters.labels.tolist() == [1, 1, 1, 1, 2, 2, 2, 3]  # what was is as it was


def test_one_cluster_is_not_merged(clusters):
    with pytest.raises(OptionError, match="Two clusters at least"):
        merged(clusters, (2,))


def test_a_cluster_is_split_into_what_is_alike_and_the_others_stay(clusters, x):
    parts = split(clusters, 1, x)
    assert parts.labels.tolist() in ([1, 1, 4, 4, 2, 2, 2, 3], [4, 4, 1, 1, 2, 2, 2, 3])
    assert parts.names[1] == "pale"
    assert parts.names[4] == "cluster 4"
    assert parts.edits == ("split pale",)


def test_who_is_left_out_is_in_no_cluster(clusters):
    rest = excluded(clusters, ["h", "a"])
    assert rest.labels.tolist() == [NOISE, 1, 1, 1, 2, 2, 2, NOISE]
    assert 3 not in rest.names
    assert rest.names[NOISE] == "noise"


def test_only_the_selected_are_clustered_again(clusters, x):
    again = regrouped(clusters, ["c", "d", "e", "f"], x, KMeans(clusters=2))
    assert again.labels[[0, 1, 6, 7]].tolist() == [1, 1, 2, 3]
    assert again.labels[2:6].tolist() in ([4, 4, 5, 5], [5, 5, 4, 4])


def test_more_clusters_than_differ_are_refused(clusters, x):
    with pytest.raises(OptionError, match="at most 2 clusters"):
        split(clusters, 1, x, parts=3)


def test_steps_are_undone_and_redone_until_another_is_made(clusters):
    second, third = merged(clusters, (2, 3)), excluded(clusters, ["a"])
    history = History(clusters).then(second).then(third)
    assert history.undone().now is second
    assert history.undone().undone().undone().now is clusters
    assert history.undone().redone().redone().now is third
    assert not history.undone().then(clusters).future


def test_edits_and_kept_results_are_found_on_disk(clusters, tmp_path):
    edited = merged(clusters, (2, 3))
    (tmp_path / "clusters").mkdir()
    write_clusters(clusters, tmp_path / "clusters" / "joint.parquet")
    assert read_clusters(keep_clusters(tmp_path, edited, "two morphs")).edits == edited.edits
    results = read_results(tmp_path)
    assert list(results) == ["joint", "two morphs"]
    assert results["two morphs"].labels.tolist() == edited.labels.tolist()


@pytest.mark.parametrize("name", ["", "  ", "a/b", "..", ".hidden"])
def test_a_name_that_is_no_file_is_refused(clusters, tmp_path, name):
    with pytest.raises(OptionError, match="cannot be the name of a file"):
        keep_clusters(tmp_path, clusters, name)


def test_colours_of_specimens_are_those_of_their_clusters(clusters):
    assert replace(clusters).rgb[[0, 4, 7]].tolist() == [
        [0, 0x72, 0xB2], [0xE6, 0x9F, 0], [0, 0x9E, 0x73]
    ]  # fmt: skip
