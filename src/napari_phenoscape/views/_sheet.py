"""Sheets of views: pictures of reflectance, brightened alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cubes import Bands
from napari_phenoscape.spectra import named_bands, rgb_bands, stretch, stretched

if TYPE_CHECKING:
    from napari_phenoscape.views._views import Views

_SHEET_COLUMNS = 4
_GAP = 2


def view_sheet(
    views: Views,
    bands: Bands,
    shown: tuple[int, int, int] | None = None,
    limits: tuple[float, float] | None = None,
) -> NDArray[np.uint8]:
    """(H, W, 3) all views, four to a row, brightened alike.

    ``shown`` are the bands displayed as red, green and blue, None: `rgb_bands`; ``limits`` the
    reflectance shown as black and as white, None: the `stretch` of the views.
    """
    triple = list(shown or rgb_bands(bands))
    images, masks = np.asarray(views.image)[:, triple], np.asarray(views.mask)[:, 0]
    limits = limits or stretch(images.swapaxes(0, 1), masks)
    columns = min(_SHEET_COLUMNS, len(images))
    rows = -(-len(images) // columns)
    pitch = images.shape[-1] + _GAP
    sheet = np.full((rows * pitch - _GAP, columns * pitch - _GAP, 3), 255, np.uint8)
    for number, image in enumerate(images):
        top, left = number // columns * pitch, number % columns * pitch
        sheet[top : top + len(image[0]), left : left + len(image[0])] = stretched(image, limits)
    return sheet


def pictures(bands: Bands) -> dict[str, tuple[int, int, int]]:
    """Ways to look at these bands: their name, and the bands shown as red, green and blue.

    Those of `named_bands`, and each band in grey.
    """
    return named_bands(bands) | {name: (i, i, i) for i, name in enumerate(bands.names)}
