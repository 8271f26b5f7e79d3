"""Background: what a picture shows where no specimen lies, and how far from it each pixel is."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cubes import Cube, row_blocks
from napari_phenoscape.errors import CollectionError
from napari_phenoscape.events import Progress

#: Mean bands that spectra are compared in: more are averaged, which takes their noise away.
BANDS = 24

#: Rows and columns at most of the coarse picture that the background is learned from.
SAMPLE = 384

#: Numbers of a cube that are in memory at a time.
BLOCK = 8 << 20

#: Share of the sides that is the border.
BORDER = 0.04

#: Deviation of the background that is taken at least, as a share of the range of the picture: the
#: step of an 8-bit number, or what a drawn background lacks.
LEAST = 0.01

#: Range of a picture that is taken at least, as a share of its level: less is how numbers were
#: rounded.
ROUNDED = 1e-4

#: Times the deviation of the background within which a pixel is background, when it is learned.
WITHIN = 3.0

Planes = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Background:
    """A smooth surface in each mean band, and how its pixels scatter about it.

    Parameters
    ----------
    surfaces : (R, 6)
        Coefficients of 1, x, y, x², xy, y²; x and y from -1 to 1 across the picture. A surface, for
        no lamp lights a drawer evenly.
    deviation : (R,)
        Robust standard deviation about the surfaces, in reflectance.
    contrast : (R,)
        Range of the picture, from its 1st to its 99th percentile.
    bordering
        Share of the border of the picture that is this background.
    share
        Of all pixels.
    """

    surfaces: NDArray[np.float64]
    deviation: NDArray[np.float64]
    contrast: NDArray[np.float64]
    bordering: float
    share: float

    def distance(self, planes: Planes, y: NDArray[np.float64], x: NDArray[np.float64]) -> Planes:
        """(h, w) root mean square over the bands of the deviations; 0 where not measured."""
        total = np.zeros(planes.shape[1:], np.float32)
        down, across = y[:, None], x.astype(np.float32)
        for plane, (level, u, v, uu, uv, vv), deviation in zip(
            planes, self.surfaces, self.deviation, strict=True
        ):
            seen = (uu * across**2).astype(np.float32) + (u + uv * down).astype(np.float32) * across
            seen += (level + v * down + vv * down**2).astype(np.float32)
            np.subtract(plane, seen, out=seen)
            with np.errstate(over="ignore"):  # whatever is that far is no background
                seen *= np.float32(1 / deviation)
                total += np.square(seen, out=seen)
        total *= np.float32(1 / len(planes))
        np.nan_to_num(np.sqrt(total, out=total), copy=False, nan=0.0)
        return total


class MeanBands:
    """The good bands of a cube, neighbours averaged to `BANDS` at most.

    Neighbours in wavelength, or in the file where there are none.
    """

    def __init__(self, cube: Cube) -> None:
        good = np.flatnonzero(cube.bands.good)
        nm = cube.bands.take(good).wavelengths_nm
        self._cube = cube
        self._bands = good if nm is None else good[np.argsort(nm, kind="stable")]
        number = min(BANDS, len(good))
        self._starts = (np.arange(number) * len(good)) // number
        self._counts = np.diff([*self._starts, len(good)])[:, None, None]

    def read(self, rows: slice, columns: slice) -> Planes:
        """(R, h, w) mean reflectance; NaN where a band of it was not measured."""
        block = self._cube.reflectance(self._bands, rows, columns)
        if len(self._counts) == len(self._bands):
            return block
        return np.asarray(np.add.reduceat(block, self._starts, axis=0) / self._counts, np.float32)

    def blocks(self) -> Generator[tuple[slice, slice], None, None]:
        """Rows that can be read at a time."""
        yield from row_blocks(self._cube, self._bands, most=BLOCK)


def learned(cube: Cube) -> Background:
    """The background of a picture, from every so many rows and columns of it.

    It is the largest smooth region that reaches the border, or the largest of all when none of
    those is large; its surfaces are fitted, and it grows by what lies on them, until it is all the
    background there is.
    """
    height, width = cube.shape[1:]
    step = max(1, -(-max(height, width) // SAMPLE))
    bands = MeanBands(cube)
    every = slice(None, None, step)
    parts = [
        bands.read(down, every)
        for _, down in row_blocks(cube, rows=every, columns=every, most=BLOCK)
    ]
    planes = np.concatenate(parts, axis=1)
    y, x = _places(height, every), _places(width, every)
    measured = np.asarray(np.isfinite(planes).all(axis=0))
    if not measured.any():
        raise CollectionError(
            f"'{cube.path.name}' holds no pixel that was measured in all of its good bands; the "
            "background cannot be told. Say which bands are bad, or outline the specimens."
        )
    low, high = np.percentile(planes[:, measured], (1, 99), axis=1)
    level = np.maximum(np.abs(low), np.abs(high))
    contrast = np.maximum(high - low, ROUNDED * level + 1e-12)
    ring = _ring(planes.shape[1:]) & measured
    inside = _smooth_region(planes / contrast[:, None, None], measured, ring)
    terms = _terms(y, x).reshape(6, -1)
    background = _fitted(planes, terms, inside, contrast)
    for _ in range(12):
        near = measured & (background.distance(planes, y, x) < WITHIN)
        if np.array_equal(near, inside) or near.sum() < 16:
            break
        inside = near
        background = _fitted(planes, terms, inside, contrast)
    near = measured & (background.distance(planes, y, x) < 2 * WITHIN)
    return Background(
        background.surfaces,
        background.deviation,
        contrast,
        float(near[ring].mean()) if ring.any() else 0.0,
        float(near[measured].mean()),
    )


def distances(cube: Cube, background: Background) -> Generator[Progress, None, Planes]:
    """(H, W) distance of each pixel from the background, in its deviations; read in blocks."""
    height, width = cube.shape[1:]
    found = np.empty((height, width), np.float32)
    bands = MeanBands(cube)
    everywhere = slice(None)
    x = _places(width, everywhere)
    for place, down in bands.blocks():
        y = _places(height, down)
        found[place] = background.distance(bands.read(down, everywhere), y, x)
        yield Progress("telling specimens from the background", place.stop, height)
    return found


def _places(side: int, chosen: slice) -> NDArray[np.float64]:
    """-1 to 1 for some of the rows, or columns."""
    return np.linspace(-1, 1, side)[chosen]


def _terms(y: NDArray[np.float64], x: NDArray[np.float64]) -> NDArray[np.float64]:
    """(6, h, w) terms of a surface."""
    v, u = np.meshgrid(y, x, indexing="ij")
    return np.stack([np.ones_like(u), u, v, u * u, u * v, v * v])


def _ring(shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """True within the border."""
    ring = np.ones(shape, np.bool_)
    down, across = (max(1, round(BORDER * side)) for side in shape)
    ring[down:-down, across:-across] = False
    return ring


def _smooth_region(
    scaled: Planes, measured: NDArray[np.bool_], ring: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """(h, w) True on the region that the background is learned from at first."""
    from scipy import ndimage

    filled = np.where(measured, scaled, 0)
    slopes = [
        ndimage.gaussian_gradient_magnitude(plane, 1.0, mode="nearest") ** 2 for plane in filled
    ]
    slope = np.sqrt(np.mean(slopes, axis=0))
    # noise has slopes too: a quarter of the picture at least is taken to be smooth
    smooth = measured & (slope <= 3 * np.percentile(slope[measured], 25) + 1e-3)
    pieces, number = ndimage.label(smooth)
    area = np.bincount(pieces.ravel(), minlength=number + 1)
    at_border = np.bincount(pieces[ring], minlength=number + 1)
    area[0] = at_border[0] = 0
    chosen = int(at_border.argmax())
    if at_border[chosen] < 0.2 * ring.sum():
        chosen = int(area.argmax())
    return np.asarray(pieces == chosen)


def _fitted(
    planes: Planes,
    terms: NDArray[np.float64],
    inside: NDArray[np.bool_],
    contrast: NDArray[np.float64],
) -> Background:
    """Surfaces through the pixels inside; a few pixels bend them less than many."""
    place = np.flatnonzero(inside)
    place = place[:: max(1, len(place) // 20_000)]
    known = planes.reshape(len(planes), -1)[:, place].astype(np.float64)
    design = terms[:, place]
    bend = np.diag([0.0, 1e-3, 1e-3, 1e-2, 1e-2, 1e-2]) * len(place)
    surfaces = np.linalg.solve(design @ design.T + bend, design @ known.T).T
    rest = known - surfaces @ design
    middle = np.median(rest, axis=1, keepdims=True)
    surfaces[:, 0] += middle[:, 0]
    deviation = 1.4826 * np.median(np.abs(rest - middle), axis=1)
    return Background(surfaces, np.maximum(deviation, LEAST * contrast), contrast, 0.0, 0.0)
