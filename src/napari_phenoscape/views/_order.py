"""Order: what one call of the augmenter is asked for, and the chunks in which it is done."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from napari_phenoscape.views._photometric import Photometric

if TYPE_CHECKING:
    from napari_phenoscape.views._views import Views


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


class Drawn(NamedTuple):
    """What is kept of a chunk that was drawn, to go back through it.

    Parameters
    ----------
    chunk
        Which it is.
    shape
        n, C, S, S of its pictures.
    draws : (n, 1 + draws) each
        Uniforms of every kind of operation.
    grid : (n, h, w, 2)
        Places in the pictures.
    gain : (n, 1, 1, 1) or None
        Common to all bands.
    shown, visible : (n, 1, h, w)
        0 or 1: what the filters see of the pictures, and what is left of their work.
    kept
        What every filter wants to know again, in their order.
    """

    chunk: Chunk
    shape: torch.Size
    draws: dict[str, NDArray[np.float64]]
    grid: Tensor
    gain: Tensor | None
    shown: Tensor
    visible: Tensor
    kept: list[Tensor | None]


class Learned(torch.autograd.Function):
    """Pictures of views, with a gradient to the pictures they show, the fill and the units.

    Takes a function that draws a chunk, one that gives the gradients of a chunk that was drawn, the
    order and its chunks; then what there is a gradient to.
    """

    @staticmethod
    def forward(
        ctx: Any,
        draw: Callable[[Order, Chunk], Drawn],
        back: Callable[[Drawn, Tensor], tuple[Tensor, ...]],
        order: Order,
        chunks: Sequence[Chunk],
        *_: Tensor,
    ) -> Tensor:
        # not the order itself: it holds the views, which hold this
        ctx.back, ctx.numbers, ctx.shape = back, order.numbers, order.images.shape
        ctx.drawn = [draw(order, chunk) for chunk in chunks]
        return order.views.image

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor) -> tuple[Tensor | None, ...]:
        images, others = slopes[0].new_zeros(ctx.shape), []
        for drawn in ctx.drawn:
            rows = drawn.chunk.rows
            pictures, *rest = ctx.back(drawn, slopes[0][rows])
            for number, picture in zip(ctx.numbers[rows], pictures, strict=True):
                images[number] += picture
            others.append(rest)
        summed = (torch.stack(each).sum(0) for each in zip(*others, strict=True))
        return (None, None, None, None, images, *summed)
