"""Toggling: a click on a found piece takes it away, and brings it back; its word is under it."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import numpy as np
import pandas as pd
from napari.layers import Labels
from numpy.typing import NDArray


def say_of_each(layer: Labels, **columns: Sequence[str]) -> None:
    """Let napari say what is known of the piece under the cursor; the first has the number 1."""
    numbers = range(1, len(next(iter(columns.values()))) + 1)
    layer.features = pd.DataFrame({"index": numbers, **columns})


def toggled(
    layer: Labels, found: NDArray[np.integer[Any]], event: Any
) -> Generator[None, None, None]:
    """What a press of the mouse on a layer begins; a drag moves the picture as ever.

    Parameters
    ----------
    layer
        What is drawn of the pieces; its history undoes a click.
    found : (H, W)
        All pieces by their numbers, those that are left out too; 0 between them.
    """
    if layer.mode != "pan_zoom":
        return
    yield
    if event.type == "mouse_move":
        return
    place = tuple(round(at) for at in layer.world_to_data(event.position)[-2:])
    if any(not 0 <= at < side for at, side in zip(place, layer.data.shape, strict=True)):
        return
    number, piece = int(layer.data[place]), int(found[place])
    if number:
        layer.data_setitem(np.nonzero(layer.data == number), 0)
    elif piece:
        layer.data_setitem(np.nonzero(found == piece), piece)
