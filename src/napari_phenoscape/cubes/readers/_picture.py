"""Pictures of a common camera: PNG, JPEG, BMP, WebP; colours or grey, transparency as the mask."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError
from PIL.MpoImagePlugin import MpoImageFile

from napari_phenoscape.cubes._arrays import DecodedArray, refuse_bomb
from napari_phenoscape.cubes._bands import Band, Bands
from napari_phenoscape.cubes._cube import Cube
from napari_phenoscape.cubes._labels import GREY
from napari_phenoscape.cubes._lazy import (
    IS_TURNED,
    ORIENTATION,
    TURNED,
    LazyArray,
    Upright,
    Window,
)
from napari_phenoscape.cubes.readers._pieces import PIECE
from napari_phenoscape.cubes.readers._reader import CODED, FORMATS, Reader
from napari_phenoscape.cubes.readers._whole import refuse_damage
from napari_phenoscape.errors import CubeError

#: How the files of these formats begin.
SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM", b"RIFF")

#: The bands of the kinds of pictures; transparency is none.
_BANDS = {"RGB": Bands(Band(name, region="vis") for name in "RGB"), "L": Bands([Band(GREY)])}

_FORMATS = ("PNG", "JPEG", "BMP", "WEBP")

#: The tag of a JPEG's list of its pictures.
_MP_ENTRIES = 0xB002

#: What warnings are shown is the same in all threads: one that changes it keeps out the others.
_ALONE = Lock()


def open_picture(path: Path) -> Cube:
    """The bands R, G, B of a colour picture, or one that is `grey`.

    Its mask is where it is at least half opaque.

    Raises
    ------
    CubeError
        The picture has other colours than RGB, or is damaged.
    """
    refuse_damage(path)
    mode, (width, height), turned, dtype, profile, frames = _look(path)
    if deep := _deep_colours(path):
        import imagecodecs  # noqa: F401  that it is missing is told now, not at the first look

        mode = deep if deep == "LA" else mode  # which Pillow calls RGBA
    notes = [f"The numbers of the picture, {CODED}, are taken as reflectance."]
    dtype = np.dtype(np.uint16) if deep else dtype
    white = int(np.iinfo(dtype).max)
    depth, bands = len(mode), _BANDS[mode.removesuffix("A")]
    decode = partial(_decoded_bands, path, mode, deep=bool(deep))
    pixels: LazyArray = DecodedArray(path, (depth, height, width), dtype, decode)
    if frames > 1:
        notes.append(f"The first of its {frames} frames is read, and no other.")
    if turned in TURNED:
        notes.append(f"{IS_TURNED} EXIF orientation says.")
        pixels = Upright(pixels, turned)
    notes += _profile(profile)
    mask = None
    if depth > len(bands):
        opaque = pixels[-1] > white // 2
        mask = None if opaque.all() else opaque
    return Cube(
        array=Window(pixels, np.arange(len(bands))) if depth > len(bands) else pixels,
        bands=bands,
        path=path,
        gain=np.array(1 / white, np.float32),
        mask=mask,
        provenance=tuple(notes),
    )


def read_numbers(path: Path) -> NDArray[Any]:
    """(H, W) the numbers of a picture of one band; of a palette its greys, else its colour numbers.

    Raises
    ------
    CubeError
        It has several bands, or is a JPEG, whose numbers are not exact.
    """
    with _opened(path) as picture:
        if picture.format == "JPEG":
            raise CubeError(
                f"'{path.name}' is a JPEG, which blurs the numbers of a mask; PNG or TIFF was "
                "expected. Save the mask in one of these."
            )
        if picture.mode not in ("1", "L", "P") and picture.mode[0] != "I":
            raise CubeError(
                f"'{path.name}' has the bands {'+'.join(picture.getbands())}; a mask of one band "
                "was expected. Save it as a grey picture."
            )
        refuse_bomb(path, picture.width * picture.height)
        upright = ImageOps.exif_transpose(picture)
        numbers = np.asarray(upright)
        if picture.mode == "P" and _is_grey(upright, np.unique(numbers)):
            # programs that write few colours number them as they come: 0 may be white
            numbers = np.asarray(upright.convert("L"))
    return numbers.astype(np.uint8) if numbers.dtype == np.bool_ else numbers


def orientation(path: Path) -> int | None:
    """EXIF's tag; None where the file does not have it."""
    with _opened(path) as picture:
        found: int | None = picture.getexif().get(ORIENTATION)
        return found


