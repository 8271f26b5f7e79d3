"""Reduction: from D numbers per specimen to two, for a map that a person can look at.

Distances are taken between embeddings scaled to unit length. The contrastive loss compares
directions only (cosine), so the space in which neighbours were learnt is the sphere; how long an
embedding is was never trained and says nothing about likeness.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.errors import CollectionError
from napari_phenoscape.training import Reduction


def reduce(x: NDArray[np.float32], method: Reduction, seed: int = 0) -> NDArray[np.float32]:
    """Map of the specimens, the same at every call.

    Parameters
    ----------
    x : (N, D)
        Embeddings of any length; only their directions count.
    method
        PCA takes at most seconds; UMAP compiles for some in the very first call (Numba keeps it on
        disk), and for half a minute in each process where there are more than 30 000 specimens.
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


def unit_length(x: NDArray[Any]) -> NDArray[Any]:
    """(N, D) directions of the rows of ``x``, float32 or float64; a row of zeros stays.

    Raises
    ------
    CollectionError
        Some rows are not numbers, e.g. because their specimens lack the modality.
    """
    x = np.asarray(x)
    finite = np.isfinite(x)
    if lacking := int(np.isnan(x).all(axis=1).sum()):
        raise CollectionError(
            f"{lacking} of {len(x)} specimens lack the modality of this embedding, so they have no "
            "place among the others. Choose the space 'joint', which is made of what they have, or "
            "leave them out by the collection's 'pattern'."
        )
    if not finite.all():
        rows = np.flatnonzero(~finite.all(axis=1))
        raise CollectionError(
            f"{len(rows)} of {len(x)} embeddings, that of row {rows[0] + 1} first, hold numbers "
            "that are NaN or infinite, so they have no place among the others. Embed the specimens "
            "again, in full precision, or leave these out."
        )
    # the largest first: squares of float16 end at 65 504, those of float32 at 3e38
    whole = x.astype(np.float64)
    largest = np.abs(whole).max(axis=1, keepdims=True, initial=0)
    whole /= np.where(largest > 0, largest, 1)
    length = np.linalg.norm(whole, axis=1, keepdims=True)
    whole /= np.where(length > 0, length, 1)
    return whole.astype(np.result_type(x.dtype, np.float32))
