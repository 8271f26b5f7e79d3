"""Pictures of a common camera: PNG, JPEG, BMP, WebP; three bands, transparency as the mask."""

from __future__ import annotations

import io
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from napari_phenoscape.cubes._arrays import DecodedArray, refuse_bomb
from napari_phenoscape.cubes._bands import Band, Bands
from napari_phenoscape.cubes._cube import Cube
from napari_phenoscape.cubes._lazy import Window
from napari_phenoscape.cubes.readers._pieces import PIECE
from napari_phenoscape.cubes.readers._reader import FORMATS, Reader
from napari_phenoscape.cubes.readers._whole import refuse_damage
from napari_phenoscape.errors import CubeError

#: How the files of these formats begin.
SIGNATURES = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"BM", b"RIFF")

RGB = Bands(Band(name, region="vis") for name in "RGB")

_FORMATS = ("PNG", "JPEG", "BMP", "WEBP")
_ORIENTATION, _EXCHANGED = 0x0112, (5, 6, 7, 8)  # EXIF's tag; those that exchange rows and columns


def open_picture(path: Path) -> Cube:
    """The bands R, G, B of a colour picture; its mask is where it is at least half opaque.

    Raises
    ------
    CubeError
        The picture is grey, has other colours than RGB, or is damaged.
    """
    refuse_damage(path)
    mode, (width, height), turned = _look(path)
    if deep := _is_deep(path):
        import imagecodecs  # noqa: F401  that it is missing is told now, not at the first look
    notes = ["The numbers of the picture, as its camera coded them, are taken as reflectance."]
    if turned != 1:
        notes.append("The picture is turned as its EXIF orientation says.")
    dtype, white = (np.dtype(np.uint16), 65535) if deep else (np.dtype(np.uint8), 255)
    depth = len(mode)
    decode = partial(_bands, path, mode, turned, deep=deep)
    pixels = DecodedArray(path, (depth, height, width), dtype, decode)
    mask = None
    if mode == "RGBA":
        opaque = pixels[3] > white // 2
        mask = None if opaque.all() else opaque
    return Cube(
        array=Window(pixels, np.arange(3)) if depth == 4 else pixels,
        bands=RGB,
        path=path,
        gain=np.array(1 / white, np.float32),
        mask=mask,
        provenance=tuple(notes),
    )


def read_numbers(path: Path) -> NDArray[Any]:
    """(H, W) the numbers of a picture of one band; the colour numbers of a palette.

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
        numbers = np.asarray(picture)
    return numbers.astype(np.uint8) if numbers.dtype == np.bool_ else numbers


class _Clipped(io.BufferedReader):
    """Reads, and makes room for, what is there; a damaged picture may ask for gigabytes."""

    def read(self, size: int | None = -1, /) -> bytes:
        there = os.fstat(self.fileno()).st_size - self.tell()
        return super().read(size if size is None else min(size, max(there, 0)))


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    try:
        with warnings.catch_warnings():
            # a drawer of 100 million pixels is no attack; DecodedArray looks at the memory
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with _Clipped(io.FileIO(path)) as file, Image.open(file, formats=_FORMATS) as picture:
                yield picture
    except Image.DecompressionBombError:
        raise CubeError(
            f"'{path.name}' declares more than {2 * (Image.MAX_IMAGE_PIXELS or 0)} pixels; "
            "save it as TIFF, which is read without that limit."
        ) from None
    except CubeError:
        raise
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        raise CubeError(
            f"'{path.name}' cannot be decoded ({error}); it is damaged or cut short. Copy it again "
            "from its source."
        ) from None


def _is_transparent(picture: Image.Image) -> bool:
    return picture.mode == "RGBA" or (picture.mode in "PRGB" and "transparency" in picture.info)


def _look(path: Path) -> tuple[str, tuple[int, int], int]:
    """RGB or RGBA, width and height as they are shown, and the EXIF orientation."""
    with _opened(path) as picture:
        mode = "RGBA" if _is_transparent(picture) else "RGB"
        if picture.mode not in ("RGB", "RGBA", "P"):
            grey = picture.mode in ("1", "L", "LA", "La") or picture.mode[0] in "IF"
            what = "one band, grey" if grey else f"the colours {picture.mode}"
            raise CubeError(
                f"'{path.name}' has {what}; red, green and blue were expected. "
                + ("It can serve as a mask." if grey else "Save it as an RGB picture.")
            )
        # before Pillow looks for the orientation, for which it decodes a PNG
        refuse_bomb(path, len(mode) * picture.width * picture.height)
        turned = picture.getexif().get(_ORIENTATION, 1)
        width, height = picture.size
    return mode, (height, width) if turned in _EXCHANGED else (width, height), turned


def _bands(path: Path, mode: str, turned: int, *, deep: bool) -> NDArray[Any]:
    """(C, H, W) numbers, upright."""
    pixels = _decode_deep(path) if deep else _decode(path, mode)
    return np.moveaxis(_upright(pixels, turned)[..., : len(mode)], -1, 0)


def _decode(path: Path, mode: str) -> NDArray[np.uint8]:
    """(H, W, 4) pixels, as Pillow has them in its memory."""
    with _opened(path) as picture:
        pixels = np.empty((picture.height, picture.width, 4), np.uint8)
        own = Image.frombuffer("RGBA", picture.size, pixels, "raw", "RGBA", 0, 1).im
        if picture.mode == mode:
            picture.im = own  # the file is decoded into our memory, where Pillow lets it
        picture.load()
        if picture.im is not own:
            rows = max(1, PIECE // (4 * picture.width))
            for top in range(0, picture.height, rows):
                part = picture.crop((0, top, picture.width, min(top + rows, picture.height)))
                pixels[top : top + rows, :, : len(mode)] = np.asarray(part.convert(mode))
        return pixels


def _upright(pixels: NDArray[Any], turned: int) -> NDArray[Any]:
    """A view of (H, W, C) pixels as EXIF's orientation, 1 to 8, says."""
    if turned in _EXCHANGED:
        pixels = pixels.swapaxes(0, 1)
    down = -1 if turned in (3, 4, 7, 8) else 1
    across = -1 if turned in (2, 3, 6, 7) else 1
    return pixels[::down, ::across]


def _is_deep(path: Path) -> bool:
    """Whether a PNG has 16 bits and colours, which Pillow would halve in silence."""
    with path.open("rb") as file:
        head = file.read(26)
    return head.startswith(SIGNATURES[0]) and head[24] == 16 and head[25] in (2, 6)


def _decode_deep(path: Path) -> NDArray[np.uint16]:
    import imagecodecs

    try:
        pixels = imagecodecs.png_decode(path.read_bytes())
    except (RuntimeError, ValueError) as error:  # also of a message that is no text
        raise CubeError(
            f"'{path.name}' cannot be decoded ({error}); it is damaged or cut short. Copy it again "
            "from its source."
        ) from None
    return np.asarray(pixels)


# without `recognise`: napari shows pictures itself
READER = Reader(
    name="picture",
    patterns=("*.png", "*.jpg", "*.jpeg", "*.bmp", "*.webp"),
    claims=lambda _, head: head.startswith(SIGNATURES),
    open=open_picture,
    read_mask=read_numbers,
    install=FORMATS,
)
