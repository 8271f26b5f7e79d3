"""Reduction: from D numbers per specimen to two, for a map that a person can look at.

Distances are taken between embeddings scaled to unit length. The contrastive loss compares
directions only (cosine), so the space in which neighbours were learnt is the sphere; how long an
embedding is was never trained and says nothing about likeness.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.errors import CollectionError
from napari_phenoscape.training import Reduction

F = TypeVar("F", bound=np.floating[Any])


def reduce(x: NDArray[np.float32], method: Reduction, seed: int = 0) -> NDArray[np.float32]:
    """Map of the specimens, the same at every call.

    Parameters
    ----------
    x : (N, D)
        Embeddings of any length; only their directions count.
    method
        PCA takes at most seconds; UMAP compiles for about a minute in a process's first call.
    seed
        Of the method's random numbers.

    Returns
    -------
    (N, 2) float32; unitless. All zero when all embeddings have one direction.

    Raises
    ------
    OptionError
        The method looks at more neighbours than there are specimens.
    CollectionError
        Fewer than two specimens.
    """
    count = len(x)
    if count < 2:
        raise CollectionError(f"A map of {count} specimens shows nothing; give at least 2.")
    x = unit_length(x)
    if np.ptp(x, axis=0).max() == 0:
        return np.zeros((count, 2), np.float32)
    return np.asarray(method.map(x, seed), np.float32)


def unit_length(x: NDArray[F]) -> NDArray[F]:
    """(N, D) directions of the rows of ``x``; a row of zeros stays.

    Raises
    ------
    CollectionError
        Some rows are not numbers, because their specimens lack the modality.
    """
    if lacking := int(np.isnan(x).any(axis=1).sum()):
        raise CollectionError(
            f"{lacking} of {len(x)} specimens lack the modality of this embedding, so they have no "
            "place among the others. Choose the space 'joint', which is made of what they have, or "
            "leave them out by the collection's 'pattern'."
        )
    length = np.linalg.norm(x, axis=1, keepdims=True)
    return np.asarray(x / np.where(length > 0, length, 1), x.dtype)
