"""Levels: what specimens of a level have in common is taken out, and how far it still tells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.specimens import Levels
from napari_phenoscape.training._looks import BATCH


def level_means(
    x: NDArray[np.floating[Any]], levels: Levels | None
) -> dict[str, NDArray[np.float64]]:
    """(D,) mean of (N, ..., D) rows of each level that has enough of them; NaN is left out."""
    means = {}
    if levels is not None:
        there = np.isfinite(x).reshape(len(x), -1).all(axis=1)
        own = levels.take(np.flatnonzero(there))
        for level in own.judged:
            rows = np.asarray(x[there][own.rows(level)], np.float64)
            means[level] = rows.reshape(-1, x.shape[-1]).mean(axis=0)
    return means


def without_means(
    x: NDArray[np.floating[Any]], levels: Levels | None, means: Mapping[str, NDArray[np.float64]]
) -> NDArray[np.floating[Any]]:
    """(N, ..., D) with the (D,) of its level taken from each row; others stay."""
    if levels is None or not means:
        return x
    centred = x.copy()
    for level in means.keys() & set(levels.names):
        centred[levels.rows(level)] -= means[level].astype(x.dtype)
    return centred


def centred(x: NDArray[np.floating[Any]], levels: Levels | None) -> NDArray[np.floating[Any]]:
    """(N, ..., D) in which each level has the mean of all; what a readout is fitted to.

    The mean of a level in (N, V, D) features is over its specimens and their views.
    """
    everywhere = np.nanmean(x.reshape(-1, x.shape[-1]), axis=0, dtype=np.float64)
    means = {level: mean - everywhere for level, mean in level_means(x, levels).items()}
    return without_means(x, levels, means)


def same_level(x: NDArray[np.floating[Any]], levels: Levels) -> NDArray[np.float64]:
    """(N,) 1 where the nearest other by cosine is of the same level, else 0; NaN if not known.

    Over the (N, D) rows that are finite and of a known level.
    """
    known = np.flatnonzero((levels.codes >= 0) & np.isfinite(x).all(axis=1))
    rows, codes = np.asarray(x[known], np.float32), levels.codes[known]
    rows /= np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    found = np.full(len(x), np.nan)
    for start in range(0, len(known) if len(known) > 1 else 0, BATCH):
        own = slice(start, start + BATCH)
        similarity = rows[own] @ rows.T
        similarity[np.arange(len(similarity)), np.arange(start, start + len(similarity))] = -np.inf
        found[known[own]] = codes[similarity.argmax(axis=1)] == codes[own]
    return found


def if_mixed(levels: Levels) -> float:
    """Share of nearest neighbours of the same level, were they drawn by lot."""
    sizes = levels.sizes
    number = sizes.sum()
    return float((sizes * (sizes - 1)).sum() / max(number * (number - 1), 1))


def mixing_words(name: str, before: float, after: Mapping[str, float], levels: Levels) -> str:
    """How far specimens of a level keep to themselves, in a sentence.

    ``before`` is the share of `same_level` by plain colour, ``after`` that of each embedding.
    """
    now = ", ".join(f"{share:.0%} by '{embedding}'" for embedding, share in after.items())
    return (
        f"{before:.0%} of nearest neighbours are of the same '{name}' by plain colour, {now}; "
        f"{if_mixed(levels):.0%} if it did not matter."
    )
