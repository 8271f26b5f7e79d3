"""Convert: a cube, or a part of it, to another file."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

from napari_phenoscape.cube import Modality, as_modality
from napari_phenoscape.derived import binned, cropped, in_reflectance
from napari_phenoscape.errors import OptionError
from napari_phenoscape.events import Event
from napari_phenoscape.io import Interpretation, open_cube
from napari_phenoscape.io.write import write_cube
from napari_phenoscape.processing import band_index, calibrated, smoothed, without_continuum


def convert(
    path: Path,
    output: Path,
    modality: Modality | str = "all",
    rows: slice = slice(None),
    columns: slice = slice(None),
    *,
    bin_bands: int = 1,
    bin_pixels: int = 1,
    reflectance: bool = False,
    white: Path | None = None,
    dark: Path | None = None,
    panel: float = 1.0,
    smooth: int = 0,
    continuum: bool = False,
    index: str = "",
    read_as: Interpretation | None = None,
) -> Generator[Event, None, list[Path]]:
    """Write a cube, or some bands, rows and columns of it, to another file.

    The numbers stay those of the file, exactly, with their scale; binned ones are reflectance.
    The cube is read and written in blocks and is never in memory as a whole.

    Parameters
    ----------
    path
        A cube.
    output
        A file that is not there yet; its ending is the format (`write_cube`).
    modality
        Which bands.
    rows, columns
        Half-open ranges of pixels.
    bin_bands, bin_pixels
        Mean over so many neighbouring bands, and squares of so many pixels a side.
    reflectance
        Write reflectance (float32) instead of the file's numbers.
    white, dark, panel
        Cubes of references, and the white one's reflectance; the numbers are then calibrated
        (`calibrated`) before anything else.
    smooth
        Bands in the window of a Savitzky-Golay filter; 0 = none.
    continuum
        Divide every spectrum by its continuum.
    index
        Write one band instead, made by this formula (`band_index`).
    read_as
        What the planes of the cube are, where its file does not say it or says it wrongly.

    Returns
    -------
    The files that were written.

    Raises
    ------
    PhenoscapeError
        The cube cannot be opened, lacks the bands, or the output cannot be written.
    """
    cube = open_cube(path, read_as)
    if white is not None:
        cube = calibrated(cube, open_cube(white), None if dark is None else open_cube(dark), panel)
    elif dark is not None:
        raise OptionError("A dark reference was given without a white one; both are needed.")
    part = cropped(cube, as_modality(modality).indices(cube), rows, columns)
    if bin_bands > 1 or bin_pixels > 1:
        part = binned(part, bin_bands, bin_pixels)
    elif reflectance:
        part = in_reflectance(part)
    if smooth:
        part = smoothed(part, smooth)
    if continuum:
        part = without_continuum(part)
    if index:
        part = band_index(part, index)
    return (yield from write_cube(part, output))
