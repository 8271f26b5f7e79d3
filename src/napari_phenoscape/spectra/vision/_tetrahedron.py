"""Colour space of tetrachromats: the tetrahedron of relative catches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: Corners of the tetrahedron for u, s, m, l: 0.75 from its middle, u on top.
CORNERS = np.array(
    [
        [0, 0, 3 / 4],
        [-np.sqrt(6) / 4, -np.sqrt(2) / 4, -1 / 4],
        [0, np.sqrt(2) / 2, -1 / 4],
        [np.sqrt(6) / 4, -np.sqrt(2) / 4, -1 / 4],
    ]
)


@dataclass(frozen=True, eq=False)
class Tetrahedral:
    """Colours of N specimens in the tetrahedron [1]_ [2]_.

    Parameters
    ----------
    relative : (N, 4)
        Catches u, s, m, l over their sum.
    xyz : (N, 3)
        Place; the middle, (0, 0, 0), is without colour.
    theta, phi : (N,)
        Hue in radians: azimuth in (-π, π] from the x axis, and elevation in [-π/2, π/2] towards
        u. NaN in the middle, which has no hue.
    r : (N,)
        Distance from the middle, 0-0.75: chroma.
    r_max : (N,)
        The greatest distance of this hue; NaN in the middle.
    r_achieved : (N,)
        ``r / r_max``, 0-1; 0 in the middle.

    References
    ----------
    .. [1] Stoddard & Prum 2008. https://doi.org/10.1086/587526
    .. [2] Endler & Mielke 2005. https://doi.org/10.1111/j.1095-8312.2005.00540.x
    """

    relative: NDArray[np.float64]
    xyz: NDArray[np.float64]
    theta: NDArray[np.float64]
    phi: NDArray[np.float64]
    r: NDArray[np.float64]
    r_max: NDArray[np.float64]
    r_achieved: NDArray[np.float64]


def relative_catches(catches: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    """(N, K) catches over their sum; NaN where nothing is caught."""
    wide = catches.astype(np.float64)
    total = wide.sum(axis=1, keepdims=True)
    relative: NDArray[np.float64] = np.divide(
        wide, total, out=np.full_like(wide, np.nan), where=total > 0
    )
    return relative


def tetrahedral(catches: NDArray[np.floating[Any]]) -> Tetrahedral:
    """The colours of catches.

    Parameters
    ----------
    catches : (N, 4)
        Of u, s, m, l, in any unit that they share; adapted to the light, a grey has equal ones.
    """
    relative = relative_catches(catches)
    xyz = relative @ CORNERS
    r = np.sqrt((xyz**2).sum(axis=1))
    # the colour leaves the tetrahedron through the face of the receptor that catches least; it is
    # there when that one catches nothing
    achieved = 1 - 4 * relative.min(axis=1)
    middle = r < 1e-12
    with np.errstate(divide="ignore", invalid="ignore"):
        theta = np.where(middle, np.nan, np.arctan2(xyz[:, 1], xyz[:, 0]))
        phi = np.where(middle, np.nan, np.arcsin(np.clip(xyz[:, 2] / r, -1, 1)))
        r_max = np.where(middle, np.nan, r / achieved)
    return Tetrahedral(relative, xyz, theta, phi, r, r_max, np.where(middle, 0, achieved))
