"""Pieces: what stands out from the background, one by one, with a word on how well."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.specimens.finding._split import Labels, split
from napari_phenoscape.spectra import smallest_box

#: Distance from the background, in its deviations, that no threshold found by itself is below.
LOWEST = 3.0

#: Pixels of a hole that is filled whatever it shows.
SPECK = 6

#: Share of the smallest box around a piece, turned with it, from which the piece is a rectangle.
RECTANGLE = 0.9

#: The same of what is so many times longer than wide, as rulers are.
RULER, LONG = 0.8, 6.0

#: Pixels from the inside of a piece within which its outline is drawn anew.
REACH = 2

#: Rows and columns, about, by which it is told how far the background is from itself.
SOME = 1024

Word = Literal["clear", "touches the edge", "rectangle", "background is not plain"]


@dataclass(frozen=True, slots=True)
class Piece:
    """One connected thing that was found.

    Parameters
    ----------
    number
        Its number among the labels, from 1: row by row, from left to right, doubtful ones last.
    area
        In pixels.
    rows, columns
        Half-open ranges that it lies in.
    word
        How well it was found; a ``rectangle`` is a label, a ruler or a colour chart.
    """

    number: int
    area: int
    rows: tuple[int, int]
    columns: tuple[int, int]
    word: Word


def automatic_threshold(distance: NDArray[np.float32]) -> float:
    """Where the histogram of distances parts in two best (Otsu 1979), of their logarithms.

    Logarithms, since a specimen differs by 10 deviations in one place and by 100 in another, and
    the background by one.
    """
    from skimage.filters import threshold_otsu

    logarithms = np.log(np.maximum(distance, 1))
    if logarithms.max() <= np.log(LOWEST):
        return LOWEST
    return max(LOWEST, float(np.exp(threshold_otsu(logarithms))))


def pieces_of(
    distance: NDArray[np.float32], threshold: float, min_area: int, *, touching: bool = True
) -> tuple[Labels, tuple[Piece, ...]]:
    """What is farther from the background than a threshold, numbered, and a word on each.

    Holes are filled; an outline runs where half of a pixel is specimen.

    Parameters
    ----------
    distance : (H, W)
        Of `distances`.
    threshold
        In deviations of the background.
    min_area
        Pixels; what is smaller is dust.
    touching
        Whether specimens that touch are told apart.

    Returns
    -------
    (H, W) numbers, 0 between them; and the pieces.
    """
    from scipy import ndimage

    labels = _large(distance > threshold, min_area)
    some = tuple(slice(None, None, max(1, side // SOME)) for side in distance.shape)
    ground = distance[some][labels[some] == 0]
    farther = 1.5 * float(np.median(ground)) if ground.size else 0.0
    whole = np.zeros(labels.shape, np.bool_)
    for number, box in enumerate(ndimage.find_objects(labels), 1):
        box = _padded(box, labels.shape)
        inside = _filled(distance[box], labels[box] == number, farther)
        whole[box] |= _outlined(distance[box], inside)
    labels = _large(whole, min_area)
    if touching:
        labels = split(labels, [word == "clear" for word in _words(labels)], min_area)
    boxes, words = ndimage.find_objects(labels), _words(labels)
    numbered = np.zeros_like(labels)
    pieces = []
    for number, place in enumerate(_as_read(boxes, words), 1):
        down, across = box = boxes[place]
        inside = labels[box] == place + 1
        numbered[box][inside] = number
        rows, columns = (down.start, down.stop), (across.start, across.stop)
        pieces.append(Piece(number, int(inside.sum()), rows, columns, words[place]))
    return numbered, tuple(pieces)


def _as_read(boxes: list[tuple[slice, ...]], words: list[Word]) -> list[int]:
    """Pieces as a person numbers them: in rows from left to right; what is doubtful comes last."""
    if not boxes:
        return []
    middle = [(down.start + down.stop) / 2 for down, _ in boxes]
    height = float(np.median([down.stop - down.start for down, _ in boxes]))
    row: dict[int, int] = {}
    first, number = -np.inf, 0
    for place in sorted(range(len(boxes)), key=middle.__getitem__):
        if middle[place] > first + height / 2:
            first, number = middle[place], number + 1
        row[place] = number
    return sorted(row, key=lambda i: (words[i] != "clear", row[i], boxes[i][1].start))


def _large(mask: NDArray[np.bool_], min_area: int) -> Labels:
    """Connected pieces (corners connect) that are large enough, in reading order."""
    from scipy import ndimage

    pieces, _ = ndimage.label(mask, structure=np.ones((3, 3), dtype=int))
    labels, number = np.zeros(mask.shape, np.int32), 0
    for piece, (rows, columns) in enumerate(ndimage.find_objects(pieces), 1):
        if (rows.stop - rows.start) * (columns.stop - columns.start) < min_area:
            continue
        inside = pieces[rows, columns] == piece
        if np.count_nonzero(inside) >= min_area:
            number += 1
            labels[rows, columns][inside] = number
    return labels


def _padded(box: tuple[slice, ...], shape: tuple[int, ...]) -> tuple[slice, slice]:
    """A box and two pixels around it, inside the picture."""
    rows, columns = (
        slice(max(0, part.start - 2), min(side, part.stop + 2))
        for part, side in zip(box, shape, strict=True)
    )
    return rows, columns


def _filled(
    distance: NDArray[np.float32], inside: NDArray[np.bool_], farther: float
) -> NDArray[np.bool_]:
    """A piece and its holes, but for those that show the background, as between two that touch."""
    from scipy import ndimage

    holes, number = ndimage.label(ndimage.binary_fill_holes(inside) & ~inside)
    if not number:
        return inside
    every = np.arange(number + 1)
    area = np.bincount(holes.ravel(), minlength=number + 1)
    filled = (area < SPECK) | (ndimage.mean(distance, holes, every) > farther)
    filled[0] = False
    return inside | filled[holes]


def _outlined(distance: NDArray[np.float32], inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A piece with its outline where a pixel is half specimen, half background.

    The spectrum of such a pixel is the mean of both, so its distance is half of that of what lies
    behind it; of several colours there, the one that differs least from the background is taken.
    What is too thin to have an inside stays as it is.
    """
    from scipy import ndimage

    framed = np.pad(inside, 1, mode="edge")  # what is cut by the edge goes on behind it
    core = ndimage.distance_transform_edt(framed)[1:-1, 1:-1] > 1
    least = ndimage.minimum_filter(np.where(core, distance, np.inf), 2 * REACH + 1)
    near = ndimage.binary_dilation(inside) & np.isfinite(least)
    half = (distance >= 0.5 * least) & (distance > LOWEST)
    drawn = core | np.where(near, half, inside)
    return np.asarray(drawn | (ndimage.binary_fill_holes(drawn) & inside), np.bool_)


def _words(labels: Labels) -> list[Word]:
    from skimage.measure import regionprops

    height, width = labels.shape
    words: list[Word] = []
    for region in regionprops(labels):
        top, left, bottom, right = region.bbox
        if top == 0 or left == 0 or bottom == height or right == width:
            words.append("touches the edge")
        else:
            words.append("rectangle" if _is_rectangle(region.coords) else "clear")
    return words


def _is_rectangle(places: NDArray[np.intp]) -> bool:
    """Whether pixels fill the smallest box around them."""
    long, short = smallest_box(places)
    return len(places) >= (RULER if long >= LONG * short else RECTANGLE) * long * short
