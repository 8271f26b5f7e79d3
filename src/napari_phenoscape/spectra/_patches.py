"""Patches: where a picture shows a white or grey standard that nobody outlined."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.cubes import Cube, as_modality, binned, cropped, row_blocks
from napari_phenoscape.errors import CubeError
from napari_phenoscape.spectra._shapes import smallest_box

#: Pixels on the longer side of the picture in which it is looked for, mean bands of each pixel, and
#: numbers of the cube that are in memory at a time.
_LONGEST, _BANDS, _BLOCK = 640, 24, 8 << 20

#: Steepness in parts of the light for each pixel, from which on a picture is not plain; or so many
#: times that of its plainest quarter.
_STEEP, _TIMES = 0.012, 3.0

#: Part of the brightest light that is dark.
_DARK = 0.05

#: Pixels by which an edge hides what is plain beside it, and rows and columns of a patch at least.
_EDGE, _LEAST = 2, 9

#: Share of its smallest box that a rectangle fills at least, and of a thing that lies on the
#: background; how many times a patch may be longer than wide; how far from its mean radius the
#: outline of a disc may be, and the share of holes that a plain patch has at most.
_FILLS, _THING, _LONG, _ROUND, _HOLES = 0.88, 0.8, 6.0, 0.14, 0.02

#: Between the darkest and the brightest place of a patch, in parts of its light.
_EVEN = 0.15

#: How many times more of its light a grey patch may send back in one band than in another.
_GREY = 1.25

#: Part of the light of the brightest from which on another patch may be meant; and, in the same
#: chart, from which on it is as good.
_RIVAL, _ALIKE = 0.25, 0.9

#: Share of the border that is plain background, at least, and of one piece of it.
_PLAIN, _PIECE = 0.6, 0.02

#: What is the way out.
_SAY = "Say where it is: white_region (--white-region) ROW:ROW,COLUMN:COLUMN."

Mask = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class _Small:
    """A picture in which a standard is looked for.

    Parameters
    ----------
    planes : (R, h, w)
        Mean reflectance of neighbouring good bands; NaN where they were not measured.
    regions
        Those of UV and the others, each exposed by itself.
    size
        Pixels of the cube that one is wide.
    measured : (h, w)
        True where all bands are, away from where they are not.
    plain : (h, w)
        True where nothing is steep.
    bright : (R,)
        What the brightest plain piece sends back in each band.
    lights : (L, R)
        What the light may be, in which something is grey: that of the file's own numbers, of what
        is bright, of the background.
    """

    planes: NDArray[np.float32]
    regions: tuple[NDArray[np.intp], ...]
    size: int
    measured: Mask
    plain: Mask
    bright: NDArray[np.float64]
    lights: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Patch:
    """A plain grey piece.

    Parameters
    ----------
    mask : (h, w)
        True on it and its edges.
    place
        In words, a square inside of it.
    light
        What it sends back, in parts of the brightest plain piece; the median of the bands.
    """

    mask: Mask
    place: str
    light: float


def standard_box(cube: Cube) -> str:
    """Where a picture shows the one white or grey standard: ``ROW:ROW,COLUMN:COLUMN``.

    That is a plain piece, a rectangle or a disc, as bright in each of its bands as in the others,
    on a plain background, or on a rectangle or a disc (a holder, a colour chart) that lies on one.
    Of a chart it is the brightest.

    Raises
    ------
    CubeError
        There is none, or more than one; the message says where.
    """
    small = _small(cube)
    background = _background(small)
    if background is None:
        raise CubeError(
            f"No standard was found in '{cube.path.name}': its background is not plain. {_SAY}"
        )
    best: list[_Patch] = []
    for thing in _things(~background):
        patches = list(_patches(small, thing))
        brightest = max((patch.light for patch in patches), default=0.0)
        best += [patch for patch in patches if patch.light >= _ALIKE * brightest]
    known = background.copy()
    for patch in best:
        known |= _widened(patch.mask)
    unknown = ~_widened(known)
    found = [patch for patch in best if not _is_outshone(small, unknown, patch)]
    most = max((patch.light for patch in found), default=0.0)
    places = [patch.place for patch in found if patch.light >= _RIVAL * most]
    if not places:
        raise CubeError(
            f"No standard was found in '{cube.path.name}': nothing on its background is plain, "
            f"grey, and a rectangle or a disc. {_SAY}"
        )
    if len(places) > 1:
        listed = ", ".join(places[:3]) + (", ..." if len(places) > 3 else "")
        raise CubeError(
            f"'{cube.path.name}' shows {len(places)} patches that may each be the standard, at "
            f"{listed}. {_SAY}"
        )
    return places[0]


def _small(cube: Cube) -> _Small:
    from scipy import ndimage

    bands = np.flatnonzero(cube.bands.good | ~cube.bands.good.any())
    good = cropped(cube, bands, slice(None), slice(None))
    size, per = max(1, -(-max(cube.shape[1:]) // _LONGEST)), -(-good.shape[0] // _BANDS)
    coarse = binned(good, per, size)
    blocks = row_blocks(coarse, most=max(1, _BLOCK // (per * size * size)))
    planes = np.concatenate([coarse.reflectance(rows=down) for _, down in blocks], axis=1)
    uv = as_modality("uv")
    of_uv = uv.indices(coarse) if uv.seen_by(coarse) else np.array([], np.intp)
    others = np.setdiff1d(np.arange(len(planes)), of_uv)
    known = np.isfinite(planes).all(axis=0)
    # photographs that are laid on each other do not show the same to their edges
    measured = ndimage.binary_erosion(known, iterations=_EDGE + 1, border_value=1)
    if not measured.any():
        raise CubeError(f"'{cube.path.name}' holds no pixel that was measured in all bands. {_SAY}")
    scale = np.maximum(np.percentile(planes[:, measured], 99, axis=1), 1e-9)[:, None, None]
    # in parts of the light: a lamp's gradient is as steep on white as on black
    light = np.log(np.maximum(np.where(known, planes / scale, 1), 0) + _DARK)
    slopes = [ndimage.gaussian_gradient_magnitude(one, 1.0, mode="nearest") for one in light]
    slope = np.sqrt(np.mean(np.square(slopes), axis=0))
    plain = measured & (slope <= _STEEP + _TIMES * np.percentile(slope[measured], 25))
    pieces, number = ndimage.label(plain)
    areas = np.bincount(pieces.ravel(), minlength=number + 1)
    areas[0] = 0
    large = np.flatnonzero(areas >= min(_LEAST, areas.max()))
    means = np.array([ndimage.mean(plane, pieces, large) for plane in planes])
    bright = means.max(axis=1, initial=0)
    paper = means[:, int(np.argmax(areas[large]))]
    lights = np.stack([np.ones(len(planes)), bright, paper])
    regions = tuple(one for one in (of_uv, others) if len(one))
    return _Small(planes, regions, size, measured, plain, bright, lights)


def _background(small: _Small) -> Mask | None:
    """True on the plain pieces that make the border, and their edges; None: there are none."""
    from scipy import ndimage

    pieces, number = ndimage.label(small.plain)
    ring = small.measured & ~ndimage.binary_erosion(small.measured, iterations=_EDGE)
    bordering = np.bincount(pieces[ring], minlength=number + 1) / max(1, ring.sum())
    bordering[0] = 0
    bordering[bordering < _PIECE] = 0
    if bordering.sum() < _PLAIN:
        return None
    return _widened(bordering[pieces] > 0) | ~small.measured


def _widened(mask: Mask) -> Mask:
    """With the edges around."""
    from scipy import ndimage

    return np.asarray(ndimage.binary_dilation(mask, np.ones((3, 3), np.bool_), _EDGE))


def _things(mask: Mask) -> Iterator[Mask]:
    """What lies on the background away from the border, compact, its holes filled."""
    from scipy import ndimage

    pieces, _ = ndimage.label(mask, structure=np.ones((3, 3)))
    for number, box in enumerate(ndimage.find_objects(pieces), 1):
        sides = zip(box, mask.shape, strict=True)
        is_large = min(part.stop - part.start for part in box) >= _LEAST
        if is_large and all(part.start > 0 and part.stop < side for part, side in sides):
            thing = np.zeros_like(mask)
            thing[box] = ndimage.binary_fill_holes(pieces[box] == number)
            if _is_compact(thing, _THING):
                yield thing


def _patches(small: _Small, thing: Mask) -> Iterator[_Patch]:
    """The plain grey pieces of a thing that are rectangles or discs."""
    from scipy import ndimage

    pieces, _ = ndimage.label(small.plain & thing)
    for number, box in enumerate(ndimage.find_objects(pieces), 1):
        # with its edges
        around = tuple(slice(max(0, part.start - _EDGE), part.stop + _EDGE) for part in box)
        core = pieces[around] == number
        filled = ndimage.binary_fill_holes(core)
        patch = _widened(filled) & thing[around]
        if filled.sum() - core.sum() > _HOLES * filled.sum() or not _is_compact(patch, _FILLS):
            continue
        seen = small.planes[:, *around][:, core].astype(np.float64)
        mean = seen.mean(axis=1)
        if (mean <= _DARK * small.bright).any() or not _is_even(seen, np.argwhere(core)):
            continue
        if all(
            any(_is_grey((mean / light)[region]) for light in small.lights)
            for region in small.regions
        ):
            share = float(np.median(mean / small.bright))
            mask = np.zeros_like(thing)
            mask[around] = patch
            yield _Patch(mask, _square(core, around, small.size), share)


def _is_outshone(small: _Small, unknown: Mask, patch: _Patch) -> bool:
    """Whether something else beside a patch is as bright, or brighter, in every band.

    The brightest patch of a chart may be too small to be told, or its frame too like the paper; and
    a part of a label without writing is no patch.

    Parameters
    ----------
    unknown : (h, w)
        True on what is neither background nor a patch, away from their edges.
    """
    rows, columns = (np.flatnonzero(patch.mask.any(axis=axis)) for axis in (1, 0))
    ends = ((int(at[0]), int(at[-1]) + 1) for at in (rows, columns))
    near = tuple(slice(max(0, 2 * low - high), 2 * high - low) for low, high in ends)
    others = small.planes[:, *near][:, unknown[near]]
    brighter = (others > _ALIKE * patch.light * small.bright[:, None]).all(axis=0)
    return int(brighter.sum()) > _LEAST


def _is_compact(mask: Mask, fills: float) -> bool:
    """Whether a piece is large enough, and a rectangle that is not too long, or a disc."""
    from scipy.spatial import ConvexHull

    places = np.argwhere(mask)
    long, short = smallest_box(places)
    if short < _LEAST:
        return False
    if len(places) >= fills * long * short:
        return long <= _LONG * short
    hull = places[ConvexHull(places).vertices]
    away = np.sqrt(np.square(hull - places.mean(axis=0)).sum(axis=1))
    return bool(np.abs(away / np.sqrt(len(places) / np.pi) - 1).max() < _ROUND)


def _is_even(seen: NDArray[np.float64], places: NDArray[np.intp]) -> bool:
    """Whether a patch is as bright everywhere, as what is round, or two patches, is not.

    Parameters
    ----------
    seen : (R, n)
        Of its pixels, that are at these (n, 2) places.
    """
    light = (seen / seen.mean(axis=1, keepdims=True)).mean(axis=0)
    y, x = (places - places.mean(axis=0)).T
    terms = np.stack([np.ones(len(x)), x, y, x * x, x * y, y * y], axis=1)
    found = np.linalg.lstsq(terms, light, rcond=None)[0]
    return bool(np.ptp(terms @ found) < _EVEN)


def _is_grey(spectrum: NDArray[np.float64]) -> bool:
    low, high = np.percentile(spectrum, (5, 95))
    return bool(high <= _GREY * low)


def _square(core: Mask, around: tuple[slice, ...], size: int) -> str:
    """The largest square inside of a patch, in pixels of the cube, in words."""
    from scipy import ndimage

    inside = ndimage.distance_transform_cdt(np.pad(core, 1), metric="chessboard")[1:-1, 1:-1]
    middle = np.unravel_index(int(inside.argmax()), core.shape)
    half = int(inside.max()) - 1
    ends = (
        (part.start + int(at) - half, part.start + int(at) + half + 1)
        for part, at in zip(around, middle, strict=True)
    )
    return ",".join(f"{low * size}:{high * size}" for low, high in ends)
