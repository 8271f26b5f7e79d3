"""Losses: against the papers written a second time, other people's code, and closed forms."""

from __future__ import annotations

import subprocess
import sys
from math import log, sqrt

import numpy as np
import pytest
import torch
from torch import Tensor

from napari_phenoscape.losses import (
    CrossModal,
    NTXent,
    Projections,
    _blockwise as blockwise,
    agreement,
    contrast,
    spread,
    total_loss,
)


def views(specimens: int, dimensions: int = 16, seed: int = 0) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    z = torch.randn(2, specimens, dimensions, generator=random, dtype=torch.float64)
    return z[0], z[0] + 0.5 * z[1]


def nt_xent(z0: Tensor, z1: Tensor, temperature: float) -> Tensor:
    z = torch.cat([z0, z1])
    return NTXent(temperature=temperature).value(Projections({"rgb": z}))


def cross_modal(z0: Tensor, z1: Tensor, temperature: float) -> Tensor:
    z = {"rgb": z0, "uv": z1}
    return CrossModal(temperature=temperature).value(Projections(z, cross=z))


def by_hand(z, group, temperature, *, decoupled=False, part=None, related=None) -> float:
    """The papers' sums, one exponential at a time, in NumPy float64."""
    z = np.asarray(z, dtype=np.float64)
    z = z / np.sqrt((z**2).sum(1, keepdims=True))
    losses = []
    for i in range(len(z)):
        compared = [j for j in range(len(z)) if j != i and (part is None or part[j] != part[i])]
        positives = [j for j in compared if group[j] == group[i]]
        if not positives:
            continue
        terms = [
            np.exp(z[i] @ z[j] / temperature)
            for j in compared
            if not (decoupled and j in positives)
            and (related is None or j in positives or related[j] != related[i])
        ]
        if not terms:
            continue
        each = [-np.log(np.exp(z[i] @ z[p] / temperature) / sum(terms)) for p in positives]
        losses.append(sum(each) / len(positives))
    return sum(losses) / len(losses)


@pytest.mark.parametrize("temperature", [0.05, 0.2, 1.0])
@pytest.mark.parametrize("decoupled", [False, True], ids=["nt_xent", "dcl"])
def test_contrast_is_the_papers_sum(temperature, decoupled):
    z = torch.cat(views(7))
    group = torch.arange(7).repeat(2)
    ours = contrast(z, group, temperature, decoupled=decoupled)
    assert float(ours) == pytest.approx(
        by_hand(z, group, temperature, decoupled=decoupled), abs=1e-12
    )


@pytest.mark.parametrize("decoupled", [False, True])
def test_several_positives_and_lone_rows_are_the_papers_sum(decoupled):
    z = torch.cat(views(5))
    group = torch.tensor([0, 0, 0, 1, 1, 2, 0, 3, 1, 4])  # rows 5, 7 and 9 have no positive
    ours = contrast(z, group, 0.2, decoupled=decoupled)
    assert float(ours) == pytest.approx(by_hand(z, group, 0.2, decoupled=decoupled), abs=1e-12)


@pytest.mark.parametrize("decoupled", [False, True])
def test_known_relatives_do_not_repel(decoupled):
    z = torch.cat(views(6))
    group, species = torch.arange(6).repeat(2), torch.tensor([0, 0, 0, 1, 1, 2]).repeat(2)
    ours = contrast(z, group, 0.2, decoupled=decoupled, related=species)
    expected = by_hand(z, group, 0.2, decoupled=decoupled, related=species)
    assert float(ours) == pytest.approx(expected, abs=1e-12)
    assert float(ours) < float(contrast(z, group, 0.2, decoupled=decoupled))


@pytest.mark.parametrize("rows", [1, 100])
def test_a_row_that_has_nothing_to_be_told_from_teaches_nothing(monkeypatch, rows):
    monkeypatch.setattr(blockwise, "BLOCK", 4 * rows)
    z = torch.cat(views(2))
    # row 0 sees rows 2 and 3, both of its own group; they see row 1, which is of another
    group, part = torch.tensor([0, 1, 0, 0]), torch.tensor([0, 0, 1, 1])

    def loss(z: Tensor) -> Tensor:
        return contrast(z, group, 0.2, decoupled=True, part=part)

    expected = by_hand(z, group, 0.2, decoupled=True, part=part)
    assert float(loss(z)) == pytest.approx(expected, abs=1e-12)
    assert torch.autograd.gradcheck(loss, z.requires_grad_())


