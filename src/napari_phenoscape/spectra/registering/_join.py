"""Join: photographs of one specimen become one cube."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import get_args

import numpy as np
import platformdirs

from napari_phenoscape._atomic import atomic, check_outputs
from napari_phenoscape.cubes import (
    Cube,
    Interpretation,
    Region,
    files_of,
    joined,
    write_cube,
)
from napari_phenoscape.errors import OptionError, did_you_mean
from napari_phenoscape.events import Event, Notice
from napari_phenoscape.spectra._references import files_with_references, open_calibrated
from napari_phenoscape.spectra._standard import References, by_references
from napari_phenoscape.spectra.registering._mspec import Mspec, read_mspec
from napari_phenoscape.spectra.registering._registration import (
    Registration,
    refuse_doubt,
    registration,
)

#: Pixels that may be left between two photographs.
MOST_PX = 2.0

#: A list of micaToolbox.
MSPEC = ".mspec"

#: Raised when the same photographs are to be laid on each other anew.
VERSION = 3


def open_joined(
    paths: Sequence[Path],
    parts: Sequence[str],
    read_as: Interpretation | None = None,
    *,
    others_read_as: Interpretation | None = None,
    most_residual_px: float = MOST_PX,
) -> tuple[Cube, tuple[Registration, ...]]:
    """The cube of several photographs of one specimen, laid on the first, and how each lies.

    How they lie is found once: it is in the user's cache, in ``napari-phenoscape/registered``, as
    long as the files are the same.

    Parameters
    ----------
    paths
        Two or more, each a cube.
    parts
        What each shows, e.g. ``vis``, ``uv``: the names of its bands (`joined`).
    read_as, others_read_as
        What the planes of the first, and of the others, are, where their files do not say it.
    most_residual_px
        Of what may be left (`registration`).

    Raises
    ------
    CubeError
        One cannot be opened, or does not lie on the first.
    """
    first, *others = (
        open_calibrated(path, others_read_as if place else read_as)
        for place, path in enumerate(paths)
    )
    found = tuple(_kept(first, other, (read_as, others_read_as)) for other in others)
    for other, one in zip(others, found, strict=True):
        refuse_doubt(first, other, one, most_residual_px)
    return joined(first, others, parts, [one.matrix for one in found]), found


def _kept(first: Cube, other: Cube, read_as: tuple[Interpretation | None, ...]) -> Registration:
    """How one lies on another: as it was found before, as long as their files are the same."""
    stats = [
        (str(file), file.stat())
        for cube in (first, other)
        for file in files_with_references(cube.path)
    ]
    asked = {
        "version": VERSION,
        "files": [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats],
        "read_as": [said and said.model_dump(mode="json") for said in read_as],
    }
    key = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]
    cache = platformdirs.user_cache_path("napari-phenoscape", appauthor=False)
    path = cache / "registered" / f"{other.path.stem[:80]}-{key}.json"
    if path.is_file():
        said = json.loads(path.read_text())
        return Registration(np.array(said["matrix"]), said["residual_px"], said["blocks"])
    found = registration(first, other)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as temporary:
        temporary.write_text(json.dumps(asdict(found) | {"matrix": found.matrix.tolist()}))
    return found


def join(
    paths: Sequence[Path],
    output: Path,
    parts: Sequence[str] = ("vis", "uv"),
    *,
    references: References | None = None,
    read_as: Interpretation | None = None,
    others_read_as: Interpretation | None = None,
    most_residual_px: float = MOST_PX,
    overwrite: bool = False,
) -> Generator[Event, None, list[Path]]:
    """Write photographs of one specimen as one cube, in reflectance.

    Parameters
    ----------
    paths
        Two or more; the others are laid on the first. Or a list of micaToolbox (``.mspec``), which
        names them, and says what they show.
    output
        A file; its ending is the format (`write_cube`).
    parts
        What each shows: ``uv``, ``vis``, ``nir`` or ``swir``, or a label of its own, such as
        ``fluorescence``.
    references
        Regions of the first photograph in words (`region_of`) that show a white, or grey, and a
        dark standard: all bands become reflectance by them.
    read_as, others_read_as
        What the planes of the first, and of the others, are, where their files do not say it.
    most_residual_px
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
    if len(paths) == 1 and paths[0].suffix.lower() == MSPEC:
        listed = read_mspec(paths[0])
        yield from _said(paths[0], listed, given=references is not None)
        paths, parts = listed.paths, listed.parts
    else:
        for part in parts:
            near = did_you_mean(part, get_args(Region))
            if near and part.lower() not in get_args(Region):
                raise OptionError(
                    f"'{part}' names no part of the spectrum (--parts). {near}Any other word is a "
                    "label of its own."
                )
    if len(paths) < 2 or len(paths) != len(parts):
        alone = (
            f"Open '{paths[0].name}' by itself, or name another beside it."
            if len(paths) == 1
            else "Name what each shows, in the order of the files, e.g. --parts vis,uv,nir."
        )
        raise OptionError(
            f"{len(paths)} photographs and {len(parts)} names of what they show "
            f"({', '.join(parts)}) were given; two or more of each were expected. {alone}"
        )
    standards = references.files if references else ()
    read = [*standards, *(file for path in paths for file in files_of(path))]
    check_outputs([output], read, overwrite=overwrite)
    cube, found = open_joined(
        paths, parts, read_as, others_read_as=others_read_as, most_residual_px=most_residual_px
    )
    for path, one in zip(paths[1:], found, strict=True):
        yield Notice(
            f"'{path.name}' lies on '{paths[0].name}' with a residual of {one.residual_px:.2f} "
            f"pixels, judged in {one.blocks} places."
        )
    if references is not None:
        cube = by_references(cube, references)
        yield Notice(cube.provenance[-1])
    return (yield from write_cube(cube, output, overwrite=overwrite))


def _said(path: Path, listed: Mspec, *, given: bool) -> Generator[Notice, None, None]:
    """What a list of micaToolbox says, and what of it is not taken."""
    shown = ", ".join(
        f"'{one.name}' ({part})" for one, part in zip(listed.paths, listed.parts, strict=True)
    )
    yield Notice(f"'{path.name}' names {shown}. How they lie on each other is found anew.")
    if not listed.is_raw:
        yield Notice(
            f"'{path.name}' says that they are no camera raw: their numbers are taken as the files "
            "have them, and its model of their linearity is not."
        )
    if listed.standards and not given:
        known = ", ".join(f"{one:g}" for one in listed.standards)
        yield Notice(
            f"'{path.name}' knows standards of reflectance {known} by numbers of micaToolbox's "
            "own, not by their places, so nothing is divided by them. Say where one lies in the "
            "first photograph: --white-region, with its reflectance as --panel."
        )
