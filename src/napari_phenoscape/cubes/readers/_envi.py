"""ENVI: a text header (``.hdr``) beside raw numbers, as most spectral cameras write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_phenoscape.cubes._arrays import FileArray, full_scale, ignorable, scale_in_float32
from napari_phenoscape.cubes._cube import Cube
from napari_phenoscape.cubes.readers._envi_bands import envi_bands
from napari_phenoscape.cubes.readers._envi_header import Header, is_header
from napari_phenoscape.cubes.readers._reader import Reader
from napari_phenoscape.errors import CubeError, MissingFileError

#: numpy's name for ENVI's ``data type``.
DATA_TYPES = {
    "1": "u1", "2": "i2", "3": "i4", "4": "f4", "5": "f8", "6": "c8", "9": "c16", "12": "u2",
    "13": "u4", "14": "i8", "15": "u8",
}  # fmt: skip

#: Endings of data files, likeliest first; the interleave's own comes before them.
ENDINGS = ("", ".bil", ".bip", ".bsq", ".img", ".dat", ".raw", ".bin", ".cube", ".envi", ".hsi")

#: File axes of each interleave, slowest first, and the positions of C, H, W among them.
INTERLEAVES = {"bsq": ("CHW", (0, 1, 2)), "bil": ("HCW", (1, 0, 2)), "bip": ("HWC", (2, 0, 1))}

#: What else has an ENVI header, by a word in its ``file type``.
NO_CUBES = {
    "classification": "a classification",
    "spectral library": "a spectral library",
    "hypercloud": "a point cloud",
}


def header_of(path: Path) -> Path | None:
    """The ENVI header of a data file (``x.bil.hdr`` before ``x.hdr``), or None."""
    for ending in (".hdr", ".HDR"):
        for header in (path.with_name(path.name + ending), path.with_suffix(ending)):
            if header != path and is_header(header):
                return header
    return None


def recognise(path: Path) -> bool:
    """Whether a file is an ENVI header, or the data file of one."""
    if path.suffix.lower() == ".hdr":
        return is_header(path)
    header = header_of(path)
    return header is not None and (header.stem == path.name or path.suffix.lower() in ENDINGS)


def open_envi(path: Path) -> Cube:
    """The cube of an ENVI header or of its data file; reads the header only.

    Raises
    ------
    CubeError
        The header is not ENVI's, lacks something, or the data file does not fit to it.
    MissingFileError
        One of the two is not there.
    """
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
    notes: list[str] = []
    _refuse_what_is_no_cube(header, notes)
    shape = {
        "C": header.integer("bands", 1),
        "H": header.integer("lines", 1),
        "W": header.integer("samples", 1),
    }
    interleave = _interleave(header, shape["C"])
    dtype = _dtype(header, notes)
    if not header.text("header offset"):
        notes.append("No 'header offset' is given; 0 is taken.")
    offset = header.integer("header offset", 0, default=0)
    declared = offset + shape["C"] * shape["H"] * shape["W"] * dtype.itemsize
    data = given_data or _data_of(header_path, interleave, declared)
    _refuse_compressed(header, data, declared)
    axes, order = INTERLEAVES[interleave]
    rows, columns, depth = (shape[axis] for axis in axes)
    array = FileArray(data, dtype, (rows, columns, depth), order, offset)
    if (size := data.stat().st_size) > declared:
        notes.append(f"The data file has {size} bytes, {size - declared} more than declared.")
    gain, gain_offset = _scale(header, shape["C"], dtype, notes)
    return Cube(
        array=array,
        bands=envi_bands(header, shape["C"], notes).proposing(
            _default_bands(header, shape["C"], notes)
        ),
        path=data,
        gain=gain,
        offset=gain_offset,
        ignore_value=_ignore_value(header, dtype, notes),
        provenance=tuple(notes),
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


def _interleave(header: Header, bands: int) -> str:
    interleave = header.text("interleave").lower()
    if not interleave and bands == 1:
        return "bsq"  # with one band all three are the same
    if interleave not in INTERLEAVES:
        given = (
            f"'interleave = {header.text('interleave')[:40]}'" if interleave else "no interleave"
        )
        raise CubeError(
            f"'{header.name}' has {given}; bil, bip or bsq was expected. The size of the data "
            "cannot tell which: look it up in the camera's manual and correct the header."
        )
    return interleave


def _dtype(header: Header, notes: list[str]) -> np.dtype[np.generic]:
    number = header.text("data type")
    if number not in DATA_TYPES:
        given = f"'data type = {number[:40]}'" if number else "no 'data type'"
        raise CubeError(
            f"'{header.name}' has {given}; one of {', '.join(DATA_TYPES)} was expected. Correct it "
            "in a text editor (12 = 16 bits without sign, 4 = float)."
        )
    dtype = np.dtype(DATA_TYPES[number])
    order = header.text("byte order")
    if order not in ("", "0", "1"):
        raise CubeError(
            f"'{header.name}' has 'byte order = {order[:40]}'; 0 (little end first) or 1 (big end "
            "first) was expected. Correct it in a text editor."
        )
    if not order and dtype.itemsize > 1:
        notes.append("No 'byte order' is given; 0, the little end first, is taken.")
    if dtype.kind == "c":
        notes.append("The numbers are complex; their magnitude is taken.")
    return dtype.newbyteorder(">" if order == "1" else "<")


def _data_of(header: Path, interleave: str, declared: int) -> Path:
    """The data file of a header: its name without ``.hdr``, then the likely endings."""
    exact = header.with_suffix("")
    if exact.suffix and exact.is_file():  # x.bil.hdr -> x.bil
        return exact
    endings = dict.fromkeys(["", f".{interleave}", *ENDINGS])
    names = [header.stem + cased for end in endings for cased in dict.fromkeys((end, end.upper()))]
    found = [file for name in names if (file := header.with_name(name)).is_file()]
    # where case does not matter, x.img and x.IMG are one file
    there = [a for i, a in enumerate(found) if not any(a.samefile(b) for b in found[:i])]
    if not there:
        raise MissingFileError(
            f"'{header.name}' has no data file beside it: '{header.stem}' with one of the endings "
            f"{', '.join(end or 'none' for end in endings)} was expected. Put it there, or open "
            "the data file itself."
        )
    fitting = [file for file in there if file.stat().st_size == declared] or there
    likeliest = [file for file in fitting if file.suffix.lower() in ("", f".{interleave}")]
    chosen = likeliest or fitting
    if len(chosen) > 1:
        raise CubeError(
            f"'{header.name}' may belong to {' or '.join(repr(file.name) for file in chosen)}, "
            "which are beside it and fit equally well. Open the data file itself."
        )
    return chosen[0]


def _refuse_compressed(header: Header, data: Path, declared: int) -> None:
    with data.open("rb") as file:
        is_gzip = file.read(2) == b"\x1f\x8b" and data.stat().st_size < declared
    if is_gzip or header.text("file compression", "0") != "0":
        raise CubeError(
            f"'{data.name}' is compressed; plain numbers were expected. Decompress it (gunzip) and "
            f"set 'file compression = 0' in '{header.name}'."
        )


def _scale(
    header: Header, bands: int, dtype: np.dtype[np.generic], notes: list[str]
) -> tuple[np.ndarray, np.ndarray]:
    gain, offset = np.ones(()), np.zeros(())
    stated = False
    for kind in ("data reflectance", "data"):
        gains, offsets = (header.numbers(f"{kind} {word} values") for word in ("gain", "offset"))
        for name, found in (("gain", gains), ("offset", offsets)):
            if found is None or len(found) not in (0, bands):
                given = "no numbers in" if found is None else str(len(found))
                raise CubeError(
                    f"'{header.name}' has {given} '{kind} {name} values' for {bands} bands; "
                    "one for each was expected. Correct or delete the list."
                )
        if not gains and not offsets:
            continue
        gain = np.array(gains) if gains else gain
        offset = np.array(offsets) if offsets else offset
        stated = True
        break
    text = header.text("reflectance scale factor")
    try:
        factor = float(text or "nan")
    except ValueError:
        factor = 0.0
    if text and not 0 < factor < float("inf"):
        notes.append(f"'reflectance scale factor = {text[:40]}' is not used; it is not above 0.")
    elif text:
        with np.errstate(over="ignore"):
            gain, offset, stated = gain / factor, offset / factor, True
    if not stated:
        scale, note = full_scale(dtype)
        gain = gain * scale
        notes.append(note)
    return scale_in_float32(header.name, gain, offset)


def _ignore_value(header: Header, dtype: np.dtype[np.generic], notes: list[str]) -> float | None:
    text = header.text("data ignore value")
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        notes.append(f"'data ignore value = {text[:40]}' is not a number and is not used.")
        return None
    return ignorable(value, np.zeros(0, dtype).real.dtype)


def _default_bands(header: Header, count: int, notes: list[str]) -> tuple[int, int, int] | None:
    given = header.numbers("default bands")
    if given == () or (given and len(given) == 1):
        return None
    if given is None or len(given) != 3 or not all(b == int(b) and 1 <= b <= count for b in given):
        notes.append(
            f"'default bands = {{{header.text('default bands')[:40]}}}' does not name three bands "
            "and is not used."
        )
        return None
    red, green, blue = (int(band) - 1 for band in given)  # ENVI counts from 1
    return red, green, blue


READER = Reader(
    name="envi",
    patterns=("*.hdr", *(f"*{ending}" for ending in ENDINGS[1:])),
    claims=lambda path, _: path.is_file() and recognise(path),
    open=open_envi,
    recognise=recognise,
)
