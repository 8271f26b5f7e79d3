"""Composites keep colour; mean spectra are exact, in blocks, and leave out what is not measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_phenoscape.cubes import Band, Cube
from napari_phenoscape.errors import BandMismatchError, CubeError, OptionError
from napari_phenoscape.spectra import (
    _components as components,
    composite,
    false_colour,
    false_colour_bands,
    infrared_bands,
    mean_spectrum,
    picture,
    principal_components,
    rgb_bands,
    rgb_composite,
    shown_bands,
    true_colour,
    ways,
    yellow_blue_bands,
)

SEVEN = [Band(n, region="vis") for n in "RGB"] + [Band(f"UV_{n}", region="uv") for n in "RGB"]


def cube_of(array: np.ndarray, bands: list[Band] | None = None, **more: object) -> Cube:
    bands = bands or [Band(f"band {i}") for i in range(len(array))]
    return Cube(array, tuple(bands), Path("leaf.bil"), **more)  # type: ignore[arg-type]


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


def test_red_green_and_blue_are_found_by_name_then_wavelength_then_the_files_word():
    array = np.zeros((6, 1, 1), "f4")
    assert rgb_bands(cube_of(array, SEVEN)) == (0, 1, 2)
    scan = [Band(f"{nm}", float(nm)) for nm in (400, 460, 500, 550, 600, 640)]
    assert rgb_bands(cube_of(array, scan, rgb_bands=(0, 0, 0))) == (5, 3, 1)
    assert rgb_bands(cube_of(array, rgb_bands=(4, 2, 0))) == (4, 2, 0)
    assert rgb_bands(cube_of(array)) == (5, 2, 0)
    assert rgb_bands(cube_of(array[:1])) == (0, 0, 0)


def test_false_colour_shows_green_blue_uv():
    array = np.arange(6, dtype="f4")[:, None, None] * np.ones((6, 2, 2), "f4")
    cube = cube_of(array, SEVEN)
    assert false_colour_bands(cube) == (1, 2, 3)
    assert false_colour(cube)[0, 0].tolist() == [0, 128, 255]  # of 1, 2, 3
    assert rgb_composite(cube)[0, 0].tolist() == [0, 128, 255]  # of 0, 1, 2


def test_the_uv_of_a_scan_is_the_band_nearest_365_nm():
    scan = [Band(f"{nm}", float(nm)) for nm in (350, 362, 390, 460, 550, 640)]
    assert false_colour_bands(cube_of(np.zeros((6, 1, 1)), scan)) == (4, 3, 1)


def test_false_colour_needs_uv():
    with pytest.raises(BandMismatchError, match="'uv'"):
        false_colour_bands(cube_of(np.zeros((3, 1, 1)), SEVEN[:3]))


def test_yellow_against_blue_and_infrared_are_the_bands_of_their_rules():
    assert yellow_blue_bands(cube_of(np.zeros((6, 1, 1)), SEVEN)) == (2, 2, 3)
    scan = [Band(f"{nm}", float(nm)) for nm in (365, 460, 550, 640, 760, 810, 950)]
    cube = cube_of(np.zeros((7, 1, 1)), scan)
    assert yellow_blue_bands(cube) == (1, 1, 0)
    assert infrared_bands(cube) == (5, 3, 2)
    with pytest.raises(BandMismatchError, match="'nir'"):
        infrared_bands(cube_of(np.zeros((6, 1, 1)), SEVEN))


def test_true_colour_is_that_of_daylight_and_as_bright_as_the_other_pictures():
    scan = [Band(f"{nm}", float(nm)) for nm in range(380, 731, 10)]
    steep = 0.1 + 0.3 * (np.arange(380, 731, 10) > 590)  # red
    array = np.stack([steep, np.full(36, 0.2)], axis=1)[:, :, None].astype("f4")
    cube = cube_of(array, scan)
    assert ways(cube)[1] == "true colour"
    found = picture(cube, "true colour")
    np.testing.assert_array_equal(found, true_colour(cube, white=stretch(cube)))
    red, green, blue = found[0, 0].astype(int)
    assert red > green + 50 > blue
    assert np.ptp(found[1, 0].astype(int)) <= 1  # grey stays grey
    assert not picture(cube_of(array * 0, scan), "true colour").any()


def stretch(cube: Cube) -> float:
    """Percentile 99 of the visible bands."""
    red, green, blue = rgb_bands(cube)
    return float(np.percentile(cube.reflectance(np.array([red, green, blue])), 99))


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
    three = [Band(n, nm) for n, nm in (("blue", 460.0), ("green", 550.0), ("red", 640.0))]
    assert shown_bands(cube_of(np.zeros((3, 1, 1)), three), show) == bands


@pytest.mark.parametrize("show", ["", "700", "460,550", "UV false colour"])
def test_a_picture_that_the_cube_lacks_is_refused_with_those_it_has(show):
    three = [Band(f"{nm} nm", nm) for nm in (460.0, 550.0, 640.0)]
    with pytest.raises(OptionError, match="choose from colours, principal components"):
        picture(cube_of(np.zeros((3, 1, 1)), three), show)


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
    bands = [Band(f"b{i}") for i in range(8)] + [Band("dead"), Band("flagged", bad=True)]
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
