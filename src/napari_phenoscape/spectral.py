"""Pure maths on cubes: composites for the eye, mean spectra; in blocks, never a whole cube."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cube import Cube, as_modality, nearest_band
from napari_phenoscape.errors import BandMismatchError, CubeError

#: Largest block that is in memory at a time, in numbers (float32: 64 MB).
BLOCK = 16 << 20

#: Shares of the pixels, in per cent, that a composite shows as black and as white.
STRETCH = (1.0, 99.0)

#: Pixels a side that the stretch is measured on.
STRETCH_SAMPLE = 512

#: Where insects and UV-sensitive birds are most sensitive in the UV (Endler & Mielke 2005).
UV_NM = 365.0


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
    rows, columns = cube.shape[1:]
    index = np.array(bands, dtype=np.intp)
    low, high = _stretch(cube, index)
    picture = np.empty((len(range(0, rows, step)), len(range(0, columns, step)), 3), np.uint8)
    at_once = max(1, BLOCK // (3 * picture.shape[1]))
    across = slice(None, None, step)
    for start in range(0, len(picture), at_once):
        block = picture[start : start + at_once]
        down = slice(start * step, (start + len(block) - 1) * step + 1, step)
        values = cube.reflectance(index, down, across)
        values[np.isnan(values)] = low
        values -= low
        values *= 255 / (high - low)
        np.clip(values, 0, 255, out=values)
        block[:] = np.moveaxis(np.rint(values, out=values), 0, -1)
    return picture


def rgb_bands(cube: Cube) -> tuple[int, int, int]:
    """Indices shown as red, green and blue.

    The visible colours; where there are none, the bands that the file proposes, else the last,
    middle and first band (long waves red, as in colour infrared).
    """
    try:
        red, green, blue = (int(band) for band in as_modality("rgb").indices(cube))
    except BandMismatchError:
        last = len(cube.bands) - 1
        return cube.rgb_bands or (last, last // 2, 0)
    return red, green, blue


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
    _, green, blue = (int(band) for band in as_modality("rgb").indices(cube))
    uv = [int(band) for band in as_modality("uv").indices(cube)]
    names = [cube.bands[band].name for band in uv]
    nearest = nearest_band(cube, UV_NM)
    if nearest is None or nearest not in uv:
        nearest = uv[names.index("UV_R")] if "UV_R" in names else uv[-1]
    return green, blue, nearest


def rgb_composite(cube: Cube, step: int = 1) -> NDArray[np.uint8]:
    """(H', W', 3) picture of `rgb_bands`."""
    return composite(cube, rgb_bands(cube), step)


def false_colour(cube: Cube, step: int = 1) -> NDArray[np.uint8]:
    """(H', W', 3) picture of `false_colour_bands`: UV is seen as blue."""
    return composite(cube, false_colour_bands(cube), step)


def mean_spectrum(
    cube: Cube, mask: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of the reflectance over a region.

    Parameters
    ----------
    mask : (H, W)
        True on the region.

    Returns
    -------
    mean, sd : (C,)
        Over the pixels where each band was measured; NaN where it was nowhere. ``sd`` is that of
        the population.

    Raises
    ------
    CubeError
        The mask has another size, or marks no pixel.
    """
    if mask.shape != cube.shape[1:]:
        raise CubeError(
            f"The mask has {mask.shape} pixels, '{cube.path.name}' {cube.shape[1:]}; the same size "
            "was expected. Draw it on the cube itself."
        )
    if not mask.any():
        raise CubeError(f"The mask on '{cube.path.name}' marks no pixel. Draw a region first.")
    count = np.zeros(cube.shape[0])
    mean, squares = np.zeros_like(count), np.zeros_like(count)
    for rows, columns in _blocks(cube, mask):
        values = cube.reflectance(rows=rows, columns=columns)[:, mask[rows, columns]]
        values = values.astype(np.float64)
        measured = np.isfinite(values)
        number = measured.sum(axis=1)
        some = np.maximum(number, 1)
        centre = np.where(measured, values, 0).sum(axis=1) / some
        spread = (np.where(measured, values - centre[:, None], 0) ** 2).sum(axis=1)
        # Chan, Golub & LeVeque 1983: squares about the joint mean, without cancellation
        total = np.maximum(count + number, 1)
        squares += spread + (centre - mean) ** 2 * count * number / total
        mean += (centre - mean) * number / total
        count += number
    nowhere = count == 0
    mean[nowhere] = squares[nowhere] = np.nan
    return mean, np.sqrt(squares / np.maximum(count, 1))


def _stretch(cube: Cube, bands: NDArray[np.intp]) -> tuple[float, float]:
    """Reflectance shown as black and as white."""
    down, across = (slice(None, None, -(-side // STRETCH_SAMPLE)) for side in cube.shape[1:])
    values = cube.reflectance(bands, down, across)
    if cube.mask is not None and cube.mask[down, across].any():
        values = values[:, cube.mask[down, across]]
    values = values[np.isfinite(values)]
    if not values.size:
        return 0.0, 1.0
    low, high = np.percentile(values, STRETCH)
    return float(low), float(high if high > low else low + 1)


def _blocks(cube: Cube, mask: NDArray[np.bool_]) -> Iterator[tuple[slice, slice]]:
    """Row blocks of the mask's bounding box, small enough for the memory; empty ones left out."""
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    across = slice(int(columns[0]), int(columns[-1]) + 1)
    at_once = max(1, BLOCK // (cube.shape[0] * (across.stop - across.start)))
    end = int(rows[-1]) + 1
    for start in range(int(rows[0]), end, at_once):
        down = slice(start, min(start + at_once, end))
        if mask[down, across].any():
            yield down, across
