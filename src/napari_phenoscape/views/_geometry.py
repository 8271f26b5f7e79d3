"""Geometric operations: pose, place and scale. Each is a 3x3 matrix, or a field, never a sampling.

Coordinates are (x, y) with pixel centres at whole numbers, as in Kornia. Pictures are square.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from napari_phenoscape.views._operation import Operation, PositiveInterval, ShareInterval, between

if TYPE_CHECKING:
    from napari_phenoscape.views._colour import BandContext

Floats = NDArray[np.float64]

#: Of the thin-plate spline, x and y; -1 to 1 from edge to edge of the view.
CONTROL_POINTS = np.array([[-1.0, -1], [-1, 1], [1, -1], [1, 1], [0, 0]])


class SameForAllBands(Operation):
    """Base of what moves or hides places, the same in every band: it commutes."""

    def commutes(self, context: BandContext) -> bool:
        return True


class Geometric(SameForAllBands):
    """Base: moves the picture as a 3x3 matrix does."""

    def matrix(self, u: Floats, side: int) -> Floats:
        """(N, 3, 3) from pixels (x, y) before to pixels after, both ``side`` pixels wide."""
        raise NotImplementedError


class RandomResizedCrop(Geometric):
    """A rectangle of random area, place and proportion, as the whole view (Kornia's name).

    The rectangle lies within the specimen's bounding box, or holds it, along each axis, so a view
    shows specimen and not empty background. A view that is not cropped shows the whole picture.

    Source: Szegedy et al. 2015 (inception crop); Chen et al. 2020, SimCLR, appendix A.
    """

    invariance: ClassVar[str] = "A part of the specimen, at any size, is still this specimen."
    draws: ClassVar[int] = 4

    kind: Literal["RandomResizedCrop"] = "RandomResizedCrop"
    p: float = Field(1.0, ge=0, le=1, description="share of the views that it changes")
    scale: ShareInterval = Field((0.35, 1.0), description="area, share of the whole picture")
    ratio: PositiveInterval = Field((0.75, 1.333), description="width over height")

    def boxes(self, u: Floats, side: int, specimens: Floats) -> Floats:
        """(N, 4) x0, y0, width, height in pixel edges (0 to side), within (N, 4) bounds.

        ``specimens``: x0, y0, x1, y1 of each specimen, in pixel edges.
        """
        area = between(u[:, 0], *self.scale) * side**2
        ratio = np.exp(between(u[:, 1], math.log(self.ratio[0]), math.log(self.ratio[1])))
        sizes = np.minimum(np.sqrt(np.stack([area * ratio, area / ratio], 1)), side)
        ends = specimens[:, :2], specimens[:, 2:] - sizes
        low, high = np.minimum(*ends).clip(0), np.minimum(np.maximum(*ends), side - sizes)
        return np.concatenate([low + (high - low) * u[:, 2:4], sizes], 1)

    def crop(self, u: Floats, side: int, size: int, specimens: Floats) -> Floats:
        """(N, 3, 3) from pixels of the picture to those of the crop, ``size`` pixels wide."""
        x0, y0, width, height = self.boxes(u, side, specimens).T
        return _window(x0, y0, width, height, size)

    def warning(self) -> str:
        if self.p and self.scale[0] < 0.2:
            return (
                f"RandomResizedCrop cuts down to {self.scale[0]:.0%} of the picture; such a patch "
                "may show nothing by which the specimen can be known."
            )
        return ""


class RandomHorizontalFlip(Geometric):
    """Left becomes right (Kornia's RandomHorizontalFlip)."""

    invariance: ClassVar[str] = "Left and right are the same."

    kind: Literal["RandomHorizontalFlip"] = "RandomHorizontalFlip"

    def matrix(self, u: Floats, side: int) -> Floats:
        flip = np.array([[-1.0, 0, side - 1], [0, 1, 0], [0, 0, 1]])
        return np.broadcast_to(flip, (len(u), 3, 3))


class RandomVerticalFlip(Geometric):
    """Up becomes down (Kornia's RandomVerticalFlip)."""

    invariance: ClassVar[str] = "Up and down are the same."

    kind: Literal["RandomVerticalFlip"] = "RandomVerticalFlip"

    def matrix(self, u: Floats, side: int) -> Floats:
        flip = np.array([[1.0, 0, 0], [0, -1, side - 1], [0, 0, 1]])
        return np.broadcast_to(flip, (len(u), 3, 3))


class RandomRotation(Geometric):
    """A turn about the centre, counter-clockwise when positive (Kornia's RandomRotation)."""

    invariance: ClassVar[str] = "The way the specimen lies does not matter."
    draws: ClassVar[int] = 1

    kind: Literal["RandomRotation"] = "RandomRotation"
    degrees: float = Field(180.0, ge=0, le=180, description="± this many degrees")

    def angles(self, u: Floats) -> Floats:
        """(N,) degrees."""
        return between(u[:, 0], -self.degrees, self.degrees)

    def matrix(self, u: Floats, side: int) -> Floats:
        radians = np.deg2rad(self.angles(u))
        cos, sin, centre = np.cos(radians), np.sin(radians), (side - 1) / 2
        matrices = np.tile(np.eye(3), (len(u), 1, 1))
        matrices[:, 0] = np.stack([cos, sin, centre * (1 - cos - sin)], -1)
        matrices[:, 1] = np.stack([-sin, cos, centre * (1 - cos + sin)], -1)
        return matrices


class RandomAffine(Geometric):
    """Turn, shift, scale and shear about the centre (Kornia's RandomAffine)."""

    invariance: ClassVar[str] = "Place, size, tilt and slant in the picture do not matter."
    draws: ClassVar[int] = 6

    kind: Literal["RandomAffine"] = "RandomAffine"
    degrees: float = Field(15.0, ge=0, le=180, description="turn by ± this many degrees")
    translate: float = Field(
        0.1,
        ge=0,
        le=1,
        description="shift by ± this share of the side",
        json_schema_extra={"step": 0.05},
    )
    scale: PositiveInterval = Field((0.9, 1.1), description="scale factor")
    shear: float = Field(0.0, ge=0, le=60, description="slant x and y by ± this many degrees")

    def parameters(self, u: Floats, side: int) -> dict[str, Floats]:
        """Kornia's names: angle, sx, sy in degrees, translations in pixels, scale."""
        return {
            "angle": between(u[:, 0], -self.degrees, self.degrees),
            "translations": between(u[:, 1:3], -1, 1) * self.translate * side,
            "scale": np.repeat(between(u[:, 3:4], *self.scale), 2, axis=1),
            "sx": between(u[:, 4], -self.shear, self.shear),
            "sy": between(u[:, 5], -self.shear, self.shear),
        }

    def matrix(self, u: Floats, side: int) -> Floats:
        import torch
        from kornia.geometry.transform import get_affine_matrix2d

        drawn = {name: torch.from_numpy(v) for name, v in self.parameters(u, side).items()}
        drawn["sx"], drawn["sy"] = torch.deg2rad(drawn["sx"]), torch.deg2rad(drawn["sy"])
        centre = torch.full((len(u), 2), (side - 1) / 2, dtype=torch.float64)
        matrices: Floats = get_affine_matrix2d(center=centre, **drawn).numpy()
        return matrices


class RandomPerspective(Geometric):
    """The picture seen askew: its corners move inwards (Kornia's RandomPerspective)."""

    invariance: ClassVar[str] = "The camera need not have looked straight down."
    draws: ClassVar[int] = 8

    kind: Literal["RandomPerspective"] = "RandomPerspective"
    distortion_scale: float = Field(
        0.3,
        ge=0,
        le=0.9,
        description="corners move inwards by up to half of this share of the side",
        json_schema_extra={"step": 0.05},
    )

    def corners(self, u: Floats, side: int) -> tuple[Floats, Floats]:
        """(N, 4, 2) corners (x, y) before and after."""
        last = side - 1.0
        start = np.array([[0, 0], [last, 0], [last, last], [0, last]])
        inwards = np.array([[1, 1], [-1, 1], [-1, -1], [1, -1]])
        shift = self.distortion_scale * side / 2 * u.reshape(-1, 4, 2) * inwards
        return np.broadcast_to(start, shift.shape), start + shift

    def matrix(self, u: Floats, side: int) -> Floats:
        import torch
        from kornia.geometry.transform import get_perspective_transform

        start, end = self.corners(u, side)
        matrices: Floats = get_perspective_transform(
            torch.from_numpy(start.copy()), torch.from_numpy(end)
        ).numpy()
        return matrices


class RandomThinPlateSpline(SameForAllBands):
    """A soft bend: the corners and the centre move, the rest follows (Kornia's name).

    It acts on the view after all other geometry, whatever its place in the list.

    Source: Bookstein 1989; kornia.geometry.transform.get_tps_transform.
    """

    invariance: ClassVar[str] = "Specimens bend: a wing or leaf need not lie flat."
    draws: ClassVar[int] = 10

    kind: Literal["RandomThinPlateSpline"] = "RandomThinPlateSpline"
    scale: float = Field(
        0.1,
        ge=0,
        le=0.5,
        description="points move by ± this share of half the side",
        json_schema_extra={"step": 0.05},
    )

    def points(self, u: Floats) -> tuple[Floats, Floats]:
        """(N, 5, 2) control points before and after; -1 to 1 from edge to edge of the view."""
        shift = between(u.reshape(-1, 5, 2), -self.scale, self.scale)
        return np.broadcast_to(CONTROL_POINTS, shift.shape), CONTROL_POINTS + shift

    def weights(self, u: Floats) -> Floats:
        """(N, 8, 2) of the `bend_basis`: what to add to (x, y) to find the point before."""
        import torch
        from kornia.geometry.transform import get_tps_transform

        start, end = (torch.from_numpy(points.copy()) for points in self.points(u))
        bend, affine = get_tps_transform(end, start)
        weights = np.concatenate([bend.numpy(), affine.numpy()], 1)
        weights[:, 6:8] -= np.eye(2)
        return weights

    @staticmethod
    def bend_basis(size: int) -> Floats:
        """(8, size, size) U of the five control points, 1, x and y at each pixel of the view."""
        line = (2 * np.arange(size) + 1) / size - 1
        y, x = np.meshgrid(line, line, indexing="ij")
        bends = []
        for cx, cy in CONTROL_POINTS:
            squared = (x - cx) ** 2 + (y - cy) ** 2
            bends.append(0.5 * squared * np.log(np.where(squared > 0, squared, 1)))
        return np.stack([*bends, np.ones_like(x), x, y])


class RandomErasing(SameForAllBands):
    """A rectangle of the view is blanked with the mean and leaves the mask (Kornia's name).

    Source: Zhong et al. 2017, Random Erasing. https://arxiv.org/abs/1708.04896
    """

    invariance: ClassVar[str] = "A damaged or hidden part does not make it another specimen."
    draws: ClassVar[int] = 4

    kind: Literal["RandomErasing"] = "RandomErasing"
    scale: ShareInterval = Field((0.02, 0.2), description="area, share of the view")
    ratio: PositiveInterval = Field((0.3, 3.3), description="height over width")

    def boxes(self, u: Floats, size: int) -> NDArray[np.int64]:
        """(N, 4) first column, first row, width, height, in whole pixels."""
        area = between(u[:, 0], *self.scale) * size**2
        ratio = np.exp(between(u[:, 1], math.log(self.ratio[0]), math.log(self.ratio[1])))
        sizes = np.sqrt(np.stack([area / ratio, area * ratio], 1)).round().clip(1, size)
        first = np.floor(u[:, 2:4] * (size - sizes + 1))
        return np.concatenate([first, sizes], 1).astype(np.int64)


def composed(
    operations: tuple[Operation, ...],
    draws: dict[str, Floats],
    side: int,
    size: int,
    bounds: Floats,
) -> Floats:
    """(N, 3, 3) one matrix for all geometry, from pixels of the source to those of the view.

    Parameters
    ----------
    operations
        In the order in which they act; those that are no matrix are passed over.
    draws
        (N, 1 + draws) uniforms of each kind; the first is the switch.
    side, size
        Of source and view, pixels.
    bounds : (N, 4)
        x0, y0, x1, y1 of each specimen in the source, in pixel edges.
    """
    count = len(bounds)
    total = np.broadcast_to(np.eye(3), (count, 3, 3))
    for operation in operations:
        if not isinstance(operation, Geometric):
            continue
        u = draws[operation.kind]
        active = (u[:, 0] < operation.p)[:, None, None]
        if isinstance(operation, RandomResizedCrop):
            seen = _moved_bounds(total, bounds).clip(0, side)
            step = operation.crop(u[:, 1:], side, size, seen)
            idle, side = _resize(side, size), size
        else:
            step, idle = operation.matrix(u[:, 1:], side), np.eye(3)
        total = np.where(active, step, idle) @ total
    return total if side == size else _resize(side, size) @ total


def shrinkage(matrices: Floats, size: int) -> NDArray[np.int64]:
    """(N,) source pixels to one view pixel at the view's centre, as a whole number >= 1."""
    centre = (size - 1) / 2
    around = np.array([[centre, centre + 1, centre], [centre, centre, centre + 1], [1, 1, 1]])
    seen = np.linalg.inv(matrices) @ around
    points = seen[:, :2] / seen[:, 2:]
    right, down = points[:, :, 1] - points[:, :, 0], points[:, :, 2] - points[:, :, 0]
    area: Floats = np.abs(right[:, 0] * down[:, 1] - right[:, 1] * down[:, 0])
    return np.sqrt(area).round().clip(1, None).astype(np.int64)


def _moved_bounds(matrices: Floats, bounds: Floats) -> Floats:
    """(N, 4) bounds of the moved corners of (N, 4) bounds, all in pixel edges."""
    corners = bounds[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2) - 0.5
    ones = np.ones((*corners.shape[:2], 1))
    moved = np.concatenate([corners, ones], 2) @ matrices.transpose(0, 2, 1)
    points: Floats = moved[..., :2] / moved[..., 2:] + 0.5
    return np.concatenate([points.min(1), points.max(1)], 1)


def _window(x0: Floats, y0: Floats, width: Floats, height: Floats, size: int) -> Floats:
    """(N, 3, 3) that stretch a window (pixel edges) to a view of ``size`` pixels."""
    matrices = np.tile(np.eye(3), (len(x0), 1, 1))
    for axis, (start, side) in enumerate(((x0, width), (y0, height))):
        scale = size / side
        matrices[:, axis, axis], matrices[:, axis, 2] = scale, (0.5 - start) * scale - 0.5
    return matrices


def _resize(side: int, size: int) -> Floats:
    zero, whole = np.zeros(1), np.full(1, float(side))
    matrix: Floats = _window(zero, zero, whole, whole, size)[0]
    return matrix
