"""Photometric operations: what light and camera do to the values of a pixel.

Values are reflectance: 1 is a perfect white, glossy specimens exceed it, nothing is clamped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from napari_phenoscape._device import index
from napari_phenoscape.views._colour import BandContext, blocks
from napari_phenoscape.views._operation import Operation, between
from napari_phenoscape.views._rows import active_rows, column

if TYPE_CHECKING:
    from torch import Tensor


class Photometric(Operation):
    """Base: changes the spectrum of each pixel, before the warp.

    A new one needs its `apply`, or its `gain`. What else is here says what it does not do, and so
    makes it faster.
    """

    #: Whether a picture g times as bright comes out g times as bright.
    is_homogeneous: ClassVar[bool] = False
    #: Whether it asks for the ``mask``; if `is_affine`, for no more than the mean spectrum in it.
    sees_specimen: ClassVar[bool] = True

    def gain(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N,) factor common to all bands; applied once, after the warp."""
        return np.ones(len(u))

    @property
    def changes_pixels(self) -> bool:
        """Whether there is more to it than its `gain`."""
        return True

    def is_affine(self, context: BandContext) -> bool:
        """Whether each new spectrum is A x + b of the old one, A and b alike for all pixels."""
        return False

    def commutes(self, context: BandContext) -> bool:
        return not self.changes_pixels or self.is_affine(context)

    def check(self, context: BandContext) -> None:
        """Raise BandMismatchError when it means nothing for these bands."""

    def apply(
        self, image: Tensor, mask: Tensor, u: NDArray[np.float64], context: BandContext
    ) -> Tensor:
        """(N, C, H, W) reflectance, changed; the given one may be overwritten.

        Parameters
        ----------
        image : (N, C, H, W)
            Its `gain` is applied elsewhere. Of any H and W: it may be given a few spectra.
        mask : (N, 1, H, W)
            1 on the specimen, 0 beside it.
        u : (N, draws)
            Uniform numbers in [0, 1).
        context
            What is known of the bands.
        """
        raise NotImplementedError


class Linear(Photometric):
    """Base of what multiplies each pixel's spectrum with a matrix, whatever the specimen."""

    is_homogeneous: ClassVar[bool] = True
    sees_specimen: ClassVar[bool] = False

    def is_affine(self, context: BandContext) -> bool:
        return True


