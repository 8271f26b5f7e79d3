"""Find: specimens on a plain background, and what is doubtful about them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Generator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_phenoscape._atomic import atomic, check_outputs
from napari_phenoscape._remote import located
from napari_phenoscape.cubes import Cube, Interpretation
from napari_phenoscape.errors import CollectionError
from napari_phenoscape.events import Event, Progress, Saved
from napari_phenoscape.specimens.finding._background import Background, distances, learned
from napari_phenoscape.specimens.finding._finding import Finding
from napari_phenoscape.specimens.finding._pieces import (
    LOWEST,
    Piece,
    Word,
    automatic_threshold,
    pieces_of,
)
from napari_phenoscape.specimens.finding._split import Labels
from napari_phenoscape.spectra import files_with_references, open_calibrated

#: Share of the border that a plain background covers at least.
BORDERING = 0.75

#: Deviation of a plain background at most, over its level or the range of the picture.
SCATTER = 0.08

#: Share of a plain background that is neither it nor specimen, at most.
BETWEEN = 0.12

#: Distance in deviations that half of what was found exceeds, where the background is plain.
DISTINCT = 6.0

#: Why a piece is not used, by its word.
REASONS: dict[Word, str] = {
    "touches the edge": "It was found at the edge of the picture and may be cut off. Set "
    "finding.doubtful to use it.",
    "rectangle": "It was found, and is a rectangle, as labels, rulers and colour charts are. Set "
    "finding.cards to use it.",
    "background is not plain": "It was found on a background that is not plain, and its outline "
    "may be wrong. Tell it from its ground by a net (phenoscape find FOLDER, or Find specimens on "
    "any ground); or look at it, then set finding.doubtful, or outline it by hand.",
}


@dataclass(frozen=True, eq=False)
class Distances:
    """How far each pixel of a picture is from its background; what thresholds are tried on.

    Parameters
    ----------
    distance : (H, W)
        In deviations of the background.
    background
        What was learned of it.
    level
        Deviation of the background over its level or the range of the picture, whichever is larger.
    """

    distance: NDArray[np.float32]
    background: Background
    level: float


@dataclass(frozen=True, eq=False)
class Found:
    """What was found in a picture.

    Parameters
    ----------
    labels : (H, W)
        Numbers of all pieces, 0 between them.
    pieces
        What is known of each.
    threshold
        The distance from which pixels were taken, in deviations of the background.
    not_plain
        Why the background is not plain, a sentence; empty when it is.
    """

    labels: Labels
    pieces: tuple[Piece, ...]
    threshold: float
    not_plain: str

    def used(self, finding: Finding) -> tuple[Piece, ...]:
        """The pieces that are specimens, as is asked for."""
        words: set[Word] = {"clear"}
        if finding.doubtful:
            words |= {"touches the edge", "background is not plain"}
        if finding.cards:
            words |= {"rectangle"}
        return tuple(piece for piece in self.pieces if piece.word in words)

    def regions(self, pieces: Collection[Piece]) -> Labels:
        """(H, W) numbers of some of the pieces, 0 elsewhere."""
        numbers = np.zeros(len(self.pieces) + 1, np.int32)
        for piece in pieces:
            numbers[piece.number] = piece.number
        return numbers[self.labels]


def measured(cube: Cube) -> Generator[Progress, None, Distances]:
    """The background of a cube, and how far each of its pixels is from it; read in blocks.

    Raises
    ------
    CollectionError
        No pixel was measured.
    """
    background = learned(cube)
    distance = yield from distances(cube, background)
    level = np.maximum(np.abs(background.surfaces[:, 0]), background.contrast)
    return Distances(distance, background, float(np.mean(background.deviation / level)))


def found_at(
    distances: Distances, threshold: float | None, min_area: int, *, touching: bool = True
) -> Found:
    """What is farther from the background than a threshold; see `pieces_of`.

    Parameters
    ----------
    threshold
        In deviations of the background; None: where the histogram parts in two.
    """
    distance = distances.distance
    cut = automatic_threshold(distance) if threshold is None else threshold
    labels, pieces = pieces_of(distance, cut, min_area, touching=touching)
    why = _not_plain(distances, labels)
    if why:
        pieces = tuple(piece if piece.word == "rectangle" else _doubted(piece) for piece in pieces)
    return Found(labels, pieces, cut, why)


def find(
    cube: Cube, finding: Finding, min_area: int, *, touching: bool = True
) -> Generator[Progress, None, Found]:
    """Find the specimens of a picture on a plain background.

    Parameters
    ----------
    min_area
        Pixels; what is smaller is dust.
    touching
        Whether specimens that touch are told apart.
    """
    distances = yield from measured(cube)
    return found_at(distances, finding.threshold, min_area, touching=touching)


def find_regions(
    path: Path,
    output: Path,
    finding: Finding,
    min_area: int,
    read_as: Interpretation | None = None,
    *,
    overwrite: bool = False,
) -> Generator[Event, None, Found]:
    """Find the specimens of a cube and write those that are used as a label image.

    Raises
    ------
    PhenoscapeError
        The cube cannot be opened, nothing is found that is used, or the disk refuses.
    """
    cube = open_calibrated(located(path).absolute(), read_as)
    check_outputs([output], files_with_references(cube.path), overwrite=overwrite)
    found = yield from find(cube, finding, min_area)
    used = found.used(finding)
    if not used:
        raise CollectionError(nothing_used(cube, found, min_area))
    with atomic(output.absolute()) as temporary:
        write_found(found, temporary, used)
    yield Saved(output)
    return found


def nothing_used(cube: Cube, found: Found, min_area: int) -> str:
    """Why none of what was found is a specimen."""
    if not found.pieces:
        return (
            f"'{cube.path.name}' shows nothing of {min_area} pixels or more that is farther than "
            f"{found.threshold:.1f} deviations from its background. Lower the threshold or the "
            "smallest area, or outline the specimens by hand."
        )
    words = ", ".join(
        f"{count} × {word}" for word, count in Counter(one.word for one in found.pieces).items()
    )
    return (
        f"Nothing that was found in '{cube.path.name}' is used ({words}). "
        f"{found.not_plain}{' ' if found.not_plain else ''}Outline the specimens by hand, or look "
        "at them and ask for doubtful ones (finding.doubtful, --doubtful), or for rectangles "
        "(finding.cards, --cards)."
    )


def write_found(found: Found, path: Path, pieces: Collection[Piece]) -> None:
    """Write some of the pieces as a TIFF of labels; all that is known of them is in its text."""
    known = {
        "pieces": [asdict(piece) for piece in found.pieces],
        "threshold": found.threshold,
        "not_plain": found.not_plain,
    }
    labels = found.regions(pieces)
    kind = np.uint16 if labels.max() <= np.iinfo(np.uint16).max else np.uint32
    text = json.dumps(known)
    tifffile.imwrite(path, labels.astype(kind), compression="zlib", description=text, metadata=None)


def read_found(path: Path) -> Found:
    """What `write_found` wrote."""
    with tifffile.TiffFile(path) as file:
        known = json.loads(file.pages.first.description)
        labels = np.asarray(file.asarray(), np.int32)
    pieces = tuple(
        Piece(**piece | {side: tuple(piece[side]) for side in ("rows", "columns")})
        for piece in known["pieces"]
    )
    return Found(labels, pieces, known["threshold"], known["not_plain"])


def _doubted(piece: Piece) -> Piece:
    return Piece(piece.number, piece.area, piece.rows, piece.columns, "background is not plain")


def _not_plain(distances: Distances, labels: Labels) -> str:
    """Why a background is not plain, in a sentence; empty when it is."""
    ground = distances.distance[labels == 0]
    above = distances.distance[labels > 0]
    between = float((ground > LOWEST).mean()) if ground.size else 1.0
    if distances.background.bordering < BORDERING:
        why = f"it is on {distances.background.bordering:.0%} of the border alone"
    elif distances.level > SCATTER:
        why = f"its pixels scatter by {distances.level:.0%}"
    elif between > BETWEEN:
        why = f"{between:.0%} of what is not found differs from it, too"
    elif above.size and np.median(above) < DISTINCT:
        why = f"half of what is found differs by less than {DISTINCT:g} of its deviations"
    else:
        return ""
    return f"The background is not plain: {why}."
