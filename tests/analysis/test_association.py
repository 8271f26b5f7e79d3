"""How clusters go with the metadata, and with other clusters."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import adjusted_mutual_info_score

from napari_phenoscape.analysis import association, results_agreement
from napari_phenoscape.embeddings import Clusters
from napari_phenoscape.training import KMeans

N = 40


@pytest.fixture
def clusters():
    labels = np.repeat([1, 2], N // 2)
    ids = tuple(f"{number}" for number in range(N))
    return Clusters(labels, ids, {1: "a", 2: "b"}, {1: "#0072b2", 2: "#e69f00"}, KMeans(clusters=2))


@pytest.fixture
def table(clusters):
    random = np.random.default_rng(0)
    own = dict.fromkeys(("filename", "path", "row", "column"), 0)
    return pd.DataFrame({
        "specimen": clusters.specimens, **own,
        "coin": random.integers(0, 2, N), "morph": np.repeat(["x", "y"], N // 2),
        "mass": np.arange(N) + 0.5, "sex": ["F", None] * (N // 4) + ["M", None] * (N // 4),
        "one": "same", "each": [f"no {number}" for number in range(N)],
    })  # fmt: skip


def test_columns_are_sorted_by_how_far_clusters_go_with_them(table, clusters):
    found = association(table, clusters).set_index("column")
    assert set(found.index[:2]) == {"morph", "sex"}
    assert found.index[2] == "mass"  # in quarters, two to a cluster
    assert found.mutual_information["morph"] == pytest.approx(1)
    assert found.p["morph"] == pytest.approx(1 / 1000)
    assert abs(found.mutual_information["coin"]) < 0.1
    assert found.p["coin"] > 0.05
    assert found.specimens["sex"] == N // 2  # those that are known
    assert found.levels["mass"] == 4
    assert not {"one", "each"} & set(found.index)


def test_the_measure_is_that_of_scikit_learn(table, clusters):
    found = association(table, clusters, permutations=1).set_index("column")
    expected = adjusted_mutual_info_score(table["coin"], clusters.labels)
    assert found.mutual_information["coin"] == pytest.approx(expected)


def test_p_of_what_is_dealt_out_by_chance_is_even(table, clusters):
    random = np.random.default_rng(1)
    found = []
    for _ in range(40):
        table["coin"] = random.integers(0, 2, N)
        few = table[[*table.columns[:5], "coin"]]
        found.append(float(association(few, clusters, permutations=99).p[0]))
    assert 0.3 < np.mean(found) < 0.75
    assert np.mean(np.array(found) <= 0.1) < 0.3


def test_results_agree_with_themselves_and_are_compared_where_both_have_specimens(clusters):
    other = replace(clusters, labels=np.tile([1, 2], N // 2))
    half = replace(clusters, labels=clusters.labels[::2], specimens=clusters.specimens[::2])
    found = results_agreement({"these": clusters, "half": half, "other": other})
    both = found.set_index(["first", "second"])
    assert both.rand["these", "half"] == pytest.approx(1)
    assert both.specimens["these", "half"] == N // 2
    assert abs(both.rand["these", "other"]) < 0.1
    assert len(found) == 3
