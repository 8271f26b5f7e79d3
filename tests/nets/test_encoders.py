"""Encoders: bands, wavelengths and backbones."""

from __future__ import annotations

import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision import models
from torchvision.models.vision_transformer import VisionTransformer

from napari_phenoscape.cubes import Band, Bands
from napari_phenoscape.errors import (
    BandMismatchError,
    CheckpointError,
    MissingFileError,
    OptionError,
)
from napari_phenoscape.nets import Encoder, ResponseCurves, SpectralResponse
from napari_phenoscape.nets._backbone import Tokens
from napari_phenoscape.nets._encoder import ModalityEncoder
from napari_phenoscape.nets._stem import Standardised, rgb_mixing
from napari_phenoscape.nets._weights import read_weights

RGB = Bands(Band(name, region="vis") for name in "RGB")
UV = Bands(Band(f"UV_{name}", region="uv") for name in "RGB")


def cube_bands(*centres_nm: float) -> Bands:
    return Bands(Band(f"{nm:.2f} nm", float(nm)) for nm in centres_nm)


def encoder(
    bands=RGB, *, image_size: int = 32, mean: float = 0, std: float = 1, **option: object
) -> ModalityEncoder:
    torch.manual_seed(0)
    numbers = np.ones(len(bands))
    return ModalityEncoder(Encoder(**option), bands, mean * numbers, std * numbers, image_size)


def test_bands_are_standardised_over_the_collection():
    stem = Standardised(RGB, mean=[0.1, 0.2, 0.3], std=[0.1, 0.2, 0.1])
    planes = stem(torch.tensor([0.3, 0.2, 0.2]).reshape(1, 3, 1, 1))
    assert planes.flatten().tolist() == pytest.approx([2, 0, -1])


def test_a_constant_band_is_not_blown_up_to_the_others_variation():
    stem = Standardised(RGB, mean=[0, 0, 0], std=[0.2, 0.1, 0])
    assert stem.std.flatten().tolist() == pytest.approx([0.2, 0.1, 0.002])


@pytest.mark.parametrize(
    "bands", [RGB, RGB[::-1], cube_bands(640, 550, 460)], ids=["RGB", "BGR", "nm"]
)
def test_rgb_kernels_go_to_rgb_bands_unchanged_in_any_order(bands):
    mixing = rgb_mixing(bands)
    assert mixing.tolist() == (np.eye(3)[::-1] if bands[0].name == "B" else np.eye(3)).tolist()


def test_rgb_kernels_follow_wavelength_not_position():
    # 505 nm lies half way between blue (460) and green (550); UV shows no colour
    mixing = rgb_mixing(cube_bands(350, 460, 505, 550, 640))
    np.testing.assert_allclose(mixing[:, 0], 0.2 * np.ones(3))
    np.testing.assert_allclose(mixing[0] - 0.2 * np.eye(5)[0], [0, 0, 0, 0, 0.8])
    np.testing.assert_allclose(mixing[1, 1:], 0.8 * np.array([0, 0.5, 1, 0]) / 1.5)
    np.testing.assert_allclose(mixing[2, 1:], 0.8 * np.array([1, 0.5, 0, 0]) / 1.5)


@pytest.mark.parametrize(
    "bands",
    [RGB, UV, RGB + UV, cube_bands(*np.linspace(348, 810, 40)), cube_bands(650, 700, 900)],
    ids=["rgb", "uv", "rgb+uv", "hyperspectral", "red and nir"],
)
def test_a_grey_image_gives_what_it_gave_in_rgb(bands):
    np.testing.assert_allclose(rgb_mixing(bands).sum(1), 1)


def hyperspectral(bands: int, low: float = 348, high: float = 810):
    """Bands, and a scene of 6 x 6 smooth spectra (1, C, 6, 6) seen in them."""
    nm = np.linspace(low, high, bands)
    random = np.random.default_rng(0)
    pixels = random.uniform(size=(3, 6, 6))
    centre, height, width = 350 + 450 * pixels[0], pixels[1], 40 + 80 * pixels[2]
    spectra = 0.1 + height * np.exp(-0.5 * ((nm[:, None, None] - centre) / width) ** 2)
    return cube_bands(*nm), torch.as_tensor(spectra[None], dtype=torch.float32)


def curves(bands, scene: Tensor | None = None, **option: object) -> ResponseCurves:
    if scene is None:
        mean, std = 0.3 * np.ones(len(bands)), 0.1 * np.ones(len(bands))
    else:
        mean, std = scene.mean((0, 2, 3)).numpy(), scene.std((0, 2, 3)).numpy()
    return SpectralResponse(**option).build(bands, mean, std)


