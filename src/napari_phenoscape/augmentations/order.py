"""Order: what one call of the augmenter is asked for, and the chunks in which it is done."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_phenoscape.augmentations.photometric import Photometric

if TYPE_CHECKING:
    from napari_phenoscape.augmentations.pipeline import Views


@dataclass(frozen=True, eq=False)
class Order:
    """What is asked of one call, and where it goes; R rows are those of the views.

    Parameters
    ----------
    images : (M, C, S, S)
        Pictures, or mixes of their bands.
    numbers : (R,)
        Which of the images each row shows.
    photometric
        What is still to be done to them.
    masks : (N, 1, S, S)
        Of the specimens.
    draws : (R, 1 + draws) each
        Uniforms of every kind of operation.
    factors : (R, 8, 8)
        Of the `Warp`.
    fill : (1, C, 1, 1)
        Where there is nothing to show.
    units
        Of the filters, by kind.
    views
        Where they go.
    """

    images: Tensor
    numbers: NDArray[np.int64]
    photometric: Sequence[Photometric]
    masks: Tensor
    draws: dict[str, NDArray[np.float64]]
    factors: Tensor
    fill: Tensor
    units: dict[str, Tensor]
    views: Views

    def pictures(self, rows: slice) -> Tensor:
        """(n, C, S, S); where they are neighbours, not copied."""
        numbers = self.numbers[rows]
        if (np.diff(numbers) == 1).all():
            return self.images[numbers[0] : numbers[-1] + 1]
        return self.images[torch.from_numpy(numbers).to(self.images.device)]

    def learned(self) -> tuple[Tensor, ...]:
        """What there may be a gradient to, beside the pictures."""
        return (self.fill, *self.units.values())

    def learning(self, fill: Tensor, *units: Tensor) -> Order:
        """The same, with others of these."""
        return replace(self, fill=fill, units=dict(zip(self.units, units, strict=True)))


class Chunk(NamedTuple):
    """Views made together: neighbours, and of the same shrinkage, which is one prefilter."""

    rows: slice
    specimens: slice
    shrink: int


def chunks_of(shrink: NDArray[np.int64], specimens: int, together: int) -> list[Chunk]:
    """Views of (R,) shrinkages in chunks of ``together`` at most.

    Both views of a specimen come one after the other: what one has read, the other finds in the
    cache.
    """
    found = []
    for first in range(0, len(shrink), max(1, specimens)):
        start, end = first, first + specimens
        for stop in range(first + 1, end + 1):
            if stop == end or stop - start == together or shrink[stop] != shrink[start]:
                own = slice(start - first, stop - first)
                found.append(Chunk(slice(start, stop), own, int(shrink[start])))
                start = stop
    return sorted(found, key=lambda chunk: chunk.specimens.start)


def in_squares(planes: Iterable[Tensor]) -> Tensor:
    """(R, K, S, S) of R times (K, S * S)."""
    whole = torch.stack(tuple(planes))
    side = math.isqrt(whole.shape[2])
    return whole.view(*whole.shape[:2], side, side)


class Mixed(torch.autograd.Function):
    """(R, K, S, S) mixes of pictures (M, C, S, S) by weights (K, C), with a gradient to these.

    Takes a `map` that may have threads, the weights, the pictures, and which of them are mixed.
    Each is mixed by itself, for the bits of a matrix product depend on the batch.
    """

    @staticmethod
    def forward(
        ctx: Any,
        each: Callable[..., Iterable[Tensor]],
        mix: Tensor,
        images: Tensor,
        numbers: NDArray[np.int64],
    ) -> Tensor:
        ctx.each, ctx.images, ctx.numbers = each, images, numbers
        return in_squares(each(lambda number: mix @ images[number].flatten(1), numbers))

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        def back(row: int) -> Tensor:
            picture: Tensor = ctx.images[ctx.numbers[row]]
            return slopes[0][row].flatten(1) @ picture.flatten(1).mT

        parts = ctx.each(back, range(len(ctx.numbers)))
        return None, torch.stack(tuple(parts)).sum(0), None, None


class Learned(torch.autograd.Function):
    """Pictures of views, with a gradient to the pictures they show.

    Takes what draws a chunk, a `map` that may have threads, the order, its chunks, and what there
    is a gradient to: the order's images and what it has `learned`.

    Every chunk has a graph of its own, so that threads can go back through them; the gradients are
    summed in the order of the chunks, whichever is done first.
    """

    @staticmethod
    def forward(
        ctx: Any,
        draw: Callable[[Order, Chunk, Tensor, Tensor], None],
        each: Callable[..., Iterable[Any]],
        order: Order,
        chunks: Sequence[Chunk],
        *_: Tensor,
    ) -> Tensor:
        whole = order.views.image

        def graph(chunk: Chunk) -> tuple[slice, Tensor, list[Tensor]]:
            learned = (order.pictures(chunk.rows), *order.learned())
            own = [each.detach().requires_grad_() for each in learned]
            image = torch.empty_like(whole[chunk.rows])
            with torch.enable_grad():
                draw(order.learning(*own[1:]), chunk, own[0], image)
            whole[chunk.rows] = image.detach()
            return chunk.rows, image, own

        ctx.each, ctx.graphs = each, list(each(graph, chunks))
        ctx.numbers, ctx.shape = order.numbers, order.images.shape
        return whole

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        def back(graph: tuple[slice, Tensor, list[Tensor]]) -> tuple[Tensor, ...]:
            rows, image, own = graph
            return torch.autograd.grad(
                image, own, slopes[0][rows], allow_unused=True, materialize_grads=True
            )

        found = list(ctx.each(back, ctx.graphs))
        images = slopes[0].new_zeros(ctx.shape)
        for (rows, _, _), (part, *_) in zip(ctx.graphs, found, strict=True):
            for number, own in zip(ctx.numbers[rows], part, strict=True):
                images[number] += own
        others = zip(*(others for _, *others in found), strict=True)
        return (None, None, None, None, images, *(torch.stack(each).sum(0) for each in others))
