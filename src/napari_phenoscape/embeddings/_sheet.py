"""Contact sheet: all specimens on one picture, drawn where and as finely as it is looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.embeddings._clustering import noise_last

#: Grey level between thumbnails.
PAPER = 255

#: Thumbnails from this side on have room for a frame inside, where there is none around them.
_FRAMED = 6


class SheetLevel:
    """(H, W, 3) uint8 picture of a sheet at one size, drawn when it is indexed.

    Parameters
    ----------
    pictures : (N, h, h, 3) uint8
        Square thumbnails of this size.
    grid : (rows, columns)
        Who is where; -1 = nobody.
    gap
        Pixels between thumbnails and around them.
    frames : (N, 3) uint8
        Colours of frames; None: without.
    marked : (N,) bool
        Who has a frame of white and black instead; None: nobody.
    """

    ndim = 3
    dtype = np.dtype(np.uint8)

    def __init__(
        self,
        pictures: NDArray[np.uint8],
        grid: NDArray[np.int32],
        gap: int,
        frames: NDArray[np.uint8] | None = None,
        marked: NDArray[np.bool_] | None = None,
    ) -> None:
        self.pictures, self.grid, self.gap = pictures, grid, gap
        self.frames, self.marked = frames, marked
        self.tile = pictures.shape[1]
        self.pitch = self.tile + gap
        rows, columns = grid.shape
        self.shape = (rows * self.pitch + gap, columns * self.pitch + gap, 3)
        self.size = int(np.prod(self.shape))

    def __len__(self) -> int:
        return int(self.shape[0])

    def __array__(self, dtype: Any = None, copy: Any = None) -> NDArray[np.uint8]:
        return self._drawn(slice(None), slice(None)).astype(dtype or np.uint8, copy=False)

    def __getitem__(self, key: Any) -> NDArray[np.uint8]:
        keys = key if isinstance(key, tuple) else (key,)
        if len(keys) < 2 or not all(
            isinstance(one, slice) and one.step in (None, 1) for one in keys[:2]
        ):
            return np.asarray(np.asarray(self)[key])
        return self._drawn(keys[0], keys[1])[(slice(None), slice(None), *keys[2:])]

    def _drawn(self, rows: slice, columns: slice) -> NDArray[np.uint8]:
        """What lies in a window; only its thumbnails are touched."""
        (top, bottom, _), (left, right, _) = rows.indices(len(self)), columns.indices(self.shape[1])
        if bottom <= top or right <= left:
            return np.zeros((max(0, bottom - top), max(0, right - left), 3), np.uint8)
        pitch = self.pitch
        r0, r1 = top // pitch, -(-bottom // pitch)
        c0, c1 = left // pitch, -(-right // pitch)
        who = np.full((r1 - r0, c1 - c0), -1, np.int32)  # the last gap is a cell of its own
        there = self.grid[r0:r1, c0:c1]
        who[: there.shape[0], : there.shape[1]] = there
        seen = np.unique(who[who >= 0]) if (who >= 0).any() else np.zeros(0, np.int32)
        cells = np.full((*who.shape, pitch, pitch, 3), PAPER, np.uint8)
        filled = who >= 0
        if len(seen):
            cells[filled] = self._cells(who[filled])
        picture = cells.transpose(0, 2, 1, 3, 4).reshape(who.shape[0] * pitch, -1, 3)
        return picture[top - r0 * pitch : bottom - r0 * pitch, left - c0 * pitch :][
            :, : right - left
        ]

    def _cells(self, who: NDArray[np.int32]) -> NDArray[np.uint8]:
        """(n, pitch, pitch, 3): the gap above and to the left of a thumbnail, and itself."""
        gap, tile = self.gap, self.tile
        cells = np.full((len(who), self.pitch, self.pitch, 3), PAPER, np.uint8)
        colours = None if self.frames is None else self.frames[who].copy()
        chosen = None if self.marked is None else self.marked[who]
        if colours is not None and chosen is not None:
            colours[chosen] = 0
        if tile < _FRAMED:  # no room inside: the gap has the colour
            if colours is not None:
                cells[:] = colours[:, None, None]
            cells[:, gap:, gap:] = self.pictures[who]
            if chosen is not None and not gap:
                cells[chosen] = 0
            return cells
        cells[:, gap:, gap:] = self.pictures[who]
        thick = max(1, tile // 16)
        if colours is not None:
            _ring(cells, gap, thick, colours)
        if chosen is not None and chosen.any():
            white = np.full((int(chosen.sum()), 3), 255, np.uint8)
            within = cells[chosen]
            _ring(within, gap, thick, 0 * white)
            within = within[:, :-thick, :-thick]
            _ring(within, gap + thick, thick, white)
            cells[chosen, :-thick, :-thick] = within
        return cells


def _ring(cells: NDArray[np.uint8], start: int, thick: int, colours: NDArray[np.uint8]) -> None:
    """Paint the edges of (n, h, h, 3) squares from row and column ``start`` on."""
    tall, flat = colours[:, None, None], slice(start, None)
    cells[:, start : start + thick, flat] = tall
    cells[:, -thick:, flat] = tall
    cells[:, flat, start : start + thick] = tall
    cells[:, flat, -thick:] = tall


@dataclass(frozen=True, eq=False)
class ContactSheet:
    """All specimens of a collection on one picture.

    Parameters
    ----------
    pictures : (N, h, h, 3) uint8
        Square thumbnails.
    places : (N, 2)
        Row and column of each in the grid.
    gap
        Pixels between thumbnails.
    frames : (N, 3) uint8
        Colours of frames that are drawn into the picture; None: without.
    marked : (N,) bool
        Who has a frame of black and white instead; None: nobody.
    """

    pictures: NDArray[np.uint8]
    places: NDArray[np.int64]
    gap: int
    frames: NDArray[np.uint8] | None = None
    marked: NDArray[np.bool_] | None = None

    @property
    def tile(self) -> int:
        """Side of a thumbnail in pixels."""
        return int(self.pictures.shape[1])

    @property
    def centres(self) -> NDArray[np.float64]:
        """(N, 2) row and column of each specimen's centre, in the order of the thumbnails."""
        # napari's and our pixel centres lie at integers
        corners = self.places * (self.tile + self.gap) + self.gap
        return corners.astype(np.float64) + (self.tile - 1) / 2

    @property
    def frame(self) -> float:
        """Side in pixels of a frame (its middle line) that fits into the gap."""
        return self.tile + self.gap / 2

    @cached_property
    def image(self) -> NDArray[np.uint8]:
        """(H, W, 3) the picture, all of it drawn."""
        return np.ascontiguousarray(self.levels[0])  # else it is copied at each draw

    @cached_property
    def grid(self) -> NDArray[np.int32]:
        """(rows, columns) who is where; -1 = nobody."""
        rows, columns = self.places.max(axis=0) + 1
        grid = np.full((rows, columns), -1, np.int32)
        grid[self.places[:, 0], self.places[:, 1]] = np.arange(len(self.places))
        return grid

    @cached_property
    def _smaller(self) -> list[tuple[NDArray[np.uint8], int]]:
        """Thumbnails and gaps, each so small that the next pitch divides the one before."""
        found, pictures, gap = [(self.pictures, self.gap)], self.pictures, self.gap
        while pictures.shape[1] % 2 == 0 and gap % 2 == 0:
            pictures, gap = _halved(pictures), gap // 2
            found.append((pictures, gap))
        if (pictures.shape[1], gap) == (8, 1):
            small = _halved(_halved(pictures))
            found += [(small, 1), (_halved(small), 0)]
        return found

    @property
    def levels(self) -> tuple[SheetLevel, ...]:
        """The picture in falling sizes, each drawn where it is looked at."""
        return tuple(
            SheetLevel(pictures, self.grid, gap, self.frames, self.marked)
            for pictures, gap in self._smaller
        )

    def painted(
        self, frames: NDArray[np.uint8] | None, marked: NDArray[np.bool_] | None
    ) -> ContactSheet:
        """The same sheet with other frames."""
        sheet = replace(self, frames=frames, marked=marked)
        # what frames do not change is not made again
        sheet.__dict__.update(grid=self.grid, _smaller=self._smaller)
        return sheet

    def at(self, row: float, column: float) -> int:
        """Who is at a place of the picture; -1 = nobody."""
        pitch = self.tile + self.gap
        i, j = (int((place - self.gap / 2 + 0.5) // pitch) for place in (row, column))
        rows, columns = self.grid.shape
        return int(self.grid[i, j]) if 0 <= i < rows and 0 <= j < columns else -1


def contact_sheet(
    pictures: NDArray[np.uint8],
    columns: int | None = None,
    gap: int | None = None,
    labels: NDArray[np.int64] | None = None,
    order: NDArray[np.intp] | None = None,
) -> ContactSheet:
    """Thumbnails in rows, from left to right.

    Parameters
    ----------
    pictures : (N, h, h, 3)
        Square thumbnails.
    columns
        Pictures to a row; None makes the sheet about a third wider than high.
    gap
        Pixels between pictures and around them; None: an eighth of a picture's side.
    labels : (N,)
        Clusters: each starts a row of its own, by number, noise last.
    order : (N,)
        The rows of ``pictures`` in the order in which they are laid down; None: as they are.
    """
    count, tile = pictures.shape[:2]
    columns = columns or ceil(sqrt(4 / 3 * count))
    gap = max(1, tile // 8) if gap is None else gap
    labels = np.zeros(count, np.int64) if labels is None else labels
    return ContactSheet(pictures, _places(labels, columns, order), gap)


def _places(
    labels: NDArray[np.int64], columns: int, order: Sequence[int] | NDArray[np.intp] | None
) -> NDArray[np.int64]:
    """(N, 2) row and column in the grid of each specimen."""
    places = np.empty((len(labels), 2), np.int64)
    order = np.arange(len(labels)) if order is None else np.asarray(order)
    top = 0
    for label in sorted(np.unique(labels).tolist(), key=noise_last):
        members = order[labels[order] == label]
        row, column = np.divmod(np.arange(len(members)), columns)
        places[members] = np.stack([top + row, column], axis=1)
        top += int(row[-1]) + 1
    return places


def _halved(pictures: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(N, h / 2, h / 2, 3) means of squares of four."""
    count, side = pictures.shape[:2]
    small = np.empty((count, side // 2, side // 2, 3), np.uint8)
    for start in range(0, count, 1024):  # in 16 bits, which a whole collection would fill
        part = pictures[start : start + 1024]
        total = part[:, ::2, ::2].astype(np.uint16)
        for square in (part[:, 1::2, ::2], part[:, ::2, 1::2], part[:, 1::2, 1::2]):
            total += square
        small[start : start + 1024] = total >> 2
    return small
