"""Composites: three bands as red, green and blue, and which three."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cubes import Cube, as_modality, nearest_band
from napari_phenoscape.errors import BandMismatchError
from napari_phenoscape.spectra._blocks import picture_of

#: Shares of the pixels, in per cent, that a composite shows as black and as white.
STRETCH = (1.0, 99.0)

#: Pixels a side that the stretch is measured on.
STRETCH_SAMPLE = 256

#: Where insects and UV-sensitive birds are most sensitive in the UV (Endler & Mielke 2005).
UV_NM = 365.0

#: Where leaves are brightest and silicon still sees well.
NIR_NM = 800.0


def composite(cube: Cube, bands: tuple[int, int, int], step: int = 1) -> NDArray[np.uint8]:
    """(H', W', 3) picture of three bands as red, green and blue.

    Reflectance is stretched linearly between the 1st and the 99th percentile of the three bands
    together (over the mask when there is one), so their colour is kept. What was not measured is
    black.

    Parameters
    ----------
    bands
        Indices shown as red, green and blue.
    step
        Every so many rows and columns.
    """
    index = np.array(bands, dtype=np.intp)
    low, high = stretch(cube, index)

    def colours(values: NDArray[np.float32]) -> NDArray[np.float32]:
        values[np.isnan(values)] = low
        values -= low
        values *= 255 / (high - low)
        np.clip(values, 0, 255, out=values)
        return np.rint(values, out=values)

    return picture_of(cube, index, step, colours)


def rgb_bands(cube: Cube) -> tuple[int, int, int]:
    """Indices shown as red, green and blue.

    The visible colours; where there are none, the bands that the file proposes, else the last,
    middle and first band (long waves red, as in colour infrared).
    """
    try:
        return _visible(cube)
    except BandMismatchError:
        last = len(cube.bands) - 1
        return cube.rgb_bands or (last, last // 2, 0)


def false_colour_bands(cube: Cube) -> tuple[int, int, int]:
    """Indices of green, blue and UV, which UV false colour shows as red, green and blue [1]_.

    UV is the band nearest to 365 nm; of a UV camera's three, the red one, where the filters of a
    converted sensor pass most.

    Raises
    ------
    BandMismatchError
        The cube lacks the visible colours, or the UV.

    References
    ----------
    .. [1] Troscianko & Stevens 2015, micaToolbox. https://doi.org/10.1111/2041-210X.12439
    """
    _, green, blue = _visible(cube)
    return green, blue, _uv(cube)


def yellow_blue_bands(cube: Cube) -> tuple[int, int, int]:
    """Blue, blue and UV: what reflects short waves but no UV is yellow, UV alone is blue [1]_.

    The band of UV is that of `false_colour_bands`.

    Raises
    ------
    BandMismatchError
        The cube lacks the visible colours, or the UV.

    References
    ----------
    .. [1] https://www.empiricalimaging.com/knowledge-base/creating-presentation-images
    """
    blue = _visible(cube)[2]
    return blue, blue, _uv(cube)


def infrared_bands(cube: Cube) -> tuple[int, int, int]:
    """Near infrared (nearest to 800 nm), red and green, as colour infrared film shows them.

    Raises
    ------
    BandMismatchError
        The cube lacks the visible colours, or the near infrared.
    """
    red, green, _ = _visible(cube)
    nir = as_modality("nir").indices(cube)
    centres = [cube.bands[band].wavelength_nm for band in nir]
    distance = [0.0 if centre is None else abs(centre - NIR_NM) for centre in centres]
    return int(nir[int(np.argmin(distance))]), red, green


def rgb_composite(cube: Cube, step: int = 1) -> NDArray[np.uint8]:
    """(H', W', 3) picture of `rgb_bands`."""
    return composite(cube, rgb_bands(cube), step)


def false_colour(cube: Cube, step: int = 1) -> NDArray[np.uint8]:
    """(H', W', 3) picture of `false_colour_bands`: UV is seen as blue."""
    return composite(cube, false_colour_bands(cube), step)


def _visible(cube: Cube) -> tuple[int, int, int]:
    red, green, blue = (int(band) for band in as_modality("rgb").indices(cube))
    return red, green, blue


def _uv(cube: Cube) -> int:
    uv = [int(band) for band in as_modality("uv").indices(cube)]
    names = [cube.bands[band].name for band in uv]
    nearest = nearest_band(cube, UV_NM)
    if nearest is None or nearest not in uv:
        nearest = uv[names.index("UV_R")] if "UV_R" in names else uv[-1]
    return nearest


def stretch(cube: Cube, bands: NDArray[np.intp]) -> tuple[float, float]:
    """Reflectance shown as black and as white: percentiles of these bands together."""
    down, across = (slice(None, None, -(-side // STRETCH_SAMPLE)) for side in cube.shape[1:])
    values = cube.reflectance(bands, down, across)
    if cube.mask is not None and cube.mask[down, across].any():
        values = values[:, cube.mask[down, across]]
    values = values[np.isfinite(values)]
    if not values.size:
        return 0.0, 1.0
    low, high = np.percentile(values, STRETCH)
    return float(low), float(high if high > low else low + 1)