def test_who_takes_no_part_is_not_there_in_any_part():
    z, real = torch.cat(views(6)), torch.tensor([1, 1, 0, 1, 0, 1] * 2).bool()
    group, part = torch.tensor([0, 1, 2, 0, 1, 2] * 2), torch.tensor([0] * 6 + [1] * 6)
    found = contrast(z, group, 0.2, part=part, real=real)
    expected = contrast(z[real], group[real], 0.2, part=part[real])
    assert float(found) == pytest.approx(float(expected), abs=1e-12)


def test_rows_repel_from_a_distance_of_one_on_wherever_they_lie():
    z, group = torch.cat(views(20)), torch.arange(20).repeat(2)
    # pairs along a line: 0, 1 and 2 wide, and 0.75 from there on; all exact in float32
    gaps = torch.tensor([1.0, 1.0, 0.75, 0.75, 0.5]).repeat(4)
    position = (gaps.cumsum(0).repeat(2)[:, None] * torch.tensor([[1.0, 0.0]])).float()
    near = (position[:, None] - position).norm(dim=2) < 1
    expected = by_hand_near(z, group, near)
    for away in (0, 2**20):
        found = contrast(z, group, 0.2, position=position + away)
        assert float(found) == pytest.approx(expected, abs=1e-12), away


def by_hand_near(z: Tensor, group: Tensor, near: Tensor) -> float:
    unit = torch.nn.functional.normalize(z, dim=1)
    s = (unit @ unit.T / 0.2).numpy()
    losses = []
    for i in range(len(z)):
        (pair,) = (j for j in range(len(z)) if j != i and group[j] == group[i])
        seen = [j for j in range(len(z)) if j == pair or (j != i and not near[i, j])]
        losses.append(np.log(np.exp(s[i, seen]).sum()) - s[i, pair])
    return float(np.mean(losses))


def test_one_row_alone_that_has_something_to_be_told_from_is_the_mean():
    # row 2 lies beside row 1, so that of the pair only row 0 is told from it
    z, group = torch.cat(views(2))[:3], torch.tensor([0, 0, 1])
    position = torch.tensor([[0.0], [4.0], [4.5]])
    found = contrast(
        z, group, 0.2, decoupled=True, position=position, real=torch.ones(3, dtype=torch.bool)
    )
    unit = torch.nn.functional.normalize(z, dim=1)
    assert float(found) == pytest.approx(float(unit[0] @ (unit[2] - unit[1]) / 0.2), abs=1e-12)


@pytest.mark.parametrize("rows", [1, 3, 7, 100])
@pytest.mark.parametrize("decoupled", [False, True])
def test_blocks_give_the_value_and_gradient_of_the_whole(monkeypatch, rows, decoupled):
    def both() -> tuple[Tensor, Tensor]:
        z = torch.cat(views(8)).requires_grad_()
        group = torch.tensor([0, 1, 2, 3, 4, 5, 6, 6]).repeat(2)
        species = torch.tensor([0, 0, 0, 1, 1, 1, 2, 2]).repeat(2)
        loss = contrast(z, group, 0.2, decoupled=decoupled, related=species)
        return loss.detach(), torch.autograd.grad(3 * loss, z)[0]

    value, grad = both()
    monkeypatch.setattr(blockwise, "BLOCK", 16 * rows)
    again, grad_again = both()
    torch.testing.assert_close(again, value, atol=1e-14, rtol=0)
    torch.testing.assert_close(grad_again, grad, atol=1e-14, rtol=0)


def test_species_as_positives_is_the_supervised_loss_and_the_unknown_stay_alone():
    z = torch.cat(views(5))
    known = {"species": torch.tensor([4, 4, 2, -1, -1])}
    value, _ = total_loss([NTXent(positives="species")], Projections({"rgb": z}, known))
    group = torch.tensor([0, 0, 1, 2, 3]).repeat(2)
    assert float(value) == pytest.approx(by_hand(z, group, 0.2), abs=1e-12)
    value, _ = total_loss([NTXent(ignore="species")], Projections({"rgb": z}, known))
    own = torch.arange(5).repeat(2)
    assert float(value) == pytest.approx(by_hand(z, own, 0.2, related=group), abs=1e-12)


