"""Stems and backbones: any number of bands in, one embedding out, wavelengths kept."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torchvision
from safetensors.torch import save_file

from napari_phenoscape.cube import Band
from napari_phenoscape.encoders import Convolution, Encoder, SpectralResponse
from napari_phenoscape.encoders.backbone import SpectralEncoder
from napari_phenoscape.encoders.stem import ResponseStem
from napari_phenoscape.errors import (
    BandMismatchError,
    CheckpointError,
    MissingFileError,
    OptionError,
)

RGB = tuple(Band(name, region="vis") for name in "RGB")
UV = tuple(Band(f"UV_{name}", region="uv") for name in "RGB")


def scan(number: int) -> tuple[Band, ...]:
    return tuple(Band(f"b{i}", 350 + 460 * i / (number - 1)) for i in range(number))


@pytest.mark.parametrize(
    ("backbone", "dim"),
    [("resnet18", 512), ("vit_b_16", 768), ("convnext_tiny", 768), ("mobilenet_v3_small", 1024)],
)
def test_any_torchvision_net_gives_its_features_from_six_bands(backbone: str, dim: int) -> None:
    net = SpectralEncoder(Encoder(backbone=backbone), RGB + UV, 32).eval()
    with torch.inference_mode():
        h = net(torch.zeros(2, 6, 32, 32))
    assert h.shape == (2, dim)
    assert net.dim == dim


def test_pretrained_rgb_weights_give_the_same_features_on_rgb(tmp_path: Path) -> None:
    torch.manual_seed(0)
    pretrained = torchvision.models.resnet18(weights=None)
    save_file(pretrained.state_dict(), tmp_path / "resnet18.safetensors")
    ours = SpectralEncoder(Encoder(weights=tmp_path / "resnet18.safetensors"), RGB, 32).eval()
    pretrained.fc = torch.nn.Identity()
    x = torch.rand(2, 3, 32, 32)
    with torch.inference_mode():
        torch.testing.assert_close(ours(x), pretrained.eval()(x))


def test_pretrained_weights_follow_wavelength_not_position(tmp_path: Path) -> None:
    pretrained = torchvision.models.resnet18(weights=None)
    save_file(pretrained.state_dict(), tmp_path / "w.safetensors")
    bands = (Band("a", 455.0), Band("b", 355.0), Band("c", 700.0), Band("UV_R", region="uv"))
    net = SpectralEncoder(Encoder(weights=tmp_path / "w.safetensors"), bands, 32)
    rgb = pretrained.conv1.weight
    blue, red = rgb[:, 2], rgb[:, 0]
    expected = torch.stack([blue, blue, red, blue], 1) * 0.75
    torch.testing.assert_close(net.backbone.conv1.weight, expected)


def test_response_planes_of_a_spectrum_do_not_depend_on_the_sampling() -> None:
    planes = []
    for number in (408, 100):
        stem = ResponseStem(SpectralResponse(curves=24), scan(number))
        nm = torch.tensor([band.wavelength_nm for band in scan(number)])
        spectrum = 0.4 + 0.3 * torch.sin(nm / 60)  # smooth, as reflectance is
        with torch.inference_mode():
            planes.append(stem(spectrum[None, :, None, None].float()).flatten())
    similarity = torch.nn.functional.cosine_similarity(planes[0], planes[1], dim=0)
    assert similarity > 0.999


def test_response_curves_are_smooth_and_sum_to_one_at_the_start() -> None:
    matrix = ResponseStem(SpectralResponse(curves=8), scan(408)).matrix.detach()
    torch.testing.assert_close(matrix.sum(1), torch.ones(8))
    assert matrix.diff(dim=1).abs().max() < 0.05 * matrix.max()


def test_fixed_curves_are_not_learned() -> None:
    fixed = ResponseStem(SpectralResponse(learned=False), scan(50))
    assert [p.requires_grad for p in fixed.parameters()] == [False]
    assert ResponseStem(SpectralResponse(), scan(50)).curves.requires_grad


def test_bands_without_wavelength_have_no_response() -> None:
    with pytest.raises(BandMismatchError, match=r"'R' stands without.*convolution"):
        SpectralEncoder(Encoder(stem=SpectralResponse()), RGB, 32)


@pytest.mark.parametrize(
    ("encoder", "size", "error", "words"),
    [
        (Encoder(backbone="resnet19"), 32, OptionError, "did you mean resnet1"),
        (Encoder(backbone="squeezenet1_0"), 32, OptionError, "linear classifier"),
        (Encoder(backbone="vit_b_16"), 40, OptionError, "multiple of it; choose 32"),
        (Encoder(weights=Path("no.pth")), 32, MissingFileError, r"no\.pth"),
        (Encoder(stem=Convolution(), weights=Path(__file__)), 32, CheckpointError, "resnet18"),
    ],
    ids=["unknown", "no-classifier", "patches", "no-weights", "not-weights"],
)
def test_what_cannot_be_built_is_refused_in_words(
    encoder: Encoder, size: int, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        SpectralEncoder(encoder, RGB, size)
