"""Thumbnails: a contact sheet of the specimens."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, isqrt, sqrt
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.embeddings._clustering import noise_last
from napari_phenoscape.spectra import FALSE_COLOUR, named_bands, rgb_bands, stretch, stretched

if TYPE_CHECKING:
    from napari_phenoscape.specimens import Crops

#: Grey level behind a specimen on its thumbnail, and between thumbnails.
GROUND, PAPER = 232, 255

#: Pixels that are enough to tell how bright a collection is.
_ENOUGH = 1_000_000


@dataclass(frozen=True, eq=False)
class ContactSheet:
    """All specimens of a collection on one picture.

    Parameters
    ----------
    image : (H, W, 3) uint8
        The picture.
    centres : (N, 2)
        Row and column of each specimen's centre, in the order of the thumbnails (not of places).
    tile
        Side of a thumbnail in pixels.
    gap
        Pixels between thumbnails.
    """

    image: NDArray[np.uint8]
    centres: NDArray[np.float64]
    tile: int
    gap: int

    @property
    def frame(self) -> float:
        """Side in pixels of a frame (its middle line) that fits into the gap."""
        return self.tile + self.gap / 2


def thumbnails(
    crops: Crops, size: int, shown: tuple[int, int, int] | None = None
) -> NDArray[np.uint8]:
    """Small pictures of the specimens, brightened alike so that colours can be compared.

    Parameters
    ----------
    crops
        N specimens.
    size
        Side of a picture in pixels.
    shown
        Positions of the bands displayed as red, green and blue; None: `rgb_bands`.

    Returns
    -------
    (N, size, size, 3); light grey outside the mask. One `stretch` for all specimens and all three
    bands.
    """
    from PIL import Image

    triple = list(shown or rgb_bands(crops.bands))
    count, side = len(crops.images), crops.images.shape[-1]
    step = max(1, isqrt(count * side * side // _ENOUGH))
    on = crops.masks[:, 0, ::step, ::step]
    limits = stretch(np.stack([crops.images[:, band, ::step, ::step][on] for band in triple]))
    small = np.empty((count, size, size, 3), np.uint8)
    for picture, values, mask in zip(small, crops.images, crops.masks[:, 0], strict=True):
        full = np.where(mask[..., None], stretched(values[triple], limits), np.uint8(GROUND))
        # means when shrinking, and honest squares when enlarging 5-pixel trees
        picture[:] = np.asarray(Image.fromarray(full).resize((size, size), Image.Resampling.BOX))
    return small


def false_colour(crops: Crops) -> tuple[int, int, int] | None:
    """Positions of the bands of UV false colour; None unless all were measured."""
    shown = named_bands(crops.bands).get(FALSE_COLOUR)
    return shown if shown and crops.measured[list(shown)].all() else None


def contact_sheet(
    pictures: NDArray[np.uint8],
    columns: int | None = None,
    gap: int | None = None,
    labels: NDArray[np.int64] | None = None,
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
    """
    count, tile = pictures.shape[:2]
    columns = columns or ceil(sqrt(4 / 3 * count))
    gap = max(1, tile // 8) if gap is None else gap
    places = _places(np.zeros(count, np.int64) if labels is None else labels, columns)
    pitch = tile + gap
    rows, widest = places.max(axis=0) + 1
    image = np.full((rows * pitch + gap, widest * pitch + gap, 3), PAPER, np.uint8)
    corners = places * pitch + gap
    for picture, (top, left) in zip(pictures, corners.tolist(), strict=True):
        image[top : top + tile, left : left + tile] = picture
    # napari's and our pixel centres lie at integers
    return ContactSheet(image, corners + (tile - 1) / 2, tile, gap)


def _places(labels: NDArray[np.int64], columns: int) -> NDArray[np.int64]:
    """(N, 2) row and column in the grid of each specimen."""
    places = np.empty((len(labels), 2), np.int64)
    top = 0
    for label in sorted(set(labels.tolist()), key=noise_last):
        members = np.flatnonzero(labels == label)
        row, column = np.divmod(np.arange(len(members)), columns)
        places[members] = np.stack([top + row, column], axis=1)
        top += int(row[-1]) + 1
    return places
