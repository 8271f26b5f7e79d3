"""One array of a container file, before any of its numbers is read."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

#: What people call the axis of the bands.
_SPECTRAL = re.compile(r"wave|band|spectr|lambda|channel", re.IGNORECASE)

#: Axes that are never left out, though they have a length of 1.
_OF_PICTURES = ("y", "x")

#: Longest list of numbers that is looked at.
_MOST_BANDS = 100_000


def _no_numbers() -> NDArray[Any]:
    return np.zeros(0)


@dataclass(frozen=True, slots=True)
class Variable:
    """One array of a container file, unread.

    Parameters
    ----------
    name
        Its path in the file, e.g. ``"SITE/Reflectance/Reflectance_Data"``.
    shape, dtype
        As the program that wrote it counts the axes.
    axes
        Names of the axes where the file has them, else empty.
    unit
        Of a list, as the file spells it.
    numbers
        Reads them all, in its shape.
    is_attribute
        A list that an attribute of an array or a group holds: "array/attribute".
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    axes: tuple[str, ...] = ()
    unit: str = ""
    numbers: Callable[[], NDArray[Any]] = _no_numbers
    is_attribute: bool = False

    @property
    def kept(self) -> tuple[int, ...]:
        """Its axes, counted from 0, without those of length 1 that are more than three."""
        kept = list(range(len(self.shape)))
        for axis, side in enumerate(self.shape):  # a single time point, depth, scan, ...
            needed = self.is_spectral(axis) or (self.axes and self.axes[axis] in _OF_PICTURES)
            if len(kept) > 3 and side == 1 and not needed:
                kept.remove(axis)
        return tuple(kept)

    @property
    def is_cube(self) -> bool:
        return len(self.kept) == 3 and min(self.shape) > 0 and self.dtype.kind in "iuf"

    @property
    def length(self) -> int:
        """Of a list of numbers, also of MATLAB's (n, 1) and (1, n); 0 of anything else."""
        count = int(np.prod(self.shape, dtype=object)) if self.shape else 0
        is_list = self.dtype.kind in "iufb" and max(self.shape, default=0) == count
        return count if is_list and count <= _MOST_BANDS else 0

    def is_spectral(self, axis: int) -> bool:
        """Whether the name of an axis is one that bands have."""
        return bool(self.axes) and _SPECTRAL.search(self.axes[axis]) is not None
