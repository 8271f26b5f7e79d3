"""ViewRequest: what one call of the augmenter has to render, and the chunks in which it does so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from napari_phenoscape._device import index
from napari_phenoscape.views._photometric import Photometric
from napari_phenoscape.views._rows import Rows
from napari_phenoscape.views._views import Views


@dataclass(frozen=True, eq=False)
class ViewRequest:
    """Everything that determines R views, one a row, but for the operations themselves.

    Of V views each of N specimens, R = V * N: row v * N + n is view v of specimen n.

    Parameters
    ----------
    images : (M, C, S, S)
        Reflectance, or mixes of its bands.
    image_of_row : (R,)
        Which of the images each row shows.
    photometric
        The operations of light that the images have not undergone yet.
    masks : (N, 1, S, S)
        True on the specimen.
    draws : (R, 1 + draws) each
        Uniform numbers by kind of operation; the first says whether it acts.
    factors : (R, 8, 8)
        Geometry, as the `Warp` takes it.
    fill : (1, C, 1, 1)
        What is shown where there is no picture.
    units
        By kind of filter: see `Filter.apply`.
    views
        Allocated, with the geometry in it; image and mask are to be filled.
    """

    images: Tensor
    image_of_row: NDArray[np.int64]
    photometric: Sequence[Photometric]
    masks: Tensor
    draws: dict[str, NDArray[np.float64]]
    factors: Tensor
    fill: Tensor
    units: dict[str, Tensor]
    views: Views

    def images_of(self, rows: Rows) -> Tensor:
        """(n, C, S, S) of these rows; where they are neighbours, not copied."""
        return self.images[index(self.image_of_row[rows], self.images.device)]


class Chunk(NamedTuple):
    """Rows that are rendered together.

    Parameters
    ----------
    rows
        Of the views.
    specimens
        Those shown, among the N.
    shrink
        Pixels of a picture to one of a view, alike for all of them.
    """

    rows: Rows
    specimens: Rows
    shrink: int


def chunks_of(shrink: NDArray[np.int64], specimens: int, size: int) -> list[Chunk]:
    """R rows in chunks of ``size`` at most, from their (R,) shrinkages.

    All views of a specimen come one after the other: the next finds in the cache what one has read.
    """
    chunks: list[tuple[int, Chunk]] = []
    for first in range(0, len(shrink), max(1, specimens)):
        start, end = first, first + specimens
        for stop in range(first + 1, end + 1):
            if stop == end or stop - start == size or shrink[stop] != shrink[start]:
                shown = slice(start - first, stop - first)
                chunks.append((shown.start, Chunk(slice(start, stop), shown, int(shrink[start]))))
                start = stop
    return [chunk for _, chunk in sorted(chunks, key=lambda each: each[0])]


def chunks_together(shrink: NDArray[np.int64], specimens: int, size: int) -> list[Chunk]:
    """R rows in as few chunks of ``size`` at most as there can be, wherever the rows stand."""
    chunks = []
    for pixels in np.unique(shrink):
        alike = np.flatnonzero(shrink == pixels)
        parts = np.split(alike, range(size, len(alike), size))
        chunks += [Chunk(rows, rows % specimens, int(pixels)) for rows in parts]
    return chunks
