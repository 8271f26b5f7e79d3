"""The data file of an ENVI header: how its numbers lie, which file it is, what it is not."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_phenoscape._brought import bring
from napari_phenoscape.cubes.readers._envi_header import Header
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

#: The slowest axis of each interleave, as a header and as people call it.
_SLOWEST = {"bsq": ("C", "bands"), "bil": ("H", "lines"), "bip": ("H", "lines")}

#: The bytes by which a file of another kind is known.
HEAD = (0, 16)

TIFF, GZIP = "a TIFF", "compressed by gzip"

#: How files begin that other readers open, whatever an ENVI header beside them says.
READ_OTHERWISE = {
    b"II*\0": TIFF, b"MM\0*": TIFF, b"II+\0": TIFF, b"MM\0+": TIFF,
    b"\x89PNG\r\n": "a PNG picture", b"\xff\xd8\xff": "a JPEG picture",
    b"\x89HDF\r\n": "an HDF5 file", b"MATLAB ": "a MATLAB file", b"\x93NUMPY": "a NumPy array",
}  # fmt: skip

#: How files begin that are no plain numbers either.
NO_NUMBERS = {
    b"GIF8": "a GIF picture", b"\0\0\0\x0cjP  ": "a JPEG 2000 picture", b"NITF": "a NITF file",
    b"CDF\x01": "a NetCDF 3 file", b"CDF\x02": "a NetCDF 3 file", b"PK\x03\x04": "a zip archive",
    b"SIMPLE  =": "a FITS file", b"%PDF": "a PDF", b"\x1f\x8b": GZIP,
}  # fmt: skip


@dataclass(frozen=True)
class Layout:
    """How the numbers of a cube lie in a file.

    Parameters
    ----------
    sides
        Of the axes C, H and W.
    interleave
        A key of `INTERLEAVES`.
    dtype
        Of the file, byte order included.
    offset
        Bytes before the first number.
    """

    sides: dict[str, int]
    interleave: str
    dtype: np.dtype[np.generic]
    offset: int

    @classmethod
    def of(cls, header: Header, notes: list[str]) -> Layout:
        """As a header declares it."""
        sides = {
            "C": header.integer("bands", 1),
            "H": header.integer("lines", 1),
            "W": header.integer("samples", 1),
        }
        interleave, dtype = _interleave(header, sides["C"]), _dtype(header, notes)
        if not header.text("header offset"):
            notes.append("No 'header offset' is given; 0 is taken.")
        return cls(sides, interleave, dtype, header.integer("header offset", 0, default=0))

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self.offset + self.dtype.itemsize * math.prod(self.sides.values())


def data_of(header: Path, layout: Layout) -> Path:
    """The data file of a header: its name without ``.hdr``, then the likely endings by size.

    Then the one file of another ending that has the declared size.
    """
    exact = header.with_suffix("")
    if exact.suffix and exact.is_file():  # x.bil.hdr -> x.bil
        return exact
    own = ("", f".{layout.interleave}")
    endings = dict.fromkeys([*own, *ENDINGS])
    names = [header.stem + cased for end in endings for cased in dict.fromkeys((end, end.upper()))]
    found = [file for name in names if (file := header.with_name(name)).is_file()]
    # where case does not matter, x.img and x.IMG are one file
    there = [a for i, a in enumerate(found) if not any(a.samefile(b) for b in found[:i])]
    fitting = [file for file in there if file.stat().st_size == layout.size]
    others: list[Path] = []
    if not fitting:
        others = [file for file in _of_the_stem(header) if file not in found]
        fitting = [file for file in others if file.stat().st_size == layout.size] or there
    chosen = [file for file in fitting if file.suffix.lower() in own] or fitting
    if not chosen:
        sizes = [f"'{file.name}' with {file.stat().st_size} bytes" for file in others[:4]]
        raise MissingFileError(
            f"'{header.name}' has no data file beside it: '{header.stem}' with one of the endings "
            f"{', '.join(end or 'none' for end in endings)}, or of {layout.size} bytes, was "
            f"expected{', and there is ' * bool(sizes)}{', '.join(sizes)}. Put it there, or give "
            f"it the ending '.{layout.interleave}'."
        )
    if len(chosen) > 1:
        raise CubeError(
            f"'{header.name}' may belong to {' or '.join(repr(file.name) for file in chosen)}, "
            "which are beside it and fit equally well. Open the data file itself."
        )
    return chosen[0]


def _of_the_stem(header: Path) -> list[Path]:
    beside = (file for file in header.parent.iterdir() if file.stem == header.stem)
    return sorted(file for file in beside if file != header and file.is_file())


def refuse_other_contents(header: Header, data: Path, layout: Layout) -> None:
    """An error when a data file is compressed, of another format, or shorter than declared."""
    size = data.stat().st_size
    what = contents_of(data)
    is_gzip = what == GZIP and size < layout.size
    if is_gzip or header.text("file compression", "0") != "0":
        raise CubeError(
            f"'{data.name}' is compressed; plain numbers were expected. Decompress it (gunzip) and "
            f"set 'file compression = 0' in '{header.name}'."
        )
    if what and what != GZIP:
        is_ours = what in READ_OTHERWISE.values()
        way_out = f"Open '{data.name}' itself" if is_ours else "Export it so"
        raise CubeError(
            f"'{data.name}' is {what}; the plain numbers that '{header.name}' describes were "
            f"expected. {way_out}."
        )
    if size < layout.size:
        raise _truncated(header, data, layout, size)


def contents_of(path: Path) -> str:
    """What a file is by its first bytes when these are no plain numbers, else empty."""
    bring(path, [HEAD])
    with path.open("rb") as file:
        head = file.read(HEAD[1])
    known = READ_OTHERWISE | NO_NUMBERS
    return next((what for start, what in known.items() if head.startswith(start)), "")


def _truncated(header: Header, data: Path, layout: Layout, size: int) -> CubeError:
    axis, what = _SLOWEST[layout.interleave]
    declared = layout.sides[axis]
    whole = max(0, size - layout.offset) * declared // (layout.size - layout.offset)
    way_out = "Copy the file again from its source"
    if whole:
        lists = " and shorten its lists of bands" if axis == "C" else ""
        way_out += f", or set '{what} = {whole}' in '{header.name}'{lists} to open what is there"
    return CubeError(
        f"'{data.name}' is truncated: {layout.size} bytes are declared and {size} are there, "
        f"{whole} of {declared} {what}. {way_out}."
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
