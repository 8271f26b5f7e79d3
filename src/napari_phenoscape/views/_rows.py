"""Rows: which pictures of a batch an operation changes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape._device import index, placed

if TYPE_CHECKING:
    from torch import Tensor

Rows = slice | NDArray[np.intp]


def column(numbers: NDArray[Any], like: Tensor) -> Tensor:
    """(N, 1, 1, 1) numbers, one for each of (N, C, H, W) pictures."""
    return placed(numbers, like.device, like.dtype).view(-1, 1, 1, 1)


def active_rows(active: NDArray[np.bool_], images: Tensor) -> Iterator[tuple[Rows, Tensor]]:
    """Which of the images are active, and these to be changed; nothing where none is.

    Neighbours are a part of the images. Others are copied and written back: a few numbers at a time
    would take longer.
    """
    rows = np.flatnonzero(active)
    if not len(rows):
        return
    where = index(rows, images.device)
    some = images[where]
    if isinstance(where, slice):
        yield where, some
        return
    yield rows, some
    images[where] = some
