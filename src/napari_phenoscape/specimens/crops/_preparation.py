"""Preparation: how specimens become crops, and when these are kept on disk."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from pydantic import Field

from napari_phenoscape.option import Here, Option

#: Numbers of a crop on disk, little end first on every machine.
DTYPES: dict[str, np.dtype[Any]] = {"float32": np.dtype("<f4"), "float16": np.dtype("<f2")}


class Preparation(Option):
    """How specimens become crops, and when these are kept on disk."""

    bin_bands: int = Field(
        1,
        ge=1,
        description="mean of so many neighbouring good bands, in order of wavelength; modalities "
        "choose among the means",
    )
    precision: Literal["float32", "float16"] = Field(
        "float32",
        description="float16 halves the room on disk and rounds reflectance by up to 1 part in "
        "2048, in memory too",
    )
    memory_share: float = Field(
        0.8,
        ge=0,
        le=1,
        description="crops that need more of the free memory than this are kept on disk",
        json_schema_extra={"step": 0.05},
    )
    folder: Here | None = Field(
        None, description="where crops are kept; '.prepared' among the runs when not given"
    )
