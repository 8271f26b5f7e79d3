"""Agreement: how far two embeddings of the same specimens name the same neighbours."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.training._looks import BATCH

#: Neighbours of a specimen, by cosine; fewer where that would be more than half of the others.
NEIGHBOURS = 5


def shared_neighbours(x: NDArray[np.floating[Any]], y: NDArray[np.floating[Any]]) -> float:
    """Share of nearest neighbours in (N, D) rows that are so in (N, E) rows too, beyond chance.

    Over the specimens that are finite in both.

    Returns
    -------
    1 where all are the same, 0 where they are as many as if drawn by lot, or fewer.
    """
    known = np.isfinite(x).all(axis=1) & np.isfinite(y).all(axis=1)
    number = int(known.sum())
    if number < 3:
        return 1.0  # there is no choice of neighbours
    k = min(NEIGHBOURS, (number - 1) // 2)
    shared = 0
    for start in range(0, number, BATCH):
        one, other = (_nearest(each[known], start, k) for each in (x, y))
        shared += int((one[:, :, None] == other[:, None, :]).sum())
    chance = k / (number - 1)
    return max(0.0, (shared / (number * k) - chance) / (1 - chance))


def _nearest(x: NDArray[np.floating[Any]], start: int, k: int) -> NDArray[np.intp]:
    """(n, k) the nearest others of the specimens of a batch, of equals the first ones."""
    unit = x / np.linalg.norm(x, axis=1, keepdims=True).clip(1e-12)
    similarity = unit[start : start + BATCH] @ unit.T
    rows = np.arange(len(similarity))
    similarity[rows, start + rows] = -np.inf
    return np.argsort(-similarity, axis=1, kind="stable")[:, :k]
