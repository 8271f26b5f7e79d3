"""Clusters: what is found, and that numbers, names and colours stay."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from napari_phenoscape.embeddings import Clusters, cluster, read_clusters, write_clusters
from napari_phenoscape.embeddings._clustering import NOISE_COLOUR
from napari_phenoscape.errors import CollectionError, MissingFileError, OptionError, RunError
from napari_phenoscape.training import HDBSCAN, PALETTE, PALETTES, UMAP, KMeans

COLOURS = PALETTES[PALETTE]


def along(*axes: int, dimensions: int = 6) -> NDArray[np.float32]:
    """A specimen near each of these axes of the space, no two the same, of various lengths."""
    wobble = np.random.default_rng(0).normal(scale=0.02, size=(len(axes), dimensions))
    length = np.linspace(1, 50, len(axes))[:, None]
    return ((np.eye(dimensions)[list(axes)] + wobble) * length).astype(np.float32)


def ids(count: int) -> list[str]:
    return [f"s{i}" for i in range(count)]


def test_clusters_are_numbered_by_size_and_named_and_coloured_by_number() -> None:
    found = cluster(along(0, 1, 2, 2, 1, 2), ids(6), KMeans(clusters=3))
    assert found.labels.tolist() == [3, 2, 1, 1, 2, 1]
    assert found.labels.dtype == np.int64
    assert found.names == {1: "cluster 1", 2: "cluster 2", 3: "cluster 3"}
    assert found.colours == {1: "#0072b2", 2: "#e69f00", 3: "#009e73"}


def test_of_clusters_of_one_size_the_first_met_is_first() -> None:
    assert cluster(along(4, 1, 4, 1), ids(4), KMeans(clusters=2)).labels.tolist() == [1, 2, 1, 2]


def test_the_length_of_an_embedding_does_not_count() -> None:
    # by length these would part into {0, 1} and {2, 3}; by direction into {0, 2} and {1, 3}
    x = np.array([[1, 0], [0, 1], [90, 1], [1, 90]], np.float32)
    assert cluster(x, ids(4), KMeans(clusters=2)).labels.tolist() == [1, 2, 1, 2]


def test_hdbscan_finds_dense_groups_and_calls_the_rest_noise() -> None:
    axes = [0] * 6 + [1] * 5 + [2]
    found = cluster(along(*axes), ids(12), HDBSCAN(min_size=5))
    assert found.labels.tolist() == [1] * 6 + [2] * 5 + [-1]
    assert found.names[-1] == "noise"
    assert found.colours[-1] == NOISE_COLOUR


def test_hdbscan_takes_the_smallest_size_from_its_option() -> None:
    axes = [0] * 6 + [1] * 5 + [2] * 3
    assert set(cluster(along(*axes), ids(14), HDBSCAN(min_size=3)).labels) == {1, 2, 3}
    assert set(cluster(along(*axes), ids(14), HDBSCAN(min_size=5)).labels) == {1, 2, -1}


def before(*labels: int) -> Clusters:
    numbers = sorted(set(labels))
    return Clusters(
        labels=np.array(labels),
        specimens=tuple(ids(len(labels))),
        names={n: "noise" if n == -1 else f"old {n}" for n in numbers},
        colours={n: NOISE_COLOUR if n == -1 else COLOURS[n + 2] for n in numbers},
        method=KMeans(clusters=2),
    )


def test_of_clusters_that_are_gone_the_names_that_somebody_gave_are_remembered() -> None:
    old, x = before(7, 7, 7, 5, 5, 3), along(1, 1, 1, 0, 0, 0)
    given = cluster(x, ids(6), KMeans(clusters=2), previous=old)
    assert given.former == {ids(6)[5]: (3, "old 3", old.colours[3])}
    own = replace(old, names={number: f"cluster {number}" for number in old.names})
    assert cluster(x, ids(6), KMeans(clusters=2), previous=own).former == {}


def test_numbers_names_and_colours_carry_over_by_overlap() -> None:
    old = before(7, 7, 7, 5, 5, 5)
    new = cluster(along(1, 1, 1, 1, 0, 0), ids(6), KMeans(clusters=2), previous=old)
    assert new.labels.tolist() == [7, 7, 7, 7, 5, 5]
    assert new.names == {5: "old 5", 7: "old 7"}
    assert new.colours == old.colours


def test_the_matching_keeps_most_specimens_in_all_not_most_in_the_largest() -> None:
    # new A = 3 of old 1 + 3 of old 2, new B = 3 of old 1: one to one, A is 2 and B is 1 (6 stay)
    old = before(1, 1, 1, 1, 1, 1, 2, 2, 2)
    new = cluster(along(0, 0, 0, 3, 3, 3, 0, 0, 0), ids(9), KMeans(clusters=2), previous=old)
    assert new.labels.tolist() == [2, 2, 2, 1, 1, 1, 2, 2, 2]


def test_a_cluster_without_a_forerunner_gets_a_number_and_a_colour_that_none_had() -> None:
    old = before(1, 1, 1, 1, 2, 2, 2, -1)
    new = cluster(along(0, 0, 0, 1, 2, 2, 2, 3), ids(8), KMeans(clusters=4), previous=old)
    assert new.labels.tolist() == [1, 1, 1, 3, 2, 2, 2, 4]  # noise has no heir
    assert new.names == {1: "old 1", 2: "old 2", 3: "cluster 3", 4: "cluster 4"}
    # old 1 and 2 have the colours 3 and 4 of the table
    assert [new.colours[n] for n in (3, 4)] == [COLOURS[0], COLOURS[1]]


def test_other_specimens_are_matched_by_those_in_common_and_order_does_not_count() -> None:
    old = before(1, 1, 2, 2)
    new = cluster(
        along(0, 0, 0, 1, 1), ["s3", "new", "s2", "s1", "s0"], KMeans(clusters=2), previous=old
    )
    assert new.labels.tolist() == [2, 2, 2, 1, 1]


def test_a_cluster_takes_no_name_of_one_that_it_shares_no_specimen_with() -> None:
    # 3 of old 1 meet all of old 2 in one new cluster: the number that is left, 2, is no heir's
    new = cluster(along(0, 0, 0, 3, 0), ids(5), KMeans(clusters=2), previous=before(1, 1, 1, 1, 2))
    assert new.labels.tolist() == [1, 1, 1, 3, 1]
    assert new.names == {1: "old 1", 3: "cluster 3"}


def test_nothing_in_common_means_new_numbers() -> None:
    new = cluster(along(0, 1), ["p", "q"], KMeans(clusters=2), previous=before(1, 2))
    assert new.labels.tolist() == [3, 4]


def named(clusters: Clusters) -> Clusters:
    return replace(clusters, names={n: f"form {n}" for n in clusters.names})


def through_a_file(clusters: Clusters, folder: Path) -> Clusters:
    write_clusters(clusters, folder / "clusters.parquet")
    return read_clusters(folder / "clusters.parquet")


@pytest.mark.parametrize(
    "between", [KMeans(clusters=2), HDBSCAN(min_size=11)], ids=["fewer", "all noise"]
)
def test_names_given_by_hand_come_back_after_other_clusterings(
    between: KMeans | HDBSCAN, tmp_path: Path
) -> None:
    x = along(0, 0, 0, 0, 1, 1, 1, 2, 2, 3, 3)
    first = named(cluster(x, ids(11), KMeans(clusters=4)))
    last = first
    for method in (between, between, KMeans(clusters=2), KMeans(clusters=4)):
        last = through_a_file(cluster(x, ids(11), method, previous=last), tmp_path)
    assert last.labels.tolist() == first.labels.tolist()
    assert (last.names, last.colours, last.former) == (first.names, first.colours, {})


def test_names_that_nobody_gave_are_not_kept_and_named_noise_is(tmp_path: Path) -> None:
    x = along(0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2)
    found = cluster(x, ids(11), HDBSCAN(min_size=5))
    assert cluster(x, ids(11), KMeans(clusters=3), previous=found).former == {}
    odd = replace(found, names={**found.names, -1: "odd ones"})
    between = through_a_file(cluster(x, ids(11), KMeans(clusters=2), previous=odd), tmp_path)
    assert between.former == {"s10": (-1, "odd ones", NOISE_COLOUR)}
    again = cluster(x, ids(11), HDBSCAN(min_size=5), previous=between)
    assert again.names == odd.names


def test_the_number_of_a_former_cluster_is_not_given_to_another() -> None:
    first = named(cluster(along(0, 0, 0, 1, 1), ids(5), KMeans(clusters=2)))
    one = cluster(along(0, 0, 0, 1, 1), ids(5), HDBSCAN(min_size=5), previous=first)
    assert {was[0] for was in one.former.values()} == {1, 2}
    other = cluster(along(0, 1), ["p", "q"], KMeans(clusters=2), previous=one)
    assert sorted(other.names) == [3, 4]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none_are_one_sentence(value: float) -> None:
    x = along(*[0, 1] * 6)
    x[3, 2] = value
    for method in (KMeans(clusters=2), HDBSCAN()):
        with pytest.raises(CollectionError, match="1 of 12 embeddings, that of row 4 first, hold"):
            cluster(x, ids(12), method)
    with pytest.raises(CollectionError, match="no specimens to cluster"):
        cluster(x[:0], [], KMeans(clusters=2))


def test_large_numbers_and_half_precision_are_clustered_as_others() -> None:
    x = along(*[0, 1] * 6)
    expected = cluster(x, ids(12), KMeans(clusters=2)).labels.tolist()
    for given in (x * np.float32(1e30), (x * 1000).astype(np.float16), x.tolist()):
        assert cluster(given, ids(12), KMeans(clusters=2)).labels.tolist() == expected


def test_clustering_again_changes_nothing() -> None:
    x = along(0, 1, 2, 2, 1, 2)
    first = cluster(x, ids(6), KMeans(clusters=3))
    again = cluster(x, ids(6), KMeans(clusters=3), seed=1, previous=first)
    assert again.labels.tolist() == first.labels.tolist()
    assert (again.names, again.colours) == (first.names, first.colours)


def test_more_clusters_than_colours_start_the_table_again() -> None:
    count = len(COLOURS) + 1
    found = cluster(np.eye(count, dtype=np.float32), ids(count), KMeans(clusters=count))
    assert found.colours[count] == COLOURS[0]
    assert sorted({*found.colours.values()}) == sorted(COLOURS)


@pytest.mark.parametrize(
    ("x", "method", "message"),
    [
        (along(0, 1, 2), KMeans(clusters=4), r"4 clusters of 3 specimens.*at most 3 clusters"),
        (np.ones((9, 4)), KMeans(clusters=2), r"All 9 specimens have the same embedding.*train"),
        (along(0, 1, 2), HDBSCAN(min_size=5), r"at least 5.*there are 3.*smaller min_size"),
    ],
    ids=["few", "collapsed", "few for hdbscan"],
)
def test_too_few_specimens_are_one_sentence(
    x: NDArray[np.float32], method: KMeans | HDBSCAN, message: str
) -> None:
    with pytest.raises(OptionError, match=message):
        cluster(x, ids(len(x)), method)


def test_a_file_gives_back_what_was_written(tmp_path: Path) -> None:
    old = replace(before(2, -1, 7, 2), method=HDBSCAN(min_size=3), seed=5, space="uv")
    old.names[7] = "spotted – UV"
    write_clusters(old, tmp_path / "clusters.parquet")
    new = read_clusters(tmp_path / "clusters.parquet")
    assert new.labels.tolist() == [2, -1, 7, 2]
    assert new.labels.dtype == np.int64
    assert (new.specimens, new.names, new.colours) == (old.specimens, old.names, old.colours)
    assert (new.method, new.seed, new.space) == (HDBSCAN(min_size=3), 5, "uv")


def test_the_map_is_kept_beside_the_clusters(tmp_path: Path) -> None:
    xy = np.array([[0, 1], [2, 3], [4, 5]], np.float32)
    drawn = replace(before(2, -1, 7), xy=xy, map=UMAP(neighbours=7))
    write_clusters(drawn, tmp_path / "clusters.parquet")
    assert pd.read_parquet(tmp_path / "clusters.parquet")["y"].tolist() == [1, 3, 5]
    read = read_clusters(tmp_path / "clusters.parquet")
    np.testing.assert_array_equal(read.xy, xy)
    assert read.map == UMAP(neighbours=7)


def test_the_file_is_a_plain_table_for_other_programs(tmp_path: Path) -> None:
    write_clusters(before(2, 1), tmp_path / "clusters.parquet")
    table = pd.read_parquet(tmp_path / "clusters.parquet")
    assert table.columns.tolist() == ["specimen", "cluster", "name", "colour"]
    assert table.to_numpy().tolist()[0] == ["s0", 2, "old 2", COLOURS[4]]


def test_another_palette_gives_clusters_its_colours_place_by_place(tmp_path: Path) -> None:
    old = cluster(along(0, 0, 0, 1, 1, 2), ids(6), KMeans(clusters=3))
    write_clusters(old, tmp_path / "clusters.parquet")
    kept = read_clusters(tmp_path / "clusters.parquet")
    fewer, muted = KMeans(clusters=2), PALETTES["tol-muted"]
    new = cluster(along(0, 0, 0, 1, 1, 1), ids(6), fewer, previous=kept, palette="tol-muted")
    assert new.colours == {1: muted[0], 2: muted[1]}
    write_clusters(new, tmp_path / "clusters.parquet")
    kept = read_clusters(tmp_path / "clusters.parquet")
    again = cluster(along(0, 0, 0, 1, 1, 2), ids(6), KMeans(clusters=3), previous=kept)
    assert again.colours == {1: muted[0], 2: muted[1], 3: muted[2]}  # as it was, unless asked


def test_what_is_not_a_cluster_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match=r"no file.*nowhere"):
        read_clusters(tmp_path / "nowhere.parquet")
    (tmp_path / "text.parquet").write_text("hello")
    pd.DataFrame({"specimen": ["a"]}).to_parquet(tmp_path / "other.parquet")
    pd.DataFrame({"specimen": ["a"], "cluster": [1], "name": ["a"], "colour": ["b"]}).to_parquet(
        tmp_path / "bare.parquet"
    )
    for name in ("text", "other", "bare"):
        with pytest.raises(RunError, match=rf"{name}.parquet' does not hold clusters"):
            read_clusters(tmp_path / f"{name}.parquet")


# Linear sRGB as seen with a pigment missing: Machado, Oliveira & Fernandes 2009, severity 1.
EYES = {
    "normal": np.eye(3),
    "protan": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deutan": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
}
# Oklab, https://bottosson.github.io/posts/oklab/
LMS = [
    [0.4122214708, 0.5363325363, 0.0514459929],
    [0.2119034982, 0.6806995451, 0.1073969566],
    [0.0883024619, 0.2817188376, 0.6299787005],
]
LAB = [
    [0.2104542553, 0.7936177850, -0.0040720468],
    [1.9779984951, -2.4285922050, 0.4505937099],
    [0.0259040371, 0.7827717662, -0.8086757660],
]


@pytest.mark.parametrize("eye", EYES)
@pytest.mark.parametrize(("palette", "least"), [("okabe-ito", 0.07), ("tol-muted", 0.038)])
def test_any_two_colours_differ_for_every_eye(palette: str, least: float, eye: str) -> None:
    table = (*PALETTES[palette], NOISE_COLOUR)
    srgb = np.array([[int(c[i : i + 2], 16) / 255 for i in (1, 3, 5)] for c in table])
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    seen = np.clip(linear @ np.array(EYES[eye]).T, 0, 1)
    lab = np.cbrt(seen @ np.array(LMS).T) @ np.array(LAB).T
    apart = np.linalg.norm(lab[:, None] - lab[None], axis=-1)
    assert apart[np.triu_indices(len(table), 1)].min() >= least
