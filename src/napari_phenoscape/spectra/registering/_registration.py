"""Registration: one photograph laid on another of the same specimen, and how well it lies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from napari_phenoscape.cubes import Cube
from napari_phenoscape.errors import CubeError
from napari_phenoscape.spectra.registering._affine import (
    Matrix,
    refined,
    rescaled,
    starts,
    turned,
    warped,
)
from napari_phenoscape.spectra.registering._structure import halved, planes_of, structure

#: Pixels a side to which pictures are reduced at most, for the start and for the last step.
_COARSE, _FINE = 100, 1024

#: Side of a block in which what is left is looked for, how far, and the correlation from which on
#: a block is found again; blocks that must be found, and their share.
_BLOCK, _FAR, _FOUND, _BLOCKS, _SHARE = 40, 8, 0.4, 4, 0.5

#: Blocks along a side, at most.
_BLOCKS_A_SIDE = 16

#: Share of the blocks of whose shifts the largest is the residual.
_NINE_TENTHS = 0.9

#: Turn in radians, and part of the scale, by which the map of each half begins aside.
_ASIDE = 0.04


@dataclass(frozen=True, eq=False)
class Registration:
    """How one photograph lies on another.

    Parameters
    ----------
    matrix : (3, 3)
        From (column, row, 1) of the first photograph to those of the other; affine.
    residual_px
        What is left, in pixels of the first: nine of ten blocks of the picture still show at most
        this shift across their edges, to which is added (as squares) half of what lies between the
        maps that each half of the picture gives by itself, from another start.
    blocks
        How many were looked at.
    """

    matrix: Matrix
    residual_px: float
    blocks: int


def registration(fixed: Cube, moving: Cube) -> Registration:
    """The affine map from one photograph of a specimen to another, of other bands and another size.

    Turns up to 30°, scales of 0.8 to 1.26 after both fill the same frame. Fourier correlation for
    the start, then least squares from coarse to fine, on the steepness of both pictures. Larger
    pictures are reduced to 1024 pixels. The residual is infinite where too little in both is alike.
    """
    return _found(fixed, moving) or Registration(np.eye(3), np.inf, 0)


def refuse_residual(
    fixed: Cube, moving: Cube, found: Registration, most_residual_px: float
) -> None:
    """An error where a photograph does not lie on another, by their registration.

    Raises
    ------
    CubeError
        The residual is larger than ``most_residual_px``.
    """
    if found.residual_px <= most_residual_px:
        return
    left = (
        f"{found.residual_px:.1f} pixels of '{fixed.path.name}' are left, and at most "
        f"{most_residual_px:g} were expected"
        if np.isfinite(found.residual_px)
        else "too little in both is alike to tell where"
    )
    raise CubeError(
        f"'{moving.path.name}' does not lie on '{fixed.path.name}': {left}. See that both show the "
        "same specimen in the same pose, in focus, and turned by less than 30°."
    )


def _found(fixed: Cube, moving: Cube) -> Registration | None:
    longest = min(_FINE, max(fixed.shape[1:]), max(moving.shape[1:]))
    (first, wide), (other, wide_of_other) = (planes_of(cube, longest) for cube in (fixed, moving))
    levels = [(first, other)]
    while max(levels[-1][0].shape[1:]) > 2 * _COARSE:
        levels.append((halved(levels[-1][0]), halved(levels[-1][1])))
    pairs = [(structure(one), structure(another)) for one, another in levels]
    f, g = pairs[-1]
    start, _ = max((refined(f, g, start) for start in starts(f, g)), key=lambda one: one[1])
    matrix, correlation = _through(pairs, start)
    f, g = pairs[0]
    left = _left(f, warped(g, matrix, f.shape))
    if correlation <= 0 or left is None:
        return None
    # each half of the picture by itself, from both sides: how far the maps lie apart
    halves = [
        _through(pairs, start @ turned(f.shape, f.shape, sign * _ASIDE, 1 + sign * _ASIDE), half)[0]
        for sign, half in ((1, 0), (-1, 1))
    ]
    rows, columns = np.mgrid[: f.shape[0], : f.shape[1]]
    places = np.stack([columns, rows, np.ones(f.shape)])
    back = np.linalg.inv(matrix)
    apart = np.einsum("ij,jhw->ihw", (back @ (halves[0] - halves[1]))[:2], places)
    apart = float(np.sqrt(np.average((apart**2).sum(axis=0), weights=f))) / 2
    shift, blocks = left
    return Registration(
        rescaled(matrix, wide, wide_of_other), float(np.hypot(shift, apart)) * wide, blocks
    )


def _through(
    pairs: list[tuple[NDArray[np.float64], NDArray[np.float64]]],
    matrix: Matrix,
    half: int | None = None,
) -> tuple[Matrix, float]:
    """The map from coarse to fine, on all of the picture or every other square of it."""
    correlation = 0.0
    for level, (f, g) in reversed(list(enumerate(pairs))):
        used = None
        if half is not None:
            rows, columns = (np.arange(side) * 8 // side for side in f.shape)
            used = (rows[:, None] + columns) % 2 == half
        matrix, correlation = refined(f, g, matrix, used)
        if level:
            matrix = rescaled(matrix, 2, 2)
    return matrix, correlation


def _left(fixed: NDArray[np.float64], laid: NDArray[np.float64]) -> tuple[float, int] | None:
    """Shift in pixels that 9 of 10 blocks keep to, and how many; None: not found again."""
    shifts: list[float] = []
    looked = 0
    side, far = min(_BLOCK, min(fixed.shape) // 4), _FAR
    typical = fixed.std()
    step = max(side // 2, max(fixed.shape) // _BLOCKS_A_SIDE)
    for top in range(far, fixed.shape[0] - side - far + 1, step):
        for left in range(far, fixed.shape[1] - side - far + 1, step):
            block = fixed[top : top + side, left : left + side]
            around = laid[top - far : top + side + far, left - far : left + side + far]
            if not np.isfinite(around).all() or block.std() < typical / 2:
                continue
            looked += 1
            found = _shift(block, around)
            if found is None:
                continue
            dy, dx = np.gradient(block)
            tensor = np.array([[np.sum(a * b) for a in (dy, dx)] for b in (dy, dx)])
            # along an edge a block may lie anywhere: only what is across counts
            shifts.append(float(np.sqrt(2 * (found @ tensor @ found) / np.trace(tensor))))
    if len(shifts) < max(_BLOCKS, _SHARE * looked):
        return None
    return float(np.quantile(shifts, _NINE_TENTHS)), len(shifts)


def _shift(block: NDArray[np.float64], around: NDArray[np.float64]) -> NDArray[np.float64] | None:
    """(2,) down and right, by which a block is found again; None where it is not."""
    windows = sliding_window_view(around, block.shape)
    centred = block - block.mean()
    spread = windows.std(axis=(2, 3)) * block.std() * block.size
    alike = np.einsum("ijkl,kl->ij", windows, centred) / np.maximum(spread, 1e-12)
    peak = np.unravel_index(int(alike.argmax()), alike.shape)
    if alike[peak] < _FOUND:
        return None
    shift = []
    for axis, (at, length) in enumerate(zip(peak, alike.shape, strict=True)):
        line = alike[:, peak[1]] if axis == 0 else alike[peak[0]]
        part = 0.0
        if 0 < at < length - 1:
            below, here, above = line[at - 1 : at + 2]
            part = 0.5 * (below - above) / (below - 2 * here + above)
        shift.append(at + part - length // 2)
    return np.array(shift)
