"""Affine: the map from one picture to another by correlation, then by least squares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

#: Turns in degrees and scales that are tried: what photographs of one sitting differ by.
TURNS = np.arange(-28.0, 29.0, 4.0)
SCALES = 1.06 ** np.arange(-4, 5)

#: Starts that are followed, rounds of least squares, and the step in pixels that ends them.
_STARTS, _ROUNDS, _STILL = 5, 40, 0.02

#: Of the first picture that the other shows, at least.
_OVERLAP = 0.3

Matrix = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Tile:
    """The same part of two pictures, or all of them.

    Parameters
    ----------
    fixed : (h, w)
        Structure of the first picture.
    moving : (h', w')
        Structure of the other, around where that lies.
    at, at_moving
        Column and row of their first pixels.
    """

    fixed: NDArray[np.float64]
    moving: NDArray[np.float64]
    at: tuple[int, int] = (0, 0)
    at_moving: tuple[int, int] = (0, 0)

    def inside(self, matrix: Matrix) -> Matrix:
        """A map between the pictures, as one between these parts of them."""
        here, there = np.eye(3), np.eye(3)
        here[:2, 2], there[:2, 2] = self.at, -np.array(self.at_moving)
        return np.asarray(there @ matrix @ here)

    def laid(self, matrix: Matrix) -> NDArray[np.float64]:
        """(h, w) the other's structure where a map takes the pixels of the first."""
        return warped(self.moving, self.inside(matrix), self.fixed.shape)


def starts(fixed: NDArray[np.float64], moving: NDArray[np.float64]) -> list[Matrix]:
    """Maps from one picture to another whose structures agree best, of turn, scale and shift.

    For every turn and scale the shift is the peak of the Fourier correlation. The best comes first.

    Parameters
    ----------
    fixed, moving : (h, w)
        Of about 100 pixels a side.

    Returns
    -------
    (3, 3) matrices, from (column, row, 1) of ``fixed`` to those of ``moving``.
    """
    # twice as large: what leaves at one side does not come in at the other
    shape = [fft.next_fast_len(2 * side) for side in fixed.shape]
    seen = fft.rfft2(_centred(fixed), shape)
    found: list[tuple[float, Matrix]] = []
    for turn, scale in product(TURNS, SCALES):
        about = turned(fixed.shape, moving.shape, np.deg2rad(turn), scale)
        other = _centred(warped(moving, about, fixed.shape))
        peaks = fft.irfft2(np.conj(seen) * fft.rfft2(other, shape), shape)
        place = np.unravel_index(int(peaks.argmax()), peaks.shape)
        down, across = (
            p - side if p > side // 2 else p for p, side in zip(place, peaks.shape, strict=True)
        )
        shift = np.array([[1, 0, across], [0, 1, down], [0, 0, 1]], float)
        energy = np.linalg.norm(other) or 1.0
        found.append((float(peaks[place] / energy), about @ shift))
    found.sort(key=lambda one: -one[0])
    return [matrix for _, matrix in found[:_STARTS]]


def warped(
    picture: NDArray[np.float64], matrix: Matrix, shape: tuple[int, ...]
) -> NDArray[np.float64]:
    """(H, W) a picture where a matrix takes the pixels of ``shape``, bilinear; NaN outside."""
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    x, y = (matrix[i, 0] * columns + matrix[i, 1] * rows + matrix[i, 2] for i in (0, 1))
    made: NDArray[np.float64] = ndimage.map_coordinates(
        picture, np.stack([y, x]), order=1, cval=np.nan
    )
    return made


