"""Raw files of cameras, developed in proportion to the light, through rawpy (LibRaw)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cubes._arrays import DecodedArray
from napari_phenoscape.cubes._bands import Band, Bands
from napari_phenoscape.cubes._cube import Cube
from napari_phenoscape.cubes._lazy import IS_TURNED
from napari_phenoscape.cubes.readers._reader import LINEAR, Reader
from napari_phenoscape.cubes.readers._tiff_stack import RAW_ENDINGS, SIGNATURES
from napari_phenoscape.errors import CubeError

#: How those begin that are no TIFF: Olympus, Panasonic, Fujifilm, Canon, Sigma, Minolta.
_HEADS = (b"IIRO", b"IIRS", b"IIU\0", b"FUJIFILM", b"\0\0\0\x18ftypcrx", b"FOVb", b"\0MRM")

#: What brings rawpy.
INSTALL = 'pip install "napari-phenoscape[raw]"'


def open_raw(path: Path) -> Cube:
    """R, G and B of a camera's raw file, in counts of its sensor above black.

    Linear: the black level is subtracted and the mosaic is filled in by means of neighbours; no
    white balance, gamma, brightening, or colours of another camera. The preview is not used.

    Raises
    ------
    CubeError
        rawpy is not there, or the file is damaged, or not of one mosaic of red, green and blue.
    """
    with _opened(path) as raw:
        sizes, colours = raw.sizes, raw.color_desc.decode()
        if raw.num_colors != 3 or not colours.startswith("RGB"):
            raise CubeError(
                f"'{path.name}' has the filters {colours}; red, green and blue were expected. Make "
                "it a TIFF with the program of its camera."
            )
        black = round(float(np.mean(raw.black_level_per_channel)))
        white = int(raw.white_level) - black
        if white <= 0:
            raise CubeError(
                f"'{path.name}' is full at {raw.white_level} counts and black at {black}; more "
                "was expected. Copy it again from its source."
            )
    notes = [
        f"Developed in proportion to the light: the black level of {black} is subtracted, the "
        "mosaic filled in by means of neighbours; no white balance, no gamma, no other colours.",
        f"The {white} counts at which the sensor is full are taken as reflectance 1.",
    ]
    height, width = sizes.iheight, sizes.iwidth
    if sizes.flip:
        notes.append(f"{IS_TURNED} file says.")
    if sizes.flip in (5, 6):  # by a quarter
        height, width = width, height
    return Cube(
        array=DecodedArray(
            path, (3, height, width), np.dtype(np.uint16), partial(_developed, path)
        ),
        bands=Bands(Band(name, region="vis") for name in "RGB"),
        path=path,
        gain=np.array(1 / white, np.float32),
        provenance=tuple(notes),
    )


def _developed(path: Path) -> NDArray[np.uint16]:
    """(3, H, W) counts above black."""
    import rawpy

    with _opened(path) as raw:
        pixels = raw.postprocess(
            demosaic_algorithm=rawpy.DemosaicAlgorithm.LINEAR,
            output_color=rawpy.ColorSpace.raw,
            output_bps=16,
            gamma=(1, 1),
            user_wb=[1, 1, 1, 1],
            no_auto_scale=True,
            no_auto_bright=True,
        )
    return np.moveaxis(pixels, -1, 0)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        import rawpy
    except ImportError:
        raise CubeError(
            f"'{path.name}' is {LINEAR} and open what comes out, or install what develops it so: "
            f"{INSTALL}."
        ) from None
    try:
        with rawpy.imread(str(path)) as raw:
            yield raw
    except rawpy.LibRawError as error:
        said = error.args[0] if error.args else error
        said = said.decode(errors="replace") if isinstance(said, bytes) else said
        raise CubeError(
            f"'{path.name}' is {LINEAR} and open what comes out; LibRaw cannot develop it "
            f"({said}), since it is damaged, or of a camera that LibRaw does not know."
        ) from None


# without `recognise`: as pictures they are opened when one asks for them
READER = Reader(
    name="raw",
    patterns=tuple(f"*{ending}" for ending in RAW_ENDINGS),
    claims=lambda path, head: (
        head.startswith(_HEADS)
        or (
            head.startswith(SIGNATURES)
            and (path.suffix.lower() in RAW_ENDINGS or head[8:10] == b"CR")
        )
    ),
    open=open_raw,
    install=INSTALL,
)
