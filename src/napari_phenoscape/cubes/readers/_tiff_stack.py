"""The planes of a TIFF: where they lie, and what the file says of them."""

from __future__ import annotations

import html
import logging
import math
import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_phenoscape.cubes._arrays import DecodedArray, FileArray, refuse_bomb
from napari_phenoscape.cubes._lazy import LazyArray
from napari_phenoscape.cubes.readers._reader import FORMATS, needs
from napari_phenoscape.cubes.readers._tiff_decode import ALONE, decode_planes
from napari_phenoscape.errors import CubeError, PhenoscapeError

# what tifffile would print about a damaged file is said here, in a sentence of ours
logging.getLogger("tifffile").addHandler(logging.NullHandler())

#: How TIFF and BigTIFF begin, in both byte orders.
SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

_MINISWHITE, _MINISBLACK, _RGB, _PALETTE, _YCBCR = 0, 1, 2, 3, 6
_JPEG = (6, 7)
_ALPHA = (1, 2)  # values of the tag ExtraSamples: premultiplied or not
_GDAL_METADATA, _GDAL_NODATA = 42112, 42113

#: What tifffile finds in plain files; other flags are formats of their own.
_PLAIN = {"uniform", "shaped", "bigtiff", "gdal", "geotiff", "generic", "tiled", "contiguous"}

