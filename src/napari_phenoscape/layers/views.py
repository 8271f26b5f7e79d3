"""Views of a specimen as layers beside it, and as one sheet."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cube import NEAREST_NM, RGB_NM, Band, Cube
from napari_phenoscape.spectral import COLOURS, named_bands

if TYPE_CHECKING:
    from napari_phenoscape.augmentations.views import Views

LayerData = tuple[Any, dict[str, Any], str]

_SHEET_COLUMNS = 4
_GAP = 2


def view_layers(
    original: NDArray[np.float32],
    mask: NDArray[np.bool_],
    views: Views,
    bands: Sequence[Band],
    shown: tuple[int, int, int] | None = None,
    sheet: Views | None = None,
) -> list[LayerData]:
    """The specimen and its views side by side, their outlines, and a sheet of more views.

    Parameters
    ----------
    original : (C, S, S)
        Reflectance of the specimen.
    mask : (S, S) or (1, S, S)
        True on the specimen.
    views
        Its N views.
    bands
        The C bands.
    shown
        Bands displayed as red, green and blue; None: the visible colours, or the first bands.
    sheet
        More views, for a sheet below.

    Returns
    -------
    An RGB image (S, S, 3) of the specimen, one (h, w, 3) of each view, and one labels layer that
    outlines them all: 1 the specimen, 2 and up the views; below them `view_sheet` of ``sheet``.
    All are brightened alike, so exposure jitter shows.
    """
    triple = shown or displayed_bands(bands)
    masks = [np.asarray(mask).reshape(original.shape[1:]), *np.asarray(views.mask)[:, 0]]
    images = [np.asarray(original), *np.asarray(views.image)]
    names = ["specimen", *(f"view {number + 1}" for number in range(len(images) - 1))]
    low, high = _limits(images[0][list(triple)], masks[0])
    sides = [len(one) for one in masks]
    gap = max(1, sides[0] // 16)
    starts = [sum(sides[:i]) + gap * i for i in range(len(sides))]
    outlines = np.zeros((max(sides), starts[-1] + sides[-1]), np.uint8)
    layers: list[LayerData] = []
    metadata = {"phenoscape": {"role": "view"}}
    for number, (image, one, name, start) in enumerate(
        zip(images, masks, names, starts, strict=True), start=1
    ):
        outlines[: len(one), start : start + len(one)][one] = number
        kwargs = {"name": name, "rgb": True, "translate": (0, start), "metadata": metadata}
        layers.append((_composite(image[list(triple)], low, high), kwargs, "image"))
    layers.append((outlines, {"name": "outlines", "metadata": metadata}, "labels"))
    if sheet is not None:
        below = {"name": "more views", "rgb": True, "metadata": metadata}
        below["translate"] = (max(sides) + gap, 0)
        layers.append((view_sheet(sheet, bands, triple, (low, high)), below, "image"))
    return layers


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
    low, high = limits or _limits(images.swapaxes(0, 1), masks)
    columns = min(_SHEET_COLUMNS, len(images))
    rows = -(-len(images) // columns)
    pitch = images.shape[-1] + _GAP
    sheet = np.full((rows * pitch - _GAP, columns * pitch - _GAP, 3), 255, np.uint8)
    for number, image in enumerate(images):
        top, left = number // columns * pitch, number % columns * pitch
        picture = _composite(image, low, high)
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


def _limits(values: NDArray[np.float32], mask: NDArray[np.bool_]) -> tuple[float, float]:
    """Reflectance shown as black and as white, for (3, ...) values where the mask is True."""
    seen = values[:, mask] if mask.any() else values.reshape(3, -1)
    low, high = np.percentile(seen, [1, 99])
    return float(low), float(max(high, low + 1e-6))


def _composite(values: NDArray[np.float32], low: float, high: float) -> NDArray[np.uint8]:
    """(h, w, 3) picture of (3, h, w) reflectance."""
    scaled = ((values - low) * (255 / (high - low))).round().clip(0, 255)
    picture: NDArray[np.uint8] = np.moveaxis(scaled, 0, -1).astype(np.uint8)
    return picture