def refined(
    tiles: Sequence[Tile],
    matrix: Matrix,
    used: NDArray[np.bool_] | None = None,
    *,
    shift: bool = False,
) -> tuple[Matrix, float]:
    """The affine map that makes one structure most like a gain and an offset of the other [1]_.

    Gauss-Newton from a near one; a pixel weighs the less the more it differs, so that a pattern
    that one of the two alone shows does not pull.

    Parameters
    ----------
    tiles
        Parts of the two pictures, one or more.
    matrix
        From (column, row, 1) of the first picture to those of the other, wrong by a few pixels.
    used
        Which pixels of the tiles, one after another; None: all.
    shift
        Refine the shift alone.

    Returns
    -------
    The better matrix, and the correlation of the structures; 0 where they have nothing in common.

    References
    ----------
    .. [1] Evangelidis & Psarakis 2008, the enhanced correlation coefficient, here as least squares.
       https://doi.org/10.1109/TPAMI.2008.113
    """
    spots = np.concatenate([_spots(tile) for tile in tiles])
    low, high = spots.min(axis=0), spots.max(axis=0)
    middle, reach = (low + high) / 2, float((high - low).max() + 1) / 2
    places = np.column_stack([(spots - middle) / reach, np.ones(len(spots))])[:, 2 * shift :]
    fixed = np.concatenate([tile.fixed.ravel() for tile in tiles])
    slopes = [np.gradient(tile.moving) for tile in tiles]
    correlation = 0.0
    for _ in range(_ROUNDS):
        seen, dy, dx = (
            np.concatenate(
                [
                    warped(of, tile.inside(matrix), tile.fixed.shape).ravel()
                    for of, tile in zip(planes, tiles, strict=True)
                ]
            )
            for planes in ([t.moving for t in tiles], *zip(*slopes, strict=True))
        )
        inside = np.isfinite(seen)
        if inside.mean() < _OVERLAP:
            return matrix, 0.0
        if used is not None:
            inside &= used
        f, g, at = fixed[inside], seen[inside], places[inside]
        by = [at * slope[inside, None] for slope in (dx, dy)]
        model = np.column_stack([*by, g, np.ones_like(g)])  # (pixels, x + y + gain + offset)
        weight = np.ones_like(f)
        for _ in range(2):
            weighted = model * weight[:, None]
            answer = np.linalg.lstsq(weighted.T @ model, weighted.T @ f, rcond=1e-10)[0]
            left = f - model @ answer
            spread = 1.4826 * float(np.median(np.abs(left))) + 1e-9
            weight = 1 / (1 + (left / (2 * spread)) ** 2)
        if answer[-2] <= 0:
            return matrix, 0.0
        step = np.zeros((2, 3))
        step[:, 2 * shift :] = answer[:-2].reshape(2, -1) / answer[-2]
        matrix = matrix.copy()
        matrix[:2, :2] += step[:, :2] / reach
        matrix[:2, 2] += step[:, 2] - step[:, :2] @ middle / reach
        correlation = float(np.corrcoef(f, g)[0, 1])
        if np.abs(step).sum(axis=1).max() < _STILL:
            break
    return matrix, correlation


def _spots(tile: Tile) -> NDArray[np.float64]:
    """(h * w, 2) columns and rows in the first picture."""
    rows, columns = np.mgrid[: tile.fixed.shape[0], : tile.fixed.shape[1]]
    spots = np.column_stack([columns.ravel(), rows.ravel()])
    return np.asarray(spots + np.array(tile.at, float))


def rescaled(matrix: Matrix, fixed: float, moving: float) -> Matrix:
    """The same map between pictures of so many times more pixels a side."""
    down, up = (
        np.array([[s, 0, (s - 1) / 2], [0, s, (s - 1) / 2], [0, 0, 1]]) for s in (fixed, moving)
    )
    return np.asarray(up @ matrix @ np.linalg.inv(down))


def _centred(picture: NDArray[np.float64]) -> NDArray[np.float64]:
    inside = np.isfinite(picture)
    mean = picture[inside].mean() if inside.any() else 0.0
    return np.where(inside, picture - mean, 0)


def turned(fixed: tuple[int, ...], moving: tuple[int, ...], turn: float, scale: float) -> Matrix:
    """Turn and scale about the centres of two pictures."""
    cos, sin = scale * np.cos(turn), scale * np.sin(turn)
    linear = np.array([[cos, -sin], [sin, cos]])
    made = np.eye(3)
    made[:2, :2] = linear
    made[:2, 2] = (np.array(moving)[::-1] - 1) / 2 - linear @ (np.array(fixed)[::-1] - 1) / 2
    return made