def test_response_planes_measure_the_departure_from_the_mean_in_standard_deviations():
    stem = curves(hyperspectral(408)[0])
    image = torch.full((1, 408, 2, 2), 0.3)
    assert stem(image).detach().abs().max() < 1e-5
    planes = stem(image + 0.2).detach()
    assert planes.shape == (1, 24, 2, 2)
    torch.testing.assert_close(planes, torch.full_like(planes, 2))


def test_a_response_curve_answers_to_its_own_wavelengths():
    stem = curves(hyperspectral(408)[0])
    matrix = stem.matrix().detach().numpy()
    nm = np.linspace(348, 810, 408)
    centres = (matrix * nm).sum(1) / matrix.sum(1)
    expected = [plane.wavelength_nm for plane in stem.planes]
    np.testing.assert_allclose(centres[2:-2], expected[2:-2], atol=1)
    assert (np.abs(nm[matrix.argmax(1)] - expected) < 11).all()


@pytest.mark.parametrize("other", [100, 40])
def test_the_same_curves_see_the_same_scene_in_other_bands(other):
    bands, scene = hyperspectral(408)
    trained = curves(bands, scene)
    other_bands, other_scene = hyperspectral(other)
    rebuilt = curves(other_bands, other_scene * 0)
    rebuilt.load_state_dict(trained.state_dict())
    difference = (trained(scene) - rebuilt(other_scene)).detach()
    assert difference.abs().max() < 0.05  # standard deviations
    assert trained(scene).std() > 0.5


def test_order_of_bands_does_not_matter_to_curves():
    bands, scene = hyperspectral(60)
    order = torch.randperm(60, generator=torch.Generator().manual_seed(0))
    shuffled = curves(bands.take(order), scene[:, order])
    torch.testing.assert_close(shuffled(scene[:, order]), curves(bands, scene)(scene))


def test_bands_of_the_same_wavelength_share_its_weight():
    single, double = curves(cube_bands(450, 550, 650)), curves(cube_bands(450, 550, 550, 650))
    weights = single.matrix().detach()
    halved = torch.stack([weights[:, 0], weights[:, 1] / 2, weights[:, 1] / 2, weights[:, 2]], 1)
    torch.testing.assert_close(double.matrix().detach(), halved)


def test_wavelengths_that_another_camera_does_not_see_count_as_the_mean():
    bands, scene = hyperspectral(408)
    trained = curves(bands, scene)
    visible, visible_scene = hyperspectral(100, 450, 810)
    rebuilt = curves(visible, visible_scene)
    rebuilt.load_state_dict(trained.state_dict())
    planes = rebuilt(visible_scene).detach()
    nm = np.array([plane.wavelength_nm for plane in trained.planes])
    assert planes[:, nm < 400].abs().max() < 1e-6
    difference = (planes - trained(scene).detach())[:, nm > 490]
    assert difference.abs().max() < 0.05


@pytest.mark.parametrize("learned", [True, False])
def test_curves_are_learned_or_fixed(learned):
    bands, scene = hyperspectral(30)
    stem = curves(bands, learned=learned, curves=8)
    assert stem.coefficients.requires_grad is learned
    assert stem(scene).requires_grad is learned
    assert stem(scene).shape[1] == 8


def test_curves_keep_their_precision_in_bf16():
    bands, scene = hyperspectral(408)
    stem = curves(bands, scene + 5)  # the mean is fifty times the variation
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = stem(scene + 5).float()
    assert (half - stem(scene + 5)).std() < 0.1


@pytest.mark.parametrize(
    ("bands", "said"),
    [
        (RGB, r"'R' has no wavelength.*stem 'convolution'"),
        (cube_bands(500, 1400), r"1400 nm\) lies outside .* 300-1000 nm\. Widen"),
    ],
    ids=["no wavelength", "out of range"],
)
def test_curves_refuse_bands_that_they_cannot_place(bands, said):
    with pytest.raises(BandMismatchError, match=said):
        curves(bands)
    assert curves(cube_bands(500, 1400), range_nm=(300, 2500)).matrix().shape == (24, 2)


def test_an_empty_range_is_refused():
    with pytest.raises(OptionError, match="range 700-400 nm is empty"):
        SpectralResponse.parse({"range_nm": (700, 400)})


