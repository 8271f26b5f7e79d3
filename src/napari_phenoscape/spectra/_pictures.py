"""Pictures by name: every way in which a cube can be looked at in colour."""

from __future__ import annotations

import re
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cubes import Bands, Cube
from napari_phenoscape.errors import BandMismatchError, OptionError, did_you_mean
from napari_phenoscape.spectra._components import components_picture, principal_components
from napari_phenoscape.spectra._composites import (
    composite,
    false_colour_bands,
    infrared_bands,
    limits_of,
    rgb_bands,
    yellow_blue_bands,
)
from napari_phenoscape.spectra.vision._srgb import srgb_weights, true_colour

#: Names of pictures.
COLOURS = "colours"
TRUE_COLOUR = "true colour"
INFRARED = "colour infrared"
FALSE_COLOUR = "UV false colour"
YELLOW_BLUE = "UV yellow-blue"
COMPONENTS = "principal components"


def named_bands(bands: Bands) -> dict[str, tuple[int, int, int]]:
    """The pictures of three bands that have a name, and these bands; those that there are."""
    found = {
        COLOURS: rgb_bands(bands),
        INFRARED: infrared_bands(bands),
        FALSE_COLOUR: false_colour_bands(bands),
        YELLOW_BLUE: yellow_blue_bands(bands),
    }
    return {name: shown for name, shown in found.items() if shown is not None}


def ways(cube: Cube) -> tuple[str, ...]:
    """Names of the pictures that the cube allows, `COLOURS` first."""
    first, *others = named_bands(cube.bands)
    daylight = []
    with suppress(BandMismatchError):  # the visible light has gaps
        srgb_weights(cube)
        daylight.append(TRUE_COLOUR)
    more = [COMPONENTS] if cube.bands.good.sum() >= 3 else []
    return (first, *daylight, *others, *more)


def shown_bands(cube: Cube, show: str) -> tuple[int, int, int] | None:
    """Indices shown as red, green and blue, None when a picture is of all the bands.

    Parameters
    ----------
    show
        One of `ways`; a band (its name, or a wavelength in nm within 15 nm of it), in grey; or
        three bands with commas between, for red, green and blue.

    Raises
    ------
    OptionError
        The cube allows no such picture.
    """
    named = named_bands(cube.bands)
    if show in named:
        return named[show]
    if show in ways(cube):
        return None
    found = [_band(cube.bands, word) for word in (show, *show.split(","))]
    if found[0] is not None:
        return found[0], found[0], found[0]
    match found[1:]:
        case [int(red), int(green), int(blue)]:
            return red, green, blue
    raise OptionError(
        f"'{cube.path.name}' has no picture '{show}'. {did_you_mean(show, ways(cube))}Choose from "
        f"{', '.join(ways(cube))}, or name a band, or three of them such as 640,550,460 (nm)."
    )


def picture(cube: Cube, show: str, step: int = 1) -> NDArray[np.uint8]:
    """(H', W', 3) picture of a cube.

    `TRUE_COLOUR` is as bright as the other pictures: white is percentile 99 of the visible bands;
    black stays black.

    Parameters
    ----------
    show
        As in `shown_bands`.
    step
        Every so many rows and columns.

    Raises
    ------
    OptionError
        The cube allows no such picture.
    """
    bands = shown_bands(cube, show)
    if bands is not None:
        return composite(cube, bands, step)
    if show == TRUE_COLOUR:
        brightest = limits_of(cube, rgb_bands(cube.bands))[1]
        return true_colour(cube, step, white=max(brightest, 1e-6))
    return components_picture(cube, principal_components(cube), step)


def _band(bands: Bands, word: str) -> int | None:
    """A band by its name or wavelength."""
    word = word.strip()
    if word in bands.names:
        return bands.index(word)
    number = re.fullmatch(r"(\d+(?:\.\d+)?)(?: ?nm)?", word)
    return bands.nearest(float(number[1])) if number else None
