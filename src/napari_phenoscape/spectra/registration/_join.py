"""Join: photographs of one specimen become one cube."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from functools import lru_cache
from pathlib import Path

from napari_phenoscape._atomic import check_outputs
from napari_phenoscape.cubes import Cube, Interpretation, files_of, joined, write_cube
from napari_phenoscape.errors import CubeError, OptionError
from napari_phenoscape.events import Event, Notice
from napari_phenoscape.spectra._calibration import calibrated, region_reference
from napari_phenoscape.spectra._convert import References, region_of
from napari_phenoscape.spectra._references import open_calibrated
from napari_phenoscape.spectra.registration._registration import Registration, registration

#: Pixels that may be left between two photographs.
MOST_PX = 2.0


def open_joined(
    paths: Sequence[Path],
    parts: Sequence[str],
    read_as: Interpretation | None = None,
    most_px: float = MOST_PX,
) -> tuple[Cube, tuple[Registration, ...]]:
    """The cube of several photographs of one specimen, laid on the first, and how they lie.

    Parameters
    ----------
    paths
        Two or more, each a cube.
    parts
        What each shows, e.g. ``vis``, ``uv``: the names of its bands (`joined`).
    read_as
        What the planes of the first are, where its file does not say it.
    most_px
        Of what may be left (`registration`).

    Raises
    ------
    CubeError
        One cannot be opened, or does not lie on the first.
    """
    stamps = tuple(
        (file, status.st_mtime_ns, status.st_size)
        for path in paths
        for file in files_of(path)
        if (status := file.stat())
    )
    first = open_calibrated(paths[0], read_as)
    others = [open_calibrated(path) for path in paths[1:]]
    found = _registrations(tuple(paths), read_as, most_px, stamps)
    cube = joined(first, others, parts[1:], [one.matrix for one in found])
    return cube, found


@lru_cache(maxsize=1 << 14)
def _registrations(
    paths: tuple[Path, ...], read_as: Interpretation | None, most_px: float, _: object
) -> tuple[Registration, ...]:
    """As long as the files are the same they lie the same; a second or two each are computed once."""
    first = open_calibrated(paths[0], read_as)
    return tuple(registration(first, open_calibrated(path), most_px) for path in paths[1:])


def join(
    paths: Sequence[Path],
    output: Path,
    parts: Sequence[str] = ("vis", "uv"),
    *,
    references: References | None = None,
    read_as: Interpretation | None = None,
    most_px: float = MOST_PX,
    overwrite: bool = False,
) -> Generator[Event, None, list[Path]]:
    """Write photographs of one specimen as one cube, in reflectance.

    Parameters
    ----------
    paths
        Two or more; the others are laid on the first.
    output
        A file; its ending is the format (`write_cube`).
    parts
        What each shows (`joined`).
    references
        Regions of the first photograph in words (`region_of`) that show a white, or grey, and a
        dark standard: all bands become reflectance by them.
    read_as
        What the planes of the first are, where its file does not say it.
    most_px
        Of what may be left (`registration`).
    overwrite
        Whether a file that is there may be replaced; one that is read never is.

    Returns
    -------
    The files that were written.

    Raises
    ------
    PhenoscapeError
        One cannot be opened, does not lie on the first, or the output cannot be written.
    """
    if len(paths) < 2 or len(paths) != len(parts):
        raise OptionError(
            f"{len(paths)} photographs and {len(parts)} names of what they show "
            f"({', '.join(parts)}) were given; two or more of each were expected."
        )
    read = [file for path in paths for file in files_of(path)]
    check_outputs([output], read, overwrite=overwrite)
    cube, found = open_joined(paths, parts, read_as, most_px)
    for path, one in zip(paths[1:], found, strict=True):
        yield Notice(
            f"'{path.name}' lies on '{paths[0].name}' with a residual of {one.residual_px:.2f} "
            f"pixels, judged in {one.blocks} places."
        )
    if references is not None:
        white, dark = (
            None if words is None else region_reference(cube, region_of(str(words), cube))
            for words in (references.white, references.dark)
        )
        if white is None:
            raise CubeError("A dark region was given without a white one; give both.")
        cube = calibrated(cube, white, dark, references.panel)
    return (yield from write_cube(cube, output, overwrite=overwrite))
