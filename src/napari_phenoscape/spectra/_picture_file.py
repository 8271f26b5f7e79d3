"""Picture: a cube as the eye, or another way of looking, sees it, as PNG."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

from PIL import Image

from napari_phenoscape._atomic import check_outputs
from napari_phenoscape.cubes import (
    Interpretation,
    files_of,
    open_cube,
    save_drawn,
    unmeasured_doubts,
)
from napari_phenoscape.events import Event, Notice, Progress, Saved
from napari_phenoscape.spectra._pictures import COLOURS, picture


def write_picture(
    path: Path,
    output: Path,
    show: str = COLOURS,
    read_as: Interpretation | None = None,
    *,
    overwrite: bool = False,
) -> Generator[Event, None, Path]:
    """Write a picture of a cube as PNG.

    Parameters
    ----------
    path
        A cube.
    output
        The PNG.
    show
        A way to look at it (`spectral.shown_bands`).
    read_as
        What its planes are, where the file does not say it or says it wrongly.
    overwrite
        Whether a file that is there may be replaced; the cube never is.

    Raises
    ------
    PhenoscapeError
        The cube cannot be opened or shown so, or the disk refuses.
    """
    cube = open_cube(path, read_as)
    check_outputs([output], files_of(path), overwrite=overwrite)
    yield from map(Notice, unmeasured_doubts(cube))
    yield Progress("making the picture", 0, 1)
    made = Image.fromarray(picture(cube, show))
    save_drawn(made, output)
    yield Saved(output)
    return output