def test_positives_hold_across_modalities_too():
    rgb, uv = torch.cat(views(3)), torch.cat(views(3, seed=1))
    known = {"individual": torch.tensor([0, 0, 1])}
    z = {"rgb": rgb, "uv": uv}
    batch = Projections(z, known, cross=z)
    value, _ = total_loss([CrossModal(positives="individual")], batch)
    group, part = [0, 0, 1] * 4, [0] * 6 + [1] * 6
    assert float(value) == pytest.approx(by_hand(torch.cat([rgb, uv]), group, 0.2, part=part))


def test_cross_modal_is_the_papers_sum_and_leaves_out_the_own_modality():
    rgb, uv = views(6)
    group, part = [0, 1, 2, 0, 1, 2] * 2, [0] * 6 + [1] * 6
    expected = by_hand(torch.cat([rgb, uv]), group, 0.2, part=part)
    assert float(cross_modal(rgb, uv, 0.2)) == pytest.approx(expected, abs=1e-12)


def others(name: str, temperature: float):
    if name == "NTXentLoss":
        from lightly.loss import NTXentLoss

        return NTXentLoss(temperature=temperature)
    if name == "DCLLoss":
        from lightly.loss import DCLLoss

        return DCLLoss(temperature=temperature)
    from pytorch_metric_learning.losses import SupConLoss

    return SupConLoss(temperature=temperature)


@pytest.mark.filterwarnings("ignore:::lightly", "ignore:::pytorch_metric_learning")
@pytest.mark.parametrize("temperature", [0.1, 0.5])
@pytest.mark.parametrize("name", ["NTXentLoss", "DCLLoss", "SupConLoss"])
def test_values_and_gradients_are_those_of_other_libraries(name, temperature):
    z0, z1 = (z.requires_grad_() for z in views(12))
    group = torch.arange(12).repeat(2)
    if name == "SupConLoss":
        group = torch.arange(24) % 5
        theirs = others(name, temperature)(torch.cat([z0, z1]), group)
    else:
        theirs = others(name, temperature)(z0, z1)
    ours = contrast(torch.cat([z0, z1]), group, temperature, decoupled=name == "DCLLoss")
    assert ours.item() == pytest.approx(theirs.item(), abs=1e-6)
    for mine, other in zip(
        torch.autograd.grad(ours, (z0, z1)), torch.autograd.grad(theirs, (z0, z1)), strict=True
    ):
        torch.testing.assert_close(mine, other, atol=1e-6, rtol=0)


@pytest.mark.parametrize("specimens", [2, 5, 64])
@pytest.mark.parametrize("temperature", [0.01, 0.2])
def test_identical_projections_cost_log_2n_minus_1(specimens, temperature):
    z = torch.ones(specimens, 8)
    assert float(nt_xent(z, z, temperature)) == pytest.approx(log(2 * specimens - 1), rel=1e-5)


def test_identical_projections_cost_log_2n_minus_2_when_decoupled_and_log_2n_across_modalities():
    z = torch.ones(10, 8)
    group = torch.arange(5).repeat(2)
    assert float(contrast(z, group, 0.2, decoupled=True)) == pytest.approx(log(8), rel=1e-6)
    assert float(cross_modal(z, z, 0.2)) == pytest.approx(log(10), rel=1e-6)


def test_orthogonal_specimens_cost_log_1_plus_2n_minus_2_over_e():
    z = torch.eye(4, dtype=torch.float64)  # T = 1: positive e^1, six negatives e^0
    assert float(nt_xent(z, z, 1.0)) == pytest.approx(log((np.e + 6) / np.e), abs=1e-12)


@pytest.mark.parametrize("decoupled", [False, True])
def test_order_length_and_exchange_of_views_do_not_matter(decoupled):
    z0, z1 = views(9)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(1))
    group = torch.arange(9).repeat(2)

    def loss(first: Tensor, second: Tensor) -> float:
        return float(contrast(torch.cat([first, second]), group, 0.2, decoupled=decoupled))

    assert loss(z0[order], z1[order]) == pytest.approx(loss(z0, z1), abs=1e-12)
    assert loss(z1, z0) == pytest.approx(loss(z0, z1), abs=1e-12)
    assert loss(3 * z0, 0.1 * z1) == pytest.approx(loss(z0, z1), abs=1e-12)


