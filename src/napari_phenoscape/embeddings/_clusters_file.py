"""Clusters in a file: a plain table for other programs, which says what made them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from napari_phenoscape._atomic import atomic
from napari_phenoscape.embeddings._clustering import Clusters
from napari_phenoscape.embeddings._table import refuse_unreadable
from napari_phenoscape.errors import MissingFileError, RunError
from napari_phenoscape.option import Option
from napari_phenoscape.training import PALETTE, AnyClustering, AnyReduction, Choice, PaletteName

#: Columns of a file of clusters for `Clusters.former`.
_FORMER = ("former", "former_name", "former_colour")


class _Made(Option):
    """How clusters were made, as kept in their file."""

    method: AnyClustering
    seed: int
    space: str = ""
    palette: PaletteName = PALETTE
    map: AnyReduction | None = None
    choice: Choice | None = None
    edits: tuple[str, ...] = ()


def write_clusters(clusters: Clusters, path: Path) -> None:
    """Write Parquet: a row per specimen, and what made them as JSON in the schema's metadata.

    Raises
    ------
    RunError
        The disk is full or cannot be written; a file that was there stays.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    labels = clusters.labels.tolist()
    columns = {
        "specimen": pa.array(clusters.specimens, pa.string()),
        "cluster": pa.array(labels, pa.int64()),
        "name": pa.array([clusters.names[label] for label in labels], pa.string()),
        "colour": pa.array([clusters.colours[label] for label in labels], pa.string()),
    }
    if clusters.xy is not None:
        columns |= {"x": pa.array(clusters.xy[:, 0]), "y": pa.array(clusters.xy[:, 1])}
    if clusters.former:
        was = [clusters.former.get(specimen, (None, None, None)) for specimen in clusters.specimens]
        for name, values in zip(_FORMER, zip(*was, strict=True), strict=True):
            columns[name] = pa.array(values, pa.int64() if name == "former" else pa.string())
    made = _Made(
        method=clusters.method,
        seed=clusters.seed,
        space=clusters.space,
        map=clusters.map,
        choice=clusters.choice,
        edits=clusters.edits,
        palette=clusters.palette,
    )
    table = pa.table(columns, metadata={"phenoscape": json.dumps(made.model_dump(mode="json"))})
    with atomic(path) as temporary:
        temporary.parent.mkdir(exist_ok=True)
        pq.write_table(table, temporary)


def read_clusters(path: Path) -> Clusters:
    """The clusters that `write_clusters` wrote.

    Raises
    ------
    MissingFileError, RunError
        There is no such file, or it holds something else.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    if not path.is_file():
        raise MissingFileError(
            f"There is no file '{path}'; `phenoscape cluster` makes one of the embeddings of the "
            "same name."
        )
    try:
        table = pq.read_table(path)
        made = _Made.parse(json.loads((table.schema.metadata or {})[b"phenoscape"]))
        columns = table.to_pydict()
        labels, has_map = columns["cluster"], "x" in columns
        for colour in {*columns["colour"]}:  # it stands in a page's style
            if not re.fullmatch("#[0-9a-fA-F]{6}", str(colour)):
                raise ValueError(f"'{colour}' is no colour such as #1f77b4")
        clusters = Clusters(
            labels=np.array(labels, dtype=np.int64),
            specimens=tuple(columns["specimen"]),
            names=dict(sorted(zip(labels, columns["name"], strict=True))),
            colours=dict(sorted(zip(labels, columns["colour"], strict=True))),
            method=made.method,
            seed=made.seed,
            space=made.space,
            xy=np.array([columns["x"], columns["y"]], np.float32).T if has_map else None,
            map=made.map,
            former=_read_former(columns),
            choice=made.choice,
            edits=made.edits,
            palette=made.palette,
        )
    except (pa.ArrowInvalid, OSError, KeyError, ValueError) as error:
        refuse_unreadable(path, error)
        reason = " ".join(str(error).split())[:200]
        raise RunError(
            f"'{path}' does not hold clusters ({reason}); "
            "remove it to cluster anew, or put a file there that `phenoscape cluster` wrote."
        ) from None
    return clusters


def _read_former(columns: dict[str, list[Any]]) -> dict[str, tuple[int, str, str]]:
    if _FORMER[0] not in columns:
        return {}
    was = zip(*(columns[name] for name in _FORMER), strict=True)
    told = zip(columns["specimen"], was, strict=True)
    return {specimen: one for specimen, one in told if None not in one}
