"""Stems beside the plain convolution: adapter, attention, and curves that start as a camera."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torchvision import models

from napari_phenoscape.cubes import RGB_NM, VISUAL_SYSTEMS, Band, Bands
from napari_phenoscape.errors import OptionError
from napari_phenoscape.nets import Encoder, ResponseCurves, SpectralResponse
from napari_phenoscape.nets._encoder import ModalityEncoder
from napari_phenoscape.nets._options import Adapter, SpectralAttention
from napari_phenoscape.nets._stem import BandGates, BandMix
from napari_phenoscape.spectra import built_in_system

CAMERA = Bands(Band(name, nm) for name, nm in zip("RGB", RGB_NM, strict=True))


def bands(number: int, low: float = 400, high: float = 700) -> Bands:
    return Bands(Band(f"{nm:.1f} nm", float(nm)) for nm in np.linspace(low, high, number))


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "resnet18.safetensors"
    torch.manual_seed(3)
    save_file(models.resnet18(weights=None).state_dict(), path)
    return path


def encoder(listed: Bands, stem: object, weights: Path) -> ModalityEncoder:
    mean = np.linspace(0.2, 0.4, len(listed))
    return ModalityEncoder(
        Encoder(stem=stem, weights=weights), listed, mean, mean / 3, image_size=32
    ).eval()


def images(number: int) -> Tensor:
    return torch.rand(2, number, 32, 32, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("curves", [3, 16])
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)], ids=["RGB", "BRG"])
@pytest.mark.parametrize("learned", [True, False])
def test_curves_that_start_from_rgb_are_the_pretrained_net_on_rgb(
    pretrained, curves, order, learned
):
    stem = SpectralResponse(curves=curves, start="rgb", learned=learned)
    listed = CAMERA.take(order)
    ours, plain = (encoder(listed, one, pretrained) for one in (stem, {"kind": "convolution"}))
    with torch.no_grad():
        found, expected = ours(images(3)), plain(images(3))
    assert expected.h.std() > 0.1
    torch.testing.assert_close(found.h, expected.h, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(found.grid, expected.grid, atol=1e-5, rtol=1e-4)


def test_curves_that_start_from_rgb_see_a_cube_as_the_camera_sees_its_colours(pretrained):
    """The same scene of smooth spectra in 408 bands and in three, through pretrained weights."""
    random = np.random.default_rng(0)
    height = random.uniform(size=(4, 5, 1, 4, 4)).repeat(8, 3).repeat(8, 4)
    centre = np.array([430, 480, 540, 600, 650])[:, None, None, None]

    def scene(nm: np.ndarray) -> np.ndarray:
        bells = np.exp(-0.5 * ((nm[:, None, None] - centre) / 60) ** 2)
        return (0.2 * height * bells[None]).sum(1)

    found = {}
    for listed in (CAMERA, bands(408, 348, 810)):
        x = scene(np.array([band.wavelength_nm for band in listed]))
        stem = SpectralResponse(curves=12, start="rgb")
        net = ModalityEncoder(
            Encoder(stem=stem, weights=pretrained), listed, x.mean((0, 2, 3)), x.std((0, 2, 3)), 32
        ).eval()
        with torch.no_grad():
            planes = net.stem(torch.as_tensor(x, dtype=torch.float32))[:, :3]
        found[len(listed)] = planes.transpose(0, 1).flatten(1)
    for k in range(3):  # R, G, B: correlation over pixels
        assert np.corrcoef(found[3][k], found[408][k])[0, 1] > 0.9


@pytest.mark.parametrize("eye", VISUAL_SYSTEMS)
def test_curves_that_start_from_an_eye_are_its_receptors(eye):
    listed = bands(121, 300, 900)
    receptors = built_in_system(eye).sensitivities
    number = len(receptors.names)
    option = SpectralResponse(start=eye, curves=number + 1, learned=False)
    stem = ResponseCurves(option, listed, np.full(121, 0.2), np.full(121, 0.1))
    nm, curves = stem.curves()
    wanted = receptors.at(nm)
    wanted /= wanted.sum(1, keepdims=True)
    seen = np.isfinite(curves[0])
    error = np.abs(curves[:number] - wanted)[:, seen].max(1) / wanted.max(1)
    assert error.max() < 0.02
    assert [plane.name for plane in stem.planes][:number] == list(receptors.names)
    assert not stem.coefficients.requires_grad


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"start": "rgb", "range_nm": (500, 1000)}, "cover 450-650 nm, and 'range_nm' is 500-1000"),
        ({"start": "rgb", "curves": 2}, "from rgb are 3 at least, and 'curves' is 2"),
        ({"start": "bird-v", "curves": 4}, "from bird-v are 5 at least, and 'curves' is 4"),
    ],
)
def test_a_start_that_does_not_fit_is_refused(given, said):
    with pytest.raises(OptionError, match=said):
        SpectralResponse.parse(given)


def test_as_many_curves_as_receptors_are_needed():
    for eye in VISUAL_SYSTEMS:
        number = len(built_in_system(eye).receptors)
        assert SpectralResponse(start=eye, curves=number).curves == number
        with pytest.raises(OptionError, match=f"{number} at least"):
            SpectralResponse.parse({"start": eye, "curves": number - 1})


def test_curves_are_told_with_their_wavelengths():
    stem = ResponseCurves(SpectralResponse(curves=5), bands(31), np.ones(31), np.ones(31))
    nm, curves = stem.curves()
    assert (nm[0], nm[-1], curves.shape) == (300, 1000, (5, 701))
    assert nm[np.isfinite(curves[0])][[0, -1]].tolist() == [390, 710]  # what the bands see
    expected = [plane.wavelength_nm for plane in stem.planes]
    assert nm[np.nanargmax(curves, 1)] == pytest.approx(expected, abs=6)
    np.testing.assert_allclose(np.nansum(curves, 1), 1, rtol=1e-4)  # unit area, per nm


def test_an_adapter_mixes_bands_without_regard_to_wavelength():
    listed = Bands(Band(name) for name in ("a", "b", "c", "d"))  # none is known
    stem = BandMix(Adapter(planes=2), listed, [1, 2, 3, 4], [1, 1, 2, 2])
    with torch.no_grad():
        stem.weight.copy_(torch.tensor([[1.0, 0, 0, 0], [0, 1, 1, 0]]))
    pixel = torch.tensor([3.0, 2, 7, 0]).reshape(1, 4, 1, 1)
    # in standard deviations, a is 2 above the mean, b none and c 2
    assert stem(pixel).flatten().tolist() == pytest.approx([2, 2])
    with torch.no_grad():
        assert stem(torch.tensor([1.0, 2, 3, 4]).reshape(1, 4, 1, 1)).abs().max() < 1e-6


@pytest.mark.parametrize("planes", [2, 16])
def test_planes_of_an_adapter_begin_about_as_spread_as_the_bands(planes):
    torch.manual_seed(0)
    stem = BandMix(Adapter(planes=planes), bands(60), np.full(60, 0.3), np.full(60, 0.1))
    noise = 0.3 + 0.1 * torch.randn(1, 60, 64, 64)
    assert stem(noise).shape == (1, planes, 64, 64)
    assert float(stem(noise).detach().std()) == pytest.approx(1, abs=0.25)


def test_attention_begins_as_the_plain_convolution_and_learns_gates_of_an_image():
    torch.manual_seed(0)
    stem = BandGates(SpectralAttention(reduction=2), bands(6), np.zeros(6), np.ones(6))
    x = torch.rand(3, 6, 5, 5)
    torch.testing.assert_close(stem(x), x)
    # one step with a loss that wants band 4 alone moves its gate up and the others down
    optimizer = torch.optim.SGD(stem.parameters(), lr=1.0)
    planes = stem(x)
    (planes.sum() - 2 * planes[:, 3].sum()).backward()
    optimizer.step()
    gates = stem.gates(x)
    assert (gates[:, 3] > 1).all()
    assert (gates[:, [0, 1, 2, 4, 5]] < 1).all()
    # squeeze and excite, as the paper has it, in NumPy
    with torch.no_grad():
        w1, b1, w2, b2 = (p.numpy() for p in stem.parameters())
        hidden = np.maximum(x.mean((2, 3)).numpy() @ w1.T + b1, 0)
        expected = 2 / (1 + np.exp(-(hidden @ w2.T + b2)))
        np.testing.assert_allclose(gates.detach(), expected, rtol=1e-5)
    assert len(w1) == 3
    narrow = BandGates(SpectralAttention(reduction=16), bands(6), np.zeros(6), np.ones(6))
    assert narrow.squeeze.out_features == 1


def test_attention_starts_from_pretrained_weights_as_the_convolution_does(pretrained):
    kinds = ({"kind": "spectral_attention"}, {"kind": "convolution"})
    gated, plain = (encoder(CAMERA, kind, pretrained) for kind in kinds)
    with torch.no_grad():
        torch.testing.assert_close(gated(images(3)).h, plain(images(3)).h)
