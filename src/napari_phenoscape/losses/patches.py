"""Patches: which cells of the grids of two views show the same place of a specimen."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, interpolate

from napari_phenoscape.augmentations.pipeline import Views

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
    place : (2N, Q, 2)
        Where the cells' centres lie in the specimen, (x, y) in patches, float32; NaN where there
        are fewer pairs than Q.
    """

    cell: Tensor
    place: Tensor


def matches(first: Views, second: Views, grid: tuple[int, int]) -> Matches:
    """The cells of two views that are each other's nearest in the specimen [1]_.

    Where a cell looks is known from the matrix and the field of its view. Pairs are at most one
    patch apart, and mostly show specimen in both views; the nearest `PAIRS` of a specimen are kept.

    Parameters
    ----------
    first, second
        Views of the same N specimens.
    grid
        Rows and columns of the cells that tile a view.

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
    there, back = distance.argmin(2), distance.argmin(1)
    mutual = back.gather(1, there) == torch.arange(a.shape[1], device=a.device)
    apart = distance.amin(2).masked_fill(~mutual, torch.inf)
    apart, cell_a = apart.topk(min(PAIRS, a.shape[1]), largest=False)  # (N, Q)
    cell_b = there.gather(1, cell_a)
    places = [
        (place / patch[:, None, None])
        .take_along_dim(cell[..., None], 1)
        .masked_fill((apart > 1)[..., None], torch.nan)
        for place, cell in ((a, cell_a), (b, cell_b))
    ]
    return Matches(torch.cat([cell_a, cell_b]), torch.cat(places).float())


def _cells(view: Views, grid: tuple[int, int]) -> tuple[Tensor, Tensor, Tensor]:
    """Where the centres of the cells look, how wide a patch is, and which cells show specimen.

    Returns
    -------
    (N, K, 2) and (N,), both in pixels of the source, and (N, K) bool.
    """
    size, (rows, columns) = view.image.shape[-1], grid
    device, exact = view.matrix.device, torch.float64
    y = (torch.arange(rows, device=device, dtype=exact) + 0.5) * size / rows - 0.5
    x = (torch.arange(columns, device=device, dtype=exact) + 0.5) * size / columns - 0.5
    centres = torch.stack(torch.meshgrid(x, y, indexing="xy"), dim=-1)  # (rows, columns, 2)
    if view.field is not None:
        bend = interpolate(view.field.permute(0, 3, 1, 2), grid, mode="bilinear")
        centres = centres + bend.permute(0, 2, 3, 1)
    back = torch.linalg.inv(view.matrix.to(exact))
    seen = torch.einsum("nij,nrcj->nrci", back, _homogeneous(centres.expand(len(back), -1, -1, -1)))
    middle = back[:, 2] @ back.new_tensor([(size - 1) / 2, (size - 1) / 2, 1])
    # area of the source that a pixel at the middle of the view shows
    area = torch.linalg.det(back).abs() / middle.abs() ** 3
    inside = adaptive_avg_pool2d(view.mask.float(), grid) >= COVER
    return (
        (seen[..., :2] / seen[..., 2:]).flatten(1, 2),
        (area * size**2 / (rows * columns)).sqrt(),
        inside.flatten(1),
    )


def _homogeneous(points: Tensor) -> Tensor:
    """(..., 3) x, y, 1 of (..., 2)."""
    return torch.cat([points, torch.ones_like(points[..., :1])], dim=-1)
