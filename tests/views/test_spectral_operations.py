"""Spectral operations, and bands that are mixed before anything else: the same as after."""

from __future__ import annotations

import weakref

import kornia.augmentation as kornia
import numpy as np
import pytest
import torch

from napari_phenoscape.cubes import Band, Bands
from napari_phenoscape.errors import BandMismatchError
from napari_phenoscape.nets import ResponseCurves, SpectralResponse
from napari_phenoscape.training import Experiment, SimCLR
from napari_phenoscape.views import (
    Augmenter,
    ColorJitter,
    Filter,
    KorniaModule,
    Operation,
    Photometric,
    RandomAffine,
    RandomBandDropout,
    RandomBandShift,
    RandomErasing,
    RandomExposure,
    RandomGaussianBlur,
    RandomGaussianNoise,
    RandomGrayscale,
    RandomIlluminantTilt,
    RandomPerspective,
    RandomPosterize,
    RandomResizedCrop,
    RandomRotation,
    RandomSensorNoise,
    RandomSharpness,
    RandomThinPlateSpline,
    RandomVignetting,
    Views,
)
from napari_phenoscape.views._randomness import uniforms

#: Everything that is affine in the spectrum of a pixel, but for noise.
COMMUTING: tuple[Operation, ...] = (
    RandomExposure(p=0.7),
    RandomIlluminantTilt(p=0.7),
    RandomBandShift(p=0.7, shift_nm=3),
    ColorJitter(p=0.7, contrast=0.4, saturation=0.4, hue=0.1),
    RandomGrayscale(p=0.2),
    RandomBandDropout(p=0.7, share=0.2),
    RandomResizedCrop(),
    RandomRotation(),
    RandomAffine(),
    RandomPerspective(),
    RandomThinPlateSpline(),
    RandomErasing(),
    RandomGaussianBlur(p=0.7),
    RandomSharpness(p=0.7),
    RandomVignetting(p=0.7),
)


#: The same, and what is left of the photometric stage is one factor for all bands.
COMMON_GAIN = tuple(
    op for op in COMMUTING if not (isinstance(op, Photometric) and op.changes_pixels)
)


def _spectrum(count: int) -> Bands:
    return Bands(Band(f"{nm:.1f}", float(nm)) for nm in np.linspace(400, 800, count))


