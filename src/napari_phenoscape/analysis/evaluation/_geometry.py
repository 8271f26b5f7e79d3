"""Geometry: how embeddings and projections lie on the sphere; nothing needs to be known."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.embeddings import unit_length


def rank_me(x: NDArray[np.floating[Any]]) -> float:
    """Effective number of dimensions that (N, D) embeddings use: 1 to min(N, D) [1]_.

    The exponential of the entropy of the singular values, which sum to 1.

    References
    ----------
    .. [1] Garrido et al. 2023, RankMe, eq. 1. https://arxiv.org/abs/2210.02885
    """
    values = np.linalg.svd(np.asarray(x, dtype=np.float64), compute_uv=False)
    share = values / max(float(values.sum()), 1e-12) + 1e-7
    return float(np.exp(-(share * np.log(share)).sum()))


def alignment(z0: NDArray[np.floating[Any]], z1: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """(N,) squared distance between the unit-length (N, P) projections of two views [1]_.

    0 = the views of a specimen coincide, 2 = they have nothing in common.

    References
    ----------
    .. [1] Wang & Isola 2020, eq. 2 with α = 2. https://arxiv.org/abs/2005.10242
    """
    difference = unit_length(np.asarray(z0, np.float64)) - unit_length(np.asarray(z1, np.float64))
    squares: NDArray[np.float64] = (difference**2).sum(axis=1)
    return squares


def uniformity(z: NDArray[np.floating[Any]]) -> float:
    """Log of the mean Gaussian potential between unit-length (N, P) projections [1]_.

    0 = all coincide; about −4 = spread evenly over the sphere. Lower is more uniform.

    References
    ----------
    .. [1] Wang & Isola 2020, eq. 3 with t = 2. https://arxiv.org/abs/2005.10242
    """
    unit = unit_length(np.asarray(z, np.float64))
    squares = np.clip(2 - 2 * (unit @ unit.T), 0, None)
    pairs = np.exp(-2 * squares[np.triu_indices(len(unit), 1)])
    return float(np.log(pairs.mean()))
