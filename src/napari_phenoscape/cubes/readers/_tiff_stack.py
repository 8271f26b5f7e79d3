"""The planes of a TIFF: where they lie, and what the file says of them."""

from __future__ import annotations

import logging
import math
import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_phenoscape.cubes._arrays import DecodedArray, FileArray, refuse_bomb
from napari_phenoscape.cubes._lazy import IS_TURNED, ORIENTATION, TURNED, LazyArray, Upright
from napari_phenoscape.cubes.readers._reader import FORMATS, LINEAR, needs
from napari_phenoscape.cubes.readers._tiff_decode import ALONE, decode_planes
from napari_phenoscape.cubes.readers._tiff_said import Said, bits_of, said_by
from napari_phenoscape.errors import CubeError, PhenoscapeError

# what tifffile would print about a damaged file is said here, in a sentence of ours
logging.getLogger("tifffile").addHandler(logging.NullHandler())

#: How TIFF and BigTIFF begin, in both byte orders.
SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")

_MINISWHITE, _MINISBLACK, _RGB, _PALETTE, _YCBCR = 0, 1, 2, 3, 6
_JPEG = (6, 7)
_ALPHA = (1, 2)  # values of the tag ExtraSamples: premultiplied or not
#: Bytes at the start of a TIFF that are its header.
_HEADER = 8

#: Tags of widths, heights and channels, and the types of whole numbers without sign (TIFF 6.0).
_SIDES, _WITHOUT_SIGN = (256, 257, 277, 322, 323, 32997), (1, 3, 4, 13, 16, 18)

_PLANAR = (1, 2)  # values of the tag PlanarConfiguration
_OF_A_SENSOR = (32803, 34892)  # photometric: a mosaic of filters, and linear raw
_DNG_VERSION = 50706

#: Endings of cameras' raw files that begin as a TIFF does.
RAW_ENDINGS = (
    ".nef",
    ".nrw",
    ".dng",
    ".cr2",
    ".arw",
    ".sr2",
    ".pef",
    ".3fr",
    ".erf",
    ".iiq",
    ".kdc",
)

#: What tifffile finds in plain files; other flags are formats of their own.
_PLAIN = {"uniform", "shaped", "bigtiff", "gdal", "geotiff", "generic", "tiled", "contiguous"}

