"""Views made all at once, as on an accelerator, against those of a processor, a few at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from napari_phenoscape import _device
from napari_phenoscape.cubes import Bands
from napari_phenoscape.losses import matches
from napari_phenoscape.nets import Grid
from napari_phenoscape.views import PRESETS, Augmenter, Operation, RandomResizedCrop, Views
from tests.views.test_contract import BANDS, MEMBERS, random, strong

CHAINS: dict[str, Callable[[], tuple[Operation, ...]]] = {
    # of half of the views, so that those that change are no neighbours; crops of all sizes
    **{
        kind.__name__: lambda kind=kind: (
            (RandomResizedCrop(scale=(0.05, 1)), strong(kind, p=0.5))
            if kind is not RandomResizedCrop
            else (strong(kind),)
        )
        for kind in MEMBERS
    },
    **{name: lambda name=name: PRESETS[name] for name in PRESETS},
}


@pytest.fixture
def all_at_once(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Makes the processor work as an accelerator does."""
    return lambda: monkeypatch.setattr(_device, "FEW_AT_A_TIME", {"mps"})


def made(chain: str, bands: Bands, side: int, mixed: bool) -> tuple[Views, Tensor]:
    """Views, and the gradient to their pictures, or to the mix."""
    mean = np.linspace(0.3, 0.5, len(bands), dtype=np.float32)
    make = Augmenter(CHAINS[chain](), bands, mean, 16, "remove" if mixed else "keep")
    images, mix = random(5, len(bands), side, side), random(3, len(bands), seed=2) - 0.3
    masks = torch.ones(5, 1, side, side, dtype=torch.bool)
    masks[..., : side // 4] = False
    leaf = (mix if mixed else images).requires_grad_()
    views = make(
        images,
        masks,
        seed=5,
        step=3,
        specimens=np.arange(5) * 3,
        view=(0, 1),
        mix=mix if mixed else None,
        rows=np.array([3, 0, 1, 4, 2]),
    )
    weight = random(*views.image.shape, seed=3) - 0.5
    (gradient,) = torch.autograd.grad((views.image * weight).sum(), leaf)
    return views, gradient


@pytest.mark.parametrize("mixed", [False, True], ids=["bands", "mixed"])
@pytest.mark.parametrize("named", BANDS)
@pytest.mark.parametrize("chain", CHAINS)
def test_views_and_gradients_are_the_same_however_many_are_made_at_once(
    chain: str, named: str, mixed: bool, all_at_once: Callable[[], None]
) -> None:
    if (chain, named) == ("RandomBandShift", "rgb+uv"):
        pytest.skip("refused there")
    few, gradient = made(chain, BANDS[named], 70, mixed)
    all_at_once()
    every, other = made(chain, BANDS[named], 70, mixed)
    torch.testing.assert_close(every.image, few.image, atol=1e-5, rtol=0)
    assert torch.equal(every.mask, few.mask)
    scale = float(gradient.abs().max())
    torch.testing.assert_close(other, gradient, atol=1e-5 * max(scale, 1), rtol=0)
    grid = Grid(4, 4, 1.5, 4.0)
    pairs = [matches(v.part(slice(5)), v.part(slice(5, None)), grid) for v in (every, few)]
    for one, same in zip(*pairs, strict=True):
        assert torch.equal(one.nan_to_num(), same.nan_to_num())


def test_rows_that_do_not_fit_together_are_made_in_parts(
    all_at_once: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    few, gradient = made("pattern-only", BANDS["spectrum"], 35, True)
    all_at_once()
    monkeypatch.setattr("napari_phenoscape.views._pipeline.VALUES_TOGETHER", 3 * 12 * 35**2)
    parts, other = made("pattern-only", BANDS["spectrum"], 35, True)
    torch.testing.assert_close(parts.image, few.image, atol=1e-5, rtol=0)
    torch.testing.assert_close(other, gradient, atol=1e-5 * float(gradient.abs().max()), rtol=0)
