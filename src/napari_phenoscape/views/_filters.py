"""Filters: what lens and sensor do to the finished view: focus and noise."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from napari_phenoscape._device import placed, staging, together
from napari_phenoscape.views._operation import (
    NotNegativeInterval,
    Operation,
    PositiveInterval,
    between,
)
from napari_phenoscape.views._rows import column

if TYPE_CHECKING:
    from torch import Generator, Tensor

    from napari_phenoscape.views._colour import BandContext

#: Normal numbers that are drawn from one seed, about: whole bands of a view.
SEED_VALUES = 2**19

#: Turns the gradient to what a filter made into that to what it took, (N, n, H, W), in place, and
#: returns that to the ``unit``, where it counts.
Backward = Callable[["Tensor"], "Tensor | None"]


class Filter(Operation):
    """Base: changes the finished view.

    A new one needs its `apply` only, which autograd follows where a gradient is wanted. It is given
    all bands, unmixed unless it says that it `commutes`.
    """

    #: Whether a pixel depends on its neighbours: background is then put in before it too.
    mixes_pixels: ClassVar[bool] = True

    def apply(self, view: Tensor, u: NDArray[np.float64], first_band: int, unit: Tensor) -> Tensor:
        """(N, n, H, W) bands of the views, changed; the given ones may be overwritten.

        Parameters
        ----------
        view : (N, n, H, W)
            Reflectance.
        u : (N, draws)
            Uniform numbers in [0, 1).
        first_band
            The number of the first of the n bands. Those of this module are given some at a time.
        unit : (n,) or (n, n)
            What `unit` says of these bands, or its mixes where bands are mixed. For noise of mixed
            bands a matrix, that gives independent numbers the covariance of the mixes.
        """
        raise NotImplementedError

    def apply_with_backward(self, view: Tensor, u: NDArray[np.float64], unit: Tensor) -> Backward:
        """`apply` to all bands, in place, and the way back of a gradient: autograd's."""
        import torch

        before = view.clone()
        view.copy_(self.apply(view, u, 0, unit))

        def backward(grad: Tensor) -> Tensor:
            leaves = before.detach().requires_grad_(), unit.detach().requires_grad_()
            with torch.enable_grad():
                after = self.apply(leaves[0].clone(), u, 0, leaves[1])
            to_view, to_unit = torch.autograd.grad(after, leaves, grad, materialize_grads=True)
            grad.copy_(to_view)
            return to_unit

        return backward

    def unit(self, context: BandContext) -> NDArray[np.float32]:
        """(C,) reflectance that strength 1 stands for in each band."""
        return context.mean


class LinearFilter(Filter):
    """Base of filters that do the same linear thing to each band, their gradient written out."""

    def commutes(self, context: BandContext) -> bool:
        return True

    def apply_with_backward(self, view: Tensor, u: NDArray[np.float64], unit: Tensor) -> Backward:
        self.apply(view, u, 0, unit)
        return partial(self.adjoint, u=u)

    def adjoint(self, grad: Tensor, u: NDArray[np.float64]) -> None:
        """Multiply a gradient in place, (N, n, H, W), with the transpose of what `apply` does."""
        raise NotImplementedError


class RandomGaussianBlur(LinearFilter):
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

    def apply(self, view: Tensor, u: NDArray[np.float64], first_band: int, unit: Tensor) -> Tensor:
        import torch
        from torch.nn.functional import pad

        size, heights = view.shape[-1], self._heights(view, u)
        reach = len(heights) - 1
        for axis in (3, 2):
            wide = pad(view, _both(axis, reach), mode="reflect")
            torch.mul(wide.narrow(axis, reach, size), heights[0], out=view)
            _add_sides(view, wide, heights, axis)
        return view

    def adjoint(self, grad: Tensor, u: NDArray[np.float64]) -> None:
        from torch.nn.functional import pad

        size, heights = grad.shape[-1], self._heights(grad, u)
        reach = len(heights) - 1
        for axis in (2, 3):
            wide = pad(grad, _both(axis, 2 * reach))
            spread = wide.narrow(axis, reach, size + 2 * reach) * heights[0]
            _add_sides(spread, wide, heights, axis)
            grad.copy_(spread.narrow(axis, reach, size))
            # what fell beside the picture goes to the pixels that stood there, mirrored
            for beside, onto in ((0, 1), (size + reach, size - 1 - reach)):
                grad.narrow(axis, onto, reach).add_(spread.narrow(axis, beside, reach).flip(axis))

    def _heights(self, view: Tensor, u: NDArray[np.float64]) -> Tensor:
        """(reach + 1, N, 1, 1, 1) of the kernel, from its centre outwards."""
        reach = min(self.radius, view.shape[-1] - 1)
        # by hand: this runs for every few bands, and Kornia's takes longer than the blur itself
        heights = np.exp(-0.5 * (np.arange(reach + 1) / self.sigmas(u)[:, None]) ** 2)
        heights /= heights[:, :1] + 2 * heights[:, 1:].sum(1, keepdims=True)
        return placed(heights.T, view.device, view.dtype)[:, :, None, None, None]