#: What tifffile and its codecs raise on damaged files.
_DAMAGE = (
    ValueError, RuntimeError, OSError, struct.error, zlib.error, LookupError, TypeError,
    AttributeError, ArithmeticError, MemoryError, AssertionError,
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Stack:
    """The planes of a TIFF, before anybody says which of them are bands.

    Parameters
    ----------
    path
        The file.
    array : (n, H, W)
        The planes, lazily.
    axis
        How the file keeps them.
    names
        What the file calls them, empty when it does not.
    wavelengths_nm
        n centres, when the file says them; NaN of a plane that has none, e.g. a mask.
    bad
        Planes that the file flags as bad.
    alpha
        The last plane is declared as transparency.
    is_colour
        The file declares red, green and blue.
    of_others
        A format of its own (OME, ImageJ, a microscope's).
    is_map
        Georeferenced.
    bits
        Used of each number.
    nodata
        The number that stands for "not measured".
    scale
        n gains and n offsets, when the file says them.
    mask_page : (H, W) or None
        One more plane, of another type than the rest.
    notes
        What was assumed.
    """

    path: Path
    array: LazyArray
    axis: Literal["samples", "channels", "pages"]
    names: tuple[str, ...] = ()
    wavelengths_nm: tuple[float, ...] | None = None
    bad: tuple[int, ...] = ()
    alpha: bool = False
    is_colour: bool = False
    of_others: bool = False
    is_map: bool = False
    bits: int | None = None
    nodata: float | None = None
    scale: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    mask_page: NDArray[Any] | None = None
    notes: tuple[str, ...] = ()

    @property
    def count(self) -> int:
        """Planes in all."""
        return self.array.shape[0] + (self.mask_page is not None)

    @property
    def noun(self) -> str:
        """What a person calls the planes."""
        return "pages" if self.axis == "pages" else "channels"

    def plane(
        self, index: int, where: tuple[slice, slice] = (slice(None), slice(None))
    ) -> NDArray[Any]:
        """(H, W) the numbers of one plane, or of every so many rows and columns of it."""
        if index == self.array.shape[0] and self.mask_page is not None:
            return self.mask_page[where]
        return np.asarray(self.array[(index, *where)])


def read_stack(path: Path, *, colours: bool = True) -> Stack:
    """The planes of a TIFF, its pixels unread.

    Parameters
    ----------
    path
        The file.
    colours
        Refuse palettes, whose numbers are no reflectance.

    Raises
    ------
    CubeError
        Damaged, cut short, more than memory holds, or planes that do not fit together.
    """
    with _readable(path), tifffile.TiffFile(path, **ALONE) as tif:
        _refuse_planes_of_others(path, tif)
        _refuse_lost_pages(path, tif)
        images = [series for series in tif.series if not series.keyframe.is_reduced]
        if len(images) == 2 and _is_mask_page(*images):
            return _with_mask_page(path, tif, images[0], images[1])
        if len(images) != 1:
            raise CubeError(
                f"'{path.name}' holds {len(images)} images of different sizes or types; one stack "
                "of planes of the same size was expected. Save the one that you want alone."
            )
        return _stack(path, tif, images[0], colours=colours)


def _refuse_planes_of_others(path: Path, tif: tifffile.TiffFile) -> None:
    """OME's description may name other files, anywhere, as the place of some planes."""
    said = (tif.ome_metadata or "") if tif.is_ome else ""
    own = re.findall(r'<(?:\w+:)?OME\b[^>]*?\bUUID="([^"]*)"', said)
    named = re.findall(r"<(?:\w+:)?UUID\b[^>]*>\s*([^<\s]*)", said)
    if set(named) - set(own):
        raise CubeError(
            f"'{path.name}' takes planes from other files, which are not opened; one file with all "
            "of them was expected. Save it as a single TIFF."
        )


def _refuse_lost_pages(path: Path, tif: tifffile.TiffFile) -> None:
    """Each page says where the next one is; where that is not in the file, tifffile stops."""
    with path.open("rb") as file:
        file.seek(tif.pages.next_page_offset or 0)
        following = file.read(tif.tiff.offsetsize)
    if following != bytes(tif.tiff.offsetsize):
        raise CubeError(
            f"'{path.name}' is truncated: after {len(tif.pages)} pages another is declared that is "
            f"not in its {path.stat().st_size} bytes. Copy the file again from its source."
        )


def _is_mask_page(planes: tifffile.TiffPageSeries, last: tifffile.TiffPageSeries) -> bool:
    """Six planes and one more of the same size and another type."""
    sizes = {series.shape[-2:] for series in (planes, last)}
    return len(sizes) == 1 and planes.shape[:-2] == (6,) and last.ndim == 2


def _with_mask_page(
    path: Path, tif: tifffile.TiffFile, planes: tifffile.TiffPageSeries, last: Any
) -> Stack:
    stack = _stack(path, tif, planes)
    mask = _stack(path, tif, last).plane(0)
    return Stack(path, stack.array, stack.axis, bits=stack.bits, mask_page=mask)


def _stack(
    path: Path, tif: tifffile.TiffFile, series: tifffile.TiffPageSeries, *, colours: bool = True
) -> Stack:
    page = series.keyframe
    _refuse_other_colours(path, page, colours)
    kept = [(axis, n) for axis, n in zip(series.axes, series.shape, strict=True)]
    kept = [(axis, n) for axis, n in kept if n != 1 or axis in "YX"]
    axes, shape = "".join(axis for axis, _ in kept), tuple(n for _, n in kept)
    if len(shape) == 2:
        axes, shape = "S" + axes, (1, *shape)
    if len(shape) != 3 or "Y" not in axes or "X" not in axes or 0 in shape:
        raise CubeError(
            f"'{path.name}' has the axes {axes} ({' × '.join(map(str, shape))}); rows, columns and "
            "one axis of bands were expected. Save one time point, depth or tile of it alone."
        )
    letter = next(axis for axis in axes if axis not in "YX")
    notes: tuple[str, ...] = ()
    order = tuple(axes.index(axis) for axis in (letter, "Y", "X"))
    if tif.is_shaped and letter not in "SC" and axes.endswith("YX"):
        depth, rows, columns = shape
        # (H, W, 7) written by tifffile without saying so: H pages of W rows and 7 columns
        if columns in (6, 7) and min(depth, rows) >= 16:
            letter, order = "S", (2, 0, 1)
            notes = (f"{depth} pages of {columns} columns are taken as {columns} channels.",)
    array = _array(path, tif, series, shape, order)
    count = array.shape[0]
    said = _said(tif, page, count)
    return Stack(
        path=path,
        array=array,
        axis="samples" if letter == "S" else "channels" if letter == "C" else "pages",
        alpha=letter == "S" and count > 1 and page.extrasamples[-1:] in [(a,) for a in _ALPHA],
        is_colour=page.photometric in (_RGB, _YCBCR),
        of_others=bool({flag.lower() for flag in tif.flags} - _PLAIN),
        is_map=bool(tif.is_geotiff),
        bits=page.bitspersample,
        notes=notes,
        **said,
    )


def _refuse_other_colours(path: Path, page: Any, colours: bool) -> None:
    allowed = [_MINISBLACK, _RGB] if colours else [_MINISBLACK, _RGB, _PALETTE]
    if page.compression in _JPEG:
        allowed.append(_YCBCR)  # its decoder gives RGB
    if page.photometric == _MINISWHITE:
        # tifffile writes bool masks so, True as 1; other programs show that 1 as black
        raise CubeError(
            f"'{path.name}' declares that 0 is white, which programs read in opposite ways; 0 as "
            "black was expected. Save it anew as 8-bit grey."
        )
    if page.photometric not in allowed:
        kind = getattr(page.photometric, "name", page.photometric)
        raise CubeError(
            f"'{path.name}' has the colours {kind}; plain numbers or RGB were expected. Save it as "
            "RGB or grey."
        )
    if page.dtype is None or page.dtype.kind not in "uifb":
        raise CubeError(
            f"'{path.name}' holds numbers of the type {page.dtype or 'unknown'}; whole numbers or "
            "floats were expected. Save it as 8, 16 or 32 bit."
        )


def _array(
    path: Path,
    tif: tifffile.TiffFile,
    series: tifffile.TiffPageSeries,
    shape: tuple[int, ...],
    order: tuple[int, ...],
) -> LazyArray:
    dtype = series.dtype.newbyteorder(tif.byteorder)
    a, b, c = shape
    i, j, k = order
    if series.dataoffset is not None:
        return FileArray(path, dtype, (a, b, c), (i, j, k), series.dataoffset)
    key: Any = series.keyframe
    blocks, size = math.prod(key.chunked), path.stat().st_size
    for page in series.pages:
        there = 0 if page is None else min(len(page.dataoffsets), len(page.databytecounts))
        if page is None or there < blocks or 0 in page.databytecounts[:blocks]:
            raise CubeError(
                f"'{path.name}' lacks some of its planes or blocks, which would read as 0; all "
                "were expected. Copy it again from its source."
            )
        end = max(map(sum, zip(page.dataoffsets, page.databytecounts, strict=False)))
        if end > size:
            raise CubeError(
                f"'{path.name}' is truncated: {end} bytes are declared and {size} are there. Copy "
                "the file again from its source."
            )
    if key.is_tiled:  # one may be larger than all of the picture
        refuse_bomb(path, math.prod((*key.tile, key.shaped[-1])) * key.dtype.itemsize)
    decode = partial(_decode, path, tif.series.index(series), shape, order)
    return DecodedArray(path, (shape[i], shape[j], shape[k]), dtype, decode)


def _decode(
    path: Path, number: int, shape: tuple[int, ...], order: tuple[int, ...]
) -> NDArray[Any]:
    with _readable(path):
        return decode_planes(path, number).reshape(shape).transpose(order)


def _said(tif: tifffile.TiffFile, page: Any, count: int) -> dict[str, Any]:
    """Names, wavelengths, scale and nodata, as far as the file says them for all planes."""
    said: dict[str, Any] = {}
    if tif.is_imagej:
        labels = (tif.imagej_metadata or {}).get("Labels", ())
        labels = [labels] if isinstance(labels, str) else labels
        said["names"] = tuple(label.strip().partition("\n")[0] for label in labels)
    elif tif.is_ome:
        found = re.findall(r'<Channel\b[^>]*?\bName="([^"]*)"', tif.ome_metadata or "")
        said["names"] = tuple(html.unescape(name) for name in found)
    if nodata := page.tags.get(_GDAL_NODATA):
        try:
            said["nodata"] = float(str(nodata.value).strip(" \0"))
        except ValueError:
            said["nodata"] = None
    if metadata := page.tags.get(_GDAL_METADATA):
        said |= _said_by_gdal(str(metadata.value), count)
    if len(said.get("names", ())) != count:
        said["names"] = ()
    return said


def _said_by_gdal(xml: str, count: int) -> dict[str, Any]:
    items: dict[str, dict[int, str]] = {}
    for attributes, value in re.findall(r"<Item\b([^>]*)>([^<]*)</Item>", xml):
        fields = dict(re.findall(r'(\w+)="([^"]*)"', attributes))
        if fields.get("sample", "").isdecimal():
            of_band = items.setdefault(fields.get("name", "").lower(), {})
            of_band[int(fields["sample"])] = html.unescape(value).strip()

    def complete(key: str) -> list[str]:
        given = items.get(key, {})
        return [given[i] for i in range(count)] if set(range(count)) <= set(given) else []

    def numbers(key: str) -> tuple[float, ...]:
        try:
            return tuple(float(text) for text in complete(key))
        except ValueError:
            return ()

    said: dict[str, Any] = {"names": tuple(complete("description"))}
    in_um = any("micro" in unit.lower() for unit in items.get("wavelength_units", {}).values())
    for key, factor in (("wavelength", 1e3 if in_um else 1.0), ("central_wavelength_um", 1e3)):
        if centres := numbers(key):
            said["wavelengths_nm"] = tuple(round(factor * centre, 6) for centre in centres)
            break
    said["bad"] = tuple(plane for plane, flag in items.get("bad_band", {}).items() if flag != "0")
    gains, offsets = numbers("scale"), numbers("offset")
    if gains or offsets:
        said["scale"] = (gains or (1.0,) * count, offsets or (0.0,) * count)
    return said


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except PhenoscapeError:
        raise
    except _DAMAGE as error:
        if "imagecodecs" in str(error):
            raise needs(path, "imagecodecs", FORMATS) from None
        raise CubeError(
            f"'{path.name}' cannot be decoded ({error}); it is damaged or of an unusual kind. Copy "
            "it again from its source, or save it anew as plain TIFF."
        ) from None
