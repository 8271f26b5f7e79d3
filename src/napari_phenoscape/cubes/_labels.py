"""What the name of a channel says: its role in a cube, by the conventions that are in use."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from itertools import pairwise
from math import nan

from napari_phenoscape.cubes._bands import COLOURS, Band, Region

MASK = "mask"

#: The band of a grey picture.
GREY = "grey"

_OF_A_CAMERA = re.compile(
    r"(?:(?P<region>visible|vis|v|uv|ultraviolet|u)[:_ -]?)?"
    r"(?P<colour>red|green|blue|r|g|b)(?P<normalised>[:_ -]normali[sz]ed)?"
)
_INFRARED = re.compile(r"(?P<region>nir|swir)[ _-]?\d*")
_WIDTH = r"(?:fwhm|h?bw|(?:band|half)?[ _-]?width)"
_LENGTH = re.compile(
    rf"(?P<width>{_WIDTH}[ :=_-]*)?(?P<excites>(?<![a-z])ex(?:c(?:itation)?)?[ .:=_-]*)?"
    r"(?:(?<![\d.])(?P<low>[1-9]\d{2,3}) ?[-–] ?)?"
    r"(?<![\d.])(?P<centre>\d{3,4},\d{1,3}|\d+(?:\.\d+)?)(?: ?(?:±|\+/?-|/) ?\d+(?:\.\d+)?)?"
    r"[ _-]?(?P<unit>nm|nanomet(?:er|re)s?|[uµμ]m|micromet(?:er|re)s?|microns?)(?![a-z])"
    rf"(?P<wide>[ _-]*{_WIDTH}(?![ :=_-]*\d))?"
)
_NUMBER = re.compile(r"\d+(?:\.\d+)?")

#: What a number is of that is no wavelength in nm, by the word after it.
_OTHER_UNIT = re.compile(
    r"\s?(?:cm-?1|cm\^|/ ?cm|[kmgt]?hz|m?ev|[mk]?ms?|[µu]s|s|sec|[mk]?v|m?a|k|°|deg|index|idx|px|"
    r"frames?|iso)(?![a-z])"
)

#: Receptors of eyes. A ``vs`` is most sensitive above 400 nm.
_CONES: dict[str, Region] = {
    "uv": "uv", "uvs": "uv", "vs": "vis", "sw": "vis", "mw": "vis", "lw": "vis", "sws": "vis",
    "mws": "vis", "lws": "vis", "dbl": "vis",
}  # fmt: skip

#: Words that are receptors among others alone: pavo's letters, double cones, luminance.
_CONES_AMONG_OTHERS: dict[str, Region] = {
    "u": "uv", "v": "vis", "s": "vis", "m": "vis", "l": "vis", "dc": "vis", "lum": "vis",
    "blue": "vis", "green": "vis", "red": "vis",
}  # fmt: skip

#: Words that a name may be a slip of, and how like it must be.
_WORDS, _NEAR = (MASK, "red", "green", "blue", "visible", "uv", "ultraviolet", "nir", "swir"), 0.75

#: Where a centre is light (nm); where a number without a unit is one; the least ratio of the
#: largest to the smallest of these, which numbers of photographs in a row do not have.
_LIGHT_NM, _BARE_NM, _SPREAD = (100.0, 100_000.0), (300.0, 2600.0), 1.1


def wavelength_of(label: str) -> float | None:
    """The centre in nm that a label says with its unit, not a width: ``moth_550nm_fwhm10nm``.

    A range (``500-550 nm``) says none; light that excites (``Ex 405 nm, Em 520 nm``) comes last.
    """
    light, exciting, widths, others = list[float](), list[float](), list[float](), 0
    for match in _LENGTH.finditer(label.lower()):
        factor = 1 if match["unit"].startswith("n") else 1000
        nm = round(factor * float(match["centre"].replace(",", ".")), 6)
        if not _LIGHT_NM[0] <= nm <= _LIGHT_NM[1]:
            others += 1
        elif match["width"] or match["wide"]:
            widths.append(nm)
        elif not (match["low"] and 0 < nm - float(match["low"]) <= 200):
            (exciting if match["excites"] else light).append(nm)
    return next(iter(light or exciting or (widths if others else ())), None)


def wavelengths_of(names: Sequence[str]) -> list[float] | None:
    """Centres in nm that all of these names say, with a unit or as the one number that varies.

    ``moth_365``, ``moth_450``, ``moth_1050`` are 365 to 1050 nm; pictures that are counted
    (``0400``, ``0401``, ...) are not. None when there are no such, all different, numbers.
    """
    said = [nm for name in names if (nm := wavelength_of(name)) is not None]
    if len(said) == len(names) == len(set(said)):
        return said
    rows = [
        [nan if _OTHER_UNIT.match(name.lower(), number.end()) else float(number[0])
         for number in _NUMBER.finditer(name)]
        for name in names
    ]  # fmt: skip
    if said or len(rows) < 2 or len({len(row) for row in rows}) != 1:
        return None
    found = [list(column) for column in zip(*rows, strict=True) if _are_light(list(column))]
    return found[0] if len(found) == 1 else None


def _are_light(numbers: list[float]) -> bool:
    low, high = min(numbers), max(numbers)
    counted = all(b - a == 1 for a, b in pairwise(sorted(numbers)))
    is_light = _BARE_NM[0] <= low and high <= _BARE_NM[1] and high >= _SPREAD * low
    return is_light and not counted and len(set(numbers)) == len(numbers)


def band_of_label(label: str) -> Band | str | None:
    """The band that a label names; `MASK` for a mask, None when the label says nothing of it.

    ``R``, ``red`` are visible, and called so; ``visible:R:Normalised``, ``vR`` are R in short, and
    ``UV_R``, ``uv:R``, ``uR`` the ultraviolet UV_R (micaToolbox names both cameras by their
    filters); ``lw mw sw vs uv dbl`` are cone catches; ``548.35 nm`` is a wavelength.
    """
    text = label.strip().lower()
    if text in (MASK, "alpha", "segmentation", "segmentation mask"):
        return MASK
    if match := _OF_A_CAMERA.fullmatch(text):
        colour = COLOURS[match["colour"]]
        if match["region"] is None and match["normalised"] is None:
            return Band(label.strip(), region="vis")
        if (match["region"] or "v").startswith("v"):
            return Band(colour, region="vis")
        return Band(f"UV_{colour}", region="uv")
    if region := _CONES.get(text):
        return Band(label.strip(), region=region)
    if match := _INFRARED.fullmatch(text):
        return Band(label.strip(), region="nir" if match["region"] == "nir" else "swir")
    if (nm := wavelength_of(text)) is not None:
        return Band(label.strip(), nm)
    return None


def near_label(name: str) -> str:
    """The label that a name nearly is, which says nothing itself: ``mask`` of maks; else ""."""
    if _NUMBER.fullmatch(name) and _BARE_NM[0] <= float(name) <= _BARE_NM[1]:
        return f"{name} nm"
    return next(iter(get_close_matches(name.strip().lower(), _WORDS, 1, _NEAR)), "")


def are_receptors(labels: Sequence[str]) -> bool:
    """Whether all of three labels or more name receptors of an eye: ``u s m l lum``."""
    words = {label.strip().lower() for label in labels}
    receptors = _CONES.keys() | _CONES_AMONG_OTHERS.keys()
    is_eye = words <= receptors and not words <= COLOURS.keys()
    return is_eye and len(words) == len(labels) > 2


def bands_of_labels(labels: tuple[str, ...]) -> list[Band | str] | None:
    """Bands (and `MASK`) in the order of the labels, or None when not all of them say theirs."""
    if are_receptors(labels):
        regions = _CONES | _CONES_AMONG_OTHERS
        return [Band(label.strip(), region=regions[label.strip().lower()]) for label in labels]
    found = [band for label in labels if (band := band_of_label(label)) is not None]
    names = [band if isinstance(band, str) else band.name for band in found]
    return found if found and len(found) == len(labels) == len(set(names)) else None


def natural(name: str) -> tuple[list[tuple[int, int | str]], str]:
    """A sort key by which ``moth 2`` comes before ``moth 10``."""
    parts = [part for part in re.split(r"([0-9]+)", name.casefold()) if part]
    return [(0, int(part)) if part.isdecimal() else (1, part) for part in parts], name
