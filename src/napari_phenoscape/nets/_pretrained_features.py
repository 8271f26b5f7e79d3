"""Pretrained features: what a net that was trained elsewhere sees in pictures of any bands."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torch.nn.functional import conv2d, interpolate

from napari_phenoscape.cubes import Bands
from napari_phenoscape.errors import BandMismatchError
from napari_phenoscape.nets._pictures import (
    centres_of,
    pictures_of,
    planes_at,
    starts_with_a_photograph,
    windows_of,
)
from napari_phenoscape.nets._pretrained import PRETRAINED, NetName, PretrainedNet
from napari_phenoscape.nets._stem import as_tensor, floored

#: Planes of a net that takes any: windows of the spectrum, of more bands.
MOST_PLANES = 24


def shown(name: NetName, bands: Bands) -> NDArray[np.float64]:
    """(T, P, C) shares of C bands in the planes of the T pictures that a net is shown.

    Three planes of a net that takes red, green and blue (`pictures_of`); else one picture of the
    planes that it was trained on (`planes_at`), or of the bands themselves.

    Raises
    ------
    BandMismatchError
        The net goes by wavelength, and bands have none, or none of its own.
    """
    known = PRETRAINED[name]
    if known.colours:
        return pictures_of(bands)
    if known.any_planes:
        shares = windows_of(bands, MOST_PLANES)
        if np.isnan(shares @ centres_of(bands)).any():
            raise BandMismatchError(
                f"'{name}' is told the wavelength of every plane, and some of these bands have "
                f"none ({bands.words}). Give them their wavelengths, or choose another net."
            )
        return shares[None]
    shares = planes_at(bands, known.centres_nm, known.widths_nm)
    if not shares.any():
        raise BandMismatchError(
            f"'{name}' was trained on bands at {min(known.centres_nm):.0f}-"
            f"{max(known.centres_nm):.0f} nm, and none of these has such a wavelength "
            f"({bands.words}). Give the bands their wavelengths, or choose another net."
        )
    return shares[None]


class PretrainedFeatures(nn.Module):
    """(N, C, h, w) reflectance -> (N, D): what a frozen net sees in T pictures, side by side.

    A picture of red, green and blue that are known by name is shown as it is, since such pictures
    are what the net was trained on. What else is shown as colours is linear, or raw: one gain and
    one offset for the three planes of a picture give it the mean and spread of those pictures, so
    that a dim UV picture is as bright as one by daylight, and colours in it stay what they are to
    each other. Both are cut off at black and white. Planes of a net that goes by wavelength are
    standardised each, and given the mean and the spread of its own.

    Parameters
    ----------
    net
        (N, P, side, side) -> (N, F).
    name
        Of its entry in the table.
    bands
        C, in the order of the images.
    mean, std : (C,)
        Reflectance over the specimens of the collection.
    image_size
        Side of the images in pixels. They are enlarged where the net would see too few places.

    Raises
    ------
    BandMismatchError
        See `shown`.
    """

    mixing: Tensor
    offset: Tensor
    centre: Tensor
    scale: Tensor

    def __init__(
        self,
        net: nn.Module,
        name: NetName,
        bands: Bands,
        mean: ArrayLike,
        std: ArrayLike,
        image_size: int,
    ) -> None:
        super().__init__()
        known, shares = PRETRAINED[name], as_tensor(shown(name, bands))
        self.net, self.side = net.eval().requires_grad_(False), known.side(image_size)
        self.pictures, planes, _ = shares.shape
        self.colours = known.colours
        # neighbouring bands vary together, so a mean of them varies as they do on average
        means, spreads = shares @ as_tensor(mean), shares @ floored(as_tensor(std))
        gain, offset = _exposure(known, means, spreads)
        if known.colours and starts_with_a_photograph(bands):
            gain[0], offset[0] = 1, 0
        self.register_buffer("mixing", (shares * gain[..., None]).flatten(0, 1))
        self.register_buffer("offset", offset.flatten())
        for of, numbers in (("centre", known.centre), ("scale", known.scale)):
            self.register_buffer(of, as_tensor(numbers)[:, None, None], persistent=False)
        with torch.inference_mode():
            nothing = torch.zeros(1, planes, self.side, self.side)
            #: D.
            self.width = self.pictures * int(net(nothing).shape[1])

    def forward(self, images: Tensor, mask: Tensor) -> Tensor:
        """(N, C, h, w) reflectance, its background filled or not -> (N, D)."""
        planes = conv2d(images, self.mixing[:, :, None, None], self.offset)
        if planes.shape[-1] != self.side:
            reduced = planes.shape[-1] > self.side
            planes = interpolate(planes, self.side, mode="bilinear", antialias=reduced)
        if self.colours:
            planes = planes.clamp(0, 1)
        seen = [
            self.net((picture - self.centre) / self.scale)
            for picture in planes.chunk(self.pictures, dim=1)
        ]
        return torch.cat(seen, dim=1)


def _exposure(known: PretrainedNet, means: Tensor, spreads: Tensor) -> tuple[Tensor, Tensor]:
    """(T, P) gains and offsets that make planes of these means and spreads those of a net."""
    mean, spread = (as_tensor(of).expand_as(means) for of in (known.mean, known.std))
    if known.colours:
        mean, means = (of.mean(1, keepdim=True).expand_as(of) for of in (mean, means))
        spread, spreads = (
            of.square().mean(1, keepdim=True).sqrt().expand_as(of) for of in (spread, spreads)
        )
    gain = torch.where(spreads > 0, spread / spreads, 0)
    return gain, mean - gain * means
