"""Tables for other programs: what is exported is what was embedded, specimen by specimen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from napari_phenoscape.embeddings import PCA, Clusters, Embeddings, KMeans, export_table
from napari_phenoscape.errors import OptionError
from napari_phenoscape.specimens import Folder

IDS = ("b.tif", "a.tif", "c.tif")


@pytest.fixture
def embeddings() -> Embeddings:
    table = pd.DataFrame(
        {
            "specimen": IDS,
            "filename": IDS,
            "species": ["Ficta", None, "Ficta"],
            "length/mm": [1.5, 2.5, np.nan],
            "mixed": [1, "two", None],
        }
    )
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    return Embeddings(x, table, "uv", Folder(path=Path("nowhere")))


@pytest.fixture
def clusters() -> Clusters:
    """Of the same specimens, in another order."""
    xy = np.array([[0, 1], [2, 3], [4, 5]], np.float32)
    return Clusters(
        labels=np.array([1, -1, 1]),
        specimens=("a.tif", "b.tif", "c.tif"),
        names={1: "pale", -1: "noise"},
        colours={1: "#0072b2", -1: "#6e6e6e"},
        method=KMeans(clusters=2),
        xy=xy,
        map=PCA(),
    )


def test_anndata_reads_embeddings_metadata_clusters_and_map(
    tmp_path: Path, embeddings: Embeddings, clusters: Clusters
) -> None:
    anndata = pytest.importorskip("anndata")
    export_table(embeddings, tmp_path / "out.h5ad", clusters)
    # scanpy.read_h5ad is this function
    read = anndata.read_h5ad(tmp_path / "out.h5ad")
    np.testing.assert_array_equal(read.X, embeddings.x)
    assert tuple(read.obs_names) == IDS
    assert read.obs["cluster"].tolist() == [-1, 1, 1]
    assert read.obs["cluster_name"].tolist() == ["noise", "pale", "pale"]
    assert read.obs["species"].isna().tolist() == [False, True, False]
    assert read.obs["length_mm"].tolist()[:2] == [1.5, 2.5]
    assert read.obs["mixed"].tolist()[:2] == ["1", "two"]
    np.testing.assert_array_equal(read.obsm["X_pca"], [[2, 3], [0, 1], [4, 5]])
    # as scanpy finds the colours of a category
    assert read.obs["cluster_name"].cat.categories.tolist() == ["pale", "noise"]
    assert list(read.uns["cluster_name_colors"]) == ["#0072b2", "#6e6e6e"]
    assert read.uns["space"] == "uv"


@pytest.mark.parametrize(("ending", "read"), [("csv", pd.read_csv), ("parquet", pd.read_parquet)])
def test_a_table_has_the_file_first_then_the_embedding(
    tmp_path: Path, embeddings: Embeddings, clusters: Clusters, ending: str, read: object
) -> None:
    plain = Embeddings(
        embeddings.x, embeddings.table.drop(columns="mixed"), "uv", embeddings.source
    )
    export_table(plain, tmp_path / f"out.{ending}", clusters)
    table = read(tmp_path / f"out.{ending}")
    assert list(table.columns[:6]) == ["filename", "x1", "x2", "x3", "x4", "specimen"]
    assert table["x4"].tolist() == [3, 7, 11]
    assert table["cluster_name"].tolist() == ["noise", "pale", "pale"]


def test_without_clusters_there_are_none_in_the_table(
    tmp_path: Path, embeddings: Embeddings
) -> None:
    export_table(embeddings, tmp_path / "out.csv")
    assert "cluster" not in pd.read_csv(tmp_path / "out.csv")


def test_an_ending_that_is_no_table_is_refused(tmp_path: Path, embeddings: Embeddings) -> None:
    with pytest.raises(OptionError, match=r"'out.xlsx' .*\.csv, \.parquet, \.h5ad"):
        export_table(embeddings, tmp_path / "out.xlsx")