class ColorJitter(Photometric):
    """Exposure, contrast, saturation and hue, in this order (Kornia's ColorJitter).

    Brightness is one gain for all bands, so the shape of the spectrum stays. Contrast stretches
    about the specimen's mean grey, that of visible light where there is any. Saturation moves each
    colour from (0) or away from (> 1) its grey. Hue turns R, G, B and UV_R, UV_G, UV_B on the
    colour circle; a spectrum moves along the wavelength axis instead, 300 nm to a turn.

    Source: Chen et al. 2020, SimCLR, appendix A; kornia.enhance.
    """

    invariance: ClassVar[str] = (
        "Photographs of one specimen differ in exposure (brightness), haze (contrast) and, if you "
        "say so, colour (saturation, hue)."
    )
    draws: ClassVar[int] = 4
    is_homogeneous: ClassVar[bool] = True

    kind: Literal["ColorJitter"] = "ColorJitter"
    p: float = Field(1.0, ge=0, le=1, description="share of the views that it changes")
    brightness: float = Field(
        0.25,
        ge=0,
        le=1,
        description="gain common to all bands, 1 ± this",
        json_schema_extra={"step": 0.05},
    )
    contrast: float = Field(
        0.0, ge=0, le=1, description="contrast, 1 ± this", json_schema_extra={"step": 0.05}
    )
    saturation: float = Field(
        0.0, ge=0, le=1, description="saturation, 1 ± this", json_schema_extra={"step": 0.05}
    )
    hue: float = Field(
        0.0,
        ge=0,
        le=0.5,
        description="± this share of the colour circle",
        json_schema_extra={"step": 0.01},
    )

    def factors(self, u: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
        """(N,) brightness, contrast, saturation (factors) and hue (turns)."""
        strengths = (self.brightness, self.contrast, self.saturation)
        about_one = (between(u[:, i], 1 - s, 1 + s) for i, s in enumerate(strengths))
        return (*about_one, between(u[:, 3], -self.hue, self.hue))

    def gain(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        return self.factors(u)[0]

    @property
    def changes_pixels(self) -> bool:
        return bool(self.contrast or self.saturation or self.hue)

    def is_affine(self, context: BandContext) -> bool:
        return not (self.hue and any(part.triplet for part in context.colours))

    def apply(
        self, image: Tensor, mask: Tensor, u: NDArray[np.float64], context: BandContext
    ) -> Tensor:
        import torch

        _, contrast, saturation, turns = self.factors(u)
        parts = context.colours
        if self.contrast:
            luminance = torch.cat([parts[0].greys[0].of(block) for block in blocks(image)], dim=2)
            # row by row: the order of a sum must not depend on the number of threads
            area = mask.sum((2, 3), keepdim=True).clamp_min(1)
            mean = (luminance * mask).sum(3, keepdim=True).sum(2, keepdim=True) / area
            factor = column(contrast, image)
            image.mul_(factor).add_(mean * (1 - factor))
        factor = column(saturation, image)
        for block in blocks(image) if self.saturation or self.hue else ():
            for part in parts:
                for grey in part.greys if self.saturation else ():
                    own = index(grey.bands, block.device)
                    block[:, own] = block[:, own] * factor + grey.of(block) * (1 - factor)
                if self.hue:
                    own = index(part.bands, block.device)
                    block[:, own] = part.turn(block[:, own], turns)
        return image

    def warning(self) -> str:
        if self.p and (self.hue > 0.02 or self.saturation > 0.2):
            return (
                f"ColorJitter (saturation {self.saturation:g}, hue {self.hue:g}) teaches the net "
                "to ignore colour; specimens that differ only in colour will not be told apart."
            )
        return ""


class RandomGrayscale(Linear):
    """Every band of a colour takes the colour's grey value (Kornia's RandomGrayscale).

    R, G, B become luminance, UV_R, UV_G, UV_B their mean; of a spectrum the visible bands become
    their luminance, those of UV and of infrared their mean. So the spectrum is flat in each region,
    and the pattern of light and dark stays in each.

    Source: Chen et al. 2020, SimCLR, appendix A; kornia.color.rgb_to_grayscale.
    """

    invariance: ClassVar[str] = "The pattern of light and dark matters, colour does not."

    kind: Literal["RandomGrayscale"] = "RandomGrayscale"
    p: float = Field(0.1, ge=0, le=1, description="share of the views that it changes")

    def apply(
        self, image: Tensor, mask: Tensor, u: NDArray[np.float64], context: BandContext
    ) -> Tensor:
        for block in blocks(image):
            for grey in (grey for part in context.colours for grey in part.greys):
                block[:, index(grey.bands, block.device)] = grey.of(block)
        return image

    def warning(self) -> str:
        if self.p:
            return (
                f"RandomGrayscale removes colour from {self.p:.0%} of the views; specimens that "
                "differ only in colour will not be told apart."
            )
        return ""


class RandomPosterize(Photometric):
    """Reflectance in few steps (Kornia's RandomPosterize).

    Values are cut down to multiples of 2**(8 - bits) / 255; the steps go on above 1. At 8 bits
    nothing changes.

    Source: Cubuk et al. 2019, AutoAugment; kornia.enhance.posterize.
    """

    invariance: ClassVar[str] = "Fine steps of light do not matter, coarse ones do."
    draws: ClassVar[int] = 1

    kind: Literal["RandomPosterize"] = "RandomPosterize"
    bits_low: int = Field(3, ge=1, le=8, description="fewest bits")
    bits_high: int = Field(8, ge=1, le=8, description="most bits; 8 = unchanged")

    @model_validator(mode="after")
    def _bits_rise(self) -> RandomPosterize:
        if self.bits_low > self.bits_high:
            raise ValueError(f"bits_low {self.bits_low} is above bits_high {self.bits_high}.")
        return self

    def bits(self, u: NDArray[np.float64]) -> NDArray[np.int64]:
        """(N,) whole numbers of bits."""
        return np.floor(between(u[:, 0], self.bits_low, self.bits_high + 1)).astype(np.int64)

    def apply(
        self, image: Tensor, mask: Tensor, u: NDArray[np.float64], context: BandContext
    ) -> Tensor:
        bits = self.bits(u)
        for rows, some in active_rows(bits < 8, image):
            step = 2.0 ** (8 - bits[rows])
            some.mul_(column(255 / step, some)).floor_().mul_(column(step / 255, some))
        return image

    def warning(self) -> str:
        if self.p and self.bits_low < 8:
            steps = 2**self.bits_low
            return (
                f"RandomPosterize leaves as few as {steps} levels of reflectance, {1 / steps:.2g} "
                "apart; smaller differences, which a 16-bit picture shows, are lost."
            )
        return ""
