"""Occlusion: which bands a net needs to see that a specimen is of its cluster."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape._device import computing, placed
from napari_phenoscape.analysis.explanation._membership import centroids
from napari_phenoscape.analysis.explanation._spectra import bands_present
from napari_phenoscape.cubes import Bands
from napari_phenoscape.embeddings import (
    NOISE,
    Embeddings,
    Restored,
    check_specimens,
    unit_length,
)
from napari_phenoscape.errors import CheckpointError
from napari_phenoscape.events import Progress
from napari_phenoscape.training import Looks, batches, level_means, without_means

if TYPE_CHECKING:
    from napari_phenoscape.views import Views

#: So many bands are occluded one by one, more of them in windows.
SINGLE = 16

#: Width of a window in nm: of the order of a broad pigment's slope, not of a single camera band.
WINDOW_NM = 25.0

#: Least cosine between an embedding as it was kept and as it is made anew, on another device too.
SAME = 0.98


@dataclass(frozen=True)
class Window:
    """Bands that are occluded together.

    Parameters
    ----------
    name
        e.g. ``"UV_B"``, ``"350-375 nm"``.
    bands
        Their positions among the bands of the crops.
    """

    name: str
    bands: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Occlusion:
    """What each of N specimens loses when bands are occluded.

    Parameters
    ----------
    windows
        W of them.
    margin : (N,)
        Cosine similarity, before the readout, to the centroid of the own cluster minus that to the
        most similar other one, with all bands seen; NaN for noise.
    lost : (N, W)
        How much less it is without the bands of a window; NaN where it has none of them.
    """

    windows: tuple[Window, ...]
    margin: NDArray[np.float64]
    lost: NDArray[np.float64]


def windows_of(
    bands: Bands, positions: Sequence[int], width_nm: float = WINDOW_NM
) -> tuple[Window, ...]:
    """Bands one by one; more than 16 with wavelengths in windows of equal width, by wavelength.

    Parameters
    ----------
    bands
        All of them.
    positions
        Those that are occluded.
    width_nm
        About; the windows divide the whole range evenly.
    """
    known = [i for i in positions if bands[i].wavelength_nm is not None]
    if len(known) <= SINGLE:
        return tuple(Window(bands[i].name, (i,)) for i in positions)
    inside, nm = np.array(known), bands.take(known).x
    low, high = float(nm.min()), float(nm.max())
    count = max(1, round((high - low) / width_nm))
    edges = np.linspace(low, high, count + 1)
    which = np.searchsorted(edges, nm, side="right").clip(1, count) - 1
    windows = [
        Window(f"{edges[w]:.0f}-{edges[w + 1]:.0f} nm", tuple(inside[which == w].tolist()))
        for w in np.unique(which).tolist()
    ]
    return (*windows, *(Window(bands[i].name, (i,)) for i in positions if i not in known))


@computing
def occlude(
    net: Restored, embeddings: Embeddings, labels: NDArray[np.int64], width_nm: float = WINDOW_NM
) -> Generator[Progress, None, Occlusion]:
    """See the specimens again with some of their bands hidden, a window at a time [1]_.

    A hidden band has everywhere the collection's mean, which the net standardises to zero; what
    is around a specimen has it in any case.

    The margin is that in the features before the readout, standardised: a readout divides them by
    what views vary, and no view lacks a band, so that it would make whatever is hidden count for
    much, the same for all specimens.

    Parameters
    ----------
    net
        The run that made the embeddings, with the same N specimens.
    embeddings
        Of one space; only its bands are occluded.
    labels : (N,)
        Clusters of these embeddings.

    Raises
    ------
    CheckpointError
        The net gives other embeddings.
    CollectionError
        The net has other specimens.

    References
    ----------
    .. [1] Zeiler & Fergus 2014, Visualizing and understanding convolutional networks, section 4.2;
       there squares of a picture are hidden, here bands. https://arxiv.org/abs/1311.2901
    """
    crops, space = net.crops, embeddings.space
    check_specimens(embeddings, crops.ids)
    windows = windows_of(crops.bands, crops.positions(space).tolist(), width_nm)
    numbers = np.unique(labels[labels != NOISE])
    looks, features = net.looks(), net.undivided()
    done, total = 0, len(labels) * len(looks) * (2 + len(windows))
    rows = list(batches(crops))
    seen = []
    for batch in rows:
        check_same(net.embedding(looks(batch), batch)[space], embeddings.x[batch])
        seen.append(features.embedding(looks(batch), batch)[space])
        done += 2 * len(looks) * len(batch)
        yield Progress("occluding bands", done, total)
    x: NDArray[np.floating[Any]] = np.concatenate(seen)[np.concatenate(rows).argsort()]
    if crops.levels and net.offsets.get(space):
        features = replace(features, offsets={space: level_means(x, crops.levels)})
        x = without_means(x, crops.levels, features.offsets[space])
    centres = unit_length(centroids(x, labels, numbers.tolist()))
    margin = _margin(x, centres, labels[:, None] == numbers)
    lost = np.empty((len(labels), len(windows)))
    for batch in rows:
        sums = np.zeros((len(windows), len(batch), x.shape[1]))
        for view in looks(batch):
            for w, window in enumerate(windows):
                sums[w] += _without(window.bands, view, looks, features, batch)[space]
                done += len(batch)
                yield Progress("occluding bands", done, total)
        own = labels[batch][:, None] == numbers
        for w, each in enumerate(sums / len(looks)):
            lost[batch, w] = margin[batch] - _margin(each, centres, own)
    present = bands_present(crops)
    for w, window in enumerate(windows):
        lost[~present[:, list(window.bands)].any(axis=1), w] = np.nan
    return Occlusion(windows, margin, lost)


def _without(
    bands: Sequence[int], view: Views, looks: Looks, net: Restored, batch: NDArray[np.int64]
) -> dict[str, NDArray[np.float32]]:
    """Features by space of a view of n specimens, some of whose bands are hidden meanwhile."""
    import torch

    at = placed(np.array(bands, np.int64), view.image.device)
    with torch.inference_mode():
        kept = view.image[:, at]
        view.image[:, at] = looks.fill[:, at]
        embedding = net.embedding([view], batch)
        view.image[:, at] = kept
    return embedding


def _margin(
    h: NDArray[np.floating[Any]], centres: NDArray[np.float64], own: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """(n,) of features in a space: own cluster over the best of the others, in cosine."""
    to = unit_length(h) @ centres.T
    mine, others = np.where(own, to, np.nan), np.where(own, -np.inf, to).max(axis=1)
    clustered = own.any(axis=1)
    margin = np.full(len(h), np.nan)
    margin[clustered] = np.nanmax(mine[clustered], axis=1) - others[clustered]
    return margin


def check_same(h: NDArray[np.floating[Any]], kept: NDArray[np.float32]) -> None:
    """Raise unless (n, D) embeddings are those that were kept."""
    alike = (unit_length(h) * unit_length(kept)).sum(axis=1)
    if alike.min() < SAME:
        raise CheckpointError(
            f"The run's net gives other embeddings than those that were clustered (cosine "
            f"{alike.min():.2f}, above {SAME} was expected): it was trained on since. Embed and "
            "cluster again."
        )
