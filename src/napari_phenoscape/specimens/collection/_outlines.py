"""Outlines that are read as they are, and may not mean what they say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from napari_phenoscape.cubes import IS_TURNED, Cube, orientation_of
from napari_phenoscape.errors import CollectionError
from napari_phenoscape.specimens.collection._specimens import Opened, Skipped


def refuse_size(labels: NDArray[Any], name: str, cube: Cube) -> None:
    """An error where an outline, (H, W) of a file that is called so, has another size."""
    if labels.shape == cube.shape[1:]:
        return
    words = (
        f"{name} is {labels.shape[0]} × {labels.shape[1]} pixels, the picture "
        f"{cube.shape[1]} × {cube.shape[2]}; the same size was expected."
    )
    if labels.shape == cube.shape[:0:-1] and _is_turned(cube):
        words += " The picture is shown as its orientation tag turns it: turn the mask likewise."
    raise CollectionError(words)


def outline_doubt(labels: NDArray[Any] | None, path: Path | None, cube: Cube) -> str:
    """What a mask does that may be inverted, turned, or number its ground.

    Parameters
    ----------
    labels : (H, W)
        Above 0 on specimens.
    path
        Its file; None of one in the cube itself.
    """
    if labels is None:
        return ""
    inside = labels > 0
    if inside.all():
        return "hold every pixel: where the background has a number, make it 0"
    if all(edge.all() for edge in (inside[0], inside[-1], inside[:, 0], inside[:, -1])):
        return "hold the whole border of the picture: where 0 is the specimen, invert them"
    if path is not None and _is_turned(cube) and orientation_of(path) is None:
        return (
            "have no orientation tag where the picture has one that leaves its size as it is "
            "(turned by 180°, or mirrored), and are taken as drawn on the picture as it is shown: "
            "look at one, and where it lies upside down, turn them"
        )
    return ""


def _is_turned(cube: Cube) -> bool:
    return any(sentence.startswith(IS_TURNED) for sentence in cube.provenance)


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
