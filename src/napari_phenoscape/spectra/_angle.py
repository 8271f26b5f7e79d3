"""Spectral angle: how alike in shape each pixel's spectrum is to a reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cubes import Band, Bands, Cube
from napari_phenoscape.errors import BandMismatchError
from napari_phenoscape.spectra._blocks import OfSpectra, as_reflectance


def spectral_angle(cube: Cube, references: Sequence[tuple[str, NDArray[np.float64]]]) -> Cube:
    """Angle in radians between each spectrum and references [1]_: 0 = the same shape.

    Brightness has no part in it. The angle is over the bands that pixel and reference both have
    and that the file does not flag; NaN where these are fewer than two, or all 0.

    Parameters
    ----------
    references
        A name, and (C,) reflectance at the cube's bands (NaN = none), of each of K.

    Returns
    -------
    K bands, named after the references.

    Raises
    ------
    BandMismatchError
        A reference has no two bands in common with the cube.

    References
    ----------
    .. [1] Kruse et al. 1993, SAM. https://doi.org/10.1016/0034-4257(93)90013-N
    """
    good = cube.bands.good
    for name, reference in references:
        if (common := int((np.isfinite(reference) & good).sum())) < 2:
            raise BandMismatchError(
                f"'{name}' shares {common} of the {len(good)} bands of '{cube.path.name}'; an "
                "angle needs two. Choose a spectrum of the same wavelengths."
            )
    targets = [np.where(good, reference, np.nan) for _, reference in references]
    array = OfSpectra(
        cube, len(targets), lambda x: np.stack([_angle(x, target) for target in targets])
    )
    bands = Bands(Band(name) for name, _ in references)
    return replace(as_reflectance(cube, array), bands=bands)


def _angle(x: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """(rows, columns) angles of (C, rows, columns) spectra to (C,)."""
    taken = np.isfinite(target)
    x, target = x[taken], target[taken]
    known = np.isfinite(x)
    if known.all():
        both, length = np.tensordot(target, x, 1), np.full(x.shape[1:], np.linalg.norm(target))
        number = np.full(x.shape[1:], len(x))
    else:
        x = np.where(known, x, 0)
        both = np.tensordot(target, x, 1)
        length = np.sqrt(np.tensordot(target**2, known.astype(np.float64), 1))
        number = known.sum(0)
    lengths = length * np.sqrt(np.einsum("cyx,cyx->yx", x, x))
    usable = (number >= 2) & (lengths > 0)
    cosine = np.divide(both, lengths, out=np.full(both.shape, np.nan), where=usable)
    angle: NDArray[np.float64] = np.arccos(cosine.clip(-1, 1))
    return angle
