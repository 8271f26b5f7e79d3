"""Places: what a pretrained net sees at each place of a picture."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from napari_phenoscape.nets._pretrained import PRETRAINED, NetName
from napari_phenoscape.nets._pretrained_net import pretrained_net

#: Side of the pictures in pixels, of which a place of the grid is 16 apart from the next.
PLACES_PX = 256

#: Blocks of the net up to the last whose places are so near.
_BLOCKS = 5


class PlacesNet(nn.Module):
    """(N, 3, 256, 256) colours from 0 to 1 -> (N, 112, 16, 16): the net that needs no download.

    Raises
    ------
    OptionError
        It is not installed.
    """

    def __init__(self) -> None:
        super().__init__()
        name: NetName = "efficientnet_lite0"
        net: Any = pretrained_net(name, PLACES_PX, None, download=False)
        known = PRETRAINED[name]
        self.centre, self.scale = (
            torch.tensor(of)[:, None, None] for of in (known.centre, known.scale)
        )
        self.body = nn.Sequential(net.conv_stem, net.bn1, *net.blocks[:_BLOCKS])
        self.eval().requires_grad_(False)

    def forward(self, pictures: Tensor) -> Tensor:
        """What it sees."""
        seen: Tensor = self.body((pictures - self.centre) / self.scale)
        return seen
