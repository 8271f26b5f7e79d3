"""Composites keep colour; mean spectra are exact, in blocks, and leave out what is not measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_phenoscape import spectral
from napari_phenoscape.cube import Band, Cube
from napari_phenoscape.errors import BandMismatchError, CubeError
from napari_phenoscape.spectral import (
    composite,
    false_colour,
    false_colour_bands,
    mean_spectrum,
    rgb_bands,
    rgb_composite,
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
def test_a_step_leaves_out_rows_and_columns(monkeypatch, step):
    array = np.random.default_rng(0).random((3, 11, 7)).astype("f4")
    whole = composite(cube_of(array), (0, 1, 2))
    monkeypatch.setattr(spectral, "BLOCK", 30)  # a row or two at a time
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
    monkeypatch.setattr(spectral, "BLOCK", block)
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
