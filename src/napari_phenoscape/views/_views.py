"""Views: pictures of specimens with the geometry that made them."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from napari_phenoscape.views._warp import bending


class Views(NamedTuple):
    """One view of each of N specimens, or several, one after the other.

    Parameters
    ----------
    image : (N, C, h, w)
        Reflectance, float32.
    mask : (N, 1, h, w)
        True where the view shows specimen.
    matrix : (N, 3, 3)
        Source pixel (x, y, 1) -> view pixel, float32; pixel centres are whole numbers.
    bends : (N, 8, 2) or None
        What of the `RandomThinPlateSpline.bend_basis` makes the `field`.
    """

    image: Tensor
    mask: Tensor
    matrix: Tensor
    bends: Tensor | None

    @property
    def field(self) -> Tensor | None:
        """(N, h, w, 2) bend, in view pixels (x, y).

        View pixel v shows the source point that the matrix takes to v + field(v). None when there
        is no thin-plate spline.
        """
        if self.bends is None:
            return None
        return bending(self.image.shape[-1]).field(self.bends)

    def part(self, rows: slice) -> Views:
        """Some of them."""
        return Views(
            self.image[rows],
            self.mask[rows],
            self.matrix[rows],
            None if self.bends is None else self.bends[rows],
        )
