"""Drawn: what this program draws of specimens, told from the pictures that they are in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import Image

#: Written into every PNG that is drawn; the key is PNG's own.
DRAWN = {"Software": "napari-phenoscape"}

#: Bytes in which it stands: before the pixels.
_HEAD = 1024


def save_drawn(image: Image.Image, path: Path) -> None:
    """Write a picture as a PNG that says that it was drawn."""
    from PIL.PngImagePlugin import PngInfo

    said = PngInfo()
    for key, value in DRAWN.items():
        said.add_text(key, value)
    image.save(path, format="PNG", pnginfo=said)


def is_drawn(path: Path) -> bool:
    """Whether a file is a PNG that says so.

    Raises
    ------
    OSError
        It cannot be read.
    """
    if path.suffix.lower() != ".png" or path.is_dir():
        return False
    with path.open("rb") as file:
        head = file.read(_HEAD)
    return all(f"{key}\0{value}".encode() in head for key, value in DRAWN.items())
