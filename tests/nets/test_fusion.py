"""Fusion where specimens lack a modality: by nature, or because training leaves one out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from napari_phenoscape.cubes import Band, Bands
from napari_phenoscape.losses import CrossModal, NTXent, Projections, contrast, total_loss
from napari_phenoscape.nets import joined
from napari_phenoscape.specimens import Folder
from napari_phenoscape.training import Experiment, SimCLR

BANDS = {
    "rgb": Bands(Band(name, region="vis") for name in "RGB"),
    "uv": Bands(Band(f"UV_{name}", region="uv") for name in "RGB"),
}
SMALL = "shufflenet_v2_x0_5"
KINDS = ["concatenate", "mean", "gated", "attention"]

#: Of four specimens: all have RGB, the second and the fourth have no UV.
PRESENT = {"rgb": torch.ones(4, dtype=torch.bool), "uv": torch.tensor([True, False, True, False])}


BOTH = (NTXent(), CrossModal())


def simclr(fusion: object = None, sharing: str = "separate") -> SimCLR:
    given = {
        "collection": Folder(path=Path()), "image_size": 32, "modalities": ["rgb", "uv"],
        "encoder": {"backbone": SMALL, "sharing": sharing}, "head": {"out": 16},
        "fusion": fusion or {"kind": "mean"}, "losses": BOTH,
    }  # fmt: skip
    torch.manual_seed(0)
    mean, std = ({name: np.full(3, value) for name in BANDS} for value in (0.3, 0.1))
    return SimCLR(Experiment.parse(given), BANDS, mean, std)


def scenes(number: int = 4) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(0)
    return {name: torch.rand(number, 3, 32, 32, generator=random) for name in BANDS}


@pytest.mark.parametrize("sharing", ["separate", "shared", "trunk"])
@pytest.mark.parametrize("kind", KINDS)
def test_what_a_specimen_lacks_takes_no_part_in_anything(kind, sharing):
    net = simclr({"kind": kind}, sharing)
    if kind == "gated":
        torch.nn.init.normal_(net.fusion.gates.weight, std=0.1)
    results = {}
    for filler in (0.0, 9.0):
        images = scenes()
        images["uv"][~PRESENT["uv"]] = filler
        net.load_state_dict(simclr({"kind": kind}, sharing).state_dict())
        if kind == "gated":
            torch.manual_seed(1)
            torch.nn.init.normal_(net.fusion.gates.weight, std=0.1)
        net.train()
        h, z, _, cross = net(images, present=PRESENT)
        norms = {n: b.clone() for n, b in net.named_buffers() if "running" in n}
        results[filler] = h, [*z.values(), *cross.values()], norms
    (h, rows, norms), (h2, rows2, norms2) = results.values()
    assert len(rows) == 5
    for name in h:
        torch.testing.assert_close(h[name], h2[name], equal_nan=True)
    for each, other in zip(rows, rows2, strict=True):
        torch.testing.assert_close(each, other)
        assert each.isfinite().all()
    assert all(torch.equal(norm, norms2[name]) for name, norm in norms.items())
    assert h["uv"].isnan().any(1).tolist() == [False, True, False, True]
    assert not h["joint"].isnan().any()
    assert not any(each["uv"][~PRESENT["uv"]].any() for each in (z, cross))


@pytest.mark.parametrize("kind", KINDS)
def test_the_joint_of_one_modality(kind):
    net = simclr({"kind": kind}).eval()
    with torch.no_grad():
        h = net.embed(scenes(), present=PRESENT)
        whole = net.embed(scenes())
    lacking, having = ~PRESENT["uv"], PRESENT["uv"]
    torch.testing.assert_close(h["joint"][having], whole["joint"][having])
    torch.testing.assert_close(h["rgb"], whole["rgb"])
    match kind:
        case "mean" | "gated":
            torch.testing.assert_close(h["joint"][lacking], h["rgb"][lacking])
        case "concatenate":
            alone = torch.cat([h["rgb"], torch.zeros_like(h["rgb"])], 1)
            torch.testing.assert_close(h["joint"][lacking], alone[lacking])
        case "attention":
            assert (h["joint"] - whole["joint"])[lacking].abs().amax(1).min() > 1e-3
            # as if the other modality had no places at all
            seen = net.encoders([scenes()[name] for name in BANDS])
            ours = net.fusion
            keys = ours.before(seen[0].grid.flatten(2).mT) + ours.modality[0]
            query = ours.query.expand(4, -1, -1)
            found, _ = ours.attention(query, keys, keys)
            alone = h["rgb"] + found[:, 0].detach()
            torch.testing.assert_close(h["joint"][lacking], alone[lacking])


def test_a_batch_in_which_nobody_has_a_modality_still_trains():
    net = simclr()
    nobody = PRESENT | {"uv": torch.zeros(4, dtype=torch.bool)}
    h, z, _, cross = net(scenes(), present=nobody)
    assert h["uv"].isnan().all()
    there = {name: rows[:2] for name, rows in nobody.items()}
    loss, _ = total_loss(BOTH, Projections(z, present=there, cross=cross))
    loss.backward()
    assert loss.isfinite()
    uv = list(net.encoders)[1]
    assert all(p.grad is None or not p.grad.any() for p in uv.parameters())
    assert next(iter(net.encoders)).backbone.trunk.conv1[0].weight.grad.any()


def test_losses_compare_only_what_is_there():
    random = torch.Generator().manual_seed(0)
    z = {name: torch.randn(8, 5, generator=random) for name in ("rgb", "uv", "joint")}
    there = {"rgb": torch.tensor([1, 1, 1, 0]).bool(), "uv": torch.tensor([1, 1, 0, 1]).bool()}
    whole = torch.arange(4).repeat(2)

    def rows(name: str) -> tuple[Tensor, Tensor]:
        kept = there[name].repeat(2)
        return z[name][kept], whole[kept]

    (rgb, rgb_of), (uv, uv_of) = rows("rgb"), rows("uv")
    pairs = (rgb, rgb_of), (uv, uv_of), (z["joint"], whole)
    expected = [contrast(*pair, 0.2) for pair in pairs]
    found = NTXent().value(Projections(z, present=there))
    torch.testing.assert_close(found, torch.stack(expected).mean())

    # cross-modal, from the definition: the third and the fourth specimen are nobody's positive
    similarity = torch.nn.functional.cosine_similarity(rgb[:, None], uv[None], dim=2) / 0.2
    same = rgb_of[:, None] == uv_of[None]
    anchors = [
        torch.logsumexp(s, 0) - s[p].mean()
        for s, p in [*zip(similarity, same, strict=True), *zip(similarity.T, same.T, strict=True)]
        if p.any()
    ]
    assert len(anchors) == 8
    apart = {"rgb": z["rgb"], "uv": z["uv"]}
    cross = CrossModal().value(Projections({"joint": z["joint"]}, present=there, cross=apart))
    torch.testing.assert_close(cross, torch.stack(anchors).mean())


def test_dropout_leaves_out_as_often_as_asked_and_never_all():
    draws = torch.rand(20_000, 2, generator=torch.Generator().manual_seed(0))
    everything = torch.ones_like(draws, dtype=torch.bool)
    kept = joined(everything, 0.3, draws)
    assert kept.any(1).all()
    # 0.3 x 0.3 would leave out both; one of them stays
    assert float((~kept).float().mean()) == pytest.approx(0.3 - 0.3**2 / 2, abs=0.01)
    lacking = everything.clone()
    lacking[:, 1] = False
    assert joined(lacking, 0.9, draws).tolist() == lacking.tolist()
    assert joined(everything, 0.0, draws).all()


def test_dropout_is_of_training_and_of_torchs_random_state():
    net = simclr({"kind": "concatenate", "modality_dropout": 0.5})
    images = scenes(16)

    def left_out(seed: int) -> list[bool]:
        torch.manual_seed(seed)
        joint = net.embed(images)["joint"]
        return (joint.unflatten(1, (2, 1024)) == 0).all(2).any(1).tolist()

    assert left_out(1) == left_out(1) != left_out(2)
    assert any(left_out(1))
    assert not all(left_out(1))
    h = net.embed(images)
    assert not (h["rgb"] == 0).all(1).any()  # the modalities by themselves lose nothing
    net.eval()
    assert not any(left_out(1))


def test_separate_modalities_have_nothing_to_leave_out():
    net = simclr({"kind": "separate"})
    h, z, _, cross = net(scenes(), present=PRESENT)
    assert set(h) == set(z) == set(cross) == {"rgb", "uv"}
