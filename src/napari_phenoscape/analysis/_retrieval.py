"""Retrieval: the specimens that are most like one of them."""

from __future__ import annotations

from collections.abc import Generator
from difflib import get_close_matches
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from napari_phenoscape.analysis.evaluation._columns import check_columns
from napari_phenoscape.analysis.evaluation._neighbours import nearest
from napari_phenoscape.embeddings import labelled_today, read_embeddings, unit_length
from napari_phenoscape.errors import CollectionError, MissingFileError
from napari_phenoscape.events import Event, Notice
from napari_phenoscape.specimens import Source


def neighbours_of(
    run: Path,
    specimen: str,
    k: int = 10,
    *,
    space: str = "",
    source: Source | None = None,
    groups: str = "",
) -> Generator[Event, None, pd.DataFrame]:
    """The k specimens of a run most like one of them, the most similar first.

    Parameters
    ----------
    run
        With embeddings.
    specimen
        Its id, or the name or end of the path of its file, where no other specimen has that.
    space
        Whose embeddings: a modality, or the joint or only one.
    source
        Where the specimens came from, if not from the run's own collection.
    groups
        Those of its own level of this column, e.g. photographs of one individual, are left out;
        unknown ones are of no level.

    Returns
    -------
    ``similarity`` (cosine), then the table of the embeddings.

    Raises
    ------
    OptionError
        The metadata has no such column.
    CollectionError
        There is no such specimen, there are several, or specimens lack the modality.
    """
    embeddings = read_embeddings(run, space, source)
    try:
        embeddings, _ = yield from labelled_today(embeddings)
    except (MissingFileError, CollectionError) as error:
        yield Notice(f"The metadata are those of the day of embedding, for: {error}")
    table = embeddings.table
    check_columns(run, table, (groups,))
    row = _row_of(table, specimen)
    unit = unit_length(embeddings.x)
    rows, similarity = nearest(unit, row, k, table[groups] if groups else None)
    neighbours = table.iloc[rows].reset_index(drop=True)
    neighbours.insert(0, "similarity", similarity)
    return neighbours


def _row_of(table: pd.DataFrame, specimen: str) -> int:
    """The row of an id, or of the end of a path that one specimen has, its ending left out or not.

    Raises
    ------
    CollectionError
        It is that of none, or of several.
    """
    ids, end = table["specimen"].tolist(), "/" + specimen.replace("\\", "/")
    files = ["/" + path.replace("\\", "/") for path in table["path"]]
    ways = (
        [name == specimen for name in ids],
        [file.endswith(end) for file in files],
        [file[: -len(PurePosixPath(file).suffix)].endswith(end) for file in files],
    )
    for way in ways:
        rows = np.flatnonzero(way)
        if len(rows) == 1:
            return int(rows[0])
        if len(rows):
            some = ", ".join(ids[row] for row in rows[:3])
            raise CollectionError(
                f"'{specimen}' is the name of {len(rows)} of {len(ids)} specimens; name one as the "
                f"table of the embeddings does: {some}{', ...' if len(rows) > 3 else '.'}"
            )
    close = get_close_matches(specimen, ids, 3, 0.3) or ids[:3]
    raise CollectionError(
        f"There is no specimen '{specimen}' among {len(ids)}; name one as the table of the "
        f"embeddings does, e.g. {', '.join(close)}."
    )
