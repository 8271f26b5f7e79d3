"""ENVI: a text header (``.hdr``) beside raw numbers, as most spectral cameras write them."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from napari_phenoscape.cubes._arrays import FileArray, ignorable
from napari_phenoscape.cubes._bands import Bands
from napari_phenoscape.cubes._cube import Cube
from napari_phenoscape.cubes._derived import cropped
from napari_phenoscape.cubes._interpretation import without_scale, without_wavelengths
from napari_phenoscape.cubes._labels import MASK, band_of_label
from napari_phenoscape.cubes.readers._envi_bands import envi_bands
from napari_phenoscape.cubes.readers._envi_data import (
    ENDINGS,
    INTERLEAVES,
    TIFF,
    Layout,
    contents_of,
    data_of,
    refuse_other_contents,
)
from napari_phenoscape.cubes.readers._envi_header import Header, is_header
from napari_phenoscape.cubes.readers._envi_scale import SCALES, scale_of
from napari_phenoscape.cubes.readers._reader import Reader
from napari_phenoscape.errors import CubeError, MissingFileError, PhenoscapeError

#: What else has an ENVI header, by a word in its ``file type``.
NO_CUBES = {
    "classification": "a classification",
    "spectral library": "a spectral library",
    "hypercloud": "a point cloud",
}

#: An integration time, and what its units are in ms.
_TIME = re.compile(r"(?P<number>\d+(?:[.,]\d+)?(?:e[-+]?\d+)?)\s*(?P<unit>[a-zµμ]*)\.?")
_MS_PER = {
    "": 1.0, "ms": 1.0, "msec": 1.0, "milliseconds": 1.0, "us": 1e-3, "µs": 1e-3, "μs": 1e-3,
    "usec": 1e-3, "microseconds": 1e-3, "s": 1e3, "sec": 1e3, "seconds": 1e3,
}  # fmt: skip


def header_of(path: Path) -> Path | None:
    """The ENVI header of a data file (``x.bil.hdr`` before ``x.hdr``), or None."""
    for ending in (".hdr", ".HDR") if path.name else ():
        for header in (path.with_name(path.name + ending), path.with_suffix(ending)):
            if header != path and is_header(header):
                return header
    return None


def recognise(path: Path) -> bool:
    """Whether a file is an ENVI header, or the data file of one."""
    if path.suffix.lower() == ".hdr":
        return is_header(path)
    header = header_of(path)
    if header is None or header.stem == path.name or path.suffix.lower() in ENDINGS:
        return header is not None
    try:
        return path.stat().st_size == Layout.of(Header(header), []).size
    except PhenoscapeError:
        return False


def open_envi(path: Path) -> Cube:
    """The cube of an ENVI header or of its data file; reads the header, and a band called a mask.

    Raises
    ------
    CubeError
        The header is not ENVI's, lacks something, or the data file does not fit to it.
    MissingFileError
        One of the two is not there.
    """
    cube = open_planes(path)
    masks = [place for place, name in enumerate(cube.bands.names) if band_of_label(name) == MASK]
    if len(masks) != 1 or len(cube.bands) == 1:
        return cube
    others = np.delete(np.arange(len(cube.bands)), masks)
    note = f"The band '{cube.bands[masks[0]].name}' is taken as the mask."
    return replace(
        cropped(cube, others, slice(None), slice(None)),
        mask=np.asarray(cube.array[masks[0]]) > 0,
        provenance=(*cube.provenance, note),
    )


def open_planes(path: Path) -> Cube:
    """The cube of which every plane is a band, whatever the header calls it; reads it only."""
    given_data = None
    if path.suffix.lower() == ".hdr":
        header_path = path
    else:
        found = header_of(path)
        if found is None:
            raise MissingFileError(
                f"'{path.name}' has no ENVI header: neither '{path.name}.hdr' nor "
                f"'{path.stem}.hdr' is beside it. Put the header there."
            )
        header_path, given_data = found, path
    header = Header(header_path)
    notes = [*header.notes]
    _refuse_what_is_no_cube(header, notes)
    layout = Layout.of(header, notes)
    data = given_data or data_of(header_path, layout)
    refuse_other_contents(header, data, layout)
    axes, order = INTERLEAVES[layout.interleave]
    rows, columns, depth = (layout.sides[axis] for axis in axes)
    array = FileArray(data, layout.dtype, (rows, columns, depth), order, layout.offset)
    if (size := data.stat().st_size) > layout.size:
        notes.append(f"The data file has {size} bytes, {size - layout.size} more than declared.")
    count = layout.sides["C"]
    gain, gain_offset, units = scale_of(header, count, layout.dtype, notes)
    bands = envi_bands(header, count, notes)
    return Cube(
        array=array,
        bands=bands.proposing(_default_bands(header, bands, notes)),
        path=data,
        gain=gain,
        offset=gain_offset,
        ignore_value=_ignore_value(header, layout.dtype, notes),
        units=units,
        integration_time=_integration_time(header, notes),
        provenance=tuple(notes),
    )


def described_tiff(header: Path) -> Path | None:
    """The TIFF that an ENVI header describes, as ENVI itself writes them; None when it has data."""
    exact = header.with_suffix("")
    named = exact if exact.suffix else exact.with_name(exact.name + ".tif")
    endings = (named.suffix,) if exact.suffix else (".tif", ".tiff", ".TIF", ".TIFF")
    beside = (named.with_suffix(ending) for ending in endings)
    found = next((f for f in beside if f.is_file() and contents_of(f) == TIFF), None)
    if found is None or not is_header(header):
        return None
    try:
        data = data_of(header, Layout.of(Header(header), []))
    except PhenoscapeError:  # of a TIFF it need not say how numbers lie
        return found
    return found if data == found else None


def described(
    path: Path, opened: Callable[[Path], Cube], planes: Callable[[Path], Cube] | None
) -> Cube:
    """The cube of a file; of a TIFF, with bands and scale as the ENVI header beside it has them.

    Parameters
    ----------
    path
        The file.
    opened
        Opens it.
    planes
        Opens it with every plane as a band, as a header with wavelengths has it.
    """
    found = header_of(path) if path.suffix.lower() in (".tif", ".tiff") else None
    if found is None or described_tiff(found) != path:
        return opened(path)
    try:
        header = Header(found)
        known = planes if planes and header.text("wavelength") else opened
        return _described(known(path), header)
    except CubeError as error:
        cube = opened(path)
        return replace(cube, provenance=(*cube.provenance, f"{error} The header is not used."))


def _described(cube: Cube, header: Header) -> Cube:
    notes = [*header.notes]
    sides = tuple(header.integer(key, 1) for key in ("bands", "lines", "samples"))
    if sides != cube.shape:
        raise CubeError(f"'{header.name}' describes {sides} numbers, and {cube.shape} are there.")
    if any(header.text(key) for key in ("wavelength", "band names", "bbl")):
        bands = envi_bands(header, sides[0], notes)
        if bands.wavelengths_nm is not None or cube.bands.wavelengths_nm is None:
            cube = replace(cube, bands=bands, provenance=without_wavelengths(cube))
    if any(header.text(key) for key in SCALES):
        gain, offset, units = scale_of(header, sides[0], cube.array.dtype, notes)
        known = without_scale(cube)
        cube = replace(cube, gain=gain, offset=offset, units=units, provenance=known)
    shown, ignored = (
        _default_bands(header, cube.bands, notes),
        _ignore_value(header, cube.array.dtype, notes),
    )
    return replace(
        cube,
        bands=cube.bands if shown is None else cube.bands.proposing(shown),
        ignore_value=cube.ignore_value if ignored is None else ignored,
        provenance=(*cube.provenance, *notes),
    )


def _refuse_what_is_no_cube(header: Header, notes: list[str]) -> None:
    kind = header.text("file type").lower()
    for word, what in NO_CUBES.items():
        if word in kind:
            raise CubeError(
                f"'{header.name}' is {what} ('file type = {header.text('file type')}'); an image "
                "cube ('ENVI Standard') was expected. Open the cube that it was made from."
            )
    if kind not in ("", "envi", "envi standard"):
        notes.append(f"The file type '{header.text('file type')}' is read as 'ENVI Standard'.")
    for key in ("major frame offsets", "minor frame offsets"):
        if any(header.numbers(key) or ()):
            raise CubeError(
                f"'{header.name}' has '{key}', bytes between the lines, which are not read. "
                "Export the cube as plain ENVI."
            )


def _ignore_value(header: Header, dtype: np.dtype[np.generic], notes: list[str]) -> float | None:
    text = header.text("data ignore value")
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        notes.append(f"'data ignore value = {text[:40]}' is not one number and is not used.")
        return None
    found = ignorable(value, np.zeros(0, dtype).real.dtype)
    if found is None and value == value:
        notes.append(
            f"'data ignore value = {text[:40]}' is no {dtype.newbyteorder('=')}, so that no pixel "
            "can have it; it is not used."
        )
    return found


def _integration_time(header: Header, notes: list[str]) -> float | None:
    """In ms where a unit is said, else as the camera has it."""
    if not (text := header.text("tint")):
        return None
    given = _TIME.fullmatch(text.lower())
    per_unit = _MS_PER.get(given["unit"]) if given else None
    time = float(given["number"].replace(",", ".")) * per_unit if given and per_unit else 0.0
    if not 0 < time < np.inf:
        notes.append(f"'tint = {text[:40]}' is not one time above 0 and is not used.")
        return None
    return time


def _default_bands(header: Header, bands: Bands, notes: list[str]) -> tuple[int, int, int] | None:
    """Red, green and blue, or three times the one that is to be shown in grey.

    ENVI counts bands from 1; what is no such number, and a wavelength of a band, is that band.
    """
    given, count = header.numbers("default bands"), len(bands)
    if given == ():
        return None
    places: list[int | None] = [None]
    if given and len(given) in (1, 3):
        places = [int(n) - 1 if n == int(n) and 1 <= n <= count else None for n in given]
        if None in places and None not in (centred := [bands.nearest(n) for n in given]):
            places = list(centred)
            notes.append("The 'default bands' are read as wavelengths.")
    match places:
        case [int(red), int(green), int(blue)]:
            return red, green, blue
        case [int(grey)]:
            return grey, grey, grey
    notes.append(
        f"'default bands = {{{header.text('default bands')[:40]}}}' does not name three bands, "
        "nor one, and is not used."
    )
    return None


READER = Reader(
    name="envi",
    patterns=("*.hdr", *(f"*{ending}" for ending in ENDINGS[1:])),
    claims=lambda path, _: path.is_file() and recognise(path),
    open=open_envi,
    open_planes=open_planes,
    recognise=recognise,
)
