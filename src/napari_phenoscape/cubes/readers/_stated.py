"""What an array of a container file says of its numbers: scale, units, "not measured"."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cubes._arrays import full_scale, ignorable, scale_in_float32
from napari_phenoscape.cubes._cube import Cube
from napari_phenoscape.cubes.readers._quantity import (
    PER_CENT,
    RADIANCE,
    per_cent_note,
    radiance_note,
)

# keys are in lower case, without blanks and underscores
#: Scales that other programs than NetCDF's write, and what is no scale for certain.
_SCALE = re.compile(r"(reflectance)?scale(factor)?")
_UNSURE = re.compile(r"gain|slope|multiplier|(data)?scaling(factor)?|valid(min|max|range)")

#: The number of what was not measured, the surest first.
_IGNORED = ("fillvalue", "dataignorevalue", "missingvalue", "nodata", "nodatavalue", "ignorevalue")


def stated(cube: Cube, said: Mapping[str, Any], name: str) -> Cube:
    """A cube with the scale, units, "not measured" and integration time of some attributes.

    Where they say nothing, the largest number of the type is reflectance 1; what is assumed is
    added to the provenance. ``name`` is that of the file, for errors.

    Raises
    ------
    CubeError
        A part of the scale is not finite.
    """
    notes, dtype = list(cube.provenance), cube.array.dtype
    gain, offset, units = _scale(name, said, dtype, len(cube.bands), notes)
    ignored = _ignored(said, dtype, notes)
    return replace(
        cube,
        gain=gain,
        offset=offset,
        ignore_value=ignored,
        units=units,
        integration_time=_time(said),
        provenance=tuple(dict.fromkeys(notes)),
    )


def _scale(
    name: str, said: Mapping[str, Any], dtype: np.dtype[Any], count: int, notes: list[str]
) -> tuple[NDArray[np.float32], NDArray[np.float32], str]:
    """Gain and offset, and the units of what they give, empty of reflectance.

    NetCDF's ``scale_factor`` multiplies, NEON's ``Scale_Factor`` divides; others divide when they
    are above 1, and multiply when they are below, and that is noted.

    Returns
    -------
    Twice () or, where the attributes hold a number for each band, (C,); and the units.

    Raises
    ------
    CubeError
        One of them is not finite.
    """
    gain, offset = (numbers_of(said, word, count) for word in ("scale_factor", "add_offset"))
    if gain is None and (divisor := number_of(said, "Scale_Factor")):
        gain = np.array(1 / divisor)
    for key in said:
        factor = number_of(said, key)
        if gain is None and _SCALE.fullmatch(_plain(key)) and factor and 0 < factor < math.inf:
            gain = np.array(1 / factor if factor > 1 else factor)
            how = "divide" if factor > 1 else "multiply"
            notes.append(f"'{key} = {factor:g}' is taken to {how} the numbers to reflectance.")
        elif _UNSURE.fullmatch(_plain(key)):
            notes.append(f"The attribute '{key}' of the numbers is not used.")
    quantity = text_of(said, "units", "Units", "unit")
    is_radiance = RADIANCE.search(quantity) is not None
    if is_radiance:
        notes.append(radiance_note("units", quantity))
        gain = np.ones(()) if gain is None else gain
    elif PER_CENT.search(quantity):
        notes.append(per_cent_note("units", quantity))
        gain = (np.ones(()) if gain is None else gain) / 100
        offset = None if offset is None else offset / 100
    if gain is None:
        white, note = full_scale(dtype)
        gain = np.array(white)
        notes.append(note)
    scaled = scale_in_float32(name, gain, np.zeros(()) if offset is None else offset)
    return (*scaled, quantity if is_radiance else "")


def _ignored(said: Mapping[str, Any], dtype: np.dtype[Any], notes: list[str]) -> float | None:
    """The number that stands for "not measured", where the attributes say one that can occur."""
    found = dict[str, float | None]()
    for word in _IGNORED:
        for key in (key for key in said if _plain(key) == word):
            if (number := number_of(said, key)) is not None:
                found[key] = ignorable(number, dtype)
            elif said[key] is not None and np.size(said[key]) != 1:
                notes.append(f"'{key}' is not one number and is not used.")
    first = next(iter(found.values()), None)
    for key, number in found.items():
        if number not in (first, None):
            notes.append(f"'{key} = {number:g}' is not used: {first:g} stands for 'not measured'.")
    return first


def _time(said: Mapping[str, Any]) -> float | None:
    """The integration time, where the attributes say one above 0; in ms, as we write it."""
    time = number_of(said, "integration_time", "IntegrationTime")
    return time if time and 0 < time < math.inf else None


def _plain(key: str) -> str:
    return re.sub(r"[\s_]", "", key.lower())


def numbers_of(said: Mapping[str, Any], name: str, count: int) -> NDArray[np.float64] | None:
    """() or (count,) of an attribute that holds one number, or so many."""
    value = _as_numbers(said.get(name, []))
    if value.dtype.kind not in "iuf" or value.size not in (1, count):
        return None
    return value.astype(np.float64).reshape(() if value.size == 1 else count)


def number_of(said: Mapping[str, Any], *names: str) -> float | None:
    """The first of these attributes that holds one number."""
    for name in names:
        value = _as_numbers(said[name]).ravel() if name in said else np.zeros(0)
        if value.size == 1 and value.dtype.kind in "iuf":
            return float(value[0])
    return None


def text_of(said: Mapping[str, Any], *names: str) -> str:
    """The first of these attributes that holds a text."""
    for name in names:
        value = said.get(name, "")
        if isinstance(value, np.ndarray) and value.size == 1:
            value = value.item()
        value = value.decode("utf-8", "replace") if isinstance(value, bytes) else value
        if isinstance(value, str) and value:
            return value
    return ""


def unit_of(said: Mapping[str, Any]) -> str:
    """The unit that an array says of itself, however it spells the key."""
    return text_of(said, *(key for key in said if key.lower() in ("unit", "units")))


def _as_numbers(value: Any) -> NDArray[Any]:
    """An attribute; one of text that is a number as that."""
    given = np.asarray(value)
    if given.size == 1 and given.dtype.kind in "SUO":
        try:
            return np.asarray(float(given.item()))
        except (TypeError, ValueError):
            return given
    return given
