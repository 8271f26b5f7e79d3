"""Outlines that are read as they are, and may not mean what they say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from napari_phenoscape.specimens.collection._specimens import Opened, Skipped


def outline_doubt(labels: NDArray[Any] | None) -> str:
    """What a mask does, (H, W) above 0 on specimens, that may be inverted or number its ground."""
    if labels is None:
        return ""
    inside = labels > 0
    if inside.all():
        return "hold every pixel: where the background has a number, make it 0"
    if all(edge.all() for edge in (inside[0], inside[-1], inside[:, 0], inside[:, -1])):
        return "hold the whole border of the picture: where 0 is the specimen, invert them"
    return ""


def doubtful_outlines(opened: Sequence[tuple[Path | None, Opened]]) -> list[Skipped]:
    """A sentence for each doubt about masks.

    Parameters
    ----------
    opened
        The file of a mask, None of one in the cube itself, and the specimen that it outlines.
    """
    by_doubt: dict[str, list[Path]] = {}
    for path, one in opened:
        if one.doubt:
            by_doubt.setdefault(one.doubt, []).append(path or one.specimen.path)
    return [
        Skipped(paths[0], f"{len(paths)} of {len(opened)} masks {doubt}.", only_lacks=True)
        for doubt, paths in by_doubt.items()
    ]
