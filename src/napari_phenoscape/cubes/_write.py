"""Writing cubes: ENVI, TIFF and Zarr, row block by row block, whole or not at all."""

from __future__ import annotations

import re
import warnings
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from io import BytesIO
from itertools import product
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import numpy as np
import tifffile
from numpy.typing import NDArray
from PIL import Image

from napari_phenoscape._atomic import atomic, atomic_together, check_outputs
from napari_phenoscape.cubes._blocks import BLOCK, row_blocks
from napari_phenoscape.cubes._cube import Cube
from napari_phenoscape.cubes._labels import MASK, wavelengths_of
from napari_phenoscape.cubes._open import files_of
from napari_phenoscape.cubes.readers._envi_data import DATA_TYPES, INTERLEAVES
from napari_phenoscape.cubes.readers._zarr import GAIN, OFFSET, is_store
from napari_phenoscape.errors import OptionError, RunError
from napari_phenoscape.events import Progress

ENVI_ENDINGS, TIFF_ENDINGS, ZARR = (".bil", ".bip", ".bsq"), (".tif", ".tiff"), ".zarr"

#: Bytes of a block of Zarr, uncompressed, and its smallest side in pixels.
ZARR_BLOCK, ZARR_SIDE = 512 << 10, 64

#: Types that neither ENVI nor TIFF keeps, and the smallest that both do and that hold the same.
_WIDER = {"b1": "u1", "i1": "i2", "f2": "f4"}

_GDAL_METADATA, _GDAL_NODATA = 42112, 42113

#: Types that ImageJ keeps.
_OF_IMAGEJ = ("u1", "u2", "f4")


def write_cube(
    cube: Cube, path: Path, *, overwrite: bool = False
) -> Generator[Progress, None, list[Path]]:
    """Write a cube; `open_cube` reads the same numbers, bands, scale and mask back.

    Parameters
    ----------
    cube
        Its numbers are written as they are, in their own type.
    path
        The ending chooses the format: ``.bil``, ``.bip``, ``.bsq`` (ENVI, with ``.hdr`` beside;
        a mask becomes ``NAME_mask.png``), ``.tif``, ``.tiff`` (one plane per band, names and
        wavelengths as GDAL's metadata, the mask as the last plane; a stack of ImageJ, with its
        labels, where there are no wavelengths and ImageJ knows the type), ``.zarr`` (version 3,
        with the arrays ``cube``, ``mask``, ``wavelength`` and, where they differ, ``gain`` and
        ``offset`` of the bands, which xarray opens as coordinates of ``cube``).
    overwrite
        Whether a cube that is there may be replaced; the one that is read never is.

    Returns
    -------
    The files that were written.

    Raises
    ------
    OptionError
        Another ending, or zarr is not installed.
    RunError
        A file is there already, or the disk refuses.
    """
    ending = path.suffix.lower()
    if ending not in (*ENVI_ENDINGS, *TIFF_ENDINGS, ZARR):
        raise OptionError(
            f"'{path.name}' names no format that cubes are written in; end it with "
            f"{', '.join(ENVI_ENDINGS)} (ENVI), {TIFF_ENDINGS[0]} (TIFF) or {ZARR}."
        )
    read = files_of(cube.path)
    if ending in ENVI_ENDINGS:
        beside = {path.with_name(path.name + ".hdr"): _envi_header(cube, ending[1:]).encode()}
        if cube.mask is not None:
            beside[path.with_name(f"{path.stem}_mask.png")] = _png(cube.mask)
        # what a write that was killed has left beside no data is no cube of anybody
        taken = [file for file, content in beside.items() if not _holds(file, content)]
        check_outputs([path, *taken], read, overwrite=overwrite)
        with atomic_together(*beside, path) as (*others, temporary):
            yield from _write_planes(cube, temporary, ending[1:])
            for file, content in zip(others, beside.values(), strict=True):
                file.write_bytes(content)
        return [path, *beside]
    check_outputs([path], read, overwrite=overwrite)
    if path.is_dir() and not is_store(path):
        raise RunError(f"'{path}' is a folder and no Zarr store; name another one.")
    write = _write_zarr if ending == ZARR else _write_tiff
    with atomic(path) as temporary:
        yield from write(cube, temporary)
    return [path]


