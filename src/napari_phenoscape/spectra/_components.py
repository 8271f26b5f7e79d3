"""Principal components of a cube's spectra, from some of its pixels, shown in all of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cubes import Cube
from napari_phenoscape.errors import BandMismatchError, CubeError
from napari_phenoscape.spectra._blocks import picture_of
from napari_phenoscape.spectra._composites import stretch

#: Pixels at most that the components are computed from.
SAMPLE = 20_000


@dataclass(frozen=True, eq=False)
class Components:
    """The first principal components of spectra.

    Parameters
    ----------
    bands : (n,)
        Indices of the bands that take part.
    mean : (n,)
        Mean reflectance of these bands.
    axes : (3, n)
        Unit vectors; the component of a spectrum is ``axes @ (spectrum - mean)``. The largest
        number of each is positive, so that the same cube gives the same picture.
    share : (3,)
        Of the variance, 0-1.
    limits : (3, 2)
        The `stretch` of each component.
    """

    bands: NDArray[np.intp]
    mean: NDArray[np.float64]
    axes: NDArray[np.float64]
    share: NDArray[np.float64]
    limits: NDArray[np.float64]


def principal_components(cube: Cube) -> Components:
    """First three principal components of the reflectance, from at most 20 000 pixels.

    The pixels lie on a grid over the mask (or all of the cube). Bands that the file flags, that
    are unmeasured in half of them, take no part, nor do pixels with an unmeasured band.

    Raises
    ------
    BandMismatchError
        Fewer than three bands.
    CubeError
        Fewer than four pixels were measured.
    """
    spectra, bands = _sample(cube)
    mean = spectra.mean(1)
    values, vectors = np.linalg.eigh(np.cov(spectra))
    order = np.argsort(values)[::-1][:3]
    axes = vectors[:, order].T
    largest = np.abs(axes).argmax(1)
    axes = axes * np.where(axes[np.arange(3), largest] < 0, -1, 1)[:, None]
    total = max(float(values.sum()), np.finfo(float).tiny)
    limits = np.array([stretch(score) for score in axes @ (spectra - mean[:, None])])
    return Components(bands, mean, axes, values[order].clip(0) / total, limits)


def components_picture(cube: Cube, components: Components, step: int = 1) -> NDArray[np.uint8]:
    """(H', W', 3) picture of the three components as red, green and blue, each stretched alone.

    Parameters
    ----------
    step
        Every so many rows and columns.
    """
    scale = 255 / np.ptp(components.limits, axis=1)
    weights = (components.axes * scale[:, None]).astype(np.float32)
    # what stands for black, with the mean: one product and one sum per pixel
    shift = (components.axes @ components.mean + components.limits[:, 0]) * scale

    def colours(spectra: NDArray[np.float32]) -> NDArray[Any]:
        score = np.tensordot(weights, spectra, 1) - shift[:, None, None].astype(np.float32)
        shown: NDArray[Any] = np.nan_to_num(score).round().clip(0, 255)
        return shown

    return picture_of(cube, components.bands, step, colours)


def _sample(cube: Cube) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    """(n, pixels) reflectance, and the n bands."""
    good = np.flatnonzero(cube.bands.good)
    rows, columns = slice(0, cube.shape[1]), slice(0, cube.shape[2])
    if cube.mask is not None and cube.mask.any():
        down, along = (np.flatnonzero(cube.mask.any(axis=axis)) for axis in (1, 0))
        rows, columns = (slice(int(on[0]), int(on[-1]) + 1) for on in (down, along))
    area = (rows.stop - rows.start) * (columns.stop - columns.start)
    step = max(1, round((area / SAMPLE) ** 0.5))
    rows, columns = (slice(part.start, part.stop, step) for part in (rows, columns))
    values = cube.reflectance(good, rows, columns).astype(np.float64)
    values = values.reshape(len(good), -1)
    if cube.mask is not None and (inside := cube.mask[rows, columns].ravel()).any():
        values = values[:, inside]
    known = np.isfinite(values)
    usable = known.mean(1) > 0.5
    if usable.sum() < 3:
        raise BandMismatchError(
            f"Of '{cube.path.name}', {usable.sum()} of {len(cube.bands)} bands can be used; "
            "principal components need three. Choose another picture."
        )
    values = values[usable][:, known[usable].all(0)]
    if values.shape[1] < 4:
        raise CubeError(
            f"Of '{cube.path.name}', {values.shape[1]} of {known.shape[1]} pixels were measured in "
            "every band; principal components need four. Choose another picture."
        )
    return values, good[usable]