def _both(axis: int, width: int) -> tuple[int, int, int, int]:
    """Border on both sides of an axis, as torch's ``pad`` wants it."""
    return (width, width, 0, 0) if axis == 3 else (0, 0, width, width)


def _add_sides(view: Tensor, wide: Tensor, heights: Tensor, axis: int) -> None:
    """Add to (N, n, H, W) their neighbours, which ``wide`` holds on both sides.

    A sum of shifted pictures stays in the cache, and its bits do not depend on the batch.
    """
    reach, size = len(heights) - 1, view.shape[axis]
    for shift in range(1, reach + 1):
        pair = wide.narrow(axis, reach - shift, size) + wide.narrow(axis, reach + shift, size)
        view.addcmul_(pair, heights[shift])


class RandomSharpness(LinearFilter):
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

    def apply(self, view: Tensor, u: NDArray[np.float64], first_band: int, unit: Tensor) -> Tensor:
        inner = view[:, :, 1:-1, 1:-1]
        own, beside = self._weights(view, u)
        smooth = _box(view).mul_(beside)
        inner.mul_(own).add_(smooth)
        return view

    def adjoint(self, grad: Tensor, u: NDArray[np.float64]) -> None:
        from torch.nn.functional import pad

        inner = grad[:, :, 1:-1, 1:-1]
        own, beside = self._weights(grad, u)
        spread = _box(pad(inner * beside, (2, 2, 2, 2)))
        inner.mul_(own)
        grad.add_(spread)

    def _weights(self, view: Tensor, u: NDArray[np.float64]) -> tuple[Tensor, Tensor]:
        """(N, 1, 1, 1) weights of a pixel, and of the sum of the 3x3 around it."""
        factor = column(self.factors(u), view)
        return factor + (1 - factor) * 4 / 13, (1 - factor) / 13


def _box(view: Tensor) -> Tensor:
    """(..., H - 2, W - 2) sums over 3x3 pixels."""
    rows = view[..., :-2, :] + view[..., 1:-1, :]
    rows += view[..., 2:, :]
    sums = rows[..., :-2] + rows[..., 1:-1]
    sums += rows[..., 2:]
    return sums


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

    def commutes(self, context: BandContext) -> bool:
        """In distribution: noise of mixed bands has the covariance of the mix, in other numbers."""
        return True

    def apply(self, view: Tensor, u: NDArray[np.float64], first_band: int, unit: Tensor) -> Tensor:
        self._add(view, u, first_band, unit)
        return view

    def apply_with_backward(self, view: Tensor, u: NDArray[np.float64], unit: Tensor) -> Backward:
        import torch

        numbers, mixed = self._add(view, u, 0, unit), unit.ndim == 2

        def backward(grad: Tensor) -> Tensor | None:
            if not mixed:
                return None
            left, right = grad.flatten(2), numbers.to(grad.device).flatten(2).mT
            if together(grad.device):
                return (left @ right).sum(0)
            return torch.stack([one @ own for one, own in zip(left, right, strict=True)]).sum(0)

        return backward

    def _add(self, view: Tensor, u: NDArray[np.float64], first_band: int, unit: Tensor) -> Tensor:
        """Add it; return the independent numbers that were mixed, where they were."""
        import torch

        mixed, levels = unit.ndim == 2, self.levels(u).tolist()
        seeds = ((u[:, 1] * 2.0**53).astype(np.int64) + first_band).tolist()
        if together(view.device):
            drawn = staging(*view.shape)
            with ThreadPoolExecutor(os.cpu_count()) as threads:
                list(threads.map(draw_noise, drawn, levels, seeds))
            noise = placed(drawn, view.device, view.dtype)
            if mixed:
                view += (unit @ noise.flatten(2)).view_as(view)
            else:
                view.addcmul_(noise, unit[:, None, None])
            return noise
        # numbers that are not kept lie in the cache when the next ones overwrite them
        random = torch.Generator()
        everyone = torch.empty((len(view) if mixed else 1, *view.shape[1:]), dtype=view.dtype)
        for i, (level, seed) in enumerate(zip(levels, seeds, strict=True)):
            numbers = everyone[i if mixed else 0]
            draw_noise(numbers, level, seed, random)
            noise = numbers.to(view.device)
            if mixed:
                view[i] += (unit @ noise.flatten(1)).view(noise.shape)
            else:
                view[i].addcmul_(noise, unit[:, None, None])
        return everyone


def draw_noise(
    numbers: Tensor | NDArray[np.float32],
    level: float,
    seed: int,
    random: Generator | None = None,
) -> None:
    """Fill (n, H, W), on a processor, with normal numbers of a seed and those that follow it."""
    import torch

    random, step = random or torch.Generator(), bands_of_a_seed(numbers.shape[-1])
    numbers = torch.as_tensor(numbers)
    for band in range(0, len(numbers), step):
        random.manual_seed(seed + band)
        numbers[band : band + step].normal_(0, level, generator=random)


def bands_of_a_seed(size: int) -> int:
    """How many bands of a view are drawn from one seed; views are made in multiples of these."""
    return max(1, SEED_VALUES // size**2)
