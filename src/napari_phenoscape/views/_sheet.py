"""Sheets of views: pictures of reflectance, brightened alike."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cubes import NEAREST_NM, RGB_NM, Band, Cube
from napari_phenoscape.spectra import COLOURS, named_bands

if TYPE_CHECKING:
    from napari_phenoscape.views._views import Views

_SHEET_COLUMNS = 4
_GAP = 2


def view_sheet(
    views: Views,
    bands: Sequence[Band],
    shown: tuple[int, int, int] | None = None,
    limits: tuple[float, float] | None = None,
) -> NDArray[np.uint8]:
    """(H, W, 3) all views, four to a row, brightened alike.

    ``shown`` are the bands displayed as red, green and blue, as in `view_layers`; ``limits`` the
    reflectance shown as black and as white, None: as the views ask for.
    """
    triple = list(shown or displayed_bands(bands))
    images, masks = np.asarray(views.image)[:, triple], np.asarray(views.mask)[:, 0]
    low, high = limits or limits_of(images.swapaxes(0, 1), masks)
    columns = min(_SHEET_COLUMNS, len(images))
    rows = -(-len(images) // columns)
    pitch = images.shape[-1] + _GAP
    sheet = np.full((rows * pitch - _GAP, columns * pitch - _GAP, 3), 255, np.uint8)
    for number, image in enumerate(images):
        top, left = number // columns * pitch, number % columns * pitch
        picture = picture_of(image, low, high)
        sheet[top : top + len(picture), left : left + len(picture)] = picture
    return sheet


def pictures(bands: Sequence[Band]) -> dict[str, tuple[int, int, int]]:
    """Ways to look at these bands: their name, and the bands shown as red, green and blue.

    Those of `named_bands`, and each band in grey.
    """
    cube = Cube(np.empty((len(bands), 1, 1)), tuple(bands), Path())
    ways = named_bands(cube) | {COLOURS: displayed_bands(bands)}
    return ways | {band.name: (index, index, index) for index, band in enumerate(bands)}


def displayed_bands(bands: Sequence[Band]) -> tuple[int, int, int]:
    """Positions of red, green and blue: by name, by wavelength, or the first bands there are."""
    names = [band.name for band in bands]
    if all(name in names for name in "RGB"):
        return names.index("R"), names.index("G"), names.index("B")
    centres = np.array([np.inf if b.wavelength_nm is None else b.wavelength_nm for b in bands])
    red, green, blue = (int(np.abs(centres - nm).argmin()) for nm in RGB_NM)
    if np.all(np.abs(centres[[red, green, blue]] - RGB_NM) <= NEAREST_NM):
        return red, green, blue
    last = len(bands) - 1
    return 0, min(1, last), min(2, last)


def limits_of(values: NDArray[np.float32], mask: NDArray[np.bool_]) -> tuple[float, float]:
    """Reflectance shown as black and as white, for (3, ...) values where the mask is True."""
    seen = values[:, mask] if mask.any() else values.reshape(3, -1)
    low, high = np.percentile(seen, [1, 99])
    return float(low), float(max(high, low + 1e-6))


def picture_of(values: NDArray[np.float32], low: float, high: float) -> NDArray[np.uint8]:
    """(h, w, 3) picture of (3, h, w) reflectance."""
    scaled = ((values - low) * (255 / (high - low))).round().clip(0, 255)
    picture: NDArray[np.uint8] = np.moveaxis(scaled, 0, -1).astype(np.uint8)
    return picture