def _is_grey(picture: Image.Image, used: NDArray[Any]) -> bool:
    """Whether the colours of a palette that are used are greys, no two of them the same."""
    colours = np.array(picture.getpalette("RGB") or (), np.uint8).reshape(-1, 3)
    if used.max() >= len(colours):
        return False
    greys = colours[used]
    return len(np.unique(greys[:, 0])) == len(used) and not np.ptp(greys, axis=1).any()


class _Clipped(io.BufferedReader):
    """Reads, and makes room for, what is there; a damaged picture may ask for gigabytes."""

    def read(self, size: int | None = -1, /) -> bytes:
        there = os.fstat(self.fileno()).st_size - self.tell()
        return super().read(size if size is None else min(size, max(there, 0)))


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    try:
        with _Clipped(io.FileIO(path)) as file, _unwarned(file) as picture:
            yield picture
    except Image.DecompressionBombError:
        raise CubeError(
            f"'{path.name}' declares more than {2 * (Image.MAX_IMAGE_PIXELS or 0)} pixels; "
            "save it as TIFF, which is read without that limit."
        ) from None
    except CubeError:
        raise
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        # Pillow's own words name an object of Python
        why = "no picture" if isinstance(error, UnidentifiedImageError) else error
        raise CubeError(
            f"'{path.name}' cannot be decoded ({why}); it is damaged or cut short. Copy it again "
            "from its source."
        ) from None


def _unwarned(file: _Clipped) -> Image.Image:
    with _ALONE, warnings.catch_warnings():
        # a drawer of 100 million pixels is no attack; DecodedArray looks at the memory
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        return Image.open(file, formats=_FORMATS)


def _is_transparent(picture: Image.Image) -> bool:
    return picture.mode == "RGBA" or (picture.mode in "PRGB" and "transparency" in picture.info)


def _look(path: Path) -> tuple[str, tuple[int, int], int, np.dtype[Any], bytes, int]:
    """RGB, RGBA, L or LA, width and height in the file, EXIF orientation, Pillow's type, ICC.

    And how many frames there are.
    """
    with _opened(path) as picture:
        grey = picture.mode in ("1", "L", "LA") or picture.mode[0] == "I"
        mode = "L" if grey else "RGB"
        mode += "A" * (picture.mode == "LA" or _is_transparent(picture))
        if not grey and picture.mode not in ("RGB", "RGBA", "P"):
            raise CubeError(
                f"'{path.name}' has the colours {picture.mode}; red, green and blue, or grey, were "
                "expected. Save it as an RGB picture."
            )
        # before Pillow looks for the orientation, for which it decodes a PNG
        refuse_bomb(path, len(mode) * picture.width * picture.height)
        turned = picture.getexif().get(ORIENTATION, 1)
        dtype = np.dtype(np.uint16 if picture.mode[0] == "I" else np.uint8)
        profile = picture.info.get("icc_profile") or b""
        return mode, picture.size, turned, dtype, profile, _frames(picture)


def _frames(picture: Image.Image) -> int:
    """Frames of an animation, or views and parts of one scene; a preview is none (CIPA DC-007)."""
    if not isinstance(picture, MpoImageFile):
        return getattr(picture, "n_frames", 1)
    kinds = [str(one["Attribute"]["MPType"]) for one in (picture.mpinfo or {}).get(_MP_ENTRIES, ())]
    return sum(kind.startswith("Multi-Frame") for kind in kinds)