def headless(net: nn.Module) -> nn.Module:
    """The net up to what its classifier gets."""
    match net:
        case models.ConvNeXt():
            net.classifier[2] = nn.Identity()
        case models.ResNet() | models.RegNet() | models.ShuffleNetV2():
            net.fc = nn.Identity()
        case models.SwinTransformer():
            net.head = nn.Identity()
        case _:
            net.classifier = nn.Identity()
    return net.eval()


@pytest.mark.parametrize(
    ("name", "features", "places"),
    [
        ("resnet18", 512, 2),
        ("convnext_tiny", 768, 2),
        ("densenet121", 1024, 2),
        ("efficientnet_b0", 1280, 2),
        ("mobilenet_v3_small", 576, 2),
        ("regnet_x_400mf", 400, 2),
        ("shufflenet_v2_x0_5", 1024, 2),
        ("swin_t", 768, 2),
    ],
)
def test_with_rgb_weights_h_is_what_the_nets_classifier_gets(tmp_path, name, features, places):
    torch.manual_seed(1)
    net = models.get_model(name, weights=None)
    save_file(net.state_dict(), tmp_path / "weights.safetensors")
    ours = encoder(backbone=name, image_size=64, weights=tmp_path / "weights.safetensors").eval()
    images = torch.rand(2, 3, 64, 64)
    with torch.no_grad():
        found = ours(images)
        torch.testing.assert_close(found.h, headless(net)(images), atol=1e-5, rtol=1e-5)
    assert ours.features == features
    assert found.grid.shape == (2, features, places, places)


def test_bands_in_another_order_see_the_same_through_rgb_weights(tmp_path):
    path = tmp_path / "weights.pth"
    torch.save(models.resnet18(weights=None).state_dict(), path)
    rgb, bgr = (encoder(bands, weights=path).eval() for bands in (RGB, RGB[::-1]))
    image = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(rgb(image).h, bgr(image.flip(1)).h)


def test_weights_of_another_number_of_classes_fit(tmp_path):
    save_file(models.resnet18(num_classes=7).state_dict(), tmp_path / "w.safetensors")
    ours = encoder(weights=tmp_path / "w.safetensors")
    theirs = models.resnet18(num_classes=7)
    theirs.load_state_dict(ours.backbone.trunk.state_dict(), strict=False)
    assert torch.equal(ours.backbone.trunk.layer4[1].conv2.weight, theirs.layer4[1].conv2.weight)


@pytest.mark.parametrize("bands", [1, 3, 7, 408])
def test_any_number_of_bands_goes_in_and_none_changes_the_scale(bands):
    ours = encoder(cube_bands(*np.linspace(348, 810, bands)))
    first = ours.backbone.trunk.conv1
    assert first.weight.shape == (64, bands, 7, 7)
    assert float(first(torch.randn(4, bands, 32, 32)).detach().std()) == pytest.approx(
        1.414 * (3 / 64) ** 0.5,
        rel=0.1,  # sqrt(2 / fan_out) * sqrt(fan_in), inside the border less
    )


def test_a_vision_transformers_grid_is_its_patches_in_their_places():
    torch.manual_seed(0)
    net = VisionTransformer(
        image_size=24, patch_size=8, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=16
    ).eval()
    net.heads = nn.Identity()
    image = torch.rand(2, 3, 24, 24)
    ours = Tokens(net)
    with torch.no_grad():
        h, grid = ours(image)
        torch.testing.assert_close(h, net(image))
        assert grid.shape == (2, 16, 3, 3)
        changed = image.clone()
        changed[:, :, 16:, 8:16] += 5  # the patch in row 2, column 1
        difference = (ours(changed).grid - grid).abs().sum(1)[0]
    assert divmod(int(difference.argmax()), 3) == (2, 1)


def test_vit_b_16_takes_any_multiple_of_16_px_and_says_so_of_others():
    found = encoder(UV, backbone="vit_b_16", image_size=32)(torch.rand(1, 3, 32, 32))
    assert found.h.shape == (1, 768)
    assert found.grid.shape == (1, 768, 2, 2)
    with pytest.raises(OptionError, match=r"patches of 16 px.*100 px.*Set image_size to 96\."):
        encoder(backbone="vit_b_16", image_size=100)


