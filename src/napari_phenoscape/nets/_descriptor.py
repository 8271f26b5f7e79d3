"""Descriptor: colour and texture of a specimen in numbers that nobody has to train."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn.functional import pad

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

#: Pixels times D of the images that are worked on at once; on a processor, for each thread: few
#: enough to stay in its caches, and so many that waking the threads counts little.
CHUNK_VALUES = 2**23
CHUNK_VALUES_ELSEWHERE = 2**27

#: Pixels of a specimen from which the leading planes are found.
PIXELS = 256

#: What smooths rows of pixels, and what smooths columns; see `_blur`.
Blur = tuple[Tensor, Tensor]


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
        values, vectors = np.linalg.eigh(scatter.cpu().double().numpy())
        order = np.argsort(values)[::-1][:LEADING_PLANES]
        # each of mean square 1 over the pixels, as a standardised band is
        rows = signed(vectors[:, order].T) / np.sqrt(np.maximum(values[order], 1e-12))[:, None]
        assert self.components is not None  # of few bands, nobody asks
        self.components = torch.from_numpy(rows).to(self.components)

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
        height, width = images.shape[-2:]
        blurs = [(_blur(s, height, images), _blur(s, width, images)) for s in SCALES_PX]
        if torch.compiler.is_compiling():
            return self._described(images, mask, blurs)
        limit = CHUNK_VALUES_ELSEWHERE
        if images.device.type == "cpu":
            limit = CHUNK_VALUES * torch.get_num_threads()
        together = max(1, limit // (len(self.names) * height * width))
        parts = zip(torch.split(images, together), torch.split(mask, together), strict=True)
        return torch.cat([self._described(*part, blurs) for part in parts])

    def _described(self, images: Tensor, mask: Tensor, blurs: Sequence[Blur]) -> Tensor:
        mask = _somewhere(mask)
        # 0 outside, whatever stands there, NaN too
        bands = torch.where(mask, self.standardised(images), 0)
        if self.components is None:
            return _summary(*_maps(bands, mask, blurs))
        planes = torch.einsum("kc,nchw->nkhw", self.components, bands)
        spectrum = torch.stack(_moments(bands.flatten(2), mask.flatten(2)), dim=1)
        return torch.cat([_summary(*_maps(planes, mask, blurs)), spectrum.flatten(1)], dim=1)


def _somewhere(mask: Tensor) -> Tensor:
    return mask | ~mask.flatten(1).any(1)[:, None, None, None]


def _maps(planes: Tensor, mask: Tensor, blurs: Sequence[Blur]) -> tuple[Tensor, Tensor]:
    """(N, K, h, w) planes, 0 outside the mask -> (N, maps K, P): value, then by scale.

    And the (N, 1, P) mask: rows of pixels lie one after the other, with a pixel more on both sides
    that is outside, so that neighbours up, down, left and right are the same numbers, moved.
    """
    weighted = torch.cat([planes, mask.to(planes.dtype)], dim=1)
    height, width = planes.shape[-2], planes.shape[-1] + 2
    maps, inside = [pad(planes, (1, 1)).flatten(2)], pad(mask, (1, 1)).flatten(2)
    for rows, columns in blurs:
        # (N, K + 1, P): a row more above, and one below
        smooth = (rows @ weighted @ columns.mT).flatten(2)
        up, left, here, right, down = (
            smooth.narrow(-1, start, height * width)
            for start in (0, width - 1, width, width + 1, 2 * width)
        )
        a2, b2 = _apart((up + down).add_(left).add_(right).sub_(here, alpha=4))
        a, b = _apart(here)
        over = b.clamp_min(1e-6).reciprocal_()
        u = a * over
        squares, spots = torch.zeros_like(u), a2.addcmul_(u, b2, value=-1)
        for before, after in ((up, down), (left, right)):
            # 2 B u'
            a1, b1 = _apart(after - before)
            slope = a1.addcmul_(u, b1, value=-1)
            squares.addcmul_(slope, slope)
            spots.addcmul_(slope, b1 * over, value=-0.5)
        maps += [squares.sqrt_().mul_(over / 2), spots.mul_(over)]
    return torch.cat(maps, dim=1), inside


def _apart(smooth: Tensor) -> tuple[Tensor, Tensor]:
    """What is said of the planes, and of the mask, the last of (N, K + 1, P)."""
    return smooth[:, :-1], smooth[:, -1:]


def _blur(sigma: float, side: int, like: Tensor) -> Tensor:
    """(side + 2, side) Gaussian by which a picture is multiplied, zeros around it.

    A product of matrices is 20 times faster than a convolution of one channel on a processor.
    """
    position = torch.arange(-1, side + 1, device=like.device, dtype=like.dtype)
    distance = position[:, None] - position[1:-1]
    gauss: Tensor = torch.exp(-0.5 * (distance / sigma) ** 2) / (sigma * (2 * torch.pi) ** 0.5)
    return gauss.masked_fill(distance.abs() > 4 * sigma, 0)


def _moments(values: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of (N, M, P) under (N, 1, P): (N, M) each."""
    weights = (mask / mask.sum(-1, keepdim=True)).mT
    mean = values @ weights
    squares = (values - mean).square_() @ weights
    return mean[..., 0], squares.sqrt()[..., 0]


def _summary(values: Tensor, mask: Tensor) -> Tensor:
    """(N, M, P) -> (N, 5 M): mean, standard deviation and quantiles over the (N, 1, P) mask."""
    last = mask.sum(-1) - 1
    places = torch.cat([quantile * last for quantile in QUANTILES], dim=-1)
    below = places.floor()
    low, high = _ranked(values, mask, torch.cat([below, places.ceil()], dim=-1).long()).chunk(2, -1)
    quantiles = torch.lerp(low, high, (places - below)[:, None])
    return torch.cat([*_moments(values, mask), *quantiles.unbind(-1)], dim=1)


def _ranked(values: Tensor, mask: Tensor, places: Tensor) -> Tensor:
    """(N, M, Q): of the (N, M, P) values under the (N, 1, P) mask, those at (N, Q) places."""
    if values.device.type != "cpu" or torch.compiler.is_compiling():
        ranked = torch.where(mask, values, torch.inf).sort(dim=-1).values
        return ranked.gather(-1, places[:, None].expand(-1, values.shape[1], -1))

    rows = []
    for own, inside, at in zip(values.numpy(), mask.numpy(), places.numpy(), strict=True):
        found = own.compress(inside[0], axis=1)
        found.sort(axis=1)  # 20 times faster than torch's
        rows.append(found[:, at])
    return torch.from_numpy(np.stack(rows))