def _holds(file: Path, content: bytes) -> bool:
    return file.is_file() and file.read_bytes() == content


def _png(mask: NDArray[np.bool_]) -> bytes:
    written = BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).save(written, format="PNG")
    return written.getvalue()


def _dtype(cube: Cube) -> np.dtype[Any]:
    kind = cube.array.dtype.str[1:]
    return np.dtype("<" + _WIDER.get(kind, kind))


def zarr_block(shape: tuple[int, int, int], itemsize: int) -> tuple[int, int, int]:
    """C, H, W of the blocks in which Zarr keeps a cube.

    64 pixels a side and as many bands as half a megabyte holds: a band touches an eighth of a
    cube of 408 bands, and a crop little more than itself. Of few bands, more pixels.
    """
    bands, side = shape[0], ZARR_SIDE
    bands = max(1, min(bands, ZARR_BLOCK // (side**2 * itemsize)))
    while bands == shape[0] and bands * (2 * side) ** 2 * itemsize <= ZARR_BLOCK:
        side *= 2
    return bands, min(side, shape[1]), min(side, shape[2])


def _write_planes(cube: Cube, path: Path, interleave: str) -> Generator[Progress, None, None]:
    dtype, (bands, rows, _) = _dtype(cube), cube.shape
    order = [{"C": 0, "H": 1, "W": 2}[axis] for axis in INTERLEAVES[interleave][0]]
    with path.open("wb") as file:
        if interleave == "bsq":
            for band in range(bands):
                file.write(np.ascontiguousarray(cube.array[band], dtype).data)
                yield Progress("writing bands", band + 1, bands)
            return
        for part, _ in row_blocks(cube):
            block = np.asarray(cube.array[:, part])
            file.write(np.ascontiguousarray(block.transpose(order), dtype).data)
            yield Progress("writing rows", part.stop, rows)


def _envi_header(cube: Cube, interleave: str) -> str:
    bands, rows, columns = cube.shape
    codes = {name: code for code, name in DATA_TYPES.items()}
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
        *_scale_lines(cube),
    ]
    # a brace or comma in a name would end it
    names = [re.sub(r"[{},\s]+", " ", name).strip() for name in cube.bands.names]
    lines.append(f"band names = {{{', '.join(names)}}}")
    if (nm := cube.bands.wavelengths_nm) is not None:
        lines += ["wavelength units = Nanometers", f"wavelength = {_braced(nm)}"]
    if not cube.bands.good.all():
        lines.append(f"bbl = {_braced(cube.bands.good.astype(int))}")
    if cube.integration_time is not None:
        lines.append(f"tint = {cube.integration_time!r}")
    if cube.ignore_value is not None:
        lines.append(f"data ignore value = {cube.ignore_value!r}")
    if (shown := cube.bands.proposed) is not None:
        lines.append(f"default bands = {_braced([band + 1 for band in shown])}")
    return "\n".join(lines) + "\n"


def _scale_lines(cube: Cube) -> list[str]:
    """One number divides all to reflectance, as other programs know it, or there is one a band."""
    gain, offset = (np.broadcast_to(part, cube.shape[0]) for part in (cube.gain, cube.offset))
    if not cube.units and gain[0] > 0 and np.all(gain == gain[0]) and not offset.any():
        factor = 1 / float(gain[0])
        short = float(f"{factor:.6g}")
        factor = short if np.float32(1 / short) == gain[0] else factor
        return [f"reflectance scale factor = {factor!r}"]
    kind = "data" if cube.units else "data reflectance"
    return [
        f"{kind} gain values = {_braced(gain)}",
        f"{kind} offset values = {_braced(offset)}",
        *[f"data units = {cube.units}"] * bool(cube.units),
    ]


def _braced(numbers: Any) -> str:
    return "{" + ", ".join(_exact(number) for number in numbers) + "}"


def _exact(number: Any) -> str:
    """The shortest decimal that reads back as the same number, whatever NumPy is set to print."""
    if isinstance(number, np.floating):
        return np.format_float_positional(number, unique=True, trim="0")
    return str(number)


def _write_tiff(cube: Cube, path: Path) -> Generator[Progress, None, None]:
    dtype, (bands, rows, columns) = _dtype(cube), cube.shape
    planes = bands + (cube.mask is not None)
    tags: list[Any] = [(_GDAL_METADATA, "s", 0, _gdal_metadata(cube).encode(), True)]
    if cube.ignore_value is not None:
        tags.append((_GDAL_NODATA, "s", 0, repr(cube.ignore_value), True))
    is_large = planes * rows * columns * dtype.itemsize > 2**31
    # GDAL sees the bands of one page, ImageJ those of many: spectra are for it, camera stacks for
    # micaToolbox
    is_stack = cube.bands.wavelengths_nm is None and dtype.str[1:] in _OF_IMAGEJ and not is_large
    labels = [*cube.bands.names, *[MASK] * (cube.mask is not None)]
    with tifffile.TiffWriter(path, bigtiff=is_large, imagej=is_stack, byteorder="<") as tif:
        place = tif.write(
            None,
            shape=(planes, rows, columns),
            dtype=dtype,
            photometric="minisblack",
            planarconfig=None if is_stack else "separate",
            metadata={"axes": "ZYX", "Labels": labels} if is_stack else None,
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


def _write_zarr(cube: Cube, path: Path) -> Generator[Progress, None, None]:
    try:
        import zarr
    except ImportError:
        raise OptionError(
            f"'{path.suffix}' needs zarr: pip install \"napari-phenoscape[formats]\", or write "
            f"{TIFF_ENDINGS[0]}."
        ) from None
    store = zarr.create_group(path, zarr_format=3)
    # a block that is not there would be one that was lost
    create = partial(store.create_array, config={"write_empty_chunks": True})
    array = create(
        "cube",
        shape=cube.shape,
        dtype=cube.array.dtype.newbyteorder("="),
        chunks=zarr_block(cube.shape, cube.array.dtype.itemsize),
        dimension_names=("band", "y", "x"),
        attributes=_zarr_attributes(cube),
    )
    for name, (numbers, said) in _zarr_coordinates(cube).items():
        shape, axes = numbers.shape, ("band",)
        create(name, data=numbers, chunks=shape, dimension_names=axes, attributes=said)
    if cube.mask is not None:
        create("mask", data=cube.mask, chunks=cube.mask.shape, dimension_names=("y", "x"))
    (bands, rows, columns), (deep, high, wide) = cube.shape, array.chunks
    across = max(1, BLOCK // (bands * high * wide)) * wide
    # given several blocks at once, zarr goes on writing the others after one has failed
    with ThreadPoolExecutor() as threads:
        for top, left in product(range(0, rows, high), range(0, columns, across)):
            part = np.asarray(cube.array[:, top : top + high, left : left + across])
            written = [
                threads.submit(
                    array.set_block_selection,
                    (band // deep, top // high, (left + column) // wide),
                    part[band : band + deep, :, column : column + wide],
                )
                for band in range(0, bands, deep)
                for column in range(0, part.shape[2], wide)
            ]
            for block in written:
                block.result()
            if left + across >= columns:
                yield Progress("writing rows", min(top + high, rows), rows)
    with warnings.catch_warnings():  # not in Zarr's own words yet, but xarray misses it
        warnings.filterwarnings("ignore", "Consolidated metadata")
        zarr.consolidate_metadata(store.store)


def _zarr_coordinates(cube: Cube) -> dict[str, tuple[NDArray[Any], dict[str, Any]]]:
    """What is written along the bands: wavelengths; and scales, where they are not all the same."""
    found: dict[str, tuple[NDArray[Any], dict[str, Any]]] = {}
    nm = np.array([band.wavelength_nm for band in cube.bands], np.float64)  # NaN for None
    if np.isfinite(nm).any():
        found["wavelength"] = nm, {"units": "nm", "standard_name": "radiation_wavelength"}
    if _scale(cube) is None:
        said = {"long_name": "reflectance = gain * number + offset"}
        for name, numbers in ((GAIN, cube.gain), (OFFSET, cube.offset)):
            found[name] = np.array(np.broadcast_to(numbers, len(cube.bands))), said
    return found


def _scale(cube: Cube) -> dict[str, float] | None:
    """NetCDF's words for the scale; None where it differs from band to band, which it cannot say.

    A float32 is a float64 too, and a float64 is printed exactly.
    """
    if np.ptp(cube.gain) or np.ptp(cube.offset):
        return None
    return {
        "scale_factor": float(cube.gain.flat[0]),
        "add_offset": float(cube.offset.flat[0]),
    }


def _zarr_attributes(cube: Cube) -> dict[str, Any]:
    """Scale, "not measured" and coordinates as NetCDF names them; names and flags of the bands."""
    said: dict[str, Any] = (_scale(cube) or {}) | {
        "coordinates": " ".join(_zarr_coordinates(cube)),
        "band_names": list(cube.bands.names),
        "regions": [band.region for band in cube.bands],
        "bad_bands": np.flatnonzero(~cube.bands.good).tolist(),
    }
    if cube.units:
        said["units"] = cube.units
    if cube.integration_time is not None:
        said["integration_time"] = cube.integration_time
    if cube.ignore_value is not None:
        said["missing_value"] = cube.array.dtype.type(cube.ignore_value).item()
    if (shown := cube.bands.proposed) is not None:
        said["rgb_bands"] = list(shown)
    return said


def _gdal_metadata(cube: Cube) -> str:
    """XML of names, wavelengths (nm), scale and bad bands, each with the number of its plane."""
    items: list[str] = []

    def item(name: str, plane: int, value: object, role: str = "") -> None:
        extra = f' role="{role}"' if role else ""
        text = escape(_exact(value))
        items.append(f'<Item name="{name}" sample="{plane}"{extra}>{text}</Item>')

    gain, offset = (np.broadcast_to(part, cube.shape[0]) for part in (cube.gain, cube.offset))
    has_nm = any(band.wavelength_nm is not None for band in cube.bands)
    # numbers in names that are no wavelengths must not be read as such
    spectral = has_nm or wavelengths_of(cube.bands.names) is not None
    if cube.integration_time is not None:
        items.append(f'<Item name="integration_time">{cube.integration_time!r}</Item>')
    for plane, band in enumerate(cube.bands):
        item("DESCRIPTION", plane, band.name, "description")
        item("SCALE", plane, _exact(gain[plane]), "scale")
        item("OFFSET", plane, _exact(offset[plane]), "offset")
        if cube.units:
            item("UNITTYPE", plane, cube.units, "unittype")
        if spectral:
            item("WAVELENGTH", plane, "nan" if band.wavelength_nm is None else band.wavelength_nm)
            item("WAVELENGTH_UNITS", plane, "Nanometers")
        if band.bad:
            item("BAD_BAND", plane, 1)
    if cube.mask is not None:
        plane = cube.shape[0]
        item("DESCRIPTION", plane, MASK, "description")
        item("SCALE", plane, 1, "scale")
        item("OFFSET", plane, 0, "offset")
        if spectral:
            item("WAVELENGTH", plane, "nan")
    return f"<GDALMetadata>{''.join(items)}</GDALMetadata>"
