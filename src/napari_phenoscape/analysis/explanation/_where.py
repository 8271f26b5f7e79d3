"""Where: which places of a specimen speak for its cluster."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from napari_phenoscape._device import computing
from napari_phenoscape.analysis.explanation._cells import as_it_is, cells_of, numbers_of
from napari_phenoscape.analysis.explanation._membership import centroids
from napari_phenoscape.analysis.explanation._occlusion import check_same
from napari_phenoscape.embeddings import Embeddings, Restored, check_specimens, unit_length
from napari_phenoscape.events import Progress
from napari_phenoscape.training import pictures

if TYPE_CHECKING:
    from napari_phenoscape.views import Views

#: What loses at least this share of the most that any place does speaks for the cluster.
HALF = 0.5


@dataclass(frozen=True, eq=False)
class Where:
    """Where on n specimens lies what tells their cluster from another one.

    Parameters
    ----------
    rows : (n,)
        The specimens, among those of the embeddings.
    own, against : (n,)
        Their cluster, and the one that they are told from.
    margin : (n,)
        Cosine to the centroid of the one minus that to the other, of the specimen as it is.
    pictures : (n, C, S, S) float32
        Reflectance, as the net saw it.
    masks : (n, S, S)
        True on the specimen.
    lost : (n, S, S) float32
        How much less the margin is when the place is hidden; NaN outside the mask.
    cells : (n, h', w') or None
        Margin that each cell of the net's grid gives: they add up to the net's part of it. None
        where the embedding is not linear in the cells.
    exact : (n, S, S) or None
        The same, interpolated between the centres of the cells, times their number; NaN outside
        the mask.
    """

    rows: NDArray[np.intp]
    own: NDArray[np.int64]
    against: NDArray[np.int64]
    margin: NDArray[np.float64]
    pictures: NDArray[np.float32]
    masks: NDArray[np.bool_]
    lost: NDArray[np.float32]
    cells: NDArray[np.float64] | None = None
    exact: NDArray[np.float32] | None = None


def speaking(lost: NDArray[np.floating]) -> NDArray[np.bool_]:
    """(S, S) True where at least half as much is lost as at the most; nowhere, if nothing is."""
    most = np.nanmax(lost)
    return np.asarray(np.nan_to_num(lost, nan=-np.inf) >= HALF * most) & bool(most > 0)


@computing
def where(
    net: Restored,
    embeddings: Embeddings,
    labels: NDArray[np.int64],
    rows: NDArray[np.intp],
    against: Mapping[int, int],
) -> Generator[Progress, None, Where]:
    """Hide places of specimens from the net, one at a time, and see what their margin loses [1]_.

    Places are `cells_of` the specimen: squares would cut through its pattern. A place that is
    hidden has the specimen's own mean spectrum; nothing outside the mask changes. The specimen is
    seen as it is, once, even where its embedding is the mean of several views.

    Where a net's features are the mean of its grid and the readout is linear, the margin is a sum
    over the cells of the grid [2]_, which is exact: with the embedding ``x = mean_p r(g_p)`` of the
    cells g, r the readout and u, v the directions of the two centroids ::

        margin = x (u - v) / |x| = sum_p r(g_p) (u - v) / (P |x|)

    What stands beside the net (an instant embedding) has a part of its own, which is not in it; how
    long it lets the net's part be is a number of the specimen, as ``|x|`` is. It is exact of cells,
    each of which sees more of the specimen than lies in it. An instant embedding has no such map:
    deviations and quantiles are no sums over places.

    Parameters
    ----------
    rows : (n,)
        The specimens, among the N of the embeddings; of clusters, no noise.
    labels : (N,)
        Clusters of the embeddings.
    against
        From which cluster each is to be told.

    Raises
    ------
    CheckpointError
        The net gives other embeddings.
    CollectionError
        The net has other specimens.

    References
    ----------
    .. [1] Zeiler & Fergus 2014, section 4.2. https://arxiv.org/abs/1311.2901
    .. [2] Zhou et al. 2016, Learning deep features for discriminative localization.
       https://arxiv.org/abs/1512.04150
    """
    import torch

    crops, space = net.crops, embeddings.space
    check_specimens(embeddings, crops.ids)
    positions = crops.positions(space)
    bands, mean, std = crops.bands.take(positions), crops.mean[positions], crops.std[positions]
    numbers = sorted({*labels[rows].tolist(), *against.values()})
    centres = unit_length(centroids(embeddings.x, labels, numbers))
    place = {number: k for k, number in enumerate(numbers)}
    look, looks = as_it_is(net), net.looks()
    found: list[tuple[NDArray[np.generic], ...]] = []
    of_grid: list[tuple[NDArray[np.float64], NDArray[np.float32]]] = []
    own = labels[rows]
    other = np.array([against[number] for number in own.tolist()], np.int64)
    for i, row in enumerate(rows.tolist()):
        yield Progress("hiding places of specimens", i, len(rows))
        one = np.array([row])
        check_same(net.embedding(looks(one), one)[space], embeddings.x[one])
        apart = centres[place[int(own[i])]] - centres[place[int(other[i])]]
        view = next(look(one))
        (image,), (mask,) = numbers_of(view)
        cells = cells_of(image[positions], mask, bands, mean, std)
        count = int(cells.max())
        with torch.inference_mode():
            hidden = torch.from_numpy(cells == np.arange(1, count + 1)[:, None, None])[:, None]
            spectrum = torch.from_numpy(image[:, mask].mean(axis=1))[:, None, None]
            hidden, spectrum = (each.to(view.image.device) for each in (hidden, spectrum))
            without = view._replace(
                image=torch.where(hidden, spectrum, view.image),
                mask=view.mask.expand(count, -1, -1, -1),
            )
            embedding = net.embedding([view], one)[space].astype(np.float64)
            left = net.embedding([without], np.full(count, row))[space]
            parts = _of_cells(net, view, space, embedding, apart)
        margin = float(unit_length(embedding)[0] @ apart)
        lost = np.concatenate([[np.nan], margin - unit_length(left) @ apart])[cells]
        found.append((np.array(margin), image, mask, lost.astype(np.float32)))
        if parts is not None:
            of_grid.append((parts[0], np.where(mask, parts[1], np.nan).astype(np.float32)))
    yield Progress("hiding places of specimens", len(rows), len(rows))
    margins, images, masks, losts = (np.stack(each) for each in zip(*found, strict=True))
    if not of_grid:
        return Where(rows, own, other, margins, images, masks, losts)
    grids, exact = (np.stack(each) for each in zip(*of_grid, strict=True))
    return Where(rows, own, other, margins, images, masks, losts, grids, exact)


def _of_cells(
    net: Restored,
    view: Views,
    space: str,
    embedding: NDArray[np.float64],
    apart: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """(h', w') margin of the cells of a specimen, and (S, S) in their places; see `where`."""
    import torch

    from napari_phenoscape.training import ReadNet

    model = net.model
    if not isinstance(model, ReadNet) or space not in model.net.modalities or net.norms:
        return None
    encoder = dict(zip(model.net.modalities, model.net.encoders, strict=True))[space]
    seen = encoder(pictures(net.crops, view, net.device)[0][space])
    h, grid = seen.h.float(), seen.grid.float()
    if h.shape[1] != grid.shape[1] or not torch.allclose(
        h, grid.mean((2, 3)), atol=1e-2 * float(h.abs().max())
    ):
        return None  # a token, or a norm after the mean
    rows = model.reading.readouts[space](grid.flatten(2).mT)[0].cpu().double().numpy()
    part = embedding[0, : rows.shape[1]]
    # beside an instant part, the net's is as long as that allows
    rows *= np.linalg.norm(part) / max(float(np.linalg.norm(rows.mean(axis=0))), 1e-12)
    rest = (part - rows.mean(axis=0))[None]  # rounding
    each = (rows + rest) @ apart[: rows.shape[1]] / (len(rows) * np.linalg.norm(embedding))
    cells = each.reshape(grid.shape[2:])
    side = view.image.shape[-1]
    first, step = encoder.grid.first, encoder.grid.step
    at = (np.arange(side) - first) / step  # in cells
    weights = [
        np.maximum(0, 1 - np.abs(at.clip(0, n - 1)[:, None] - np.arange(n))) for n in cells.shape
    ]
    return cells, weights[0] @ cells @ weights[1].T * cells.size


def where_table(found: Where, specimens: pd.DataFrame, names: Mapping[int, str]) -> pd.DataFrame:
    """One row per specimen, in the order of the maps.

    ``specimen, filename, cluster, name, against, margin``; ``most``, lost when the one place that
    speaks most is hidden; ``area``, the share of the specimen that loses half of that or more; and
    ``exact``, the share of the margin that the cells of the net's grid hold.
    """
    table = specimens[["specimen", "filename"]].iloc[found.rows].reset_index(drop=True)
    areas = [
        float(speaking(lost)[mask].mean())
        for lost, mask in zip(found.lost, found.masks, strict=True)
    ]
    table = table.assign(
        cluster=found.own,
        name=[names[number] for number in found.own.tolist()],
        against=[names[number] for number in found.against.tolist()],
        margin=found.margin,
        most=np.nanmax(found.lost, axis=(1, 2)),
        area=areas,
    )
    if found.cells is not None:
        table["exact"] = found.cells.sum(axis=(1, 2)) / found.margin
    return table
