"""Columns of the metadata, as they are asked for by name."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path

import pandas as pd

from napari_phenoscape.errors import OptionError


def check_columns(run: Path, table: pd.DataFrame, columns: Sequence[str]) -> None:
    """Raise `OptionError` for a column that the specimens' metadata lack; ``""`` is none."""
    for column in columns:
        if column and column not in table:
            near = get_close_matches(column, map(str, table.columns), n=1)
            hint = f"Did you mean '{near[0]}'? They" if near else "They"
            raise OptionError(
                f"The specimens of '{run.name}' have no metadata column '{column}'. {hint} have "
                f"{', '.join(map(str, table.columns))}."
            )
