"""The descriptor against its equations, written a second time pixel by pixel."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functional_call

from napari_phenoscape.cubes import Band
from napari_phenoscape.nets import Descriptor

SCALES = (1.0, 2.0, 4.0)


def of_bands(number: int) -> Descriptor:
    """Standardised by mean 0.5 and standard deviation 0.2."""
    bands = [Band(f"b{i}", 400.0 + i) for i in range(number)]
    return Descriptor(bands, [0.5] * number, [0.2] * number)


def pictures(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(0))


def disc(side: int, radius: float, number: int = 1) -> torch.Tensor:
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    middle = (side - 1) / 2
    inside = (y - middle) ** 2 + (x - middle) ** 2 <= radius**2
    return inside.expand(number, 1, side, side).clone()


def described(descriptor: Descriptor, images: torch.Tensor, mask: torch.Tensor) -> dict[str, float]:
    """Of one picture of one band."""
    values = descriptor(images, mask)[0].tolist()
    return {f"{m}, {s}": v for (_, m, s), v in zip(descriptor.names, values, strict=True)}


def reference(x: NDArray[np.float64], mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The 35 numbers of one plane, with the weights of every pixel pair by themselves."""
    rows, columns = x.shape

    def smoothed(values: NDArray[np.float64], sigma: float, row: int, column: int) -> float:
        total = 0.0
        for i in range(rows):
            for j in range(columns):
                if max(abs(i - row), abs(j - column)) <= 4 * sigma:
                    square = (i - row) ** 2 + (j - column) ** 2
                    total += values[i, j] * np.exp(-square / (2 * sigma**2))
        return total

    inside = np.argwhere(mask)
    maps = [x[mask]]
    for sigma in SCALES:
        edges, spots = [], []
        for i, j in inside:
            around = [(i, j), (i - 1, j), (i + 1, j), (i, j - 1), (i, j + 1)]
            a, a_up, a_down, a_left, a_right = (smoothed(x * mask, sigma, *p) for p in around)
            b, b_up, b_down, b_left, b_right = (
                smoothed(mask.astype(float), sigma, *p) for p in around
            )
            u = a / b
            slopes, bends = [], []
            for a0, a2, b0, b2 in (
                (a_up, a_down, b_up, b_down),
                (a_left, a_right, b_left, b_right),
            ):
                slope = ((a2 - a0) / 2 - u * (b2 - b0) / 2) / b
                bend = (a2 - 2 * a + a0) - 2 * slope * (b2 - b0) / 2 - u * (b2 - 2 * b + b0)
                slopes.append(slope)
                bends.append(bend / b)
            edges.append(np.hypot(*slopes))
            spots.append(sum(bends))
        maps += [np.array(edges), np.array(spots)]
    sums = [np.mean, np.std, *(lambda v, q=q: np.quantile(v, q) for q in (0.1, 0.5, 0.9))]
    return np.array([f(values) for f in sums for values in maps])


def test_it_is_what_its_equations_say() -> None:
    images, mask = pictures(1, 1, 9, 8), disc(9, 3.5)[..., :8]
    expected = reference((images[0, 0].double().numpy() - 0.5) / 0.2, mask[0, 0].numpy())
    np.testing.assert_allclose(of_bands(1)(images, mask)[0], expected, rtol=2e-4, atol=2e-4)


@pytest.mark.parametrize("bands", [3, 40])
def test_the_background_takes_no_part(bands: int) -> None:
    images, mask = pictures(2, bands, 32, 32), disc(32, 9, 2)
    other = torch.where(mask, images, torch.nan)
    descriptor = of_bands(bands)
    assert torch.equal(descriptor(images, mask), descriptor(other, mask))


def test_turning_and_mirroring_change_nothing() -> None:
    images, mask = pictures(1, 3, 24, 24), disc(24, 8)
    mask[..., :9, :9] = False
    whole = of_bands(3)(images, mask)
    for turned in (lambda x: x.rot90(1, (-2, -1)), lambda x: x.flip(-1), lambda x: x.flip(-2)):
        torch.testing.assert_close(of_bands(3)(turned(images), turned(mask)), whole)


def test_a_specimen_of_one_colour_has_no_edges_nor_spots_at_its_outline_either() -> None:
    found = described(of_bands(1), torch.full((1, 1, 24, 24), 0.9), disc(24, 7.3))
    assert found.pop("value, mean") == pytest.approx(2.0, abs=1e-5)  # (0.9 - 0.5) / 0.2
    for quantile in ("10%", "50%", "90%"):
        assert found.pop(f"value, {quantile}") == pytest.approx(2.0, abs=1e-5)
    assert max(map(abs, found.values())) < 1e-4


def test_a_ramp_has_its_slope_for_edges_and_no_spots() -> None:
    ramp = 0.02 * torch.arange(64.0).expand(1, 1, 64, 64)  # 0.1 standard deviations a pixel
    middle = disc(64, 10)
    descriptor = of_bands(1)
    # the mask of a whole picture, summed up where its border is far: the median
    found = described(descriptor, ramp, torch.ones_like(middle))
    assert found["edges 1 px, 50%"] == pytest.approx(0.1, rel=1e-3)
    assert found["spots 1 px, 50%"] == pytest.approx(0.0, abs=1e-4)


def test_a_smaller_spot_is_seen_at_a_smaller_scale() -> None:
    def spots(period: int) -> list[float]:
        x = torch.arange(64.0)
        wave = torch.sin(2 * torch.pi * x / period)
        images = 0.5 + 0.2 * (wave[:, None] * wave)[None, None]
        found = described(of_bands(1), images, disc(64, 30))
        return [found[f"spots {s:g} px, sd"] * s**2 for s in SCALES]

    assert [np.argmax(spots(period)) for period in (6, 12, 24)] == [0, 1, 2]


