"""Warp: where each pixel of a view looks, from its matrix and its bend."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_phenoscape.augmentations.geometry import RandomThinPlateSpline

Floats = NDArray[np.float64]


class Warp:
    """Makes the places at which views of ``size`` pixels are sampled.

    A place (x, y) is a complex number x + iy while it is computed: torch adds and multiplies these
    as they lie in memory, and takes much longer for every second number of an array.

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
        self.size, self.projective, self.device = size, projective, device
        self._normalise = np.array(
            [[2 / side, 0, 1 / side - 1], [0, 2 / side, 1 / side - 1], [0, 0, 1]]
        )
        self._basis: Tensor | None = None
        if bends:
            basis = RandomThinPlateSpline.bend_basis(size).reshape(8, -1)
            self._basis = torch.from_numpy(basis.astype(np.complex64)).to(device)

    def __call__(self, matrices: Floats, weights: Floats | None) -> tuple[Tensor, Tensor | None]:
        """Places and bends of N views.

        Parameters
        ----------
        matrices : (N, 3, 3)
            Source pixel -> view pixel.
        weights : (N, 8, 2) or None
            Of the `RandomThinPlateSpline.bend_basis`, for bends in view pixels.

        Returns
        -------
        (N, h, w, 2) places (x, y), -1 to 1 from edge to edge of the source, and the (N, h, w, 2)
        bends in view pixels or None.
        """
        back = self._normalise @ np.linalg.inv(matrices)
        centre = (self.size - 1) / 2
        back /= (back[:, 2] @ [centre, centre, 1])[:, None, None]
        # factors of view x, view y and 1, as x + iy; the depth as d + id, to be divided by
        rows = (back[:, 0] + 1j * back[:, 1])[:, None]
        if self.projective:
            rows = np.concatenate([rows, back[:, 2:] * (1 + 1j)], 1)
        if weights is None:
            found, bends = self._flat(rows), None
        else:
            found, bends = self._bent(rows, weights)
        places = torch.view_as_real(found[:, 0])
        if self.projective:
            # behind the camera there is nothing to see: so small a depth puts it far outside
            places = places / torch.view_as_real(found[:, 1]).clamp_min_(1e-6)
        return places, bends

    def _flat(self, rows: NDArray[np.complex128]) -> Tensor:
        """(N, n, h, w) complex: each of the (N, n, 3) rows at every pixel of the view."""
        line = np.arange(self.size)
        across, down = rows[..., 0, None] * line, rows[..., 1, None] * line + rows[..., 2, None]
        x, y = (torch.from_numpy(v.astype(np.complex64)).to(self.device) for v in (across, down))
        return x[..., None, :] + y[..., None]

    def _bent(
        self, rows: NDArray[np.complex128], weights: Floats
    ) -> tuple[Tensor, Tensor]:
        """As `_flat`, where each pixel lies its bend away; and the (N, h, w, 2) bends."""
        # pixel x = size / 2 (u + 1) - 1 / 2, u being the basis' coordinate
        where = weights.copy()
        half, shift = self.size / 2, (self.size - 1) / 2
        where[:, 5] += shift
        where[:, [6, 7], [0, 1]] += half
        factors = where @ rows[..., :2].swapaxes(1, 2)  # (N, 8, n)
        factors[:, 5] += rows[..., 2]
        bends = weights[..., :1] + 1j * weights[..., 1:]
        wanted = np.concatenate([factors, bends], 2).swapaxes(1, 2).astype(np.complex64)
        given = torch.from_numpy(np.ascontiguousarray(wanted)).to(self.device)
        assert self._basis is not None
        basis = self._basis
        if self.device.type == "cpu":
            # one by one: the bits of a matrix product depend on the batch
            found = torch.stack([one @ basis for one in given])
        else:
            found = given @ basis
        found = found.view(len(rows), -1, self.size, self.size)
        return found[:, :-1], torch.view_as_real(found[:, -1])
