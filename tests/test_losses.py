"""The loss against the paper written a second time, other libraries, and closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from napari_phenoscape.errors import OptionError
from napari_phenoscape.losses import (
    CrossModal,
    NTXent,
    agreement,
    contrast,
    nt_xent,
    spread,
    total_loss,
    two_of_each,
)


def projections(rows: int = 12, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(rows, 7, generator=generator, dtype=torch.float64)


def by_the_paper(z: np.ndarray, temperature: float, decoupled: bool = False) -> float:
    """Eq. 1 of SimCLR, one pair at a time."""
    z = z / np.linalg.norm(z, axis=1, keepdims=True)
    number = len(z) // 2
    losses = []
    for i in range(2 * number):
        j = (i + number) % (2 * number)
        left_out = {i, j} if decoupled else {i}
        others = [math.exp(z[i] @ z[k] / temperature) for k in range(2 * number)
                  if k not in left_out]
        losses.append(-(z[i] @ z[j]) / temperature + math.log(sum(others)))
    return float(np.mean(losses))


@pytest.mark.parametrize("temperature", [0.05, 0.2, 1.0])
@pytest.mark.parametrize("decoupled", [False, True], ids=["nt-xent", "decoupled"])
def test_contrast_is_the_paper_s_equation(temperature: float, decoupled: bool) -> None:
    z = projections()
    ours = contrast(z, two_of_each(6, z), temperature, decoupled=decoupled)
    assert float(ours) == pytest.approx(by_the_paper(z.numpy(), temperature, decoupled), abs=1e-10)


def test_nt_xent_and_its_gradient_equal_lightly_s() -> None:
    from lightly.loss import NTXentLoss

    ours, theirs = (projections().float().requires_grad_() for _ in range(2))
    a = nt_xent(*ours.chunk(2), temperature=0.3)
    b = NTXentLoss(temperature=0.3)(*theirs.chunk(2))
    a.backward()
    b.backward()
    assert a.item() == pytest.approx(b.item(), abs=1e-6)
    torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-6, rtol=0)


def test_several_positives_equal_supcon() -> None:
    from pytorch_metric_learning.losses import SupConLoss

    z, group = projections(), torch.tensor([0, 0, 0, 1, 1, 1, 2, 2, 3, 3, 4, 5])
    theirs = SupConLoss(temperature=0.3)(z, group)
    # theirs averages over all rows, ours over the ten that have a positive
    assert float(contrast(z, group, 0.3)) == pytest.approx(float(theirs), abs=1e-6)


def test_identical_projections_cost_log_2n_minus_1() -> None:
    z = torch.ones(5, 3)
    assert float(nt_xent(z, z, 0.1)) == pytest.approx(math.log(9), abs=1e-5)


def test_order_and_length_of_projections_do_not_matter() -> None:
    z, order = projections(), torch.randperm(6, generator=torch.Generator().manual_seed(1))
    z0, z1 = z.chunk(2)
    expected = float(nt_xent(z0, z1, 0.2))
    assert float(nt_xent(z1[order] * 9, z0[order], 0.2)) == pytest.approx(expected, abs=1e-12)


def test_bf16_is_computed_in_float32() -> None:
    z = projections(64).to(torch.bfloat16)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = nt_xent(*z.chunk(2), 0.1)
    assert half.dtype == torch.float32
    assert float(half) == pytest.approx(float(nt_xent(*z.double().chunk(2), 0.1)), abs=1e-4)


def test_terms_are_weighted_and_reported() -> None:
    z = {"rgb": projections(seed=1), "uv": projections(seed=2), "joint": projections(seed=3)}
    losses = (NTXent(temperature=0.5), CrossModal(weight=0.25, temperature=0.5))
    total, terms = total_loss(losses, z)
    inside = np.mean([by_the_paper(rows.numpy(), 0.5) for rows in z.values()])
    across = np.mean(
        [
            by_the_paper(np.concatenate([a.numpy(), b.numpy()]), 0.5)
            for a, b in zip(z["rgb"].chunk(2), z["uv"].chunk(2), strict=True)
        ]
    )
    assert float(terms["nt_xent"]) == pytest.approx(inside)
    assert float(terms["cross_modal"]) == pytest.approx(across)
    assert float(total) == pytest.approx(inside + 0.25 * across)


def test_cross_modal_needs_two_modalities() -> None:
    with pytest.raises(OptionError, match="only 'rgb'"):
        total_loss((CrossModal(),), {"rgb": projections()})


def test_agreement_counts_nearest_partners() -> None:
    east, north = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])
    assert agreement(torch.stack([east, north, east, north])) == 1.0
    assert agreement(torch.stack([east, east, north, north])) == 0.0


def test_spread_is_one_on_the_sphere_and_zero_in_a_point() -> None:
    sphere = torch.randn(4000, 32, generator=torch.Generator().manual_seed(0))
    assert spread(sphere) == pytest.approx(1.0, abs=0.02)
    assert spread(torch.ones(8, 32)) == pytest.approx(0.0, abs=1e-6)
