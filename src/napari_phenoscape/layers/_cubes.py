"""A cube as napari layers, and the hook through which napari opens one."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cubes import Cube, LazyArray, doubts, open_cube, recognise
from napari_phenoscape.errors import PhenoscapeError
from napari_phenoscape.spectra import (
    FALSE_COLOUR,
    composite,
    false_colour_bands,
    picture,
    rgb_bands,
    shown_bands,
    stretch,
)

LayerData = tuple[Any, dict[str, Any], str]
ReadLayers = Callable[[str | Sequence[str]], list[LayerData] | list[tuple[None]]]

#: Of regions; that of no cluster.
REGIONS_COLOUR = "#00e5ff"

#: How regions that are to be edited look.
OUTLINES: dict[str, Any] = {"opacity": 0.9, "colormap": {None: REGIONS_COLOUR, 0: "transparent"}}

#: Bands, rows and columns that the contrast limits are measured on.
LIMITS_SAMPLE = (16, 64, 256)

#: Seconds within which a header and its data file were dropped together.
SAME_DROP_S = 5.0

#: What napari takes for "opened, and there is nothing to add".
NOTHING: list[tuple[None]] = [(None,)]

_last_drop: dict[Path, tuple[Path, float]] = {}


def cube_layers(cube: Cube) -> list[LayerData]:
    """The layers of a cube, bottom first.

    Returns
    -------
    The bands (C, H, W), lazily, in the file's own numbers; the UV false colour (H, W, 3), hidden,
    when the cube has visible and UV bands; the picture (H, W, 3) in colour; the mask (H, W) as
    labels when there is one. ``metadata["phenoscape"]`` of each holds its ``role`` (``cube``,
    ``false colour``, ``composite``, ``mask``) and the ``path`` of the data file; that of the bands
    also the `Cube`, the names and wavelengths of its bands, and what was assumed.
    """
    layers = [_bands_layer(cube, "bands", "cube")]
    if (picked := false_colour_bands(cube.bands)) is not None:
        false = _settings(cube, "false colour", FALSE_COLOUR, ("y", "x"), shown=list(picked))
        layers.append((composite(cube, picked), false | {"rgb": True, "visible": False}, "image"))
    shown = rgb_bands(cube.bands)
    colours = _settings(cube, "composite", "RGB", ("y", "x"), shown=list(shown))
    layers.append((composite(cube, shown), colours | {"rgb": True}, "image"))
    if cube.mask is not None:
        mask = _settings(cube, "mask", "mask", ("y", "x"))
        layers.append((cube.mask.astype(np.uint8), mask | {"opacity": 0.3}, "labels"))
    return layers


def picture_layer(cube: Cube, show: tuple[int, int, int] | str) -> LayerData:
    """Three bands, or a picture by name (`shown_bands`), as an image layer (H, W, 3)."""
    if isinstance(show, str):
        bands, made, words = shown_bands(cube, show), picture(cube, show), f"as {show}"
    else:
        bands, made = show, composite(cube, show)
        words = ", ".join(cube.bands[band].label for band in show)
    shown = None if bands is None else list(bands)
    return (
        made,
        _settings(cube, "composite", words, ("y", "x"), shown=shown) | {"rgb": True},
        "image",
    )


def part_layers(cube: Cube, first: int) -> list[LayerData]:
    """Pictures (H, W, 3) of a photograph's own bands, and of those that were laid on it, above.

    Parameters
    ----------
    first
        How many bands are its own; they come first.
    """
    own, laid = np.arange(first), np.arange(first, len(cube.bands))
    layers = []
    for words, part in (("first photograph", own), ("laid on it", laid)):
        shown = int(part[0]), int(part[len(part) // 2]), int(part[-1])
        settings = _settings(cube, "part", words, ("y", "x"), shown=list(shown))
        layers.append((composite(cube, shown), settings | {"rgb": True}, "image"))
    return layers


def derived_layer(cube: Cube, words: str) -> LayerData:
    """The bands (C, H, W) of a cube that was computed from another one, lazily.

    Parameters
    ----------
    words
        What was done to it, for the layer's name.
    """
    return _bands_layer(cube, words, "derived")


def plane_layer(cube: Cube, plane: NDArray[np.float32], words: str) -> LayerData:
    """A number (H, W) for each pixel of a cube, e.g. a band index.

    Parameters
    ----------
    words
        What the numbers are, for the layer's name.
    """
    look = {"colormap": "viridis", "contrast_limits": _limits(plane[None], None)}
    return plane, _settings(cube, "plane", words, ("y", "x")) | look, "image"


def regions_layer(cube: Cube, numbers: NDArray[np.int32]) -> LayerData:
    """Regions (H, W) of a cube's specimens as labels to be edited, all of one colour."""
    return numbers, _settings(cube, "regions", "specimens", ("y", "x")) | OUTLINES, "labels"


