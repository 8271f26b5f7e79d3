"""The bands that an ENVI header describes: centres, names, flags."""

from __future__ import annotations

import dataclasses

import numpy as np

from napari_phenoscape.cube import Band
from napari_phenoscape.io.arrays import unique
from napari_phenoscape.io.envi_header import Header
from napari_phenoscape.io.labels import bands_of_labels

_NM_PER_UNIT = {
    "nanometers": 1.0, "nanometer": 1.0, "nm": 1.0,
    "micrometers": 1e3, "micrometer": 1e3, "microns": 1e3, "micron": 1e3, "um": 1e3, "µm": 1e3,
    "μm": 1e3,
}  # fmt: skip
_WAVENUMBERS = ("wavenumber", "wavenumbers", "cm-1", "1/cm", "cm^-1", "cm⁻¹")

#: Light that any spectral camera sees, x-rays and radio left out.
_PLAUSIBLE_NM = (100.0, 100_000.0)


def envi_bands(header: Header, count: int, notes: list[str]) -> tuple[Band, ...]:
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
    if roles and all(isinstance(role, Band) for role in roles):
        return tuple(
            dataclasses.replace(role, bad=flag)
            for role, flag in zip(roles, bad, strict=True)
            if isinstance(role, Band)
        )
    if not names and centres:
        names = tuple(f"{centre:.7g} {units}".strip() for centre in centres)
    names = tuple(unique(list(names or (f"band {i + 1}" for i in range(count)))))
    nm = centres if units == "nm" else (None,) * count
    return tuple(
        Band(name, centre, bad=flag) for name, centre, flag in zip(names, nm, bad, strict=True)
    )


def _wavelengths(header: Header, count: int, notes: list[str]) -> tuple[tuple[float, ...], str]:
    """Band centres and ``"nm"``, or other numbers that name the bands and their unit."""
    centres = header.numbers("wavelength")
    if centres is None or len(centres) not in (0, count):
        given = "not all numbers" if centres is None else f"{len(centres)} for {count} bands"
        notes.append(f"The wavelengths are {given}; they are not used.")
        return (), ""
    if not centres:
        notes.append("No wavelengths are given.")
        return (), ""
    unit = header.text("wavelength units").strip().lower()
    if unit in _WAVENUMBERS:
        notes.append("The bands are named by wavenumbers, not wavelengths.")
        return centres, "cm-1"
    factor = _NM_PER_UNIT.get(unit)
    if factor is None and unit in ("", "unknown", "none"):
        factor = 1e3 if max(centres) < _PLAUSIBLE_NM[0] else 1.0
        taken = "micrometres" if factor > 1 else "nanometres"
        notes.append(f"No wavelength units are given; {taken} are taken.")
    if factor is None:
        notes.append(f"Wavelengths in '{unit[:40]}' only name the bands.")
        return centres, unit[:40]
    # 0.366551 µm is 366.551 nm, not 366.55100000000004
    in_nm = tuple(round(factor * centre, 6) for centre in centres)
    low, high = _PLAUSIBLE_NM
    if not all(low <= centre <= high for centre in in_nm):
        notes.append(
            f"The wavelengths {min(centres):g} to {max(centres):g} '{unit or 'nm'}' are not those "
            "of light; they only name the bands."
        )
        return centres, unit
    if len(set(in_nm)) < count:
        notes.append(f"Wavelengths repeat: {len(set(in_nm))} different ones for {count} bands.")
    elif np.any(np.diff(in_nm) < 0) and np.any(np.diff(in_nm) > 0):
        notes.append("The wavelengths rise and fall; the bands keep the order of the file.")
    return in_nm, "nm"
