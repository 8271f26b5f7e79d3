"""Butterfly-like specimens: which material covers each pixel, and how much of it.

Wing coordinates: origin between the wings, x to a side (both sides are mirror images), y towards
the head, unit = length of a forewing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]


@dataclass(frozen=True)
class Pose:
    """How a specimen lies in its picture.

    Parameters
    ----------
    rotation_deg
        Counter-clockwise.
    row, column
        Shift of the specimen's middle from the picture's, as a share of the picture's side.
    wing_length
        Length of a forewing as a share of the picture's side.
    """

    rotation_deg: float
    row: float
    column: float
    wing_length: float

    def pixel(self, x: float, y: float, size: int) -> tuple[float, float]:
        """(row, column) of a point given in wing coordinates."""
        unit, angle = self.wing_length * size, np.deg2rad(self.rotation_deg)
        across = x * np.cos(angle) - y * np.sin(angle)
        up = x * np.sin(angle) + y * np.cos(angle)
        middle = (size - 1) / 2
        return (
            float(middle + self.row * size - up * unit),
            float(middle + self.column * size + across * unit),
        )


@dataclass(frozen=True)
class Wings:
    """Outline of the two wings of a side, as two petals around the origin.

    Parameters
    ----------
    fore_deg, hind_deg
        Direction of each wing's tip from the origin; 0 is sideways, 90 the head.
    fore_width_deg, hind_width_deg
        Half widths of the petals.
    hind_length
        In forewing lengths.
    """

    fore_deg: float
    fore_width_deg: float
    hind_deg: float
    hind_width_deg: float
    hind_length: float


@dataclass(frozen=True)
class Spot:
    """A round element, on both sides.

    Parameters
    ----------
    element
        What it is, e.g. ``"eyespot"``.
    material
        What it is made of.
    x, y, radius
        In wing coordinates.
    """

    element: str
    material: str
    x: float
    y: float
    radius: float


@dataclass(frozen=True)
class Pattern:
    """What is painted on the wings, from below.

    Parameters
    ----------
    ground, border, body
        Materials of the wings, of the band along their margins, of the body.
    border_width
        Share of the way from margin to base.
    spots
        Painted in this order.
    """

    ground: str
    border: str
    body: str
    border_width: float
    spots: tuple[Spot, ...]


def material_cover(
    wings: Wings, pattern: Pattern, pose: Pose, size: int
) -> tuple[dict[str, Plane], Plane]:
    """Cover of each material and of the whole specimen: (size, size) shares, 0-1, antialiased.

    The materials' covers add up to the specimen's.
    """
    unit = pose.wing_length * size
    row, column = pose.pixel(0, 0, size)
    rows, columns = np.indices((size, size), dtype=np.float32)
    across, up = (columns - column) / unit, (row - rows) / unit
    angle = np.deg2rad(pose.rotation_deg)
    x = np.abs(across * np.cos(angle) + up * np.sin(angle))
    y = up * np.cos(angle) - across * np.sin(angle)
    radius, direction = np.hypot(x, y), np.rad2deg(np.arctan2(y, x))

    degrees = np.linspace(-90, 90, 361)
    outline = _outline(wings, degrees)
    slope = np.gradient(outline, np.deg2rad(degrees))
    margin = np.interp(direction, degrees, outline)
    steepness = np.hypot(1, np.interp(direction, degrees, slope) / np.maximum(radius, 1e-3))

    def inside(distance: NDArray[np.floating]) -> Plane:
        """Cover of a pixel whose middle lies this far (wing units) inside an edge."""
        return np.asarray(np.clip(0.5 + distance * unit, 0, 1), dtype=np.float32)

    covers: dict[str, Plane] = {}

    def paint(material: str, cover: Plane) -> None:
        for below in covers.values():
            below *= 1 - cover
        covers[material] = covers.get(material, np.zeros_like(cover)) + cover

    wing = inside((margin - radius) / steepness)
    paint(pattern.ground, wing)
    for spot in pattern.spots:
        paint(spot.material, wing * inside(spot.radius - np.hypot(x - spot.x, y - spot.y)))
    paint(
        pattern.border,
        wing * inside((radius - (1 - pattern.border_width) * margin) / steepness),
    )
    # a capsule: all points within 0.055 of the line from -0.25 to 0.32 along the middle
    beyond = np.maximum(np.abs(y - 0.035) - 0.285, 0)
    paint(pattern.body, inside(0.055 - np.hypot(x, beyond)))
    whole = np.sum(list(covers.values()), axis=0, dtype=np.float32)
    return covers, np.asarray(np.minimum(whole, 1))


def _outline(wings: Wings, degrees: NDArray[np.float64]) -> NDArray[np.float64]:
    """Distance from the origin to the wing margin in each direction."""
    fore = _petal(degrees - wings.fore_deg, 0.55 * wings.fore_width_deg, wings.fore_width_deg)
    hind = _petal(degrees - wings.hind_deg, wings.hind_width_deg, wings.hind_width_deg)
    return np.maximum(fore, wings.hind_length * hind)


def _petal(
    degrees: NDArray[np.float64], leading_deg: float, trailing_deg: float
) -> NDArray[np.float64]:
    """1 in the wing's own direction, falling to 0; steeper at the leading edge."""
    width = np.where(degrees > 0, leading_deg, trailing_deg)
    return np.asarray(np.exp(-(np.abs(degrees / width) ** 3)))
