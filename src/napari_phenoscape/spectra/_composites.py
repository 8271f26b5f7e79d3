"""Composites: which three bands are red, green and blue, and from where to where they are shown."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cubes import Bands, Cube
from napari_phenoscape.spectra._blocks import picture_of

#: Percentiles of the values that a picture shows as black and as white.
STRETCH = (1.0, 99.0)

#: Pixels a side that the stretch is measured on.
STRETCH_SAMPLE = 256

#: Where insects and UV-sensitive birds are most sensitive in the UV (Endler & Mielke 2005).
UV_NM = 365.0

#: Where leaves are brightest and silicon still sees well.
NIR_NM = 800.0


def rgb_bands(bands: Bands) -> tuple[int, int, int]:
    """Positions of the bands shown as red, green and blue, in every picture of colours.

    The visible colours, by name or by wavelength; where there are none, those that the file
    proposes; else three that are spread over the spectrum, the longest waves red and the shortest
    blue, as in colour infrared. Bands that the file flags as bad are not shown while there are
    others, nor are catches of an eye beside a cube's own bands.
    """
    proposed = bands.proposed
    if (visible := bands.visible) is not None:
        return visible
    if proposed is not None and bands.good[list(proposed)].all():
        return proposed
    rising = bands.rising.tolist()
    rising = [i for i in rising if not bands[i].bad and not bands[i].eye] or rising
    return rising[-1], rising[(len(rising) - 1) // 2], rising[0]


def false_colour_bands(bands: Bands) -> tuple[int, int, int] | None:
    """Green, blue and UV, which UV false colour shows as red, green and blue [1]_.

    UV is the band nearest to 365 nm; of a UV camera's three, the red one, where the filters of a
    converted sensor pass most. None without the visible colours, or the UV.

    References
    ----------
    .. [1] Troscianko & Stevens 2015, micaToolbox. https://doi.org/10.1111/2041-210X.12439
    """
    visible, uv = bands.visible, _uv(bands)
    return None if visible is None or uv is None else (visible[1], visible[2], uv)


def yellow_blue_bands(bands: Bands) -> tuple[int, int, int] | None:
    """Blue, blue and UV: what reflects short waves but no UV is yellow, UV alone is blue [1]_.

    Blue and UV are those of `false_colour_bands`.

    References
    ----------
    .. [1] https://www.empiricalimaging.com/knowledge-base/creating-presentation-images
    """
    shown = false_colour_bands(bands)
    return None if shown is None else (shown[1], shown[1], shown[2])


def infrared_bands(bands: Bands) -> tuple[int, int, int] | None:
    """Near infrared (nearest to 800 nm), red and green, as colour infrared film shows them.

    None without the visible colours, or the near infrared.
    """
    visible, nir = bands.visible, _good(bands, "nir")
    if visible is None or not nir:
        return None
    return min(nir, key=lambda i: abs((bands[i].wavelength_nm or NIR_NM) - NIR_NM)), *visible[:2]


def stretch(
    values: NDArray[np.floating[Any]], mask: NDArray[np.bool_] | None = None
) -> tuple[float, float]:
    """What a picture shows as black and as white: percentiles 1 and 99.

    Parameters
    ----------
    values : (..., H, W)
        All of its bands together, so that their colour is kept; NaN and infinity take no part.
    mask : (H, W)
        What is measured; None, or True nowhere: all of it.

    Returns
    -------
    The second is above the first; 0 and 1 where there is no value.
    """
    seen = values if mask is None or not mask.any() else values[..., mask]
    seen = seen[np.isfinite(seen)]
    if not seen.size:
        return 0.0, 1.0
    low, high = np.percentile(seen, STRETCH)
    return float(low), float(high if high > low else low + 1)


def stretched(values: NDArray[np.floating[Any]], limits: tuple[float, float]) -> NDArray[np.uint8]:
    """(H, W, 3) picture of (3, H, W) values between the limits of `stretch`; NaN is black."""
    low, high = limits
    scaled: NDArray[np.floating[Any]] = values - low
    scaled[np.isnan(scaled)] = 0
    scaled *= 255 / (high - low)
    picture: NDArray[np.uint8] = np.rint(scaled.clip(0, 255, out=scaled)).astype(np.uint8)
    return np.moveaxis(picture, 0, -1)


def limits_of(cube: Cube, bands: tuple[int, int, int]) -> tuple[float, float]:
    """The `stretch` of the reflectance in three bands of a cube, over its mask if it has one."""
    down, across = (slice(None, None, -(-side // STRETCH_SAMPLE)) for side in cube.shape[1:])
    mask = None if cube.mask is None else cube.mask[down, across]
    return stretch(cube.reflectance(np.array(bands, np.intp), down, across), mask)


def composite(cube: Cube, bands: tuple[int, int, int], step: int = 1) -> NDArray[np.uint8]:
    """(H', W', 3) picture of three bands as red, green and blue, stretched alike (`stretch`).

    Parameters
    ----------
    bands
        Indices shown as red, green and blue.
    step
        Every so many rows and columns.
    """
    limits = limits_of(cube, bands)
    index = np.array(bands, dtype=np.intp)
    return picture_of(
        cube, index, step, lambda values: np.moveaxis(stretched(values, limits), -1, 0)
    )


def _good(bands: Bands, region: str) -> list[int]:
    own = ((i, band) for i, band in enumerate(bands) if not band.bad and not band.eye)
    return [i for i, band in own if band.region == region]


def _uv(bands: Bands) -> int | None:
    uv = _good(bands, "uv")
    if (nearest := bands.nearest(UV_NM)) in uv:
        return nearest
    return next((i for i in uv if bands[i].name == "UV_R"), uv[-1] if uv else None)
