"""Grid: which pixels of an image each place of a feature grid looks at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from torch import Tensor, nn


class Grid(NamedTuple):
    """Where the places of a feature grid look; the same across and down.

    Parameters
    ----------
    rows, columns
        h' and w'.
    first, step
        The receptive field of place i is centred at pixel ``first + step * i`` of the image (pixel
        centres are whole numbers).
    """

    rows: int
    columns: int
    first: float
    step: float


@contextmanager
def lattice(net: nn.Module) -> Iterator[list[tuple[float, float]]]:
    """(first, step) as in `Grid` after each layer of a net that changes the size, when it is used.

    Branches that run side by side lead from the same size to the same; one of them counts.
    """
    reached, known = [(0.0, 1.0)], set[tuple[int, int]]()

    def follow(layer: Any, given: tuple[Tensor, ...], out: Tensor) -> None:
        before, after = given[0].shape[2], out.shape[2]
        if before == after or (before, after) in known:
            return
        known.add((before, after))
        dilation = getattr(layer, "dilation", 1)
        kernel, stride, padding, dilation = (
            value[0] if isinstance(value, tuple) else value
            for value in (layer.kernel_size, layer.stride, layer.padding, dilation)
        )
        first, step = reached[-1]
        reached.append((first + ((kernel - 1) * dilation / 2 - padding) * step, step * stride))

    kinds = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)
    hooks = [m.register_forward_hook(follow) for m in net.modules() if isinstance(m, kinds)]
    try:
        yield reached
    finally:
        for hook in hooks:
            hook.remove()


def grid_of(seen: Tensor, reached: Sequence[tuple[float, float]], image_size: int) -> Grid:
    """Where the places of (1, D, h', w') look, by the layers that led there.

    They tile the image where other layers than these shrink it (the merging of Swin).
    """
    rows, columns = seen.shape[2:]
    first, step = reached[-1]
    if abs(first + step * (rows - 1) / 2 - (image_size - 1) / 2) > step:
        step = image_size / rows
        first = (step - 1) / 2
    return Grid(rows, columns, first, step)
