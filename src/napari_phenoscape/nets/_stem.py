"""Stems: from reflectance in C bands to the standardised planes that a backbone takes."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torch.nn.functional import conv2d

from napari_phenoscape.cubes import RGB_NM, Band, Bands

#: A band that varies less than this share of the most variable one is not blown up to match it.
LEAST_STD = 0.01


class Stem(nn.Module):
    """(N, C, h, w) reflectance -> (N, K, h, w) planes, mean 0 and standard deviation about 1.

    Parameters
    ----------
    planes
        What each plane shows, in the words of a band: its name, wavelength and region.
    """

    def __init__(self, planes: Bands) -> None:
        super().__init__()
        self.planes = planes

    def kernels(self) -> NDArray[np.float64]:
        """(3, K) shares by which pretrained kernels for R, G, B become kernels for the planes."""
        return rgb_mixing(self.planes)


class Mix(Stem):
    """A stem that is linear in the bands, so that they can be mixed before they are warped."""

    def matrix(self) -> Tensor:
        """(K, C) weights: plane = matrix @ reflectance - offset."""
        raise NotImplementedError

    def offset(self) -> Tensor:
        """(K,) the constant."""
        raise NotImplementedError

    def forward(self, images: Tensor) -> Tensor:
        # the mean is subtracted inside: in bf16 a difference of sums would lose it
        return conv2d(images, self.matrix()[:, :, None, None], -self.offset())


class Standardised(Stem):
    """The bands themselves, each standardised over the collection: (x - mean) / std."""

    mean: Tensor
    std: Tensor

    def __init__(self, bands: Bands, mean: ArrayLike, std: ArrayLike) -> None:
        super().__init__(bands)
        # (C,) -> (C, 1, 1)
        self.register_buffer("mean", as_tensor(mean)[:, None, None])
        self.register_buffer("std", floored(as_tensor(std))[:, None, None])

    def forward(self, images: Tensor) -> Tensor:
        return (images - self.mean) / self.std


class BandMix(Mix):
    """K learned mixtures of the standardised bands; a 1×1 convolution.

    Weights begin random, so that planes of bands that vary alike, or apart, vary by about 1.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, bands: Bands, mean: ArrayLike, std: ArrayLike, planes: int) -> None:
        super().__init__(Bands(Band(f"mix {k + 1}") for k in range(planes)))
        self.register_buffer("mean", as_tensor(mean))  # (C,)
        self.register_buffer("std", floored(as_tensor(std)))  # (C,)
        self.weight = nn.Parameter(torch.randn(planes, len(bands)) / len(bands) ** 0.5)

    def matrix(self) -> Tensor:
        return self.weight / self.std

    def offset(self) -> Tensor:
        return self.matrix() @ self.mean


class BandGates(Standardised):
    """Standardised bands, each times a gate in 0..2 that the image's own mean spectrum sets [1]_.

    gates = 2 σ(W₂ relu(W₁ s)), where s is the mean over the pixels; all begin at 1.

    References
    ----------
    .. [1] Hu et al. 2018, Squeeze-and-excitation networks, section 3.
       https://arxiv.org/abs/1709.01507
    """

    def __init__(self, bands: Bands, mean: ArrayLike, std: ArrayLike, reduction: int) -> None:
        super().__init__(bands, mean, std)
        hidden = max(1, len(bands) // reduction)
        self.squeeze = nn.Linear(len(bands), hidden)
        self.excite = nn.Linear(hidden, len(bands))
        nn.init.zeros_(self.excite.weight)
        nn.init.zeros_(self.excite.bias)

    def gates(self, bands: Tensor) -> Tensor:
        """(N, C) of (N, C, h, w) standardised bands."""
        hidden = self.squeeze(bands.mean((2, 3))).relu()
        gates: Tensor = 2 * self.excite(hidden).sigmoid()
        return gates

    def forward(self, images: Tensor) -> Tensor:
        bands = super().forward(images)
        return bands * self.gates(bands)[:, :, None, None]


def rgb_mixing(bands: Bands) -> NDArray[np.float64]:
    """(3, C) shares by which kernels for R, G, B become kernels for other bands.

    A visible band gets the kernel of its wavelength (by its name, R, G or B, when it has none),
    interpolated between red, green and blue; any other band gets their mean. Rows sum to 1, so a
    grey image gives what it gave in RGB; for R, G, B it is the identity.
    """
    names = ["R", "G", "B"]
    shares = np.zeros((3, len(bands)))
    visible = np.zeros(len(bands), dtype=bool)
    for i, band in enumerate(bands):
        if band.role in names:
            shares[names.index(band.role), i] = 1
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


def floored(std: Tensor) -> Tensor:
    """(C,) spreads, none of them below a hundredth of the largest."""
    return std.clamp(min=max(1e-6, LEAST_STD * float(std.max())))


def as_tensor(numbers: ArrayLike) -> Tensor:
    """The same numbers in float32."""
    return torch.as_tensor(np.asarray(numbers), dtype=torch.float32)
