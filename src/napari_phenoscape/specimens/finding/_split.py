"""Split: specimens that touch, told apart where they hang together least."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.int32]

#: Pieces of one kind that their usual area is known from, at least.
ENOUGH = 4

#: Area over the usual, from which a piece may be several; from which it is likely; and the least of
#: a part.
MAYBE, SEVERAL, PART = 1.4, 1.6, 0.45

#: The least area of a part over that of its piece, where nothing is usual.
SHARE = 0.3

#: Width of the place where two parts meet, over that of the thinner of them, below which they are
#: two: where the area speaks for it, and where it does not.
NECK, SURE_NECK = 0.75, 0.55

#: Basins of which every division in two is tried; of more, thinner ones are joined first.
TRIED = 12


def split(labels: Labels, alike: Sequence[bool], min_area: int) -> Labels:
    """Numbers of pieces of which those that are several specimens are divided.

    A watershed on the distance to the outline makes basins (Beucher & Lantuéjoul 1979). Of the
    ways to part them in two, each large enough to be a specimen, that with the narrowest border is
    taken, if it is a neck; and the parts again.

    Parameters
    ----------
    labels : (H, W)
        Pieces, numbered from 1.
    alike
        Of each piece, whether it tells what is usual, and may be divided.
    min_area
        Pixels; no part is smaller.
    """
    from scipy import ndimage

    areas = np.bincount(labels.ravel())[1:]
    usual = float(np.median(areas[np.array(alike, bool)])) if sum(alike) >= ENOUGH else None
    divided = labels.copy()
    last = count(len(areas) + 1)
    for number, box in enumerate(ndimage.find_objects(labels), 1):
        if not alike[number - 1]:
            continue
        waiting = [labels[box] == number]
        while waiting:
            inside = waiting.pop()
            area = int(inside.sum())
            if usual is not None and area < MAYBE * usual:
                continue
            least = max(min_area, SHARE * area if usual is None else PART * usual)
            likely = usual is not None and area >= SEVERAL * usual
            part = _part(inside, NECK if likely else SURE_NECK, least)
            if part is not None:
                divided[box][part] = next(last)
                waiting += [part, inside & ~part]
    return divided


def _part(inside: NDArray[np.bool_], neck: float, least: float) -> NDArray[np.bool_] | None:
    """One of the two parts of a piece that is two specimens; None when it is one."""
    from scipy import ndimage
    from skimage.morphology import h_maxima
    from skimage.segmentation import watershed

    depth = ndimage.distance_transform_edt(np.pad(inside, 1))[1:-1, 1:-1]
    rise = max(0.5, 0.05 * depth.max())
    while True:
        tops, number = ndimage.label(h_maxima(depth, rise), np.ones((3, 3)))
        if number <= TRIED:
            break
        rise *= 1.4
    if number < 2:
        return None
    basins = np.asarray(watershed(-depth, tops, mask=inside), np.int32)
    every = np.arange(1, number + 1)
    areas = np.bincount(basins.ravel(), minlength=number + 1)[1:]
    width = 2 * np.asarray(ndimage.maximum(depth, basins, every))
    meet = _borders(basins, number)
    best, found = np.inf, None
    for one in _divisions(number):
        between = meet[np.ix_(one, ~one)]
        # where wings touch at two tips, either is a neck; among equals the fewer
        border = between.max() + 1e-3 * between.sum()
        if min(areas[one].sum(), areas[~one].sum()) >= least and border < best:
            thinner = min(width[one].max(), width[~one].max())
            best = border
            found = one if border < neck * thinner else None
    return None if found is None else np.isin(basins, every[found])


def _divisions(number: int) -> list[NDArray[np.bool_]]:
    """Every division in two, as what is with the first."""
    others = np.arange(2 ** (number - 1) - 1)
    bits = (others[:, None] >> np.arange(number - 1)) & 1
    return list(np.concatenate([np.ones((len(others), 1)), bits], axis=1).astype(bool))


def _borders(basins: Labels, number: int) -> NDArray[np.float64]:
    """(number, number) length of the border of two basins in pixels."""
    found = np.zeros((number + 1, number + 1))
    for one, other in ((basins[1:], basins[:-1]), (basins[:, 1:], basins[:, :-1])):
        across = (one != other) & (one > 0) & (other > 0)
        np.add.at(found, (one[across], other[across]), 1)
    # a slanting line is counted in both directions: Cauchy's mean over them is 4 / pi
    length = (found + found.T)[1:, 1:] * np.pi / 4
    return np.asarray(length)
