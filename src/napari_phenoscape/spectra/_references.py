"""A scan's own references: white and dark ones that a camera keeps beside it, by their names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from napari_phenoscape.cubes import (
    DARK,
    WHITE,
    WHITE_DARK,
    Cube,
    Interpretation,
    files_of,
    open_cube,
    reference_of,
    references_beside,
    watched,
)
from napari_phenoscape.spectra._calibration import ENDS, calibrated


def open_calibrated(path: Path, read_as: Interpretation | None = None) -> Cube:
    """The cube of a file; of a scan whose white reference lies beside it, its reflectance.

    A number that stands for "not measured" and is not declared is an error where it is read.

    Whoever says what stands for reflectance 1 gets the numbers of the file itself, and so does
    whose file says it.

    Raises
    ------
    PhenoscapeError
        The cube or a reference cannot be opened, or they do not fit together.
    """
    cube = watched(open_cube(path, read_as))
    found = references_beside(cube.path)
    if cube.units or not any(ENDS in sentence for sentence in cube.provenance):
        # what was made of a scan lies beside the references of its folder, too
        found = {kind: file for kind, file in found.items() if reference_of(file) != (kind, "")}
    if not found or (read_as is not None and read_as.full_scale is not None):
        return cube
    if WHITE not in found:
        return replace(
            cube,
            provenance=(
                *cube.provenance,
                "Beside it lies no white reference, only a dark one; it is not calibrated.",
            ),
        )
    opened = {prefix: watched(open_cube(file, read_as)) for prefix, file in found.items()}
    made = calibrated(cube, opened[WHITE], opened.get(DARK), white_dark=opened.get(WHITE_DARK))
    kinds = ", ".join(found)
    words = f"Calibrated with the references beside it ({kinds}), white as reflectance 1."
    return replace(made, provenance=(*made.provenance, words))


def files_with_references(path: Path) -> tuple[Path, ...]:
    """What `open_calibrated` reads: the files of a cube, and those of its references."""
    own = [file for one in references_beside(path).values() for file in files_of(one)]
    return (*files_of(path), *own)
