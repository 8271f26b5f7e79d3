"""Finding: the option that says how specimens are told from their background."""

from __future__ import annotations

from pydantic import Field

from napari_phenoscape.option import Option

#: What asks for it in place of a mask or of regions.
AUTO = "auto"


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
