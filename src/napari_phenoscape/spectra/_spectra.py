"""Spectra of pixels and regions, and the tables in which other programs read them."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from napari_phenoscape._atomic import atomic, check_outputs
from napari_phenoscape._tables import as_numbers, read_cells
from napari_phenoscape.cubes import (
    Band,
    Bands,
    Cube,
    Interpretation,
    files_of,
    open_cube,
    read_mask,
    watched,
)
from napari_phenoscape.errors import CubeError
from napari_phenoscape.events import Event, Notice, Progress, Saved
from napari_phenoscape.spectra._angle import spectral_angle
from napari_phenoscape.spectra._regions import mean_spectrum
from napari_phenoscape.spectra.vision._catch import Eye, cone_catch
from napari_phenoscape.spectra.vision._colours import colours_table
from napari_phenoscape.spectra.vision._illuminant import Illuminant


@dataclass(frozen=True, eq=False)
class Spectrum:
    """The reflectance of a pixel or a region in every band of its cube.

    Parameters
    ----------
    name
        Of whom, e.g. ``"wing"``.
    bands
        C of them.
    mean : (C,)
        Reflectance, 1 = white; NaN where not measured.
    sd : (C,) or None
        Standard deviation over the region, None of a single pixel.
    """

    name: str
    bands: Bands
    mean: NDArray[np.float64]
    sd: NDArray[np.float64] | None = None


def pixel_spectrum(cube: Cube, row: int, column: int) -> Spectrum:
    """The spectrum of one pixel, which must lie in the cube."""
    mean = cube.reflectance(rows=slice(row, row + 1), columns=slice(column, column + 1))[:, 0, 0]
    return _spectrum(cube, f"{cube.path.stem} ({row}, {column})", mean.astype(np.float64))


def region_spectrum(cube: Cube, mask: NDArray[np.bool_], name: str) -> Spectrum:
    """Mean and standard deviation over the True pixels of an (H, W) mask (`mean_spectrum`)."""
    return _spectrum(cube, name, *mean_spectrum(cube, mask))


def mean_of(spectra: Sequence[Spectrum], name: str) -> Spectrum:
    """Mean of several spectra, e.g. one of each specimen, each counting once.

    Parameters
    ----------
    spectra
        Two or more; of several cubes when all have wavelengths. The bands are those of the first;
        others are interpolated to them (`on_bands`), and take no part where they do not reach.

    Returns
    -------
    The mean, and the standard deviation between the spectra (n - 1), as pavo's aggspec has it.

    Raises
    ------
    CubeError
        The spectra have no bands in common.
    """
    first = spectra[0]
    values = np.stack([on_bands(one, first.bands) for one in spectra])
    known = np.isfinite(values)
    number = known.sum(axis=0)
    mean = np.divide(
        np.where(known, values, 0).sum(axis=0), number,
        out=np.full(values.shape[1:], np.nan), where=number > 0,
    )  # fmt: skip
    squares = (np.where(known, values - mean, 0) ** 2).sum(axis=0)
    sd = np.sqrt(np.divide(squares, number - 1, out=np.full(mean.shape, np.nan), where=number > 1))
    return Spectrum(name, first.bands, mean, sd)


def on_bands(spectrum: Spectrum, bands: Bands) -> NDArray[np.float64]:
    """(C,) reflectance at the bands of another cube; NaN where the spectrum does not reach.

    Linear between its wavelengths; where one of the two has none, bands of the same names.

    Raises
    ------
    CubeError
        Not one band in common.
    """
    if spectrum.bands.names == bands.names:
        return spectrum.mean
    known, wanted = spectrum.bands.wavelengths_nm, bands.wavelengths_nm
    if known is None or wanted is None:
        own = dict(zip(spectrum.bands.names, spectrum.mean, strict=True))
        found = np.array([own.get(name, np.nan) for name in bands.names])
    else:
        order = np.argsort(known, kind="stable")
        found = np.interp(wanted, known[order], spectrum.mean[order], left=np.nan, right=np.nan)
    if not np.isfinite(found).any():
        raise CubeError(
            f"The spectrum '{spectrum.name}' shares no band with the others ({bands.words}). "
            "Choose spectra of the same wavelengths."
        )
    return found


def angles_to(cube: Cube, spectra: Sequence[Spectrum]) -> Cube:
    """Angles in radians, a band for each spectrum, which may be of another cube.

    See `spectral_angle`, and `on_bands` for a spectrum of other bands.
    """
    return spectral_angle(cube, [(one.name, on_bands(one, cube.bands)) for one in spectra])


def spectra_table(spectra: Sequence[Spectrum], *, sd: bool = False) -> pd.DataFrame:
    """One row per wavelength, one column per spectrum, as the R package pavo reads it [1]_.

    Parameters
    ----------
    spectra
        At least one; of several cubes when all have wavelengths.
    sd
        Standard deviations instead of means.

    Returns
    -------
    Column ``wl`` (nm, rising; ``band``, in the cube's order, where there are no wavelengths), then
    reflectance in per cent. Where two cubes have other wavelengths, a cell is empty.

    Raises
    ------
    CubeError
        Spectra with wavelengths and without, of other bands, or of repeated wavelengths.

    References
    ----------
    .. [1] Maia et al. 2019, pavo 2, function as.rspec. https://doi.org/10.1111/2041-210X.13174
    """
    by_nm = all(spectrum.bands.wavelengths_nm is not None for spectrum in spectra)
    if not by_nm and len({spectrum.bands for spectrum in spectra}) > 1:
        raise CubeError(
            "The spectra have different bands, and not all have wavelengths, so they do not fit "
            "into one table. Save those of each cube apart."
        )
    columns: dict[str, pd.Series] = {}
    for spectrum in spectra:
        key = spectrum.bands.x if by_nm else np.array(spectrum.bands.names, dtype=object)
        if len(set(key)) < len(key):
            raise CubeError(
                f"The bands of '{spectrum.name}' repeat a wavelength, which a table by wavelength "
                "cannot hold. Leave one detector's bands out, e.g. with `phenoscape convert`."
            )
        values = spectrum.sd if sd else spectrum.mean
        given = np.full(len(key), np.nan) if values is None else 100 * values
        columns[_unique(spectrum.name, columns)] = pd.Series(given, index=key)
    name = "wl" if by_nm else "band"
    table = pd.DataFrame(columns)
    return (table.sort_index() if by_nm else table).rename_axis(name).reset_index()


def write_spectra(spectra: Sequence[Spectrum], path: Path) -> list[Path]:
    """Write `spectra_table` as CSV; standard deviations, if any, into ``NAME-sd.csv``."""
    tables = {path: spectra_table(spectra)}
    if any(spectrum.sd is not None for spectrum in spectra):
        tables[_deviations(path)] = spectra_table(spectra, sd=True)
    for file, table in tables.items():
        with atomic(file.absolute()) as temporary:
            table.to_csv(temporary, index=False, float_format="%.6g")
    return list(tables)


def _deviations(path: Path) -> Path:
    return path.with_name(f"{path.stem}-sd{path.suffix}")


def read_spectra(path: Path) -> list[Spectrum]:
    """The spectra of a CSV as `write_spectra` (or pavo) writes it, without deviations.

    Raises
    ------
    MissingFileError
        There is no such file.
    PhenoscapeError
        It is no table of spectra.
    """
    header, rows = read_cells(path)
    key, *names = header
    if key not in ("wl", "band") or not names:
        raise CubeError(
            f"'{path.name}' is no table of spectra (its first column is '{key}', and {len(names)} "
            "follow). A CSV was expected whose first column is 'wl' (nm) or 'band', the others "
            "reflectance in per cent, as `phenoscape spectra` writes it."
        )
    values = as_numbers([row[1:] for row in rows], path) / 100
    bands = Bands(Band(row[0]) for row in rows)
    if key == "wl":
        nm = as_numbers([row[:1] for row in rows], path)[:, 0].tolist()
        bands = Bands(Band(f"{one:g} nm", one) for one in nm)
    return [Spectrum(name, bands, spectrum) for name, spectrum in zip(names, values.T, strict=True)]


def spectra(
    cubes: Sequence[Path],
    output: Path,
    regions: Path | None = None,
    pixels: Sequence[tuple[int, int]] = (),
    *,
    mean: bool = False,
    read_as: Interpretation | None = None,
    eye: Eye | None = None,
    light: Illuminant | None = None,
    overwrite: bool = False,
) -> Generator[Event, None, list[Path]]:
    """Write the spectra of regions or pixels of cubes as CSV.

    Parameters
    ----------
    cubes
        Files.
    output
        The CSV.
    regions
        A label image for the one cube: a spectrum for each number in it. None: the cube's own
        mask, or all of it.
    pixels
        Instead: rows and columns.
    mean
        Add the mean of all these spectra (`mean_of`).
    read_as
        What the planes of the cubes are, where the files do not say it or say it wrongly.
    eye, light
        Also write what an eye catches of them, into ``NAME-EYE.csv`` (`colours_table`).
    overwrite
        Whether files that are there may be replaced; those that are read never are.

    Returns
    -------
    The files that were written.

    Raises
    ------
    PhenoscapeError
        A cube cannot be opened, a region or pixel does not fit to it, the eye does not, or the
        disk refuses.
    """
    read = [file for one in (*cubes, *([regions] if regions else ())) for file in files_of(one)]
    check_outputs([output], read, overwrite=overwrite)
    outputs = list[Path]()
    if regions is not None or not pixels or mean:
        outputs.append(_deviations(output))
    if eye is not None:
        outputs.append(output.with_name(f"{output.stem}-{Path(eye.name).stem}{output.suffix}"))
    check_outputs(outputs, read, overwrite=overwrite)
    found: list[Spectrum] = []
    colours: list[Spectrum] = []
    for done, path in enumerate(cubes, start=1):
        cube = watched(open_cube(path, read_as))
        found += _spectra_of(cube, regions, pixels)
        if eye is not None:
            seen = cone_catch(cube, eye, light)
            for sentence in seen.provenance[len(cube.provenance) :]:
                yield Notice(f"{path.name}: {sentence}")
            colours += _spectra_of(seen, regions, pixels)
        yield Progress("reading spectra", done, len(cubes))
    if mean and len(found) < 2:
        raise CubeError("A mean needs two spectra; there is one. Name more cubes or pixels.")
    if mean:
        found.append(mean_of(found, f"mean of {len(found)}"))
    written = write_spectra(found, output)
    if eye is not None:
        table = colours_table(eye, [(one.name, one.mean) for one in colours])
        with atomic((path := outputs[-1]).absolute()) as temporary:
            table.to_csv(temporary, index=False, float_format="%.6g")
        written.append(path)
    for file in written:
        yield Saved(file)
    return written


def _spectra_of(
    cube: Cube, regions: Path | None, pixels: Sequence[tuple[int, int]]
) -> list[Spectrum]:
    """Spectra of pixels, or of the regions of a label image, or of the mask, or of all."""
    rows, columns = cube.shape[1:]
    found = []
    for row, column in pixels:
        if not (0 <= row < rows and 0 <= column < columns):
            raise CubeError(
                f"'{cube.path.name}' has {rows} rows and {columns} columns; there is no pixel "
                f"{row},{column}. Count from 0."
            )
        found.append(pixel_spectrum(cube, row, column))
    if regions is not None:
        numbers = read_mask(regions)
        found += [
            region_spectrum(cube, numbers == number, f"{cube.path.stem} {number}")
            for number in np.unique(numbers[numbers > 0])
        ]
    elif not pixels:
        whole = np.ones((rows, columns), bool) if cube.mask is None else cube.mask
        found.append(region_spectrum(cube, whole, cube.path.stem))
    return found


def _spectrum(
    cube: Cube, name: str, mean: NDArray[np.float64], sd: NDArray[np.float64] | None = None
) -> Spectrum:
    return Spectrum(name, cube.bands, mean, sd)


def _unique(name: str, taken: dict[str, pd.Series]) -> str:
    number, new = 1, name
    while new in taken:
        number += 1
        new = f"{name} ({number})"
    return new
