"""Residual: how well a map lays one picture on another, by what was not fitted."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from napari_phenoscape.spectra.registering._affine import Matrix, Tile, refined

#: Pixels around a block in which the other picture is looked for, and side of the squares by which
#: its pixels are halved: wider than noise is smoothed.
_FAR, SQUARE = 8, 8

#: Blocks that must be found again, and their share of those that have structure.
BLOCKS, _SHARE = 4, 0.5


def apart(tiles: Sequence[Tile], matrix: Matrix, one: Matrix, another: Matrix) -> float:
    """Pixels of the first picture that lie between two maps, weighed by its structure."""
    turn = (np.linalg.inv(matrix) @ (one - another))[:2]
    squares, weights = [], []
    for tile in tiles:
        rows, columns = np.mgrid[: tile.fixed.shape[0], : tile.fixed.shape[1]]
        places = np.stack([columns + tile.at[0], rows + tile.at[1], np.ones(tile.fixed.shape)])
        squares.append((np.einsum("ij,jhw->ihw", turn, places) ** 2).sum(axis=0).ravel())
        weights.append(tile.fixed.ravel())
    return float(np.sqrt(np.average(np.concatenate(squares), weights=np.concatenate(weights))))


def misfit(
    tiles: Sequence[Tile], matrix: Matrix, block_px: int, alike: float
) -> tuple[float, int] | None:
    """Root mean square of the shifts in pixels that a map leaves, and of how many blocks.

    Each block is laid anew, twice, by either half of its pixels. What the halves say in common is
    left; what they do not, noise. A mean square below its own standard error is not told from it,
    and is that. Along an edge a block may lie anywhere: only what is across counts.

    Parameters
    ----------
    block_px
        Side of a block, at most; they overlap by half.
    alike
        Correlation from which on one is found again.

    Returns
    -------
    None: too few blocks are found again to tell.
    """
    products: list[float] = []
    weights: list[float] = []
    looked = 0
    typical = np.concatenate([tile.fixed.ravel() for tile in tiles]).std()
    for tile in tiles:
        laid = tile.laid(matrix)
        side = min(block_px, min(laid.shape) - 2 * _FAR)
        halves = squares((side, side)).ravel()
        for top, left in product(
            *(range(_FAR, length - side - _FAR + 1, side // 2) for length in laid.shape)
        ):
            fixed = tile.fixed[top : top + side, left : left + side]
            around = laid[top - _FAR : top + side + _FAR, left - _FAR : left + side + _FAR]
            if not np.isfinite(around).all() or fixed.std() < typical / 2:
                continue
            looked += 1
            block = Tile(fixed, around, at_moving=(-_FAR, -_FAR))
            (one, of_one), (other, of_other) = (
                refined([block], np.eye(3), halves == half, shift=True) for half in (0, 1)
            )
            if min(of_one, of_other) < alike:
                continue
            slopes = np.gradient(fixed)[::-1]
            tensor = np.array([[np.sum(a * b) for a in slopes] for b in slopes])
            products.append(float(one[:2, 2] @ tensor @ other[:2, 2]))
            weights.append(float(np.trace(tensor)) / 2)
    if len(products) < max(BLOCKS, _SHARE * looked):
        return None
    mean = sum(products) / sum(weights)
    # of blocks that overlap by half, one in four is independent
    error = 2 * float(np.linalg.norm(np.subtract(products, np.multiply(weights, mean))))
    return float(np.sqrt(max(mean, error / sum(weights)))), len(products)


def squares(shape: tuple[int, ...], side: float = SQUARE) -> NDArray[np.intp]:
    """(h, w) 0 and 1, as on a draughtboard."""
    rows, columns = (np.arange(length) // side for length in shape)
    return np.asarray((rows[:, None] + columns) % 2, np.intp)


def coherence(fixed: NDArray[np.float64], laid: NDArray[np.float64]) -> float:
    """Correlation of the pictures' answers to the movement of a map that they tell least of.

    How each would change is known from its slopes. Noise changes both, but not alike: a disc with
    a pattern of noise tells nothing of its turn, and no fit would show it.

    Parameters
    ----------
    fixed, laid : (h, w)
        Structure of the first picture, and of the other there; NaN outside of it.

    Returns
    -------
    -1 to 1, of all affine movements the least.
    """
    slopes = [np.stack(list(np.gradient(one))) for one in (fixed, laid)]
    inside = np.isfinite(slopes[1]).all(axis=0)
    rows, columns = np.nonzero(inside)
    places = np.stack([columns, rows, np.full(len(rows), max(fixed.shape))]) / max(fixed.shape)
    first, other = (
        (places[:, None] * slope[:, inside]).reshape(6, -1) / slope[:, inside].std()
        for slope in slopes
    )
    common, own = first @ other.T, first @ first.T + other @ other.T
    return float(linalg.eigvalsh(common + common.T, own)[0])
