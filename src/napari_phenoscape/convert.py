"""Convert: a cube, or a part of it, to another file."""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cube import Cube, Modality, as_modality
from napari_phenoscape.derived import binned, cropped, in_reflectance
from napari_phenoscape.errors import CubeError, OptionError
from napari_phenoscape.events import Event, Notice
from napari_phenoscape.io import Interpretation, open_cube, read_mask
from napari_phenoscape.io.write import write_cube
from napari_phenoscape.processing import (
    band_index,
    calibrated,
    region_reference,
    smoothed,
    without_continuum,
)
from napari_phenoscape.spectra import angles_to, pixel_spectrum, read_spectra
from napari_phenoscape.vision import Eye, Illuminant, cone_catch


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
    white: Path | str | None = None,
    dark: Path | str | None = None,
    panel: float = 1.0,
    smooth: int = 0,
    continuum: bool = False,
    index: str = "",
    read_as: Interpretation | None = None,
    angle: tuple[int, int] | Path | None = None,
    eye: Eye | None = None,
    light: Illuminant | None = None,
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
        References, and the white one's reflectance; the numbers are then calibrated
        (`calibrated`) before anything else. A reference is the path of a cube, or a region of the
        cube itself in words (`region_of`).
    smooth
        Bands in the window of a Savitzky-Golay filter; 0 = none.
    continuum
        Divide every spectrum by its continuum.
    index
        Write one band instead, made by this formula (`band_index`).
    read_as
        What the planes of the cube, and of the references, are, where their files do not say it
        or say it wrongly.
    angle
        Write spectral angles in radians instead (`spectral_angle`): to the spectrum of a pixel
        (row and column in the whole cube), processed likewise, or to each spectrum of a CSV.
    eye, light
        Write what the receptors of an eye catch of it instead, in a light (`cone_catch`).

    Returns
    -------
    The files that were written.

    Raises
    ------
    PhenoscapeError
        The cube cannot be opened, lacks the bands, or the output cannot be written.
    """
    cube = open_cube(path, read_as)
    if (bool(index), angle is not None, eye is not None).count(True) > 1:
        raise OptionError(
            "More than one of a band index, a spectral angle and cone catches was asked for; "
            "choose one of them."
        )
    if white is not None:
        shade = None if dark is None else _reference(cube, dark, read_as)
        cube = calibrated(cube, _reference(cube, white, read_as), shade, panel)
    elif dark is not None:
        raise OptionError("A dark reference was given without a white one; both are needed.")
    bands = as_modality(modality).indices(cube)

    def part(rows: slice, columns: slice, bin_pixels: int) -> Cube:
        made = cropped(cube, bands, rows, columns)
        if bin_bands > 1 or bin_pixels > 1:
            made = binned(made, bin_bands, bin_pixels)
        elif reflectance:
            made = in_reflectance(made)
        if smooth:
            made = smoothed(made, smooth)
        return without_continuum(made) if continuum else made

    written = part(rows, columns, bin_pixels)
    if index:
        written = band_index(written, index)
    elif isinstance(angle, Path):
        written = angles_to(written, read_spectra(angle))
    elif angle is not None:
        row, column = angle
        pixel = part(slice(row, row + 1), slice(column, column + 1), 1)
        name = f"{path.stem} ({row}, {column})"
        written = angles_to(written, [replace(pixel_spectrum(pixel, 0, 0), name=name)])
    elif eye is not None:
        seen = cone_catch(written, eye, light)
        for sentence in seen.provenance[len(written.provenance) :]:
            yield Notice(sentence)
        written = seen
    return (yield from write_cube(written, output))


def region_of(words: str, cube: Cube) -> NDArray[np.bool_]:
    """(H, W) True in a region of a cube that is given in words.

    Parameters
    ----------
    words
        ``ROW:ROW,COLUMN:COLUMN``, the ends left out; or a label image, of which every number
        above 0 belongs to the region, or with ``,NUMBER`` behind its name that one.

    Raises
    ------
    CubeError
        A range lies outside of the cube.
    PhenoscapeError
        The label image cannot be read.
    """
    rows, columns = cube.shape[1:]
    region = np.zeros((rows, columns), dtype=bool)
    if box := re.fullmatch(r"(\d*):(\d*),(\d*):(\d*)", words):
        low, high, left, right = (int(end) if end else None for end in box.groups())
        region[slice(low, high), slice(left, right)] = True
        if not region.any() or (high or 0) > rows or (right or 0) > columns:
            raise CubeError(
                f"'{cube.path.name}' has {rows} rows and {columns} columns; {words} is not a part "
                "of them. Give ROW:ROW,COLUMN:COLUMN from 0, the lower one first."
            )
        return region
    image = re.fullmatch(r"(.+?)(?:,(\d+))?", words)
    assert image is not None  # matches everything
    numbers = read_mask(Path(image[1]))
    return numbers == int(image[2]) if image[2] else numbers > 0


def _reference(cube: Cube, given: Path | str, read_as: Interpretation | None) -> Cube:
    if isinstance(given, Path):
        return open_cube(given, read_as)
    return region_reference(cube, region_of(given, cube))
