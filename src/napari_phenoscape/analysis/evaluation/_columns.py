"""Columns of the metadata, as they are asked for by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from napari_phenoscape._tables import is_unknown
from napari_phenoscape.errors import OptionError, did_you_mean


def check_columns(run: Path, table: pd.DataFrame, columns: Sequence[str]) -> None:
    """Raise `OptionError` for a column that the specimens' metadata lack; ``""`` is none."""
    for column in columns:
        if column and column not in table:
            raise OptionError(
                f"The specimens of '{run.name}' have no metadata column '{column}'. "
                f"{did_you_mean(column, table)}They have {', '.join(map(str, table.columns))}."
            )


def group_codes(groups: ArrayLike | None, number: int) -> NDArray[np.intp]:
    """(N,) number of the group of each specimen; one that is not known is a group of its own.

    Not known is None, NaN, blank, ``?`` or ``unknown``: two specimens without a name are not the
    same individual.
    Without ``groups``, each of ``number`` specimens is one.
    """
    if groups is None:
        return np.arange(number)
    if isinstance(groups, np.ndarray) and groups.dtype.kind in "iu":
        return np.unique(groups, return_inverse=True)[1]  # ten times faster, and all are known
    column = pd.Series(groups).reset_index(drop=True)
    codes = pd.factorize(column.where(~is_unknown(column)))[0].astype(np.intp)
    unknown = codes < 0
    codes[unknown] = codes.max(initial=-1) + 1 + np.arange(unknown.sum())
    return codes


def identities(table: pd.DataFrame) -> pd.Series:
    """(N,) by what specimens are the same in several collections: file, and id in a drawer."""
    path = table["path"]
    return path.where(~path.duplicated(keep=False), path + "\n" + table["specimen"])
