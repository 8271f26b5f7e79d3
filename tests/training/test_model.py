"""The net of an experiment: modalities, fusion, heads, and what a checkpoint must keep."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor
from torch.nn.functional import cosine_similarity

from napari_phenoscape.cubes import Band, Bands
from napari_phenoscape.errors import CheckpointError, PhenoscapeError
from napari_phenoscape.losses import CrossModal, NTXent, Projections, agreement, total_loss
from napari_phenoscape.nets import fusion
from napari_phenoscape.nets._backbone import Features
from napari_phenoscape.nets._options import Attention
from napari_phenoscape.specimens import Folder
from napari_phenoscape.training import Experiment, SimCLR, load_weights
from napari_phenoscape.training._checkpoint import WEIGHTS

RGB = Bands(Band(name, region="vis") for name in "RGB")
UV = Bands(Band(f"UV_{name}", region="uv") for name in "RGB")


def simclr(
    bands: dict[str, Bands],
    *,
    seed: int = 0,
    mean: float = 0.3,
    std: float = 0.1,
    **choices: object,
) -> SimCLR:
    experiment = Experiment.parse(
        {"collection": Folder(path=Path()), "image_size": 32, "modalities": list(bands)} | choices
    )
    torch.manual_seed(seed)
    return SimCLR(
        experiment,
        bands,
        {name: np.full(len(listed), mean) for name, listed in bands.items()},
        {name: np.full(len(listed), std) for name, listed in bands.items()},
    )


def scenes(net: SimCLR, number: int = 4, seed: int = 0) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(seed)
    return {name: torch.rand(number, 3, 32, 32, generator=random) for name in net.modalities}


@pytest.mark.parametrize(("kind", "joint"), [("concatenate", 1024), ("mean", 512)])
def test_several_modalities_have_a_space_each_and_a_joint_one(kind, joint):
    net = simclr({"rgb": RGB, "uv": UV}, fusion={"kind": kind}, head={"out": 16})
    h, z, patches, cross = net(scenes(net))
    assert patches == cross == {}
    assert {name: tuple(rows.shape) for name, rows in h.items()} == {
        "rgb": (4, 512), "uv": (4, 512), "joint": (4, joint),
    }  # fmt: skip
    assert {name: tuple(rows.shape) for name, rows in z.items()} == dict.fromkeys(h, (4, 16))
    assert net.space == "joint"
    both = torch.stack([h["rgb"], h["uv"]])
    fused = both.mean(0) if kind == "mean" else torch.cat(tuple(both), dim=1)
    assert torch.equal(h["joint"], fused)


def test_gates_begin_as_the_mean_and_learn_which_modality_to_trust():
    net = simclr({"rgb": RGB, "uv": UV}, fusion={"kind": "gated"}).eval()
    images = scenes(net)
    h = net.embed(images)
    torch.testing.assert_close(h["joint"], (h["rgb"] + h["uv"]) / 2)
    with torch.no_grad():
        net.fusion.gates.bias[:512] = 30.0  # all weight on the first
    torch.testing.assert_close(net.embed(images)["joint"], h["rgb"])


def test_attention_looks_at_the_places_of_both_modalities():
    torch.manual_seed(0)
    fused = fusion(Attention(heads=2), 8, 2)
    seen = [Features(torch.randn(3, 8), torch.randn(3, 8, 2, 2)) for _ in range(2)]
    joint = fused(seen)
    assert joint.shape == (3, 8)
    for modality in (0, 1):
        # another thing in one place of one specimen changes that specimen alone
        grid = seen[modality].grid.clone()
        grid[1, 0, 0, 1] += 3
        other = [*seen]
        other[modality] = seen[modality]._replace(grid=grid)
        changed = (fused(other) - joint).abs().amax(1) > 1e-6
        assert changed.tolist() == [False, True, False]
    # what is seen matters, not the order of the places
    turned = [each._replace(grid=each.grid.flip(2)) for each in seen]
    torch.testing.assert_close(fused(turned), joint)


def test_attention_has_more_than_one_key_so_its_weights_learn():
    torch.manual_seed(0)
    fused = fusion(Attention(heads=2), 8, 2)
    seen = [Features(torch.randn(3, 8), torch.randn(3, 8, 1, 1)) for _ in range(2)]
    (fused(seen) * torch.randn(3, 8)).sum().backward()
    # over a single key the weights are 1 whatever the query, and its gradient is 0
    assert float(fused.query.grad.norm()) > 1e-4
    assert float(fused.modality.grad.norm()) > 1e-4
    with pytest.raises(PhenoscapeError, match="8 features cannot be divided among 3 heads"):
        fusion(Attention(heads=3), 8, 2)


@pytest.mark.parametrize("kind", ["gated", "attention"])
def test_learned_fusion_trains_with_every_weight(kind):
    net = simclr({"rgb": RGB, "uv": UV}, fusion={"kind": kind})
    total_loss([NTXent()], Projections(net(scenes(net)).z))[0].backward()
    assert all(weight.grad is not None for weight in net.parameters())
    assert net.embed(scenes(net))["joint"].shape == (4, 512)


def test_separate_modalities_have_no_joint_space():
    net = simclr({"rgb": RGB, "uv": UV}, fusion={"kind": "separate"})
    assert net.spaces == ("rgb", "uv")
    assert list(net(scenes(net)).z) == ["rgb", "uv"]
    assert len(list(net.heads)) == 2


def test_modalities_are_compared_in_a_space_of_its_own_for_which_the_others_have_no_gradient():
    net = simclr({"rgb": RGB, "uv": UV}, losses=(NTXent(), CrossModal()), head={"out": 16})
    assert [name for name, _ in net.cross_heads.named_children()] == ["0", "1"]
    seen = net(scenes(net))
    assert {n: tuple(rows.shape) for n, rows in seen.cross.items()} == {
        "rgb": (4, 16), "uv": (4, 16),
    }  # fmt: skip
    assert not torch.allclose(seen.cross["rgb"], seen.z["rgb"])
    CrossModal().value(Projections(seen.z, cross=seen.cross)).backward()
    learning = {name.split(".")[0] for name, w in net.named_parameters() if w.grad is not None}
    assert learning == {"encoders", "cross_heads"}


def test_one_modality_has_one_space_whatever_it_is_called():
    net = simclr({"rgb+uv": RGB + UV})
    h, z, *_ = net({"rgb+uv": torch.rand(3, 6, 32, 32)})
    assert list(h) == list(z) == ["rgb+uv"]
    assert net.space == "rgb+uv"
    assert len(list(net.heads)) == 1


def test_a_modality_does_not_see_the_others():
    net = simclr({"rgb": RGB, "uv": UV}).eval()
    images = scenes(net)
    h = net.embed(images)
    other = net.embed(images | {"uv": 1 - images["uv"]})
    assert torch.equal(h["rgb"], other["rgb"])
    assert not torch.allclose(h["uv"], other["uv"])
    assert not torch.equal(*(encoder.backbone.trunk.conv1.weight for encoder in net.encoders))


def test_embed_gives_the_features_of_forward():
    net = simclr({"rgb": RGB, "uv": UV}).eval()
    images = scenes(net)
    for name, rows in net(images).h.items():
        assert torch.equal(net.embed(images)[name], rows)


def test_the_same_seed_gives_the_same_weights_and_another_seed_others():
    first, same, other = (simclr({"rgb": RGB}, seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(tensor, same[name]) for name, tensor in first.items())
    name = "encoders.0.backbone.trunk.layer4.1.conv2.weight"
    assert not torch.equal(first[name], other[name])


def test_units_of_reflectance_do_not_matter_because_the_net_standardises():
    fraction, percent = simclr({"rgb": RGB}), simclr({"rgb": RGB}, mean=30, std=10)
    images = scenes(fraction)
    torch.testing.assert_close(
        fraction.eval()(images).z["rgb"], percent.eval()({"rgb": 100 * images["rgb"]}).z["rgb"]
    )


@pytest.mark.parametrize("stem", ["convolution", "spectral_response"])
def test_weights_and_statistics_survive_safetensors(stem):
    bands = {
        "vis": Bands(Band(f"{nm} nm", float(nm)) for nm in (450, 550, 650)),
        "nir": Bands(Band(f"{nm} nm", float(nm)) for nm in (750, 850, 950)),
    }
    choices = {"encoder": {"stem": {"kind": stem}}}
    net = simclr(bands, **choices)
    net(scenes(net))  # the norms' running statistics move
    restored = simclr(bands, seed=5, mean=0, std=1, **choices)
    restored.load_state_dict(load(save(net.state_dict())))
    images = scenes(net, seed=1)
    with torch.no_grad():
        expected, found = net.eval()(images).z, restored.eval()(images).z
    assert all(torch.equal(found[name], rows) for name, rows in expected.items())


def test_weights_without_the_heads_of_a_loss_are_refused_in_words(tmp_path):
    net = simclr({"rgb": RGB, "uv": UV}, losses=(NTXent(), CrossModal()))
    older = {n: rows for n, rows in net.state_dict().items() if not n.startswith("cross_heads")}
    (tmp_path / WEIGHTS).write_bytes(save(older))
    with pytest.raises(CheckpointError, match=r"do not fit .*cross_heads.* an earlier version\?"):
        load_weights(tmp_path, net)


def test_every_weight_learns():
    losses = (NTXent(), CrossModal())
    net = simclr({"rgb": RGB, "uv": UV}, losses=losses)
    seen = net(scenes(net))
    total_loss(losses, Projections(seen.z, cross=seen.cross))[0].backward()
    assert [name for name, weight in net.named_parameters() if not weight.grad.any()] == []


def test_channels_last_gives_the_same_numbers():
    net = simclr({"rgb": RGB}).eval()
    images = scenes(net)
    with torch.no_grad():
        expected = net(images).z["rgb"]
        net.to(memory_format=torch.channels_last)
        last = {"rgb": images["rgb"].to(memory_format=torch.channels_last)}
        torch.testing.assert_close(net(last).z["rgb"], expected, atol=1e-5, rtol=1e-4)


def test_a_few_steps_teach_which_views_belong_together():
    net = simclr({"uv": UV}, std=0.3)
    random = torch.Generator().manual_seed(0)
    colours = torch.rand(8, 3, 1, 1, generator=random).repeat(2, 1, 1, 1)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3)
    losses = []
    for _ in range(25):
        views = colours + 0.1 * torch.randn(16, 3, 32, 32, generator=random)
        z = net({"uv": views}).z
        total, _ = total_loss([NTXent()], Projections(z))
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        losses.append(total.item())
    assert losses[-1] < losses[0] / 2
    assert agreement(z["uv"]) == 1


def test_response_curves_embed_a_cube_of_other_wavelengths_alike():
    def specimens(bands: int) -> tuple[dict[str, Bands], dict[str, Tensor]]:
        nm = np.linspace(348, 810, bands)
        pixels = np.random.default_rng(0).uniform(size=(3, 6, 1, 4, 4)).repeat(8, 3).repeat(8, 4)
        centre, height, width = 350 + 450 * pixels[0], pixels[1], 40 + 80 * pixels[2]
        spectra = height * np.exp(-0.5 * ((nm[:, None, None] - centre) / width) ** 2)
        listed = Bands(Band(f"{centre:.2f} nm", float(centre)) for centre in nm)
        return {"full": listed}, {"full": torch.as_tensor(spectra, dtype=torch.float32)}

    choices = {"encoder": {"stem": {"kind": "spectral_response"}}}
    bands, images = specimens(408)
    trained = simclr(bands, **choices)
    trained(images)
    other_bands, other_images = specimens(100)
    rebuilt = simclr(other_bands, seed=3, mean=0, std=1, **choices)
    rebuilt.load_state_dict(trained.state_dict())
    with torch.no_grad():
        h, other = trained.eval().embed(images)["full"], rebuilt.eval().embed(other_images)["full"]
    centred = h - h.mean(0)
    assert cosine_similarity(centred, other - h.mean(0)).min() > 0.99
    assert cosine_similarity(centred, centred.roll(1, 0)).max() < 0.9  # specimens do differ


def test_a_convolution_refuses_weights_of_another_number_of_bands():
    three, six = simclr({"rgb": RGB}), simclr({"rgb": RGB + UV})
    with pytest.raises(RuntimeError, match="size mismatch"):
        six.load_state_dict(three.state_dict())


def test_what_is_wrong_with_the_encoder_is_said_when_the_net_is_built():
    with pytest.raises(PhenoscapeError, match="'resnet19' is not a classification net"):
        simclr({"rgb": RGB}, encoder={"backbone": "resnet19"})
