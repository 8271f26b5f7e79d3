"""Drawn: what this program draws of specimens, told from the pictures that they are in."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING

from napari_phenoscape._atomic import atomic
from napari_phenoscape._brought import bring
from napari_phenoscape.errors import OptionError

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL import Image

#: Written into every PNG that is drawn; the key is PNG's own.
_DRAWN = {"Software": "napari-phenoscape"}

#: Bytes in which it stands: before the pixels.
_HEAD = 1024

#: Pixels of a figure to an inch.
_DPI = 200


def refuse_no_png(path: Path) -> None:
    """An error where a picture that is to be drawn has the name of another format.

    Raises
    ------
    OptionError
        It does not end in ``.png``.
    """
    if path.suffix.lower() != ".png":
        raise OptionError(f"'{path}' is no name of a PNG, which is written; end it in .png.")


def save_drawn(image: Image.Image, path: Path) -> None:
    """Write a picture as a PNG that says that it was drawn.

    Raises
    ------
    OptionError
        The name is that of another format.
    RunError
        The disk is full or cannot be written; a file that was there stays.
    """
    from PIL.PngImagePlugin import PngInfo

    refuse_no_png(path)

    said = PngInfo()
    for key, value in _DRAWN.items():
        said.add_text(key, value)
    with atomic(path.absolute()) as temporary:
        image.save(temporary, format="PNG", pnginfo=said)


def save_figure(figure: Figure, path: Path, kind: str = "png") -> None:
    """Write `figure_bytes` into a file; or RunError."""
    with atomic(path.absolute()) as temporary:
        temporary.write_bytes(figure_bytes(figure, kind))


def figure_bytes(figure: Figure, kind: str = "png") -> bytes:
    """A figure as ``png``, which says that it was drawn, ``svg`` or ``pdf``."""
    drawn, said = io.BytesIO(), _DRAWN if kind == "png" else None
    figure.savefig(drawn, format=kind, dpi=_DPI, metadata=said)
    return drawn.getvalue()


def is_drawn(path: Path) -> bool:
    """Whether a file is a PNG that says so.

    Raises
    ------
    OSError
        It cannot be read.
    """
    if path.suffix.lower() != ".png" or path.is_dir():
        return False
    bring(path)
    with path.open("rb") as file:
        head = file.read(_HEAD)
    return all(f"{key}\0{value}".encode() in head for key, value in _DRAWN.items())
