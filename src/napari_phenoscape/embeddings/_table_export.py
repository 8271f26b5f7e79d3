"""Table export: embeddings, clusters and metadata in a file for other programs."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from napari_phenoscape._atomic import atomic
from napari_phenoscape.embeddings._clustering import Clusters, labels_of, noise_last
from napari_phenoscape.embeddings._table import Embeddings, for_reading, in_columns
from napari_phenoscape.errors import OptionError

if TYPE_CHECKING:
    from anndata import AnnData

#: Endings of the files that `export_table` writes.
TABLES = (".csv", ".parquet", ".h5ad")


def export_table(embeddings: Embeddings, path: Path, clusters: Clusters | None = None) -> None:
    """Write file name, embedding and metadata of every specimen, and its cluster if there are any.

    ``.csv`` and ``.parquet`` have the columns filename, x1..xD, then the rest with ``cluster`` (its
    number) and ``cluster_name``. ``.h5ad`` is AnnData, as scanpy reads it: embeddings in ``X``, all
    else in ``obs`` by specimen, the map of the clusters in ``obsm`` (``X_umap``, ...), their
    colours in ``uns``.

    Raises
    ------
    OptionError
        As `check_table` says.
    CollectionError
        A specimen has no cluster.
    RunError
        The disk is full or cannot be written; a file that was there stays.
    """
    check_table(path)
    table = embeddings.table
    if clusters is not None:
        numbers = labels_of(embeddings.ids, clusters)
        names = [clusters.names[number] for number in numbers]
        table = table.assign(cluster=numbers, cluster_name=names)
    if path.suffix == ".h5ad":
        annotated = _annotated(embeddings, table, clusters)
        with atomic(path) as temporary:
            annotated.write_h5ad(temporary)
        return
    whole = for_reading(table, in_columns(embeddings.x))
    with atomic(path) as temporary:
        if path.suffix == ".csv":
            whole.to_csv(temporary, index=False)
        else:
            whole.to_parquet(temporary, index=False)


def check_table(path: Path) -> None:
    """Raise `OptionError` for a file that `export_table` cannot write, e.g. without anndata."""
    if path.suffix not in TABLES:
        raise OptionError(
            f"'{path.name}' is no table that can be written; end it in {', '.join(TABLES)}."
        )
    if path.suffix == ".h5ad" and find_spec("anndata") is None:
        raise OptionError(
            f"'{path.name}' needs anndata: pip install \"napari-phenoscape[anndata]\", or write "
            ".csv or .parquet."
        )


def _annotated(embeddings: Embeddings, table: pd.DataFrame, clusters: Clusters | None) -> AnnData:
    try:
        from anndata import AnnData
    except ImportError:
        raise OptionError(
            "'.h5ad' needs anndata: pip install \"napari-phenoscape[anndata]\", or write .csv or "
            ".parquet."
        ) from None
    # HDF5 has no columns of mixed types, and its names no '/'
    obs = table.set_index("specimen").rename(columns=lambda name: str(name).replace("/", "_"))
    for name in obs.select_dtypes(exclude=["number", "bool"]):
        obs[name] = obs[name].map(str, na_action="ignore").astype("category")
    found = AnnData(embeddings.x, obs=obs, uns={"space": embeddings.space})
    if clusters is not None:
        shown = sorted(clusters.names, key=noise_last)
        names = list(dict.fromkeys(clusters.names[number] for number in shown))
        colours = {clusters.names[number]: clusters.colours[number] for number in shown}
        found.obs["cluster_name"] = found.obs["cluster_name"].cat.set_categories(names)
        found.uns["cluster_name_colors"] = [colours[name] for name in names]
        if clusters.xy is not None and clusters.map is not None:
            place = dict(zip(clusters.specimens, clusters.xy, strict=True))
            rows = np.stack([place[specimen] for specimen in embeddings.ids])
            found.obsm[f"X_{clusters.map.kind}"] = rows
    return found