#: What tifffile and its codecs raise on damaged files.
_DAMAGE = (
    ValueError, RuntimeError, OSError, struct.error, zlib.error, LookupError, TypeError,
    AttributeError, ArithmeticError, MemoryError, AssertionError,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class Stack(Said):
    """The planes of a TIFF, before anybody says which of them are bands.

    Parameters
    ----------
    path
        The file.
    array : (n, H, W)
        The planes, lazily.
    axis
        How the file keeps them.
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
    mask_page : (H, W) or None
        One more plane, of another type than the rest.
    """

    path: Path
    array: LazyArray
    axis: Literal["samples", "channels", "pages"]
    alpha: bool = False
    is_colour: bool = False
    of_others: bool = False
    is_map: bool = False
    bits: int | None = None
    mask_page: NDArray[Any] | None = None

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
        _refuse_camera_raw(path, tif)
        _refuse_planes_of_others(path, tif)
        _refuse_lost_pages(path, tif)
        _refuse_sides_with_a_sign(path, tif)
        images = [series for series in tif.series if not series.keyframe.is_reduced]
        if len(images) == 2 and _is_mask_page(*images):
            return _with_mask_page(path, tif, images[0], images[1])
        if len(images) != 1:
            raise CubeError(
                f"'{path.name}' holds {len(images)} images of different sizes or types; one stack "
                "of planes of the same size was expected. Save the one that you want alone."
            )
        return _stack(path, tif, images[0], colours=colours)


def orientation(path: Path) -> int | None:
    """The tag Orientation; None where the file does not have it."""
    with _readable(path), tifffile.TiffFile(path, **ALONE) as tif:
        return getattr(tif.pages.first.tags.get(ORIENTATION), "value", None)


def _refuse_camera_raw(path: Path, tif: tifffile.TiffFile) -> None:
    """A raw file is a TIFF whose first image is a small preview, coded for the eye."""
    first: Any = tif.pages.first
    own = [*islice(tif.pages, 4), *(first.pages or ())]
    is_sensor = any(getattr(page, "photometric", None) in _OF_A_SENSOR for page in own)
    with path.open("rb") as file:
        is_canon = file.read(10)[8:] == b"CR"
    if is_sensor or is_canon or _DNG_VERSION in first.tags or path.suffix.lower() in RAW_ENDINGS:
        raise CubeError(f"'{path.name}' is {LINEAR} and open what comes out.")


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


def _refuse_sides_with_a_sign(path: Path, tif: tifffile.TiffFile) -> None:
    """Of files of its own, tifffile goes back where a side is negative, and on, for ever.

    Only the types of the tags are read, since a stack of planes may have thousands of pages.
    """
    kind, file, at = tif.tiff, tif.filehandle, tif.pages.first.offset
    for _ in range(len(tif.pages) if tif.is_shaped else 0):
        file.seek(at)
        (count,) = struct.unpack(kind.tagnoformat, file.read(kind.tagnosize))
        tags = file.read(count * kind.tagsize + kind.offsetsize)
        for start in range(0, count * kind.tagsize, kind.tagsize):
            tag, of_type = struct.unpack_from(kind.tagformat1, tags, start)
            if tag in _SIDES and of_type not in _WITHOUT_SIGN:
                raise CubeError(
                    f"'{path.name}' gives a side of its pictures as a number that may be negative "
                    f"(tag {tag}, type {of_type}); it is damaged. Copy it again from its source."
                )
        (at,) = struct.unpack(kind.offsetformat, tags[count * kind.tagsize :])


def _is_mask_page(planes: tifffile.TiffPageSeries, last: tifffile.TiffPageSeries) -> bool:
    """Six planes and one more of the same size and another type."""
    sizes = {series.shape[-2:] for series in (planes, last)}
    return len(sizes) == 1 and planes.shape[:-2] == (6,) and last.ndim == 2


def _with_mask_page(
    path: Path, tif: tifffile.TiffFile, planes: tifffile.TiffPageSeries, last: Any
) -> Stack:
    stack = _stack(path, tif, planes)
    mask = _stack(path, tif, last).plane(0)
    return Stack(path=path, array=stack.array, axis=stack.axis, bits=stack.bits, mask_page=mask)


def _stack(
    path: Path, tif: tifffile.TiffFile, series: tifffile.TiffPageSeries, *, colours: bool = True
) -> Stack:
    page = series.keyframe
    _refuse_what_is_unclear(path, page, colours)
    kept = [(axis, n) for axis, n in zip(series.axes, series.shape, strict=True)]
    kept = [(axis, n) for axis, n in kept if n != 1 or axis in "YX"]
    axes, shape = "".join(axis for axis, _ in kept), tuple(n for _, n in kept)
    if len(shape) == 2:
        axes, shape = "S" + axes, (1, *shape)
    is_whole = all(isinstance(n, int) for n in shape)  # a tag may hold fractions
    if len(shape) != 3 or "Y" not in axes or "X" not in axes or 0 in shape or not is_whole:
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
    turned = getattr(page.tags.get(ORIENTATION), "value", 1)
    # a map lies as its coordinates say
    if turned in TURNED and not tif.is_geotiff:
        notes += (f"{IS_TURNED} tag Orientation says.",)
        array = Upright(array, turned)
    said = said_by(tif, series, count)
    alpha = letter == "S" and count > 1 and page.extrasamples[-1:] in [(a,) for a in _ALPHA]
    if alpha and page.extrasamples[-1] == _ALPHA[0]:
        notes += ("Its numbers are multiplied by its opacity: half as large where it is half.",)
    return Stack(
        path=path,
        array=array,
        axis="samples" if letter == "S" else "channels" if letter == "C" else "pages",
        alpha=alpha,
        is_colour=page.photometric in (_RGB, _YCBCR),
        of_others=bool({flag.lower() for flag in tif.flags} - _PLAIN),
        is_map=bool(tif.is_geotiff),
        bits=min(page.bitspersample, bits_of(tif, page)),
        **{**vars(said), "notes": notes + said.notes},
    )


def _refuse_what_is_unclear(path: Path, page: Any, colours: bool) -> None:
    allowed = [_MINISBLACK, _RGB] if colours else [_MINISBLACK, _RGB, _PALETTE]
    if page.compression in _JPEG:
        allowed.append(_YCBCR)  # its decoder gives RGB
    if page.photometric == _MINISWHITE:
        # tifffile writes bool masks so, True as 1; other programs show that 1 as black
        raise CubeError(
            f"'{path.name}' declares that 0 is white, which programs read in opposite ways; 0 as "
            "black was expected. Save it anew as 8-bit grey."
        )
    if page.planarconfig not in _PLANAR:
        raise CubeError(
            f"'{path.name}' has the planar configuration {page.planarconfig}; 1 (channels beside "
            "each other) or 2 (one after the other) was expected. Copy it again from its source."
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
    key: Any = series.keyframe
    # no block lies in the header: an offset of 0 is that of one which was never written
    if min(key.dataoffsets, default=0) < _HEADER:
        raise _lacking(path)
    if series.dataoffset is not None:
        return FileArray(path, dtype, (a, b, c), (i, j, k), series.dataoffset)
    blocks, size = math.prod(key.chunked), path.stat().st_size
    for page in series.pages:
        there = 0 if page is None else min(len(page.dataoffsets), len(page.databytecounts))
        if page is None or there < blocks or 0 in page.databytecounts[:blocks]:
            raise _lacking(path)
        if min(page.dataoffsets[:blocks]) < _HEADER:
            raise _lacking(path)
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


def _lacking(path: Path) -> CubeError:
    return CubeError(
        f"'{path.name}' lacks some of its planes or blocks, which would read as 0 or as other "
        "parts of the file; all were expected. Copy it again from its source."
    )


def _decode(
    path: Path, number: int, shape: tuple[int, ...], order: tuple[int, ...]
) -> NDArray[Any]:
    with _readable(path):
        return decode_planes(path, number).reshape(shape).transpose(order)


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
