"""Colour: what it means for any bands, and what operations may know of them.

Bands named R, G, B are one colour triplet, UV_R, UV_G, UV_B another. The bands that remain (all of
them in a spectral cube) are one *spectrum*. Its hue shifts when every feature moves to another
wavelength. It has a grey in each spectral region, as a camera for that region would see it: the
luminance of the CIE 1931 observer in visible light, the mean of the bands in UV and in infrared. So
a cube loses with its colour what its RGB and UV pictures would lose, and no more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape._device import index, placed, together
from napari_phenoscape.cubes import Bands
from napari_phenoscape.spectra import standard_table
from napari_phenoscape.views._rows import column

if TYPE_CHECKING:
    from torch import Tensor

BandIndex = NDArray[np.intp] | slice

#: Values of one picture that are worked on at once where copies of them are made.
BLOCK_VALUES = 2**18

#: A full turn of hue moves a spectrum by this much: the visible range, 400-700 nm.
HUE_TURN_NM = 300.0

#: Rec. 601 luma of red, green and blue.
LUMA = (0.299, 0.587, 0.114)


class Grey(NamedTuple):
    """Bands that share one grey.

    Parameters
    ----------
    bands : (n,)
        Their positions on the C axis; a slice where they are neighbours.
    weights : (n,)
        How much of each is in it; their sum is 1.
    """

    bands: BandIndex
    weights: NDArray[np.float64]

    def of(self, image: Tensor) -> Tensor:
        """(N, 1, H, W) grey of (N, C, H, W) pictures."""
        values = image[:, index(self.bands, image.device)]
        if len(self.weights) > len(LUMA):
            weights = placed(self.weights, values.device, values.dtype).view(-1, 1, 1)
            return (values * weights).sum(1, keepdim=True)
        total = values[:, :1] * float(self.weights[0])
        for band in range(1, len(self.weights)):  # of few, one by one is faster
            total.add_(values[:, band : band + 1], alpha=float(self.weights[band]))
        return total


@dataclass(frozen=True, eq=False)
class Colour:
    """Bands whose values together are one colour.

    Parameters
    ----------
    bands : (n,)
        Their positions on the C axis; a slice where they are neighbours.
    greys
        Of these bands, each of which is in one of them; that of visible light first.
    wavelengths_nm : (n,) or None
        Of a spectrum; None for bands that have no hue, and for a triplet.
    triplet
        Whether they are red, green and blue, in this order.
    """

    bands: BandIndex
    greys: tuple[Grey, ...]
    wavelengths_nm: NDArray[np.float64] | None
    triplet: bool

    def turn(self, values: Tensor, turns: NDArray[np.float64]) -> Tensor:
        """(N, n, H, W) values of its bands, their hue turned by (N,) of the colour circle."""
        if self.triplet:
            return turned(values, turns)
        if self.wavelengths_nm is None:
            return values
        return shifted(values, self.wavelengths_nm, turns * HUE_TURN_NM)


def turned(values: Tensor, turns: NDArray[np.float64]) -> Tensor:
    """(N, 3, H, W) reddish, greenish, bluish values, their hue turned by (N,) of the colour circle.

    Kornia's rgb_to_hsv and hsv_to_rgb, with the hue between them turned, at a quarter of the
    time: its hexagon is walked along without asking on which side one is.

    Source: Smith 1978, Color gamut transform pairs (HSV).
    """
    import torch

    if values.requires_grad:
        values = values.clone()  # to go back they are needed as they are, and will be overwritten
    high, low = values.amax(1), values.amin(1)
    chroma = high - low
    red, green, blue = ((values - low[:, None]) / chroma.clamp_min(1e-12)[:, None]).unbind(1)
    # 0 to 6: from red by green (2) and blue (4) to red again
    hue = torch.copysign(2 + red - green - blue, blue - green)
    hue = hue + column(6 * turns + 3, values)[:, 0]
    new = torch.empty_like(values)
    for i, full in enumerate((0, 2, 4)):
        away = hue - full
        away.sub_((away / 6).round_(), alpha=6).abs_()
        # a colour is full within 1 of its hue, and gone beyond 2
        new[:, i] = torch.addcmul(high, chroma, away.sub_(1).clamp_(0, 1), value=-1)
    return new


def shifted(
    values: Tensor, wavelengths_nm: NDArray[np.float64], shifts_nm: NDArray[np.float64]
) -> Tensor:
    """(N, n, H, W) spectra whose features are moved by (N,) nm; linear, flat at the ends."""
    if len(wavelengths_nm) < 2:
        return values
    order = np.argsort(wavelengths_nm, kind="stable")
    rising = wavelengths_nm[order]
    position = np.interp(rising - shifts_nm[:, None], rising, np.arange(len(rising)))
    # back in the order of the bands
    position = position[:, np.argsort(order)]
    below = np.minimum(position.astype(np.intp), len(rising) - 2)
    share = placed(position - below, values.device, values.dtype)[..., None, None]
    picture = placed(np.arange(len(values))[:, None], values.device)
    low, high = (placed(order[at], values.device) for at in (below, below + 1))
    moved: Tensor = values[picture, low] * (1 - share) + values[picture, high] * share
    return moved


def blocks(image: Tensor) -> Iterator[Tensor]:
    """Rows of (N, C, H, W) pictures, few enough for a processor's cache: no copy is a large one."""
    if together(image.device):
        yield image
        return
    rows = max(1, BLOCK_VALUES // (image.shape[1] * image.shape[3]))
    for first in range(0, image.shape[2], rows):
        yield image[:, :, first : first + rows]


@dataclass(frozen=True, eq=False)
class BandContext:
    """What an operation may know of the C bands of the pictures.

    Parameters
    ----------
    colours
        Which bands together are a colour: see `colours`.
    position : (C,)
        Along the spectrum: -1 at the shortest and 1 at the longest wavelength. Where a band has
        none, all are evenly spaced in the order UV, visible, infrared.
    wavelengths_nm : (C,) or None
        None unless every band has one.
    mean : (C,)
        Reflectance over the specimens of the collection.
    """

    colours: tuple[Colour, ...]
    position: NDArray[np.float64]
    wavelengths_nm: NDArray[np.float64] | None
    mean: NDArray[np.float32]

    @classmethod
    def of(cls, bands: Bands, mean: NDArray[np.float32]) -> BandContext:
        """Of these bands, and their ``mean`` reflectance."""
        nm = bands.wavelengths_nm
        along = np.argsort(bands.rising).astype(np.float64) if nm is None else nm
        span = np.ptp(along)
        position = 2 * (along - along.min()) / span - 1 if span else np.zeros(len(bands))
        return cls(colours(bands), position, nm, mean)


def colours(bands: Bands) -> tuple[Colour, ...]:
    """The colour triplets among the bands, and one spectrum of those that remain."""
    parts = []
    rest = list(range(len(bands)))
    # no eye weighs the three UV bands
    for triplet, weights in ((("R", "G", "B"), LUMA), (("UV_R", "UV_G", "UV_B"), (1 / 3,) * 3)):
        if all(name in bands.roles for name in triplet):
            numbers = [bands.roles.index(name) for name in triplet]
            rest = [i for i in rest if i not in numbers]
            grey = Grey(_band_index(numbers), np.array(weights))
            parts.append(Colour(grey.bands, (grey,), None, triplet=True))
    if rest:
        nm = bands.take(rest).wavelengths_nm
        if nm is None:
            mean = Grey(_band_index(rest), np.full(len(rest), 1 / len(rest)))
            parts.append(Colour(mean.bands, (mean,), None, triplet=False))
        else:
            greys = _greys(bands, rest, nm)
            parts.append(Colour(_band_index(rest), greys, nm, triplet=False))
    return tuple(parts)


def _greys(
    bands: Bands, numbers: list[int], wavelengths_nm: NDArray[np.float64]
) -> tuple[Grey, ...]:
    """One grey for each spectral region of these bands, that of visible light first."""
    regions = [bands[i].region for i in numbers]
    greys = []
    for region in sorted(set(regions), key=lambda name: (name != "vis", str(name))):
        among = [i for i, name in enumerate(regions) if name == region]
        weights = np.ones(len(among))
        if region == "vis":
            _, luminance, _ = standard_table("cie_1931_2_degree").at(wavelengths_nm[among])
            weights = luminance * _widths(wavelengths_nm[among])
        index = _band_index([numbers[i] for i in among])
        greys.append(Grey(index, weights / weights.sum()))
    return tuple(greys)


def _widths(wavelengths_nm: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) nm that each band stands for: half the way to its neighbours; never nothing."""
    order = np.argsort(wavelengths_nm, kind="stable")
    widths = np.ones(len(order))
    if len(order) > 1:
        widths[order] = np.gradient(wavelengths_nm[order]).clip(1e-6)
    return widths


def _band_index(numbers: list[int]) -> BandIndex:
    first, end = numbers[0], numbers[-1] + 1
    return slice(first, end) if numbers == list(range(first, end)) else np.array(numbers)
