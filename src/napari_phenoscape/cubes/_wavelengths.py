"""Band centres in the units of a file, as nm where they are those of light."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_NM_PER_UNIT = {
    "nanometers": 1.0, "nanometer": 1.0, "nm": 1.0,
    "micrometers": 1e3, "micrometer": 1e3, "microns": 1e3, "micron": 1e3, "um": 1e3, "µm": 1e3,
    "μm": 1e3,
}  # fmt: skip
_WAVENUMBERS = ("wavenumber", "wavenumbers", "cm-1", "1/cm", "cm^-1", "cm⁻¹")

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
        As the file spells it; empty where it does not.
    notes
        What is assumed is added here, one sentence each.
    """
    given = tuple(centres)
    unit = unit.strip().lower()
    if unit in _WAVENUMBERS:
        notes.append("The bands are named by wavenumbers, not wavelengths.")
        return given, "cm-1"
    factor = _NM_PER_UNIT.get(unit)
    if factor is None and unit in ("", "unknown", "none"):
        factor = 1e3 if max(given) < _PLAUSIBLE_NM[0] else 1.0
        taken = "micrometres" if factor > 1 else "nanometres"
        notes.append(f"No wavelength units are given; {taken} are taken.")
    if factor is None:
        notes.append(f"Wavelengths in '{unit[:40]}' only name the bands.")
        return given, unit[:40]
    # 0.366551 µm is 366.551 nm, not 366.55100000000004
    in_nm = tuple(round(factor * centre, 6) for centre in given)
    low, high = _PLAUSIBLE_NM
    if not all(low <= centre <= high for centre in in_nm):
        notes.append(
            f"The wavelengths {min(given):g} to {max(given):g} '{unit or 'nm'}' are not those "
            "of light; they only name the bands."
        )
        return given, unit
    if len(set(in_nm)) < len(in_nm):
        notes.append(
            f"Wavelengths repeat: {len(set(in_nm))} different ones for {len(in_nm)} bands."
        )
    elif np.any(np.diff(in_nm) < 0) and np.any(np.diff(in_nm) > 0):
        notes.append("The wavelengths rise and fall; the bands keep the order of the file.")
    return in_nm, "nm"
