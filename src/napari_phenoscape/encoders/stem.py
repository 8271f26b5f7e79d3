"""Stems: from reflectance in C bands to the standardised planes that a backbone takes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torch.nn.functional import conv2d

from napari_phenoscape.cube import RGB_NM, Band
from napari_phenoscape.encoders import SpectralResponse
from napari_phenoscape.errors import BandMismatchError

#: A band that varies less than this share of the most variable one is not blown up to match it.
LEAST_STD = 0.01

#: The first and the last band speak for so many nm beyond their centres.
MARGIN_NM = 10.0

#: Distance in nm of the spline's knots: no curve is narrower than about this.
KNOT_NM = 10.0


class Stem(Protocol):
    """(N, C, h, w) reflectance -> (N, planes, h, w), mean 0 and standard deviation about 1."""

    #: What each plane shows, in the words of a band: its name, wavelength and region.
    planes: tuple[Band, ...]

    def __call__(self, images: Tensor, /) -> Tensor: ...


class Standardised(nn.Module):
    """The bands themselves, each standardised over the collection: (x - mean) / std."""

    mean: Tensor
    std: Tensor

    def __init__(self, bands: Sequence[Band], mean: ArrayLike, std: ArrayLike) -> None:
        super().__init__()
        self.planes = tuple(bands)
        # (C,) -> (C, 1, 1)
        self.register_buffer("mean", _tensor(mean)[:, None, None])
        self.register_buffer("std", _floored(_tensor(std))[:, None, None])

    def forward(self, images: Tensor) -> Tensor:
        return (images - self.mean) / self.std


class ResponseCurves(nn.Module):
    """K smooth curves over wavelength, each integrated with the spectrum of every pixel.

    Plane k is ``∫ s_k(λ) (x(λ) - mean(λ)) dλ / scale_k``: x(λ) is the pixel's spectrum, linear
    between the bands' centres; s_k is a cubic B-spline with learned coefficients that begins as a
    bell of unit area; mean is the mean spectrum of the collection. Nothing that is learned or
    kept knows the bands, so the same state serves the bands of another camera. Wavelengths that a
    camera does not see count as the mean.

    Parameters
    ----------
    option
        How many curves, and where.
    bands
        C bands, each with a wavelength, in any order.
    mean, std : (C,)
        Reflectance of the collection. Replaced when a state is loaded.

    Raises
    ------
    BandMismatchError
        A band has no wavelength, or one outside the curves' range.
    """

    spectrum: Tensor
    scale: Tensor
    basis: Tensor
    sampling: Tensor

    def __init__(
        self, option: SpectralResponse, bands: Sequence[Band], mean: ArrayLike, std: ArrayLike
    ) -> None:
        super().__init__()
        centres = _centres(bands, option)
        grid = np.arange(option.range_nm[0], option.range_nm[1] + 1)  # 1 nm apart
        seen = (grid >= centres.min() - MARGIN_NM) & (grid <= centres.max() + MARGIN_NM)
        bells_nm = np.linspace(grid[seen].min(), grid[seen].max(), option.curves)
        # neighbours cross at 0.6 of their height
        sd = max(KNOT_NM, (bells_nm[1] - bells_nm[0]) / 2)
        knots, basis = _splines(grid)
        bells = np.exp(-0.5 * ((knots - bells_nm[:, None]) / sd) ** 2)
        bells /= (bells @ basis[:, seen]).sum(1, keepdims=True)
        self.planes = tuple(Band(f"{nm:.0f} nm", float(nm)) for nm in bells_nm)

        sampling = _interpolation(grid, centres)  # (G, C)
        self.coefficients = nn.Parameter(_tensor(bells), requires_grad=option.learned)  # (K, B)
        self.register_buffer("spectrum", _tensor(sampling @ np.asarray(mean)))  # (G,)
        # the standard deviation if neighbouring bands rise and fall together, as in smooth spectra
        matrix = bells @ (basis * seen) @ sampling
        self.register_buffer("scale", _floored(_tensor(matrix @ np.asarray(std))))  # (K,)
        # these two follow from the bands and are not kept
        self.register_buffer("basis", _tensor(basis * seen), persistent=False)  # (B, G)
        self.register_buffer("sampling", _tensor((basis * seen) @ sampling), persistent=False)

    def matrix(self) -> Tensor:
        """(K, C) weights: plane = matrix @ reflectance, up to a constant."""
        return self.coefficients @ self.sampling / self.scale[:, None]

    def offset(self) -> Tensor:
        """(K,) the constant: plane = matrix @ reflectance - offset."""
        return self.coefficients @ (self.basis @ self.spectrum) / self.scale

    def forward(self, images: Tensor) -> Tensor:
        # the mean is subtracted inside: in bf16 a difference of sums would lose it
        return conv2d(images, self.matrix()[:, :, None, None], -self.offset())


def rgb_mixing(bands: Sequence[Band]) -> NDArray[np.float64]:
    """(3, C) shares by which kernels for R, G, B become kernels for other bands.

    A visible band gets the kernel of its wavelength (by its name, R, G or B, when it has none),
    interpolated between red, green and blue; any other band gets their mean. Rows sum to 1, so a
    grey image gives what it gave in RGB; for R, G, B it is the identity.
    """
    names = ["R", "G", "B"]
    shares = np.zeros((3, len(bands)))
    visible = np.zeros(len(bands), dtype=bool)
    for i, band in enumerate(bands):
        if band.name in names:
            shares[names.index(band.name), i] = 1
            visible[i] = True
        elif band.wavelength_nm is not None and band.region == "vis":
            for row, kernel in enumerate(np.eye(3)):
                # ascending: B, G, R
                shares[row, i] = np.interp(band.wavelength_nm, RGB_NM[::-1], kernel[::-1])
            visible[i] = True
    total = shares.sum(1, keepdims=True)
    # a colour that no band shows is spread over the visible ones
    shares = np.where(total > 0, shares, visible)
    shares /= np.maximum(shares.sum(1, keepdims=True), 1e-12)
    grey = ~visible / max(1, (~visible).sum())
    mixed: NDArray[np.float64] = visible.mean() * shares + (~visible).mean() * grey
    return mixed


def _centres(bands: Sequence[Band], option: SpectralResponse) -> NDArray[np.float64]:
    low, high = option.range_nm
    centres = []
    for band in bands:
        if band.wavelength_nm is None:
            raise BandMismatchError(
                f"The band '{band.name}' has no wavelength, which response curves over nm need. "
                "Choose the stem 'convolution', or give the cube wavelengths."
            )
        if not low <= band.wavelength_nm <= high:
            raise BandMismatchError(
                f"The band '{band.name}' ({band.wavelength_nm:g} nm) lies outside the response "
                f"curves' range of {low:g}-{high:g} nm. Widen the stem's 'range_nm', or choose a "
                "modality within it."
            )
        centres.append(band.wavelength_nm)
    return np.array(centres, dtype=np.float64)


def _interpolation(grid: NDArray[np.float64], centres: NDArray[np.float64]) -> NDArray[np.float64]:
    """(G, C) matrix of linear interpolation; bands of the same wavelength share its weight."""
    nm, index, counts = np.unique(centres, return_inverse=True, return_counts=True)
    hats = np.stack([np.interp(grid, nm, unit) for unit in np.eye(len(nm))], axis=1)
    matrix: NDArray[np.float64] = hats[:, index] / counts[index]
    return matrix


def _splines(grid: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Centres (B,) and values (B, G) of cubic B-splines over the grid, which sum to 1."""
    centres = np.arange(grid[0] - KNOT_NM, grid[-1] + 2 * KNOT_NM, KNOT_NM)
    t = np.abs(grid - centres[:, None]) / KNOT_NM
    basis = np.where(t < 1, 2 / 3 - t**2 + t**3 / 2, np.clip(2 - t, 0, None) ** 3 / 6)
    return centres, basis


def _floored(std: Tensor) -> Tensor:
    return std.clamp(min=max(1e-6, LEAST_STD * float(std.max())))


def _tensor(numbers: ArrayLike) -> Tensor:
    return torch.as_tensor(np.asarray(numbers), dtype=torch.float32)
