"""Composites keep colour; mean spectra are exact, in blocks, and leave out what is not measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_phenoscape.cubes import Band, Bands, Cube
from napari_phenoscape.errors import BandMismatchError, CubeError, OptionError
from napari_phenoscape.spectra import (
    _components as components,
    composite,
    false_colour_bands,
    infrared_bands,
    mean_spectrum,
    picture,
    principal_components,
    rgb_bands,
    shown_bands,
    stretch,
    stretched,
    true_colour,
    ways,
    yellow_blue_bands,
)

SEVEN = Bands(
    [*(Band(n, region="vis") for n in "RGB"), *(Band(f"UV_{n}", region="uv") for n in "RGB")]
)


def numbered(count: int) -> Bands:
    return Bands(Band(f"band {i}") for i in range(count))


def spectral(*wavelengths_nm: float, bad: tuple[int, ...] = ()) -> Bands:
    return Bands(Band(f"{nm} nm", nm, bad=i in bad) for i, nm in enumerate(wavelengths_nm))


def cube_of(array: np.ndarray, bands: Bands | None = None, **more: object) -> Cube:
    return Cube(array, bands or numbered(len(array)), Path("leaf.bil"), **more)  # type: ignore[arg-type]


def test_a_composite_stretches_three_bands_by_one_common_range():
    # 0, 50 and 100 of 100 in every pixel of red, green, blue; the stretch must not make all white
    array = np.zeros((3, 10, 10), "f4")
    array[1], array[2] = 0.5, 1.0
    picture = composite(cube_of(array), (0, 1, 2))
    assert picture.shape == (10, 10, 3)
    assert picture[0, 0].tolist() == [0, 128, 255]


def test_uniformly_red_and_uniformly_blue_are_not_the_same():
    red = np.zeros((3, 4, 4), "f4")
    red[0] = 1
    assert composite(cube_of(red), (0, 1, 2))[0, 0].tolist() == [255, 0, 0]
    assert composite(cube_of(red[::-1]), (0, 1, 2))[0, 0].tolist() == [0, 0, 255]


def test_bands_are_shown_in_the_order_asked_for():
    array = np.arange(3, dtype="f4")[:, None, None] * np.ones((3, 2, 2), "f4")
    assert composite(cube_of(array), (2, 0, 1))[0, 0].tolist() == [255, 0, 128]


def test_what_was_not_measured_is_black_and_does_not_stretch():
    array = np.array([[[0, 100, 65535]]] * 3, "u2")
    picture = composite(cube_of(array, ignore_value=65535), (0, 1, 2))
    assert picture[0, :, 0].tolist() == [0, 255, 0]


def test_the_stretch_is_that_of_the_specimen():
    array = np.array([[[0.0, 0.4, 0.8, 900]]] * 3, "f4")
    mask = np.array([[True, True, True, False]])
    assert composite(cube_of(array, mask=mask), (0, 1, 2))[0, :, 0].tolist() == pytest.approx(
        [0, 128, 255, 255], abs=2
    )


@pytest.mark.parametrize("step", [1, 2, 3])
def test_a_step_leaves_out_rows_and_columns(step):
    array = np.random.default_rng(0).random((3, 11, 7)).astype("f4")
    whole = composite(cube_of(array), (0, 1, 2))
    part = composite(cube_of(array), (0, 1, 2), step)
    np.testing.assert_array_equal(part, whole[::step, ::step])


@pytest.mark.parametrize("value", [0.0, 0.3, np.nan])
def test_a_picture_of_one_value_is_black(value):
    picture = composite(cube_of(np.full((3, 2, 2), value, "f4")), (0, 1, 2))
    assert not picture.any()


@pytest.mark.parametrize(
    ("bands", "expected"),
    [
        (SEVEN, (0, 1, 2)),
        (Bands(Band(name) for name in ("UV_R", "B", "G", "R")), (3, 2, 1)),
        (spectral(400, 460, 500, 550, 600, 640).proposing((0, 0, 0)), (5, 3, 1)),
        (spectral(455, 460, 550, 640, 645, bad=(1, 3)), (4, 2, 0)),
        (numbered(6).proposing((4, 2, 0)), (4, 2, 0)),
        (spectral(*range(900, 1100, 40), bad=(0,)).proposing((4, 2, 0)), (4, 2, 1)),
        (SEVEN[3:], (0, 1, 2)),
        ((*SEVEN[:3], Band("x")), (0, 1, 2)),
        (Bands([Band("R"), Band("G", bad=True), Band("B")]), (0, 2, 2)),
        (numbered(6), (5, 2, 0)),
        (numbered(2), (1, 0, 0)),
        (numbered(1), (0, 0, 0)),
        (Bands([Band("bird lw", eye="bird"), *spectral(900, 1000, 1100)]), (3, 2, 1)),
        (Bands(Band(f"bird {n}", eye="bird") for n in ("lw", "sw")), (1, 0, 0)),
        (spectral(900, 1000, bad=(0, 1)), (1, 0, 0)),
    ],
    ids=[
        "names", "names in any order", "wavelengths", "wavelengths of good bands", "proposed",
        "proposed, but bad", "ultraviolet", "and another", "two of three", "no names",
        "two", "one", "beside catches", "catches alone", "all bad",
    ],
)  # fmt: skip
def test_red_green_and_blue_are_the_good_bands_that_show_them_best(bands, expected):
    assert rgb_bands(Bands(bands)) == expected


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)], ids=["rising", "falling"])
def test_a_near_infrared_camera_shows_its_longest_waves_red_and_its_shortest_blue(order):
    camera = spectral(*range(900, 1701, 100))
    shown = camera[order].take(rgb_bands(camera[order]))
    assert shown.names == ("1700 nm", "1300 nm", "900 nm")


def test_false_colour_shows_green_blue_uv():
    assert false_colour_bands(SEVEN) == (1, 2, 3)
    array = np.arange(6, dtype="f4")[:, None, None] * np.ones((6, 2, 2), "f4")
    assert picture(cube_of(array, SEVEN), "UV false colour")[0, 0].tolist() == [0, 128, 255]


def test_the_uv_of_a_scan_is_the_band_nearest_365_nm():
    assert false_colour_bands(spectral(350, 362, 390, 460, 550, 640)) == (4, 3, 1)


def test_without_the_light_of_a_picture_there_is_none():
    assert false_colour_bands(SEVEN[:3]) is None
    assert yellow_blue_bands(SEVEN[3:]) is None
    assert infrared_bands(SEVEN) is None


def test_yellow_against_blue_and_infrared_are_the_bands_of_their_rules():
    assert yellow_blue_bands(SEVEN) == (2, 2, 3)
    scan = spectral(365, 460, 550, 640, 760, 810, 950)
    assert yellow_blue_bands(scan) == (1, 1, 0)
    assert infrared_bands(scan) == (5, 3, 2)


def test_a_stretch_is_from_percentile_1_to_99_of_what_is_measured():
    # of 0, 1, ..., 100 one of a hundred steps lies below the first percentile, one above the 99th
    values = np.array([[*range(101), np.nan, 1e6]], "f4")
    mask = np.array([[True] * 102 + [False]])
    assert stretch(values, mask) == stretch(values[:, :-1]) == pytest.approx((1, 99))
    assert stretch(values[None].repeat(3, axis=0), mask) == pytest.approx((1, 99))
    assert stretch(values, ~mask) == (1e6, 1e6 + 1)
    assert stretch(values, np.zeros((1, 103), bool)) == stretch(values)
    assert stretch(np.full((1, 2), np.nan)) == (0, 1)


def test_values_are_shown_in_equal_steps_between_black_and_white():
    values = np.array([-1, 0, 0.5, 1, np.inf, np.nan], "f4").reshape(1, 2, 3).repeat(3, axis=0)
    shown = stretched(values, (0.0, 1.0))
    assert shown.shape == (2, 3, 3)
    assert shown[..., 0].tolist() == [[0, 0, 128], [255, 255, 0]]


def test_true_colour_is_that_of_daylight_and_as_bright_as_the_other_pictures():
    scan = spectral(*range(380, 731, 10))
    steep = 0.1 + 0.3 * (np.arange(380, 731, 10) > 590)  # red
    array = np.stack([steep, np.full(36, 0.2)], axis=1)[:, :, None].astype("f4")
    cube = cube_of(array, scan)
    assert ways(cube)[1] == "true colour"
    found = picture(cube, "true colour")
    np.testing.assert_array_equal(found, true_colour(cube, white=percentile_99(cube)))
    red, green, blue = found[0, 0].astype(int)
    assert red > green + 50 > blue
    assert np.ptp(found[1, 0].astype(int)) <= 1  # grey stays grey
    assert not picture(cube_of(array * 0, scan), "true colour").any()


def percentile_99(cube: Cube) -> float:
    """Of the visible bands."""
    return float(np.percentile(cube.reflectance(np.array(rgb_bands(cube.bands))), 99))


def test_a_cube_offers_the_pictures_that_it_has_bands_for():
    seven, three = cube_of(np.zeros((6, 1, 1)), SEVEN), cube_of(np.zeros((3, 1, 1)))
    assert ways(seven) == (
        "colours", "UV false colour", "UV yellow-blue", "principal components",
    )  # fmt: skip
    assert ways(three) == ("colours", "principal components")
    assert ways(cube_of(np.zeros((2, 1, 1)))) == ("colours",)


@pytest.mark.parametrize(
    ("show", "bands"),
    [
        ("colours", (2, 1, 0)),
        ("principal components", None),
        ("blue", (0, 0, 0)),
        ("555", (1, 1, 1)),
        ("640, 460 nm,green", (2, 0, 1)),
    ],
)
def test_bands_are_shown_by_name_or_wavelength(show, bands):
    three = Bands(Band(n, nm) for n, nm in (("blue", 460.0), ("green", 550.0), ("red", 640.0)))
    assert shown_bands(cube_of(np.zeros((3, 1, 1)), three), show) == bands


@pytest.mark.parametrize("show", ["", "700", "460,550", "UV false colour"])
def test_a_picture_that_the_cube_lacks_is_refused_with_those_it_has(show):
    with pytest.raises(OptionError, match="Choose from colours, principal components"):
        picture(cube_of(np.zeros((3, 1, 1)), spectral(460, 550, 640)), show)


def mixed(shape: tuple[int, int] = (30, 40)) -> tuple[np.ndarray, np.ndarray]:
    """Spectra of three orthogonal pigments in amounts of 9, 3 and 1 (sd), and these amounts."""
    random = np.random.default_rng(3)
    amounts = random.standard_normal((3, *shape)) * np.array([9.0, 3, 1])[:, None, None]
    axes = np.linalg.qr(random.standard_normal((8, 3)))[0]
    return np.tensordot(axes, amounts, 1).astype("f4"), axes


def test_components_are_the_pigments_by_their_variance():
    array, axes = mixed()
    found = principal_components(cube_of(array))
    assert np.abs(found.axes @ axes) == pytest.approx(np.eye(3), abs=0.05)
    assert found.share == pytest.approx(np.array([81, 9, 1]) / 91, abs=0.02)
    largest = np.abs(found.axes).argmax(axis=1)
    assert (found.axes[np.arange(3), largest] > 0).all()
    # and a second way to them: the singular vectors of the centred spectra
    flat = array.reshape(8, -1).astype("f8")
    vectors = np.linalg.svd(flat - flat.mean(1, keepdims=True), full_matrices=False)[0][:, :3]
    assert np.abs(found.axes @ vectors) == pytest.approx(np.eye(3), abs=1e-6)


def test_a_picture_of_components_shows_each_between_its_own_percentiles():
    array, _ = mixed()
    cube = cube_of(array)
    found = principal_components(cube)
    score = np.tensordot(found.axes, array - found.mean[:, None, None], 1)
    low, high = (np.percentile(score, q, axis=(1, 2))[:, None, None] for q in (1, 99))
    expected = np.moveaxis(((score - low) / (high - low) * 255).clip(0, 255), 0, -1)
    whole = picture(cube, "principal components")
    assert np.abs(whole - expected).max() < 1
    np.testing.assert_array_equal(picture(cube, "principal components", 3), whole[::3, ::3])


def test_components_are_those_of_the_specimen_and_of_what_was_measured(monkeypatch):
    array, axes = mixed()
    mask = np.zeros(array.shape[1:], bool)
    mask[5:25, 10:35] = True
    array[:, ~mask] = np.random.default_rng(4).random((8, (~mask).sum())) * 1000
    array[2, 6, 11:30] = np.nan
    bands = Bands([*numbered(8), Band("dead"), Band("flagged", bad=True)])
    array = np.concatenate([array, np.full((1, *mask.shape), np.nan), array[:1] * 100])
    monkeypatch.setattr(components, "SAMPLE", 130)  # every other row and column
    found = principal_components(cube_of(array.astype("f4"), bands, mask=mask))
    assert found.bands.tolist() == list(range(8))
    assert np.abs(found.axes @ axes)[0, 0] > 0.99
    image = picture(cube_of(array.astype("f4"), bands, mask=mask), "principal components")
    assert not image[6, 12].any()  # a band was not measured there


def test_components_need_three_bands_and_some_pixels():
    with pytest.raises(BandMismatchError, match="2 of 2 bands can be used"):
        principal_components(cube_of(np.ones((2, 3, 3), "f4")))
    with pytest.raises(CubeError, match="1 of 1 pixels were measured"):
        principal_components(cube_of(np.ones((3, 1, 1), "f4")))


def test_a_mean_spectrum_is_over_the_region_only():
    array = np.array([[[1, 3], [900, 5]], [[10, 10], [900, 10]]], "u2")
    mask = np.array([[True, True], [False, True]])
    mean, sd = mean_spectrum(cube_of(array, gain=np.float32(0.5)[...]), mask)
    assert mean.tolist() == pytest.approx([1.5, 5])
    assert sd.tolist() == pytest.approx([0.5 * np.sqrt(8 / 3), 0])


@pytest.mark.parametrize("block", [1, 40, 1 << 20])
def test_blocks_do_not_change_a_mean_spectrum(monkeypatch, block):
    random = np.random.default_rng(1)
    array = (1000 + random.random((5, 30, 20))).astype("f4")
    array[2, 3:9] = np.nan
    mask = random.random((30, 20)) < 0.3
    mask[12:20] = False
    monkeypatch.setattr("napari_phenoscape.cubes._blocks.BLOCK", block)
    mean, sd = mean_spectrum(cube_of(array), mask)
    chosen = array[:, mask].astype("f8")
    np.testing.assert_allclose(mean, np.nanmean(chosen, axis=1), rtol=1e-12)
    np.testing.assert_allclose(sd, np.nanstd(chosen, axis=1), rtol=1e-9)


def test_a_band_that_was_nowhere_measured_has_no_mean():
    array = np.ones((2, 2, 2), "f4")
    array[1] = np.nan
    mean, sd = mean_spectrum(cube_of(array), np.ones((2, 2), bool))
    assert (mean[0], sd[0]) == (1, 0)
    assert np.isnan([mean[1], sd[1]]).all()


@pytest.mark.parametrize(
    ("mask", "sentence"),
    [(np.zeros((2, 2), bool), "marks no pixel"), (np.ones((3, 2), bool), "the same size")],
)
def test_a_region_that_does_not_fit_is_refused(mask, sentence):
    with pytest.raises(CubeError, match=sentence):
        mean_spectrum(cube_of(np.ones((1, 2, 2))), mask)
