"""Views of a specimen as layers beside it, and as one sheet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cubes import Bands
from napari_phenoscape.spectra import rgb_bands, stretch, stretched
from napari_phenoscape.views import view_sheet

if TYPE_CHECKING:
    from napari_phenoscape.views import Views

LayerData = tuple[Any, dict[str, Any], str]


def view_layers(
    original: NDArray[np.float32],
    mask: NDArray[np.bool_],
    views: Views,
    bands: Bands,
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
        Bands displayed as red, green and blue; None: `rgb_bands`.
    sheet
        More views, for a sheet below.

    Returns
    -------
    An RGB image (S, S, 3) of the specimen, one (h, w, 3) of each view, and one labels layer that
    outlines them all: 1 the specimen, 2 and up the views; below them `view_sheet` of ``sheet``.
    All are brightened alike, so exposure jitter shows.
    """
    triple = list(shown or rgb_bands(bands))
    masks = [np.asarray(mask).reshape(original.shape[1:]), *np.asarray(views.mask)[:, 0]]
    images = [np.asarray(original), *np.asarray(views.image)]
    names = ["specimen", *(f"view {number + 1}" for number in range(len(images) - 1))]
    limits = stretch(images[0][triple], masks[0])
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
        layers.append((stretched(image[triple], limits), kwargs, "image"))
    layers.append((outlines, {"name": "outlines", "metadata": metadata}, "labels"))
    if sheet is not None:
        below = {"name": "more views", "rgb": True, "metadata": metadata}
        below["translate"] = (max(sides) + gap, 0)
        layers.append((view_sheet(sheet, bands, shown, limits), below, "image"))
    return layers
