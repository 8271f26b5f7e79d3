"""Descriptor: colour and texture of a specimen in numbers that nobody has to train."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from napari_phenoscape._device import together
from napari_phenoscape.cubes import Bands
from napari_phenoscape.nets._readout import signed
from napari_phenoscape.nets._stem import Standardised

#: Standard deviations of the Gaussians, in pixels of the view.
SCALES_PX = (1.0, 2.0, 4.0)

#: Of the values of a map under the mask.
QUANTILES = (0.1, 0.5, 0.9)

#: Above so many bands, texture is described of the leading planes alone.
MANY_BANDS, LEADING_PLANES = 16, 8

#: Values of all maps that are worked on at once: on a processor they stay in its cache.
CHUNK_VALUES = 2**21
CHUNK_VALUES_ELSEWHERE = 2**27

#: Pixels of a specimen from which the leading planes are found.
PIXELS = 256


class Descriptor(nn.Module):
    """Value, edges and spots of every plane at three scales, summed up over the specimen.

    Planes are the standardised bands; above `MANY_BANDS` their leading principal components, and
    the mean and standard deviation of every band beside them. With G a Gaussian and m the mask, a
    plane x is smoothed by normalised convolution [1]_ ::

        u = A / B,  A = G * (m x),  B = G * m

    so that what lies outside the mask takes no part. Gradient (edges) and Laplacian (spots) follow
    by the quotient rule, ``u' = (A' - u B') / B`` and ``u'' = (A'' - 2 u' B' - u B'') / B``; both
    are 0 where a specimen is of one colour, at its outline too. Each map has its mean, standard
    deviation and 10, 50 and 90 % quantiles taken over the mask.

    Parameters
    ----------
    bands
        C, in the order of the images.
    mean, std : (C,)
        Reflectance over the specimens of the collection.

    References
    ----------
    .. [1] Knutsson & Westin 1993, Normalized and differential convolution, CVPR.
       https://doi.org/10.1109/CVPR.1993.341081
    """

    #: (K, C): planes from standardised bands, for many bands; see `lead`.
    components: Tensor | None

    def __init__(self, bands: Bands, mean: ArrayLike, std: ArrayLike) -> None:
        super().__init__()
        self.bands = bands
        self.standardised = Standardised(bands, mean, std)
        many = len(bands) > MANY_BANDS
        self.register_buffer("components", torch.eye(LEADING_PLANES, len(bands)) if many else None)

    @property
    def names(self) -> tuple[tuple[str, str, str], ...]:
        """D times what is described, e.g. ``("uv", "edges 2 px", "median")``, as `forward` does."""
        many = self.components is not None
        planes = (
            [f"plane {k + 1}" for k in range(LEADING_PLANES)]
            if many
            else [band.name for band in self.bands]
        )
        maps = ["value", *(f"{what} {s:g} px" for s in SCALES_PX for what in ("edges", "spots"))]
        sums = ["mean", "sd", *(f"{q:.0%}" for q in QUANTILES)]
        spectrum = [(band.name, "value", s) for s in sums[:2] for band in self.bands if many]
        return (*((p, m, s) for s in sums for m in maps for p in planes), *spectrum)

    @property
    def width(self) -> int:
        """D."""
        return len(self.names)

    def lead(self, scatter: Tensor) -> None:
        """Take the leading principal components of (C, C) `pixel_scatter` as planes."""
        values, vectors = np.linalg.eigh(scatter.double().cpu().numpy())
        order = np.argsort(values)[::-1][:LEADING_PLANES]
        # each of mean square 1 over the pixels, as a standardised band is
        rows = signed(vectors[:, order].T) / np.sqrt(np.maximum(values[order], 1e-12))[:, None]
        self.components = torch.from_numpy(rows).to(scatter.device, torch.float32)

    def pixel_scatter(self, images: Tensor, mask: Tensor) -> Tensor:
        """(C, C) mean products of standardised bands over some pixels of every specimen, summed."""
        if together(images.device):
            return self._scatter_together(images, mask)
        found = images.new_zeros(images.shape[1], images.shape[1])
        for image, own in zip(self.standardised(images), _somewhere(mask), strict=True):
            pixels = image[:, own[0]]
            pixels = pixels[:, :: -(-pixels.shape[1] // PIXELS)]
            found += pixels @ pixels.mT / pixels.shape[1]
        return found

    def _scatter_together(self, images: Tensor, mask: Tensor) -> Tensor:
        """The same without asking the device how many pixels a mask has."""
        size = max(1, CHUNK_VALUES_ELSEWHERE // images[0].numel())
        found = images.new_zeros(images.shape[1], images.shape[1])
        for image, own in zip(images.split(size), _somewhere(mask).split(size), strict=True):  # type: ignore[no-untyped-call]
            inside = own.flatten(2)
            every = (inside.sum(-1, keepdim=True) + PIXELS - 1).div(PIXELS, rounding_mode="floor")
            chosen = inside & ((inside.cumsum(-1) - 1) % every == 0)
            pixels = torch.where(chosen, self.standardised(image).flatten(2), 0)
            found += (pixels @ pixels.mT / chosen.sum(-1, keepdim=True)).sum(0)
        return found

    def forward(self, images: Tensor, mask: Tensor) -> Tensor:
        """(N, C, h, w) reflectance and (N, 1, h, w) bool -> (N, D).

        An empty mask stands for the whole picture.
        """
        if not torch.compiler.is_compiling():
            limit = CHUNK_VALUES if images.device.type == "cpu" else CHUNK_VALUES_ELSEWHERE
            together = max(1, limit // (len(self.names) * images.shape[-2] * images.shape[-1]))
            parts = zip(torch.split(images, together), torch.split(mask, together), strict=True)
            return torch.cat([self._described(*part) for part in parts])
        return self._described(images, mask)

    def _described(self, images: Tensor, mask: Tensor) -> Tensor:
        mask = _somewhere(mask)
        # 0 outside, whatever stands there, NaN too
        bands = torch.where(mask, self.standardised(images), 0)
        if self.components is None:
            return _summary(_maps(bands, mask), mask)
        planes = torch.einsum("kc,nchw->nkhw", self.components, bands)
        spectrum = torch.stack(_moments(bands.flatten(2), mask.flatten(2)), dim=1)
        return torch.cat([_summary(_maps(planes, mask), mask), spectrum.flatten(1)], dim=1)


def _somewhere(mask: Tensor) -> Tensor:
    return mask | ~mask.flatten(1).any(1)[:, None, None, None]


def _maps(planes: Tensor, mask: Tensor) -> Tensor:
    """(N, K, h, w) planes, 0 outside the mask -> (N, maps K, h, w): value, then by scale."""
    maps = [planes]
    weighted = torch.cat([planes, mask.to(planes.dtype)], dim=1)
    for sigma in SCALES_PX:
        rows, columns = (_blur(sigma, side, planes) for side in planes.shape[-2:])
        # (N, K + 1, h + 2, w + 2): a pixel more on every side, for the differences
        smooth = rows @ weighted @ columns.mT
        a, b = smooth[:, :-1], smooth[:, -1:]
        inside = b[..., 1:-1, 1:-1].clamp_min(1e-6)
        u = a[..., 1:-1, 1:-1] / inside
        squares, spots = torch.zeros_like(u), torch.zeros_like(u)
        for axis in (-2, -1):
            (a1, a2), (b1, b2) = _differences(a, axis), _differences(b, axis)
            slope = (a1 - u * b1) / inside
            squares += slope.square()
            spots += (a2 - 2 * slope * b1 - u * b2) / inside
        maps += [squares.sqrt(), spots]
    return torch.cat(maps, dim=1)


def _blur(sigma: float, side: int, like: Tensor) -> Tensor:
    """(side + 2, side) Gaussian by which a picture is multiplied, zeros around it.

    A product of matrices is 20 times faster than a convolution of one channel on a processor.
    """
    position = torch.arange(-1, side + 1, device=like.device, dtype=like.dtype)
    distance = position[:, None] - position[1:-1]
    gauss: Tensor = torch.exp(-0.5 * (distance / sigma) ** 2) / (sigma * (2 * torch.pi) ** 0.5)
    return gauss.masked_fill(distance.abs() > 4 * sigma, 0)


def _differences(padded: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """First and second central differences of (..., h + 2, w + 2) along an axis: (..., h, w)."""
    across = padded.narrow(-3 - axis, 1, padded.shape[-3 - axis] - 2)
    side = padded.shape[axis] - 2
    before, here, after = (across.narrow(axis, start, side) for start in (0, 1, 2))
    return (after - before) / 2, after - 2 * here + before


def _moments(values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of (N, M, P) under (N, 1, P): (N, M) each."""
    weights = (mask / mask.sum(-1, keepdim=True)).mT
    mean = values @ weights
    squares = (values - mean).square_() @ weights
    return mean[..., 0], squares.sqrt()[..., 0]


def _summary(maps: Tensor, mask: Tensor) -> Tensor:
    """(N, M, h, w) -> (N, 5 M): mean, standard deviation and quantiles over the mask."""
    values, mask = maps.flatten(2), mask.flatten(2)
    ranked = _sorted(torch.where(mask, values, torch.inf))
    last = mask.sum(-1, keepdim=True) - 1
    quantiles = []
    for quantile in QUANTILES:
        place = (quantile * last).expand(-1, maps.shape[1], -1)
        low, high = (ranked.gather(-1, at.long()) for at in (place.floor(), place.ceil()))
        quantiles.append(torch.lerp(low, high, place - place.floor())[..., 0])
    return torch.cat([*_moments(values, mask), *quantiles], dim=1)


def _sorted(values: Tensor) -> Tensor:
    if values.device.type == "cpu" and not torch.compiler.is_compiling():
        # 20 times faster than torch's
        return torch.from_numpy(np.sort(values.numpy(), axis=-1))
    return values.sort(dim=-1).values
