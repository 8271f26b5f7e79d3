"""TIFF: specimen stacks of RGB, UV and mask, and spectral files, through tifffile."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cubes._arrays import full_scale, ignorable, scale_in_float32, unique
from napari_phenoscape.cubes._bands import Band, Bands, spectral_region
from napari_phenoscape.cubes._cube import Cube
from napari_phenoscape.cubes._labels import (
    GREY,
    MASK,
    are_receptors,
    band_of_label,
    bands_of_labels,
)
from napari_phenoscape.cubes._lazy import Window
from napari_phenoscape.cubes.readers._quantity import (
    PER_CENT,
    RADIANCE,
    per_cent_note,
    radiance_note,
)
from napari_phenoscape.cubes.readers._reader import FORMATS, Reader
from napari_phenoscape.cubes.readers._tiff_stack import SIGNATURES, Stack, orientation, read_stack
from napari_phenoscape.errors import CubeError

#: Roles of a specimen stack by position, where no names say them.
SPECIMEN = (
    *(Band(name, region="vis") for name in "RGB"),
    *(Band(f"UV_{name}", region="uv") for name in "RGB"),
)

#: From so many channels on, a file is spectral; from the second on it is so for everybody.
SPECTRAL = 8
EVIDENTLY_SPECTRAL = 17

#: Pixels of a plane that are looked at, a side, to tell a mask from a photograph.
PROBE = 512


def open_tiff(path: Path, *, colours: bool = True) -> Cube:
    """The cube in a TIFF.

    Channels are known by their names or wavelengths (ImageJ labels, OME, pages, XMP, GDAL, an ENVI
    header beside), else by their number: 1 = grey, 3 = RGB, 5 = RGB and micaToolbox's two of UV,
    6 = RGB and UV, 7 = the same with a mask, 8 and more = spectral. The bands of a map are not
    known by their number. A channel that is declared as transparency is the mask.

    Parameters
    ----------
    path
        The file.
    colours
        Refuse palettes, whose numbers are no reflectance.

    Raises
    ------
    CubeError
        Another number of channels, no image, damage, or more bytes than memory.
    """
    stack = read_stack(path, colours=colours)
    notes = list(stack.notes)
    return _cube(stack, _roles(stack, notes), notes)


def open_planes(path: Path) -> Cube:
    """The cube in a TIFF of which every channel is a band, whatever it is called."""
    stack = read_stack(path)
    return _cube(stack, _plain(stack), list(stack.notes))


def _cube(stack: Stack, roles: list[Band | str], notes: list[str]) -> Cube:
    masks = [index for index, role in enumerate(roles) if role == MASK]
    if len(masks) > 1:
        raise CubeError(
            f"'{stack.path.name}' names {len(masks)} of its channels a mask; one was expected. "
            "Rename the others."
        )
    chosen = [index for index, role in enumerate(roles) if role != MASK]
    bands = Bands(role for role in roles if isinstance(role, Band))
    mask = None
    if masks:
        plane = stack.plane(masks[0])
        # half transparent is the edge; any number of a mask channel is specimen
        low = np.iinfo(plane.dtype).max // 2 if stack.alpha and plane.dtype.kind == "u" else 0
        mask = plane > low
        if stack.alpha and mask.all():
            mask = None
    dtype = stack.array.dtype
    gain, offset, units = scale_of(stack, chosen, notes)
    return Cube(
        array=stack.array
        if len(chosen) == stack.array.shape[0]
        else Window(stack.array, np.array(chosen)),
        bands=bands,
        path=stack.path,
        gain=gain,
        offset=offset,
        mask=mask,
        ignore_value=None if stack.nodata is None else ignorable(stack.nodata, dtype),
        units=units,
        integration_time=stack.integration_time,
        provenance=tuple(notes),
    )


def recognise(path: Path) -> bool:
    """Whether a TIFF follows a convention of specimens or spectra that nobody else uses."""
    stack = read_stack(path)
    roles = bands_of_labels(stack.names)
    if roles is not None:
        bands = Bands(role for role in roles if isinstance(role, Band))
        spectral = bands.wavelengths_nm is not None and len(bands) >= SPECTRAL
        seen = {band.region for band in bands}
        return spectral or are_receptors(stack.names) or seen == {"vis", "uv"}
    if stack.wavelengths_nm is not None:
        return stack.count >= SPECTRAL
    if stack.of_others:
        return False
    samples = stack.axis == "samples"
    if samples and stack.count >= EVIDENTLY_SPECTRAL:
        return True
    if stack.is_map or stack.names:
        return False
    if stack.count == 7 and not stack.alpha:
        photograph, mask = (np.unique(_probe(stack, index)) for index in (0, 6))
        return len(mask) <= 2 < len(photograph) and (len(mask) == 1 or mask[0] == 0)
    return samples and stack.count - stack.alpha == 6


def read_numbers(path: Path) -> NDArray[Any]:
    """(H, W) the numbers of a TIFF of one channel."""
    stack = read_stack(path, colours=False)
    if stack.count != 1:
        raise CubeError(
            f"'{path.name}' has {stack.count} channels; a mask of one was expected. Save the mask "
            "alone."
        )
    return stack.plane(0)


def _plain(stack: Stack) -> list[Band | str]:
    centres = stack.wavelengths_nm or [np.nan] * stack.count
    return [
        Band(f"plane {i + 1}", None if np.isnan(centre) else centre, bad=i in stack.bad)
        for i, centre in enumerate(centres)
    ]


def _roles(stack: Stack, notes: list[str]) -> list[Band | str]:
    """What each channel is: a band, or `MASK`; by what the file says, else by their number."""
    count = stack.count
    bands = count - stack.alpha
    tail: list[Band | str] = [MASK] * stack.alpha
    if any(stack.names[:bands]) or stack.wavelengths_nm is not None:
        return [*_named(stack, bands), *tail]
    if bands == 1:
        return [Band(GREY), *tail]
    if bands >= SPECTRAL or stack.is_map:
        notes.append(f"{bands} {stack.noun} are taken as bands; their wavelengths are not given.")
        known = SPECIMEN[:3] if stack.is_colour else ()
        return [*known, *(Band(f"band {i + 1}") for i in range(len(known), bands)), *tail]
    if bands == 3 and stack.axis != "pages":
        if not stack.is_colour:
            notes.append("The three channels are taken as R, G, B.")
        return [*SPECIMEN[:3], *tail]
    if bands == 5:
        notes.append(
            f"The five {stack.noun} are taken as R, G, B, UV_B, UV_R, the order of micaToolbox."
        )
        return [*SPECIMEN[:3], SPECIMEN[5], SPECIMEN[3], *tail]
    if bands == 6:
        notes.append(f"The six {stack.noun} are taken as R, G, B and UV_R, UV_G, UV_B.")
        return [*SPECIMEN, *tail]
    if count == 7 and not stack.alpha:
        _refuse_photograph_as_mask(stack)
        notes.append(f"The seven {stack.noun} are taken as R, G, B, UV_R, UV_G, UV_B and mask.")
        return [*SPECIMEN, MASK]
    raise CubeError(
        f"'{stack.path.name}' has {count} {stack.noun}; 1 (grey), 3 (RGB), one more with "
        "transparency, 5 or 6 (RGB, UV), 7 (RGB, UV, mask), 8 or more (spectral) were expected, or "
        "ImageJ labels such as 'visible:R' and 'uv:B'. Say what they are by --names (read_as)."
    )


def _named(stack: Stack, count: int) -> list[Band | str]:
    """The bands as the file names them; it may name some, or give their wavelengths alone."""
    centres = stack.wavelengths_nm or (np.nan,) * stack.count
    names = stack.names or ("",) * stack.count
    labels = tuple(
        name or (f"band {i + 1}" if np.isnan(nm) else f"{nm:.7g} nm")
        for i, (name, nm) in enumerate(zip(names[:count], centres, strict=False))
    )
    roles = bands_of_labels(labels) or [
        band_of_label(label) or Band(label) for label in unique(list(labels))
    ]
    return [
        replace(
            role,
            # a name that the file gives beside a wavelength is kept as it is
            name=role.name if np.isnan(nm) else label,
            wavelength_nm=role.wavelength_nm if np.isnan(nm) else nm,
            region=role.region if np.isnan(nm) else spectral_region(nm),
            bad=plane in stack.bad,
        )
        if isinstance(role, Band)
        else role
        for plane, (role, label, nm) in enumerate(
            zip(roles, unique(list(labels)), centres, strict=False)
        )
    ]


def _refuse_photograph_as_mask(stack: Stack) -> None:
    values, counts = np.unique(_probe(stack, 6), return_counts=True)
    ends = counts[(values == 0) | (values == values[-1])].sum()
    # labels are few numbers, a smooth mask is nearly all 0 or full; a photograph is neither
    if len(values) > 32 and ends < 0.9 * counts.sum():
        raise CubeError(
            f"'{stack.path.name}' has 7 {stack.noun}, the last with {len(values)} different "
            "numbers; R, G, B, three of UV and a mask were expected. Say what they are by "
            "--names (read_as), or by ImageJ labels."
        )


def _probe(stack: Stack, index: int) -> NDArray[Any]:
    rows, columns = (-(-side // PROBE) for side in stack.array.shape[1:])
    return stack.plane(index, (slice(None, None, rows), slice(None, None, columns)))


def scale_of(
    stack: Stack, chosen: list[int], notes: list[str]
) -> tuple[NDArray[np.float32], NDArray[np.float32], str]:
    """Gain and offset of some planes, () or (n,), and their units, empty of reflectance.

    What is assumed is added to ``notes``.
    """
    zero = np.zeros((), np.float32)
    one, quantity = np.ones(()), stack.units
    if RADIANCE.search(quantity):
        notes.append(radiance_note("unit type", quantity))
    elif PER_CENT.search(quantity):
        notes.append(per_cent_note("unit type", quantity))
        one, quantity = one / 100, ""
    else:
        quantity = ""
    if stack.scale is not None or quantity or one < 1:
        known = stack.scale or (np.ones(stack.array.shape[0]), np.zeros(stack.array.shape[0]))
        gains, offsets = (np.array(part)[chosen] * one for part in known)
        return (*scale_in_float32(stack.path.name, gains, offsets), quantity)
    if any("normalised" in name.lower() for name in stack.names):
        notes.append("micaToolbox's normalised numbers are per cent of reflectance.")
        return np.array(0.01, np.float32), zero, ""
    gain, note = full_scale(stack.array.dtype, stack.bits)
    notes.append(note)
    return np.array(gain, np.float32), zero, ""


READER = Reader(
    name="tiff",
    patterns=("*.tif", "*.tiff"),
    claims=lambda _, head: head.startswith(SIGNATURES),
    open=open_tiff,
    recognise=recognise,
    open_planes=open_planes,
    read_mask=read_numbers,
    orientation=orientation,
    install=FORMATS,
)
