"""Warp: where each pixel of a view looks, from its matrix and its bend."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_phenoscape.augmentations.geometry import RandomThinPlateSpline

Floats = NDArray[np.float64]


class Warp:
    """Makes the places at which views are sampled.

    Parameters
    ----------
    side, size
        Of source and view, pixels.
    projective
        Whether any matrix has a perspective.
    bends
        Whether there are bends.
    """

    def __init__(
        self, side: int, size: int, projective: bool, bends: bool, device: torch.device
    ) -> None:
        self.size, self.device = size, device
        self._rows = 3 if projective else 2
        self._normalise = np.array(
            [[2 / side, 0, 1 / side - 1], [0, 2 / side, 1 / side - 1], [0, 0, 1]]
        )
        if bends:
            basis = RandomThinPlateSpline.bend_basis(size).reshape(8, -1)
            self._basis = self._tensor(basis)

    def __call__(
        self, matrices: Floats, weights: Floats | None = None, bends: Tensor | None = None
    ) -> Tensor:
        """(N, h, w, 2) places (x, y), -1 to 1 from edge to edge of the source.

        Parameters
        ----------
        matrices : (N, 3, 3)
            Source pixel -> view pixel.
        weights : (N, 8, 2) or None
            Of the `RandomThinPlateSpline.bend_basis`, for bends in view pixels.
        bends : (N, h, w, 2)
            Zeros, to be filled with the bends of the ``weights``.
        """
        size = self.size
        back = self._normalise @ np.linalg.inv(matrices)
        centre = (size - 1) / 2
        back /= (back[:, 2] @ [centre, centre, 1])[:, None, None]
        # x, y and, where there is a perspective, the depth: factors of view x, view y and 1
        rows, line = back[:, : self._rows], np.arange(size)
        across, down = rows[..., :1] * line, rows[..., 1:2] * line + rows[..., 2:]
        found = self._tensor(across)[..., None, :] + self._tensor(down)[..., None]
        if weights is not None and bends is not None:
            for i in np.flatnonzero(weights.any((1, 2))):
                found[i] = self._combined(_bent(rows[i], weights[i], size))
                torch.complex(*self._combined(weights[i].T), out=torch.view_as_complex(bends[i]))
        if self._rows == 3:
            # behind the camera there is nothing to see: so small a depth puts it far outside
            found[:, :2] /= found[:, 2:].clamp_min_(1e-6)
        # as complex numbers x and y are put side by side several times faster than by a stack
        return torch.view_as_real(torch.complex(found[:, 0], found[:, 1]))

    def _combined(self, factors: Floats) -> Tensor:
        """(n, h, w) sums of the bend basis, with (n, 8) factors."""
        # in memory of its own and for one view: the bits of a matrix product depend on the batch,
        # and on where in memory it stands
        return (self._tensor(factors) @ self._basis).view(-1, self.size, self.size)

    def _tensor(self, values: Floats) -> Tensor:
        return torch.tensor(values, dtype=torch.float32, device=self.device)


def _bent(rows: Floats, weights: Floats, size: int) -> Floats:
    """(n, 8) factors of the bend basis: the (n, 3) rows, where each pixel lies its bend away."""
    places = weights.copy()
    # pixel x = (size - 1) / 2 + size / 2 u, u being the basis' coordinate; the same for y
    places[5] += (size - 1) / 2
    places[[6, 7], [0, 1]] += size / 2
    factors: Floats = rows[:, :2] @ places.T
    factors[:, 5] += rows[:, 2]
    return factors
