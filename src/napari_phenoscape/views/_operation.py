"""Operation: what every augmentation is, whichever of the three stages it belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, Field

from napari_phenoscape.option import Option

if TYPE_CHECKING:
    from napari_phenoscape.views._colour import BandContext


class Operation(Option):
    """One kind of random change; with probability ``p`` a view undergoes it."""

    invariance: ClassVar[str]
    #: Uniform numbers that one view needs, the switch not counted.
    draws: ClassVar[int] = 0

    kind: str
    p: float = Field(0.5, ge=0, le=1, description="share of the views that it changes")

    def commutes(self, context: BandContext) -> bool:
        """Whether views of mixed bands are the mixes of the views, for any mix of the bands.

        If all operations of a list do, bands are mixed before the views are made, which is faster;
        else after, which is always right.
        """
        return False

    def warning(self) -> str:
        """What this setting destroys, in a sentence; empty when nothing."""
        return ""


def _rises(interval: tuple[float, float]) -> tuple[float, float]:
    low, high = interval
    if low > high:
        raise ValueError(f"an interval goes from low to high; {low:g} is above {high:g}.")
    return interval


Positive = Annotated[float, Field(gt=0)]
NotNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(gt=0, le=1)]
PositiveInterval = Annotated[tuple[Positive, Positive], AfterValidator(_rises)]
NotNegativeInterval = Annotated[tuple[NotNegative, NotNegative], AfterValidator(_rises)]
ShareInterval = Annotated[tuple[Share, Share], AfterValidator(_rises)]


def between(u: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
    """Uniform numbers of [0, 1) stretched to [low, high)."""
    return low + (high - low) * u
