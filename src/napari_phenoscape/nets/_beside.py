"""Beside: the readouts of several kinds of features, as one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import block_diag

from napari_phenoscape.nets._readout import Affine


def side_by_side(parts: Sequence[tuple[Affine, NDArray[np.floating]]]) -> Affine:
    """The readout that gives the embeddings of all parts side by side, of the same total variance.

    The embeddings of a part are those that its readout gives, times one number, by which their
    variances over the specimens add up to what those of the first part do: a kind of features that
    has more dimensions, or larger numbers, counts no more than another.

    Parameters
    ----------
    parts
        A readout, and the (N, V, D) features of V views of N specimens that it was fitted to.

    Returns
    -------
    Of the features of all parts, in their order.
    """
    spreads = [np.linalg.norm(affine(features).mean(axis=1)) for affine, features in parts]
    # of a kind in which all specimens are alike there is nothing to scale
    weights = [
        affine.weights * (spreads[0] / spread if min(spreads[0], spread) > 0 else 1.0)
        for (affine, _), spread in zip(parts, spreads, strict=True)
    ]
    return Affine(
        np.concatenate([affine.centre for affine, _ in parts]),
        np.concatenate([affine.scale for affine, _ in parts]),
        block_diag(*weights),
    )
