"""What the numbers of an ENVI file are: reflectance, per cent of it, radiance, counts."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cubes._arrays import full_scale, scale_in_float32
from napari_phenoscape.cubes.readers._envi_header import Header
from napari_phenoscape.cubes.readers._quantity import (
    PER_CENT,
    RADIANCE,
    per_cent_note,
    radiance_note,
)
from napari_phenoscape.errors import CubeError

_TIMES = re.compile(r"reflect\w*\W*[*x×]\W*(?P<factor>10+)\b", re.IGNORECASE)

#: A smaller scale makes no reflectance of any count.
_LEAST = 1e-7

#: The keys that say what the numbers are.
SCALES = (
    "reflectance scale factor", "data reflectance gain values", "data reflectance offset values",
    "data gain values", "data offset values", "data units", "ceiling", "bit depth",
)  # fmt: skip


def scale_of(
    header: Header, bands: int, dtype: np.dtype[np.generic], notes: list[str]
) -> tuple[NDArray[np.float32], NDArray[np.float32], str]:
    """Gain and offset, () or (bands,), and the units of what they give, empty of reflectance.

    What is assumed is added to ``notes``.

    The gains that give reflectance go before those that may give radiance, and ``reflectance
    scale factor`` divides either. Without any, the largest number that the camera writes
    (``ceiling``, ``bit depth``) or that the type holds is taken as reflectance 1.

    Raises
    ------
    CubeError
        A list has another length, or holds what is no number.
    """
    quantity, where = _quantity(header)
    is_radiance = RADIANCE.search(quantity) is not None
    gain, offset = np.ones(()), np.zeros(())
    found = ""
    for kind in ("data reflectance", "data"):
        gains, offsets = (
            _each(header, f"{kind} {word} values", bands) for word in ("gain", "offset")
        )
        if gains is not None or offsets is not None:
            gain = gain if gains is None else gains
            offset = offset if offsets is None else offsets
            found = kind
            break
    factor = _factor(header, bands, dtype, notes)
    if factor is not None:
        if is_radiance:
            notes.append(
                f"'reflectance scale factor' is used, though '{where} = {quantity[:40]}' is "
                "radiance."
            )
        with np.errstate(over="ignore"):
            return (*scale_in_float32(header.name, gain / factor, offset / factor), "")
    if found == "data reflectance":
        return (*scale_in_float32(header.name, gain, offset), "")
    if is_radiance:
        notes.append(radiance_note(where, quantity))
    elif (times := _TIMES.search(quantity)) and not found:
        gain = gain / float(times["factor"])
        notes.append(f"The numbers are multiples of reflectance ('{where} = {quantity[:40]}').")
    elif PER_CENT.search(quantity):
        gain, offset = gain / 100, offset / 100
        notes.append(per_cent_note(where, quantity))
    elif found == "data" and "reflect" not in quantity.lower():
        notes.append(
            "'data gain values' are used, and no scale is given to reflectance: where they give "
            "radiance, calibrate the cube with a white reference."
        )
    elif not found:
        white, note = _largest(header, dtype, notes)
        gain = gain * white
        notes.append(note)
    return (*scale_in_float32(header.name, gain, offset), quantity if is_radiance else "")


def _quantity(header: Header) -> tuple[str, str]:
    """What the numbers are in words, and the key that says it."""
    titles = header.words("z plot titles")
    title = titles[1] if len(titles) > 1 else ""
    units = header.text("data units")
    return (units, "data units") if units else (title, "z plot titles")


def _each(header: Header, key: str, bands: int) -> NDArray[np.float64] | None:
    """(bands,) or, of one number for all, (); None where nothing is given."""
    given = header.numbers(key)
    if given is None or len(given) not in (0, 1, bands):
        what = "no numbers in" if given is None else str(len(given))
        raise CubeError(
            f"'{header.name}' has {what} '{key}' for {bands} bands; one for each, or one for all, "
            "was expected. Correct or delete the list."
        )
    return None if not given else np.array(given[0] if len(given) == 1 else given)


def _factor(
    header: Header, bands: int, dtype: np.dtype[np.generic], notes: list[str]
) -> NDArray[np.float64] | None:
    """What divides the numbers to reflectance."""
    key = "reflectance scale factor"
    text, given = header.text(key), header.numbers(key)
    if not text:
        return None
    if not given or len(given) not in (1, bands) or min(given) <= 0:
        notes.append(f"'{key} = {text[:40]}' is not used; it is no number above 0.")
        return None
    factor = np.array(given[0] if len(given) == 1 else given)
    if dtype.kind in "iu" and np.all((factor > _LEAST) & (factor < 1)):
        notes.append(
            f"'{key} = {text[:40]}' would make a count of 1 more than a perfect white; it is taken "
            "as what multiplies the numbers."
        )
        return 1 / factor
    return factor


def _largest(header: Header, dtype: np.dtype[np.generic], notes: list[str]) -> tuple[float, str]:
    """Gain of the largest number that a camera writes, and the sentence that says so."""
    given = {key: header.text(key) for key in ("ceiling", "bit depth") if header.text(key)}
    for key, text in given.items():
        numbers = header.numbers(key)
        largest = numbers[0] if numbers and len(numbers) == 1 else 0.0
        if key == "bit depth":
            largest = 2.0**largest - 1 if 0 < largest <= 32 else 0.0
        if largest > 0 and (dtype.kind not in "iu" or largest <= np.iinfo(dtype.str).max):
            sentence = f"No scale is given; {largest:.10g}, by '{key}', is taken as reflectance 1."
            return 1 / largest, sentence
        notes.append(f"'{key} = {text[:40]}' is no largest number of {dtype.name}; not used.")
    return full_scale(dtype)
