"""A scan's own references: white and dark ones that a camera keeps beside it, by their names."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from napari_phenoscape.cubes import Cube, Interpretation, files_of, open_cube
from napari_phenoscape.spectra._calibration import calibrated

#: How Specim's cameras name what belongs to the scan of the rest of the name; copies of them may be
#: in small letters.
WHITE, DARK, WHITE_DARK = "WHITEREF_", "DARKREF_", "WHITEDARKREF_"

#: Bytes of a name, on every common file system; of a longer one they refuse to say that it is none.
_LONGEST = 255


def is_reference(path: Path) -> bool:
    """Whether a file is a reference of a scan that lies beside it."""
    return any(
        path.name.upper().startswith(prefix) and path.with_name(path.name[len(prefix) :]).is_file()
        for prefix in (WHITE, DARK, WHITE_DARK)
    )


def own_references(path: Path) -> dict[str, Path]:
    """The references that lie beside a scan, by `WHITE`, `DARK` and `WHITE_DARK`."""
    beside = (
        (prefix, path.with_name(spelt + path.name))
        for prefix in (WHITE, DARK, WHITE_DARK)
        for spelt in (prefix.lower(), prefix.capitalize(), prefix)
    )
    return {
        prefix: file
        for prefix, file in beside
        if len(os.fsencode(file.name)) <= _LONGEST and file.is_file()
    }


def open_calibrated(path: Path, read_as: Interpretation | None = None) -> Cube:
    """The cube of a file; of a scan whose white reference lies beside it, its reflectance.

    Whoever says what stands for reflectance 1 gets the numbers of the file itself.

    Raises
    ------
    PhenoscapeError
        The cube or a reference cannot be opened, or they do not fit together.
    """
    cube = open_cube(path, read_as)
    found = own_references(cube.path)
    if not found or (read_as is not None and read_as.full_scale is not None):
        return cube
    if WHITE not in found:
        return replace(
            cube,
            provenance=(
                *cube.provenance,
                f"Beside it lies no white reference ({WHITE}), only a dark one; it is not "
                "calibrated.",
            ),
        )
    opened = {prefix: open_cube(file, read_as) for prefix, file in found.items()}
    made = calibrated(cube, opened[WHITE], opened.get(DARK), white_dark=opened.get(WHITE_DARK))
    words = f"Calibrated with its own references ({', '.join(found)}), white as reflectance 1."
    return replace(made, provenance=(*made.provenance, words))


def files_with_references(path: Path) -> tuple[Path, ...]:
    """What `open_calibrated` reads: the files of a cube, and those of its references."""
    own = [file for one in own_references(path).values() for file in files_of(one)]
    return (*files_of(path), *own)
