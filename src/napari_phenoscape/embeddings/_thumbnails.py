"""Thumbnails: small pictures of the specimens."""

from __future__ import annotations

from dataclasses import replace
from math import isqrt
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cubes import Cube, visual_systems
from napari_phenoscape.errors import BandMismatchError, OptionError, did_you_mean
from napari_phenoscape.spectra import (
    FALSE_COLOUR,
    cone_catch,
    named_bands,
    read_eye,
    rgb_bands,
    stretch,
    stretched,
)

if TYPE_CHECKING:
    from napari_phenoscape.specimens import Crops

#: Grey level behind a specimen on its thumbnail.
GROUND = 232

#: Begins the name of a picture through an eye.
EYE_OF = "eye of "

#: Specimens that are looked at through an eye at once.
_BLOCK = 64

#: Pixels that are enough to tell how bright a collection is.
_ENOUGH = 1_000_000


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


def pictures(crops: Crops) -> tuple[str, ...]:
    """Names of the pictures that specimens allow: of three bands, through eyes, of one band."""
    named = [
        name
        for name, shown in named_bands(crops.bands).items()
        if crops.measured[list(shown)].all()
    ]
    eyes = []
    for name in visual_systems():
        try:
            seen = cone_catch(_cube(crops, 0, 1), read_eye(name))
        except (BandMismatchError, OptionError):  # bands that the eye needs are not there
            continue
        if seen.bands.proposed is not None:
            eyes.append(f"{EYE_OF}{name}")
    bands = [name for name, there in zip(crops.bands.names, crops.measured, strict=True) if there]
    return tuple(dict.fromkeys([*named, *eyes, *bands]))


def pictured(crops: Crops, size: int, show: str) -> NDArray[np.uint8]:
    """(N, size, size, 3) thumbnails of specimens in a picture by name.

    Parameters
    ----------
    show
        One of `pictures`. Through an eye, red, green and blue are the catches of its three
        receptors of longest waves, in daylight (D65), or as the eye's own table proposes them.

    Raises
    ------
    OptionError
        The specimens allow no such picture.
    """
    if show not in pictures(crops):
        raise OptionError(
            f"The specimens have no picture '{show}'. {did_you_mean(show, pictures(crops))}Choose "
            f"from {', '.join(pictures(crops))}."
        )
    named = named_bands(crops.bands)
    if show in named:
        return thumbnails(crops, size, named[show])
    if show in crops.bands.names:
        band = crops.bands.names.index(show)
        return thumbnails(crops, size, (band, band, band))
    eye, count = read_eye(show.removeprefix(EYE_OF)), len(crops.ids)
    planes = []
    for start in range(0, count, _BLOCK):
        stop = min(start + _BLOCK, count)
        seen = cone_catch(_cube(crops, start, stop), eye)
        assert seen.bands.proposed is not None  # or it is no picture
        caught = seen.reflectance(np.array(seen.bands.proposed, np.intp))
        planes.append(caught.reshape(3, stop - start, *crops.images.shape[2:]).swapaxes(0, 1))
    return thumbnails(replace(crops, images=np.concatenate(planes)), size, (0, 1, 2))


def band_mean(crops: Crops, band: int) -> NDArray[np.float64]:
    """(N,) mean reflectance of a band over each specimen; NaN for those that lack it."""
    there = np.zeros(len(crops.ids), np.bool_)
    for name, index in crops.modalities.items():
        if band in index:
            there |= crops.present[name]
    means = [
        float(values[band][mask].mean()) if has and mask.any() else np.nan
        for values, mask, has in zip(crops.images, crops.masks[:, 0], there, strict=True)
    ]
    return np.array(means, np.float64)


def _cube(crops: Crops, start: int, stop: int) -> Cube:
    """Some specimens, one below the other, as a cube."""
    values = np.asarray(crops.images[start:stop])
    bands = values.shape[1]
    below = np.ascontiguousarray(values.swapaxes(0, 1)).reshape(bands, -1, values.shape[-1])
    return Cube(below, crops.bands, Path("specimens"))
