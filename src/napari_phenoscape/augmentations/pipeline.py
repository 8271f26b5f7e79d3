"""Augmenter: two views of many specimens, each sampled from its picture exactly once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import avg_pool2d, grid_sample, pad

from napari_phenoscape.augmentations import operations as checked
from napari_phenoscape.augmentations.filters import Filter, RandomGaussianNoise
from napari_phenoscape.augmentations.geometry import (
    RandomErasing,
    RandomPerspective,
    RandomThinPlateSpline,
    composed,
    shrinkage,
)
from napari_phenoscape.augmentations.operation import Operation
from napari_phenoscape.augmentations.photometric import Photometric, Scene
from napari_phenoscape.augmentations.randomness import uniforms
from napari_phenoscape.cube import Band

#: Specimens, and values of the few bands of them, that are worked on together: few enough for the
#: processor's cache, which is several times faster than memory, and enough for its cores.
CHUNK_SPECIMENS = 4
CHUNK_VALUES = 2**20


class Views(NamedTuple):
    """One view of each of N specimens.

    Parameters
    ----------
    image : (N, C, h, w)
        Reflectance, float32.
    mask : (N, 1, h, w)
        True where the view shows specimen.
    matrix : (N, 3, 3)
        Source pixel (x, y, 1) -> view pixel, float32; pixel centres are whole numbers.
    field : (N, h, w, 2) or None
        The bend, in view pixels (x, y): view pixel v shows the source point that the matrix takes
        to v + field(v). None when there is no thin-plate spline.
    """

    image: Tensor
    mask: Tensor
    matrix: Tensor
    field: Tensor | None


class Augmenter:
    """Makes views; a pure function of pictures, seed, step, specimen number and view number.

    It keeps working memory, so two threads need one each.

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
        self._fill = torch.as_tensor(np.asarray(fill, np.float32)).view(1, -1, 1, 1)
        self._scene = Scene.of(bands, np.asarray(fill, np.float32))
        self._photometric = [op for op in self.operations if isinstance(op, Photometric)]
        self._filters = [op for op in self.operations if isinstance(op, Filter)]
        self._mixes_pixels = any(op.mixes_pixels for op in self._filters)
        self._projective = any(isinstance(op, RandomPerspective) for op in self.operations)
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
        self._noise = torch.Generator()
        self._buffer = torch.empty(0)

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
        view: int,
        mix: Tensor | None = None,
    ) -> Views:
        """View number ``view`` of each specimen at a step of the training.

        Parameters
        ----------
        images : (N, C, S, S)
            Reflectance without NaN; not changed.
        masks : (N, 1, S, S)
            True on the specimen.
        specimens : (N,)
            Their numbers in the collection.
        mix : (K, C) or None
            Weights; the views then show the K planes ``mix @ reflectance``, and only these are
            warped and filtered. They are the mixes of the views without it, with a gradient to
            the weights; only the noise is another one, of the same distribution. Needs
            `commutes`.
        """
        count, side, size = len(images), images.shape[-1], self.size
        numbers = np.asarray(specimens)
        draws: dict[str, NDArray[np.float64]] = {
            op.kind: uniforms(
                1 + op.draws, purpose=op.kind, seed=seed, step=step, specimens=numbers, view=view
            )
            for op in self.operations
        }
        masks = masks.bool()
        matrix = composed(self.operations, draws, side, size, _bounds(masks))
        shrink = shrinkage(matrix, size)
        field = self._field(draws, images.device)
        views = Views(
            images.new_empty(
                (count, images.shape[1] if mix is None else len(mix), size, size),
                dtype=torch.float32,
            ),
            masks.new_empty((count, 1, size, size)),
            torch.from_numpy(matrix.astype(np.float32)).to(images.device),
            field,
        )
        fill = self._fill.to(images.device)
        units: dict[str, Tensor] = {
            kind: unit.to(images.device) for kind, unit in self._units.items()
        }
        if mix is not None:
            fill = (mix @ fill.flatten())[:, None, None][None]
            # R'R is the covariance of the mixed noise
            units = {
                kind: torch.linalg.qr((mix * unit).mT, mode="reduced").R.mT
                for kind, unit in units.items()
                if kind in self._noisy
            }
        # on an accelerator all at once; in any case one shrinkage, which is one prefilter
        together = CHUNK_SPECIMENS if images.device.type == "cpu" else max(count, 1)
        for rows in _chunks(shrink, together):
            part = {kind: u[rows] for kind, u in draws.items()}
            self._draw(
                images,
                masks,
                matrix[rows],
                int(shrink[rows.start]),
                rows,
                part,
                views,
                fill,
                units,
                mix,
            )
        return views

    def _draw(
        self,
        images: Tensor,
        masks: Tensor,
        matrix: NDArray[np.float64],
        shrink: int,
        rows: slice,
        draws: dict[str, NDArray[np.float64]],
        views: Views,
        fills: Tensor,
        units: dict[str, Tensor],
        mix: Tensor | None,
    ) -> None:
        """Fill the ``rows`` of ``views``."""
        device, side, size = images.device, images.shape[-1], self.size
        mask = masks[rows].float()
        if mix is None:
            source, gain = self._lit(images[rows], mask, draws)
        else:
            source, gain = self._mixed(images[rows], mask, draws, mix), None
        bend = views.field[rows] if views.field is not None else None
        grid, inside = self._grid(matrix, bend, side, device)
        seen = grid_sample(mask, grid, mode="nearest", align_corners=False) > 0.5
        seen &= inside
        shown = seen if self.background == "remove" else inside
        kept = self._unerased(draws, device)
        if shrink > 1:
            # the pooled picture is as wide as the padded one
            grid = (grid + 1) * (side / (side + -side % shrink)) - 1
        views.mask[rows] = seen & kept
        block = max(1, CHUNK_VALUES // (CHUNK_SPECIMENS * size**2))
        bands = source.shape[1]
        if mix is not None or device.type != "cpu":
            block = bands
        for first in range(0, bands, block):
            part = slice(first, first + block)
            fill = fills[:, part]
            pixels = source[:, part]
            if shrink > 1:
                pixels = avg_pool2d(pad(pixels, (0, -side % shrink) * 2, mode="replicate"), shrink)
            view = grid_sample(pixels, grid, padding_mode="border", align_corners=False)
            if gain is not None:
                view.mul_(gain)
            if self._mixes_pixels:
                # a lens must not smear the removed background into the specimen
                view = torch.where(shown, view, fill)
            for op in self._filters:
                u = draws[op.kind]
                unit = units.get(op.kind, fill)
                unit = unit if mix is not None else unit[part]
                for run in _runs(u[:, 0] < op.p):
                    op.apply(view[run], u[run, 1:], first, unit, self._noise)
            visible = shown & kept
            if view.requires_grad:
                views.image[rows, part] = torch.where(visible, view, fill)
            else:  # no fresh memory, which costs as much as the arithmetic; it has no gradient
                torch.where(visible, view, fill, out=views.image[rows, part])

    def _mixed(
        self, images: Tensor, mask: Tensor, draws: dict[str, NDArray[np.float64]], mix: Tensor
    ) -> Tensor:
        """(N, K, S, S) mixes of the pictures after the photometric stage.

        That stage is affine in a pixel's spectrum, so what it does to the unit spectra and to
        darkness is all that it does: mix @ (A x + b) = (mix @ A) x + mix @ b.
        """
        count, bands = images.shape[:2]
        # pixels: the unit spectra, darkness, and the specimen's mean, which alone is in the mask
        pixels = images.new_zeros((count, bands, bands + 2, 1))
        pixels[:, :, :bands, 0] = torch.eye(bands, device=images.device)
        specimen = images.new_zeros((count, 1, bands + 2, 1))
        specimen[:, :, -1] = 1
        if any(op.sees_specimen and op.changes_pixels for op in self._photometric):
            for i in range(count):
                total = images[i].flatten(1) @ mask[i].flatten()
                pixels[i, :, -1, 0] = total / mask[i].sum().clamp_min(1)
        lit, gain = self._lit(pixels, specimen, draws)
        gains = torch.ones(count, 1, 1, device=images.device) if gain is None else gain[:, 0]
        planes = []
        # one by one: the bits of a matrix product depend on the batch
        for picture, light, factor in zip(images, lit, gains, strict=True):
            if lit is pixels:
                planes.append((mix * factor) @ picture.flatten(1))
                continue
            dark = light[:, bands].clone()
            weights = mix @ ((light[:, :bands, 0] - dark) * factor)
            planes.append(torch.addmm(mix @ (dark * factor), weights, picture.flatten(1)))
        return torch.stack(planes).view(count, len(mix), *images.shape[2:])

    def _lit(
        self, images: Tensor, mask: Tensor, draws: dict[str, NDArray[np.float64]]
    ) -> tuple[Tensor, Tensor | None]:
        """(N, C, S, S) pictures after the photometric stage, but for an (N, 1, 1, 1) gain."""
        if not self._photometric:
            return images, None
        gain = np.ones(len(images))
        image = images
        for op in self._photometric:
            u = draws[op.kind]
            active = u[:, 0] < op.p
            gain = np.where(active, gain * op.gain(u[:, 1:]), gain)
            if not (op.changes_pixels and active.any()):
                continue
            if image is images:
                image = self._copied(images)
            for run in _runs(active):
                if op.needs_exposure:
                    # of these only: when a gain is applied must not depend on other specimens
                    image[run] *= image.new_tensor(gain[run]).view(-1, 1, 1, 1)
                    gain[run] = 1
                op.apply(image[run], mask[run], u[run, 1:], self._scene)
        return image, images.new_tensor(gain).view(-1, 1, 1, 1)

    def _copied(self, images: Tensor) -> Tensor:
        """A copy in memory that is kept: fresh memory costs as much as the arithmetic."""
        if self._buffer.shape[1:] != images.shape[1:] or len(self._buffer) < len(images):
            self._buffer = torch.empty_like(images)
        return self._buffer[: len(images)].copy_(images)

    def _grid(
        self, matrix: NDArray[np.float64], bend: Tensor | None, side: int, device: torch.device
    ) -> tuple[Tensor, Tensor]:
        """Where each view pixel looks, and whether there is picture.

        Returns
        -------
        (N, h, w, 2) places, -1 to 1 from edge to edge of the picture, and (N, 1, h, w) bool.
        """
        normalise = np.array([[2 / side, 0, 1 / side - 1], [0, 2 / side, 1 / side - 1], [0, 0, 1]])
        back = normalise @ np.linalg.inv(matrix)
        centre = (self.size - 1) / 2
        back /= (back[:, 2] @ [centre, centre, 1])[:, None, None]
        m = torch.from_numpy(back.astype(np.float32)).to(device)[..., None, None]
        line = torch.arange(self.size, dtype=torch.float32, device=device)
        x, y = line.view(1, 1, -1), line.view(1, -1, 1)
        if bend is not None:
            x, y = x + bend[..., 0], y + bend[..., 1]
        grid = m.new_empty((len(matrix), self.size, self.size, 2))
        for axis in (0, 1):
            torch.add(m[:, axis, 0] * x, m[:, axis, 1] * y + m[:, axis, 2], out=grid[..., axis])
        if self._projective:
            depth = m[:, 2, 0] * x + (m[:, 2, 1] * y + m[:, 2, 2])
            # behind the camera there is nothing to see
            grid /= depth.clamp_min(1e-6)[..., None]
            grid[depth <= 1e-6] = 2
        near = grid.abs() <= 1
        return grid, (near[..., 0] & near[..., 1])[:, None]

    def _field(self, draws: dict[str, NDArray[np.float64]], device: torch.device) -> Tensor | None:
        """(N, h, w, 2) bend in view pixels."""
        if self._bend is None:
            return None
        u = draws[self._bend.kind]
        active = (u[:, 0] < self._bend.p)[:, None, None]
        weights = np.where(active, self._bend.weights(u[:, 1:]), 0) * (self.size / 2)
        basis = torch.from_numpy(self._bend.bend_basis(self.size).astype(np.float32)).to(device)
        factors = torch.from_numpy(weights.astype(np.float32)).to(device)
        field = factors.new_empty((len(u), self.size, self.size, 2))
        # term by term: the bits of a matrix product depend on the batch
        for start in range(0, len(u), CHUNK_SPECIMENS):
            rows = slice(start, start + CHUNK_SPECIMENS)
            for axis in (0, 1):
                terms = factors[rows, :, axis, None, None]
                total = basis[0] * terms[:, 0]
                for k in range(1, 8):
                    total += basis[k] * terms[:, k]
                field[rows, ..., axis] = total
        return field

    def _unerased(self, draws: dict[str, NDArray[np.float64]], device: torch.device) -> Tensor:
        """(N, 1, h, w) or (1,) False in the erased rectangles."""
        if self._erasing is None:
            return torch.ones(1, dtype=torch.bool, device=device)
        u = draws[self._erasing.kind]
        box = torch.from_numpy(self._erasing.boxes(u[:, 1:], self.size)).to(device)
        x0, y0, width, height = box.view(-1, 4, 1, 1, 1).unbind(1)
        line = torch.arange(self.size, device=device)
        x, y = line.view(1, 1, 1, -1), line.view(1, 1, -1, 1)
        erased = (x >= x0) & (x < x0 + width) & (y >= y0) & (y < y0 + height)
        active = torch.from_numpy(u[:, 0] < self._erasing.p).to(device)
        return ~(erased & active.view(-1, 1, 1, 1))


def _bounds(masks: Tensor) -> NDArray[np.float64]:
    """(N, 4) x0, y0, x1, y1 of each (1, S, S) mask in pixel edges; the whole where it is empty."""
    side = masks.shape[-1]
    bounds = np.empty((len(masks), 4))
    for axis, occupied in enumerate((masks.any(2), masks.any(3))):
        line = occupied[:, 0].cpu().numpy()
        bounds[:, axis] = line.argmax(1)
        bounds[:, axis + 2] = side - line[:, ::-1].argmax(1)
    return bounds


def _runs(active: NDArray[np.bool_]) -> Iterator[slice]:
    """Neighbouring rows that are active: as slices, which copy nothing."""
    edges = np.flatnonzero(np.diff(active, prepend=False, append=False))
    for start, stop in edges.reshape(-1, 2):
        yield slice(int(start), int(stop))


def _chunks(shrink: NDArray[np.int64], together: int) -> Iterator[slice]:
    """Neighbouring rows of the same shrinkage, ``together`` of them at most."""
    start = 0
    for stop in range(1, len(shrink) + 1):
        if stop == len(shrink) or stop - start == together or shrink[stop] != shrink[start]:
            yield slice(start, stop)
            start = stop
