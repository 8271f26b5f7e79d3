"""Ground: things told from any ground, by all pictures of a collection together."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.events import Progress

#: Side in pixels of the squares in which things are told from their ground: while it is learned
#: what they look like, and for the masks.
LEARNING_PX, MASK_PX = 64, 128

#: Times that all pictures are gone through.
ROUNDS = 5

#: Colours that the pixels of a picture are counted by.
_COLOURS = 24

#: Weight of the net's score beside colour, in log odds for each standard deviation.
_NET = 2.0

#: Log odds that the colour of a pixel may give at most.
_MOST = 3.0

#: Standard deviation of the place of a thing about the middle, in half sides, and the share of
#: what is known that does not go by the place.
_SPREAD, _ANYWHERE = 0.5, 0.05

#: Rounds of colours in one picture, and the pull of the odds on the random walker.
_TURNS, _PULL = 3, 0.05

#: Principal components of the net's grid, and ridge of the regression on them.
_COMPONENTS, _RIDGE = 32, 0.1

Plane = NDArray[np.float64]
Mask = NDArray[np.bool_]


class Picture:
    """A picture as a square, with what is needed to draw the line between thing and ground.

    Parameters
    ----------
    pixels : (side, side, 3)
        0 to 1, as the eye sees it.
    """

    def __init__(self, pixels: NDArray[np.float32]) -> None:
        from scipy import sparse
        from scipy.sparse.linalg import splu
        from skimage.color import rgb2lab
        from sklearn.cluster import KMeans

        self.side = side = len(pixels)
        lab = rgb2lab(pixels).reshape(-1, 3).astype(np.float64)
        some = lab[::4]
        number = min(_COLOURS, len(np.unique(some, axis=0)))
        means = KMeans(number, n_init=1, max_iter=15, random_state=0).fit(some)
        self._colour = means.predict(lab)
        at = np.arange(side * side).reshape(side, side)
        one, other = (
            np.concatenate([a.ravel(), b.ravel()])
            for a, b in ((at[:, :-1], at[:-1]), (at[:, 1:], at[1:]))
        )
        apart = np.square(lab[one] - lab[other]).sum(axis=1)
        alike = np.exp(-apart / max(apart.mean(), 1e-9)) + 1e-3
        pairs = np.concatenate([one, other]), np.concatenate([other, one])
        graph = sparse.coo_matrix((np.tile(alike, 2), pairs), shape=(side * side,) * 2).tocsc()
        total = np.asarray(graph.sum(axis=1)).ravel() + _PULL
        self._walk = splu(
            (sparse.diags(total) - graph).tocsc(),
            permc_spec="MMD_AT_PLUS_A",
            options={"SymmetricMode": True},
        )

    def thing(self, odds: Plane) -> Plane:
        """(side, side) probability that a pixel is thing, from log odds of the same shape.

        Colours of thing and ground are counted by it in turn [1]_; its border is laid on edges by
        a random walker with priors [2]_.

        References
        ----------
        .. [1] Rother et al. 2004, GrabCut. https://doi.org/10.1145/1015706.1015720
        .. [2] Grady 2005, Multilabel random walker image segmentation using prior models.
           https://doi.org/10.1109/CVPR.2005.239
        """
        known = odds.ravel()
        share = _logistic(known)
        for _ in range(_TURNS):
            inside, outside = (
                np.bincount(self._colour, of, _COLOURS) + 1 for of in (share, 1 - share)
            )
            by_colour = np.log((inside / inside.sum()) / (outside / outside.sum()))
            share = _logistic(known + np.clip(by_colour, -_MOST, _MOST)[self._colour])
            share = self._walk.solve(_PULL * share)
        return share.reshape(self.side, self.side)


def told(
    pictures: Sequence[NDArray[np.uint8]], grids: NDArray[np.float32]
) -> Generator[Progress, None, tuple[NDArray[np.float32], NDArray[np.float64]]]:
    """What is thing in each picture of a collection: what all have in common but for their ground.

    It begins with what differs in colour from the border and lies about the middle. What a net
    sees at such places and not at others is learned over the whole collection by ridge regression,
    and tells anew, with the colours of each picture, what is thing; and so on for five rounds.

    Parameters
    ----------
    pictures : N of (128, 128, 3)
        8 bits, each squeezed to a square.
    grids : (N, D, h', w')
        What a net sees at the places of each.

    Yields
    ------
    How many pictures were looked at.

    Returns
    -------
    (N, 128, 128) probability that a pixel is thing; (N,) how far the net alone agrees with the
    mask: intersection over union on its grid.
    """
    number, _, rows, columns = grids.shape
    seen = _components(np.moveaxis(grids, 1, -1).reshape(-1, grids.shape[1]))
    score = np.zeros((number, rows, columns))
    work, total = "telling specimens from their ground", number * (ROUNDS + 1)
    for turn in range(ROUNDS):
        shares = np.empty_like(score)
        for place, pixels in enumerate(pictures):
            picture = Picture(_resized(_unit(pixels), LEARNING_PX))
            mask = largest_piece(picture.thing(_odds(score[place], LEARNING_PX)) > 0.5)
            shares[place] = _resized(mask.astype(np.float32), rows, columns)
            yield Progress(work, turn * number + place + 1, total)
        score = _learned(seen, shares)
    found = np.empty((number, MASK_PX, MASK_PX), np.float32)
    agreement = np.empty(number)
    for place, pixels in enumerate(pictures):
        found[place] = Picture(_resized(_unit(pixels), MASK_PX)).thing(_odds(score[place], MASK_PX))
        mask = _resized(largest_piece(found[place] > 0.5).astype(np.float32), rows, columns) > 0.5
        net = score[place] > 0
        agreement[place] = (mask & net).sum() / max((mask | net).sum(), 1)
        yield Progress(work, ROUNDS * number + place + 1, total)
    return found, agreement


def largest_piece(mask: Mask) -> Mask:
    """The largest connected piece of a mask, its holes filled; nothing stays nothing."""
    from scipy import ndimage

    pieces, number = ndimage.label(mask)
    if not number:
        return mask
    areas = np.bincount(pieces.ravel())
    areas[0] = 0
    return np.asarray(ndimage.binary_fill_holes(pieces == areas.argmax()))


def _components(grid: NDArray[np.float32]) -> Plane:
    """(places, K) principal components, each of variance 1 but for those that hardly vary."""
    spread = grid.std(axis=0)
    scaled = (grid - grid.mean(axis=0)) / np.maximum(spread, 1e-6)
    values, axes = np.linalg.eigh(scaled.T @ scaled / len(scaled))
    chosen = slice(-1, -1 - min(_COMPONENTS, len(values)), -1)
    kept = np.maximum(values[chosen], 0)
    return np.asarray(scaled @ (axes[:, chosen] / np.sqrt(kept + 0.01 * kept[0] + 1e-12)))


def _learned(seen: Plane, shares: Plane) -> Plane:
    """(N, h', w') regression of the shares on what a net sees; 0 between thing and ground (Otsu).

    In its standard deviations.
    """
    from skimage.filters import threshold_otsu

    wanted = shares.ravel() - shares.mean()
    ridge = seen.T @ seen / len(seen) + _RIDGE * np.eye(seen.shape[1])
    score = seen @ np.linalg.solve(ridge, seen.T @ wanted / len(seen))
    if not score.std() > 0:
        return np.zeros_like(shares)
    score /= score.std()
    return np.asarray((score - threshold_otsu(score)).reshape(shares.shape))


def _odds(score: Plane, side: int) -> Plane:
    """(side, side) log odds by the net and the place."""
    across = np.linspace(-1, 1, side)
    near = np.exp(-(across[:, None] ** 2 + across**2) / (2 * _SPREAD**2))
    near = (1 - 2 * _ANYWHERE) * near + _ANYWHERE
    known: Plane = _NET * _resized(score, side) + 0.5 * np.log(near / (1 - near))
    return known


def _resized(picture: NDArray[Any], rows: int, columns: int | None = None) -> NDArray[Any]:
    """A picture with another number of pixels, means of those that are more."""
    from skimage.transform import resize

    shape = (rows, columns or rows)
    if picture.shape[:2] == shape:
        return picture
    reduced = picture.shape[0] > rows
    return np.asarray(resize(picture, shape, order=1, anti_aliasing=reduced, mode="edge"))


def _unit(pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
    return (pixels / 255).astype(np.float32)


def _logistic(odds: Plane) -> Plane:
    return np.asarray(1 / (1 + np.exp(-odds)))
