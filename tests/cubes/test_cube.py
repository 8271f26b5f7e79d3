"""Cubes and modalities: which bands a name chooses, and what numbers mean."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_phenoscape.cubes import Band, Bands, Cube, Modality, as_modality, spectral_region
from napari_phenoscape.errors import BandMismatchError, OptionError


def cube_of(bands: list[Band], **given: object) -> Cube:
    array = np.arange(len(bands) * 6, dtype=np.uint16).reshape(len(bands), 2, 3)
    return Cube(array, Bands(bands), Path("leaf.bil"), **given)  # type: ignore[arg-type]


SEVEN = cube_of(
    [Band(n, region="vis") for n in "RGB"] + [Band(f"UV_{n}", region="uv") for n in "RGB"]
)
SCAN = cube_of([Band(f"{nm} nm", float(nm)) for nm in range(350, 811, 10)])


@pytest.mark.parametrize(
    ("name", "expected"),
    [("rgb", [0, 1, 2]), ("uv", [3, 4, 5]), ("uv+rgb", [3, 4, 5, 0, 1, 2]), ("full", range(6))],
)
def test_a_built_in_modality_chooses_named_bands(name: str, expected: list[int]) -> None:
    assert as_modality(name).indices(SEVEN).tolist() == list(expected)


def test_rgb_of_a_scan_is_640_550_460_nm() -> None:
    names = [SCAN.bands[i].name for i in as_modality("rgb").indices(SCAN)]
    assert names == ["640 nm", "550 nm", "460 nm"]


def test_uv_ends_below_400_nm() -> None:
    assert len(as_modality("uv").indices(SCAN)) == 5  # 350, 360, 370, 380, 390
    assert spectral_region(399.9) == "uv"
    assert spectral_region(400.0) == "vis"


def test_every_spectral_region_is_a_modality() -> None:
    cube = cube_of([Band(f"{nm} nm", nm) for nm in (399.0, 400.0, 700.0, 1000.0, 2499.0, 2500.0)])
    regions = [as_modality(name).indices(cube).tolist() for name in ("uv", "vis", "nir", "swir")]
    assert regions == [[0], [1], [2], [3, 4]]


def test_a_band_flagged_bad_is_only_in_all() -> None:
    cube = cube_of([Band("a", 450.0), Band("b", 460.0, bad=True)])
    assert as_modality("full").indices(cube).tolist() == [0]
    assert as_modality("all").indices(cube).tolist() == [0, 1]
    camera = cube_of([Band("R"), Band("G", bad=True), Band("B")])
    with pytest.raises(BandMismatchError, match="no bands for the modality 'rgb'"):
        as_modality("rgb").indices(camera)


def test_a_range_has_both_ends_in() -> None:
    assert len(Modality(name="red", range_nm=(620, 650)).indices(SCAN)) == 4


def test_names_and_numbers_choose_in_the_order_given() -> None:
    assert Modality(name="mine", bands=("UV_B", 0)).indices(SEVEN).tolist() == [5, 0]


@pytest.mark.parametrize(
    "modality",
    [Modality(name="nir"), Modality(name="x", bands=("UV_X",)), Modality(name="x", bands=(9,))],
    ids=["region", "name", "number"],
)
def test_a_band_that_is_not_there_is_refused_by_name(modality: Modality) -> None:
    with pytest.raises(BandMismatchError, match=r"leaf\.bil.*6 bands: R, G, B"):
        modality.indices(SEVEN)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("uv+rgb+nir", "no bands for 'nir' of the modality 'uv\\+rgb\\+nir'"),
        ("swir+nir", "no bands for the modality 'swir\\+nir'"),
        ("rgb+bird-uv", "no catches for the modality"),
        ("nir+bird-uv", "no catches for the modality"),
    ],
)
def test_a_sum_is_not_what_is_there_of_it(name: str, words: str) -> None:
    assert not as_modality(name).seen_by(SEVEN)
    with pytest.raises(BandMismatchError, match=words):
        as_modality(name).indices(SEVEN)


@pytest.mark.parametrize("name", ["rgb+uv", "red edge", "400.5-700", "bird-uv", "_é2", "a"])
def test_a_modality_has_a_name_that_a_file_can_have(name: str) -> None:
    assert Modality.parse({"name": name}).name == name


@pytest.mark.parametrize(
    "name", ["", ".rgb", "..", "a/b", "../../a", r"a\b", "C:", "a ", " a", "a.", "-a", "a\n", "*"]
)
def test_a_modality_that_cannot_name_a_file_is_refused(name: str) -> None:
    with pytest.raises(OptionError, match=r"name: files are named by it, .* red_edge \(given: "):
        Modality.parse({"name": name})


def test_an_unknown_modality_is_refused() -> None:
    with pytest.raises(OptionError, match="unknown modality 'ultraviolet'"):
        as_modality("rgb+ultraviolet")


def test_reflectance_is_gain_times_number_plus_offset_and_nan_where_not_measured() -> None:
    cube = cube_of(
        [Band("a"), Band("b")],
        gain=np.array([0.5, 2], np.float32),
        offset=np.float32(1)[...],
        ignore_value=7.0,
    )
    block = cube.reflectance(np.array([1, 0]), slice(0, 2), slice(0, 2))
    # numbers: band 1 = 6 7 / 9 10, band 0 = 0 1 / 3 4
    expected = [[[13, np.nan], [19, 21]], [[1, 1.5], [2.5, 3]]]
    np.testing.assert_array_equal(block, np.array(expected, np.float32))
