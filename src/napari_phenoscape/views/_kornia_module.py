"""KorniaModule: a photometric operation or a filter of ours, in pipelines built with Kornia."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from kornia.augmentation import IntensityAugmentationBase2D
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.autograd.function import once_differentiable

from napari_phenoscape.cubes import Bands
from napari_phenoscape.views._colour import BandContext
from napari_phenoscape.views._filters import Filter
from napari_phenoscape.views._photometric import Photometric


class KorniaModule(IntensityAugmentationBase2D):
    """One operation on (N, C, H, W) reflectance, in any container of Kornia.

    Its random numbers come from torch, and are kept as the parameter ``u``, so a container can
    repeat them. There is no mask: the whole picture is the specimen.

    Parameters
    ----------
    operation
        What to do, e.g. `RandomIlluminantTilt` or `ColorJitter`.
    bands : C
        Of the pictures.
    mean : (C,)
        Their mean reflectance over the collection.
    same_on_batch, keepdim
        As in Kornia.

    Raises
    ------
    BandMismatchError
        The operation needs wavelengths that the bands do not have.
    """

    def __init__(
        self,
        operation: Photometric | Filter,
        bands: Bands,
        mean: ArrayLike,
        same_on_batch: bool = False,
        keepdim: bool = False,
    ) -> None:
        super().__init__(p=operation.p, same_on_batch=same_on_batch, keepdim=keepdim)
        self.operation = operation
        self._context = BandContext.of(bands, np.asarray(mean, np.float32))
        if isinstance(operation, Photometric):
            operation.check(self._context)

    def generate_parameters(self, shape: tuple[int, ...]) -> dict[str, Tensor]:
        """(N, draws) uniform numbers; one more than none, which Kornia could not repeat."""
        rows = 1 if self.same_on_batch else shape[0]
        u = torch.rand(rows, max(1, self.operation.draws), dtype=torch.float64)
        return {"u": u.expand(shape[0], -1)}

    def apply_transform(
        self,
        input: Tensor,  # noqa: A002, Kornia's name
        params: dict[str, Tensor],
        flags: dict[str, Any],
        transform: Tensor | None = None,
    ) -> Tensor:
        """The pictures that the probability chose, changed."""
        u = params["u"].cpu().numpy()
        image = input.clone()
        if isinstance(self.operation, Filter):
            unit = torch.as_tensor(self.operation.unit(self._context)).to(image)
            if image.requires_grad:
                filtered: Tensor = _Filtered.apply(image, self.operation, u, unit)
                return filtered
            return self.operation.apply(image, u, 0, unit)
        image *= image.new_tensor(self.operation.gain(u)).view(-1, 1, 1, 1)
        if self.operation.changes_pixels:
            return self.operation.apply(image, torch.ones_like(image[:, :1]), u, self._context)
        return image


class _Filtered(torch.autograd.Function):
    """Pictures that a filter changed in place, with a gradient to what they were."""

    @staticmethod
    def forward(
        ctx: Any, image: Tensor, operation: Filter, u: NDArray[np.float64], unit: Tensor
    ) -> Tensor:
        ctx.mark_dirty(image)
        ctx.filter_backward = operation.apply_with_backward(image, u, unit)
        return image

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        grad = grad.clone()
        ctx.filter_backward(grad)
        return grad, None, None, None
