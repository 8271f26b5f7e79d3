"""The bands that an ENVI header describes: centres, names, flags."""

from __future__ import annotations

import dataclasses
import re

from napari_phenoscape.cubes._arrays import unique
from napari_phenoscape.cubes._bands import Band, Bands
from napari_phenoscape.cubes._labels import MASK, bands_of_labels
from napari_phenoscape.cubes._wavelengths import centres_in_nm
from napari_phenoscape.cubes.readers._envi_header import Header

#: A wavelength with its unit, e.g. ``450.5 nm``.
_WITH_UNIT = re.compile(r"(\d+\.?\d*)\s*([^\W\d]\w*)")


def envi_bands(header: Header, count: int, notes: list[str]) -> Bands:
    """The bands in the order of the file; what is assumed or left out is added to ``notes``."""
    centres, units = _wavelengths(header, count, notes)
    good = header.numbers("bbl")
    if good is None or len(good) not in (0, count):
        notes.append("The list of bad bands, 'bbl', does not fit to the bands and is not used.")
        good = ()
    bad = [flag == 0 for flag in good] if good else [False] * count
    names = header.words("band names")
    if names and (len(names) != count or not all(names)):
        notes.append(f"{len(names)} band names are given for {count} bands and are not used.")
        names = ()
    roles = bands_of_labels(names) if units != "nm" else None
    if roles:
        bands = [
            dataclasses.replace(role if isinstance(role, Band) else Band(MASK), bad=flag)
            for role, flag in zip(roles, bad, strict=True)
        ]
        if any(band.wavelength_nm is not None for band in bands):
            notes.append("The wavelengths are those of the band names.")
        elif not header.words("wavelength"):
            notes.append("No wavelengths are given.")
        return Bands(bands)
    if not header.words("wavelength"):
        notes.append("No wavelengths are given.")
    if not names and centres:
        names = tuple(f"{centre:.7g} {units}".strip() for centre in centres)
    names = tuple(unique(list(names or (f"band {i + 1}" for i in range(count)))))
    nm = centres if units == "nm" else (None,) * count
    return Bands(
        Band(name, centre, bad=flag) for name, centre, flag in zip(names, nm, bad, strict=True)
    )


def _wavelengths(header: Header, count: int, notes: list[str]) -> tuple[tuple[float, ...], str]:
    """Band centres and ``"nm"``, or other numbers that name the bands and their unit."""
    centres, unit = header.numbers("wavelength"), header.text("wavelength units")
    each = [_WITH_UNIT.fullmatch(word) for word in header.words("wavelength")]
    if centres is None and each and all(each) and len({word[2] for word in each if word}) == 1:
        centres = tuple(float(word[1]) for word in each if word)
        unit = next(word[2] for word in each if word)
    if centres is None or len(centres) not in (0, count):
        given = "not all numbers" if centres is None else f"{len(centres)} for {count} bands"
        notes.append(f"The wavelengths are {given}; they are not used.")
        return (), ""
    return centres_in_nm(centres, unit, notes) if centres else ((), "")
