"""The local loss: which cells of two views match, and what is compared with what."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, normalize

from napari_phenoscape.cubes import Band, Bands
from napari_phenoscape.errors import OptionError
from napari_phenoscape.losses import (
    LocalPatches,
    Matches,
    Projections,
    contrast,
    matches,
    total_loss,
)
from napari_phenoscape.losses._patches import PAIRS
from napari_phenoscape.nets import Encoder, Grid
from napari_phenoscape.nets._encoder import ModalityEncoder
from napari_phenoscape.training import Experiment, SimCLR
from napari_phenoscape.views import (
    PRESETS,
    AnyAugmentation,
    Augmenter,
    RandomErasing,
    RandomPerspective,
    RandomThinPlateSpline,
    Views,
)
from napari_phenoscape.views._geometry import Geometric

SIDE = 120  # of the pictures, pixels
PLACES = Bands([Band("x"), Band("y")])


def ellipses(number: int) -> Tensor:
    """(N, 1, SIDE, SIDE) masks."""
    y, x = np.mgrid[:SIDE, :SIDE] - (SIDE - 1) / 2
    mask = (x / 56) ** 2 + (y / 40) ** 2 < 1
    return torch.from_numpy(mask).expand(number, 1, SIDE, SIDE)


def two_views(
    operations: tuple[AnyAugmentation, ...], number: int, size: int
) -> tuple[Views, Views]:
    """Views of pictures whose bands are the x and the y of each pixel."""
    y, x = np.mgrid[:SIDE, :SIDE].astype(np.float32)
    pictures = torch.from_numpy(np.stack([x, y])).expand(number, 2, SIDE, SIDE)
    make = Augmenter(operations, PLACES, np.zeros(2, np.float32), size, "keep")
    first, second = (
        make(pictures, ellipses(number), seed=3, step=0, specimens=np.arange(number), view=view)
        for view in (0, 1)
    )
    return first, second


def tiles(rows: int, columns: int, step: float) -> Grid:
    return Grid(rows, columns, (step - 1) / 2, step)


def shown_at(view: Views, grid: Grid) -> tuple[Tensor, Tensor]:
    """(N, K, 2) place that is drawn at the middle of each cell; (N,) pixels between cells."""
    y, x = (
        (grid.first + grid.step * torch.arange(number)).round().long()
        for number in (grid.rows, grid.columns)
    )
    places = view.image[:, :, y[:, None], x].permute(0, 2, 3, 1)
    across, down = places[:, :, 1:] - places[:, :, :-1], places[:, 1:] - places[:, :-1]
    widths = [each.norm(dim=-1).flatten(1).median(1).values for each in (across, down)]
    return places.flatten(1, 2), torch.stack(widths).prod(0).sqrt()


GEOMETRY = tuple(op for op in PRESETS["colour-pattern"] if isinstance(op, Geometric))
BENT = (*GEOMETRY, RandomPerspective(p=1.0), RandomThinPlateSpline(p=1.0))


@pytest.mark.parametrize("operations", [GEOMETRY, BENT], ids=["default preset", "bent too"])
@pytest.mark.parametrize(
    ("backbone", "size", "grid"),
    [
        ("resnet18", 96, Grid(3, 3, 0.0, 32.0)),
        ("timm:test_vit", 96, Grid(6, 6, 7.5, 16.0)),
        ("resnet18", 224, Grid(7, 7, 0.0, 32.0)),
    ],
)
def test_matched_cells_show_the_same_place_within_a_patch_and_cells_of_one_index_do_not(
    backbone: str, size: int, grid: Grid, operations: tuple[AnyAugmentation, ...]
) -> None:
    if backbone.startswith("timm:"):
        pytest.importorskip("timm")
    encoder = ModalityEncoder(Encoder(backbone=backbone), PLACES, [0, 0], [1, 1], size)
    assert encoder.grid == grid
    first, second = two_views(operations, 48, size)
    found = matches(first, second, grid)
    (a, width_a), (b, width_b) = shown_at(first, grid), shown_at(second, grid)
    patch = torch.minimum(width_a, width_b)[:, None]
    real = found.position[:48].isfinite().all(2)
    there = [
        places.take_along_dim(cell[..., None], 1)
        for places, cell in ((a, found.cell[:48]), (b, found.cell[48:]))
    ]
    apart = ((there[0] - there[1]).norm(dim=2) / patch)[real]
    assert (apart <= 1).float().mean() >= 0.95
    assert real.sum(1).float().mean() >= 0.3 * grid.rows * grid.columns
    by_index = ((a - b).norm(dim=2) / patch <= 1).float().mean()
    assert by_index < {9: 0.45, 36: 0.2, 49: 0.2}[grid.rows * grid.columns]


def test_fourteen_by_fourteen_tokens_match_by_geometry_and_hardly_by_index() -> None:
    """The numbers of the documentation: 100 % against 4 %."""
    first, second = two_views(GEOMETRY, 32, 224)
    found = matches(first, second, tiles(14, 14, 16))
    real = found.position[:32].isfinite().all(2)
    apart = (found.position[:32] - found.position[32:]).norm(dim=2)[real]
    assert real.sum(1).min() == PAIRS
    assert (apart <= 1).float().mean() >= 0.95
    (a, width_a), (b, width_b) = (shown_at(view, tiles(14, 14, 16)) for view in (first, second))
    by_index = (a - b).norm(dim=2) <= torch.minimum(width_a, width_b)[:, None]
    assert by_index.float().mean() < 0.06


def plain(mask: Tensor, matrix: Tensor | None = None) -> Views:
    """A view of whole pictures, as they are or moved."""
    count, size = len(mask), mask.shape[-1]
    matrix = torch.eye(3) if matrix is None else matrix
    return Views(torch.zeros(count, 1, size, size), mask, matrix.expand(count, 3, 3), None)


def pairs_of(found: Matches) -> list[tuple[int, int]]:
    """Of the first specimen."""
    count = len(found.cell) // 2
    real = found.position[0].isfinite().all(1)
    cells = found.cell[0][real].tolist(), found.cell[count][real].tolist()
    return sorted(zip(*cells, strict=True))


def test_cells_of_equal_views_match_themselves_inside_the_mask_only() -> None:
    mask = torch.zeros(1, 1, 8, 8, dtype=torch.bool)
    mask[..., :4, :] = True
    assert pairs_of(matches(plain(mask), plain(mask), tiles(4, 4, 2))) == [(i, i) for i in range(8)]


def test_a_flip_and_a_shift_are_followed() -> None:
    mask = torch.ones(1, 1, 8, 8, dtype=torch.bool)
    # 8 px are 4 cells: x -> 7 - x
    flip = torch.tensor([[-1.0, 0, 7], [0, 1, 0], [0, 0, 1]])
    found = pairs_of(matches(plain(mask), plain(mask, flip), Grid(1, 4, 0.5, 2)))
    assert found == [(0, 3), (1, 2), (2, 1), (3, 0)]
    # x -> x + 2: one cell to the right
    shift = torch.tensor([[1.0, 0, 2], [0, 1, 0], [0, 0, 1]])
    found = pairs_of(matches(plain(mask), plain(mask, shift), Grid(1, 4, 0.5, 2)))
    assert found == [(0, 1), (1, 2), (2, 3)]


@pytest.mark.parametrize(
    "matrix",
    [
        [[0.5, 0, 0], [0, 0.5, 0], [0, 0, 1]],
        [[0.0, -3, 9], [3, 0, -2], [0, 0, 1]],
        [[2.0, 0.7, 1], [0.1, 1, 0], [0, 0, 1]],
        [[1.0, 0.2, 0], [0, 1.5, 0], [0.05, -0.02, 1]],
    ],
    ids=["half", "threefold and turned", "sheared", "perspective"],
)
def test_a_patch_shrinks_in_the_specimen_as_the_view_is_zoomed(matrix: list[list[float]]) -> None:
    view = plain(torch.ones(1, 1, 8, 8, dtype=torch.bool), torch.tensor(matrix))
    # four small cells about the middle of the view: neighbours span the area of one patch
    found = matches(view, view, Grid(2, 2, 3.5 - 0.005, 0.01))
    upper_left, right, down, _ = found.position[0][found.cell[0].argsort()]
    (ax, ay), (bx, by) = (right - upper_left).tolist(), (down - upper_left).tolist()
    assert abs(ax * by - ay * bx) == pytest.approx(1, rel=1e-3)


def test_positions_are_counted_in_the_patches_of_the_more_zoomed_view() -> None:
    mask = torch.ones(1, 1, 8, 8, dtype=torch.bool)
    whole, twice = plain(mask), plain(mask, torch.diag(torch.tensor([2.0, 2, 1])))
    found = matches(whole, twice, tiles(4, 4, 2))
    real = found.position[0].isfinite().all(1)
    # a patch of 2 px is 1 px in the specimen; cells of the whole view are 2 px apart, from 0.5
    column = found.cell[0][real] % 4
    torch.testing.assert_close(found.position[0][real][:, 0], 0.5 + 2.0 * column)
    assert column.max() == 1  # it shows twice as much


def test_what_is_erased_or_on_neither_view_has_no_pair() -> None:
    operations = (RandomErasing(p=1.0, scale=(0.3, 0.4)),)
    first, second = two_views(operations, 16, 96)
    found = matches(first, second, tiles(6, 6, 16))
    for view, cells in ((first, found.cell[:16]), (second, found.cell[16:])):
        cover = adaptive_avg_pool2d(view.mask.float(), (6, 6)).flatten(1)
        real = found.position[:16].isfinite().all(2)
        assert cover.gather(1, cells)[real].min() >= 0.45  # their windows are 17 px wide, not 16
    none = torch.zeros(2, 1, 8, 8, dtype=torch.bool)
    assert not matches(plain(none), plain(none), tiles(4, 4, 2)).position.isfinite().any()


@pytest.mark.parametrize(("apart", "pairs"), [(2, 4), (2.5, 0), (3.5, 0)])
def test_cells_are_a_pair_up_to_one_patch_apart(apart: float, pairs: int) -> None:
    # the second view looks beside the first, whose last column is so many pixels from its first
    mask = torch.ones(1, 1, 8, 8, dtype=torch.bool)
    beside = torch.tensor([[1.0, 0, -6 - apart], [0, 1, 0], [0, 0, 1]])
    found = matches(plain(mask), plain(mask, beside), tiles(4, 4, 2))
    assert pairs_of(found) == [(3 + 4 * row, 4 * row) for row in range(4)][:pairs]


def test_half_of_a_cell_must_show_specimen() -> None:
    # the right cells reach from column 4 to the edge; the left ones show nothing
    for first, pairs in ((6, [(1, 1), (3, 3)]), (7, [])):
        mask = torch.zeros(1, 1, 8, 8, dtype=torch.bool)
        mask[..., first:] = True
        assert pairs_of(matches(plain(mask), plain(mask), tiles(2, 2, 4))) == pairs


def by_hand(z: Tensor, pair: Tensor, specimen: Tensor, position: Tensor, radius: float) -> float:
    """Dense contrast, one exponential at a time."""
    unit = normalize(z, dim=1).numpy()
    losses = []
    for i in range(len(z)):
        partner = next(j for j in range(len(z)) if j != i and pair[j] == pair[i])
        total = 0.0
        for j in range(len(z)):
            near = specimen[i] == specimen[j] and float((position[i] - position[j]).norm()) < radius
            if j == partner or (j != i and not near):
                total += np.exp(unit[i] @ unit[j] / 0.2)
        losses.append(-np.log(np.exp(unit[i] @ unit[partner] / 0.2) / total))
    return float(np.mean(losses))


@pytest.mark.parametrize("radius", [0.5, 1.5, 4.0])
def test_cells_repel_those_of_others_and_their_own_beyond_the_radius(radius: float) -> None:
    random = torch.Generator().manual_seed(0)
    specimens, pairs = 3, 5
    z = torch.randn(2 * specimens, pairs, 8, generator=random, dtype=torch.float64)
    position = 3 * torch.rand(specimens, pairs, 2, generator=random).repeat(2, 1, 1)
    position[1, 3], position[4, 3] = torch.nan, torch.nan  # this specimen has a pair less
    batch = Projections({"rgb": z[:, 0]}, patches={"rgb": z}, position=position)
    found = LocalPatches(radius=radius).value(batch)
    real = position.isfinite().all(2)
    specimen = torch.arange(specimens).repeat(2)[:, None].expand(-1, pairs)
    pair = specimen * pairs + torch.arange(pairs)
    wanted = by_hand(z[real], pair[real], specimen[real], position[real], radius)
    assert float(found) == pytest.approx(wanted, abs=1e-10)


def test_places_in_contrast_have_the_gradient_of_finite_differences() -> None:
    random = torch.Generator().manual_seed(0)
    z = torch.randn(8, 3, generator=random, dtype=torch.float64).requires_grad_()
    position = 2 * torch.rand(8, 2, generator=random)
    group = torch.arange(4).repeat(2)
    assert torch.autograd.gradcheck(lambda z: contrast(z, group, 0.5, position=position), z)


def test_several_modalities_are_averaged_and_too_few_pairs_cost_nothing() -> None:
    random = torch.Generator().manual_seed(0)
    patches = {
        name: torch.randn(4, 3, 8, generator=random, requires_grad=True) for name in ("rgb", "uv")
    }
    position = torch.rand(2, 3, 2, generator=random).repeat(2, 1, 1)
    loss = LocalPatches()
    both = loss.value(Projections({}, patches=patches, position=position))
    each = [
        loss.value(Projections({}, patches={name: rows}, position=position))
        for name, rows in patches.items()
    ]
    assert both.item() == pytest.approx(sum(one.item() for one in each) / 2)
    position[0], position[2] = torch.nan, torch.nan
    total, terms = total_loss([loss], Projections({}, patches=patches, position=position))
    assert total.item() == 0
    assert list(terms) == ["local_patches"]
    total.backward()
    assert float(patches["rgb"].grad.abs().max()) == 0


def net_of(losses: list[dict[str, str]], size: int = 64) -> SimCLR:
    experiment = Experiment.parse(
        {
            "collection": {"kind": "folder", "path": str(Path())},
            "encoder": {"backbone": "squeezenet1_1"},
            "modalities": ["rgb", "uv"],
            "image_size": size,
            "head": {"hidden": 8, "out": 4},
            "losses": losses,
        }
    )
    bands = {name: Bands(Band(f"{name} {i}") for i in range(2)) for name in ("rgb", "uv")}
    torch.manual_seed(0)
    return SimCLR(experiment, bands, dict.fromkeys(bands, (0, 0)), dict.fromkeys(bands, (1, 1)))


def test_patch_heads_are_made_when_the_loss_is_asked_for_and_change_no_other_weight() -> None:
    without, with_ = net_of([{"kind": "nt_xent"}]), net_of([{"kind": "local_patches"}])
    assert len(without.patch_heads) == 0
    assert len(with_.patch_heads) == 2
    theirs = with_.state_dict()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in without.state_dict().items())
    images = {name: torch.rand(2, 2, 64, 64) for name in ("rgb", "uv")}
    cells = torch.tensor([[0, 4], [8, 2]])
    seen = with_.eval()(images, cells=cells)
    assert {name: tuple(rows.shape) for name, rows in seen.patches.items()} == {
        "rgb": (2, 2, 4), "uv": (2, 2, 4),
    }  # fmt: skip
    grid = with_.encoders[1](images["uv"]).grid  # 3 × 3: cell 8 is the last, 2 the upper right
    torch.testing.assert_close(seen.patches["uv"][1, 0], with_.patch_heads[1](grid[1, :, 2, 2]))
    torch.testing.assert_close(seen.patches["uv"][1, 1], with_.patch_heads[1](grid[1, :, 0, 2]))


def test_a_grid_of_one_patch_is_refused() -> None:
    with pytest.raises(OptionError, match=r"image of 32 px as 1 × 1 patches.*Enlarge image_size"):
        net_of([{"kind": "local_patches"}], size=32)
