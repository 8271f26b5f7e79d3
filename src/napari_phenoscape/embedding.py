"""Embeddings of a collection: one row of D numbers per specimen."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Embeddings:
    """What an encoder makes of every specimen of a collection.

    Parameters
    ----------
    x : (N, D)
        One row per specimen, float32, as the encoder gave it (not unit length).
    table
        N rows in the same order. Columns ``specimen`` (unique id), ``filename``, ``path``,
        ``row`` and ``column`` (centre of the specimen in its cube, pixels), then the metadata.
    space
        Whose embedding it is: a modality's name, or ``joint`` for several fused.
    """

    x: NDArray[np.float32]
    table: pd.DataFrame
    space: str
