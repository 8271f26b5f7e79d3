"""Spectra are calibrated, smoothed, freed of their continuum and made into indices."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays
from scipy.signal import savgol_filter
from spectral.algorithms.continuum import remove_continuum

from napari_phenoscape.cubes import Band, Bands, Cube, LazyArray
from napari_phenoscape.errors import BandMismatchError, CubeError, OptionError
from napari_phenoscape.events import result
from napari_phenoscape.spectra import (
    band_index,
    calibrated,
    cone_catch,
    illuminant,
    mean_spectrum,
    picture,
    planes_of,
    read_eye,
    region_reference,
    smoothed,
    spectral_angle,
    without_continuum,
)

NM = np.array([400.0, 450, 520, 600, 700, 800])


def cube(numbers: object, nm: object = NM, **more: object) -> Cube:
    array = np.asarray(numbers)
    bands = Bands(Band(f"b{i}", n) for i, n in enumerate(nm))
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


@pytest.mark.parametrize(
    ("scan", "white", "dark", "own", "reflectance", "note"),
    [
        (20, 20, 20, None, 0.5, ""),
        (None, None, None, None, 0.5, ""),
        (20, 10, 20, None, 0.25, "time of 10 and the scan of 20: corrected by their ratio, 0.5"),
        (20, 10, 20, None, 0.25, "of 20 and is used for 10; the same is taken as dark"),
        (20, 10, 20, 10, 0.25 * 1000 / 1050, "corrected by their ratio"),  # white 1100 - 50
        (20, None, 20, None, 0.5, "The integration time of the white reference is not given"),
        (None, 10, 20, None, 0.5, "The integration time of the scan is not given"),
    ],
)
def test_a_white_reference_of_another_integration_time_is_corrected_and_said(
    scan, white, dark, own, reflectance, note
):
    def flat(number: float, time: float | None) -> Cube:
        return cube(np.full((1, 2, 3), number), [500], integration_time=time, provenance=("old",))

    found = calibrated(
        flat(600, scan),
        flat(1100, white),
        flat(100, dark),
        white_dark=None if own is None else flat(50, own),
    )
    np.testing.assert_allclose(found.array[...], reflectance, rtol=1e-6)
    said = " ".join(found.provenance)
    assert note in said
    assert (said == "old") == (not note)
    assert found.integration_time is None


def test_calibrated_numbers_need_no_scale_any_more():
    notes = ("No scale is given; 65535, the largest number, is taken as reflectance 1.", "other")
    found = calibrated(cube(noise(), provenance=notes, units="W/m^2"), cube(noise(1) + 1))
    assert found.provenance == ("other",)
    assert found.units == ""


def test_a_region_is_a_reference_of_one_number_a_band_unless_it_crosses_every_column():
    numbers = np.array([[[100, 200, 300], [50, 60, 70], [10, 10, 40]]], "u2")
    scan = cube(numbers, [500], gain=np.float32(0.01)[...], ignore_value=300)
    patch, strip = np.zeros((3, 3), bool), np.zeros((3, 3), bool)
    patch[:2, 1:] = True  # 200, 60, 70; the fourth was not measured
    strip[1] = True
    assert region_reference(scan, patch).array.ravel().tolist() == [110]
    assert region_reference(scan, strip).array.ravel().tolist() == [50, 60, 70]
    dark = region_reference(scan, np.arange(9).reshape(3, 3) == 6)  # 10
    found = calibrated(scan, region_reference(scan, strip), dark, panel=0.5).array[...]
    np.testing.assert_allclose(found[0, 1], 0.5)
    np.testing.assert_allclose(found[0, 0], [1.125, 1.9, np.nan])  # 90/40, 190/50, not measured


@pytest.mark.parametrize(
    ("region", "sentence"),
    [(np.zeros((4, 5), bool), "marks no pixel"), (np.ones((4, 4), bool), "the same size")],
)
def test_a_reference_region_that_does_not_fit_is_refused(region, sentence):
    with pytest.raises(CubeError, match=sentence):
        region_reference(cube(noise()), region)


def test_smoothing_is_scipys_and_keeps_a_parabola():
    x = noise()
    found = smoothed(cube(x), 5, 2)
    np.testing.assert_allclose(found.array[...], savgol_filter(x, 5, 2, axis=0), rtol=1e-6)
    np.testing.assert_array_equal(found.array[[5, 0, 2]], found.array[...][[5, 0, 2]])
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


def test_a_smoothed_band_is_read_with_its_window_alone():
    class Counting(LazyArray):
        def read(self, bands, rows, columns):
            read.extend(bands)
            return np.ones(self.shape, "f4")[bands, rows, columns]

    read: list[int] = []
    nm = 400 + 10.0 * np.arange(40)
    one = Cube(
        Counting((40, 4, 5), np.dtype("f4")), Bands(Band(f"{x}", x) for x in nm), Path("leaf.bil")
    )
    np.testing.assert_allclose(smoothed(one, 5).array[20], 1)
    assert read == [18, 19, 20, 21, 22]


def test_the_angle_is_that_between_spectra_whatever_their_brightness():
    x = np.zeros((3, 1, 4))
    x[:, 0, 0], x[:, 0, 1], x[:, 0, 2] = (2, 0, 0), (3, 3, 0), (0, 0, 5)
    found = spectral_angle(
        cube(x, NM[:3]), [("one", np.array([1.0, 0, 0])), ("two", np.array([1.0, 1, 1]))]
    )
    assert [band.name for band in found.bands] == ["one", "two"]
    np.testing.assert_allclose(
        found.array[0, 0], [0, np.pi / 4, np.pi / 2, np.nan], rtol=1e-6
    )  # all 0: no direction
    np.testing.assert_allclose(found.array[1, 0, 0], np.arccos(1 / np.sqrt(3)), rtol=1e-6)


def test_the_angle_is_that_of_the_package_spectral():
    from spectral import spectral_angles

    x, targets = noise(), noise(5, (6, 2, 1))[..., 0].T
    found = spectral_angle(cube(x), [("a", targets[0]), ("b", targets[1])]).array[...]
    theirs = spectral_angles(np.moveaxis(x, 0, -1), targets)
    np.testing.assert_allclose(np.moveaxis(found, 0, -1), theirs, rtol=1e-5)


def test_an_angle_is_over_the_bands_that_both_have():
    x, target = noise(), noise(5)[:, 0, 0]
    whole = spectral_angle(cube(x[:4], NM[:4]), [("a", target[:4])]).array[0]
    half = np.where(np.arange(6) < 4, target, np.nan)
    np.testing.assert_allclose(spectral_angle(cube(x), [("a", half)]).array[0], whole, rtol=1e-6)
    x[4:, 1, 2] = np.nan
    found = spectral_angle(cube(x), [("a", target)]).array[0]
    np.testing.assert_allclose(found[1, 2], whole[1, 2], rtol=1e-6)
    x[1:, 0, 0] = np.nan
    assert np.isnan(spectral_angle(cube(x), [("a", target)]).array[0, 0, 0])
    flagged = Bands(Band(f"b{i}", nm, bad=i > 3) for i, nm in enumerate(NM))
    one = Cube(array=noise(), bands=flagged, path=Path("leaf.bil"))
    np.testing.assert_allclose(spectral_angle(one, [("a", target)]).array[0], whole, rtol=1e-6)
    with pytest.raises(BandMismatchError, match="'b' shares 1 of the 6 bands"):
        spectral_angle(cube(x), [("a", target), ("b", np.array([1.0] + [np.nan] * 5))])


@pytest.mark.parametrize("index", [2, (slice(1, 3), 1), (..., slice(0, 5, 2)), ([4, 0], 3, 2)])
def test_parts_are_parts_of_the_whole(index, monkeypatch):
    monkeypatch.setattr("napari_phenoscape.cubes._blocks.BLOCK", 30)  # a row at a time
    x = cube(noise())
    for made in (smoothed(x, 3), without_continuum(x), calibrated(x, cube(noise(1) + 1))):
        np.testing.assert_array_equal(made.array[index], np.asarray(made.array)[index])


class Endless(LazyArray):
    """Numbers that take no memory themselves."""

    def read(self, bands, rows, columns):
        ramp = np.arange(1, 409, dtype="u2")[:, None, None]
        return np.array(np.broadcast_to(ramp, self.shape)[bands, rows, columns])


def whole(one: Cube) -> np.ndarray:
    return np.ones(one.shape[1:], bool)


@pytest.mark.parametrize(
    "compute",
    [
        lambda one: smoothed(one, 11).array[100],
        lambda one: calibrated(one, region_reference(one, whole(one))).array[100],
        lambda one: without_continuum(one).array[100, :20],
        lambda one: result(planes_of(spectral_angle(one, [("a", np.linspace(0.1, 1, 408))]))),
        lambda one: result(planes_of(cone_catch(one, read_eye("bird-uv"), illuminant("d65")))),
        lambda one: mean_spectrum(one, whole(one)),
        lambda one: picture(one, "principal components"),
        lambda one: picture(one, "true colour"),
    ],
    ids=["smoothed", "calibrated", "continuum", "angle", "catches", "mean", "components", "colour"],
)
def test_a_large_cube_does_not_double_in_memory(compute):
    nm = np.linspace(348, 810, 408)
    array = Endless((408, 800, 500), np.dtype("u2"))
    one = Cube(array, Bands(Band(f"{x:.2f} nm", x) for x in nm), Path("scan.bil"))
    tracemalloc.start()
    try:
        compute(one)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2 * 408 * 800 * 500  # 326 MB
