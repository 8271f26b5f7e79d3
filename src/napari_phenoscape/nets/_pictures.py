"""Pictures: what a net that knows red, green and blue is shown of any bands, three at a time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cubes import RGB_NM, Bands
from napari_phenoscape.spectra import false_colour_bands, infrared_bands

#: Above so many bands, a picture shows means over windows of the spectrum.
FEW_BANDS = 16

#: Windows that many bands are cut into.
WINDOWS = 9

#: A band within so many nm of a plane's centre shows it.
REACH_NM = 15.0


def pictures_of(bands: Bands) -> NDArray[np.float64]:
    """(T, 3, C) shares of C bands in the red, green and blue of T pictures; each row sums to 1.

    Up to 16 bands: the visible colours; UV false colour, and colour infrared, where there are such
    bands; then the bands that none of these shows, from long waves to short, three to a picture,
    the last one repeated to fill it up. One band alone is a grey picture.

    More bands are cut into nine windows of the spectrum, as many bands in each to within one. The
    windows are taken three apart: long waves are red, middle ones green and short ones blue in each
    of three pictures, so that each shows the whole spectrum and no band is left out.
    """
    if len(bands) > FEW_BANDS:
        from_long = np.arange(WINDOWS)[::-1].reshape(3, -1)
        return windows_of(bands, WINDOWS)[from_long.T]
    shown = [bands.visible, false_colour_bands(bands), infrared_bands(bands)]
    triplets = [list(three) for three in shown if three is not None]
    seen = {band for three in triplets for band in three}
    rest = [band for band in bands.rising[::-1].tolist() if band not in seen]
    triplets += [(rest[at : at + 3] + rest[-1:] * 2)[:3] for at in range(0, len(rest), 3)]
    pictures: NDArray[np.float64] = np.eye(len(bands))[np.array(triplets)]
    return pictures


def starts_with_a_photograph(bands: Bands) -> bool:
    """Whether the first of `pictures_of` is red, green and blue that are known by name."""
    return len(bands) <= FEW_BANDS and bands.visible is not None and {*"RGB"} <= {*bands.roles}


def windows_of(bands: Bands, number: int) -> NDArray[np.float64]:
    """(P, C) shares of C bands in means over windows, from short waves to long; at most so many.

    As many bands in each to within one; no more bands than that stay as they are.
    """
    ranks = bands.rising.argsort()
    parts = np.array_split(np.arange(len(bands)), min(number, len(bands)))
    inside = np.array([np.isin(ranks, part) for part in parts])
    shares: NDArray[np.float64] = inside / inside.sum(1, keepdims=True)
    return shares


def centres_of(bands: Bands) -> NDArray[np.float64]:
    """(C,) nm; red, green and blue that have only names lie at 640, 550 and 460; else NaN."""
    named = dict(zip("RGB", RGB_NM, strict=True))
    return np.array([band.wavelength_nm or named.get(band.role, np.nan) for band in bands])


def planes_at(
    bands: Bands, centres_nm: Sequence[float], widths_nm: Sequence[float]
) -> NDArray[np.float64]:
    """(P, C) shares of C bands in P planes of another camera; zeros for what no band sees.

    A plane is the mean of the bands within its width, or within 15 nm of its centre; see
    `centres_of`.
    """
    reach = np.maximum(np.asarray(widths_nm) / 2, REACH_NM)[:, None]
    inside = np.abs(centres_of(bands) - np.asarray(centres_nm)[:, None]) <= reach
    shares: NDArray[np.float64] = inside / np.maximum(inside.sum(1, keepdims=True), 1)
    return shares
