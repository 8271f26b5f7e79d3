"""Compressed planes of a TIFF, decoded into one array with little memory beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_phenoscape.cubes.readers._pieces import PIECE, inflate_into, to_native

#: Nothing but the file itself is opened: no other file of an OME, Micro-Manager or NDTiff set.
ALONE: Any = {"_multifile": False, "is_mmstack": False, "is_ndtiff": False}

_DEFLATE = (8, 32946)
_HORIZONTAL = 2  # the predictor that stores differences of neighbours


def decode_planes(path: Path, number: int) -> NDArray[Any]:
    """The numbers of a series, pages first, in the axes of its pages.

    tifffile holds a strip or tile compressed, decoded and in its place at once, which is three
    times the picture where it is one strip. Such a one is inflated piece by piece where deflate
    made it, and is itself the result where another codec did.

    Parameters
    ----------
    path
        The file.
    number
        Of the series.
    """
    with tifffile.TiffFile(path, **ALONE) as tif:
        pages: list[Any] = list(tif.series[number].pages)
        key: Any = tif.series[number].keyframe
        if len(pages) == 1 and len(key.dataoffsets) == 1 and not _is_large_deflate(key):
            ((only, _, _),) = key.segments(maxworkers=1)
            depth, rows, columns = key.shaped[1:4]
            return np.asarray(only[:depth, :rows, :columns])
        planes = np.empty((len(pages), *key.shaped), key.dtype.newbyteorder("="))
        for page, plane in zip(pages, planes, strict=True):
            if _is_large_deflate(key):
                _inflate(path, page, key, plane)
            else:
                _place(page, key, plane)
        return planes


def _place(page: Any, key: Any, plane: NDArray[Any]) -> None:
    """Put the blocks of a page where they belong in (S, D, H, W, C), all of which they cover."""
    if key.is_contiguous:
        page.asarray(out=plane, maxworkers=1)
        return
    done = 0
    # several workers would hold every block twice
    for block, (sample, *corner, _), _ in page.segments(maxworkers=1, buffersize=PIECE):
        if block is None:
            raise ValueError("a block is not there")
        ends = zip(corner, block.shape, strict=False)
        part = plane[(sample, *(slice(start, start + side) for start, side in ends))]
        block = block[tuple(slice(side) for side in part.shape)]
        part[...] = block
        done += block.size
    if done != plane.size:
        raise ValueError(f"{done} of {plane.size} numbers are there")


def _is_large_deflate(key: Any) -> bool:
    """Whether a page has strips of deflate that are no trifle, of whole bytes."""
    _, _, rows, columns, samples = key.shaped
    strip = min(key.rowsperstrip, rows) * columns * samples * key.dtype.itemsize
    return bool(
        key.compression in _DEFLATE
        and not key.is_tiled
        and strip > PIECE
        and key.predictor in (1, _HORIZONTAL)
        and key.fillorder == 1
        and key.bitspersample == 8 * key.dtype.itemsize
    )


def _inflate(path: Path, page: Any, key: Any, plane: NDArray[Any]) -> None:
    """Inflate strips, which are whole rows in the order of the file, into (S, D, H, W, C)."""
    _, _, rows, columns, samples = key.shaped
    lines = plane.reshape(-1, columns, samples)
    starts = [
        (top + row, top + min(row + key.rowsperstrip, rows))
        for top in range(0, len(lines), rows)
        for row in range(0, rows, key.rowsperstrip)
    ]
    with path.open("rb") as file:
        for strip, (first, last) in enumerate(starts):
            numbers = lines[first:last]
            file.seek(page.dataoffsets[strip])
            inflate_into(numbers, file, page.databytecounts[strip])
            to_native(numbers.view(key.dtype.newbyteorder(key.parent.byteorder)))
            if key.predictor == _HORIZONTAL:
                tifffile.TIFF.UNPREDICTORS[_HORIZONTAL](numbers, axis=-2, out=numbers)
