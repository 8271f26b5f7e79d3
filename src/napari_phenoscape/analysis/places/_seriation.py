"""Seriation: specimens in a line, each beside those that it is most like."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.embeddings import unit_length

#: So many are put in their best order at once; it takes time with the square of this.
PIECE = 400


def seriation(x: NDArray[np.floating[Any]]) -> NDArray[np.intp]:
    """An order in which neighbours are alike.

    Up to 400 specimens stand as the leaves of their average-linkage tree, turned so that the
    distances between neighbours add up to the least [1]_. More are first halved along their
    largest variance, until the parts are so small; each part begins at the end that is nearest to
    the last of the part before.

    Parameters
    ----------
    x : (N, D)
        Embeddings; only their directions count.

    Returns
    -------
    (N,) rows of ``x`` in their order; the same at every call.

    References
    ----------
    .. [1] Bar-Joseph, Gifford & Jaakkola 2001. https://doi.org/10.1093/bioinformatics/17.suppl_1.S22
    """
    unit = unit_length(np.asarray(x, np.float32))
    line: list[NDArray[np.intp]] = []
    for part in _parts(unit, np.arange(len(unit))):
        ordered = part[_leaves(unit[part])]
        ends = unit[ordered[[0, -1]]].T
        if len(line) == 1 and (unit[line[0][0]] @ ends).max() > (unit[line[0][-1]] @ ends).max():
            line[0] = line[0][::-1]  # the first had none before it to begin at
        if line and np.argmax(unit[line[-1][-1]] @ ends) == 1:
            ordered = ordered[::-1]
        line.append(ordered)
    return np.concatenate(line) if line else np.zeros(0, np.intp)


def _parts(
    unit: NDArray[np.float32],
    rows: NDArray[np.intp],
    along: NDArray[np.float32] | None = None,
) -> list[NDArray[np.intp]]:
    """Halves of halves, in the order of their largest variance, all in about one direction."""
    if len(rows) <= PIECE:
        return [rows]
    centred = unit[rows] - unit[rows].mean(axis=0)
    axis = np.linalg.eigh(centred.T @ centred)[1][:, -1]
    # either sign is as good; the largest number's is the same at every call
    axis *= np.sign(axis[np.abs(axis).argmax()] if along is None else axis @ along) or 1
    order = rows[np.argsort(centred @ axis, kind="stable")]
    middle = len(order) // 2
    return [*_parts(unit, order[:middle], axis), *_parts(unit, order[middle:], axis)]


def _leaves(unit: NDArray[np.float32]) -> NDArray[np.intp]:
    from scipy.cluster.hierarchy import leaves_list, linkage

    if len(unit) < 3:
        return np.arange(len(unit))
    tree = linkage(unit.astype(np.float64), "average", optimal_ordering=True)
    return np.asarray(leaves_list(tree), np.intp)