@pytest.mark.parametrize(
    ("name", "features"),
    [
        ("resnet18", 512),
        ("test_resnet", 96),
        ("vit_tiny_patch16_224", 192),
        ("swin_tiny_patch4_window7_224", 768),
    ],
)
def test_timm_nets_give_h_and_grid(name, features):
    pytest.importorskip("timm")
    size = 64 if name != "swin_tiny_patch4_window7_224" else 224
    ours = encoder(RGB + UV, backbone=f"timm:{name}", image_size=size).eval()
    found = ours(torch.rand(2, 6, size, size))
    assert found.h.shape == (2, features)
    side = {"resnet18": 2, "test_resnet": 2, "vit_tiny_patch16_224": 4}.get(name, 7)
    assert found.grid.shape == (2, features, side, side)


def test_an_unknown_backbone_is_answered_with_the_nearest():
    with pytest.raises(OptionError, match=r"'resnet19' is not a .*Nearest: resnet18"):
        encoder(backbone="resnet19")


def test_timm_that_is_not_installed_is_said_with_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(OptionError, match=r"pip install \"napari-phenoscape\[timm\]\""):
        encoder(backbone="timm:resnet18")


def test_an_image_that_is_too_small_for_the_net_is_said():
    with pytest.raises(OptionError, match=r"'alexnet' does not take images of 32 px .*Enlarge"):
        encoder(backbone="alexnet")


def test_weights_that_are_not_there_are_named(tmp_path):
    with pytest.raises(MissingFileError, match=r"no file of weights at '.*none\.pth'"):
        encoder(weights=tmp_path / "none.pth")


def wrong_weights(kind: str, folder: Path) -> Path:
    path = folder / "weights.pth"
    match kind:
        case "another net":
            torch.save(models.mobilenet_v3_small().state_dict(), path)
        case "another shape":
            torch.save(models.resnet18().state_dict() | {"conv1.weight": torch.ones(2)}, path)
        case "a checkpoint of a trainer":
            torch.save({"epoch": 3, "model": {"x": torch.ones(2)}}, path)
        case "code":
            torch.save(nn.Linear(2, 2), path)
        case "a text":
            path.write_text("no weights")
        case "a text called safetensors":
            path = folder / "weights.safetensors"
            path.write_text("no weights")
    return path


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("another net", r"120 of 122 tensors of 'resnet18' .*'conv1.weight' is missing"),
        ("another shape", r"1 of 122 tensors .*'conv1.weight' has shape \(2,\)"),
        ("a checkpoint of a trainer", "holds more than tensors by name"),
        ("code", "cannot be read as weights"),
        ("a text", "cannot be read as weights"),
        ("a text called safetensors", "cannot be read as weights"),
    ],
)
def test_weights_that_do_not_fit_are_refused_in_one_sentence(tmp_path, kind, said):
    with pytest.raises(CheckpointError, match=said):
        encoder(weights=wrong_weights(kind, tmp_path))


def test_damage_of_any_kind_is_no_error_of_torchs(tmp_path):
    path, draws = tmp_path / "weights.pth", np.random.default_rng(0)
    path.write_text("root:x:0:0:root:/root:/bin/bash\n")
    with pytest.raises(CheckpointError, match="cannot be read as weights"):
        read_weights(path)
    torch.save({"x": torch.ones(3)}, path, _use_new_zipfile_serialization=False)
    whole = path.read_bytes()
    for _ in range(300):
        damaged = bytearray(whole)
        for place in draws.integers(0, len(whole), 3):
            damaged[place] = draws.integers(256)
        path.write_bytes(damaged)
        with suppress(CheckpointError):
            read_weights(path)


def test_two_starts_are_refused():
    with pytest.raises(OptionError, match=r"'weights' \(a.pth\) and 'download' are both given"):
        Encoder.parse({"weights": "a.pth", "download": True})


@pytest.mark.parametrize(
    ("backbone", "size"),
    [("resnet18", 160), ("squeezenet1_1", 96), ("convnext_tiny", 160), ("timm:test_vit", 96)],
)
def test_the_places_of_the_grid_look_where_their_gradient_comes_from(backbone, size):
    if backbone.startswith("timm:"):
        pytest.importorskip("timm")
    net = encoder(backbone=backbone, image_size=size).eval()
    place = net.grid.rows // 2
    images = torch.randn(4, 3, size, size, requires_grad=True)
    seen = net(images).grid[:, :, place, place]
    (seen * torch.randn(seen.shape[1])).sum().backward()
    weight = images.grad.square().sum((0, 1, 2))
    centre = float((weight * torch.arange(size)).sum() / weight.sum())
    assert centre == pytest.approx(net.grid.first + net.grid.step * place, abs=5)
