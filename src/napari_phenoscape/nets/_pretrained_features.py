"""Pretrained features: what a net that was trained elsewhere sees in pictures of any bands."""

from __future__ import annotations

import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.nn.functional import conv2d, interpolate

from napari_phenoscape.cubes import Bands
from napari_phenoscape.errors import BandMismatchError
from napari_phenoscape.nets._pictures import pictures_of, planes_at
from napari_phenoscape.nets._pretrained import PRETRAINED, NetName
from napari_phenoscape.nets._stem import as_tensor, floored


class PretrainedFeatures(nn.Module):
    """(N, C, h, w) reflectance -> (N, D): what a frozen net sees in T pictures, side by side.

    A picture is three bands as red, green and blue, or three means of bands (`pictures_of`); of a
    net that takes other planes, those (`planes_at`). Every plane is standardised over the
    collection and given the mean and standard deviation of the pictures that the net was trained
    on. So the same rule serves light as it is displayed and linear reflectance, a dark UV plane
    beside a bright green one, and a camera without a white reference; and what tells specimens
    apart is as strong as what the net was trained to tell apart. Enlarged are the planes, by
    bilinear interpolation, where the net would see too few places in them.

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
        Side of the images in pixels.

    Raises
    ------
    BandMismatchError
        The net takes planes by wavelength, and no band has any of theirs.
    """

    mixing: Tensor
    gain: Tensor
    offset: Tensor

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
        known = PRETRAINED[name]
        self.net, self.side = net.eval().requires_grad_(False), known.side(image_size)
        if known.centres_nm:
            shares = planes_at(bands, known.centres_nm, known.widths_nm)[None]
            if not shares.any():
                raise BandMismatchError(
                    f"'{name}' was trained on bands at {min(known.centres_nm):.0f}-"
                    f"{max(known.centres_nm):.0f} nm, and none of these has such a wavelength "
                    f"({bands.words}). Give the bands their wavelengths, or choose another net."
                )
        else:
            shares = pictures_of(bands)
        self.pictures = len(shares)
        mixing = as_tensor(shares).flatten(0, 1)
        like, each = as_tensor(mean), floored(as_tensor(std))
        to, by = (as_tensor(numbers).repeat(len(shares)) for numbers in (known.centre, known.scale))
        shown, spread = (
            as_tensor(numbers).repeat(len(shares)) for numbers in (known.mean, known.std)
        )
        # neighbouring bands vary together, so a mean of them varies as they do on average
        varies = mixing @ each
        gain = torch.where(varies > 0, spread / varies, 0) / by
        self.register_buffer("mixing", mixing * gain[:, None])
        self.register_buffer("offset", (shown - to) / by - gain * (mixing @ like))
        lookalike = torch.zeros(1, known.planes, self.side, self.side)
        with torch.inference_mode():
            #: D.
            self.width = self.pictures * net(lookalike).shape[1]

    def forward(self, images: Tensor, mask: Tensor) -> Tensor:
        """(N, C, h, w) reflectance, its background filled or not -> (N, D)."""
        planes = conv2d(images, self.mixing[:, :, None, None], self.offset)
        if planes.shape[-1] != self.side:
            reduced = planes.shape[-1] > self.side
            planes = interpolate(planes, self.side, mode="bilinear", antialias=reduced)
        seen = [self.net(picture) for picture in planes.chunk(self.pictures, dim=1)]
        return torch.cat(seen, dim=1)
