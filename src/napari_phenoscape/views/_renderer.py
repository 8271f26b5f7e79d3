"""Renderer: fills views from their pictures, a few at a time, and takes the gradient back."""

from __future__ import annotations

import math
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import avg_pool2d, grid_sample, pad

from napari_phenoscape._device import index, placed, together
from napari_phenoscape.views._colour import BandContext
from napari_phenoscape.views._filters import (
    Backward,
    Filter,
    LinearFilter,
    RandomGaussianNoise,
    bands_of_a_seed,
)
from napari_phenoscape.views._geometry import (
    RandomErasing,
    RandomPerspective,
    RandomThinPlateSpline,
)
from napari_phenoscape.views._operation import Operation
from napari_phenoscape.views._photometric import Photometric
from napari_phenoscape.views._request import Chunk, ViewRequest
from napari_phenoscape.views._rows import Rows, active_rows, column
from napari_phenoscape.views._warp import Warp


@dataclass(frozen=True, eq=False)
class Tape:
    """What is kept of the n rows of a chunk, to take a gradient back through them.

    Parameters
    ----------
    chunk
        Which it is.
    shape
        n, C, S, S of its pictures.
    grid : (n, h, w, 2)
        Where the pictures are sampled, -1 to 1 from edge to edge.
    gain : (n, 1, 1, 1) or None
        Common to all bands.
    shown, visible : (n, 1, h, w)
        0 or 1: where the filters see the picture, and where their work is seen.
    filters
        In the order in which they acted: kind, the rows that it changed, and the way back.
    """

    chunk: Chunk
    shape: torch.Size
    grid: Tensor
    gain: Tensor | None
    shown: Tensor
    visible: Tensor
    filters: list[tuple[str, Rows, Backward]]


