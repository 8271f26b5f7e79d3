"""Registration: one photograph laid on another of the same specimen, and how well it lies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
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
from napari_phenoscape.spectra.registering._residual import (
    BLOCKS,
    apart,
    coherence,
    misfit,
    squares,
)
from napari_phenoscape.spectra.registering._structure import halved, planes_of, structure
from napari_phenoscape.spectra.registering._tiles import SIDE, Windows

#: Pixels a side to which pictures are reduced at most, for the start and for the map of the whole.
_COARSE, _FINE = 100, 1024

#: Side of a block in which what is left is looked for, at least, and parts of a picture's side.
_BLOCK, _BLOCKS_A_SIDE = 40, 10

#: Correlation from which on a block is found again; and a tile, which has more pixels and noise.
_FOUND, _FOUND_TILE = 0.4, 0.15

#: Of the pictures' answers to the movement that they tell least of, at least.
_COHERENT = 0.25

#: How much more a map may stretch one direction than another: a camera that is tilted by 20° does.
_STRETCH = 1 / np.cos(np.deg2rad(20))

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
        What is left, in pixels of the first: twice the root mean square of the shifts that blocks
        of the picture still show (`misfit`), to which is added (as squares) half of what lies
        between the maps that each half of the picture gives by itself, from another start.
    blocks
        How many were looked at.
    """

    matrix: Matrix
    residual_px: float
    blocks: int

    def doubt(self, most_residual_px: float) -> str:
        """Why the one does not lie on the other, in words; nothing where it does."""
        if not np.isfinite(self.residual_px):
            return "too little in both is alike to tell where"
        if self.residual_px > most_residual_px:
            return (
                f"{self.residual_px:.1f} pixels of the first are left, and at most "
                f"{most_residual_px:g} were expected"
            )
        longest, shortest = np.linalg.svd(self.matrix[:2, :2], compute_uv=False)
        if longest > _STRETCH * shortest:
            return (
                f"it would have to be stretched by {longest / shortest - 1:.0%} in one direction, "
                f"and at most {_STRETCH - 1:.0%} were expected of a camera that looks down"
            )
        return ""


def registration(fixed: Cube, moving: Cube) -> Registration:
    """The affine map from one photograph of a specimen to another, of other bands and another size.

    Turns up to 30°, scales of 0.8 to 1.26 after both fill the same frame. Fourier correlation for
    the start, then least squares from coarse to fine, on the steepness of both pictures. Pictures
    are reduced to 1024 pixels; of larger ones the map is then refined on parts of the whole. The
    residual is infinite where too little in both is alike to tell every turn, scale and shift.
    """
    return _found(fixed, moving) or Registration(np.eye(3), np.inf, 0)


def refuse_doubt(fixed: Cube, moving: Cube, found: Registration, most_residual_px: float) -> None:
    """An error where a photograph does not lie on another, by their registration.

    Raises
    ------
    CubeError
        There is a doubt (`Registration.doubt`).
    """
    if words := found.doubt(most_residual_px):
        raise CubeError(
            f"'{moving.path.name}' does not lie on '{fixed.path.name}': {words}. See that both "
            "show the same specimen in the same pose, in focus, and turned by less than 30°."
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
    left = misfit(tiles[:1], matrix, block, _FOUND)
    if correlation <= 0 or left is None or _coherence(tiles, matrix) < _COHERENT:
        return None
    small = tiles[-1].fixed.shape
    # each half of the picture by itself, from both sides: how far the maps lie apart
    halves = [
        _through(tiles, start @ turned(small, small, sign * _ASIDE, 1 + sign * _ASIDE), half)[0]
        for sign, half in ((1, 0), (-1, 1))
    ]
    found = _judged(tiles[:1], matrix, halves, left, (wide, wide_of_other))
    if found.residual_px > _MATCH * wide:
        return found
    windows = Windows(fixed, moving, f, wide)
    while longest < whole:
        longest = min(2 * longest, whole)
        found = min(found, _finer(windows, longest, found), key=lambda one: one.residual_px)
    return found


def _finer(windows: Windows, longest: int, found: Registration) -> Registration:
    """A map refined on tiles of pictures of so many pixels on the longer side."""
    sizes = windows.sizes(longest)
    start = rescaled(found.matrix, *(1 / size for size in sizes))
    aside = found.residual_px / sizes[0]
    tiles = windows.tiles(sizes, start, 2 * aside)
    if len(tiles) < BLOCKS:
        return Registration(found.matrix, np.inf, 0)
    matrix, _ = refined(tiles, start)
    left = misfit(tiles, matrix, SIDE, _FOUND_TILE)
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
    return _judged(tiles, matrix, halves, left, sizes)


def _judged(
    tiles: list[Tile],
    matrix: Matrix,
    halves: list[Matrix],
    left: tuple[float, int],
    wide: tuple[float, float],
) -> Registration:
    """A map between the photographs, of one between pictures whose pixels are so wide."""
    shift, blocks = left
    residual = 2 * float(np.hypot(shift, apart(tiles, matrix, *halves) / 2))
    return Registration(rescaled(matrix, *wide), residual * wide[0], blocks)


def _coherence(tiles: list[Tile], matrix: Matrix) -> float:
    """The largest of all levels: noise hides what a fine one tells, a coarse one has no details."""
    found = []
    for tile in tiles:
        found.append(coherence(tile.fixed, tile.laid(matrix)))
        matrix = rescaled(matrix, 0.5, 0.5)
    return max(found)


def _through(tiles: list[Tile], matrix: Matrix, half: int | None = None) -> tuple[Matrix, float]:
    """The map from coarse to fine, on all of the picture or every other square of it."""
    correlation = 0.0
    for level, tile in reversed(list(enumerate(tiles))):
        used = None
        if half is not None:
            used = squares(tile.fixed.shape, _spread(tile.fixed) / 2).ravel() == half
        matrix, correlation = refined([tile], matrix, used)
        if level:
            matrix = rescaled(matrix, 2, 2)
    return matrix, correlation


def _spread(fixed: NDArray[np.float64]) -> float:
    """Pixels between the structure of an (h, w) picture and its middle, as a root mean square."""
    weights, places = fixed.ravel() ** 2, np.indices(fixed.shape).reshape(2, -1)
    middle = np.average(places, axis=1, weights=weights)
    away = ((places - middle[:, None]) ** 2).sum(axis=0)
    return float(np.sqrt(np.average(away, weights=weights)))
