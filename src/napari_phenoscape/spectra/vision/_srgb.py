"""True colour: what a person would see by daylight, on a screen."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cubes import Cube
from napari_phenoscape.errors import BandMismatchError
from napari_phenoscape.spectra._blocks import picture_of
from napari_phenoscape.spectra.vision._curves import standard_table
from napari_phenoscape.spectra.vision._quadrature import quadrature, steps_nm

#: A cube that sees less of any of the three colour-matching functions is refused: 400-700 nm sees
#: 99 %, and from 430 nm on blue begins to turn into something else.
SHARE = 0.9

#: x and y of the red, green and blue of sRGB [IEC 61966-2-1:1999, table 1].
PRIMARIES = np.array([[0.64, 0.33], [0.30, 0.60], [0.15, 0.06]])


def true_colour(cube: Cube, step: int = 1, white: float = 1.0) -> NDArray[np.uint8]:
    """(H', W', 3) picture of a cube as a person would see it by daylight, in sRGB.

    The observer is that of CIE 1931 (2°), the light D65 [1]_, the screen IEC 61966-2-1 [2]_. A
    perfect white is (255, 255, 255) and a grey of 18 % (118, 118, 118), whatever ends of the
    spectrum the cube misses. Colours that a screen cannot show are cut to those that it can. What
    was not measured is black.

    Parameters
    ----------
    step
        Every so many rows and columns.
    white
        The reflectance that is shown as white; lower for dark specimens.

    Raises
    ------
    BandMismatchError
        The bands have no wavelengths, or see less than 90 % of a colour-matching function.

    References
    ----------
    .. [1] CIE 015:2018, Colorimetry. https://doi.org/10.25039/TR.015.2018
    .. [2] IEC 61966-2-1:1999, sRGB.
    """
    weights = srgb_weights(cube) / white
    used = np.flatnonzero(weights.any(axis=0))
    weights = weights[:, used].astype(np.float32)

    def colours(spectra: NDArray[np.float32]) -> NDArray[np.floating[Any]]:
        with np.errstate(invalid="ignore"):  # infinite less infinite: not measured
            linear = np.tensordot(weights, spectra, axes=1)
        return (255 * srgb_encoded(linear)).round()

    return picture_of(cube, used, step, colours)


def srgb_weights(cube: Cube) -> NDArray[np.float64]:
    """(3, C) weights that turn reflectance into linear red, green and blue.

    Raises
    ------
    BandMismatchError
        As `true_colour`.
    """
    observer, daylight = standard_table("cie_1931_2_degree"), standard_table("d65")
    nm = steps_nm(observer.wavelengths_nm[0], observer.wavelengths_nm[-1])
    integrals = quadrature(cube, nm, observer.at(nm) * daylight.at(nm))
    if (integrals.share < SHARE).any():
        missing = int(integrals.share.argmin())
        raise BandMismatchError(
            f"'{cube.path.name}' ({cube.bands.span}) sees "
            f"{integrals.share[missing]:.0%} of the colour-matching function "
            f"{observer.names[missing]}; at least {SHARE:.0%} of each was expected, with bands no "
            "more than 30 nm apart from about 420 to 650 nm. Show three of its bands instead."
        )
    # Y of white is 1; each of X, Y, Z is scaled by what was seen of it, so that white stays white
    xyz_of_white = integrals.whole / integrals.whole[1]
    xyz = integrals.weights / integrals.seen[:, None] * xyz_of_white[:, None]
    x, y = PRIMARIES.T
    primaries = np.array([x / y, np.ones(3), (1 - x - y) / y])
    primaries *= np.linalg.solve(primaries, xyz_of_white)  # together they are white
    return np.linalg.solve(primaries, xyz)


def srgb_encoded(linear: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """Values of sRGB, 0-1, of linear light (IEC 61966-2-1); what is not a number becomes 0."""
    light = np.nan_to_num(linear, nan=0).clip(0, 1)
    curve: NDArray[np.floating[Any]] = np.where(
        light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055
    )
    return curve
