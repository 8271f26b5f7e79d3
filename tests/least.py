"""The samples' own experiment with the least net: most tests are not about the net."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from napari_phenoscape.samples._experiments import RGB_UV

#: 0.3 million weights; ResNet-18 has 11 million, which every checkpoint writes three times.
BACKBONE = "shufflenet_v2_x0_5"


def least(samples: Path) -> dict[str, Any]:
    """Fields of ``rgb-uv.yaml`` of some samples."""
    given = RGB_UV.anchored(samples).model_dump(mode="json")
    given["encoder"]["backbone"] = BACKBONE
    return given
