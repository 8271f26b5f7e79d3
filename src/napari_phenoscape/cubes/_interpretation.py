"""Interpretation: what the planes of a file are, said by the user instead of by the file."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from pydantic import Field, field_validator

from napari_phenoscape.cubes._arrays import ignorable, unique
from napari_phenoscape.cubes._bands import Band, Bands, spectral_region
from napari_phenoscape.cubes._cube import Cube
from napari_phenoscape.cubes._labels import MASK, band_of_label, near_label
from napari_phenoscape.cubes._lazy import Window
from napari_phenoscape.errors import CubeError
from napari_phenoscape.option import Option

#: The name of a plane that is left out.
LEFT_OUT = "-"

#: Words of the assumptions that are void once the user has said it.
_OF_SCALE = ("scale is given", "taken as reflectance", "per cent of reflectance", "radiance")
_OF_WAVELENGTHS = ("wavelength", "Wavelength")


class Interpretation(Option):
    """What the planes of a file are, where it does not say so or says it wrongly."""

    names: tuple[str, ...] = Field(
        (),
        description="one for each plane, in the order of the file: R, G, B, UV_R, '550 nm' or any "
        "other name of a band, 'mask', or '-' for a plane to leave out",
    )
    wavelengths_nm: tuple[float, ...] = Field(
        (),
        description="centre of each band in nm, or the first and the last of evenly spaced ones",
    )
    axis: int | None = Field(
        None,
        ge=0,
        description="which axis of an array counts the bands, from 0, in a MATLAB, HDF5, Zarr or "
        "NumPy file that does not say it",
    )
    full_scale: float | None = Field(
        None, gt=0, description="the number that stands for reflectance 1, e.g. 4095 of 12 bits"
    )
    ignore_value: float | None = Field(
        None, description="the number that stands for 'not measured', e.g. -9999"
    )

    @field_validator("names")
    @classmethod
    def _one_mask_beside_bands(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        masks = [name for name in names if band_of_label(name) == MASK]
        bands = [name for name in names if name != LEFT_OUT and name not in masks]
        if names and (len(masks) > 1 or not bands):
            raise ValueError(
                f"{', '.join(names)} name {len(bands)} bands and {len(masks)} masks; at least one "
                "band and at most one mask were expected."
            )
        return names

    @field_validator("wavelengths_nm")
    @classmethod
    def _above_zero(cls, wavelengths_nm: tuple[float, ...]) -> tuple[float, ...]:
        if len(wavelengths_nm) == 1 or any(nm <= 0 for nm in wavelengths_nm):
            raise ValueError(
                "two wavelengths or more, above 0 nm, were expected, e.g. [400, 1000]."
            )
        return wavelengths_nm


def interpreted(cube: Cube, said: Interpretation) -> Cube:
    """The cube as the user says that it is.

    Parameters
    ----------
    cube
        Every plane of the file is a band when ``said`` names them.

    Raises
    ------
    CubeError
        The file has another number of planes or bands.
    """
    if said.names:
        cube = _named(cube, said.names)
    if said.wavelengths_nm:
        cube = _centred(cube, said.wavelengths_nm, keep_names=bool(said.names))
    if said.full_scale is not None:
        cube = replace(
            _without(cube, _OF_SCALE, f"As stated, {said.full_scale:g} is reflectance 1."),
            gain=np.array(1 / said.full_scale, np.float32),
            offset=np.zeros((), np.float32),
            units="",
        )
    if said.ignore_value is not None:
        cube = _ignoring(cube, said.ignore_value)
    return cube


def _ignoring(cube: Cube, value: float) -> Cube:
    found = ignorable(value, cube.array.dtype)
    note = f"As stated, {str(value).removesuffix('.0')} stands for 'not measured'"
    if found is None:
        note += f"; no {cube.array.dtype} can be it, so that no pixel is left out"
    return replace(cube, ignore_value=found, provenance=(*cube.provenance, f"{note}."))


def _named(cube: Cube, names: tuple[str, ...]) -> Cube:
    if len(names) != len(cube.bands):
        raise CubeError(
            f"'{cube.path.name}' has {len(cube.bands)} planes and {len(names)} names are given "
            f"({', '.join(names[:8])}{', ...' if len(names) > 8 else ''}); one for each was "
            f"expected. Name a plane to leave out '{LEFT_OUT}'."
        )
    kept, bands, mask = [], [], cube.mask
    for plane, (name, old) in enumerate(zip(names, cube.bands, strict=True)):
        role = band_of_label(name)
        if role == MASK:
            mask = np.asarray(cube.array[plane]) > 0
        elif name != LEFT_OUT:
            band = role if isinstance(role, Band) else Band(name)
            # a name says no wavelength, but does not take that of the file away
            known = old.wavelength_nm if band.wavelength_nm is None else band.wavelength_nm
            kept.append(plane)
            bands.append(Band(band.name, known, band.region, old.bad))
    own = unique([band.name for band in bands])
    listed = Bands(replace(band, name=name) for band, name in zip(bands, own, strict=True))
    gain, offset = (part[kept] if part.ndim else part for part in (cube.gain, cube.offset))
    note = f"As stated, the planes are {', '.join(names[:8])}{', ...' if len(names) > 8 else ''}."
    note += "".join(
        f" '{name}' says nothing of the light that it shows. Did you mean '{near}'?"
        for name, band in zip(own, listed, strict=True)
        if band.wavelength_nm is None and band.region is None and (near := near_label(name))
    )
    return replace(
        _without(cube, () if listed.wavelengths_nm is None else _OF_WAVELENGTHS, note),
        array=Window(cube.array, np.array(kept, np.intp)),
        bands=listed,
        gain=gain,
        offset=offset,
        mask=mask,
    )


def _centred(cube: Cube, given: tuple[float, ...], *, keep_names: bool) -> Cube:
    count = len(cube.bands)
    if len(given) not in (2, count):
        raise CubeError(
            f"'{cube.path.name}' has {count} bands and {len(given)} wavelengths are given; one for "
            "each, or the first and the last of evenly spaced ones, were expected."
        )
    spaced = np.linspace(given[0], given[-1], count).round(6).tolist()
    wavelengths_nm = given if len(given) == count else spaced
    names = unique([f"{nm:.7g} nm" for nm in wavelengths_nm])
    return replace(
        _without(
            cube, _OF_WAVELENGTHS, f"As stated, the bands are {given[0]:g} to {given[-1]:g} nm."
        ),
        bands=Bands(
            replace(
                band,
                name=band.name if keep_names else name,
                wavelength_nm=nm,
                region=spectral_region(nm),
            )
            for band, name, nm in zip(cube.bands, names, wavelengths_nm, strict=True)
        ),
    )


def scale_words(provenance: tuple[str, ...]) -> str:
    """What was assumed of the scale of a cube's numbers."""
    return " ".join(one for one in provenance if any(word in one for word in _OF_SCALE))


def without_scale(cube: Cube) -> tuple[str, ...]:
    """Its provenance, without what was assumed of the scale of its numbers."""
    return _assumed(cube, but=_OF_SCALE)


def without_wavelengths(cube: Cube) -> tuple[str, ...]:
    """Its provenance, without what was assumed of the centres of its bands."""
    return _assumed(cube, but=_OF_WAVELENGTHS)


def _without(cube: Cube, words: tuple[str, ...], note: str) -> Cube:
    """The cube with another sentence instead of the assumptions that it replaces."""
    return replace(cube, provenance=(*_assumed(cube, but=words), note))


def _assumed(cube: Cube, *, but: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(old for old in cube.provenance if not any(word in old for word in but))
