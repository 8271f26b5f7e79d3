"""Augmenter: two views of many specimens, each sampled from its picture exactly once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_phenoscape._device import index, placed, together
from napari_phenoscape.cubes import Bands
from napari_phenoscape.views._augmentations import operations as checked
from napari_phenoscape.views._colour import BandContext
from napari_phenoscape.views._filters import Filter, RandomGaussianNoise
from napari_phenoscape.views._geometry import (
    RandomThinPlateSpline,
    SameForAllBands,
    composed,
    shrinkage,
)
from napari_phenoscape.views._operation import Operation
from napari_phenoscape.views._photometric import Photometric
from napari_phenoscape.views._randomness import uniforms
from napari_phenoscape.views._renderer import Renderer
from napari_phenoscape.views._request import ViewRequest, chunks_of, chunks_together
from napari_phenoscape.views._views import Views

#: Values that are worked on at once, of several specimens or of some bands of one, for each thread:
#: few enough to stay in its cache, and so many that the time between two operations does not count.
CHUNK_VALUES = 2**19

#: Values of pictures that are worked on at once on an accelerator, 2 GB: the more, the faster.
VALUES_TOGETHER = 2**29


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
        bands: Bands,
        fill: NDArray[np.float32],
        size: int,
        background: Literal["remove", "keep"],
    ) -> None:
        self.operations = checked(operations)
        self.size = size
        self.fill = torch.as_tensor(np.asarray(fill, np.float32)).view(1, -1, 1, 1)
        self._context = BandContext.of(bands, np.asarray(fill, np.float32))
        self._photometric: Sequence[Photometric] = [
            op for op in self.operations if isinstance(op, Photometric)
        ]
        self._bend = next(
            (o for o in self.operations if isinstance(o, RandomThinPlateSpline)), None
        )
        for operation in self._photometric:
            operation.check(self._context)
        for op in self.operations:
            if not isinstance(op, Photometric | SameForAllBands | Filter):
                raise TypeError(
                    f"{op.kind} belongs to no stage, so it would do nothing. Derive it from "
                    "Photometric, Geometric or Filter."
                )
        self._units = [
            (op, torch.as_tensor(op.unit(self._context)))
            for op in self.operations
            if isinstance(op, Filter)
        ]
        self._renderer = Renderer(self.operations, self._context, size, background)

    @property
    def commutes(self) -> bool:
        """Whether the bands of ``mix`` are mixed before anything else happens, which is faster."""
        return all(not op.p or op.commutes(self._context) for op in self.operations)

    def __call__(
        self,
        images: Tensor,
        masks: Tensor | NDArray[np.bool_],
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
            True on the specimen; on the processor, where they are measured.
        specimens : (N,)
            Their numbers in the collection.
        view
            Of several views, all first ones come first, then all second ones.
        mix : (K, C) or None
            Weights; the views then show the K planes ``mix @ reflectance``, with a gradient to the
            weights. If the operations `commutes`, only these planes are warped and filtered; the
            noise is then another one, of the same distribution.
        rows : (N,) or None
            Which of the ``images`` are those of the specimens, so that none need be copied. None:
            all.
        """
        if mix is not None and not self.commutes:
            views = self(
                images, masks, seed=seed, step=step, specimens=specimens, view=view, rows=rows
            )
            image = (mix @ views.image.flatten(2)).view(-1, len(mix), self.size, self.size)
            return views._replace(image=image)
        side, size, device = images.shape[-1], self.size, images.device
        which = (view,) if isinstance(view, int) else view
        count = len(masks) * len(which)
        draws = self._draws(seed, step, np.asarray(specimens), which)
        measured = np.asarray(masks.cpu() if isinstance(masks, Tensor) else masks, np.bool_)
        bounds, masks = np.tile(_bounds(measured), (len(which), 1)), placed(measured, device)
        matrix = composed(self.operations, draws, side, size, bounds)
        bends = None if self._bend is None else self._bends(draws[self._bend.kind])
        image_of_row = np.tile(np.arange(len(masks)) if rows is None else rows, len(which))
        fill, photometric = placed(self.fill, device), self._photometric
        if mix is not None:
            images, image_of_row, photometric = self._mixed(images, image_of_row, masks, draws, mix)
            fill = (mix @ fill.flatten())[:, None, None][None]
        elif images.requires_grad and torch.is_grad_enabled():
            # autograd goes back through the light
            lit, gain = self._renderer.lit(
                photometric,
                images[index(image_of_row, device)],
                masks.repeat(len(which), 1, 1, 1).float(),
                draws,
            )
            images, image_of_row = lit if gain is None else lit * gain, np.arange(count)
            photometric = ()
        views = Views(
            images.new_empty((count, fill.shape[1], size, size), dtype=torch.float32),
            masks.new_empty((count, 1, size, size)),
            placed(matrix.astype(np.float32), device),
            None if bends is None else placed(bends.astype(np.float32), device),
        )
        factors = placed(self._renderer.warp.factors(matrix, side, bends), device)
        units = self._units_of(mix, device)
        request = ViewRequest(
            images, image_of_row, photometric, masks, draws, factors, fill, units, views
        )
        parts = chunks_together if together(device) else chunks_of
        chunks = parts(shrinkage(matrix, size), len(masks), self._chunk_size(images))
        return views._replace(image=self._renderer.render(request, chunks))

    def _chunk_size(self, images: Tensor) -> int:
        """How many views of (M, C, S, S) pictures are made at once."""
        values = images.shape[1] * max(images.shape[-1], self.size) ** 2
        if together(images.device):
            return max(1, VALUES_TOGETHER // values)
        threads = torch.get_num_threads()
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

    def _units_of(self, mix: Tensor | None, device: torch.device) -> dict[str, Tensor]:
        """The filters' units: see `Filter.apply`."""
        units: dict[str, Tensor] = {op.kind: placed(unit, device) for op, unit in self._units}
        if mix is None:
            return units
        for op, _ in self._units:
            unit = units[op.kind]
            if isinstance(op, RandomGaussianNoise):
                # R'R is the covariance of the mixed noise
                units[op.kind] = torch.linalg.qr((mix * unit).mT, mode="reduced").R.mT
            else:
                units[op.kind] = mix @ unit
        return units

    def _mixed(
        self,
        images: Tensor,
        image_of_row: NDArray[np.int64],
        masks: Tensor,
        draws: dict[str, NDArray[np.float64]],
        mix: Tensor,
    ) -> tuple[Tensor, NDArray[np.int64], Sequence[Photometric]]:
        """Images, image_of_row and photometric of a `ViewRequest`, the images being mixed.

        The photometric stage is affine in a pixel's spectrum, so what it does to the unit spectra
        and to darkness is all that it does: mix @ (A x + b) = (mix @ A) x + mix @ b. Where it is
        but a common factor, the views of a specimen have one mix, and the factor is left to them.
        """
        changing = [op for op in self._photometric if op.p and op.changes_pixels]
        # at once on an accelerator; else each by itself, for the bits of a product depend on the
        # batch
        size = self._chunk_size(images) if together(images.device) else 1
        count = len(image_of_row) if changing else len(masks)
        planes = []
        for rows in np.split(np.arange(count), range(size, count, size)):
            pictures = images[index(image_of_row[rows], images.device)].flatten(2)
            if not changing:
                planes.append(mix @ pictures)
                continue
            matrix, dark = self._light(rows, pictures, masks, draws, changing)
            planes.append(torch.baddbmm(mix @ dark, mix @ matrix, pictures))
        mixed = torch.cat(planes).view(count, len(mix), *images.shape[2:])
        if changing:
            return mixed, np.arange(count), ()
        return mixed, np.tile(np.arange(count), len(image_of_row) // count), self._photometric

    def _light(
        self,
        rows: NDArray[np.intp],
        pictures: Tensor,
        masks: Tensor,
        draws: dict[str, NDArray[np.float64]],
        changing: Sequence[Photometric],
    ) -> tuple[Tensor, Tensor]:
        """(n, C, C) A and (n, C, 1) b: what the photometric stage does to a spectrum x, A x + b.

        Of n ``rows`` of the views, whose (n, C, S * S) pictures are given.
        """
        count, bands, _ = pictures.shape
        # pixels: the unit spectra, darkness, and the specimen's mean, which alone is in the mask
        pixels = pictures.new_zeros((count, bands, bands + 2, 1))
        pixels[:, :, :bands, 0] = torch.eye(bands, device=pictures.device)
        specimen = pictures.new_zeros((count, 1, bands + 2, 1))
        specimen[:, :, -1] = 1
        if any(op.sees_specimen for op in changing):
            mask = masks[index(rows % len(masks), pictures.device)].flatten(2).to(pictures.dtype).mT
            pixels[:, :, -1] = (pictures @ mask) / mask.sum(1, keepdim=True).clamp_min(1)
        own = {kind: u[rows] for kind, u in draws.items()}
        lit, gain = self._renderer.lit(self._photometric, pixels, specimen, own)
        factor = 1 if gain is None else gain[..., 0]
        dark = lit[:, :, bands]
        return (lit[:, :, :bands, 0] - dark) * factor, dark * factor


def _bounds(masks: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(N, 4) x0, y0, x1, y1 of each (1, S, S) mask in pixel edges; the whole where it is empty."""
    side = masks.shape[-1]
    bounds = np.empty((len(masks), 4))
    for axis in (0, 1):
        line = np.asarray(masks[:, 0].any(1 + axis))
        bounds[:, axis] = line.argmax(1)
        bounds[:, axis + 2] = side - line[:, ::-1].argmax(1)
    return bounds
