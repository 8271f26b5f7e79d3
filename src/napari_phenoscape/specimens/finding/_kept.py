"""Kept: what was found once is what every later verb reads."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path

import platformdirs

from napari_phenoscape._ahead import ahead
from napari_phenoscape._atomic import atomic
from napari_phenoscape.cubes import Cube, Interpretation
from napari_phenoscape.errors import CollectionError
from napari_phenoscape.events import Progress, result
from napari_phenoscape.specimens._at_once import at_once
from napari_phenoscape.specimens.finding._find import (
    REASONS,
    Found,
    find,
    nothing_used,
    read_found,
    write_found,
)
from napari_phenoscape.specimens.finding._finding import Finding
from napari_phenoscape.specimens.finding._pieces import Word
from napari_phenoscape.specimens.finding._split import Labels
from napari_phenoscape.spectra import files_with_references, open_calibrated

#: Raised when the same picture is to be looked at anew, since it would give other masks.
VERSION = 1


def kept(
    cube: Cube, read_as: Interpretation, finding: Finding, min_area: int, *, touching: bool = True
) -> Generator[Progress, None, Found]:
    """What is found in a cube: as it was found before, as long as its files are the same.

    The label images are in the user's cache, in ``napari-phenoscape/found``.
    """
    path = kept_at(cube.path, read_as, finding, min_area, touching=touching)
    if path.is_file():
        return read_found(path)
    found = yield from find(cube, finding, min_area, touching=touching)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as temporary:
        write_found(found, temporary, found.pieces)
    return found


def kept_largest(
    cube: Cube, read_as: Interpretation, finding: Finding, min_area: int
) -> tuple[Labels, Word]:
    """(H, W) above 0 on the largest thing of a picture, if it is to be used, and the word on it.

    Raises
    ------
    CollectionError
        There is none, or what is found is doubtful and was not asked for.
    """
    found = result(kept(cube, read_as, finding, min_area, touching=False))
    things = [piece for piece in found.pieces if finding.cards or piece.word != "rectangle"]
    if not things:
        raise CollectionError(nothing_used(cube, found, min_area))
    largest = max(things, key=lambda piece: piece.area)
    if largest not in found.used(finding):
        raise CollectionError(f"{found.not_plain} {REASONS[largest.word]}".strip())
    return found.regions([largest]), largest.word


def found_ahead(
    paths: Sequence[Path], read_as: Interpretation, finding: Finding, min_area: int
) -> Iterator[Path]:
    """Paths one by one, each when the largest thing of its picture is kept; see `kept_largest`.

    Several pictures are looked at at once, fewer where they are large.
    """

    def look(path: Path) -> None:
        if not kept_at(path, read_as, finding, min_area, touching=False).is_file():
            cube = open_calibrated(path, read_as)
            result(kept(cube, read_as, finding, min_area, touching=False))

    return ahead(paths, look, at_once(paths, read_as))


def kept_at(
    path: Path, read_as: Interpretation, finding: Finding, min_area: int, *, touching: bool = True
) -> Path:
    """Where it is kept what was found in a file."""
    stats = [(str(file), file.stat()) for file in files_with_references(path)]
    asked = {
        "version": VERSION,
        "files": [(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats],
        "read_as": read_as.model_dump(mode="json"),
        "threshold": finding.threshold,
        "min_area": min_area,
        "touching": touching,
    }
    key = hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:16]
    cache = platformdirs.user_cache_path("napari-phenoscape", appauthor=False)
    return cache / "found" / f"{path.stem[:80]}-{key}.tif"
