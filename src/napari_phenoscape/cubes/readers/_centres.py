"""Which list of a container file holds the centres of the bands, and which says that some are bad.

A list is known by its name, its numbers and its axis: beside the wavelengths lie their widths,
flags, numbers of bands, and the placeholders that NetCDF keeps for a dimension.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cubes._wavelengths import centres_in_nm
from napari_phenoscape.cubes.readers._variable import Variable

#: What people call the centres of bands, without capitals and dashes: what can mean nothing else;
#: what says so among other words; what may also be something else, and needs numbers that fit.
_NAMES = tuple(
    map(
        re.compile,
        (
            r"wave?len(g(th|ht|t)s?)?|lambdas?|wls?|wvls?",
            r".*(wave?len|bandcent|wavenum).*|lambda.*|.*central?wave?s?",
            r"bands?|waves?|wavs?|wvs?|wavelist|wave?axis|cent(er|re)s?|nm|lam|spectralaxis",
        ),
    )
)

#: Words beside which a list is not that of the centres.
_OTHER = {
    "bad", "bandwidth", "bandwidths", "bbl", "count", "counts", "err", "error", "errors", "flag",
    "flags", "fwhm", "good", "idx", "index", "indices", "mask", "max", "min", "number", "quality",
    "resolution", "shift", "sigma", "std", "step", "uncertainty", "unit", "units", "valid",
    "weight", "weights", "width", "widths",
}  # fmt: skip

#: Words that abbreviate "centre of the wavelengths" wherever they stand.
_ABBREVIATED = {"cw", "cwl", "cwls", "cwvl"}

_UNITS = {"nm": "nm", "nanometers": "nm", "nanometer": "nm", "um": "um", "µm": "um", "μm": "um",
          "micrometers": "um", "microns": "um"}  # fmt: skip

#: Lists of 0 and 1 in which 1 is a band that can be used, in one word: ENVI's ``bbl`` by any name.
GOOD_BANDS = re.compile(
    r"good((wave?len(gth)?|band)s?)?(list)?|bbl|badband(s?list|multipliers?)|(use?able|valid)bands?"
)

#: Lists of which nothing says whether they are flags, or count bands from 0 or from 1.
BAD_BANDS = re.compile(r"bad(wave?length|band)s?(index|indices|idx|mask|flags?)?")

#: NEON's pairs of wavelengths between which the air lets nothing through.
_WINDOW = re.compile(r"(bad)?bandwindow\d*")


#: Words of a text that are looked at.
_MOST = 100_000

#: From here on a number is none that was written (NetCDF's default fill value is 9.97e36).
_FILLED = 1e30


@dataclass(frozen=True, slots=True)
class Centres:
    """The centres of a cube's bands.

    Parameters
    ----------
    name
        Of their list.
    axes
        Those of the cube which they may belong to; mostly one.
    numbers
        NaN where the list says nothing of a band.
    unit
        As the file spells it, or as the name of the list ends; else empty.
    """

    name: str
    axes: tuple[int, ...]
    numbers: tuple[float, ...]
    unit: str


def says_of_bands(name: str) -> bool:
    """Whether a list of this name may say something of the bands: a centre, or which are bad."""
    word = _word(name)
    flags = GOOD_BANDS, BAD_BANDS, _WINDOW
    return bool(_trust(name) or any(known.fullmatch(word) for known in flags))


#: What is wrong with `BAD_BANDS`.
UNCLEAR = "does not say how it names bands"


def unclear_note(name: str, what: str) -> str:
    """Said of a list of bad bands that cannot be used."""
    return (
        f"'{name}' {what} and is not used; a list 'bbl' (1 good, 0 bad) for all bands is, or leave "
        "bands out by the modality."
    )


def wavelengths_of(
    cube: Variable, variables: Sequence[Variable], axis: int | None = None
) -> Centres | None:
    """The centres of a cube's bands, from the list that is most surely theirs.

    First one along an axis of the cube by its name, then by the name of the list, then the one
    that lies nearest to the cube in the file.

    Parameters
    ----------
    axis
        Of the bands, where it is known.
    """
    found: list[tuple[tuple[bool, int, int], Centres]] = []
    for variable in variables:
        if not (trust := _trust(variable.name)) or variable.length not in cube.shape:
            continue
        axes, is_own = _axes_of(variable, cube)
        axes = tuple(one for one in axes if axis in (None, one))
        unit = variable.unit or _unit(variable.name)
        if axes and (numbers := _centres(variable, unit, is_sure=trust == len(_NAMES))):
            pairs = zip(variable.name.split("/"), cube.name.split("/"), strict=False)
            near = next((i for i, (a, b) in enumerate(pairs) if a != b), 0)
            rank = is_own, trust, near
            found.append((rank, Centres(variable.name, axes, numbers, unit)))
    return max(found, key=lambda one: one[0], default=(None, None))[1]


def bad_bands(
    count: int, centres_nm: Sequence[float | None], variables: Sequence[Variable], notes: list[str]
) -> NDArray[np.bool_]:
    """(count,) which bands a list of flags, or NEON's windows of wavelengths, calls bad."""
    bad = np.zeros(count, np.bool_)
    for variable in variables:
        name = variable.name.rpartition("/")[2]
        if variable.length == count and GOOD_BANDS.fullmatch(_word(name)):
            flags = np.ravel(variable.numbers())
            if set(flags.tolist()) == {0, 1}:
                notes.append(f"The bands that are 0 in '{name}' are taken as bad.")
                bad |= flags == 0
        elif BAD_BANDS.fullmatch(_word(name)) and np.any(variable.numbers()):
            notes.append(unclear_note(name, UNCLEAR))
        elif variable.length == 2 and _WINDOW.fullmatch(_word(name)):
            low, high = np.ravel(variable.numbers()).tolist()
            bad |= [nm is not None and low <= nm <= high for nm in centres_nm]
    return bad


