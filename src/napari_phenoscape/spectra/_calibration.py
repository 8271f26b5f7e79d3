"""Calibration: reflectance from a white and a dark reference."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cubes import CODED, Cube, LazyArray, row_blocks, without_scale
from napari_phenoscape.errors import CubeError, OptionError
from napari_phenoscape.spectra._blocks import BLOCK, as_reflectance

#: How it is said that reflectance 1 is where the numbers end; from which part of it on a camera was
#: full, and the share of a standard's pixels that may be so.
ENDS, _FULL, _FEW = "taken as reflectance 1", 0.999, 0.05

#: Largest numbers of cameras of 8 to 16 bits, whatever type the file has.
_ENDS_OF_BITS = tuple(2**bits - 1 for bits in (8, 10, 12, 14, 16))


class _Calibrated(LazyArray):
    """(numbers - dark) / (white - dark), with references of (C, W)."""

    def __init__(self, cube: Cube, gain: NDArray[np.float64], dark: NDArray[np.float64]) -> None:
        super().__init__(cube.shape, np.dtype(np.float32))
        self._numbers = _in_numbers(cube)
        self._gain, self._dark = gain.astype(np.float32), dark.astype(np.float32)

    def read(self, bands: NDArray[np.intp], rows: slice, columns: slice) -> NDArray[Any]:
        dark, gain = (part[bands][:, None, columns] for part in (self._dark, self._gain))
        found = self._numbers.reflectance(bands, rows, columns)
        found -= dark
        found *= gain
        return found


def calibrated(
    cube: Cube,
    white: Cube,
    dark: Cube | None = None,
    panel: float = 1.0,
    *,
    white_dark: Cube | None = None,
) -> Cube:
    """Reflectance from references: panel * (raw - dark) / (white - dark) * time of white / of raw.

    The references are averaged over their rows and keep their columns, along which the light and
    the detector of a line camera vary; one of another width is averaged over its columns too.
    Numbers are the files' own, whatever scale they state. What is made of integration times, and
    what is not known of them, is added to ``provenance``.

    Parameters
    ----------
    white
        The same bands, of a white panel: a cube, or a region of one (`region_reference`).
    dark
        The same with the shutter closed; none: 0.
    panel
        Reflectance of the panel, 0-1.
    white_dark
        What is dark at the integration time of the white reference; none: ``dark``.

    Raises
    ------
    CubeError
        A reference has other bands, the white one is nowhere brighter than the dark one, or the
        numbers are those that a camera coded for the eye.
    """
    if any(CODED in sentence for sentence in cube.provenance):
        raise CubeError(
            f"'{cube.path.name}' holds numbers that a camera coded for the eye (gamma), which no "
            "standard makes reflectance. Take camera raw, or a TIFF that was developed from it "
            "linearly; or, if they are in proportion to light, say which number is reflectance 1 "
            "(full_scale)."
        )
    if not 0 < panel <= 1:
        raise OptionError(
            f"The panel's reflectance is {panel:g}; above 0 and up to 1 was expected."
        )
    light, shade = _reference(cube, white), np.zeros((cube.shape[0], cube.shape[2]))
    if dark is not None:
        shade = _reference(cube, dark)
    shade_of_white = shade if white_dark is None else _reference(cube, white_dark)
    brighter = light > shade_of_white
    if not brighter.any():
        raise CubeError(
            f"The white reference '{white.path.name}' is nowhere brighter than the dark one. Were "
            "they exchanged?"
        )
    longer, notes = _times(cube, white, dark, white_dark)
    if dead := int(brighter.size - brighter.sum()):
        notes.append(
            f"{dead} of {brighter.size} places of the detector (bands × columns) see no more of "
            "the white reference than of the dark one; nothing is measured there."
        )
    gain = np.where(
        brighter, panel * longer / np.where(brighter, light - shade_of_white, 1), np.nan
    )
    made = as_reflectance(cube, _Calibrated(cube, gain, shade))
    return replace(made, units="", integration_time=None, provenance=(*without_scale(cube), *notes))


def _times(
    cube: Cube, white: Cube, dark: Cube | None, white_dark: Cube | None
) -> tuple[float, list[str]]:
    """Integration time of the white reference over that of the scan, and what to say of it."""
    scan, time = cube.integration_time, white.integration_time
    if scan is None or time is None:
        if scan is time:
            return 1.0, []
        unsaid = "scan" if scan is None else "white reference"
        return 1.0, [
            f"The integration time of the {unsaid} is not given; scan and white reference are "
            "taken to have the same."
        ]
    notes = []
    if time != scan:
        notes.append(
            f"The white reference has an integration time of {time:g} and the scan of {scan:g}: "
            f"corrected by their ratio, {time / scan:.4g}."
        )
    for reference, needed in ((dark, scan), (white_dark or dark, time)):
        found = None if reference is None else reference.integration_time
        if found is not None and found != needed:
            notes.append(
                f"The dark reference has an integration time of {found:g} and is used for "
                f"{needed:g}; the same is taken as dark."
            )
    return time / scan, notes


def region_reference(cube: Cube, region: NDArray[np.bool_]) -> Cube:
    """Mean numbers of a region as a reference (C, 1, W), or (C, 1, 1).

    A region that marks something in every column keeps the columns, as a strip of white across
    the picture of a line camera must; any other is averaged over them.

    Parameters
    ----------
    region : (H, W)
        True on the white panel, or on what is dark.

    Raises
    ------
    CubeError
        The region has another size, marks no pixel, or is overexposed.
    """
    if region.shape != cube.shape[1:]:
        raise CubeError(
            f"The reference region has {region.shape} pixels, '{cube.path.name}' "
            f"{cube.shape[1:]}; the same size was expected. Draw it on the cube itself."
        )
    rows = np.flatnonzero(region.any(axis=1))
    if not rows.size:
        raise CubeError(
            f"The reference region on '{cube.path.name}' marks no pixel. Draw it on the panel."
        )
    raw = _in_numbers(cube)
    total, count, full = (np.zeros((cube.shape[0], cube.shape[2])) for _ in range(3))
    highest, at_highest = np.full(cube.shape[0], -np.inf), np.zeros(cube.shape[0])
    ends = any(ENDS in sentence for sentence in cube.provenance)
    most = np.broadcast_to((_FULL - cube.offset) / cube.gain if ends else np.inf, cube.shape[0])
    for _, down in row_blocks(raw, rows=slice(int(rows[0]), int(rows[-1]) + 1), most=BLOCK):
        numbers = raw.reflectance(rows=down)
        inside = region[down] & np.isfinite(numbers)
        total += np.where(inside, numbers, 0).sum(axis=1, dtype=np.float64)
        count += inside.sum(axis=1)
        full += (inside & (numbers >= most[:, None, None])).sum(axis=1)
        top = np.where(inside, numbers, -np.inf).max(axis=(1, 2))
        reached = (inside & (numbers == top[:, None, None])).sum(axis=(1, 2))
        at_highest = np.where(top < highest, 0, reached) + np.where(top > highest, 0, at_highest)
        highest = np.maximum(highest, top)
    at_end = (highest == highest.max()) & (highest.max() in _ENDS_OF_BITS)
    over = np.maximum(full.sum(axis=1), at_highest * at_end) > _FEW * count.sum(axis=1)
    if over.any():
        names = ", ".join(cube.bands[band].label for band in np.flatnonzero(over)[:4])
        raise CubeError(
            f"The reference region on '{cube.path.name}' is overexposed (in {names}); numbers "
            "below the camera's largest were expected. Take a greyer one, or expose it shorter."
        )
    if not region.any(axis=0).all():
        total, count = (part.sum(axis=1, keepdims=True) for part in (total, count))
    mean = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return replace(raw, array=mean[:, None], mask=None, ignore_value=None)


def _reference(cube: Cube, reference: Cube) -> NDArray[np.float64]:
    """(C, W) mean over the rows of a reference."""
    ours, theirs = cube.bands.wavelengths_nm, reference.bands.wavelengths_nm
    if reference.shape[0] != cube.shape[0] or (
        ours is not None and theirs is not None and not np.allclose(theirs, ours, atol=0.01)
    ):
        raise CubeError(
            f"The reference '{reference.path.name}' has {reference.shape[0]} bands, "
            f"'{cube.path.name}' {cube.shape[0]}; the same bands were expected. Record it with the "
            "same settings."
        )
    whole = np.ones(reference.shape[1:], dtype=bool)
    mean: NDArray[np.float64] = region_reference(reference, whole).array[:, 0]
    if mean.shape[1] != cube.shape[2]:
        mean = np.broadcast_to(mean.mean(1, keepdims=True), (len(mean), cube.shape[2]))
    return mean


def _in_numbers(cube: Cube) -> Cube:
    """The cube with the file's own numbers as its reflectance."""
    return replace(
        cube,
        gain=np.ones((), np.float32),
        offset=np.zeros((), np.float32),
        provenance=without_scale(cube),
    )