class Renderer:
    """Fills the rows of views: light, one sampling, lens and sensor.

    Parameters
    ----------
    operations
        Each kind at most once.
    context
        What is known of the bands.
    size, background
        As the `Augmenter` has them.

    Attributes
    ----------
    warp
        Says where the pictures are sampled.
    """

    def __init__(
        self,
        operations: Sequence[Operation],
        context: BandContext,
        size: int,
        background: Literal["remove", "keep"],
    ) -> None:
        self._context, self._size, self._background = context, size, background
        self._filters = [op for op in operations if isinstance(op, Filter)]
        self._mixes_pixels = any(op.mixes_pixels for op in self._filters)
        self._by_band = all(
            isinstance(op, LinearFilter | RandomGaussianNoise) for op in self._filters
        )
        self._erasing = next((o for o in operations if isinstance(o, RandomErasing)), None)
        projective = any(isinstance(op, RandomPerspective) for op in operations)
        bends = any(isinstance(op, RandomThinPlateSpline) for op in operations)
        self.warp = Warp(size, projective, bends)
        self._own = _Own()

    def render(self, request: ViewRequest, chunks: Sequence[Chunk]) -> Tensor:
        """(R, C, h, w) images of the views, filled like their masks.

        With a gradient to the pictures, the fill and the units, if the pictures have one.
        """
        if request.images.requires_grad and torch.is_grad_enabled():
            learned = (request.images, request.fill, *request.units.values())
            image: Tensor = _Render.apply(self, request, chunks, *learned)
            return image
        for chunk in chunks:
            self.forward(request, chunk, keep=False)
        return request.views.image

    def forward(self, request: ViewRequest, chunk: Chunk, keep: bool) -> Tape:
        """Fill the rows of the views that are those of a chunk; ``keep`` what goes back."""
        rows, shrink, device = chunk.rows, chunk.shrink, request.images.device
        where = index(rows, device)
        pictures, image = request.images_of(rows), request.views.image[where]
        mask = request.masks[index(chunk.specimens, device)].float()
        side, cpu = pictures.shape[-1], not together(device)
        draws = {kind: u[rows] for kind, u in request.draws.items()}
        source, gain = self.lit(request.photometric, pictures, mask, draws)
        grid = self.warp(request.factors[where])
        shown, seen = self._seen(mask, grid)
        visible = shown.clone() if self._mixes_pixels else shown
        self._erase(draws, visible, seen)
        request.views.mask[where] = seen.bool()
        if shrink > 1:
            # the pooled picture is as wide as the padded one
            grid = (grid + 1) * (side / (side + -side % shrink)) - 1
        bands = source.shape[1]
        # noise of mixed bands is itself a mix, of all
        in_blocks = self._by_band and all(unit.ndim == 1 for unit in request.units.values())
        block = bands
        if in_blocks and cpu and not keep:
            block = torch.get_num_threads() * bands_of_a_seed(self._size)
        filters: list[tuple[str, Rows, Backward]] = []
        for first in range(0, bands, block):
            part = slice(first, first + block)
            fill, pixels = request.fill[:, part], _shrunk(source[:, part], shrink)
            if cpu:
                # read in order it comes fast, and lies in the cache when it is sampled in any order
                pixels.sum()
            view = _sampled(pixels, grid)
            if gain is not None:
                view.mul_(gain)
            if self._mixes_pixels:
                # a lens must not smear the removed background into the specimen
                view = torch.lerp(fill, view, shown)
            for op in self._filters:
                u, unit = draws[op.kind], request.units[op.kind]
                for on, some in active_rows(u[:, 0] < op.p, view):
                    if keep:
                        backward = op.apply_with_backward(some, u[on, 1:], unit)
                        filters.append((op.kind, on, backward))
                    else:
                        some.copy_(op.apply(some, u[on, 1:], first, unit[part]))
            # a weight of 0 or 1 gives one or the other, bit for bit; torch.where is slower.
            # into place: fresh memory costs as much as the arithmetic
            torch.lerp(fill, view, visible, out=image[:, part])
        if not isinstance(where, slice):
            request.views.image[where] = image
        return Tape(chunk, pictures.shape, grid, gain, shown, visible, filters)

    def backward(self, tape: Tape, grad: Tensor) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Gradients to the pictures of a chunk, the fill and units, from that to its views.

        `forward` again, from its last line to its first.
        """
        left = grad * tape.visible
        fill = grad.sum((0, 2, 3)) - left.sum((0, 2, 3))
        units: dict[str, Tensor] = {}
        for kind, rows, backward in reversed(tape.filters):
            where = index(rows, left.device)
            some = left[where]
            unit = backward(some)
            if not isinstance(where, slice):
                left[where] = some
            if unit is not None:
                units[kind] = unit
        if self._mixes_pixels:
            fill += left.sum((0, 2, 3))
            left *= tape.shown
            fill -= left.sum((0, 2, 3))
        if tape.gain is not None:
            left *= tape.gain
        with torch.enable_grad():
            # their values do not matter
            pictures = grad.new_zeros(tape.shape, requires_grad=True)
            pixels = _shrunk(pictures, tape.chunk.shrink)
        # 0: bilinear, 1: border; of the gradients to pixels and grid only the first
        left, _ = torch.ops.aten.grid_sampler_2d_backward(
            left, pixels.detach(), tape.grid, 0, 1, False, [True, False]
        )
        if pixels is not pictures:
            (left,) = torch.autograd.grad(pixels, pictures, left)
        return left, fill.view(1, -1, 1, 1), units

    def lit(
        self,
        operations: Sequence[Photometric],
        images: Tensor,
        mask: Tensor,
        draws: dict[str, NDArray[np.float64]],
    ) -> tuple[Tensor, Tensor | None]:
        """(N, C, S, S) pictures after the photometric stage, but for an (N, 1, 1, 1) gain."""
        if not operations:
            return images, None
        gain = np.ones(len(images))
        image = images
        for op in operations:
            u = draws[op.kind]
            active = u[:, 0] < op.p
            gain = np.where(active, gain * op.gain(u[:, 1:]), gain)
            if not (op.changes_pixels and active.any()):
                continue
            if image is images:
                image = self._copied(images)
            for rows, some in active_rows(active, image):
                if not op.is_homogeneous:
                    # of these only: when a gain is applied must not depend on other specimens
                    some *= column(gain[rows], some)
                    gain[rows] = 1
                # what autograd has to know again must not be overwritten
                own = some.clone() if some.requires_grad else some
                on = mask[index(rows, mask.device)]
                some.copy_(op.apply(own, on, u[rows, 1:], self._context))
        return image, column(gain, images)

    def _copied(self, images: Tensor) -> Tensor:
        """A copy in memory that is kept: fresh memory costs as much as the arithmetic."""
        if together(images.device) or (images.requires_grad and torch.is_grad_enabled()):
            return images.clone()
        own = self._own
        if own.buffer.shape[1:] != images.shape[1:] or len(own.buffer) < len(images):
            own.buffer = torch.empty_like(images)
        return own.buffer[: len(images)].copy_(images)

    def _seen(self, mask: Tensor, grid: Tensor) -> tuple[Tensor, Tensor]:
        """Two (N, 1, h, w) of 0 and 1: where the picture is shown, and where the specimen is seen.

        Copies, of which the second may be changed alone.
        """
        if self._background == "remove":
            seen = grid_sample(mask, grid, mode="nearest", align_corners=False)
            return seen, seen.clone()
        # beside the picture 0, in it 1, on the specimen 2: one sampling tells both
        level = grid_sample(mask + 1, grid, mode="nearest", align_corners=False)
        shown = level.clamp(max=1)
        return shown, level.sub_(shown)

    def _erase(self, draws: dict[str, NDArray[np.float64]], *masks: Tensor) -> None:
        """Zero the erased rectangles of (N, 1, h, w) masks."""
        if self._erasing is None:
            return
        u = draws[self._erasing.kind]
        boxes = self._erasing.boxes(u[:, 1:], self._size)
        active = u[:, 0] < self._erasing.p
        if not together(masks[0].device):
            for row in np.flatnonzero(active):
                x0, y0, width, height = boxes[row].tolist()
                for mask in masks:
                    mask[row, :, y0 : y0 + height, x0 : x0 + width] = 0
            return
        first, size = boxes[:, :2], boxes[:, 2:] * active[:, None]
        # (N, 2, S): which columns, and which rows, are within
        pixel, from_first = np.arange(self._size), first[..., None]
        within = (pixel >= from_first) & (pixel < from_first + size[..., None])
        x, y = placed(within, masks[0].device)[:, :, None].unbind(1)
        for mask in masks:
            mask.masked_fill_((x & y.mT)[:, None], 0)


class _Render(torch.autograd.Function):
    """`Renderer.render`, given also what there is a gradient to: pictures, fill and units."""

    @staticmethod
    def forward(
        ctx: Any,
        renderer: Renderer,
        request: ViewRequest,
        chunks: Sequence[Chunk],
        *learned: Tensor,
    ) -> Tensor:
        # not the request itself: it holds the views, which hold this
        ctx.renderer, ctx.image_of_row = renderer, request.image_of_row
        ctx.kinds, ctx.shapes = tuple(request.units), [each.shape for each in learned]
        ctx.tapes = [renderer.forward(request, chunk, keep=True) for chunk in chunks]
        return request.views.image

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        images, fill, *units = (grad.new_zeros(shape) for shape in ctx.shapes)
        of_kind = dict(zip(ctx.kinds, units, strict=True))
        for tape in ctx.tapes:
            rows = tape.chunk.rows
            pictures, fills, own = ctx.renderer.backward(tape, grad[index(rows, grad.device)])
            images.index_add_(0, placed(ctx.image_of_row[rows], grad.device), pictures)
            fill += fills
            for kind, unit in own.items():
                of_kind[kind] += unit
        return None, None, None, images, fill, *units


class _Own(threading.local):
    """What every thread has for itself."""

    def __init__(self) -> None:
        self.buffer = torch.empty(0)


def _sampled(pixels: Tensor, grid: Tensor) -> Tensor:
    """(n, C, h, w) of pictures by a (n, h, w, 2) grid; of a single one, threads share the bands."""
    count, bands, *_ = pixels.shape
    parts = math.gcd(bands, torch.get_num_threads()) if count == 1 else 1
    shared = pixels.view(count * parts, bands // parts, *pixels.shape[2:])
    shared_grid = grid.expand(count * parts, -1, -1, -1)
    view = grid_sample(shared, shared_grid, padding_mode="border", align_corners=False)
    return view.view(count, bands, *view.shape[2:])


def _shrunk(pictures: Tensor, shrink: int) -> Tensor:
    """(n, C, S / shrink, S / shrink), rounded up: means over squares of so many pixels."""
    if shrink == 1:
        return pictures
    border = (0, -pictures.shape[-1] % shrink) * 2
    return avg_pool2d(pad(pictures, border, mode="replicate"), shrink)