@pytest.mark.parametrize("temperature", [0.1, 0.2])
def test_bf16_under_autocast_changes_the_loss_by_less_than_1e_4(temperature):
    z = torch.cat(views(128, 128)).to(torch.bfloat16)
    group = torch.arange(128).repeat(2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ours = contrast(z, group, temperature)
    assert ours.dtype == torch.float32
    assert float(ours) == pytest.approx(by_hand(z.double(), group, temperature), abs=1e-5)
    exact = torch.cat(views(128, 128))
    assert float(ours) == pytest.approx(by_hand(exact, group, temperature), abs=1e-4)


def test_a_temperature_that_overflows_half_precision_is_finite():
    z = torch.cat(views(4)).half().requires_grad_()
    loss = contrast(z, torch.arange(4).repeat(2), 0.01)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(z.grad).all()


def test_no_positive_at_all_is_nan_not_zero():
    assert torch.isnan(contrast(torch.eye(3), torch.arange(3), 0.2))


def test_gradient_agrees_with_finite_differences():
    z = torch.cat(views(3, 4)).requires_grad_()
    group, part = torch.arange(3).repeat(2), torch.tensor([0, 0, 0, 1, 1, 1])
    for settings in ({}, {"decoupled": True}, {"part": part}):
        assert torch.autograd.gradcheck(
            lambda z, settings=settings: contrast(z, group, 0.5, **settings), z
        )


def spaces() -> dict[str, Tensor]:
    return {
        name: torch.cat(views(6, seed=seed)) for seed, name in enumerate(("rgb", "uv", "joint"))
    }


def test_nt_xent_is_the_mean_over_modalities_and_joint():
    z = spaces()
    total, terms = total_loss([NTXent(temperature=0.5)], Projections(z))
    each = [nt_xent(rows[:6], rows[6:], 0.5) for rows in z.values()]
    assert float(total) == pytest.approx(float(sum(each)) / 3)
    assert terms == {"nt_xent": total}


def test_total_is_the_weighted_sum_and_terms_are_unweighted():
    z = spaces()
    cross = {"rgb": z["uv"], "uv": z["joint"]}
    losses = [NTXent(weight=2), CrossModal(weight=0.5), NTXent(weight=1, decoupled=True)]
    total, terms = total_loss(losses, Projections(z, cross=cross))
    assert list(terms) == ["nt_xent", "cross_modal", "nt_xent_2"]
    assert float(terms["cross_modal"]) == pytest.approx(float(cross_modal(*cross.values(), 0.2)))
    assert float(total) == pytest.approx(
        2 * float(terms["nt_xent"]) + 0.5 * float(terms["cross_modal"]) + float(terms["nt_xent_2"])
    )
    assert float(terms["nt_xent_2"]) < float(terms["nt_xent"])


def test_cross_modal_takes_every_pair_of_modalities_in_their_common_space():
    z = {name: torch.cat(views(6, seed=seed)) for seed, name in enumerate(("rgb", "uv", "nir"), 4)}
    _, terms = total_loss([CrossModal()], Projections(spaces(), cross=z))
    pairs = [("rgb", "uv"), ("rgb", "nir"), ("uv", "nir")]
    expected = sum(float(cross_modal(z[a], z[b], 0.2)) for a, b in pairs) / 3
    assert float(terms["cross_modal"]) == pytest.approx(expected)


def test_agreement_is_the_share_of_views_whose_nearest_is_the_other_view():
    # 0, 1: views of specimens at 0° and 90°; second views at 10° and 30°
    angles = torch.tensor([0.0, 90.0, 10.0, 30.0]).deg2rad()
    z = torch.stack([angles.cos(), angles.sin()], dim=1)
    # nearest: 0° -> 10° (own), 90° -> 30° (own), 10° -> 0° (own), 30° -> 10° (not)
    assert agreement(z) == 0.75


def test_spread_is_1_over_the_sphere_and_0_at_a_point():
    z = torch.randn(4000, 32, generator=torch.Generator().manual_seed(0))
    assert spread(z) == pytest.approx(1, abs=0.01)
    assert spread(torch.ones(8, 4) * torch.arange(1, 9)[:, None]) == pytest.approx(0, abs=1e-6)
    # unit vectors ±e1: standard deviation 1 in one of two dimensions
    assert spread(torch.tensor([[2.0, 0], [-1, 0]])) == pytest.approx(sqrt(2) / 2)


@pytest.mark.parametrize("room", ["losses", "nets"])
def test_options_come_without_torch(room):
    code = f"import sys, napari_phenoscape.{room}; print('torch' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "False"
