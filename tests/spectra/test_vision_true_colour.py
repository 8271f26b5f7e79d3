"""True colour is that of colorimetry: colour-science agrees, and so do the greys of sRGB."""

from __future__ import annotations

import warnings
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from napari_phenoscape.cubes import Band, Bands, Cube
from napari_phenoscape.errors import BandMismatchError
from napari_phenoscape.spectra import standard_table, true_colour

NM = np.arange(380, 785, 5.0)


@pytest.fixture(scope="module")
def colour() -> ModuleType:
    """colour-science, the oracle; its own warnings are its own."""
    with warnings.catch_warnings(), np.printoptions():  # it changes both
        warnings.simplefilter("ignore")
        import colour
    return colour


def cube(spectra: object, nm: object = NM, **more: object) -> Cube:
    """One row of pixels: (C, n) spectra."""
    array = np.asarray(spectra, "f4")[:, None]
    return Cube(array, Bands(Band(f"{n} nm", n) for n in nm), Path("leaf.bil"), **more)


def flat(reflectance: float, nm: np.ndarray = NM) -> np.ndarray:
    return np.full((len(nm), 1), reflectance)


def checkers(colour: ModuleType) -> dict[str, object]:
    return dict(colour.SDS_COLOURCHECKERS["BabelColor Average"])


def srgb(colour: ModuleType, chart: object) -> np.ndarray:
    """sRGB by colour-science, integrated at every nm."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        observer = colour.MSDS_CMFS["CIE 1931 2 Degree Standard Observer"]
        fine = chart.copy().align(colour.SpectralShape(380, 780, 1))
        daylight = colour.SDS_ILLUMINANTS["D65"].copy().align(colour.SpectralShape(380, 780, 1))
        xyz = colour.sd_to_XYZ(fine, observer, daylight, method="Integration") / 100
        return np.clip(np.round(255 * colour.XYZ_to_sRGB(xyz)), 0, 255)


def test_the_tables_are_those_of_the_cie(colour):
    observer, daylight = standard_table("cie_1931_2_degree"), standard_table("d65")
    theirs = colour.MSDS_CMFS["CIE 1931 2 Degree Standard Observer"]
    at = np.isin(theirs.wavelengths, observer.wavelengths_nm)
    np.testing.assert_allclose(observer.values.T, theirs.values[at], atol=1e-9)
    assert observer.at(np.array([555.0]))[1] == 1  # where the eye is most sensitive
    known = daylight.wavelengths_nm <= 780
    np.testing.assert_allclose(
        daylight.values[0, known], colour.SDS_ILLUMINANTS["D65"].values, atol=1e-9
    )
    assert daylight.at(np.array([560.0, 785.0, 830.0]))[0].tolist() == [100, 63.8434, 60.3125]


@pytest.mark.parametrize(("reflectance", "level"), [(1, 255), (0.18, 118), (0.5, 188), (0, 0)])
@pytest.mark.parametrize("ends", [(380, 780), (400, 700), (425, 650)], ids=str)
def test_greys_are_grey_whatever_ends_are_missing(reflectance, level, ends):
    nm = np.arange(ends[0], ends[1] + 1, 5.0)
    assert true_colour(cube(flat(reflectance, nm), nm))[0, 0].tolist() == [level] * 3


def test_a_colour_chart_looks_as_colour_science_says(colour):
    charts = checkers(colour)
    assert len(charts) == 24
    nm = np.array(next(iter(charts.values())).wavelengths)
    spectra = np.stack([chart.values for chart in charts.values()], axis=1)
    theirs = np.stack([srgb(colour, chart) for chart in charts.values()])
    ours = true_colour(cube(spectra, nm))[0].astype(int)
    assert abs(ours - theirs).max() <= 2
    # a brick red, to be checked by eye: "dark skin"
    assert ours[0].tolist() == pytest.approx([115, 82, 68], abs=3)


def test_uneven_and_unordered_bands_give_the_same_colour():
    smooth = lambda nm: 0.5 + 0.4 * np.sin(nm / 60)[:, None]  # noqa: E731
    rng = np.random.default_rng(0)
    uneven = np.sort(np.r_[380, 780, rng.uniform(380, 780, 80)])
    uneven = np.unique(np.r_[uneven, np.arange(380, 780, 15)])
    shuffled = rng.permutation(np.r_[uneven, uneven[:20]])  # two detectors that overlap
    expected = true_colour(cube(smooth(NM), NM)).astype(int)
    for nm in (uneven, uneven[::-1], shuffled):
        assert abs(true_colour(cube(smooth(nm), nm)) - expected).max() <= 1


def test_rows_in_blocks_and_steps_are_those_of_the_whole(monkeypatch):
    array = np.random.default_rng(1).uniform(0, 1, (len(NM), 7, 5)).astype("f4")
    bands = Bands(Band(f"{n} nm", n) for n in NM)
    whole = true_colour(Cube(array, bands, Path("leaf.bil")))
    monkeypatch.setattr("napari_phenoscape.cubes._blocks.BLOCK", 1)
    assert np.array_equal(true_colour(Cube(array, bands, Path("leaf.bil"))), whole)
    assert np.array_equal(true_colour(Cube(array, bands, Path("leaf.bil")), 3), whole[::3, ::3])


def test_what_was_not_measured_is_black_and_bad_bands_do_not_count():
    spectra = np.full((len(NM), 3), 0.5)
    spectra[20, 0] = np.nan
    spectra[40, 1] = 99
    bands = Bands(Band(f"{n} nm", n, bad=i == 40) for i, n in enumerate(NM))
    found = true_colour(Cube(spectra[:, None].astype("f4"), bands, Path("leaf.bil")))
    assert found[0].tolist() == [[0, 0, 0], [188] * 3, [188] * 3]
    # beyond the eye, nothing is read
    far = np.r_[NM, 1000.0]
    assert true_colour(cube(np.r_[flat(0.5), [[np.nan]]], far))[0, 0].tolist() == [188] * 3


def test_white_can_be_moved_for_dark_specimens():
    assert true_colour(cube(flat(0.2)), white=0.2)[0, 0].tolist() == [255] * 3
    assert true_colour(cube(flat(0.1)), white=0.2)[0, 0].tolist() == [188] * 3


@pytest.mark.parametrize(
    ("nm", "words"),
    [
        (np.arange(450, 705, 5.0), "450-700 nm.*sees 58% of the colour-matching function z"),
        (np.array([460.0, 550, 640]), "sees 0% of .*no more than 30 nm apart"),
        (np.arange(900, 1700, 5.0), "sees 0%"),
        (np.array([550.0]), "sees 0%"),
    ],
    ids=["no blue", "three filters", "infrared", "one band"],
)
def test_a_cube_that_does_not_see_the_visible_is_refused(nm, words):
    with pytest.raises(BandMismatchError, match=words):
        true_colour(cube(flat(0.5, nm), nm))


def test_a_picture_without_wavelengths_is_refused():
    picture = Cube(np.zeros((3, 2, 2), "f4"), Bands(Band(n) for n in "RGB"), Path("moth.png"))
    with pytest.raises(BandMismatchError, match=r"'moth.png' have no wavelengths \(R, G, B\)"):
        true_colour(picture)
