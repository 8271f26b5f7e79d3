"""Bands: a list of bands that answers what is asked of it, however it is cut."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from napari_phenoscape.cubes import Band, Bands

SCAN = Bands(Band(f"{nm} nm", float(nm), bad=nm == 550) for nm in (700, 550, 460, 640))
CAMERA = Bands(Band(name) for name in ("UV_R", "B", "R", "fluorescence", "G", "UV_B"))


def test_names_and_wavelengths_are_in_the_order_of_the_planes() -> None:
    assert SCAN.names == ("700 nm", "550 nm", "460 nm", "640 nm")
    assert SCAN.wavelengths_nm is not None
    assert SCAN.wavelengths_nm.tolist() == SCAN.x.tolist() == [700, 550, 460, 640]
    assert SCAN.good.tolist() == [True, False, True, True]


def test_one_band_without_a_wavelength_leaves_none_to_the_others() -> None:
    some = Bands([*SCAN, Band("catch")])
    assert some.wavelengths_nm is None
    assert some.x.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    "part",
    [SCAN[1:3], SCAN.take([1, 2]), SCAN.take(np.array([1, 2]))],
    ids=["slice", "list", "array"],
)
def test_a_part_of_bands_is_bands(part: Bands) -> None:
    assert isinstance(part, Bands)
    assert part.names == ("550 nm", "460 nm")
    assert isinstance(part[0], Band)


def test_bands_are_pickled_as_they_are() -> None:
    shown = SCAN.proposing((3, 0, 2))
    found = pickle.loads(pickle.dumps(shown))
    assert isinstance(found, Bands)
    assert (found, found.proposed) == (shown, (3, 0, 2))


def test_a_band_is_found_by_its_name() -> None:
    assert CAMERA.index("G") == 4
    with pytest.raises(ValueError, match="not in"):
        CAMERA.index("UV_G")


@pytest.mark.parametrize(
    ("wavelength_nm", "expected"),
    [(463, 2), (655, 3), (655.1, None), (550, None), (685, 0), (400, None)],
    ids=["near", "15 nm away", "further", "flagged as bad", "at the end", "beyond"],
)
def test_the_nearest_band_is_good_and_within_15_nm(
    wavelength_nm: float, expected: int | None
) -> None:
    assert SCAN.nearest(wavelength_nm) == expected
    assert CAMERA.nearest(wavelength_nm) is None


def test_bands_rise_by_wavelength_or_by_what_their_names_say() -> None:
    assert SCAN.take(SCAN.rising).names == ("460 nm", "550 nm", "640 nm", "700 nm")
    assert CAMERA.take(CAMERA.rising).names == ("UV_B", "UV_R", "B", "G", "R", "fluorescence")


def test_bands_are_said_by_their_range_or_their_names() -> None:
    assert SCAN.span == "460-700 nm"
    assert CAMERA.span == "UV_R, B, R, fluorescence, G, UV_B"
    assert Bands(Band(f"b{i}") for i in range(9)).span == "b0, b1, b2, b3, b4, b5, b6, b7, ..."
    assert (SCAN[0].label, CAMERA[0].label) == ("700 nm", "UV_R")


def test_what_a_file_proposes_follows_its_bands_and_does_not_make_them_others() -> None:
    shown = CAMERA.proposing((4, 2, 2))
    assert shown.proposed == (4, 2, 2)
    assert shown.take([2, 0, 4]).proposed == (2, 0, 0)
    assert shown[3:].proposed is None  # of three, two are gone
    assert shown == CAMERA
    assert shown.proposing(None).proposed is None
