"""Cube, Band and Modality: one opened file, its planes, and named choices of them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from napari_phenoscape.cubes._lazy import LazyArray
from napari_phenoscape.errors import BandMismatchError, OptionError
from napari_phenoscape.option import Option

Region = Literal["uv", "vis", "nir", "swir"]

#: Upper ends of the spectral regions in nm (CIE 17.4: UV-A ends at 400, NIR at about 1000 here,
#: where silicon detectors do).
REGION_ENDS_NM: tuple[tuple[Region, float], ...] = (
    ("uv", 400.0),
    ("vis", 700.0),
    ("nir", 1000.0),
    ("swir", 2500.0),
)

#: Centres of the red, green and blue band of the modality ``rgb`` on a cube with wavelengths.
RGB_NM = (640.0, 550.0, 460.0)

#: A band further than this from the wavelength that was asked for is not that band.
NEAREST_NM = 15.0


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
    """

    name: str
    wavelength_nm: float | None = None
    region: Region | None = None
    bad: bool = False
    eye: str = ""

    def __post_init__(self) -> None:
        if self.region is None and self.wavelength_nm is not None:
            object.__setattr__(self, "region", spectral_region(self.wavelength_nm))


def spectral_region(wavelength_nm: float) -> Region | None:
    """``uv`` below 400 nm, ``vis`` to 700, ``nir`` to 1000, ``swir`` to 2500, else None."""
    for region, end in REGION_ENDS_NM:
        if wavelength_nm < end:
            return region
    return None