def _profile(given: bytes) -> Iterator[str]:
    """A sentence about an ICC profile of colours that is not sRGB's, which most have."""
    try:
        profile = ImageCms.getOpenProfile(io.BytesIO(given)) if given else None
        name = ImageCms.getProfileDescription(profile).strip() if profile else "sRGB"
    except ImageCms.PyCMSError:
        name = "damaged"
    if "srgb" not in name.lower():
        yield f"Its colour profile '{name}' is not applied."


def _decoded_bands(path: Path, mode: str, *, deep: bool) -> NDArray[Any]:
    """(C, H, W) numbers."""
    if deep:
        pixels: NDArray[Any] = _decode_deep(path)
    else:
        pixels = _decode(path, mode) if mode in ("RGB", "RGBA") else _decode_grey(path, mode)
    return np.moveaxis(pixels[..., : len(mode)], -1, 0)


def _decode_grey(path: Path, mode: str) -> NDArray[Any]:
    """(H, W, 1 or 2) pixels, of 16 bits where the picture has them."""
    with _opened(path) as picture:
        deep = picture.mode[0] == "I"
        picture.load()
        shape = (picture.height, picture.width, len(mode))
        pixels = np.zeros(shape, np.uint16 if deep else np.uint8)
        for rows, part in _pieces(picture):
            numbers = np.asarray(part if deep else part.convert(mode))
            pixels[rows] = numbers.reshape(pixels[rows].shape)
    return pixels


def _pieces(picture: Image.Image) -> Iterator[tuple[slice, Image.Image]]:
    """Some rows of a picture at a time: Pillow converts with several copies."""
    rows = max(1, PIECE // (4 * picture.width))
    for top in range(0, picture.height, rows):
        bottom = min(top + rows, picture.height)
        yield slice(top, bottom), picture.crop((0, top, picture.width, bottom))


def _decode(path: Path, mode: str) -> NDArray[np.uint8]:
    """(H, W, 4) pixels, as Pillow has them in its memory."""
    with _opened(path) as picture:
        # a damaged picture may leave gaps
        pixels = np.zeros((picture.height, picture.width, 4), np.uint8)
        own = Image.frombuffer("RGBA", picture.size, pixels, "raw", "RGBA", 0, 1).im
        # the file is decoded into our memory, where Pillow lets it; of one without pixels, to which
        # memory was given, it would not complain
        if picture.mode == mode and getattr(picture, "tile", None):
            picture.im = own
        picture.load()
        if picture.im is not own:
            for rows, part in _pieces(picture):
                pixels[rows, :, : len(mode)] = np.asarray(part.convert(mode))
        return pixels


def _deep_colours(path: Path) -> str:
    """Of a PNG of 16 bits that Pillow halves in silence: RGB, RGBA or LA; else nothing."""
    with path.open("rb") as file:
        head = file.read(26)
    is_deep = head.startswith(SIGNATURES[0]) and head[24] == 16
    return {2: "RGB", 4: "LA", 6: "RGBA"}.get(head[25], "") if is_deep else ""


def _decode_deep(path: Path) -> NDArray[np.uint16]:
    import imagecodecs

    try:
        pixels = imagecodecs.png_decode(path.read_bytes())
    except (RuntimeError, ValueError) as error:  # also of a message that is no text
        raise CubeError(
            f"'{path.name}' cannot be decoded ({error}); it is damaged or cut short. Copy it again "
            "from its source."
        ) from None
    return np.atleast_3d(pixels)


# without `recognise`: napari shows pictures itself
READER = Reader(
    name="picture",
    patterns=("*.png", "*.jpg", "*.jpeg", "*.bmp", "*.webp"),
    claims=lambda _, head: head.startswith(SIGNATURES),
    open=open_picture,
    read_mask=read_numbers,
    orientation=orientation,
    install=FORMATS,
)
