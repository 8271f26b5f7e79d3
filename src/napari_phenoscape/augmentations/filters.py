"""Filters: what lens and sensor do to the finished view: focus and noise."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from napari_phenoscape.augmentations.operation import (
    NotNegativeInterval,
    Operation,
    PositiveInterval,
    between,
)

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from napari_phenoscape.augmentations.colour import Scene


class Filter(Operation):
    """Base: acts on the neighbourhood of each pixel of the view, band by band."""

    #: Does a pixel depend on its neighbours?
    mixes_pixels: ClassVar[bool] = True

    def apply(
        self,
        view: Tensor,
        u: NDArray[np.float64],
        first_band: int,
        unit: Tensor,
        noise: torch.Generator,
    ) -> None:
        """Change (N, n, H, W) bands of the views in place, ``first_band`` being the first of them.

        ``unit`` says what `unit` says of these bands, (n,), or, where the bands are mixes of
        others, (n, n) such that it times n independent numbers is distributed as their mix.
        ``noise`` is a generator to be seeded here; nothing else draws from it.
        """
        raise NotImplementedError

    def unit(self, scene: Scene) -> NDArray[np.float32]:
        """(C,) reflectance that strength 1 stands for in each band."""
        return scene.mean


class RandomGaussianBlur(Filter):
    """A picture out of focus (Kornia's RandomGaussianBlur).

    The kernel reaches three times the largest sigma; the border is mirrored.

    Source: Chen et al. 2020, SimCLR, appendix A; kornia.filters.gaussian_blur2d.
    """

    invariance: ClassVar[str] = "Sharp or slightly out of focus, it is the same specimen."
    draws: ClassVar[int] = 1

    kind: Literal["RandomGaussianBlur"] = "RandomGaussianBlur"
    sigma: PositiveInterval = Field(
        (0.1, 1.0), description="standard deviation in pixels of the view"
    )

    def sigmas(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N,) pixels."""
        return between(u[:, 0], *self.sigma)

    @property
    def radius(self) -> int:
        """Pixels of the kernel on each side of its centre."""
        return math.ceil(3 * self.sigma[1])

    def apply(
        self,
        view: Tensor,
        u: NDArray[np.float64],
        first_band: int,
        unit: Tensor,
        noise: torch.Generator,
    ) -> None:
        import torch
        from torch.nn.functional import pad

        size = view.shape[-1]
        reach = min(self.radius, size - 1)
        # by hand: this runs for every few bands, and Kornia's takes longer than the blur itself
        heights = np.exp(-0.5 * (np.arange(reach + 1) / self.sigmas(u)[:, None]) ** 2)
        heights /= heights[:, :1] + 2 * heights[:, 1:].sum(1, keepdims=True)
        kernels = view.new_tensor(heights)[:, :, None, None, None]
        # a sum of shifted pictures stays in the cache, and its bits do not depend on the batch
        for axis in (3, 2):
            border = (reach, reach, 0, 0) if axis == 3 else (0, 0, reach, reach)
            if view.requires_grad:
                # torch keeps what it pads for the gradient, which must not be written over
                wide = pad(view.clone(), border, mode="reflect")
                view.copy_(wide.narrow(axis, reach, size)).mul_(kernels[:, 0])
            else:
                wide = pad(view, border, mode="reflect")
                torch.mul(wide.narrow(axis, reach, size), kernels[:, 0], out=view)
            for shift in range(1, reach + 1):
                pair = wide.narrow(axis, reach - shift, size) + wide.narrow(
                    axis, reach + shift, size
                )
                view.addcmul_(pair, kernels[:, shift])


class RandomSharpness(Filter):
    """Edges softened (factor below 1) or enhanced (above 1) (Kornia's RandomSharpness).

    The view is blended with, or drawn away from, a copy smoothed by a 3x3 kernel (5 at the centre,
    1 around it, over 13); the outermost pixels stay. Nothing is clamped.

    Source: Cubuk et al. 2019, AutoAugment; kornia.enhance.sharpness.
    """

    invariance: ClassVar[str] = "The camera's sharpening does not matter."
    draws: ClassVar[int] = 1

    kind: Literal["RandomSharpness"] = "RandomSharpness"
    sharpness: NotNegativeInterval = Field(
        (0.5, 1.5), description="0 = smoothed, 1 = unchanged, 2 = as much again"
    )

    def factors(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N,) unitless."""
        return between(u[:, 0], *self.sharpness)

    def apply(
        self,
        view: Tensor,
        u: NDArray[np.float64],
        first_band: int,
        unit: Tensor,
        noise: torch.Generator,
    ) -> None:
        rows = view[:, :, :-2] + view[:, :, 1:-1]
        rows += view[:, :, 2:]
        smooth = rows[..., :-2] + rows[..., 1:-1]
        smooth += rows[..., 2:]
        inner = view[:, :, 1:-1, 1:-1]
        factor = view.new_tensor(self.factors(u)).view(-1, 1, 1, 1)
        # (box + 4 centre) / 13 is the smoothed copy
        smooth *= (1 - factor) / 13
        inner *= factor + (1 - factor) * 4 / 13
        inner += smooth


class RandomGaussianNoise(Filter):
    """Independent normal noise at each pixel and band (Kornia's RandomGaussianNoise).

    Its level is relative to the mean of the band over the collection, so it is the same for
    reflectance as for a camera's raw numbers, and a dark band is not drowned.
    """

    invariance: ClassVar[str] = "The sensor's noise does not matter."
    draws: ClassVar[int] = 2
    mixes_pixels: ClassVar[bool] = False

    kind: Literal["RandomGaussianNoise"] = "RandomGaussianNoise"
    std: NotNegativeInterval = Field(
        (0.0, 0.05), description="standard deviation over the band's mean; drawn for each view"
    )

    def levels(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N,) standard deviations over the bands' means."""
        return between(u[:, 0], *self.std)

    def apply(
        self,
        view: Tensor,
        u: NDArray[np.float64],
        first_band: int,
        unit: Tensor,
        noise: torch.Generator,
    ) -> None:
        import torch

        seeds = (u[:, 1] * 2.0**53).astype(np.int64) + first_band
        drawn = torch.empty(view.shape[1:])
        for i, (level, seed) in enumerate(zip(self.levels(u), seeds, strict=True)):
            noise.manual_seed(int(seed))
            one = drawn.normal_(0, float(level), generator=noise).to(view.device)
            if unit.ndim == 1:
                view[i].addcmul_(one, unit[:, None, None])
            else:
                # copied: what is kept for the gradient must not be drawn over
                view[i] += (unit @ one.flatten(1).clone()).view(one.shape)
