"""Finding: the option that says how specimens are told from their background."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from pydantic import Field

from napari_phenoscape.option import Option

#: What asks for it in place of a mask or of regions.
AUTO = "auto"

#: Column of the metadata that says how well each specimen was found.
OUTLINE = "outline"


class Finding(Option):
    """How specimens are told from a plain background, where ``auto`` asks for it."""

    threshold: float | None = Field(
        None,
        gt=0,
        description="how far from the background a pixel of a specimen is at least, in its own "
        "deviations; without it, where the histogram of the distances parts in two",
        json_schema_extra={"step": 0.5},
    )
    doubtful: bool = Field(
        False,
        description="use specimens that touch the edge, too, and what is found on a background "
        "that is not plain",
    )
    cards: bool = Field(
        False,
        description="take rectangles for specimens, too; else they are labels, rulers and colour "
        "charts",
    )


def tallied(words: Iterable[str]) -> str:
    """How many specimens each word is said of: ``22 clear, 2 touches the edge``."""
    return ", ".join(f"{number} {word}" for word, number in Counter(words).items())
