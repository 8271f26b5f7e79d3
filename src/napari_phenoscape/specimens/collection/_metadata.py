"""Metadata: rows of a CSV joined to specimens, and labels spelt in file names."""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from napari_phenoscape.errors import CollectionError
from napari_phenoscape.specimens.collection._specimens import Skipped

#: What the cells of a column name.
_Named = Callable[["pd.Series[Any]"], list[str]]


def join_by_file(
    table: pd.DataFrame, path: Path, ids: Sequence[str]
) -> tuple[pd.DataFrame, list[Skipped]]:
    r"""Rows of a table for files.

    The column that names the files is the one in which most of them are found: by relative path,
    else by file name, else by stem, else by the number that the stem is (7 = ``007``), else by the
    stem alone of what another program or system wrote (``C:\photos\MOTH.NEF`` = ``moth``). Where
    a surer way finds half as many, or more, its column is the one.

    Parameters
    ----------
    table, path
        The table and where it was read.
    ids
        N relative paths, ``/`` between folders.

    Returns
    -------
    N rows without the column that named the files; and notes on rows and files left over.
    """
    files = [PurePosixPath(unicodedata.normalize("NFC", name)) for name in ids]
    ways: tuple[tuple[_Named, list[str]], ...] = (
        (_keys, [str(file) for file in files]),
        (_keys, [file.name for file in files]),
        (_keys, [file.stem for file in files]),
        (_keys, [str(int(f.stem)) if re.fullmatch("[0-9]+", f.stem) else "" for f in files]),
        (_stems, [file.stem.casefold() for file in files]),
    )
    choices = [(column, *way) for way in ways for column in table]
    found = [
        len(set(named(table[column])).intersection(keys) - {""}) for column, named, keys in choices
    ]
    if not any(found):
        raise CollectionError(
            f"'{path.name}' names none of the {len(ids)} files (e.g. '{ids[0]}'); its columns are "
            f"{', '.join(map(str, table.columns)) or 'none'}. Give it a column of relative paths, "
            "file names or stems, or name another table."
        )
    # by the surest way that finds half of them: numbers of rows find more where one is misspelt
    width = table.shape[1]
    surest = next(i for i, count in enumerate(found) if 2 * count >= max(found)) // width * width
    place = max(range(surest, surest + width), key=found.__getitem__) % width
    chosen = max(range(place, len(found), width), key=found.__getitem__)
    column, named, keys = choices[chosen]
    listed = named(table[column])
    if named(pd.Series([column]))[0] in set(keys) - {""}:
        raise CollectionError(
            f"The first line of '{path.name}' names the file '{column}', where the names of the "
            "columns were expected. Put a line with these above it."
        )
    for (other, _, same_way), count in zip(choices, found, strict=True):
        if count == found[chosen] and same_way is keys and named(table[other]) != listed:
            raise CollectionError(
                f"The columns '{column}' and '{other}' of '{path.name}' could both name the files; "
                "give it one column of file names."
            )
    known = set(listed) - {""}
    for key, count in Counter(keys).items():
        if count > 1 and key in known:
            raise CollectionError(
                f"'{key}' in column '{column}' of '{path.name}' names {count} files, e.g. "
                f"'{ids[keys.index(key)]}'; name each by its relative path."
            )
    return join(table, path, str(column), keys, listed)


def join(
    table: pd.DataFrame,
    path: Path,
    column: str,
    keys: Sequence[str],
    listed: Sequence[str] | None = None,
) -> tuple[pd.DataFrame, list[Skipped]]:
    """Rows whose ``column`` holds the N keys, in their order; and notes on what is left over.

    Parameters
    ----------
    listed
        What the rows name, where it is not what the column holds as it is.
    """
    named = _keys(table[column]) if listed is None else listed
    rows = table.drop(columns=column).set_axis(pd.Index(named), axis="index")
    wanted = set(keys)
    for key, count in rows.index.value_counts().items():
        if count > 1 and key in wanted:
            raise CollectionError(
                f"'{key}' stands in {count} rows of '{path.name}' (column '{column}'); one row "
                "per specimen was expected."
            )
    left = [key for key in rows.index if key not in wanted]
    bare = [key for key in keys if key not in rows.index]
    notes = []
    if left:
        notes.append(
            f"{len(left)} of its {len(rows)} rows have no specimen here, e.g. '{left[0]}'."
        )
    if bare:
        notes.append(f"{len(bare)} of {len(keys)} specimens have no row in it, e.g. '{bare[0]}'.")
    rows = rows[~rows.index.duplicated()]
    return rows.reindex(list(keys)), [Skipped(path, note, only_lacks=True) for note in notes]


def add_what_names_say(
    metadata: pd.DataFrame, ids: Sequence[str], spelt: dict[str, list[str]], pattern: str | None
) -> None:
    """Add what the names of N files, and of their folders, spell to the table of specimens."""
    for column, values in spelt.items():
        if column in metadata:
            raise CollectionError(
                f"'{column}' is both a column of the metadata and a field of the name pattern "
                f"'{pattern}': of '{ids[0]}' one says '{metadata[column].iloc[0]}', the other "
                f"'{values[0]}'. Rename one of them, e.g. {{{column}_2}}."
            )
        metadata[column] = values
    parents = [PurePosixPath(one).parent.as_posix() for one in ids]
    if "folder" not in metadata and set(parents) != {"."}:
        metadata["folder"] = parents


def braces(pattern: str) -> set[str]:
    """What stands in the braces of a pattern."""
    return {name for _, name, _, _ in string.Formatter().parse(pattern) if name is not None}


def name_regex(pattern: str) -> re.Pattern[str]:
    """What a name pattern such as ``{genus}_{species}_{id}`` matches, one group per field.

    A field holds one character or more, none of which is used between the fields.

    Raises
    ------
    ValueError
        It has no field, one twice, or one that is not a word.
    """
    parts = list(string.Formatter().parse(pattern))
    names = [name for _, name, _, _ in parts if name is not None]
    if not names or len(set(names)) < len(names) or not all(map(str.isidentifier, names)):
        raise ValueError(
            f"'{pattern}' does not name distinct fields in braces; write it as e.g. "
            "'{genus}_{species}_{id}'."
        )
    between = "".join(text for text, *_ in parts)
    field = f"[^{re.escape(between)}]+" if between else ".+"
    return re.compile(
        "".join(
            re.escape(text) + (f"(?P<{name}>{field})" if name is not None else "")
            for text, name, _, _ in parts
        )
    )


def spelt(pattern: str, path: Path) -> dict[str, str]:
    """Labels that a file's name spells, by the field of the pattern.

    Raises
    ------
    CollectionError
        The name does not have the form of the pattern.
    """
    match = name_regex(pattern).fullmatch(path.stem)
    if match is None:
        raise CollectionError(
            f"Its name does not have the form '{pattern}'; rename it, or change the name pattern."
        )
    return match.groupdict()


def _keys(values: pd.Series[Any]) -> list[str]:
    """As text: whole numbers without ``.0``, ``/`` between folders, "" where missing."""
    return [
        ""
        if pd.isna(value)
        else str(int(value))
        if isinstance(value, float) and value.is_integer()
        else str(value).replace("\\", "/").removeprefix("./")
        for value in values
    ]


def _stems(values: pd.Series[Any]) -> list[str]:
    """As text, without folders, endings and capitals."""
    names = (PurePosixPath(key).name.casefold() for key in _keys(values))
    return [re.sub(r"\.[a-z0-9]{1,8}$", "", name) for name in names]