@dataclass(frozen=True, eq=False)
class Cube:
    """One opened file, nothing of which is in memory until it is indexed.

    Parameters
    ----------
    array : (C, H, W)
        The file's own numbers, lazily, in the file's own type.
    bands
        C bands in the order of ``array``.
    path
        The data file (not the header).
    gain, offset : () or (C,)
        ``reflectance = gain * number + offset``; unitless, 1 = a perfect white.
    mask : (H, W) bool or None
        True on the specimen(s).
    ignore_value
        The number that stands for "no measurement"; reads as NaN in `reflectance`.
    rgb_bands
        Three band indices that the file itself proposes for display (ENVI ``default bands``).
    provenance
        What was assumed because the file does not say it, one sentence each.
    """

    array: LazyArray | NDArray[Any]
    bands: tuple[Band, ...]
    path: Path
    gain: NDArray[np.float32] = field(default_factory=lambda: np.ones((), np.float32))
    offset: NDArray[np.float32] = field(default_factory=lambda: np.zeros((), np.float32))
    mask: NDArray[np.bool_] | None = None
    ignore_value: float | None = None
    rgb_bands: tuple[int, int, int] | None = None
    provenance: tuple[str, ...] = ()

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W)."""
        bands, rows, columns = self.array.shape
        return bands, rows, columns

    @property
    def wavelengths_nm(self) -> NDArray[np.float64] | None:
        """(C,) band centres in nm, or None unless every band has one."""
        centres = [band.wavelength_nm for band in self.bands]
        if any(centre is None for centre in centres):
            return None
        return np.array(centres, dtype=np.float64)

    def reflectance(
        self,
        bands: NDArray[np.intp] | slice = slice(None),
        rows: slice = slice(None),
        columns: slice = slice(None),
    ) -> NDArray[np.float32]:
        """(bands, rows, columns) reflectance of a block, read now; NaN where not measured.

        Parameters
        ----------
        bands
            Band indices; order is kept.
        rows, columns
            Half-open ranges of pixels.
        """
        numbers = np.asarray(self.array[bands, rows, columns])
        block: NDArray[np.float32] = numbers.astype(np.float32)
        gain, offset = (
            part[bands, None, None] if part.ndim else part for part in (self.gain, self.offset)
        )
        block *= gain
        block += offset
        if self.ignore_value is not None:
            block[numbers == np.asarray(self.ignore_value, dtype=numbers.dtype)] = np.nan
        return block


class Modality(Option):
    """A named choice of bands.

    Built in, and written by name alone: ``rgb``, ``uv``, ``vis``, ``nir``, ``full`` (every good
    band), ``all`` (flagged ones too), and sums such as ``rgb+uv``; and what the receptors of an eye
    catch: ``human``, ``bird-uv``, ``bird-v``, ``honeybee``. A user's own has a name and either
    ``bands``, ``range_nm`` or ``eye``.
    """

    name: str = Field(description="what this choice of bands is called")
    bands: tuple[int | str, ...] = Field(
        (), description="band indices (from 0) and band names, in the order wanted"
    )
    range_nm: tuple[float, float] | None = Field(
        None, description="or: every good band whose centre lies in this range (nm, both ends in)"
    )
    eye: Path | None = Field(
        None,
        description="or: what the receptors of an eye catch, by a CSV of sensitivities, "
        "pigments, or a camera's model",
    )

    @property
    def eyes(self) -> dict[str, str]:
        """Eyes whose catches are asked for: what they are called → built-in name or CSV."""
        if self.eye is not None:
            return {self.name: str(self.eye)}
        if self.bands or self.range_nm is not None:
            return {}
        return {part: part for part in self.name.split("+") if part in VISUAL_SYSTEMS}

    def indices(self, cube: Cube) -> NDArray[np.intp]:
        """(n,) band indices of this modality in ``cube``.

        Raises
        ------
        BandMismatchError
            The cube lacks a band; the message says which bands it has.
        """
        found = [self._index(cube, band) for band in self.bands] or self._by_rule(cube)
        if not found and self.eyes:
            raise BandMismatchError(
                f"{describe(cube)} has no catches for the modality '{self.name}'. "
                "`phenoscape convert --vision` computes them, or says what the cube does not see."
            )
        if not found:
            raise BandMismatchError(
                f"{describe(cube)} has no bands for the modality '{self.name}'. "
                "Choose another modality for this cube, or define one by 'bands' or 'range_nm'."
            )
        return np.array(found, dtype=np.intp)

    def seen_by(self, cube: Cube) -> bool:
        """Whether ``cube`` has any of the bands that are asked for."""
        if self.bands:
            names = {band.name for band in cube.bands}
            return any(
                wanted in names if isinstance(wanted, str) else 0 <= wanted < len(names)
                for wanted in self.bands
            )
        return bool(self._by_rule(cube))

    def _by_rule(self, cube: Cube) -> list[int]:
        """Good bands in the range, catches, or the bands that the name stands for."""
        if self.eye is not None:
            return _caught_by(self.name, cube)
        if self.range_nm is None:
            if not all(_caught_by(eye, cube) for eye in self.eyes):
                return []
            return [i for part in self.name.split("+") for i in _built_in(part, cube)]
        low, high = self.range_nm
        return [
            i
            for i, band in enumerate(cube.bands)
            if band.wavelength_nm is not None and low <= band.wavelength_nm <= high and not band.bad
        ]

    def _index(self, cube: Cube, wanted: int | str) -> int:
        names = [band.name for band in cube.bands]
        if isinstance(wanted, str) and wanted in names:
            return names.index(wanted)
        if isinstance(wanted, int) and 0 <= wanted < len(names):
            return wanted
        raise BandMismatchError(
            f"{describe(cube)} has no band {wanted!r}, which the modality '{self.name}' asks for. "
            "Name one of its bands, or choose another modality."
        )


#: Eyes whose catches are modalities, known by these words.
VISUAL_SYSTEMS = ("human", "bird-uv", "bird-v", "honeybee")

BUILT_IN_MODALITIES = ("rgb", "uv", "vis", "nir", "full", "all", *VISUAL_SYSTEMS)


def as_modality(given: Modality | str) -> Modality:
    """The modality of a built-in name (or a sum of them), or ``given`` itself."""
    if isinstance(given, Modality):
        return given
    unknown = [part for part in given.split("+") if part not in BUILT_IN_MODALITIES]
    if unknown:
        raise OptionError(
            f"unknown modality '{unknown[0]}'; choose from {', '.join(BUILT_IN_MODALITIES)} "
            "(or a sum such as rgb+uv), or define your own with a name and bands, range_nm or eye."
        )
    return Modality(name=given)


def nearest_band(cube: Cube, wavelength_nm: float) -> int | None:
    """Index of the good band whose centre is nearest, None if none lies within 15 nm."""
    distances = [
        np.inf
        if band.bad or band.wavelength_nm is None
        else abs(band.wavelength_nm - wavelength_nm)
        for band in cube.bands
    ]
    index = int(np.argmin(distances))
    return index if distances[index] <= NEAREST_NM else None


def _built_in(part: str, cube: Cube) -> list[int]:
    if part in VISUAL_SYSTEMS:
        return _caught_by(part, cube)
    own = [(i, band) for i, band in enumerate(cube.bands) if not band.eye]
    if part == "all":
        return [i for i, _ in own]
    if part == "full":
        return [i for i, band in own if not band.bad]
    if part == "rgb":
        names = [band.name for band in cube.bands]
        if all(name in names for name in "RGB"):
            return [names.index(name) for name in "RGB"]
        nearest = [nearest_band(cube, centre) for centre in RGB_NM]
        return [i for i in nearest if i is not None] if None not in nearest else []
    return [i for i, band in own if band.region == part and not band.bad]


def _caught_by(eye: str, cube: Cube) -> list[int]:
    return [i for i, band in enumerate(cube.bands) if band.eye == eye]


def describe(cube: Cube) -> str:
    """A cube in words, e.g. ``'scan.bil' (408 bands: 348-810 nm)``."""
    bands = [band for band in cube.bands if not band.eye] or cube.bands
    centres = [band.wavelength_nm for band in bands if band.wavelength_nm is not None]
    span = (
        f"{min(centres):.0f}-{max(centres):.0f} nm"
        if len(centres) == len(bands)
        else ", ".join(band.name for band in bands[:8]) + (", ..." if len(bands) > 8 else "")
    )
    return f"'{cube.path.name}' ({len(bands)} bands: {span})"
