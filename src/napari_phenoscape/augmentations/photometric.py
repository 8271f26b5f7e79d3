"""Photometric operations: what light and camera do to the values of a pixel.

Values are reflectance: 1 is a perfect white, glossy specimens exceed it, nothing is clamped.

"Colour" has a meaning for any bands. Bands named R, G, B are one colour triplet, UV_R, UV_G, UV_B
another. The bands that remain (all of them in a spectral cube) are one *spectrum*: its grey is its
mean over the bands, and its hue shifts when every feature moves to another wavelength.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from napari_phenoscape.augmentations.operation import Operation, between
from napari_phenoscape.cube import Band

if TYPE_CHECKING:
    from torch import Tensor

#: Values of one picture that are worked on at once where copies of them are made.
BLOCK_VALUES = 2**18

#: A full turn of hue moves a spectrum by this much: the visible range, 400-700 nm.
HUE_TURN_NM = 300.0


@dataclass(frozen=True, eq=False)
class Colour:
    """Bands whose values together are one colour.

    Parameters
    ----------
    bands : (n,)
        Their positions on the C axis; a slice where they are neighbours.
    weights
        How much of each is in its grey value; None: all alike.
    wavelengths_nm : (n,) or None
        Of a spectrum; None for bands that have no hue, and for a triplet.
    triplet
        Whether they are red, green and blue, in this order.
    """

    bands: NDArray[np.intp] | slice
    weights: tuple[float, float, float] | None
    wavelengths_nm: NDArray[np.float64] | None
    triplet: bool

    def grey(self, values: Tensor) -> Tensor:
        """(N, 1, H, W) grey of the (N, n, H, W) values of this colour's bands."""
        if self.weights is None:
            return values.mean(1, keepdim=True)
        red, green, blue = (values[:, i : i + 1] * weight for i, weight in enumerate(self.weights))
        return red.add_(green).add_(blue)

    def turn(self, values: Tensor, turns: NDArray[np.float64]) -> Tensor:
        """(N, n, H, W) values whose hue is turned by (N,) ``turns`` of the colour circle."""
        from kornia.color import hsv_to_rgb, rgb_to_hsv

        if self.triplet:
            hsv = rgb_to_hsv(values)
            angles = values.new_tensor(turns * 2 * math.pi).view(-1, 1, 1)
            hsv[:, 0] = (hsv[:, 0] + angles) % (2 * math.pi)
            return hsv_to_rgb(hsv)
        if self.wavelengths_nm is None:
            return values
        return shifted(values, self.wavelengths_nm, turns * HUE_TURN_NM)


def shifted(values: Tensor, wavelengths_nm: NDArray[np.float64], nm: NDArray[np.float64]) -> Tensor:
    """(N, n, H, W) spectra whose features are moved by (N,) ``nm``; linear, flat at the ends."""
    import torch

    if len(wavelengths_nm) < 2:
        return values
    order = np.argsort(wavelengths_nm, kind="stable")
    centres = wavelengths_nm[order]
    moved = []
    for one, step in zip(values, nm, strict=True):
        places = np.interp(centres - step, centres, np.arange(len(centres)))
        below = np.minimum(places.astype(np.intp), len(centres) - 2)
        share = one.new_tensor(places - below).view(-1, 1, 1)
        new = one[order[below]] * (1 - share) + one[order[below + 1]] * share
        moved.append(new[np.argsort(order)])
    return torch.stack(moved)


