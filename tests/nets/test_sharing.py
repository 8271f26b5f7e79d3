"""What modalities share: nothing, one encoder, or the trunk behind their stems."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from napari_phenoscape.cubes import Band, Bands
from napari_phenoscape.errors import BandMismatchError
from napari_phenoscape.losses import CrossModal, Loss, NTXent, Projections, total_loss
from napari_phenoscape.specimens import Folder
from napari_phenoscape.training import Experiment, SimCLR
from napari_phenoscape.training._checkpoint import contiguous

RGB = Bands(Band(name, region="vis") for name in "RGB")
UV = Bands(Band(f"UV_{name}", region="uv") for name in "RGB")
VIS_NM = Bands(Band(f"{nm} nm", float(nm)) for nm in (450, 500, 550, 600, 650))
UV_NM = Bands(Band(f"{nm} nm", float(nm)) for nm in (340, 360, 380))
SMALL = "shufflenet_v2_x0_5"
ADAPTER = {"kind": "adapter", "planes": 4}
CURVES = {"kind": "spectral_response", "curves": 6}


BOTH = (NTXent(), CrossModal())


def simclr(
    bands: dict[str, Bands],
    sharing: str,
    stem: object = None,
    losses: tuple[Loss, ...] = (NTXent(),),
) -> SimCLR:
    encoder = {"backbone": SMALL, "sharing": sharing} | ({"stem": stem} if stem else {})
    experiment = Experiment.parse(
        {
            "collection": Folder(path=Path()), "image_size": 32, "modalities": list(bands),
            "encoder": encoder, "head": {"out": 16}, "losses": losses,
        }
    )  # fmt: skip
    torch.manual_seed(0)
    return SimCLR(
        experiment,
        bands,
        {name: np.linspace(0.2, 0.4, len(listed)) for name, listed in bands.items()},
        {name: np.linspace(0.1, 0.2, len(listed)) for name, listed in bands.items()},
    )


def scenes(net: SimCLR, bands: dict[str, Bands], number: int = 4) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(0)
    return {name: torch.rand(number, len(bands[name]), 32, 32, generator=random) for name in bands}


def weights(net: nn.Module) -> int:
    return sum(parameter.numel() for parameter in net.parameters())


def test_one_encoder_has_the_weights_of_one_and_a_trunk_a_token_for_each_modality():
    both = {"rgb": RGB, "uv": UV}
    one = weights(simclr({"rgb": RGB}, "separate").encoders)
    assert weights(simclr(both, "separate").encoders) == 2 * one
    assert weights(simclr(both, "shared").encoders) == one
    assert weights(simclr(both, "trunk").encoders) == one + 2 * 3
    apart = {"vis": VIS_NM, "uv": UV_NM}
    curves = simclr({"vis": VIS_NM}, "separate", CURVES).encoders
    knots = next(iter(curves)).stem.coefficients.numel()
    assert weights(simclr(apart, "shared", CURVES).encoders) == weights(curves)
    assert weights(simclr(apart, "trunk", CURVES).encoders) == weights(curves) + knots + 2 * 6


@pytest.mark.parametrize("sharing", ["shared", "trunk"])
def test_the_same_bands_get_the_same_features_unless_their_token_differs(sharing):
    net = simclr({"rgb": RGB, "uv": UV}, sharing).eval()
    image = torch.rand(2, 3, 32, 32)
    h = net.embed({"rgb": image, "uv": image})
    assert set(h) == {"rgb", "uv", "joint"}
    torch.testing.assert_close(h["rgb"], h["uv"])
    if sharing == "trunk":
        with torch.no_grad():
            next(iter(net.encoders)).token.fill_(0.5)
        other = net.embed({"rgb": image, "uv": image})
        torch.testing.assert_close(other["uv"], h["uv"])
        assert (other["rgb"] - h["rgb"]).abs().max() > 0.01 * h["rgb"].max()


@pytest.mark.parametrize("stem", [ADAPTER, CURVES, {"kind": "convolution"}])
@pytest.mark.parametrize("sharing", ["shared", "trunk"])
def test_every_weight_learns_and_all_survive_safetensors(sharing, stem):
    bands = {"vis": VIS_NM[:3], "uv": UV_NM}
    net = simclr(bands, sharing, stem, BOTH)
    images = scenes(net, bands)
    seen = net(images)
    total_loss(BOTH, Projections(seen.z, cross=seen.cross))[0].backward()
    idle = [name for name, w in net.named_parameters() if w.grad is None or not w.grad.any()]
    assert idle == []
    torch.optim.SGD(net.parameters(), lr=1e-6).step()
    restored = simclr(bands, sharing, stem, BOTH)
    restored.load_state_dict(load(save(contiguous(net.state_dict()))))
    with torch.no_grad():
        expected, found = net.eval()(images).h, restored.eval()(images).h
    assert all(torch.equal(found[name], rows) for name, rows in expected.items())
    # what was shared is shared again
    one, two = restored.encoders
    assert one.backbone is two.backbone
    pairs = zip(one.stem.parameters(), two.stem.parameters(), strict=True)
    assert all((a is b) == (sharing == "shared") for a, b in pairs)


def test_norms_of_a_shared_trunk_see_all_modalities_at_once():
    bands = {"rgb": RGB, "uv": UV}
    net = simclr(bands, "shared")
    images = scenes(net, bands)
    images["uv"] = 0.3 + 0.2 * images["uv"]
    norm = next(iter(net.encoders)).backbone.trunk.conv1[1]
    seen: list[Tensor] = []
    norm.register_forward_hook(lambda *call: seen.append(call[1][0]))
    net(images)
    assert len(seen) == 1
    assert seen[0].shape[0] == 8
    momentum = norm.momentum
    torch.testing.assert_close(norm.running_mean, momentum * seen[0].mean((0, 2, 3)))


def test_curves_of_one_encoder_are_spread_over_the_wavelengths_of_all_modalities():
    net = simclr({"vis": VIS_NM, "uv": UV_NM}, "shared", CURVES)
    centres = [plane.wavelength_nm for plane in next(iter(net.encoders)).stem.planes]
    assert centres == pytest.approx(np.linspace(330, 660, 6))
    apart = simclr({"vis": VIS_NM, "uv": UV_NM}, "trunk", CURVES)
    vis, uv = (encoder.stem.planes for encoder in apart.encoders)
    assert (vis[0].wavelength_nm, uv[-1].wavelength_nm) == (440, 390)


@pytest.mark.parametrize("sharing", ["shared", "trunk"])
@pytest.mark.parametrize("stem", [CURVES | {"curves": 2}, ADAPTER | {"planes": 2}])
def test_bands_can_be_mixed_first_whatever_is_shared(sharing, stem):
    bands = {"vis": VIS_NM if sharing == "trunk" else VIS_NM[:3], "uv": UV_NM}
    net = simclr(bands, sharing, stem).eval()
    for encoder in net.encoders:
        if encoder.token is not None:
            nn.init.normal_(encoder.token)
    images = scenes(net, bands)
    every = torch.cat(tuple(images.values()), 1)
    counts = np.cumsum([0, *(len(listed) for listed in bands.values())])
    places = {n: np.arange(a, b) for n, a, b in zip(bands, counts, counts[1:], strict=False)}
    mix = net.mix(places, every.shape[1])
    planes = net.planes(torch.einsum("kc,nchw->nkhw", mix, every))
    with torch.no_grad():
        expected, found = net(images).z, net(planes, mixed=True).z
    for name, rows in expected.items():
        torch.testing.assert_close(found[name], rows, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("sharing", "stem", "said"),
    [
        ("shared", None, "'vis' gives 5, 'uv' 3. Choose sharing 'separate'"),
        ("trunk", None, "'vis' gives 5, 'uv' 3"),
        ("trunk", {"kind": "spectral_attention"}, "'vis' gives 5, 'uv' 3"),
        ("shared", ADAPTER, "stem 'adapter' can be shared by modalities of as many bands only"),
    ],
)
def test_stems_that_do_not_fit_what_is_shared_are_refused(sharing, stem, said):
    with pytest.raises(BandMismatchError, match=said):
        simclr({"vis": VIS_NM, "uv": UV_NM}, sharing, stem)


def test_pretrained_kernels_go_to_the_modality_that_shows_colour(tmp_path):
    from torchvision import models

    path = tmp_path / "weights.pth"
    given = models.get_model(SMALL, weights=None).state_dict()
    torch.save(given, path)
    experiment = Experiment.parse(
        {
            "collection": Folder(path=Path()), "image_size": 32, "modalities": ["uv", "rgb"],
            "encoder": {"backbone": SMALL, "sharing": "trunk", "weights": str(path)},
        }
    )  # fmt: skip
    bands, ones = {"uv": UV, "rgb": RGB}, {"uv": np.ones(3), "rgb": np.ones(3)}
    net = SimCLR(experiment, bands, ones, ones)
    first = next(iter(net.encoders)).backbone.trunk.conv1[0].weight
    assert torch.equal(first.detach(), given["conv1.0.weight"])
