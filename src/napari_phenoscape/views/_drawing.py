"""Drawing: a few views at a time, from their pictures, and the gradient back to these."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import avg_pool2d, grid_sample, pad

from napari_phenoscape.views._colour import Scene
from napari_phenoscape.views._filters import Filter, RandomGaussianNoise, bands_of_a_seed
from napari_phenoscape.views._geometry import (
    RandomErasing,
    RandomPerspective,
    RandomThinPlateSpline,
)
from napari_phenoscape.views._operation import Operation
from napari_phenoscape.views._order import Chunk, Drawn, Order
from napari_phenoscape.views._photometric import Photometric
from napari_phenoscape.views._warp import Warp


class Drawing:
    """Fills the rows of views: light, one sampling, lens and sensor.

    Parameters
    ----------
    operations
        Each kind at most once.
    scene
        What they act on.
    size, background
        As the `Augmenter` has them.

    Attributes
    ----------
    warp
        Makes the places of the sampling.
    noisy
        Kinds of the operations that add noise, in their order.
    """

    def __init__(
        self,
        operations: Sequence[Operation],
        scene: Scene,
        size: int,
        background: Literal["remove", "keep"],
    ) -> None:
        self._scene, self._size, self._background = scene, size, background
        self._filters = [op for op in operations if isinstance(op, Filter)]
        self._mixes_pixels = any(op.mixes_pixels for op in self._filters)
        self._erasing = next((o for o in operations if isinstance(o, RandomErasing)), None)
        self.noisy: tuple[str, ...] = tuple(
            op.kind for op in self._filters if isinstance(op, RandomGaussianNoise)
        )
        projective = any(isinstance(op, RandomPerspective) for op in operations)
        bends = any(isinstance(op, RandomThinPlateSpline) for op in operations)
        self.warp = Warp(size, projective, bends)
        self._own = _Own()

    def draw(self, order: Order, chunk: Chunk) -> Drawn:
        """Fill the rows of the views that are those of a chunk."""
        rows, shrink = chunk.rows, chunk.shrink
        pictures, image = order.pictures(rows), order.views.image[rows]
        mask = order.masks[chunk.specimens].float()
        side, cpu = pictures.shape[-1], pictures.device.type == "cpu"
        draws = {kind: u[rows] for kind, u in order.draws.items()}
        source, gain = self.lit(order.photometric, pictures, mask, draws)
        grid = self.warp(order.factors[rows])
        shown, seen = self._seen(mask, grid)
        visible = shown.clone() if self._mixes_pixels else shown
        self._erase(draws, visible, seen)
        order.views.mask[rows] = seen
        if shrink > 1:
            # the pooled picture is as wide as the padded one
            grid = (grid + 1) * (side / (side + -side % shrink)) - 1
        bands = source.shape[1]
        # noise of mixed bands is itself a mix, of all
        alone = all(unit.ndim == 1 for unit in order.units.values())
        block = torch.get_num_threads() * bands_of_a_seed(self._size) if alone and cpu else bands
        kept: list[Tensor | None] = []
        for first in range(0, bands, block):
            part = slice(first, first + block)
            fill, pixels = order.fill[:, part], _shrunk(source[:, part], shrink)
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
                u = draws[op.kind]
                unit = order.units.get(op.kind, fill)
                unit = unit[part] if alone else unit
                for on, some in _active(u[:, 0] < op.p, view):
                    kept.append(op.apply(some, u[on, 1:], first, unit))
            # a weight of 0 or 1 gives one or the other, bit for bit; torch.where is slower.
            # into place: fresh memory costs as much as the arithmetic
            torch.lerp(fill, view, visible, out=image[:, part])
        return Drawn(chunk, pictures.shape, draws, grid, gain, shown, visible, kept)

    def back(self, drawn: Drawn, slope: Tensor) -> tuple[Tensor, ...]:
        """Gradients to the pictures of a chunk, the fill and the units, from that to its views.

        All that is drawn is affine in these; this is its transpose, from the last to the first.
        """
        left = slope * drawn.visible
        fill = slope.sum((0, 2, 3)) - left.sum((0, 2, 3))
        kept = list(drawn.kept)
        units = {kind: fill.new_zeros(len(fill), len(fill)) for kind in self.noisy}
        for op in reversed(self._filters):
            u = drawn.draws[op.kind]
            for on, some in _active(u[:, 0] < op.p, left):
                found = op.adjoint(some, u[on, 1:], kept.pop())
                if found is not None:
                    units[op.kind] += found
        if self._mixes_pixels:
            fill += left.sum((0, 2, 3))
            left *= drawn.shown
            fill -= left.sum((0, 2, 3))
        if drawn.gain is not None:
            left *= drawn.gain
        with torch.enable_grad():
            # their values do not matter
            pictures = slope.new_zeros(drawn.shape, requires_grad=True)
            pixels = _shrunk(pictures, drawn.chunk.shrink)
        # 0: bilinear, 1: border; of the gradients to pixels and places only the first
        left, _ = torch.ops.aten.grid_sampler_2d_backward(
            left, pixels.detach(), drawn.grid, 0, 1, False, [True, False]
        )
        if pixels is not pictures:
            (left,) = torch.autograd.grad(pixels, pictures, left)
        return left, fill.view(1, -1, 1, 1), *units.values()

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
            for rows, some in _active(active, image):
                if op.needs_exposure:
                    # of these only: when a gain is applied must not depend on other specimens
                    some *= some.new_tensor(gain[rows]).view(-1, 1, 1, 1)
                    gain[rows] = 1
                op.apply(some, mask[rows], u[rows, 1:], self._scene)
        return image, images.new_tensor(gain).view(-1, 1, 1, 1)

    def _copied(self, images: Tensor) -> Tensor:
        """A copy in memory that is kept: fresh memory costs as much as the arithmetic."""
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
        boxes = self._erasing.boxes(u[:, 1:], self._size).tolist()
        for row in np.flatnonzero(u[:, 0] < self._erasing.p):
            x0, y0, width, height = boxes[row]
            for mask in masks:
                mask[row, :, y0 : y0 + height, x0 : x0 + width] = 0


class _Own(threading.local):
    """What every thread has for itself."""

    def __init__(self) -> None:
        self.buffer = torch.empty(0)


def _sampled(pixels: Tensor, grid: Tensor) -> Tensor:
    """(n, C, h, w) of pictures at (n, h, w, 2) places; of a single one, threads share the bands."""
    count, bands, *_ = pixels.shape
    parts = math.gcd(bands, torch.get_num_threads()) if count == 1 else 1
    shared = pixels.view(count * parts, bands // parts, *pixels.shape[2:])
    places = grid.expand(count * parts, -1, -1, -1)
    view = grid_sample(shared, places, padding_mode="border", align_corners=False)
    return view.view(count, bands, *view.shape[2:])


def _shrunk(pictures: Tensor, shrink: int) -> Tensor:
    """(n, C, S / shrink, S / shrink), rounded up: means over squares of so many pixels."""
    if shrink == 1:
        return pictures
    border = (0, -pictures.shape[-1] % shrink) * 2
    return avg_pool2d(pad(pictures, border, mode="replicate"), shrink)


def _active(
    active: NDArray[np.bool_], images: Tensor
) -> Iterator[tuple[slice | NDArray[np.intp], Tensor]]:
    """Which of the images are active, and these to be changed; nothing where none is.

    Neighbours are a part of the images. Others are copied and written back: a few numbers at a time
    would take longer.
    """
    rows = np.flatnonzero(active)
    if not len(rows):
        return
    if rows[-1] - rows[0] < len(rows):
        part = slice(int(rows[0]), int(rows[-1]) + 1)
        yield part, images[part]
        return
    some = images[rows]
    yield rows, some
    images[rows] = some
