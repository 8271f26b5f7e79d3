"""Tiles: the parts of two large photographs on which the map between them is refined."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_phenoscape.cubes import Cube, binned
from napari_phenoscape.spectra.registering._affine import Matrix, Tile
from napari_phenoscape.spectra.registering._structure import PLANES, structures

#: Pixels a side of a tile, and of its border, where steepness is not that of the whole.
SIDE, _BORDER = 240, 8

#: Pixels over which a tile is smoothed: the pixels of a large picture have more noise than slope.
_SMOOTH = 2.0

#: Tiles, at most; parts of the picture's longer side that lie between two at least; and how much
#: structure the poorest has of the richest.
_MOST, _PARTS, _POOREST = 24, 8, 0.5


class Windows:
    """Where two photographs are looked at closely: where the first has the most structure.

    Parameters
    ----------
    fixed, moving
        The photographs.
    seen : (h, w)
        Structure of the first, reduced.
    wide
        Pixels of the first that one of those is wide.
    """

    def __init__(self, fixed: Cube, moving: Cube, seen: NDArray[np.float64], wide: float) -> None:
        self._fixed, self._moving, self._seen, self._wide = fixed, moving, seen, wide

    def sizes(self, longest: int) -> tuple[int, int]:
        """Pixels of each that one is wide when both have about so many on the longer side."""
        sides = (max(cube.shape[1:]) for cube in (self._fixed, self._moving))
        first, other = (max(1, round(side / longest)) for side in sides)
        return first, other

    def tiles(self, sizes: tuple[int, int], matrix: Matrix, margin: float) -> list[Tile]:
        """Tiles of both, where the other shows the place of the first.

        Parameters
        ----------
        sizes
            Pixels of each photograph that one of a tile is wide.
        matrix
            From (column, row, 1) of the one to those of the other, in pixels of the tiles.
        margin
            Pixels by which it may be wrong.
        """
        first, other = (
            binned(cube, -(-cube.shape[0] // PLANES), size)
            for cube, size in zip((self._fixed, self._moving), sizes, strict=True)
        )
        finer = float(np.sqrt(abs(np.linalg.det(matrix[:2, :2]))))
        corners = np.array([[i * SIDE, j * SIDE, 1] for i in (0, 1) for j in (0, 1)], float)
        found: list[tuple[NDArray[np.float32], NDArray[np.float32]]] = []
        places: list[tuple[tuple[int, int], tuple[int, int]]] = []
        for column, row in self._places(sizes[0], first.shape[1:]):
            spots = (matrix @ (corners + np.array([column, row, 0])).T)[:2]
            # the other's steepness is that of the whole within its border
            low = np.floor(spots.min(axis=1) - margin).astype(int) - _BORDER
            high = np.ceil(spots.max(axis=1) + margin).astype(int) + _BORDER
            low, high = np.maximum(low, 0), np.minimum(high, other.shape[:0:-1])
            if (high - low < SIDE * finer / 2).any():
                continue
            rows, columns = (slice(at - _BORDER, at + SIDE + _BORDER) for at in (row, column))
            here = first.reflectance(rows=rows, columns=columns)
            there = other.reflectance(rows=slice(low[1], high[1]), columns=slice(low[0], high[0]))
            if np.isfinite(here).mean() < _POOREST or np.isfinite(there).mean() < _POOREST:
                continue
            found.append((_filled(here), _filled(there)))
            places.append(((column, row), (int(low[0]), int(low[1]))))
        if not found:
            return []
        fixed = structures([one for one, _ in found], _SMOOTH * max(1, 1 / finer))
        moving = structures([other for _, other in found], _SMOOTH * max(1, finer))
        inner = slice(_BORDER, -_BORDER)
        return [
            Tile(one[inner, inner], another, *place)
            for one, another, place in zip(fixed, moving, places, strict=True)
        ]

    def _places(self, size: int, shape: tuple[int, ...]) -> list[tuple[int, int]]:
        """Columns and rows of the first's tiles, the richest first."""
        reduced = size / self._wide
        side = max(1, round(SIDE * reduced))
        rich = ndimage.uniform_filter(self._seen, side, mode="constant")
        apart = max(side, max(rich.shape) // _PARTS)
        richest = float(rich.max())
        places: list[tuple[int, int]] = []
        while len(places) < _MOST and rich.max() > _POOREST * richest:
            row, column = np.unravel_index(int(rich.argmax()), rich.shape)
            around = tuple(slice(max(0, at - apart + 1), at + apart) for at in (row, column))
            rich[around] = 0
            y, x = (
                int(np.clip((at + 0.5) / reduced - SIDE / 2, _BORDER, length - SIDE - _BORDER))
                for at, length in zip((row, column), shape, strict=True)
            )
            places.append((x, y))
        return places


def _filled(planes: NDArray[np.float32]) -> NDArray[np.float32]:
    """What was not measured is the median."""
    missing = ~np.isfinite(planes)
    if missing.any():
        planes[missing] = np.median(planes[~missing])
    return planes
