"""Modality: a named choice of bands."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator

from napari_phenoscape._extensions import extensions
from napari_phenoscape._remote import address
from napari_phenoscape.cubes._bands import REGION_ENDS_NM, Bands
from napari_phenoscape.cubes._cube import Cube, describe
from napari_phenoscape.cubes._labels import GREY
from napari_phenoscape.errors import BandMismatchError, OptionError, did_you_mean
from napari_phenoscape.option import Option, Place


class Modality(Option):
    """A named choice of bands.

    Built in, and written by name alone: ``rgb``; ``grey`` (of pictures without colours); the
    regions ``uv``, ``vis``, ``nir`` and ``swir``; ``full`` (every good band); ``all`` (flagged ones
    too); sums such as ``rgb+uv``, of cubes that have all of them; and what the receptors of an eye
    catch: ``human``, ``bird-uv``, ``bird-v``, ``honeybee``. A user's own has a name and either
    ``bands``, ``range_nm`` or ``eye``.
    """

    name: str = Field(
        description="what this choice of bands is called; its files are named by it too"
    )
    bands: tuple[int | str, ...] = Field(
        (), description="band indices (from 0) and band names, in the order wanted"
    )
    range_nm: tuple[float, float] | None = Field(
        None, description="or: every good band whose centre lies in this range (nm, both ends in)"
    )
    eye: Place | None = Field(
        None,
        description="or: what the receptors of an eye catch, by a CSV of sensitivities, "
        "pigments, or a camera's model",
    )

    @field_validator("name")
    @classmethod
    def _is_a_file_name(cls, name: str) -> str:
        if not re.fullmatch(r"\w([\w .+-]*[\w+-])?", name):
            raise ValueError(
                "files are named by it, so letters, digits and _ - + were expected, and dots and "
                "blanks between them only, e.g. red_edge"
            )
        return name

    @property
    def eyes(self) -> dict[str, str]:
        """Eyes whose catches are asked for: what they are called → built-in name or CSV."""
        if self.eye is not None:
            return {self.name: address(self.eye)}
        if self.bands or self.range_nm is not None:
            return {}
        return {part: part for part in self.name.split("+") if _is_eye(part)}

    def indices(self, cube: Cube) -> NDArray[np.intp]:
        """(n,) band indices of this modality in ``cube``.

        Raises
        ------
        BandMismatchError
            The cube lacks a band; the message says which bands it has.
        """
        found = [self._index(cube, band) for band in self.bands] or self._by_rule(cube.bands)
        if not found and not all(_caught_by(eye, cube.bands) for eye in self.eyes):
            raise BandMismatchError(
                f"{describe(cube)} has no catches for the modality '{self.name}'. "
                "`phenoscape convert --vision` computes them, or says what the cube does not see."
            )
        if not found:
            parts = [] if self.bands or self.range_nm else self.name.split("+")
            lacking = [f"'{part}'" for part in parts if not _built_in(part, cube.bands)]
            some = f"{' and '.join(lacking)} of " if len(lacking) < len(parts) else ""
            raise BandMismatchError(
                f"{describe(cube)} has no bands for {some}the modality '{self.name}'. "
                + (
                    "It is grey: choose the modality 'grey', or, of a mask, say so by the "
                    "collection's 'mask', e.g. '{stem}.png'."
                    if cube.bands.names == (GREY,)
                    else "Choose another modality for this cube, or define one by 'bands' or "
                    "'range_nm'."
                )
            )
        return np.array(found, dtype=np.intp)

    def seen_by(self, cube: Cube) -> bool:
        """Whether ``cube`` has any of the bands that are asked for."""
        if self.bands:
            names = cube.bands.names
            return any(
                wanted in names if isinstance(wanted, str) else 0 <= wanted < len(names)
                for wanted in self.bands
            )
        return bool(self._by_rule(cube.bands))

    def _by_rule(self, bands: Bands) -> list[int]:
        """Good bands in the range, catches, or the bands that the name stands for."""
        if self.eye is not None:
            return _caught_by(self.name, bands)
        if self.range_nm is None:
            parts = [_built_in(part, bands) for part in self.name.split("+")]
            return [i for part in parts for i in part] if all(parts) else []
        low, high = self.range_nm
        return [
            i
            for i, band in enumerate(bands)
            if band.wavelength_nm is not None and low <= band.wavelength_nm <= high and not band.bad
        ]

    def _index(self, cube: Cube, wanted: int | str) -> int:
        if isinstance(wanted, str) and wanted in cube.bands.names:
            return cube.bands.index(wanted)
        if isinstance(wanted, int) and 0 <= wanted < len(cube.bands):
            return wanted
        raise BandMismatchError(
            f"{describe(cube)} has no band {wanted!r}, which the modality '{self.name}' asks for. "
            "Name one of its bands, or choose another modality."
        )


#: Eyes that are built in; their catches are modalities, known by these words.
VISUAL_SYSTEMS = ("human", "bird-uv", "bird-v", "honeybee")

_REGIONS = tuple(region for region, _ in REGION_ENDS_NM)

BUILT_IN_MODALITIES = ("rgb", GREY, *_REGIONS, "full", "all", *VISUAL_SYSTEMS)


def visual_systems() -> tuple[str, ...]:
    """Eyes whose catches are modalities, other packages' too."""
    return (*VISUAL_SYSTEMS, *extensions("visual_systems"))


def known_modalities() -> tuple[str, ...]:
    """Modalities that are written by name alone, other packages' too."""
    return tuple(dict.fromkeys((*BUILT_IN_MODALITIES, *visual_systems())))


def _is_eye(name: str) -> bool:
    if name in BUILT_IN_MODALITIES:
        return name in VISUAL_SYSTEMS
    return name in extensions("visual_systems")


def as_modality(given: Modality | str) -> Modality:
    """The modality of a built-in name (or a sum of them), or ``given`` itself."""
    if isinstance(given, Modality):
        return given
    known = BUILT_IN_MODALITIES
    unknown = [part for part in given.split("+") if not (part in known or _is_eye(part))]
    if unknown:
        names = known_modalities()
        raise OptionError(
            f"unknown modality '{unknown[0]}'. {did_you_mean(unknown[0], names)}Choose from "
            f"{', '.join(names)} (or a sum such as rgb+uv), or define your own with a name and "
            "bands, range_nm or eye."
        )
    return Modality(name=given)


def _built_in(part: str, bands: Bands) -> list[int]:
    if _is_eye(part):
        return _caught_by(part, bands)
    if part == "rgb":
        return list(bands.visible or ())
    own = [(i, band) for i, band in enumerate(bands) if not band.eye]
    if part == GREY:
        return [i for i, band in own if band.name == GREY]
    if part == "all":
        return [i for i, _ in own]
    return [i for i, band in own if not band.bad and part in ("full", band.region)]


def _caught_by(eye: str, bands: Bands) -> list[int]:
    return [i for i, band in enumerate(bands) if band.eye == eye]
