"""Specimens that lack a modality are to its losses as if they were not in the batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from napari_phenoscape.losses import (
    CrossModal,
    LocalPatches,
    Loss,
    NTXent,
    Projections,
    _losses,
    agreement,
    contrast,
)

N = 6
#: Who has which.
PRESENT = {
    "rgb": np.array([True, True, False, True, True, False]),
    "uv": np.array([False, True, True, True, True, True]),
}


def rows(seed: int, *shape: int) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=random, dtype=torch.float64)


def of(batch: Projections, keep: np.ndarray) -> Projections:
    """Some of the specimens, and no word of who lacks what."""
    both = np.tile(keep, 2)
    return Projections(
        {name: z[both] for name, z in batch.z.items()},
        {name: labels[keep] for name, labels in batch.labels.items()},
        {name: z[both] for name, z in batch.patches.items()},
        None if batch.position is None else batch.position[both],
        {},
        {name: z[both] for name, z in batch.cross.items()},
    )


def batch(present: dict[str, np.ndarray]) -> Projections:
    z = {name: rows(seed, 2 * N, 8) for seed, name in enumerate(PRESENT)}
    return Projections(
        z,
        {"species": np.array([0, 0, 1, 1, -1, 2])},
        {name: rows(seed + 5, 2 * N, 4, 8) for seed, name in enumerate(PRESENT)},
        3 * rows(9, N, 4, 2).repeat(2, 1, 1),
        present,
        {name: of + 1 for name, of in z.items()},
    )


def only(batch: Projections, name: str) -> Projections:
    """Of one modality."""
    return Projections(
        {name: batch.z[name]}, batch.labels, {name: batch.patches[name]}, batch.position
    )


@pytest.mark.parametrize(
    "loss",
    [NTXent(), NTXent(positives="species"), NTXent(ignore="species"), LocalPatches()],
    ids=["own", "positives", "ignore", "patches"],
)
def test_of_each_modality_those_count_that_have_it(loss: Loss) -> None:
    whole = batch(PRESENT)
    each = [loss.value(only(of(whole, has), name)) for name, has in PRESENT.items()]
    assert float(loss.value(whole)) == pytest.approx(float(sum(each)) / 2, abs=1e-12)


@pytest.mark.parametrize(
    "loss",
    [CrossModal(), CrossModal(positives="species"), CrossModal(ignore="species")],
    ids=["own", "positives", "ignore"],
)
def test_across_modalities_each_side_has_those_that_have_it(loss: CrossModal) -> None:
    whole = batch(PRESENT)
    labels = whole.labels["species"]
    own = np.where(labels < 0, 10 + np.arange(N), labels)
    kept = [np.tile(PRESENT[name], 2) for name in ("rgb", "uv")]
    z = torch.cat([z[keep] for z, keep in zip(whole.cross.values(), kept, strict=True)])

    def numbers(each: np.ndarray) -> Tensor:
        return torch.from_numpy(np.concatenate([np.tile(each, 2)[keep] for keep in kept]))

    part = torch.from_numpy(np.repeat([0, 1], [keep.sum() for keep in kept]))
    expected = contrast(
        z,
        numbers(own if loss.positives else np.arange(N)),
        loss.temperature,
        part=part,
        related=numbers(own) if loss.ignore else None,
    )
    assert float(loss.value(whole)) == pytest.approx(float(expected), abs=1e-12)


@pytest.mark.parametrize(
    "loss", [NTXent(), CrossModal(), LocalPatches()], ids=lambda loss: loss.kind
)
@pytest.mark.parametrize("together", [False, True], ids=["processor", "accelerator"])
def test_two_that_have_a_modality_have_a_contrast_and_one_has_none(
    loss: Loss, together: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_losses, "together", lambda _: together)
    two, one = np.arange(N) < 2, np.arange(N) == 3
    value = loss.value(batch({"rgb": two, "uv": two}))
    # a specimen of one modality alone has nothing to be told from across modalities either
    assert float(value) == pytest.approx(float(loss.value(of(batch({}), two))), abs=1e-12)
    assert float(value) > 0
    alone = batch({"rgb": one, "uv": one})
    for z in (*alone.z.values(), *alone.cross.values(), *alone.patches.values()):
        z.requires_grad_().data.zero_()  # 0, and not 0 / 0
    nothing = loss.value(alone)
    assert float(nothing.detach()) == 0
    nothing.backward()


def test_where_only_one_modality_has_a_contrast_it_is_the_loss(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    uneven = batch({"rgb": np.arange(N) == 3, "uv": PRESENT["uv"]})
    uv = of(uneven, PRESENT["uv"])
    assert float(NTXent().value(uneven)) == pytest.approx(
        float(NTXent().value(only(uv, "uv"))), abs=1e-12
    )
    expected = float(LocalPatches().value(only(uv, "uv")))
    for together in (False, True):
        monkeypatch.setattr(_losses, "together", lambda _, together=together: together)
        assert float(LocalPatches().value(uneven)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("lonely", PRESENT)
def test_across_modalities_two_at_least_must_have_both(lonely: str) -> None:
    one = np.arange(N) == 3
    uneven = batch({name: one if name == lonely else np.ones(N, bool) for name in PRESENT})
    assert float(CrossModal().value(uneven)) == 0


def test_of_a_space_that_all_have_all_take_part() -> None:
    rgb = batch({"rgb": PRESENT["rgb"]})  # nothing is said of uv
    each = [NTXent().value(only(of(rgb, PRESENT["rgb"]), "rgb")), NTXent().value(only(rgb, "uv"))]
    assert float(NTXent().value(rgb)) == pytest.approx(float(sum(each)) / 2, abs=1e-12)


def test_an_accelerator_that_counts_nobody_has_the_value_and_gradient_of_a_processor(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def both() -> tuple[Tensor, ...]:
        whole = batch(PRESENT)
        assert whole.position is not None
        whole.position[[1, 1 + N], 3] = torch.nan  # a pair less
        for z in whole.patches.values():
            z.requires_grad_()
        value = LocalPatches().value(whole)
        return value, *torch.autograd.grad(value, list(whole.patches.values()))

    wanted = both()
    monkeypatch.setattr(_losses, "together", lambda _: True)
    for found, expected in zip(both(), wanted, strict=True):
        torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)


def test_more_specimens_than_cells_are_told_apart() -> None:
    # cell 1 of the first specimen is no pair of cell 0 of the third, though 1 = 2 / 2
    z, position = rows(0, 2 * 5, 2, 8), 9 * rows(1, 5, 2, 2).repeat(2, 1, 1)
    found = LocalPatches(radius=0.001).value(Projections({}, patches={"rgb": z}, position=position))
    pair = torch.arange(10).reshape(5, 2).repeat(2, 1)
    expected = contrast(z.flatten(0, 1), pair.flatten(), 0.2)
    assert float(found) == pytest.approx(float(expected), abs=1e-12)


def test_who_has_no_label_is_alone_whatever_the_labels_of_the_others() -> None:
    z = rows(0, 8, 8)
    labels = {"species": np.array([-1, 1, 0, 1])}
    found = NTXent(positives="species").value(Projections({"rgb": z}, labels))
    group = torch.tensor([5, 1, 0, 1]).repeat(2)
    assert float(found) == pytest.approx(float(contrast(z, group, 0.2)), abs=1e-12)


def test_agreement_is_that_of_float32_under_autocast() -> None:
    # views 0.02° nearer to their own than to another: bf16 has some 0.2 %
    degrees = torch.tensor([0.0, 0.05, 10.0, 10.05, 0.02, 0.07, 10.02, 10.07])
    z = torch.stack([degrees.deg2rad().cos(), degrees.deg2rad().sin()], dim=1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = agreement(z)
    assert float(found) == float(agreement(z)) == 1
