"""Tables: the one reader of CSV, TSV and their kin, for metadata, spectra and curves."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape._brought import bring
from napari_phenoscape._remote import located
from napari_phenoscape.errors import MissingFileError, TableError, did_you_mean_file

if TYPE_CHECKING:
    import pandas as pd

#: Spreadsheets of half of Europe write semicolons.
_SEPARATORS = ",;\t|"

#: What Excel writes above the header where another mark than its own separates.
_SEPARATOR_SAID = re.compile(r"sep=(.)[\r\n]+", re.IGNORECASE)

#: How tables say that nothing is known; the words are R's, pandas's, Excel's and databases'.
MISSING = frozenset(
    {"", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "#N/A", "#NULL!", "<NA>"}
)

#: What people write of an individual, a sex, a place that they do not know, in any case.
_NOT_KNOWN = frozenset(
    {"", "?", "??", "???", "--", "–", "—", "na", "n.a.", "n/a", "nan", "unk", "unk.", "unknown",
     "not known", "indet", "indet."}
)  # fmt: skip

#: A number as a person types it. "007" is a name, and so is "1e5" or a code of twenty digits.
_NUMBER = re.compile(r"-?(0|[1-9][0-9]{0,14})(\.[0-9]+)?")

#: The same where semicolons separate because commas are decimal marks.
_NUMBER_WITH_COMMA = re.compile(_NUMBER.pattern.replace(r"\.", "[.,]"))

#: What is not seen at the ends of a cell, beside blanks.
_UNSEEN = "\u200b\u2060\ufeff"


def read_cells(path: Path, *, comments: bool = False) -> tuple[list[str], list[list[str]]]:
    """Names of the columns, and the lines below them, as typed but for blanks around each cell.

    The mark that splits the first line into most cells (comma, semicolon, tab, bar) separates, or
    the one that Excel's line ``sep=;`` says. A column without a name (the row names of R and
    pandas, the comma at the end of each line of an export) is left out; a line that ends early
    goes on with empty cells. Letters are composed (NFC), so that one spelling is one name.

    Parameters
    ----------
    path
        The file, UTF-8.
    comments
        Whether lines that start with # are no part of the table.

    Raises
    ------
    MissingFileError
        No such file.
    TableError
        It is no such text, two columns have one name, a column with cells has none, or a line has
        more cells than the first.
    """
    names, rows, _ = _cells(path, comments=comments)
    return names, rows


def _cells(path: Path, *, comments: bool = False) -> tuple[list[str], list[list[str]], str]:
    """As `read_cells`, and the mark between the cells."""
    bring(path := located(path))
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:  # line ends as csv wants them
            text = unicodedata.normalize("NFC", file.read())
    except (FileNotFoundError, IsADirectoryError):
        raise MissingFileError(
            f"There is no table at '{path}'. {did_you_mean_file(path)}Correct its path."
        ) from None
    except UnicodeDecodeError:
        raise TableError(
            f"'{path.name}' is not UTF-8 text; save the table as 'CSV UTF-8'."
        ) from None
    except OSError as error:
        raise TableError(
            f"'{path}' cannot be read ({error.strerror or error}); check its permissions."
        ) from None
    if said := _SEPARATOR_SAID.match(text):
        text = text[said.end() :]
    lines = [
        line
        for line in io.StringIO(text.lstrip(), newline="")
        if not (comments and line.startswith("#"))
    ]
    try:
        separator = (
            said[1]
            if said
            else max(
                _SEPARATORS, key=lambda mark: len(next(csv.reader(lines[:1], delimiter=mark), []))
            )
        )
        rows = [
            [cell.strip().strip(_UNSEEN).strip() for cell in row]
            for row in csv.reader(lines, delimiter=separator, skipinitialspace=True)
        ]
        rows = rows[:1] + [row for row in rows[1:] if any(row)]
    except csv.Error as error:
        raise TableError(
            f"'{path.name}' is not a table ({error}); a CSV with a header line was expected."
        ) from None
    header = rows[0] if rows else []
    named = [column for column, name in enumerate(header) if name]
    names = [header[column] for column in named]
    if len(rows) < 2 or not names or len(set(names)) < len(names):
        twice = next((name for name in names if names.count(name) > 1), "")
        raise TableError(
            f"'{path.name}' is not a table: "
            + (f"two columns are called '{twice}'" if twice else f"it has {len(rows)} lines")
            + "; a header with a name of its own for each column was expected, and lines below it."
        )
    for number, row in enumerate(rows[1:], start=1):
        nameless = [column for column, name in enumerate(header) if column and not name]
        if filled := next((column for column in nameless if any(row[column : column + 1])), 0):
            raise TableError(
                f"'{path.name}' is not a table: column {filled + 1} has no name in its first line "
                f"({', '.join(names[:6])}), and holds '{row[filled][:40]}'. Give it a name, or "
                "delete what stands above the header."
            )
        if any(row[len(header) :]):
            raise TableError(
                f"'{path.name}' is not a table: line {number} below the header has {len(row)} "
                f"cells, and {len(header)} were expected ({', '.join(names[:6])}). Correct the "
                "line; a cell that holds the separator stands in quotation marks."
            )
        row += [""] * (len(header) - len(row))
    return names, [[row[column] for column in named] for row in rows[1:]], separator


def read_table(path: Path) -> pd.DataFrame:
    """A table of metadata: text as it was typed, and numbers where a column holds nothing else.

    Cells that are empty or say so (``NA``, ``NaN``, ``null``) are None in a column of text, NaN in
    one of numbers. "007" and "7", "1.1" and "1.10" are two names: a column with such cells is text.

    Raises
    ------
    PhenoscapeError
        As `read_cells`.
    """
    import pandas as pd

    names, rows, separator = _cells(path)
    number = _NUMBER_WITH_COMMA if separator == ";" else _NUMBER
    columns = zip(*rows, strict=True)
    return pd.DataFrame(
        {name: _typed(cells, number) for name, cells in zip(names, columns, strict=True)},
        columns=pd.Index(names, dtype=object),
    )


def _typed(cells: tuple[str, ...], number: re.Pattern[str]) -> pd.Series:
    import pandas as pd

    known = {cell for cell in cells if cell not in MISSING}
    numbers = {cell: float(cell.replace(",", ".")) for cell in known if number.fullmatch(cell)}
    if not known or len(numbers) < len(known) or len(set(numbers.values())) < len(known):
        return pd.Series([None if cell in MISSING else cell for cell in cells], dtype=object)
    if known.issuperset(cells) and not any("." in cell or "," in cell for cell in known):
        return pd.Series([int(cell) for cell in cells], dtype=np.int64)
    return pd.Series([numbers.get(cell, np.nan) for cell in cells])


def is_unknown(column: pd.Series) -> pd.Series:
    """Whether a cell of a column tells nothing: it is empty, or says so (``?``, ``unknown``)."""
    words = column.astype(str).str.strip().str.casefold()
    # beside a plus, a dash is an answer
    unknown = _NOT_KNOWN if words.eq("+").any() else _NOT_KNOWN | {"-"}
    return column.isna() | words.isin(unknown)


def is_numeric(column: pd.Series) -> bool:
    """Whether a column holds numbers that lie on a scale; yes and no do not."""
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    return bool(is_numeric_dtype(column) and not is_bool_dtype(column))


def as_numbers(rows: list[list[str]], path: Path) -> NDArray[np.float64]:
    """(rows, columns) numbers of the cells of a table.

    Raises
    ------
    TableError
        A cell is no finite number.
    """
    numbers = np.empty((len(rows), len(rows[0])))
    for i, row in enumerate(rows):
        for j, cell in enumerate(row):
            try:
                numbers[i, j] = float(cell)
            except ValueError:
                numbers[i, j] = np.nan
            if not np.isfinite(numbers[i, j]):
                raise TableError(
                    f"'{cell}' in '{path.name}', line {i + 1} below the header, is no number; one "
                    "was expected, with a point as decimal mark."
                )
    return numbers
