"""Answer: what a verb says at its end, the same to a person, to a program and into a file."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console, RenderableType
from rich.text import Text

from napari_phenoscape._atomic import atomic, check_outputs
from napari_phenoscape.errors import OptionError

if TYPE_CHECKING:
    import pandas as pd

#: Characters in a line of what is no terminal: no id is ever cut.
_WIDE = 100_000

#: What `-o` writes, by ending; a table has one of these marks between its cells.
_SEPARATORS = {".csv": ",", ".tsv": "\t"}

# what names files and specimens is shown as it is: square brackets and colons are no commands
out = Console(highlight=False, markup=False, emoji=False)
err = Console(stderr=True, highlight=False, markup=False, emoji=False)


def say_error(sentence: str, *, as_json: bool) -> None:
    """One sentence for people; for programs also ``{"error": sentence}`` in place of the answer."""
    if as_json and not out.quiet:
        out.file.write(json.dumps({"error": sentence}, ensure_ascii=False) + "\n")
    err.print(Text.assemble(("error:", "bold red"), " ", sentence), soft_wrap=True)


@dataclass(frozen=True)
class Answer:
    """What a verb found or made.

    Parameters
    ----------
    facts
        For programs: all of it, by name.
    words
        For people: sentences and tables, in their order.
    table
        Which of the facts is the table that a CSV holds, a list of rows; "" when they are one
        row themselves.
    columns
        The first of that table, which then has a header without rows too.
    """

    facts: Mapping[str, Any]
    words: Sequence[RenderableType]
    table: str = ""
    columns: Sequence[str] = ()

    def show(self, *, as_json: bool = False, file: Path | None = None) -> None:
        """Print it, and write it into a file."""
        if file is not None:
            _write(self, file)
        if as_json:
            out.file.write(json.dumps(_plain(self.facts), ensure_ascii=False, indent=1) + "\n")
            return
        if not out.is_terminal:
            out.width = _WIDE
        for one in self.words:
            out.print(one, soft_wrap=isinstance(one, str | Text))
        if file is not None:
            out.print(f"table {file}", soft_wrap=True)


class Made(Answer):
    """The answer of a verb that makes files or runs, of which there is no table to keep."""


def rows_of(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The rows of a table, for `Answer.facts`."""
    return [dict(zip(table.columns, row, strict=True)) for row in table.itertuples(index=False)]


def wrote(paths: Iterable[Path], word: str = "wrote") -> Made:
    """The answer of a verb that makes files."""
    files = list(paths)
    return Made({"files": files}, [f"{word} {path}" for path in files])


def short(path: Path) -> str:
    """A path as seen from the current folder, when it lies in it."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def check_answer(file: Path, inputs: Iterable[Path], *, overwrite: bool) -> None:
    """Raise before the work what would be raised after it: `-o` of a kind or place that is none.

    Raises
    ------
    OptionError
        The file has another ending.
    RunError
        As `check_outputs`.
    """
    if file.suffix.lower() not in (*_SEPARATORS, ".json"):
        raise OptionError(
            f"'{file}' ends in none of {', '.join(_SEPARATORS)}, .json, which are the tables that "
            "--output writes. Name it as one of these."
        )
    check_outputs([file], inputs, overwrite=overwrite)


def _write(answer: Answer, file: Path) -> None:
    facts = _plain(answer.facts)
    with atomic(file) as temporary:
        if file.suffix.lower() == ".json":
            text = json.dumps(facts, ensure_ascii=False, indent=1)
            temporary.write_text(text + "\n", "utf-8")
            return
        rows = facts[answer.table] if answer.table else [facts]
        columns = list(dict.fromkeys([*answer.columns, *(name for row in rows for name in row)]))
        with temporary.open("w", encoding="utf-8", newline="") as lines:
            writer = csv.writer(lines, delimiter=_SEPARATORS[file.suffix.lower()])
            writer.writerow(columns)
            writer.writerows([_cell(row.get(name)) for name in columns] for row in rows)


def _cell(value: Any) -> str:
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    return "" if value is None else str(value)


def _plain(value: Any) -> Any:
    """As JSON has it; numbers that are none are null."""
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if hasattr(value, "tolist"):  # of NumPy
        return _plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)
