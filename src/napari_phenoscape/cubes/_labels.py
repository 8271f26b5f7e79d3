"""What the name of a channel says: its role in a cube, by the conventions that are in use."""

from __future__ import annotations

import re

from napari_phenoscape.cubes._bands import Band

MASK = "mask"

_COLOUR = {"r": "R", "red": "R", "g": "G", "green": "G", "b": "B", "blue": "B"}
_OF_A_CAMERA = re.compile(
    r"(?:(?P<region>visible|vis|v|uv|ultraviolet|u)[:_ -]?)?"
    r"(?P<colour>red|green|blue|r|g|b)(?:[:_ -]normali[sz]ed)?"
)
_OF_A_WAVELENGTH = re.compile(r"(?<![\d.])(\d+(?:\.\d+)?)\s*nm\b")
_CONES = {"lw": "vis", "mw": "vis", "sw": "vis", "dbl": "vis", "uv": "uv"}


def band_of_label(label: str) -> Band | str | None:
    """The band that a label names; `MASK` for a mask, None when the label says nothing of it.

    ``R``, ``red``, ``visible:R:Normalised``, ``vR`` are the visible red; ``UV_R``, ``uv:R``,
    ``uR`` the ultraviolet one (micaToolbox names both cameras by their filters); ``lw mw sw uv
    dbl`` are micaToolbox's cone catches; ``548.35 nm`` is a wavelength.
    """
    text = label.strip().lower()
    if text in (MASK, "alpha", "segmentation", "segmentation mask"):
        return MASK
    if match := _OF_A_CAMERA.fullmatch(text):
        colour = _COLOUR[match["colour"]]
        if (match["region"] or "v").startswith("v"):
            return Band(colour, region="vis")
        return Band(f"UV_{colour}", region="uv")
    if text in _CONES:
        return Band(label.strip(), region="uv" if text == "uv" else "vis")
    if match := _OF_A_WAVELENGTH.search(text):
        return Band(label.strip(), float(match[1]))
    return None


def bands_of_labels(labels: tuple[str, ...]) -> list[Band | str] | None:
    """Bands (and `MASK`) in the order of the labels, or None when not all of them say theirs."""
    found = [band for label in labels if (band := band_of_label(label)) is not None]
    names = [band if isinstance(band, str) else band.name for band in found]
    return found if found and len(found) == len(labels) == len(set(names)) else None


def natural(name: str) -> tuple[list[tuple[int, int | str]], str]:
    """A sort key by which ``moth 2`` comes before ``moth 10``."""
    parts = [part for part in re.split(r"([0-9]+)", name.casefold()) if part]
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in parts], name
