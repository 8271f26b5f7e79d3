"""Retrieval: the specimens that are most like one of them."""

from __future__ import annotations

from collections.abc import Generator
from difflib import get_close_matches
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from napari_phenoscape.analysis.evaluation._columns import check_columns, identities
from napari_phenoscape.analysis.evaluation._neighbours import nearest
from napari_phenoscape.embeddings import Embeddings, labelled_today, read_embeddings, unit_length
from napari_phenoscape.errors import CollectionError, MissingFileError, OptionError
from napari_phenoscape.events import Event, Notice
from napari_phenoscape.specimens import Source


def neighbours_of(
    run: Path,
    specimen: str,
    k: int = 10,
    *,
    space: str = "",
    source: Source | None = None,
    from_run: bool = False,
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
    from_run
        The run's own specimens that are most like one of ``source``.
    groups
        Those of its own level of this column, e.g. photographs of one individual, are left out;
        unknown ones are of no level.

    Returns
    -------
    ``similarity`` (cosine), then the table of the embeddings.

    Raises
    ------
    OptionError
        The metadata has no such column; ``from_run`` without a ``source``.
    CollectionError
        There is no such specimen, there are several, or specimens lack the modality.
    """
    check_from_run(source, from_run=from_run)
    embeddings = yield from _today(read_embeddings(run, space, source))
    row = _row_of(embeddings.table, specimen)
    table, x = embeddings.table, embeddings.x
    check_columns(run, table, (groups,))
    levels = table[groups] if groups else None
    if from_run:
        own = yield from _today(read_embeddings(run, space))
        check_columns(run, own.table, (groups,))
        others = np.asarray(identities(own.table) != identities(table).iloc[row])
        mine, x = x[[row]], own.x[others]
        if levels is not None:
            levels = pd.concat([own.table[groups][others], levels.iloc[[row]]], ignore_index=True)
        table, x, row = own.table[others], np.concatenate([x, mine]), len(x)
    rows, similarity = nearest(unit_length(x), row, k, levels)
    neighbours = table.iloc[rows].reset_index(drop=True)
    neighbours.insert(0, "similarity", similarity)
    return neighbours


def check_from_run(source: Source | None, *, from_run: bool) -> None:
    """Refuse to compare the run's own specimens with themselves."""
    if from_run and source is None:
        raise OptionError(
            "Others are to be compared with the run's own specimens, and no others are named. Name "
            "their collection, or compare the specimens of the run with each other."
        )


def _today(embeddings: Embeddings) -> Generator[Event, None, Embeddings]:
    """With the metadata of today, or those that were embedded where they cannot be read."""
    try:
        return (yield from labelled_today(embeddings))[0]
    except (MissingFileError, CollectionError) as error:
        yield Notice(f"The metadata are those of the day of embedding, for: {error}")
        return embeddings


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
