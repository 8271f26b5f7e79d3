"""A specimen looks the same wherever it is shown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from napari_phenoscape.cubes import Band, Bands, Cube
from napari_phenoscape.embeddings import thumbnails
from napari_phenoscape.layers import cube_layers, view_layers
from napari_phenoscape.spectra import COLOURS, picture
from napari_phenoscape.views import Views, pictures, view_sheet

SIDE = 12
MASK = np.ones((1, SIDE, SIDE), bool)


def viewer(cube: Cube) -> NDArray[np.uint8]:
    """The layer of the picture that opens with a cube."""
    roles = {
        kwargs["metadata"]["phenoscape"]["role"]: made for made, kwargs, _ in cube_layers(cube)
    }
    return roles["composite"]


def command_line(cube: Cube) -> NDArray[np.uint8]:
    """`phenoscape picture`."""
    return picture(cube, COLOURS)


def thumbnail(cube: Cube) -> NDArray[np.uint8]:
    """Contact sheets and figures are made of these."""
    crops = SimpleNamespace(images=cube.array[None], masks=MASK[None], bands=cube.bands)
    return thumbnails(crops, SIDE)[0]


def preview(cube: Cube) -> NDArray[np.uint8]:
    """The specimen in the dock *Preview*."""
    shown = pictures(cube.bands)[COLOURS]
    return view_layers(cube.array, MASK, views(cube), cube.bands, shown)[0][0]


def sheet(cube: Cube) -> NDArray[np.uint8]:
    """`phenoscape preview`."""
    return view_sheet(views(cube), cube.bands)


def views(cube: Cube) -> Views:
    return Views(
        torch.from_numpy(cube.array)[None], torch.from_numpy(MASK)[None], torch.eye(3)[None], None
    )


def scan(low: float, high: float, bad: slice = slice(0)) -> Bands:
    numbers = np.arange(100)
    flagged = set(numbers[bad].tolist())
    nm = np.linspace(low, high, 100).tolist()
    return Bands(Band(f"{one:.2f} nm", one, bad=i in flagged) for i, one in enumerate(nm))


@pytest.mark.parametrize("door", [viewer, command_line, thumbnail, preview, sheet])
@pytest.mark.parametrize(
    ("bands", "shown"),
    [
        (scan(900, 1700), (99, 49, 0)),
        (scan(900, 1700, bad=slice(90, None)), (89, 44, 0)),
        (scan(1700, 900), (0, 50, 99)),
        (scan(900, 1700).proposing((70, 20, 20)), (70, 20, 20)),
        (scan(348, 810), (63, 43, 24)),
        (Bands(Band(name) for name in ("UV_R", "B", "G", "R")), (3, 2, 1)),
    ],
    ids=["near infrared", "bad bands", "falling", "proposed", "visible", "camera"],
)
def test_every_door_shows_the_same_bands_equally_bright(
    door: Callable[[Cube], NDArray[np.uint8]], bands: Bands, shown: tuple[int, int, int]
) -> None:
    array = np.random.default_rng(0).random((len(bands), SIDE, SIDE), dtype=np.float32)
    chosen = array[list(shown)]
    low, high = np.percentile(chosen, (1, 99))
    expected = np.moveaxis((255 * (chosen - low) / (high - low)).clip(0, 255), 0, -1)
    found = door(Cube(array, bands, Path("moth.bil")))
    assert np.abs(found - expected).max() < 0.51
