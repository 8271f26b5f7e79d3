"""What every augmentation promises, ours and those that somebody else adds: views and gradients."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pydantic_core import PydanticUndefined
from torch import Tensor
from torch.nn.functional import avg_pool2d

from napari_phenoscape.cubes import Band, Bands
from napari_phenoscape.views import (
    Augmenter,
    BandContext,
    Filter,
    Geometric,
    KorniaModule,
    Operation,
    Photometric,
    RandomExposure,
    RandomGaussianNoise,
)

BANDS = {
    "spectrum": Bands(Band(f"{nm:.0f}", float(nm)) for nm in np.linspace(400, 800, 12)),
    "rgb+uv": Bands(Band(name) for name in ("R", "G", "B", "UV_R", "UV_G", "UV_B")),
}

#: Where the default does less than the operation can.
STRENGTHS: dict[str, dict[str, Any]] = {
    "ColorJitter": {"contrast": 0.4, "saturation": 0.4, "hue": 0.1},
    "RandomGaussianBlur": {"sigma": (0.5, 1.5)},
    "RandomBandDropout": {"share": 0.4},
    "RandomBandShift": {"shift_nm": 20},
    "RandomGaussianNoise": {"std": (0.5, 1.0)},
    "RandomSensorNoise": {"std": (0.5, 1.0)},
}


class Gamma(Photometric):
    """Somebody else's: only `apply`, and that is no affine function of the spectrum."""

    kind: Literal["Gamma"] = "Gamma"
    draws = 1

    def apply(
        self, image: Tensor, mask: Tensor, u: NDArray[np.float64], context: BandContext
    ) -> Tensor:
        return (image.clamp(min=0) + 0.1) ** image.new_tensor(0.5 + u[:, 0]).view(-1, 1, 1, 1)


class Haze(Photometric):
    """Somebody else's: affine, but not proportional, and it looks at the specimen."""

    kind: Literal["Haze"] = "Haze"

    def is_affine(self, context: BandContext) -> bool:
        return True

    def apply(
        self, image: Tensor, mask: Tensor, u: NDArray[np.float64], context: BandContext
    ) -> Tensor:
        mean = (image * mask).sum((2, 3), keepdim=True) / mask.sum((2, 3), keepdim=True)
        return 0.7 * image + 0.1 + 0.2 * mean


class Glow(Filter):
    """Somebody else's: only `apply`, and that is not linear."""

    kind: Literal["Glow"] = "Glow"
    draws = 1

    def apply(self, view: Tensor, u: NDArray[np.float64], first_band: int, unit: Tensor) -> Tensor:
        return view * avg_pool2d(view, 3, 1, 1) + view**2


class Box(Filter):
    """Somebody else's: it commutes, and leaves its gradient to autograd."""

    kind: Literal["Box"] = "Box"

    def commutes(self, context: BandContext) -> bool:
        return True

    def apply(self, view: Tensor, u: NDArray[np.float64], first_band: int, unit: Tensor) -> Tensor:
        return avg_pool2d(view, 3, 1, 1, count_include_pad=False) + 0.1 * unit[:, None, None]


class Fringe(Filter):
    """Somebody else's: a band depends on the others."""

    kind: Literal["Fringe"] = "Fringe"

    def apply(self, view: Tensor, u: NDArray[np.float64], first_band: int, unit: Tensor) -> Tensor:
        return view - 0.5 * view.mean(1, keepdim=True)


def named(base: type[Operation]) -> Iterator[type[Operation]]:
    """Ours, which test_house.py holds to be the union's, and those of this file."""
    for option in base.__subclasses__():
        here = option.__module__.startswith("napari_phenoscape.") or option.__module__ == __name__
        if here and option.model_fields["kind"].default is not PydanticUndefined:
            yield option
        yield from named(option)


MEMBERS = [*named(Operation)]


def strong(kind: type[Operation], **changes: object) -> Operation:
    return kind.parse({"p": 1.0, **STRENGTHS.get(kind.__name__, {}), **changes})


def cases(*bases: type[Operation]) -> Any:
    """Every member that derives from one of these, on a spectrum and on named bands."""
    return pytest.mark.parametrize(
        ("kind", "bands"),
        [
            pytest.param(kind, bands, id=f"{kind.__name__}-{name}")
            for kind in MEMBERS
            if issubclass(kind, bases)
            for name, bands in BANDS.items()
            if (kind.__name__, name) != ("RandomBandShift", "rgb+uv")  # refused there
        ],
    )


def random(*shape: int, seed: int = 1) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def augmenter(
    *operations: Operation, bands: tuple[Band, ...], background: str = "keep"
) -> Augmenter:
    mean = np.linspace(0.3, 0.5, len(bands), dtype=np.float32)
    return Augmenter(operations, bands, mean, 16, background)  # type: ignore[arg-type]


