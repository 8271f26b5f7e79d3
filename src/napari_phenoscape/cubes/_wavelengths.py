"""Band centres in the units of a file, as nm where they are those of light."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

import numpy as np

#: Metres and hertz, abbreviated or whole, and their prefixes.
_METRES = re.compile(
    r"(pico|nano|micro|mikro|mu|milli|centi|[pnuμmc]?)(?:m|met(?:er|re|ro)s?|metri)"
)
_HERTZ = re.compile(r"(kilo|mega|giga|tera|[kmgt]?)(?:hz|hertz)")
_NM_PER_METRE = {"p": 1e-3, "n": 1.0, "u": 1e3, "μ": 1e3, "mi": 1e3, "m": 1e6, "c": 1e7, "": 1e9}
_HERTZ_PER_UNIT = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9, "t": 1e12}
_ANGSTROMS = ("a", "angstrom", "angstroms")
_MICRONS = ("micron", "microns")
_WAVENUMBERS = ("wavenumber", "wavenumbers", "cm-1", "1/cm", "cm^-1", "cm−1")
_UNKNOWN = ("", "unknown", "none", "undefined", "n/a")

#: Of light, in nm Hz.
_SPEED = 299_792_458e9

#: Light that any spectral camera sees, x-rays and radio left out.
_PLAUSIBLE_NM = (100.0, 100_000.0)


def centres_in_nm(
    centres: Sequence[float], unit: str, notes: list[str]
) -> tuple[tuple[float, ...], str]:
    """Band centres and ``"nm"``, or the given numbers and the unit in which they name the bands.

    Parameters
    ----------
    centres
        One number for each band.
    unit
        As the file spells it: ``Nanometers``, ``[nm]``, ``Wavelength (µm)``, ``Ångström``, ``GHz``;
        empty where it does not.
    notes
        What is assumed is added here, one sentence each.
    """
    given, said = tuple(centres), unit.strip()[:40]
    spelt = _plain(unit)
    if spelt in _WAVENUMBERS:
        # of the light, or Raman's of what it lost: nobody says which
        notes.append("The bands are named by wavenumbers, not wavelengths.")
        return given, "cm-1"
    if spelt in _UNKNOWN:
        spelt = "um" if max(given) < _PLAUSIBLE_NM[0] else "nm"
        taken = "micrometres" if spelt == "um" else "nanometres"
        notes.append(f"No wavelength units are given; {taken} are taken.")
    in_nm = _in_nm(given, spelt)
    if in_nm is None:
        notes.append(f"Wavelengths in '{said}' only name the bands.")
        return given, said
    low, high = _PLAUSIBLE_NM
    if not all(low <= centre <= high for centre in in_nm):
        notes.append(
            f"The wavelengths {min(given):g} to {max(given):g} '{said or 'nm'}' are not those "
            "of light; they only name the bands."
        )
        return given, "" if said == "nm" else said
    if len(set(in_nm)) < len(in_nm):
        notes.append(
            f"Wavelengths repeat: {len(set(in_nm))} different ones for {len(in_nm)} bands."
        )
    elif np.any(np.diff(in_nm) < 0) and np.any(np.diff(in_nm) > 0):
        notes.append("The wavelengths rise and fall; the bands keep the order of the file.")
    return in_nm, "nm"


def _plain(unit: str) -> str:
    """Without case, accents, quotes, brackets, hyphens, and what it is of: ``Wavelength/nm``.

    Of two spellings, ``Nanometers (nm)``, the one that is known.
    """
    letters = unicodedata.normalize("NFKD", unit.replace("_", " ")).lower()
    letters = "".join(letter for letter in letters if not unicodedata.combining(letter))
    whole = re.sub(r"^wave\s?lengths?\b(\s*/|\s+(in|units?)\b)?", "", letters)
    spellings = [whole, *re.split(r"[()\[\]]", whole)]
    words = [
        re.sub(r"(?<=[a-z])[-\s](?=[a-z])", "", word.strip("\"'[](){}<>., \t"))
        for word in spellings
    ]
    known = (word for word in words if word in _WAVENUMBERS or _in_nm((1.0,), word))
    return next(known, words[0])


def _in_nm(centres: tuple[float, ...], unit: str) -> tuple[float, ...] | None:
    """The centres in nm, None when the unit is none of light."""
    factor = 0.1 if unit in _ANGSTROMS else 1e3 if unit in _MICRONS else None
    if (metres := _METRES.fullmatch(unit)) is not None:
        prefix = metres[1]
        factor = _NM_PER_METRE["mi" if prefix in ("micro", "mikro", "mu") else prefix[:1]]
    if factor is not None:
        # 0.366551 µm is 366.551 nm, not 366.55100000000004
        return tuple(round(factor * centre, 6) for centre in centres)
    hertz = _HERTZ.fullmatch(unit)
    if hertz is None or not all(centre > 0 for centre in centres):
        return None
    per_unit = _HERTZ_PER_UNIT[hertz[1][:1]]
    return tuple(round(_SPEED / (per_unit * centre), 6) for centre in centres)
