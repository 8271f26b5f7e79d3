"""Affine: the map from one picture to another by correlation, then by least squares."""

from __future__ import annotations

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
    fixed: NDArray[np.float64],
    moving: NDArray[np.float64],
    matrix: Matrix,
    used: NDArray[np.bool_] | None = None,
) -> tuple[Matrix, float]:
    """The affine map that makes one structure most like a gain and an offset of the other [1]_.

    Gauss-Newton from a near one; a pixel weighs the less the more it differs, so that a pattern
    that one of the two alone shows does not pull.

    Parameters
    ----------
    fixed, moving : (h, w)
        Structures.
    matrix
        From (column, row, 1) of ``fixed`` to those of ``moving``, wrong by a few pixels.
    used : (h, w) of ``fixed``
        Which pixels; None: all.

    Returns
    -------
    The better matrix, and the correlation of the structures; 0 where they have nothing in common.

    References
    ----------
    .. [1] Evangelidis & Psarakis 2008, the enhanced correlation coefficient, here as least squares.
       https://doi.org/10.1109/TPAMI.2008.113
    """
    rows, columns = np.mgrid[: fixed.shape[0], : fixed.shape[1]]
    middle, reach = (np.array(fixed.shape[::-1]) - 1) / 2, max(fixed.shape) / 2
    across, down = (columns - middle[0]) / reach, (rows - middle[1]) / reach
    places = np.stack([across, down, np.ones(fixed.shape)], axis=-1)
    slopes = np.gradient(moving)
    correlation = 0.0
    for _ in range(_ROUNDS):
        seen, dy, dx = (warped(of, matrix, fixed.shape) for of in (moving, *slopes))
        inside = np.isfinite(seen)
        if inside.mean() < _OVERLAP:
            return matrix, 0.0
        if used is not None:
            inside &= used
        f, g, at = fixed[inside], seen[inside], places[inside]
        by = [at * slope[inside, None] for slope in (dx, dy)]
        model = np.column_stack([*by, g, np.ones_like(g)])  # (pixels, 3 + 3 + gain + offset)
        weight = np.ones_like(f)
        for _ in range(2):
            weighted = model * weight[:, None]
            answer = np.linalg.lstsq(weighted.T @ model, weighted.T @ f, rcond=1e-10)[0]
            left = f - model @ answer
            spread = 1.4826 * float(np.median(np.abs(left))) + 1e-9
            weight = 1 / (1 + (left / (2 * spread)) ** 2)
        if answer[6] <= 0:
            return matrix, 0.0
        step = answer[:6].reshape(2, 3) / answer[6]
        matrix = matrix.copy()
        matrix[:2, :2] += step[:, :2] / reach
        matrix[:2, 2] += step[:, 2] - step[:, :2] @ middle / reach
        correlation = float(np.corrcoef(f, g)[0, 1])
        if np.abs(step).sum(axis=1).max() < _STILL:
            break
    return matrix, correlation


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
