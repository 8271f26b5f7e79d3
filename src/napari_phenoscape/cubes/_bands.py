"""Bands: the planes of a cube, their wavelengths, and which of them is asked for."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, SupportsIndex, overload

import numpy as np
from numpy.typing import NDArray

Region = Literal["uv", "vis", "nir", "swir"]

#: Upper ends of the spectral regions in nm (CIE 17.4: UV-A ends at 400, NIR at about 1000 here,
#: where silicon detectors do).
REGION_ENDS_NM: tuple[tuple[Region, float], ...] = (
    ("uv", 400.0),
    ("vis", 700.0),
    ("nir", 1000.0),
    ("swir", 2500.0),
)

#: Red, green and blue of bands that are known by their wavelengths.
RGB_NM = (640.0, 550.0, 460.0)

#: A band further than this from the wavelength that was asked for is not that band.
NEAREST_NM = 15.0

#: Words for the colours of a camera, in lower case, and what they are in short.
COLOURS = {"r": "R", "red": "R", "g": "G", "green": "G", "b": "B", "blue": "B"}

#: From short waves to long: bands that are known by their names.
_RISING = ("UV_B", "UV_G", "UV_R", "B", "G", "R")

#: Names of so many bands stand for all of them.
_NAMED = 8


def spectral_region(wavelength_nm: float) -> Region | None:
    """``uv`` below 400 nm, ``vis`` to 700, ``nir`` to 1000, ``swir`` to 2500, else None."""
    for region, end in REGION_ENDS_NM:
        if wavelength_nm < end:
            return region
    return None


@dataclass(frozen=True, slots=True)
class Band:
    """One plane of a cube.

    Parameters
    ----------
    name
        Unique in its cube, e.g. ``"R"``, ``"UV_B"``, ``"548.35 nm"``.
    wavelength_nm
        Centre in nm, or None when the file does not say.
    region
        Spectral region; from the wavelength when there is one, else from the band's role.
    bad
        Flagged by the file (ENVI ``bbl``); left out of every modality but ``all``.
    eye
        In a cube that holds catches beside its own bands: the modality that this catch is of.
    shown_as
        As which of ``R``, ``G`` and ``B`` the file proposes to show it, e.g. ``"R"``; ``"RGB"``:
        in grey. Two bands that differ in this alone are the same.
    """

    name: str
    wavelength_nm: float | None = None
    region: Region | None = None
    bad: bool = False
    eye: str = ""
    shown_as: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        if self.region is None and self.wavelength_nm is not None:
            object.__setattr__(self, "region", spectral_region(self.wavelength_nm))

    @property
    def role(self) -> str:
        """The name, in short where the file spells a colour: ``R`` for ``Red``."""
        return COLOURS.get(self.name.lower(), self.name)

    @property
    def label(self) -> str:
        """``548 nm``, or its name where it has no wavelength."""
        return self.name if self.wavelength_nm is None else f"{self.wavelength_nm:.0f} nm"


class Bands(tuple[Band, ...]):
    """C bands in the order of their planes."""

    @overload
    def __getitem__(self, index: SupportsIndex, /) -> Band: ...
    @overload
    def __getitem__(self, index: slice, /) -> Bands: ...
    def __getitem__(self, index: SupportsIndex | slice, /) -> Band | Bands:
        found = super().__getitem__(index)
        return found if isinstance(found, Band) else Bands(found)

    def take(self, indices: Iterable[int]) -> Bands:
        """These bands, in this order."""
        return Bands(self[index] for index in indices)

    @property
    def names(self) -> tuple[str, ...]:
        """C names."""
        return tuple(band.name for band in self)

    @property
    def roles(self) -> tuple[str, ...]:
        """C names, those of colours in short."""
        return tuple(band.role for band in self)

    @property
    def short(self) -> Bands:
        """These bands by their roles, so that one camera's ``Red`` is another's ``R``."""
        if len(set(self.roles)) < len(self):
            return self
        return Bands(replace(band, name=band.role) for band in self)

    @property
    def wavelengths_nm(self) -> NDArray[np.float64] | None:
        """(C,) centres in nm, or None unless every band has one."""
        known = [band.wavelength_nm for band in self if band.wavelength_nm is not None]
        return np.array(known, np.float64) if len(known) == len(self) else None

    @property
    def x(self) -> NDArray[np.float64]:
        """(C,) places on an axis: in nm, or counted from 0 unless every band has a wavelength."""
        nm = self.wavelengths_nm
        return np.arange(len(self), dtype=np.float64) if nm is None else nm

    @property
    def rising(self) -> NDArray[np.intp]:
        """(C,) positions from short waves to long; a band of which nothing is known comes last."""
        known = dict(zip(_RISING, range(len(_RISING)), strict=True))
        places = [
            known.get(band.role, np.inf) if band.wavelength_nm is None else band.wavelength_nm
            for band in self
        ]
        return np.argsort(places, kind="stable")

    @property
    def good(self) -> NDArray[np.bool_]:
        """(C,) False for the bands that the file flags as bad."""
        return np.array([not band.bad for band in self], np.bool_)

    @property
    def span(self) -> str:
        """``348-810 nm``, or the names (the first eight) unless every band has a wavelength."""
        if (nm := self.wavelengths_nm) is not None and len(nm):
            return f"{nm.min():.0f}-{nm.max():.0f} nm"
        return ", ".join(self.names[:_NAMED]) + (", ..." if len(self) > _NAMED else "")

    @property
    def words(self) -> str:
        """How many and where, e.g. ``408 bands: 348-810 nm``."""
        return f"{len(self)} bands: {self.span}"

    def index(
        self, name: str, start: SupportsIndex = 0, stop: SupportsIndex = sys.maxsize, /
    ) -> int:
        """Position of the band of this name; ValueError when there is none."""
        return self.names.index(name, start, stop)

    def nearest(self, wavelength_nm: float) -> int | None:
        """Position of the good band whose centre is nearest; None if none lies within 15 nm."""
        known = {
            i: abs(band.wavelength_nm - wavelength_nm)
            for i, band in enumerate(self)
            if band.wavelength_nm is not None and not band.bad
        }
        best = min(known, key=known.__getitem__, default=None)
        return best if best is not None and known[best] <= NEAREST_NM else None

    @property
    def visible(self) -> tuple[int, int, int] | None:
        """Red, green and blue: the good bands of these roles, else nearest to `RGB_NM`; or None."""
        named = {band.role: i for i, band in enumerate(self) if not band.bad}
        found = [named.get(name) for name in "RGB"]
        if None in found:
            found = [self.nearest(wavelength_nm) for wavelength_nm in RGB_NM]
        return _triple(found)

    @property
    def proposed(self) -> tuple[int, int, int] | None:
        """Those that the file proposes to show as red, green and blue (ENVI ``default bands``)."""
        return _triple(
            next((i for i, band in enumerate(self) if colour in band.shown_as), None)
            for colour in "RGB"
        )

    def proposing(self, shown: Sequence[int] | None) -> Bands:
        """The same bands, with three that are proposed as red, green and blue; None: without."""
        colours = list(zip("RGB", shown or (), strict=False))
        return Bands(
            replace(band, shown_as="".join(colour for colour, place in colours if place == i))
            for i, band in enumerate(self)
        )


def _triple(found: Iterable[int | None]) -> tuple[int, int, int] | None:
    match list(found):
        case [int(red), int(green), int(blue)]:
            return red, green, blue
    return None
