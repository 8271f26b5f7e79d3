"""Augmenter: two views of many specimens, each sampled from its picture exactly once."""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import avg_pool2d, grid_sample, pad

from napari_phenoscape.augmentations import operations as checked
from napari_phenoscape.augmentations.colour import Scene
from napari_phenoscape.augmentations.filters import (
    Filter,
    RandomGaussianNoise,
    bands_of_a_seed,
)
from napari_phenoscape.augmentations.geometry import (
    RandomErasing,
    RandomPerspective,
    RandomThinPlateSpline,
    composed,
    shrinkage,
)
from napari_phenoscape.augmentations.operation import Operation
from napari_phenoscape.augmentations.order import (
    Chunk,
    Drawn,
    Learned,
    Order,
    chunks_of,
    in_squares,
)
from napari_phenoscape.augmentations.photometric import Photometric
from napari_phenoscape.augmentations.randomness import uniforms
from napari_phenoscape.augmentations.warp import Warp
from napari_phenoscape.cube import Band

#: Values that are worked on at once, of several specimens or of some bands of one, for each thread:
#: few enough to stay in its cache, and so many that the time between two operations does not count.
CHUNK_VALUES = 2**19


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
        return Warp(self.image.shape[-1], False, True).field(self.bends)

    def part(self, rows: slice) -> Views:
        """Some of them."""
        return Views(
            self.image[rows],
            self.mask[rows],
            self.matrix[rows],
            None if self.bends is None else self.bends[rows],
        )