def _words(name: str) -> list[str]:
    """The words of which a name is made: ``List_Cw_Vnir`` and ``bandCenters`` alike."""
    return [
        word.lower() for word in re.findall(r"[A-Z]*[a-zµμ]+|[A-Z]+|\d+", name.rpartition("/")[2])
    ]


def _word(name: str) -> str:
    """A name in one word, without its unit."""
    words = _words(name)
    return "".join(words[:-1] if len(words) > 1 and words[-1] in _UNITS else words)


def _unit(name: str) -> str:
    words = _words(name)
    return "cm-1" if "wavenum" in "".join(words) else _UNITS.get(words[-1] if words else "", "")


def _trust(name: str) -> int:
    """How surely a name is that of band centres; 0: it is not."""
    words, word = set(_words(name)), _word(name)
    if words & _OTHER:
        return 0
    if words & _ABBREVIATED:
        return len(_NAMES) - 1
    fitting = (place for place, names in enumerate(_NAMES) if names.fullmatch(word))
    return len(_NAMES) - next(fitting, len(_NAMES))


def _axes_of(variable: Variable, cube: Variable) -> tuple[tuple[int, ...], bool]:
    """The axes of a cube that a list may belong to, and whether one is its own by name."""
    fitting = tuple(axis for axis in cube.kept if cube.shape[axis] == variable.length)
    if cube.axes:
        # the list of a dimension has its name
        own = set(filter(None, variable.axes)) or {variable.name.rpartition("/")[2]}
        if named := tuple(axis for axis in fitting if cube.axes[axis] in own):
            return named, True
        if any(variable.axes) and all(cube.axes):  # it belongs to something else as long
            return tuple(axis for axis in fitting if cube.is_spectral(axis)), False
    return fitting, False


def _centres(variable: Variable, unit: str, *, is_sure: bool) -> tuple[float, ...]:
    """The numbers of a list, NaN where it says nothing; none when they are no centres."""
    numbers = np.ravel(variable.numbers()).astype(np.float64)
    # 0, -9999, NetCDF's own 1e37: a band of no use
    numbers[~((numbers > 0) & (numbers < _FILLED))] = np.nan
    known = numbers[np.isfinite(numbers)]
    steps = np.diff(known)
    if not known.size or (steps.size and not steps.any()):
        return ()  # a placeholder, or flags
    if steps.size and known[0] <= 1 and (steps == 1).all():
        return ()  # the bands, counted
    if not is_sure:
        rises = (steps > 0).all() or (steps < 0).all()
        if not rises or known.size < len(numbers) / 2:
            return ()
        if centres_in_nm(known.tolist(), unit, [])[1] not in ("nm", "cm-1"):
            return ()
    return tuple(numbers.tolist())


def stated_lists(place: str, said: Any, unit: str) -> Iterator[Variable]:
    """Attributes of a group or an array that say something of bands, as lists in this unit."""
    for key in said:
        numbers = numbers_in(said[key]) if says_of_bands(key) else None
        if numbers is not None and numbers.ndim == 1 and numbers.size > 1:
            yield Variable(
                f"{place}/{key}".lstrip("/"), numbers.shape, numbers.dtype, (), unit,
                partial(np.asarray, numbers), is_attribute=True,
            )  # fmt: skip


def numbers_in(value: Any) -> NDArray[Any] | None:
    """The numbers of a list: as such, as a text, or as a text each; None of anything else."""
    given = np.asarray(value)
    if given.dtype.kind not in "SUO":
        return given if given.dtype.kind in "iuf" else None
    texts = [text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)
             for text in given.ravel().tolist()]  # fmt: skip
    words = re.split(r"[\s,;]+", texts[0].strip("[](){} \n")) if len(texts) == 1 else texts
    try:
        return np.array([float(re.sub(r"\s*nm$", "", word)) for word in words[:_MOST]])
    except ValueError:
        return None