def _made(
    operations: tuple[Operation, ...],
    images: torch.Tensor,
    bands: Bands | None = None,
    *,
    size: int | None = None,
    mean: float = 0.4,
    background: str = "keep",
    mix: torch.Tensor | None = None,
) -> Views:
    count, channels, side, _ = images.shape
    masks = torch.ones(count, 1, side, side, dtype=torch.bool)
    masks[..., : side // 4] = False
    fill = np.full(channels, mean, np.float32)
    make = Augmenter(operations, bands or _spectrum(channels), fill, size or side, background)
    numbers = np.arange(count)
    return make(images, masks, seed=5, step=3, specimens=numbers, view=1, mix=mix)


def _draws(operation: Operation, count: int) -> np.ndarray:
    return uniforms(
        1 + operation.draws,
        purpose=operation.kind,
        seed=5,
        step=3,
        specimens=np.arange(count),
        view=1,
    )[:, 1:]


def _random(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("background", ["keep", "remove"])
@pytest.mark.parametrize("side", [30, 70], ids=["enlarged", "shrunk"])
@pytest.mark.parametrize(
    "operations",
    [(), COMMON_GAIN, COMMUTING],
    ids=["none", "common gain", "all"],
)
def test_mixing_first_equals_mixing_last(operations, side, background):
    images = _random(6, 40, side, side)
    mix = (_random(5, 40) - 0.3) / 10
    last = _made(operations, images, size=32, background=background)
    first = _made(operations, images, size=32, background=background, mix=mix)
    expected = torch.einsum("kc,nchw->nkhw", mix, last.image)
    torch.testing.assert_close(first.image, expected, atol=1e-5, rtol=0)
    assert torch.equal(first.mask, last.mask)
    assert torch.equal(first.matrix, last.matrix)


@pytest.mark.parametrize("side", [24, 50], ids=["enlarged", "shrunk"])
@pytest.mark.parametrize("operations", [COMMUTING, COMMON_GAIN], ids=["all", "common gain"])
def test_learned_curves_get_the_same_gradient_from_mixing_first(operations, side):
    bands = _spectrum(60)
    images, weight = _random(5, 60, side, side), _random(5, 8, 20, 20)
    stem = ResponseCurves(SpectralResponse(curves=8), bands, np.full(60, 0.4), np.full(60, 0.2))

    def gradient(planes: torch.Tensor) -> torch.Tensor:
        stem.zero_grad()
        (planes * weight).sum().backward()
        found = stem.coefficients.grad
        assert found is not None
        return found.clone()

    last = stem(_made(operations, images, size=20).image)
    mixed = _made(operations, images, size=20, mix=stem.matrix()).image
    first = mixed - stem.offset()[:, None, None]
    torch.testing.assert_close(first, last, atol=1e-5, rtol=1e-5)
    expected = gradient(last)
    torch.testing.assert_close(
        gradient(first), expected, atol=1e-4 * float(expected.abs().max()), rtol=1e-3
    )


@pytest.mark.parametrize("operations", [COMMUTING, COMMON_GAIN], ids=["all", "common gain"])
def test_gradient_of_two_views_is_that_of_one_after_the_other(operations):
    images, masks = _random(7, 40, 24, 24), torch.ones(7, 1, 24, 24, dtype=torch.bool)
    weight, numbers = _random(14, 5, 20, 20), np.arange(7)
    mix = ((_random(5, 40) - 0.3) / 10).requires_grad_()
    noisy = (*operations, RandomGaussianNoise(p=0.7))
    make = Augmenter(noisy, _spectrum(40), np.full(40, 0.4, np.float32), 20, "remove")

    def gradient(view: int | tuple[int, ...], weight: torch.Tensor) -> torch.Tensor:
        views = make(images, masks, seed=5, step=3, specimens=numbers, view=view, mix=mix)
        loss = (views.image * weight).sum()
        found = torch.autograd.grad(loss, mix, retain_graph=True)[0]
        # going back leaves what is needed to go back again
        assert torch.equal(found, torch.autograd.grad(loss, mix)[0])
        return found

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(3)
        found = [gradient((0, 1), weight) for _ in range(5)]
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(found[0], again) for again in found)
    expected = gradient(0, weight[:7]) + gradient(1, weight[7:])
    torch.testing.assert_close(found[0], expected, atol=1e-4 * float(expected.abs().max()), rtol=0)


def test_views_of_a_learned_mix_are_freed_with_their_graph():
    mix = _random(3, 12).requires_grad_()
    image = _made(COMMON_GAIN, _random(2, 12, 16, 16), mix=mix).image
    image.sum().backward()
    there = weakref.ref(image)
    del image
    assert there() is None


@pytest.mark.parametrize("kind", [RandomGaussianNoise, RandomSensorNoise])
def test_noise_of_mixed_bands_has_the_covariance_of_the_mix(kind):
    mix = _random(3, 12) - 0.3
    noise = kind(p=1, std=(0.1, 0.1))
    images = torch.zeros(1, 12, 200, 200)
    found, last = (_made((noise,), images, mix=given).image[0] for given in (mix, None))
    expected = np.cov(torch.einsum("kc,chw->khw", mix, last).flatten(1).numpy())
    # 40 000 samples: standard error of a variance is 0.7 % of it
    np.testing.assert_allclose(
        np.cov(found.flatten(1).numpy()), expected, atol=0.04 * np.abs(expected).max()
    )


def test_gradient_of_a_learned_mix_goes_through_the_noise_too():
    noise = (RandomGaussianNoise(p=1, std=(0.2, 0.2)),)
    images, weight = _random(2, 12, 16, 16), _random(2, 3, 16, 16)

    def loss(mix: torch.Tensor) -> torch.Tensor:
        return (_made(noise, images, mix=mix).image * weight).sum()

    mix = (_random(3, 12) - 0.3).requires_grad_()
    (grad,) = torch.autograd.grad(loss(mix), mix)
    step = torch.zeros_like(mix)
    step[1, 4] = 0.05
    with torch.no_grad():
        difference = float(loss(mix + step) - loss(mix - step)) / 0.1
    assert float(grad[1, 4]) == pytest.approx(difference, rel=0.02)


#: What can be a module of Kornia: all that is not geometry.
CHANGES = tuple(
    operation
    for operation in (*COMMUTING, RandomPosterize(), RandomGaussianNoise(), RandomSensorNoise())
    if isinstance(operation, Photometric | Filter)
)


@pytest.mark.parametrize("operation", CHANGES, ids=[op.kind for op in CHANGES])
def test_operations_work_inside_the_containers_of_kornia(operation):
    images, bands = 0.1 + _random(8, 12, 16, 16), _spectrum(12)
    always = operation.model_copy(update={"p": 1.0})
    module = KorniaModule(always, bands, np.full(12, 0.4))
    torch.manual_seed(0)
    for container in (
        kornia.AugmentationSequential(module, data_keys=["input"]),
        kornia.container.ImageSequential(module),
    ):
        once = container(images)
        assert once.shape == images.shape
        assert not torch.equal(once, images)
        # the same parameters give the same pictures
        assert torch.equal(container(images, params=container._params), once)
        if operation.draws:
            assert not torch.equal(container(images), once)
    video, frames = (
        kornia.VideoSequential(module, data_format="BTCHW"),
        images.view(2, 4, 12, 16, 16),
    )
    filmed = video(frames[:, :1].expand(-1, 4, -1, -1, -1))
    assert filmed.shape == frames.shape
    if not isinstance(operation, RandomGaussianNoise):
        torch.testing.assert_close(filmed[:, 0], filmed[:, 3])
    shared = KorniaModule(always, bands, np.full(12, 0.4), same_on_batch=True)
    alike = shared(images[:1].expand(4, -1, -1, -1))
    torch.testing.assert_close(alike[0], alike[3])
    half = KorniaModule(operation.model_copy(update={"p": 0.5}), bands, np.full(12, 0.4))
    changed = (half(images) != images).flatten(1).any(1)
    chosen = half._params["batch_prob"] > 0.5
    assert changed.any()  # a blur of 0.1 pixels leaves one as it is
    assert not changed[~chosen].any()


def test_a_module_of_kornia_does_what_the_operation_does():
    images, bands = _random(3, 12, 8, 8), _spectrum(12)
    module = KorniaModule(RandomExposure(p=1), bands, np.full(12, 0.4))
    lit = module(images)
    gain = RandomExposure(p=1).gain(module._params["u"].numpy())
    torch.testing.assert_close(lit, images * torch.as_tensor(gain).float().view(-1, 1, 1, 1))


def test_only_what_is_affine_in_the_spectrum_can_be_mixed_first():
    def commutes(operation: Operation, bands: Bands) -> bool:
        return Augmenter((operation,), bands, np.zeros(len(bands)), 8, "keep").commutes

    rgb = Bands(Band(name) for name in "RGB")
    assert not commutes(RandomPosterize(), rgb)
    assert not commutes(ColorJitter(hue=0.1), rgb)
    assert commutes(ColorJitter(hue=0.1), _spectrum(8))
    assert commutes(ColorJitter(contrast=0.1, saturation=0.1), rgb)
    assert commutes(RandomPosterize(p=0), rgb)


def test_exposure_is_a_gain_of_so_many_stops():
    images, exposure = _random(40, 5, 8, 8), RandomExposure(p=1, stops=1.5)
    ratio = (_made((exposure,), images).image / images).flatten(1)
    torch.testing.assert_close(ratio.amin(1), ratio.amax(1), atol=1e-4, rtol=0)
    stops = ratio.mean(1).log2()
    assert 1.2 < float(stops.abs().max()) <= 1.5
    assert float(stops.min()) < 0 < float(stops.max())


def test_tilt_is_smooth_over_wavelengths_whatever_their_order():
    tilt, ones = RandomIlluminantTilt(p=1, strength=0.3), torch.ones(3, 31, 4, 4)
    gains = _made((tilt,), ones).image[..., 1, 1].log().numpy()
    x = np.linspace(-1, 1, 31)
    a, b = (0.3 * (2 * _draws(tilt, 3) - 1)).T[:, :, None]
    np.testing.assert_allclose(gains, a * x + b * (3 * x**2 - 1) / 2, atol=1e-5)
    backwards = _made((tilt,), ones, _spectrum(31)[::-1]).image[..., 1, 1].log().numpy()
    np.testing.assert_allclose(backwards, gains[:, ::-1], atol=1e-6)


def test_tilt_of_named_bands_goes_from_uv_to_red():
    names = ("R", "G", "B", "UV_R", "UV_G", "UV_B", "X")
    tilt = RandomIlluminantTilt(p=1)
    gains = _made((tilt,), torch.ones(1, 7, 4, 4), Bands(map(Band, names))).image[0, :, 1, 1]
    from_uv = _made((tilt,), torch.ones(1, 7, 4, 4)).image[0, :, 1, 1]
    torch.testing.assert_close(gains[[5, 4, 3, 2, 1, 0, 6]], from_uv)


def test_band_shift_moves_a_line_by_so_many_nm():
    shift, nm = RandomBandShift(p=1, shift_nm=4), np.linspace(400, 800, 401)
    line = torch.from_numpy(np.exp(-0.5 * ((nm - 600) / 20) ** 2)).float()
    found = _made((shift,), line.view(1, -1, 1, 1).repeat(5, 1, 4, 4)).image[..., 1, 1].numpy()
    centres = (found * nm).sum(1) / found.sum(1)
    np.testing.assert_allclose(centres - 600, 8 * _draws(shift, 5)[:, 0] - 4, atol=0.01)


def test_band_shift_refuses_bands_without_wavelengths():
    with pytest.raises(BandMismatchError, match=r"RandomBandShift.*give the cube wavelengths"):
        _made((RandomBandShift(),), torch.ones(1, 3, 4, 4), Bands(map(Band, "RGB")))


def test_dropped_bands_show_the_mean_and_the_others_themselves():
    images = _random(20, 50, 6, 6)
    found = _made((RandomBandDropout(p=1, share=0.2),), images, mean=0.7).image
    dropped = (found - 0.7).abs().amax((2, 3)) < 1e-6
    assert float(dropped.float().mean()) == pytest.approx(0.2, abs=0.04)
    torch.testing.assert_close(found[~dropped], images[~dropped], atol=1e-5, rtol=0)
    assert len(torch.unique(dropped, dim=0)) == 20


def test_sensor_noise_grows_towards_both_ends_of_the_range():
    noise = RandomSensorNoise(p=1, std=(0.1, 0.1), ends=3.0)
    found = _made((noise,), torch.zeros(1, 5, 120, 120), mean=0.5).image[0].std((1, 2)) / 0.5
    # x = -1, -0.5, 0, 0.5, 1: 1 + 2 x²
    np.testing.assert_allclose(found.numpy(), [0.3, 0.15, 0.1, 0.15, 0.3], rtol=0.05)


def test_vignetting_follows_the_fourth_power_of_the_cosine():
    lens = RandomVignetting(p=1, angle=(30, 30))
    found = _made((lens,), torch.ones(4, 3, 33, 33)).image[:, 0]
    centre = _draws(lens, 4)[:, 1:3] - 0.5
    # the middle of the view lies at this distance from the lens' centre, half a view being 1
    angle = np.arctan(np.hypot(*centre.T) * np.tan(np.deg2rad(30)))
    np.testing.assert_allclose(found[:, 16, 16].numpy(), np.cos(angle) ** 4, rtol=1e-5)
    assert found.max() <= 1


def test_the_net_is_told_the_same_whether_bands_are_mixed_first_or_by_itself():
    experiment = Experiment.parse(
        {
            "collection": {"kind": "folder", "path": "."},
            "image_size": 32,
            "encoder": {"stem": {"kind": "spectral_response", "curves": 6}},
        }
    )
    bands = _spectrum(40)
    places = {"a": np.arange(25), "b": np.arange(15, 40)}
    net = SimCLR(
        experiment,
        {name: bands.take(index) for name, index in places.items()},
        {name: np.full(25, 0.4) for name in places},
        {name: np.full(25, 0.2) for name in places},
    ).eval()
    images = _random(2, 40, 32, 32)
    mix = net.mix(places, 40)
    assert mix is not None
    assert mix.shape == (12, 40)
    last, first = _made(COMMUTING, images), _made(COMMUTING, images, mix=mix)
    by_itself = net({name: last.image[:, index] for name, index in places.items()})
    told = net(net.planes(first.image), mixed=True)
    for name in net.spaces:
        torch.testing.assert_close(told.z[name], by_itself.z[name], atol=1e-4, rtol=1e-3)