def _bands_layer(cube: Cube, words: str, role: str) -> LayerData:
    nm = cube.bands.wavelengths_nm
    settings = _settings(
        cube,
        role,
        words,
        ("band", "y", "x"),
        cube=cube,
        bands=list(cube.bands.names),
        wavelengths_nm=None if nm is None else nm.tolist(),
        regions=[band.region for band in cube.bands],
        bad_bands=np.flatnonzero(~cube.bands.good).tolist(),
        gain=cube.gain.tolist(),
        offset=cube.offset.tolist(),
        ignore_value=cube.ignore_value,
        provenance=[*cube.provenance, *doubts(cube)],
    )
    settings |= {
        "rgb": False,
        "multiscale": False,
        "contrast_limits": _limits(cube.array, cube.ignore_value),
    }
    return cube.array, settings, "image"


def _settings(
    cube: Cube, role: str, words: str, axes: tuple[str, ...], /, **more: Any
) -> dict[str, Any]:
    # one unit for all: a length on the band axis would turn the whole world into nm
    return {
        "name": f"{cube.path.stem} {words}",
        "axis_labels": axes,
        "units": ("pixel",) * len(axes),
        "metadata": {"phenoscape": {"role": role, "path": str(cube.path.absolute()), **more}},
    }


def get_reader(path: str | Sequence[str]) -> ReadLayers | None:
    """npe2's hook: the reader for a cube of ours, None for anything else.

    Pictures are left to napari, and so are files that follow no convention of ours.
    """
    return read_layers if all(map(recognise, _listed(path))) else None


def read_layers(path: str | Sequence[str]) -> list[LayerData] | list[tuple[None]]:
    """The layers of one or several files; what is wrong with one is shown as a notification."""
    layers: list[LayerData] = []
    for one in map(Path, _listed(path)):
        try:
            cube = open_cube(one)
            if not _came_with_the_other(one, cube.path):
                layers += cube_layers(cube)
                _remember_drop(one, cube.path)
        except PhenoscapeError as error:
            # the one import of napari outside the docks: an error that a reader raises reaches
            # the user as a traceback, and a reader has no widget to say it with
            from napari.utils.notifications import show_error

            show_error(str(error))
    return layers or NOTHING


def _listed(path: str | Sequence[str]) -> Sequence[str]:
    return [path] if isinstance(path, str) else path


def _came_with_the_other(given: Path, data: Path) -> bool:
    """Whether the header was dropped together with its data file, which was opened just now.

    napari calls a reader once for each file of a drop and does not say that they came together.
    """
    before, when = _last_drop.get(data.absolute(), (given.absolute(), 0.0))
    return before != given.absolute() and time.monotonic() - when < SAME_DROP_S


def _remember_drop(given: Path, data: Path) -> None:
    _last_drop.clear()
    _last_drop[data.absolute()] = given.absolute(), time.monotonic()


def _limits(array: LazyArray | NDArray[Any], ignore_value: float | None) -> tuple[float, float]:
    """Black and white of the band slider: the `stretch` of a sample of all bands."""
    steps = (
        slice(None, None, -(-side // wanted))
        for side, wanted in zip(array.shape, LIMITS_SAMPLE, strict=True)
    )
    values: NDArray[np.float64] = np.asarray(array[tuple(steps)]).astype(np.float64)
    return stretch(np.where(values == ignore_value, np.nan, values))