class Augmenter:
    """Makes views; a pure function of pictures, seed, step, specimen number and view number.

    Parameters
    ----------
    operations
        Each kind at most once.
    bands : C
        Of the pictures.
    fill : (C,)
        Reflectance where there is nothing to show: the mean of the collection.
    size
        Side of a view in pixels.
    background
        ``"remove"``: what lies outside the mask is ``fill``; ``"keep"``: only what lies outside
        the picture.
    """

    def __init__(
        self,
        operations: Sequence[Operation],
        bands: Sequence[Band],
        fill: NDArray[np.float32],
        size: int,
        background: Literal["remove", "keep"],
    ) -> None:
        self.operations = checked(operations)  # type: ignore[arg-type]
        self.size = size
        self.background = background
        self.fill = torch.as_tensor(np.asarray(fill, np.float32)).view(1, -1, 1, 1)
        self._scene = Scene.of(bands, np.asarray(fill, np.float32))
        self._photometric: Sequence[Photometric] = [
            op for op in self.operations if isinstance(op, Photometric)
        ]
        self._filters = [op for op in self.operations if isinstance(op, Filter)]
        self._mixes_pixels = any(op.mixes_pixels for op in self._filters)
        self._bend = next(
            (o for o in self.operations if isinstance(o, RandomThinPlateSpline)), None
        )
        self._erasing = next((o for o in self.operations if isinstance(o, RandomErasing)), None)
        for operation in self._photometric:
            operation.check(self._scene)
        self._units: dict[str, Tensor] = {
            op.kind: torch.as_tensor(op.unit(self._scene)) for op in self._filters
        }
        self._noisy = {op.kind for op in self._filters if isinstance(op, RandomGaussianNoise)}
        projective = any(isinstance(op, RandomPerspective) for op in self.operations)
        self._warp = Warp(size, projective, self._bend is not None)
        self._own = _Own()

    @property
    def commutes(self) -> bool:
        """Whether bands may be mixed before anything else happens: see ``mix`` of a call."""
        return all(not op.p or op.is_affine(self._scene) for op in self._photometric)

    def __call__(
        self,
        images: Tensor,
        masks: Tensor,
        *,
        seed: int,
        step: int,
        specimens: NDArray[np.int64] | Tensor,
        view: int | tuple[int, ...],
        mix: Tensor | None = None,
        rows: NDArray[np.int64] | None = None,
    ) -> Views:
        """View number ``view`` of each specimen at a step of the training.

        Parameters
        ----------
        images : (N, C, S, S)
            Reflectance without NaN; not changed. More than N where there are ``rows``.
        masks : (N, 1, S, S)
            True on the specimen.
        specimens : (N,)
            Their numbers in the collection.
        view
            Of several views, all first ones come first, then all second ones.
        mix : (K, C) or None
            Weights; the views then show the K planes ``mix @ reflectance``, and only these are
            warped and filtered. They are the mixes of the views without it, with a gradient to
            the weights; only the noise is another one, of the same distribution. Needs
            `commutes`.
        rows : (N,) or None
            Which of the ``images`` are those of the specimens, so that none need be copied. None:
            all.
        """
        side, size, device = images.shape[-1], self.size, images.device
        which = (view,) if isinstance(view, int) else view
        number, count = len(masks), len(masks) * len(which)
        draws = self._draws(seed, step, np.asarray(specimens), which)
        masks = masks.bool()
        bounds = np.tile(_bounds(masks), (len(which), 1))
        matrix = composed(self.operations, draws, side, size, bounds)
        bends = None if self._bend is None else self._bends(draws[self._bend.kind])
        numbers = np.tile(np.arange(number) if rows is None else rows, len(which))
        fill, photometric = self.fill.to(device), self._photometric
        if mix is not None:
            images, numbers, photometric = self._mixed(images, numbers, masks, draws, mix)
            fill = (mix @ fill.flatten())[:, None, None][None]
        views = Views(
            images.new_empty((count, fill.shape[1], size, size), dtype=torch.float32),
            masks.new_empty((count, 1, size, size)),
            torch.from_numpy(matrix.astype(np.float32)).to(device),
            None if bends is None else torch.from_numpy(bends.astype(np.float32)).to(device),
        )
        factors = self._warp.factors(matrix, side, bends).to(device)
        units = self._unit_of(mix, device)
        order = Order(images, numbers, photometric, masks, draws, factors, fill, units, views)
        chunks = chunks_of(shrinkage(matrix, size), number, self._together(images))
        if images.requires_grad and torch.is_grad_enabled():
            learned = (images, fill, *units.values())
            image = Learned.apply(self._draw, self._back, order, chunks, *learned)
            return views._replace(image=image)
        for chunk in chunks:
            self._draw(order, chunk)
        return views

    def _together(self, images: Tensor) -> int:
        """How many views of (M, C, S, S) pictures are made at once."""
        if images.device.type != "cpu":
            return sys.maxsize
        threads = torch.get_num_threads()
        values = images.shape[1] * max(images.shape[-1], self.size) ** 2
        count = CHUNK_VALUES * threads // values
        # threads share them out when they are sampled
        return max(1, count - count % threads, count % threads)

    def _draws(
        self, seed: int, step: int, specimens: NDArray[np.int64], views: tuple[int, ...]
    ) -> dict[str, NDArray[np.float64]]:
        """(N, 1 + draws) uniforms of each kind for all views; the first is the switch."""
        everyone, view = np.tile(specimens, len(views)), np.repeat(views, len(specimens))
        return {
            op.kind: uniforms(
                1 + op.draws, purpose=op.kind, seed=seed, step=step, specimens=everyone, view=view
            )
            for op in self.operations
        }

    def _bends(self, u: NDArray[np.float64]) -> NDArray[np.float64]:
        """(N, 8, 2) of the `RandomThinPlateSpline.bend_basis`, for bends in view pixels."""
        assert self._bend is not None
        active = (u[:, 0] < self._bend.p)[:, None, None]
        return np.where(active, self._bend.weights(u[:, 1:]), 0) * (self.size / 2)

    def _unit_of(self, mix: Tensor | None, device: torch.device) -> dict[str, Tensor]:
        """The filters' units: see `Filter.apply`."""
        units = {kind: unit.to(device) for kind, unit in self._units.items()}
        if mix is None:
            return units
        # R'R is the covariance of the mixed noise
        return {
            kind: torch.linalg.qr((mix * unit).mT, mode="reduced").R.mT
            for kind, unit in units.items()
            if kind in self._noisy
        }

    def _draw(self, order: Order, chunk: Chunk) -> Drawn:
        """Fill the rows of the views that are those of a chunk."""
        rows, shrink = chunk.rows, chunk.shrink
        pictures, image = order.pictures(rows), order.views.image[rows]
        mask = order.masks[chunk.specimens].float()
        side, cpu = pictures.shape[-1], pictures.device.type == "cpu"
        draws = {kind: u[rows] for kind, u in order.draws.items()}
        source, gain = self._lit(order.photometric, pictures, mask, draws)
        grid = self._warp(order.factors[rows])
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
        block = torch.get_num_threads() * bands_of_a_seed(self.size) if alone and cpu else bands
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

    def _back(self, drawn: Drawn, slope: Tensor) -> tuple[Tensor, ...]:
        """Gradients to the pictures of a chunk, the fill and the units, from that to its views.

        All that is drawn is affine in these; this is its transpose, from the last to the first.
        """
        left = slope * drawn.visible
        fill = slope.sum((0, 2, 3)) - left.sum((0, 2, 3))
        bands, kept = len(fill), list(drawn.kept)
        units = {op.kind: fill.new_zeros(bands, bands) for op in self._filters}
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
        noisy = (found for kind, found in units.items() if kind in self._noisy)
        return left, fill.view(1, -1, 1, 1), *noisy

    def _mixed(
        self,
        images: Tensor,
        numbers: NDArray[np.int64],
        masks: Tensor,
        draws: dict[str, NDArray[np.float64]],
        mix: Tensor,
    ) -> tuple[Tensor, NDArray[np.int64], Sequence[Photometric]]:
        """(R, K, S, S) mixes of the pictures, and what `Order` says of them.

        The photometric stage is affine in a pixel's spectrum, so what it does to the unit spectra
        and to darkness is all that it does: mix @ (A x + b) = (mix @ A) x + mix @ b. Where it is
        but a common factor, the views of a specimen have one mix.
        """
        changing = [op for op in self._photometric if op.p and op.changes_pixels]
        if not changing:
            seen = np.arange(len(masks))
            # each by itself, for the bits of a matrix product depend on the batch
            planes = in_squares(mix @ images[number].flatten(1) for number in numbers[seen])
            return planes, np.tile(seen, len(numbers) // len(masks)), self._photometric
        bands, rows = images.shape[1], []
        # pixels: the unit spectra, darkness, and the specimen's mean, which alone is in the mask
        pixels = images.new_zeros((1, bands, bands + 2, 1))
        pixels[:, :, :bands, 0] = torch.eye(bands, device=images.device)
        specimen = images.new_zeros((1, 1, bands + 2, 1))
        specimen[:, :, -1] = 1
        for row, number in enumerate(numbers):
            picture = images[number].flatten(1)
            if any(op.sees_specimen for op in changing):
                mask = masks[row % len(masks)].flatten().float()
                pixels[0, :, -1, 0] = (picture @ mask) / mask.sum().clamp_min(1)
            own = {kind: u[row : row + 1] for kind, u in draws.items()}
            lit, gain = self._lit(self._photometric, pixels, specimen, own)
            factor = 1 if gain is None else gain.flatten()
            if lit is pixels:
                rows.append((mix * factor) @ picture)
                continue
            dark = lit[0, :, bands].clone()
            weights = mix @ ((lit[0, :, :bands, 0] - dark) * factor)
            rows.append(torch.addmm(mix @ (dark * factor), weights, picture))
        return in_squares(rows), np.arange(len(numbers)), ()

    def _lit(
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
        if self.background == "remove":
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
        boxes = self._erasing.boxes(u[:, 1:], self.size).tolist()
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


def _bounds(masks: Tensor) -> NDArray[np.float64]:
    """(N, 4) x0, y0, x1, y1 of each (1, S, S) mask in pixel edges; the whole where it is empty."""
    side = masks.shape[-1]
    bounds = np.empty((len(masks), 4))
    pixels = masks[:, 0].cpu().numpy()  # faster than torch at this
    for axis in (0, 1):
        line = np.asarray(pixels.any(1 + axis))
        bounds[:, axis] = line.argmax(1)
        bounds[:, axis + 2] = side - line[:, ::-1].argmax(1)
    return bounds


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
