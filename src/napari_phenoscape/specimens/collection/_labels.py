"""Labels: names that somebody gave to specimens, in a table beside the photographs."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from napari_phenoscape._atomic import atomic
from napari_phenoscape._remote import address, is_mirrored
from napari_phenoscape._tables import read_table
from napari_phenoscape.errors import OptionError, RunError, TableError
from napari_phenoscape.specimens.collection._drawer import Drawer
from napari_phenoscape.specimens.collection._specimens import Source

#: What the name of such a table ends in; it is no metadata that `source_at` takes up by itself.
LABELS = ".labels.csv"

#: Columns of a table that are not the label; those after the first three come from `classify`.
_OWN = ("region", "specimen", "filename")
VOTES = ("vote", "share", "similarity")

Stamp = tuple[int, int]


@dataclass(frozen=True)
class Labels:
    """What specimens were named, in one respect.

    Parameters
    ----------
    name
        In which respect, e.g. ``morph``.
    values
        Specimen id to its name; who has none is left out.
    path
        The table beside the photographs.
    stamp
        When it was last changed (ns) and its size (bytes) as it was read or written here; None
        where there was none.
    """

    name: str
    values: Mapping[str, str]
    path: Path
    stamp: Stamp | None = None

    @property
    def is_current(self) -> bool:
        """Whether the table is as it was read or written here, or still is not there."""
        return _stamp(self.path) == self.stamp

    def given(self, ids: Iterable[str], value: str) -> Labels:
        """The same with a name for some specimens; an empty one takes theirs away."""
        values = {**self.values, **dict.fromkeys(ids, value.strip())}
        return replace(self, values={one: name for one, name in values.items() if name})

    def column(self, ids: Iterable[str]) -> pd.Series:
        """(N,) names of specimens, None where they have none."""
        return pd.Series([self.values.get(one) for one in ids], dtype=object, name=self.name)


def labels_path(source: Source, name: str) -> Path:
    """Where the table of a label lies: beside a folder, or beside the cube of a drawer.

    ``moths.morph.labels.csv`` beside the folder ``moths``.

    Raises
    ------
    OptionError
        The label has no name, or that of another column of the table; the specimens are on a
        server.
    """
    if not name.strip() or name in (*_OWN, *VOTES):
        raise OptionError(
            f"'{name}' cannot be what a label is called; type a word for what is told apart, e.g. "
            "morph."
        )
    if is_mirrored(source.path):
        raise OptionError(
            f"'{address(source.path)}' is on a server, and the names that specimens are given are "
            "written beside them. Copy the specimens to this machine, or name them in a table of "
            "your own ('metadata')."
        )
    path = source.path.absolute()
    return path.with_name(f"{_stem(path)}.{_word(name)}{LABELS}")


def label_names(source: Source) -> tuple[str, ...]:
    """The labels that have a table beside the photographs, the one changed last first."""
    path = source.path.absolute()
    tables = [
        table
        for table in path.parent.glob(f"*{LABELS}")
        if table.name.startswith(f"{_stem(path)}.") and table.is_file()
    ]
    found = []
    for table in sorted(tables, key=lambda table: (-table.stat().st_mtime_ns, table.name)):
        word = table.name[len(_stem(path)) + 1 : -len(LABELS)]
        columns = map(str, read_table(table))
        found += [name for name in columns if _word(name) == word and name not in _OWN][:1]
    return tuple(found)


def read_labels(source: Source, name: str, metadata: pd.Series | None = None) -> Labels:
    """The names that specimens were given, by the table beside the photographs.

    Parameters
    ----------
    metadata
        What is known of them without that table, by specimen id; the table goes before it.

    Raises
    ------
    OptionError
        As `labels_path`.
    TableError
        A file of this name is no table of labels.
    """
    path = labels_path(source, name)
    values: dict[str, str] = {} if metadata is None else _texts(metadata.index, metadata)
    stamp = _stamp(path)
    if stamp is not None:
        table = read_table(path)
        if "specimen" not in table or name not in table:
            raise TableError(
                f"'{path.name}' has the columns {', '.join(map(str, table))}; 'specimen' and "
                f"'{name}' were expected. Move it away, or choose another name for the label."
            )
        ids = table["specimen"].astype(str)
        given = _texts(ids, table[name])
        values = {one: of for one, of in values.items() if one not in set(ids)} | given
    return Labels(name, values, path, stamp)


def write_labels(
    labels: Labels,
    source: Source,
    specimens: pd.DataFrame,
    votes: pd.DataFrame | None = None,
    *,
    overwrite: bool = False,
) -> Labels:
    """Write labels into their table; rows and columns that others put there stay.

    Parameters
    ----------
    specimens
        N rows with ``specimen`` and ``filename``.
    votes
        What `classify` found: the same rows with ``vote``, ``share`` and ``similarity``.
    overwrite
        Also a table that was changed since it was read.

    Raises
    ------
    RunError
        The table was changed since, or the disk refuses.
    """
    if not overwrite and not labels.is_current:
        raise RunError(
            f"'{labels.path}' was changed by another program since it was read here. Move it "
            "away, or say that it may be replaced (in Python overwrite=True)."
        )
    ids = specimens["specimen"].astype(str)
    table = specimens[["specimen", "filename"]].reset_index(drop=True)
    table[labels.name] = labels.column(ids)
    if isinstance(source, Drawer):  # by which the table can be its metadata
        table.insert(0, "region", [one.rpartition("#")[2] for one in ids])
    if votes is not None:
        table = table.assign(**{name: votes[name].to_numpy() for name in VOTES})
    if labels.path.is_file():
        before = read_table(labels.path).astype({"specimen": str})
        others = before[~before["specimen"].isin(ids)]
        more = [name for name in before if name not in (*table, *VOTES)]
        beside = before.drop_duplicates("specimen")[["specimen", *more]]
        table = pd.concat([table.merge(beside, how="left", on="specimen"), others])
        table = table.drop(columns=[n for n in VOTES if votes is None and n in table])
    with atomic(labels.path) as temporary:
        table.to_csv(temporary, index=False, float_format="%.6g")
    return replace(labels, stamp=_stamp(labels.path))


def _stem(path: Path) -> str:
    return path.name if path.is_dir() else path.stem


def _word(name: str) -> str:
    """A label as part of a file name."""
    return re.sub(r'[\\/:*?"<>|\x00-\x1f]', "_", name.strip())


def _stamp(path: Path) -> Stamp | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _texts(ids: Iterable[Any], values: Iterable[Any]) -> dict[str, str]:
    """Id to name, without those that are not known; 2 and 2.0 are one name."""
    known = {str(one): value for one, value in zip(ids, values, strict=True) if pd.notna(value)}
    texts = {
        one: str(int(value) if isinstance(value, float) and value.is_integer() else value).strip()
        for one, value in known.items()
    }
    return {one: text for one, text in texts.items() if text}
