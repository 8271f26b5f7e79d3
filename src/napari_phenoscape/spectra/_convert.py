"""Convert: a cube, or a part of it, to another file."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field, replace
from pathlib import Path

from napari_phenoscape._atomic import check_outputs
from napari_phenoscape.cubes import (
    Cube,
    Interpretation,
    Modality,
    as_modality,
    binned,
    cropped,
    files_of,
    in_reflectance,
    open_cube,
    unmeasured_doubts,
    write_cube,
)
from napari_phenoscape.events import Event, Notice
from napari_phenoscape.spectra._continuum import without_continuum
from napari_phenoscape.spectra._index import band_index
from napari_phenoscape.spectra._smoothing import smoothed
from napari_phenoscape.spectra._spectra import angles_to, pixel_spectrum, read_spectra
from napari_phenoscape.spectra._standard import References, by_references
from napari_phenoscape.spectra.vision._catch import Eye, cone_catch
from napari_phenoscape.spectra.vision._illuminant import Illuminant


@dataclass(frozen=True)
class Part:
    """Some bands, rows and columns of a cube, and what is done to their spectra.

    The numbers stay those of the file, exactly, with their scale; binned ones are reflectance.

    Parameters
    ----------
    modality
        Which bands.
    rows, columns
        Half-open ranges of pixels.
    bin_bands, bin_pixels
        Mean over so many neighbouring bands, and squares of so many pixels a side.
    reflectance
        Reflectance (float32) instead of the file's numbers.
    smooth
        Bands in the window of a Savitzky-Golay filter; 0 = none.
    continuum
        Divide every spectrum by its continuum.
    """

    modality: Modality | str = "all"
    rows: slice = field(default_factory=lambda: slice(None))
    columns: slice = field(default_factory=lambda: slice(None))
    bin_bands: int = 1
    bin_pixels: int = 1
    reflectance: bool = False
    smooth: int = 0
    continuum: bool = False

    def of(self, cube: Cube) -> Cube:
        """This part of a cube, computed where it is indexed."""
        bands = as_modality(self.modality).indices(cube)
        made = cropped(cube, bands, self.rows, self.columns)
        if self.bin_bands > 1 or self.bin_pixels > 1:
            made = binned(made, self.bin_bands, self.bin_pixels)
        elif self.reflectance:
            made = in_reflectance(made)
        if self.smooth:
            made = smoothed(made, self.smooth)
        return without_continuum(made) if self.continuum else made


@dataclass(frozen=True)
class Index:
    """One band, made by a formula (`band_index`)."""

    formula: str


@dataclass(frozen=True)
class Angles:
    """Spectral angles in radians (`spectral_angle`).

    Parameters
    ----------
    to
        A pixel (row and column in the whole cube), whose spectrum is processed likewise, or a CSV
        of spectra, each of which gives a band.
    """

    to: tuple[int, int] | Path


@dataclass(frozen=True)
class Catches:
    """What the receptors of an eye catch, in a light (`cone_catch`)."""

    eye: Eye
    light: Illuminant | None = None


#: What is computed of a part of a cube and written instead of it.
Measure = Index | Angles | Catches


def convert(
    path: Path,
    output: Path,
    part: Part = Part(),
    *,
    references: References | None = None,
    measure: Measure | None = None,
    read_as: Interpretation | None = None,
    overwrite: bool = False,
) -> Generator[Event, None, list[Path]]:
    """Write a cube, a part of it, or what is computed from that, to another file.

    The cube is read and written in blocks and is never in memory as a whole.

    Parameters
    ----------
    path
        A cube.
    output
        A file; its ending is the format (`write_cube`).
    part
        What of it.
    references
        What it is calibrated with; None: not at all.
    measure
        What is written instead.
    read_as
        What the planes of the cube, and of the references, are, where their files do not say it
        or say it wrongly.
    overwrite
        Whether a file that is there may be replaced; one that is read never is.

    Returns
    -------
    The files that were written.

    Raises
    ------
    PhenoscapeError
        The cube cannot be opened, lacks the bands, or the output cannot be written.
    """
    cube = open_cube(path, read_as)
    tables = [measure.to] if isinstance(measure, Angles) and isinstance(measure.to, Path) else []
    read = [path, *tables, *(references.files if references else ())]
    check_outputs([output], [file for one in read for file in files_of(one)], overwrite=overwrite)
    yield from map(Notice, unmeasured_doubts(cube))
    if references is not None:
        cube = by_references(raw := cube, references, read_as)
        for sentence in cube.provenance:
            if sentence not in raw.provenance:
                yield Notice(sentence)
    written = part.of(cube)
    match measure:
        case Index(formula):
            written = band_index(written, formula)
        case Angles(Path() as table):
            written = angles_to(written, read_spectra(table))
        case Angles((row, column)):
            here = slice(row, row + 1), slice(column, column + 1)
            pixel = replace(part, rows=here[0], columns=here[1], bin_pixels=1).of(cube)
            name = f"{path.stem} ({row}, {column})"
            written = angles_to(written, [replace(pixel_spectrum(pixel, 0, 0), name=name)])
        case Catches(eye, light):
            seen = cone_catch(written, eye, light)
            for sentence in seen.provenance[len(written.provenance) :]:
                yield Notice(sentence)
            written = seen
    return (yield from write_cube(written, output, overwrite=overwrite))