@pytest.mark.parametrize("pixels", [1, 2, 9])
def test_the_smallest_specimens_are_described(pixels: int) -> None:
    mask = torch.zeros(1, 1, 16, 16, dtype=torch.bool)
    mask[0, 0, 5 : 5 + min(pixels, 3), 5 : 5 + -(-pixels // 3)] = True
    found = of_bands(3)(pictures(1, 3, 16, 16), mask)
    assert found.isfinite().all()
    if pixels == 1:
        assert found.view(5, 7, 3)[1].abs().max() == 0  # no spread


def test_without_a_mask_the_whole_picture_is_the_specimen() -> None:
    images = pictures(1, 3, 16, 16)
    none, whole = torch.zeros(1, 1, 16, 16, dtype=torch.bool), disc(16, 99)
    assert torch.equal(of_bands(3)(images, none), of_bands(3)(images, whole))


def test_a_picture_is_described_alike_alone_and_among_others() -> None:
    images, mask = pictures(5, 3, 64, 64), disc(64, 25, 5)
    alone = torch.cat([of_bands(3)(images[i : i + 1], mask[i : i + 1]) for i in range(5)])
    torch.testing.assert_close(of_bands(3)(images, mask), alone)


@pytest.mark.parametrize(("bands", "numbers"), [(3, 105), (16, 560), (17, 314), (369, 1018)])
def test_every_number_has_a_name_of_its_own(bands: int, numbers: int) -> None:
    descriptor = of_bands(bands)
    found = descriptor(pictures(1, bands, 12, 12), disc(12, 5))
    assert found.shape == (1, numbers)
    assert len(set(descriptor.names)) == numbers


def test_names_are_in_the_order_of_the_numbers() -> None:
    descriptor = of_bands(20)
    images = pictures(1, 20, 12, 12)
    images[:, 4] = 0.7
    found = dict(zip(descriptor.names, descriptor(images, disc(12, 5))[0].tolist(), strict=True))
    assert found["b4", "value", "mean"] == pytest.approx(1.0, abs=1e-5)
    assert found["b4", "value", "sd"] == pytest.approx(0.0, abs=1e-5)
    three = of_bands(3)
    found = dict(zip(three.names, three(images[:, 3:6], disc(12, 5))[0].tolist(), strict=True))
    assert found["b1", "value", "10%"] == pytest.approx(1.0, abs=1e-5)
    assert found["b1", "edges 2 px", "mean"] == pytest.approx(0.0, abs=1e-5)
    assert found["b0", "edges 2 px", "mean"] > 0.01


def test_of_many_bands_the_planes_are_those_that_vary_most() -> None:
    # three hidden pigments make 40 bands
    generator = torch.Generator().manual_seed(1)
    mixing = torch.randn(40, 3, generator=generator)
    hidden = (
        torch.randn(4, 3, 24, 24, generator=generator) * torch.tensor([4.0, 2, 1])[:, None, None]
    )
    images = 0.5 + 0.2 * torch.einsum("ck,nkhw->nchw", mixing, hidden)
    descriptor, mask = of_bands(40), disc(24, 9, 4)
    descriptor.lead(descriptor.pixel_scatter(images, mask) / 4)
    rebuilt = torch.linalg.pinv(descriptor.components[:3]) @ descriptor.components[:3]
    whole = (images - 0.5) / 0.2
    torch.testing.assert_close(
        torch.einsum("bc,nchw->nbhw", rebuilt, whole), whole, rtol=1e-3, atol=1e-3
    )
    means = descriptor(images, mask)[:, : descriptor.components.shape[0]]
    assert means.isfinite().all()


def test_it_stays_on_the_device_of_the_pictures() -> None:
    descriptor = of_bands(20)
    state = descriptor.state_dict()
    with FakeTensorMode() as mode:
        held = {name: mode.from_tensor(tensor).cuda() for name, tensor in state.items()}
        images = torch.empty(2, 20, 32, 32, device="cuda")
        mask = torch.empty(2, 1, 32, 32, dtype=torch.bool, device="cuda")
        assert functional_call(descriptor, held, (images, mask)).device.type == "cuda"


def test_an_accelerator_that_counts_no_pixels_has_the_scatter_of_a_processor(monkeypatch) -> None:
    monkeypatch.setattr("napari_phenoscape.nets._descriptor.PIXELS", 20)
    descriptor, images = of_bands(3), pictures(4, 3, 16, 16)
    # of 316, 112, 1 and no pixels, at most 20 each
    mask = torch.cat([disc(16, radius) for radius in (99, 6, 0.8, 0)])
    wanted = descriptor.pixel_scatter(images, mask)
    monkeypatch.setattr("napari_phenoscape.nets._descriptor.together", lambda _: True)
    for values in (1, 10**9):  # one picture at a time, and all
        monkeypatch.setattr("napari_phenoscape.nets._descriptor.CHUNK_VALUES_ELSEWHERE", values)
        torch.testing.assert_close(descriptor.pixel_scatter(images, mask), wanted)


def test_leading_planes_have_a_mean_square_of_one_however_dark_the_pictures() -> None:
    descriptor, scatter = of_bands(40), torch.diag(torch.linspace(0.4, 0.01, 40))
    descriptor.lead(scatter)
    planes = descriptor.components
    torch.testing.assert_close(planes @ scatter @ planes.mT, torch.eye(len(planes)))
