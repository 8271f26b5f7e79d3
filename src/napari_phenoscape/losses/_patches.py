"""Patches: which cells of the grids of two views show the same place of a specimen."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, grid_sample

from napari_phenoscape._device import placed
from napari_phenoscape.nets import Grid
from napari_phenoscape.views import Views

#: Pairs of a specimen that take part at most: of 14 × 14 tokens these are enough to learn from,
#: and the similarities of all would need ten times the time.
PAIRS = 64

#: Share of a cell that must show specimen.
COVER = 0.5


class Matches(NamedTuple):
    """Q pairs of cells of each of N specimens.

    Parameters
    ----------
    cell : (2N, Q)
        Their numbers in the grid, row by row. Rows i and N + i are the views of a specimen, and
        column q of both is a pair.
    position : (2N, Q, 2)
        Where the cells' centres lie in the specimen, (x, y) in patches, float32; NaN where there
        are fewer pairs than Q.
    """

    cell: Tensor
    position: Tensor


def matches(first: Views, second: Views, grid: Grid) -> Matches:
    """The cells of two views that are each other's nearest in the specimen [1]_.

    Where a cell looks is known from the matrix and the field of its view. Pairs are at most one
    patch apart, and mostly show specimen in both views; the nearest `PAIRS` of a specimen are kept.

    Parameters
    ----------
    first, second
        Views of the same N specimens.
    grid
        Where the cells look in a view.

    References
    ----------
    .. [1] Pinheiro et al. 2020, Unsupervised learning of dense visual representations (VADeR),
       section 3. https://arxiv.org/abs/2011.05499
    """
    (a, patch_a, inside_a), (b, patch_b, inside_b) = _cells(first, grid), _cells(second, grid)
    patch = torch.minimum(patch_a, patch_b)
    exact = "donot_use_mm_for_euclid_dist"
    distance = torch.cdist(a, b, compute_mode=exact) / patch[:, None, None]  # (N, K, K)
    distance.masked_fill_(~(inside_a[:, :, None] & inside_b[:, None]), torch.inf)
    nearest_b, nearest_a = distance.argmin(2), distance.argmin(1)
    mutual = nearest_a.gather(1, nearest_b) == torch.arange(a.shape[1], device=a.device)
    apart = distance.amin(2).masked_fill(~mutual, torch.inf)
    apart, cell_a = apart.topk(min(PAIRS, a.shape[1]), largest=False)  # (N, Q)
    cell_b = nearest_b.gather(1, cell_a)
    position = [
        (centres / patch[:, None, None])
        .take_along_dim(cell[..., None], 1)
        .masked_fill((apart > 1)[..., None], torch.nan)
        for centres, cell in ((a, cell_a), (b, cell_b))
    ]
    return Matches(torch.cat([cell_a, cell_b]), torch.cat(position).float())


def _cells(view: Views, grid: Grid) -> tuple[Tensor, Tensor, Tensor]:
    """Where the centres of the cells look, how wide a patch is, and which cells show specimen.

    Returns
    -------
    (N, K, 2) and (N,), both in pixels of the source, and (N, K) bool.
    """
    size, device, exact = view.image.shape[-1], view.matrix.device, torch.float64
    x, y = (
        grid.first + grid.step * torch.arange(number, device=device, dtype=exact)
        for number in (grid.columns, grid.rows)
    )
    # (h', w', 2), also -1 to 1 from edge to edge of the view, as grid_sample has it
    centres = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)
    where = ((2 * centres + 1) / size - 1).float().expand(len(view.mask), -1, -1, -1)
    if (field := view.field) is not None:
        bend = grid_sample(
            field.permute(0, 3, 1, 2), where, padding_mode="border", align_corners=False
        )
        centres = centres + bend.permute(0, 2, 3, 1)
    # the checking inverse waits for the device
    back = torch.linalg.inv_ex(view.matrix.to(exact)).inverse
    points = torch.cat([centres, torch.ones_like(centres[..., :1])], dim=-1)
    seen = torch.einsum("nij,nrcj->nrci", back, points.expand(len(back), -1, -1, -1))
    centre = (size - 1) / 2
    middle = back[:, 2] @ placed(np.array([centre, centre, 1]), device, exact)
    # area of the source that a pixel at the middle of the view shows
    area = torch.linalg.det(back).abs() / middle.abs() ** 3
    width = 2 * (round(grid.step) // 2) + 1
    cover = avg_pool2d(view.mask.float(), width, 1, width // 2, count_include_pad=False)
    covered = grid_sample(cover, where, mode="nearest", align_corners=False)
    return (
        (seen[..., :2] / seen[..., 2:]).flatten(1, 2),
        area.sqrt() * grid.step,
        (covered >= COVER).flatten(1),
    )
