"""Writing cubes: ENVI and TIFF, row block by row block, whole or not at all."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from napari_phenoscape.atomic import atomic
from napari_phenoscape.cube import Cube
from napari_phenoscape.errors import OptionError, RunError
from napari_phenoscape.events import Progress
from napari_phenoscape.io.envi import DATA_TYPES, INTERLEAVES
from napari_phenoscape.io.labels import MASK

ENVI_ENDINGS, TIFF_ENDINGS = (".bil", ".bip", ".bsq"), (".tif", ".tiff")

#: Largest block that is in memory at a time, in numbers.
BLOCK = 16 << 20

#: Types that neither format keeps, and the smallest that both do and that hold the same numbers.
_WIDER = {"b1": "u1", "i1": "i2", "f2": "f4"}

_GDAL_METADATA, _GDAL_NODATA = 42112, 42113


def write_cube(cube: Cube, path: Path) -> Generator[Progress, None, list[Path]]:
    """Write a cube; `open_cube` reads the same numbers, bands, scale and mask back.

    Parameters
    ----------
    cube
        Its numbers are written as they are, in their own type.
    path
        The ending chooses the format: ``.bil``, ``.bip``, ``.bsq`` (ENVI, with ``.hdr`` beside;
        a mask becomes ``NAME_mask.png``), ``.tif``, ``.tiff`` (one plane per band, names and
        wavelengths as GDAL's metadata, the mask as the last plane).

    Returns
    -------
    The files that were written.

    Raises
    ------
    OptionError
        Another ending.
    RunError
        A file is there already, or the disk refuses.
    """
    ending = path.suffix.lower()
    if ending not in (*ENVI_ENDINGS, *TIFF_ENDINGS):
        raise OptionError(
            f"'{path.name}' names no format that cubes are written in; end it with "
            f"{', '.join(ENVI_ENDINGS)} (ENVI) or {TIFF_ENDINGS[0]} (TIFF)."
        )
    if ending in TIFF_ENDINGS:
        _refuse_existing(path)
        with atomic(path) as temporary:
            yield from _write_tiff(cube, temporary)
        return [path]
    header = path.with_name(path.name + ".hdr")
    mask = path.with_name(f"{path.stem}_mask.png")
    written = [path, header] + ([mask] if cube.mask is not None else [])
    for file in written:
        _refuse_existing(file)
    with atomic(path) as temporary:
        yield from _write_planes(cube, temporary, ending[1:])
    if cube.mask is not None:
        with atomic(mask) as temporary:
            Image.fromarray(cube.mask.astype(np.uint8) * 255).save(temporary, format="PNG")
    with atomic(header) as temporary:
        temporary.write_text(_envi_header(cube, ending[1:]), "utf-8")
    return written


def _refuse_existing(path: Path) -> None:
    if path.exists():
        raise RunError(
            f"'{path}' is there already and is not overwritten; name another file, or move it away."
        )


def _dtype(cube: Cube) -> np.dtype[Any]:
    kind = cube.array.dtype.str[1:]
    return np.dtype("<" + _WIDER.get(kind, kind))


def _row_blocks(cube: Cube) -> Iterator[tuple[slice, NDArray[Any]]]:
    """(C, rows, W) numbers from top to bottom."""
    bands, rows, columns = cube.shape
    at_once = max(1, BLOCK // (bands * columns))
    for start in range(0, rows, at_once):
        part = slice(start, min(start + at_once, rows))
        yield part, np.asarray(cube.array[:, part, :])


def _write_planes(cube: Cube, path: Path, interleave: str) -> Generator[Progress, None, None]:
    dtype, (bands, rows, _) = _dtype(cube), cube.shape
    order = [{"C": 0, "H": 1, "W": 2}[axis] for axis in INTERLEAVES[interleave][0]]
    with path.open("wb") as file:
        if interleave == "bsq":
            for band in range(bands):
                file.write(np.ascontiguousarray(cube.array[band], dtype).data)
                yield Progress("writing bands", band + 1, bands)
            return
        for part, block in _row_blocks(cube):
            file.write(np.ascontiguousarray(block.transpose(order), dtype).data)
            yield Progress("writing rows", part.stop, rows)


def _envi_header(cube: Cube, interleave: str) -> str:
    bands, rows, columns = cube.shape
    codes = {name: code for code, name in DATA_TYPES.items()}
    gain, offset = (np.broadcast_to(part, bands) for part in (cube.gain, cube.offset))
    lines = [
        "ENVI",
        f"samples = {columns}",
        f"lines = {rows}",
        f"bands = {bands}",
        "header offset = 0",
        "file type = ENVI Standard",
        f"data type = {codes[_dtype(cube).str[1:]]}",
        f"interleave = {interleave}",
        "byte order = 0",
        f"data reflectance gain values = {_braced(gain)}",
        f"data reflectance offset values = {_braced(offset)}",
    ]
    # a brace or comma in a name would end it
    names = [re.sub(r"[{},\s]+", " ", band.name).strip() for band in cube.bands]
    lines.append(f"band names = {{{', '.join(names)}}}")
    centres = [band.wavelength_nm for band in cube.bands]
    if all(centre is not None for centre in centres):
        lines += ["wavelength units = Nanometers", f"wavelength = {_braced(centres)}"]
    if any(band.bad for band in cube.bands):
        lines.append(f"bbl = {_braced([int(not band.bad) for band in cube.bands])}")
    if cube.ignore_value is not None:
        lines.append(f"data ignore value = {cube.ignore_value!r}")
    if cube.rgb_bands is not None:
        lines.append(f"default bands = {_braced([band + 1 for band in cube.rgb_bands])}")
    return "\n".join(lines) + "\n"


def _braced(numbers: Any) -> str:
    return "{" + ", ".join(_exact(number) for number in numbers) + "}"


def _exact(number: Any) -> str:
    """The shortest decimal that reads back as the same number."""
    return str(number.item() if isinstance(number, np.float64) else number)


def _write_tiff(cube: Cube, path: Path) -> Generator[Progress, None, None]:
    dtype, (bands, rows, columns) = _dtype(cube), cube.shape
    planes = bands + (cube.mask is not None)
    tags = [(_GDAL_METADATA, "s", 0, _gdal_metadata(cube), True)]
    if cube.ignore_value is not None:
        tags.append((_GDAL_NODATA, "s", 0, repr(cube.ignore_value), True))
    size = planes * rows * columns * dtype.itemsize
    with tifffile.TiffWriter(path, bigtiff=size > 2**31) as tif:
        place = tif.write(
            None,
            shape=(planes, rows, columns),
            dtype=dtype,
            photometric="minisblack",
            planarconfig="separate",
            metadata=None,
            extratags=tags,
            returnoffset=True,
        )
    assert place is not None  # asked for by returnoffset
    with path.open("rb+") as file:
        file.seek(place[0])
        for band in range(bands):
            file.write(np.ascontiguousarray(cube.array[band], dtype).data)
            yield Progress("writing bands", band + 1, bands)
        if cube.mask is not None:
            file.write(cube.mask.astype(dtype).data)


def _gdal_metadata(cube: Cube) -> str:
    """XML of names, wavelengths (nm), scale and bad bands, each with the number of its plane."""
    items: list[str] = []

    def item(name: str, plane: int, value: object, role: str = "") -> None:
        extra = f' role="{role}"' if role else ""
        text = escape(str(value))
        items.append(f'<Item name="{name}" sample="{plane}"{extra}>{text}</Item>')

    gain, offset = (np.broadcast_to(part, cube.shape[0]) for part in (cube.gain, cube.offset))
    with_centres = any(band.wavelength_nm is not None for band in cube.bands)
    for plane, band in enumerate(cube.bands):
        item("DESCRIPTION", plane, band.name, "description")
        item("SCALE", plane, _exact(gain[plane]), "scale")
        item("OFFSET", plane, _exact(offset[plane]), "offset")
        if with_centres:
            item("WAVELENGTH", plane, "nan" if band.wavelength_nm is None else band.wavelength_nm)
            item("WAVELENGTH_UNITS", plane, "Nanometers")
        if band.bad:
            item("BAD_BAND", plane, 1)
    if cube.mask is not None:
        plane = cube.shape[0]
        item("DESCRIPTION", plane, MASK, "description")
        item("SCALE", plane, 1, "scale")
        item("OFFSET", plane, 0, "offset")
        if with_centres:
            item("WAVELENGTH", plane, "nan")
    return f"<GDALMetadata>{''.join(items)}</GDALMetadata>"
