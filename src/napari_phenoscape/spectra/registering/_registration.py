"""Registration: one photograph laid on another of the same specimen, and how well it lies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from napari_phenoscape.cubes import Cube
from napari_phenoscape.errors import CubeError
from napari_phenoscape.spectra.registering._affine import (
    Matrix,
    Tile,
    refined,
    rescaled,
    starts,
    turned,
)
from napari_phenoscape.spectra.registering._structure import halved, planes_of, structure
from napari_phenoscape.spectra.registering._tiles import SIDE, Windows

#: Pixels a side to which pictures are reduced at most, for the start and for the map of the whole.
_COARSE, _FINE = 100, 1024

#: Side of a block in which what is left is looked for, at least, and parts of a picture's side.
_BLOCK, _BLOCKS_A_SIDE = 40, 10

#: How far a block is looked for; blocks that must be found, and their share.
_FAR, _BLOCKS, _SHARE = 8, 4, 0.5

#: Correlation from which on a block is found again; and a tile, which has more pixels and noise.
_FOUND, _FOUND_TILE = 0.4, 0.15

#: Share of the blocks of whose shifts the largest is the residual.
_NINE_TENTHS = 0.9

#: Of a reduced picture: what is left more than this is no match to refine.
_MATCH = 4.0

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
    the start, then least squares from coarse to fine, on the steepness of both pictures. Pictures
    are reduced to 1024 pixels; of larger ones the map is then refined on parts of the whole. The
    residual is infinite where too little in both is alike.
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
    whole = min(max(fixed.shape[1:]), max(moving.shape[1:]))
    longest = min(_FINE, whole)
    (first, wide), (other, wide_of_other) = (planes_of(cube, longest) for cube in (fixed, moving))
    levels = [(first, other)]
    while max(levels[-1][0].shape[1:]) > 2 * _COARSE:
        levels.append((halved(levels[-1][0]), halved(levels[-1][1])))
    tiles = [Tile(structure(one), structure(another)) for one, another in levels]
    f, g = tiles[-1].fixed, tiles[-1].moving
    start, _ = max((refined(tiles[-1:], start) for start in starts(f, g)), key=lambda one: one[1])
    matrix, correlation = _through(tiles, start)
    f = tiles[0].fixed
    block = min(max(_BLOCK, max(f.shape) // _BLOCKS_A_SIDE), min(f.shape) // 4)
    left = _left([(f, tiles[0].laid(matrix))], block, _FOUND)
    if correlation <= 0 or left is None:
        return None
    small = tiles[-1].fixed.shape
    # each half of the picture by itself, from both sides: how far the maps lie apart
    halves = [
        _through(tiles, start @ turned(small, small, sign * _ASIDE, 1 + sign * _ASIDE), half)[0]
        for sign, half in ((1, 0), (-1, 1))
    ]
    shift, blocks = left
    residual = float(np.hypot(shift, _apart(tiles[:1], matrix, *halves) / 2))
    found = Registration(rescaled(matrix, wide, wide_of_other), residual * wide, blocks)
    if residual > _MATCH:
        return found
    windows = Windows(fixed, moving, f, wide)

    def shift_of_whole(better: Matrix) -> float:
        again = rescaled(better, 1 / wide, 1 / wide_of_other)
        seen = _left([(f, tiles[0].laid(again))], block, _FOUND)
        return np.inf if seen is None else seen[0] * wide

    while longest < whole:
        longest = min(2 * longest, whole)
        better = _finer(windows, longest, found, shift_of_whole)
        found = min(found, better, key=lambda one: one.residual_px)
    return found


def _finer(
    windows: Windows, longest: int, found: Registration, shift_of_whole: Callable[[Matrix], float]
) -> Registration:
    """A map refined on tiles of pictures of so many pixels on the longer side.

    What blocks are shifted is said by the tiles or by the reduced picture, whichever says less:
    each adds its own noise to it.
    """
    size, size_of_other = windows.sizes(longest)
    start = rescaled(found.matrix, 1 / size, 1 / size_of_other)
    aside = found.residual_px / size
    tiles = windows.tiles((size, size_of_other), start, 2 * aside)
    if len(tiles) < _BLOCKS:
        return Registration(found.matrix, np.inf, 0)
    matrix, _ = refined(tiles, start)
    left = _left([(tile.fixed, tile.laid(matrix)) for tile in tiles], SIDE, _FOUND_TILE)
    if left is None:
        return Registration(found.matrix, np.inf, 0)
    spots = np.concatenate([[tile.at] for tile in tiles])
    middle = spots.mean(axis=0)
    reach = float(np.sqrt(((spots - middle) ** 2).sum(axis=1).mean()))
    halves = []
    for sign in (1, -1):
        # turned and scaled about the middle of the tiles by what was left before
        part = sign * aside / reach / np.sqrt(2)
        away = turned((1, 1), (1, 1), part, 1 + part)
        away[:2, 2] = middle - away[:2, :2] @ middle
        halves.append(refined(tiles[sign > 0 :: 2], start @ away)[0])
    shift, blocks = left
    apart = _apart(tiles, matrix, *halves) / 2 * size
    matrix = rescaled(matrix, size, size_of_other)
    shift = min(shift * size, shift_of_whole(matrix))
    return Registration(matrix, float(np.hypot(shift, apart)), blocks)


def _apart(tiles: list[Tile], matrix: Matrix, one: Matrix, another: Matrix) -> float:
    """Pixels of the first picture that lie between two maps, weighed by its structure."""
    turn = (np.linalg.inv(matrix) @ (one - another))[:2]
    squares, weights = [], []
    for tile in tiles:
        rows, columns = np.mgrid[: tile.fixed.shape[0], : tile.fixed.shape[1]]
        places = np.stack([columns + tile.at[0], rows + tile.at[1], np.ones(tile.fixed.shape)])
        squares.append((np.einsum("ij,jhw->ihw", turn, places) ** 2).sum(axis=0).ravel())
        weights.append(tile.fixed.ravel())
    return float(np.sqrt(np.average(np.concatenate(squares), weights=np.concatenate(weights))))


def _through(tiles: list[Tile], matrix: Matrix, half: int | None = None) -> tuple[Matrix, float]:
    """The map from coarse to fine, on all of the picture or every other square of it."""
    correlation = 0.0
    for level, tile in reversed(list(enumerate(tiles))):
        used = None
        if half is not None:
            rows, columns = (np.arange(side) * 8 // side for side in tile.fixed.shape)
            used = ((rows[:, None] + columns) % 2 == half).ravel()
        matrix, correlation = refined([tile], matrix, used)
        if level:
            matrix = rescaled(matrix, 2, 2)
    return matrix, correlation


def _left(
    laid: list[tuple[NDArray[np.float64], NDArray[np.float64]]], block_px: int, alike: float
) -> tuple[float, int] | None:
    """Shift in pixels that 9 of 10 blocks keep to, and how many; None: not found again.

    Parameters
    ----------
    laid
        Parts of the first picture, and the other there.
    block_px
        Side of a block, at most; they overlap by half.
    alike
        Correlation from which on one is found again.
    """
    shifts: list[float] = []
    looked = 0
    far = _FAR
    typical = np.concatenate([one.ravel() for one, _ in laid]).std()
    for fixed, moving in laid:
        side = min(block_px, min(fixed.shape) - 2 * far)
        for top, left in product(
            *(range(far, length - side - far + 1, side // 2) for length in fixed.shape)
        ):
            block = fixed[top : top + side, left : left + side]
            around = moving[top - far : top + side + far, left - far : left + side + far]
            if not np.isfinite(around).all() or block.std() < typical / 2:
                continue
            looked += 1
            found = _shift(block, around, alike)
            if found is None:
                continue
            dy, dx = np.gradient(block)
            tensor = np.array([[np.sum(a * b) for a in (dy, dx)] for b in (dy, dx)])
            # along an edge a block may lie anywhere: only what is across counts
            shifts.append(float(np.sqrt(2 * (found @ tensor @ found) / np.trace(tensor))))
    if len(shifts) < max(_BLOCKS, _SHARE * looked):
        return None
    return float(np.quantile(shifts, _NINE_TENTHS)), len(shifts)


def _shift(
    block: NDArray[np.float64], around: NDArray[np.float64], enough: float
) -> NDArray[np.float64] | None:
    """(2,) down and right, by which a block is found again; None where it is not."""
    windows = sliding_window_view(around, block.shape)
    centred = block - block.mean()
    spread = windows.std(axis=(2, 3)) * block.std() * block.size
    alike = np.einsum("ijkl,kl->ij", windows, centred) / np.maximum(spread, 1e-12)
    peak = np.unravel_index(int(alike.argmax()), alike.shape)
    if alike[peak] < enough:
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
