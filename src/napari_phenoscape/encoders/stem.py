"""Stems: from C bands to what a backbone takes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from napari_phenoscape.cube import RGB_NM, Band
from napari_phenoscape.encoders import SpectralResponse
from napari_phenoscape.errors import BandMismatchError

#: Centres (nm) of the smooth basis that response curves are written in, and its width.
KNOTS_NM, WIDTH_NM = np.arange(300.0, 2501.0, 20.0), 20.0


class ResponseStem(nn.Module):
    """K response curves over wavelength, applied as a K x C matrix to the spectrum of each pixel.

    A curve is a sum of Gaussians on a fixed grid of wavelengths (every 20 nm), so it is smooth and
    belongs to no camera; the matrix is the curve at the bands' centres times the width of the
    bands (trapezoidal rule). It starts as K bell curves side by side over the bands' range.

    Parameters
    ----------
    option
        Number of curves; whether they are learned.
    bands
        C bands with wavelengths.

    Raises
    ------
    BandMismatchError
        A band has no wavelength.
    """

    curves: Tensor
    basis: Tensor

    def __init__(self, option: SpectralResponse, bands: tuple[Band, ...]) -> None:
        super().__init__()
        nameless = [band.name for band in bands if band.wavelength_nm is None]
        if nameless or len(bands) < 2:
            raise BandMismatchError(
                f"The stem 'spectral_response' needs at least two bands with a wavelength in nm; "
                f"{nameless[0] if nameless else bands[0].name!r} stands without. Use the stem "
                "'convolution' for these specimens."
            )
        centres = np.array([band.wavelength_nm for band in bands])
        order = np.argsort(centres)
        widths = np.empty_like(centres)
        widths[order] = np.abs(np.gradient(centres[order]))
        basis = np.exp(-0.5 * ((KNOTS_NM[:, None] - centres) / WIDTH_NM) ** 2)
        basis *= widths / basis.sum(axis=0)
        low, high = centres.min(), centres.max()
        peaks = np.linspace(low, high, option.curves + 2)[1:-1]
        spread = (high - low) / (option.curves + 1)
        curves = np.exp(-0.5 * ((KNOTS_NM - peaks[:, None]) / max(spread, WIDTH_NM)) ** 2)
        curves /= (curves @ basis).sum(axis=1, keepdims=True)
        self.register_buffer("basis", torch.tensor(basis, dtype=torch.float32))
        self.curves = nn.Parameter(
            torch.tensor(curves, dtype=torch.float32), requires_grad=option.learned
        )

    @property
    def matrix(self) -> Tensor:
        """(K, C) weight of every band in every plane."""
        return self.curves @ self.basis

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, K, H, W)."""
        return nn.functional.conv2d(x, self.matrix[:, :, None, None].to(x.dtype))


def widened(first: nn.Conv2d, bands: tuple[Band, ...] | None, planes: int, keep: bool) -> nn.Conv2d:
    """The first convolution of a backbone for another number of input planes.

    Parameters
    ----------
    first
        The convolution for R, G, B.
    bands
        What the planes are, to carry pretrained weights over by wavelength: a band takes the
        weights of the nearest of red, green and blue (by name where it has no wavelength, blue
        for UV), all scaled so that a grey image gives what it gave. None: no such meaning.
    planes
        Input planes of the new one.
    keep
        Carry weights over; else start anew.
    """
    wide = nn.Conv2d(
        planes,
        first.out_channels,
        kernel_size=first.kernel_size,  # type: ignore[arg-type]
        stride=first.stride,  # type: ignore[arg-type]
        padding=first.padding,  # type: ignore[arg-type]
        bias=first.bias is not None,
    )
    if keep:
        near = [_nearest(band) for band in bands] if bands else [i % 3 for i in range(planes)]
        with torch.no_grad():
            wide.weight.copy_(first.weight[:, near] * (3 / planes))
            if wide.bias is not None and first.bias is not None:
                wide.bias.copy_(first.bias)
    return wide


def _nearest(band: Band) -> int:
    """0, 1, 2: whichever of red, green and blue is nearest."""
    if band.wavelength_nm is not None:
        return int(np.argmin(np.abs(np.array(RGB_NM) - band.wavelength_nm)))
    if band.name in "RGB":
        return "RGB".index(band.name)
    return 0 if band.region in ("nir", "swir") else 2