def blocks(image: Tensor) -> Iterator[Tensor]:
    """Rows of (N, C, H, W) pictures, few enough for a processor's cache: no copy is a large one."""
    rows = max(1, BLOCK_VALUES // (image.shape[1] * image.shape[3]))
    yield from image.split(rows, dim=2)  # type: ignore[no-untyped-call]


@dataclass(frozen=True, eq=False)
class Scene:
    """What an operation may know of the C bands.

    Parameters
    ----------
    colours
        See `colours`.
    places : (C,)
        -1 at the shortest and 1 at the longest wavelength; where a band has none, all are in the
        order UV, visible, infrared and evenly spaced.
    wavelengths_nm : (C,) or None
        None unless every band has one.
    mean : (C,)
        Reflectance over the collection.
    """

    colours: tuple[Colour, ...]
    places: NDArray[np.float64]
    wavelengths_nm: NDArray[np.float64] | None
    mean: NDArray[np.float32]

    @classmethod
    def of(cls, bands: Sequence[Band], mean: NDArray[np.float32]) -> Scene:
        """The scene that these bands see."""
        centres = [band.wavelength_nm for band in bands if band.wavelength_nm is not None]
        nm = np.array(centres) if len(centres) == len(bands) else None
        order = np.argsort([_place(band) for band in bands], kind="stable")
        ranks = np.argsort(order).astype(np.float64)
        along = ranks if nm is None else nm
        span = np.ptp(along)
        places = 2 * (along - along.min()) / span - 1 if span else np.zeros(len(bands))
        return cls(colours(bands), places, nm, mean)


def _place(band: Band) -> float:
    """A sort key: nm, or the middle of what the band's name says."""
    if band.wavelength_nm is not None:
        return band.wavelength_nm
    known = {name: i for i, name in enumerate(("UV_B", "UV_G", "UV_R", "B", "G", "R"))}
    return known.get(band.name, len(known))


def colours(bands: Sequence[Band]) -> tuple[Colour, ...]:
    """The colour triplets among the bands, and one spectrum of those that remain."""
    names = [band.name for band in bands]
    found = []
    rest = list(range(len(bands)))
    # Rec. 601 luma for what the eye sees; no eye weighs the three UV bands
    for triplet, weights in (
        (("R", "G", "B"), (0.299, 0.587, 0.114)),
        (("UV_R", "UV_G", "UV_B"), None),
    ):
        if all(name in names for name in triplet):
            places = [names.index(name) for name in triplet]
            rest = [i for i in rest if i not in places]
            found.append(Colour(_neighbours(places), weights, None, triplet=True))
    if rest:
        centres = [bands[i].wavelength_nm for i in rest]
        known = np.array([c for c in centres if c is not None])
        has_hue = len(rest) > 1 and len(known) == len(rest)
        found.append(Colour(_neighbours(rest), None, known if has_hue else None, triplet=False))
    return tuple(found)


def _neighbours(places: list[int]) -> NDArray[np.intp] | slice:
    first, last = places[0], places[-1] + 1
    return slice(first, last) if places == list(range(first, last)) else np.array(places)


class Photometric(Operation):
    """Base: acts on each pixel's values, before the warp."""

    #: Does it do something else to a brighter picture?
    needs_exposure: ClassVar[bool] = False
    #: Does it ask what the specimen looks like on average?
    sees_specimen: ClassVar[bool] = False

    def gain(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N,) factor common to all bands; applied once, after the warp."""
        return np.ones(len(u))

    @property
    def changes_pixels(self) -> bool:
        """Whether there is more to it than a common factor."""
        return True

    def is_affine(self, scene: Scene) -> bool:
        """Whether each new spectrum is an affine function of the pixel's old one."""
        return True

    def check(self, scene: Scene) -> None:
        """Raise BandMismatchError when it means nothing for these bands."""

    def apply(self, image: Tensor, mask: Tensor, u: NDArray[np.float64], scene: Scene) -> None:
        """Change (N, C, H, W) reflectance in place; ``mask`` (N, 1, H, W) is the specimen."""
        raise NotImplementedError


class ColorJitter(Photometric):
    """Exposure, contrast, saturation and hue, in this order (Kornia's ColorJitter).

    Brightness is one gain for all bands, so the shape of the spectrum stays. Contrast stretches
    about the specimen's mean grey. Saturation moves each colour from (0) or away from (> 1) its
    grey. Hue turns R, G, B and UV_R, UV_G, UV_B on the colour circle; a spectrum moves along the
    wavelength axis instead, 300 nm to a turn.

    Source: Chen et al. 2020, SimCLR, appendix A; kornia.enhance.
    """

    invariance: ClassVar[str] = (
        "Photographs of one specimen differ in exposure (brightness), haze (contrast) and, if you "
        "say so, colour (saturation, hue)."
    )
    draws: ClassVar[int] = 4
    sees_specimen: ClassVar[bool] = True

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

    def is_affine(self, scene: Scene) -> bool:
        return not (self.hue and any(part.triplet for part in scene.colours))

    def apply(self, image: Tensor, mask: Tensor, u: NDArray[np.float64], scene: Scene) -> None:
        _, contrast, saturation, turns = self.factors(u)
        parts = scene.colours
        if self.contrast:
            grey = parts[0].grey(image[:, parts[0].bands])
            # row by row: the order of a sum must not depend on the number of threads
            area = mask.sum((2, 3), keepdim=True).clamp_min(1)
            mean = (grey * mask).sum(3, keepdim=True).sum(2, keepdim=True) / area
            factor = image.new_tensor(contrast).view(-1, 1, 1, 1)
            image.mul_(factor).add_(mean * (1 - factor))
        if not (self.saturation or self.hue):
            return
        factor = image.new_tensor(saturation).view(-1, 1, 1, 1)
        for block in blocks(image):
            for part in parts:
                values = block[:, part.bands]
                if self.saturation:
                    values = values * factor + part.grey(values) * (1 - factor)
                if self.hue:
                    values = part.turn(values, turns)
                block[:, part.bands] = values

    def warning(self) -> str:
        if self.p and (self.hue > 0.02 or self.saturation > 0.2):
            return (
                f"ColorJitter (saturation {self.saturation:g}, hue {self.hue:g}) teaches the net "
                "to ignore colour; specimens that differ only in colour will not be told apart."
            )
        return ""


class RandomGrayscale(Photometric):
    """Every band of a colour takes the colour's grey value (Kornia's RandomGrayscale).

    R, G, B become luminance, UV_R, UV_G, UV_B their mean, a spectrum its mean over the bands: the
    spectrum is flat, the pattern of light and dark stays.

    Source: Chen et al. 2020, SimCLR, appendix A; kornia.color.rgb_to_grayscale.
    """

    invariance: ClassVar[str] = "The pattern of light and dark matters, colour does not."

    kind: Literal["RandomGrayscale"] = "RandomGrayscale"
    p: float = Field(0.1, ge=0, le=1, description="share of the views that it changes")

    def apply(self, image: Tensor, mask: Tensor, u: NDArray[np.float64], scene: Scene) -> None:
        for part in scene.colours:
            image[:, part.bands] = part.grey(image[:, part.bands])

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
    needs_exposure: ClassVar[bool] = True
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

    def is_affine(self, scene: Scene) -> bool:
        return False

    def apply(self, image: Tensor, mask: Tensor, u: NDArray[np.float64], scene: Scene) -> None:
        for one, bits in zip(image, self.bits(u), strict=True):
            if bits < 8:
                step = float(2 ** (8 - bits))
                one.mul_(255 / step).floor_().mul_(step / 255)

    def warning(self) -> str:
        if self.p and self.bits_low < 8:
            steps = 2**self.bits_low
            return (
                f"RandomPosterize leaves as few as {steps} levels of reflectance, {1 / steps:.2g} "
                "apart; smaller differences, which a 16-bit picture shows, are lost."
            )
        return ""
