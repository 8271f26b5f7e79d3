"""Warp: where each pixel of a view looks, from its matrix and its bend."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import pad

from napari_phenoscape._device import placed
from napari_phenoscape.views._geometry import RandomThinPlateSpline

Floats = NDArray[np.float64]


class Warp:
    """Makes the sampling grids of views: where in its picture each pixel of a view looks.

    That is linear in the `RandomThinPlateSpline.bend_basis` of the pixel (without bends, in its 1,
    x and y): a small matrix product for each view.

    Parameters
    ----------
    size
        Of the view, pixels.
    projective
        Whether any matrix has a perspective.
    bends
        Whether there are bends.
    """

    def __init__(self, size: int, projective: bool, bends: bool) -> None:
        self.size = size
        self._rows = 3 if projective else 2
        basis = RandomThinPlateSpline.bend_basis(size).reshape(8, -1)
        # the bits of a product depend on where in memory it stands: every row of one begins at a
        # multiple of 64 bytes
        self._basis = pad(
            torch.from_numpy(basis if bends else basis[5:]).float(), (0, -(size**2) % 16)
        )
        self._elsewhere: dict[torch.device, Tensor] = {}

    def factors(self, matrices: Floats, side: int, weights: Floats | None = None) -> Tensor:
        """(N, 8, 8), of which the call wants any: what the basis is multiplied with.

        Parameters
        ----------
        matrices : (N, 3, 3)
            Source pixel -> view pixel.
        side
            Of the source, pixels.
        weights : (N, 8, 2) or None
            Of the basis, for bends in view pixels.
        """
        half, centre = self.size / 2, (self.size - 1) / 2
        # view pixel x = centre + half u, u being the basis' coordinate; the same for y
        pixel = np.zeros((len(matrices), 3, len(self._basis)))
        pixel[:, 2, -3] = 1
        pixel[:, :2, -3] = centre
        pixel[:, 0, -2] = pixel[:, 1, -1] = half
        if weights is not None:
            pixel[:, :2] += weights.mT
        # source pixels, -1 to 1 from edge to edge; depth 1 at the centre of the view
        normalise = np.array([[2 / side, 0, 1 / side - 1], [0, 2 / side, 1 / side - 1], [0, 0, 1]])
        back = normalise @ np.linalg.inv(matrices)
        back /= (back[:, 2] @ [centre, centre, 1])[:, None, None]
        # x, y and, where there is a perspective, the depth
        factors = np.zeros((len(matrices), 8, 8), np.float32)
        factors[:, : self._rows, : len(self._basis)] = (back @ pixel)[:, : self._rows]
        return torch.from_numpy(factors)

    def __call__(self, factors: Tensor) -> Tensor:
        """(N, h, w, 2) points (x, y) of the source, -1 to 1 from edge to edge."""
        basis = self._on(factors.device)
        xyz = (factors[:, : self._rows, : len(basis)] @ basis)[..., : self.size**2]
        if self._rows == 3:
            # behind the camera there is nothing to see: so small a depth puts it far outside
            xyz[:, :2] /= xyz[:, 2:].clamp_min_(1e-6)
        # as complex numbers x and y are put side by side several times faster than by a stack
        grid = torch.view_as_real(torch.complex(xyz[:, 0], xyz[:, 1]))
        return grid.view(-1, self.size, self.size, 2)

    def field(self, weights: Tensor) -> Tensor:
        """(N, h, w, 2) bends in view pixels, of (N, 8, 2) weights of the basis."""
        bends = (weights.mT @ self._on(weights.device))[..., : self.size**2]
        return bends.reshape(-1, 2, self.size, self.size).permute(0, 2, 3, 1)

    def _on(self, device: torch.device) -> Tensor:
        """The basis; on an accelerator it stays."""
        if device.type == "cpu":
            return self._basis
        if device not in self._elsewhere:
            self._elsewhere[device] = placed(self._basis, device)
        return self._elsewhere[device]


@lru_cache(maxsize=4)
def bending(size: int) -> Warp:
    """The warp whose `Warp.field` are the bends of views of this size."""
    return Warp(size, False, True)
