"""Standard: what is white, grey or dark, said in words, and a cube in reflectance by it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cubes import Cube, Interpretation, open_cube, read_mask
from napari_phenoscape.errors import CubeError, OptionError
from napari_phenoscape.spectra._calibration import calibrated, region_reference
from napari_phenoscape.spectra._patches import standard_box

#: A region in words: a box, or a label image and which of its numbers.
_BOX = re.compile(r"(\d*):(\d*),(\d*):(\d*)")
_IMAGE = re.compile(r"(.+?)(?:,(\d+))?")

#: A white region that is to be found.
FOUND = "auto"


@dataclass(frozen=True)
class References:
    """What a cube is calibrated with (`calibrated`), before anything else.

    Parameters
    ----------
    white, dark
        Each the path of a cube, or a region of the cube itself in words (`region_of`); the white
        one also ``auto``: the standard that the cube shows, found (`standard_box`).
    panel
        Reflectance of the white one.
    """

    white: Path | str
    dark: Path | str | None = None
    panel: float = 1.0

    @property
    def files(self) -> tuple[Path, ...]:
        """The cubes and label images that are read."""
        given = (one for one in (self.white, self.dark) if one is not None)
        files = (one if isinstance(one, Path) else region_file(one) for one in given)
        return tuple(file for file in files if file is not None)


def references_of(
    white: Path | str | None, dark: Path | str | None = None, panel: float = 1.0
) -> References | None:
    """What a cube is calibrated with, as it was said; None: with nothing.

    Raises
    ------
    OptionError
        A dark one, or the reflectance of a panel, is said without a white one.
    """
    if white:
        return References(white, dark or None, panel)
    if dark:
        raise OptionError("A dark reference was given without a white one; both are needed.")
    if panel != 1:
        raise OptionError(
            f"A panel of {panel:g} is the reflectance of a standard, and none is named. Say where "
            "it is, white_region (--white-region), or leave the panel out."
        )
    return None


def by_references(
    cube: Cube, references: References, read_as: Interpretation | None = None
) -> Cube:
    """A cube in reflectance; its ``provenance`` says by which standard.

    Parameters
    ----------
    read_as
        What the planes of references in files of their own are.

    Raises
    ------
    CubeError
        As `calibrated`, `region_of` and `standard_box` do.
    """
    is_found = references.white == FOUND
    if is_found:
        references = replace(references, white=standard_box(cube))
    light, dark = _reference(cube, references.white, read_as), references.dark
    shade = None if dark is None else _reference(cube, dark, read_as)
    made = calibrated(cube, light, shade, references.panel)
    if isinstance(references.white, Path):
        return made
    words = (
        f"Reflectance by the standard {'found ' * is_found}at {references.white}, taken to reflect "
        f"{references.panel:.4g}; numbers are taken as proportional to light."
    )
    return replace(made, provenance=(*made.provenance, words))


def region_of(words: str, cube: Cube) -> NDArray[np.bool_]:
    """(H, W) True in a region of a cube that is given in words.

    Parameters
    ----------
    words
        ``ROW:ROW,COLUMN:COLUMN``, the ends left out; or a label image, of which every number
        above 0 belongs to the region, or with ``,NUMBER`` behind its name that one.

    Raises
    ------
    CubeError
        A range lies outside of the cube.
    PhenoscapeError
        The label image cannot be read.
    """
    rows, columns = cube.shape[1:]
    region = np.zeros((rows, columns), dtype=bool)
    if box := _BOX.fullmatch(words):
        low, high, left, right = (int(end) if end else None for end in box.groups())
        region[slice(low, high), slice(left, right)] = True
        if not region.any() or (high or 0) > rows or (right or 0) > columns:
            raise CubeError(
                f"'{cube.path.name}' has {rows} rows and {columns} columns; {words} is not a part "
                "of them. Give ROW:ROW,COLUMN:COLUMN from 0, the lower one first."
            )
        return region
    region_file(words)
    image = _IMAGE.fullmatch(words)
    assert image is not None  # matches everything
    numbers = read_mask(Path(image[1]))
    return numbers == int(image[2]) if image[2] else numbers > 0


def region_file(words: str) -> Path | None:
    """The label image of a region in words; None: they are a box, or it is to be found.

    Raises
    ------
    OptionError
        They are numbers, and no box.
    """
    if words == FOUND or _BOX.fullmatch(words):
        return None
    if not re.search(r"[^\d\s:;,.-]", words):
        raise OptionError(
            f"'{words}' is no region; ROW:ROW,COLUMN:COLUMN without blanks was expected, e.g. "
            "40:90,2000:2060 (in pixels from 0, the lower one first), or a label image."
        )
    image = _IMAGE.fullmatch(words)
    return None if image is None else Path(image[1])


def _reference(cube: Cube, given: Path | str, read_as: Interpretation | None) -> Cube:
    if isinstance(given, Path):
        return open_cube(given, read_as)
    return region_reference(cube, region_of(given, cube))
