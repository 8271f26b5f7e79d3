"""Spectra are calibrated, smoothed, freed of their continuum and made into indices."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.signal import savgol_filter
from spectral.algorithms.continuum import remove_continuum

from napari_phenoscape.cube import Band, Cube
from napari_phenoscape.errors import BandMismatchError, CubeError, OptionError
from napari_phenoscape.processing import band_index, calibrated, smoothed, without_continuum

NM = np.array([400.0, 450, 520, 600, 700, 800])


def cube(numbers: object, nm: object = NM, **more: object) -> Cube:
    array = np.asarray(numbers)
    bands = tuple(Band(f"b{i}", n) for i, n in enumerate(nm))
    return Cube(array=array, bands=bands, path=Path("leaf.bil"), **more)


def noise(seed: int = 0, shape: tuple[int, int, int] = (6, 4, 5)) -> np.ndarray:
    return np.random.default_rng(seed).uniform(0.1, 1, shape)


def test_reflectance_is_raw_less_dark_over_white_less_dark():
    raw = np.array([[[30, 60]]], "u2")  # one band, one row, two columns
    white, dark = np.array([[[100, 220], [120, 220]]], "u2"), np.array([[[10, 20]]], "u2")
    found = calibrated(cube(raw, [500]), cube(white, [500]), cube(dark, [500]), panel=0.5)
    # columns by themselves: (30 - 10) / (110 - 10) and (60 - 20) / (220 - 20), half of each
    np.testing.assert_allclose(found.array[0, 0], [0.1, 0.1])
    np.testing.assert_allclose(found.reflectance()[0, 0], [0.1, 0.1])


def test_a_reference_of_another_width_is_one_number_a_band():
    raw, white = np.full((1, 2, 3), 50.0), np.array([[[90.0, 110.0]]])
    np.testing.assert_allclose(calibrated(cube(raw, [500]), cube(white, [500])).array[...], 0.5)


def test_where_white_is_not_brighter_nothing_is_measured():
    raw, white = np.full((1, 1, 2), 50.0), np.array([[[100.0, 0.0]]])
    np.testing.assert_array_equal(
        calibrated(cube(raw, [500]), cube(white, [500])).array[0, 0], np.float32([0.5, np.nan])
    )


def test_references_that_do_not_fit_are_refused():
    one, other = cube(noise()), cube(noise(), NM + 5)
    with pytest.raises(CubeError, match="the same bands were expected"):
        calibrated(one, other)
    with pytest.raises(CubeError, match="Were they exchanged"):
        calibrated(one, one, one)
    with pytest.raises(OptionError, match="panel's reflectance is 99"):
        calibrated(one, one, panel=99)


def test_smoothing_is_scipys_and_keeps_a_parabola():
    x = noise()
    found = smoothed(cube(x), 5, 2)
    np.testing.assert_allclose(found.array[...], savgol_filter(x, 5, 2, axis=0), rtol=1e-6)
    parabola = np.arange(6.0)[:, None, None] ** 2 + np.zeros((6, 2, 2))
    np.testing.assert_allclose(smoothed(cube(parabola), 5, 2).array[...], parabola, atol=1e-5)
    for window, order in ((4, 2), (3, 3), (7, 2)):
        with pytest.raises(OptionError, match="an odd number above"):
            smoothed(cube(x), window, order)


def test_the_continuum_of_a_notch_is_the_line_over_it():
    y = np.array([1.0, 1, 0.5, 1, 1, 1])[:, None, None]
    np.testing.assert_allclose(without_continuum(cube(y)).array[:, 0, 0], y[:, 0, 0])
    rising = (NM / 400)[:, None, None].copy()
    rising[2] /= 2  # half of the line from 450 to 600 nm
    found = without_continuum(cube(rising)).array[:, 0, 0]
    np.testing.assert_allclose(found, [1, 1, 0.5, 1, 1, 1], rtol=1e-6)


@settings(max_examples=60, deadline=None)
@given(arrays(np.float64, (6, 3), elements=st.floats(0.125, 2, width=32)))
def test_the_continuum_is_that_of_the_package_spectral(spectra):
    theirs = remove_continuum(spectra.T.copy(), NM)
    ours = without_continuum(cube(spectra[:, None])).array[:, 0]
    np.testing.assert_allclose(ours.T, theirs, rtol=1e-4, atol=1e-5)


def test_what_was_not_measured_stays_unknown():
    x = noise()
    x[2, 1, 1] = np.nan
    found = without_continuum(cube(x)).array[...]
    assert np.isnan(found[:, 1, 1]).all()
    assert np.isfinite(np.delete(found.reshape(6, -1), 1 * 5 + 1, axis=1)).all()


def test_a_continuum_needs_wavelengths_that_rise():
    for nm in ([None] * 6, NM[::-1]):
        with pytest.raises(BandMismatchError, match="wavelengths that rise"):
            without_continuum(cube(noise(), nm))


def test_an_index_is_its_formula():
    x = noise()
    x[:, 0, 0] = 0
    found = band_index(cube(x), "(R800 - R595) / (R800 + R595)")
    with np.errstate(invalid="ignore"):
        expected = (x[5] - x[3]) / (x[5] + x[3])
    np.testing.assert_allclose(found.array[0], expected, atol=1e-6)
    assert np.isnan(found.array[0, 0, 0])
    assert [band.name for band in found.bands] == ["(R800 - R595) / (R800 + R595)"]
    np.testing.assert_allclose(
        band_index(cube(x), "-b1 ** 2 + 1").array[0], 1 - x[1] ** 2, atol=1e-6
    )


@pytest.mark.parametrize(
    "formula", ["", "1 + 1", "R800 +", "__import__('os')", "R800.real", "R800 if 1 else 2", "'a'"]
)
def test_what_is_no_formula_is_refused(formula):
    with pytest.raises(OptionError, match="no formula of bands"):
        band_index(cube(noise()), formula)


def test_a_band_that_is_not_there_is_named():
    with pytest.raises(BandMismatchError, match="no band for 'R900'"):
        band_index(cube(noise()), "R900 / R800")


@pytest.mark.parametrize("index", [2, (slice(1, 3), 1), (..., slice(0, 5, 2)), ([4, 0], 3, 2)])
def test_parts_are_parts_of_the_whole(index, monkeypatch):
    monkeypatch.setattr("napari_phenoscape.processing.BLOCK", 30)  # a row at a time
    x = cube(noise())
    for made in (smoothed(x, 3), without_continuum(x), calibrated(x, cube(noise(1) + 1))):
        np.testing.assert_array_equal(made.array[index], np.asarray(made.array)[index])