def image_of(make: Augmenter, images: Tensor, mix: Tensor | None = None) -> Tensor:
    masks = torch.ones(len(images), 1, *images.shape[2:], dtype=torch.bool)
    masks[..., : images.shape[2] // 4] = False
    numbers = np.arange(len(images))
    return make(images, masks, seed=5, step=3, specimens=numbers, view=(0, 1), mix=mix).image


@pytest.mark.parametrize("background", ["keep", "remove"])
@pytest.mark.parametrize("side", [15, 35], ids=["enlarged", "shrunk"])
@cases(Operation)
def test_an_operation_commutes_with_mixes_of_bands_if_and_only_if_it_says_so(
    kind: type[Operation],
    bands: tuple[Band, ...],
    side: int,
    background: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # noise is another one, with the same covariance: see test_spectral_operations
    silent = {"std": (0, 0)} if issubclass(kind, RandomGaussianNoise) else {}
    make = augmenter(strong(kind, **silent), bands=bands, background=background)
    images, mix = random(4, len(bands), side, side), random(3, len(bands), seed=2) - 0.3
    mixed_last = torch.einsum("kc,nchw->nkhw", mix, image_of(make, images))
    # whatever it says, the views are right
    torch.testing.assert_close(image_of(make, images, mix), mixed_last, atol=1e-5, rtol=0)
    said = make.commutes
    monkeypatch.setattr(Augmenter, "commutes", True)
    error = (image_of(make, images, mix) - mixed_last).abs().max()
    assert said == bool(error < 1e-5)


@cases(Operation)
def test_the_gradient_to_a_mix_is_autograds(kind: type[Operation], bands: tuple[Band, ...]) -> None:
    exposure = () if kind is RandomExposure else (RandomExposure(p=1),)
    make = augmenter(*exposure, strong(kind), bands=bands)
    images, weight = random(4, len(bands), 15, 15), random(8, 3, 16, 16, seed=3) - 0.5
    mix = (random(3, len(bands), seed=2) - 0.3).requires_grad_()
    (grad,) = torch.autograd.grad((image_of(make, images, mix) * weight).sum(), mix)
    if not issubclass(kind, RandomGaussianNoise):
        mixed_last = torch.einsum("kc,nchw->nkhw", mix, image_of(make, images))
        (expected,) = torch.autograd.grad((mixed_last * weight).sum(), mix)
        torch.testing.assert_close(grad, expected, atol=1e-4 * float(expected.abs().max()), rtol=0)
        return
    # noise hangs on the mix in a way of its own
    step = 0.01 * random(3, len(bands), seed=4)
    with torch.no_grad():
        ahead, behind = ((image_of(make, images, mix + by) * weight).sum() for by in (step, -step))
    assert float((grad * step).sum()) == pytest.approx(float(ahead - behind) / 2, rel=0.01)


@cases(Operation)
def test_the_gradient_to_the_pictures_is_autograds(
    kind: type[Operation], bands: tuple[Band, ...]
) -> None:
    operation = strong(kind)
    make = augmenter(operation, bands=bands)
    images, weight = random(2, len(bands), 16, 16), random(4, len(bands), 16, 16, seed=3) - 0.5
    leaf = images.clone().requires_grad_()
    (grad,) = torch.autograd.grad((image_of(make, leaf) * weight).sum(), leaf)
    # from float32, by small steps where it is bent
    size = 1.0 if make.commutes else 2e-3
    if kind.__name__ == "RandomPosterize":
        assert not grad.any()  # of steps
        return
    step = size * (random(2, len(bands), 16, 16, seed=4) - 0.5)
    ahead, behind = ((image_of(make, images + by) * weight).double().sum() for by in (step, -step))
    assert float((grad * step).sum()) == pytest.approx(float(ahead - behind) / 2, rel=0.02)


@cases(Photometric, Filter)
def test_the_gradient_through_a_module_of_kornia_is_that_of_finite_differences(
    kind: type[Photometric | Filter], bands: tuple[Band, ...]
) -> None:
    module = KorniaModule(strong(kind), bands, np.full(len(bands), 0.4))
    images = random(2, len(bands), 5, 5).double().requires_grad_()
    module(images)
    assert torch.autograd.gradcheck(lambda x: module(x, params=module._params), images, atol=1e-4)


def test_light_that_is_not_proportional_sees_the_exposure_before_it() -> None:
    """A constant that is added, and a band that shows its mean, are not exposed themselves."""
    images, exposure = random(2, 6, 16, 16), RandomExposure(p=1, stops=2)
    bands = BANDS["rgb+uv"]
    exposed = image_of(augmenter(exposure, bands=bands), images)
    mask = torch.ones(4, 1, 16, 16)
    mask[..., :4] = 0
    context = BandContext.of(bands, np.zeros(6, np.float32))
    exposed = Haze().apply(exposed, mask, np.empty((4, 0)), context)
    both = image_of(augmenter(exposure, Haze(p=1), bands=bands), images)
    torch.testing.assert_close(both, exposed, atol=1e-5, rtol=0)

    dropout = strong(
        next(kind for kind in MEMBERS if kind.__name__ == "RandomBandDropout"), share=1
    )
    dropped = image_of(augmenter(exposure, dropout, bands=bands), images)[..., 0, 0]
    expected = torch.linspace(0.3, 0.5, 6).expand(4, 6)
    torch.testing.assert_close(dropped, expected, atol=1e-6, rtol=0)


def test_a_new_filter_is_given_all_bands_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    make = augmenter(Fringe(p=1), bands=BANDS["spectrum"])
    images = random(2, 12, 16, 16)
    expected = images - 0.5 * images.mean(1, keepdim=True)
    # ours are given one at a time, for each thread
    monkeypatch.setattr("napari_phenoscape.views._filters.SEED_VALUES", 1)
    image = image_of(make, images)
    torch.testing.assert_close(image, expected.repeat(2, 1, 1, 1), atol=1e-5, rtol=0)


def test_a_new_operation_is_trusted_with_nothing_that_it_does_not_say() -> None:
    context = BandContext.of(BANDS["spectrum"], np.zeros(12, np.float32))
    assert not Gamma().is_affine(context)
    assert not Gamma().commutes(context)
    assert not Gamma.is_homogeneous
    assert Gamma.sees_specimen
    assert not Glow().commutes(context)
    assert Geometric.parse({"kind": "a turn"}).commutes(context)


def test_an_operation_of_no_stage_is_refused() -> None:
    class Lost(Operation):
        kind: Literal["Lost"] = "Lost"

    with pytest.raises(TypeError, match=r"Lost.*Photometric, Geometric or Filter"):
        augmenter(Lost(), bands=BANDS["spectrum"])
