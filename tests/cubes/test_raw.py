"""Raw files of cameras: counts of the sensor above black, and nothing else done to them."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import tifffile

from napari_phenoscape.cubes import open_cube, recognise
from napari_phenoscape.errors import CubeError

BLACK, WHITE = 64, 4064
FILTERS = [(33421, 3, 2, (2, 2), True), (33422, 1, 4, bytes([0, 1, 1, 2]), True)]


def mosaic(red, green, blue):
    """(40, 60) numbers of a sensor of the pattern RGGB."""
    numbers = np.full((40, 60), BLACK, np.uint16)
    numbers[0::2, 0::2] += red
    numbers[0::2, 1::2] += green
    numbers[1::2, 0::2] += green
    numbers[1::2, 1::2] += blue
    return numbers


def saved(path, numbers, orientation=1):
    """A DNG with a preview, colours of its camera, and a white balance that is not 1."""
    one, nought = (1, 1), (0, 1)
    matrix = [*one, *nought, *nought, *nought, *one, *nought, *nought, *nought, *one]
    tags = [
        (50706, 1, 4, bytes([1, 4, 0, 0]), True),
        (50708, 2, 0, "Camera", True),
        (50714, 4, 1, BLACK, True),
        (50717, 4, 1, WHITE, True),
        (50721, 10, 9, tuple(matrix), True),
        (50728, 5, 3, (1, 2, 1, 1, 2, 3), True),
        (50778, 3, 1, 21, True),
        (274, 3, 1, orientation, True),
    ]
    tifffile.imwrite(path, numbers, photometric=32803, metadata=None, extratags=FILTERS + tags)
    return path


def test_a_raw_file_reads_back_to_a_count(tmp_path):
    pytest.importorskip("rawpy")
    path = saved(tmp_path / "moth.dng", mosaic(1000, 2000, 500))
    cube = open_cube(path)
    assert cube.shape == (3, 40, 60)
    assert cube.bands.names == ("R", "G", "B")
    for band, count in zip(np.asarray(cube.array), (1000, 2000, 500), strict=True):
        assert np.array_equal(band, np.full((40, 60), count))
    np.testing.assert_allclose(cube.reflectance()[:, 3, 4], [0.25, 0.5, 0.125], rtol=1e-6)
    assert "black level of 64 is subtracted" in cube.provenance[0]
    assert "no white balance, no gamma" in cube.provenance[0]
    assert recognise(path) is None  # opened when one asks for it


def test_twice_the_light_is_twice_the_count(tmp_path):
    pytest.importorskip("rawpy")
    ramp = mosaic(0, 0, 0)
    ramp += (np.arange(60, dtype=np.uint16) // 2 * 20)[None]
    once = np.asarray(open_cube(saved(tmp_path / "a.dng", ramp)).array).astype(int)
    twice = np.asarray(open_cube(saved(tmp_path / "b.dng", 2 * ramp - BLACK)).array).astype(int)
    assert once.max() == 580
    assert np.abs(twice - 2 * once).max() <= 1  # a mean of two is rounded down


def test_a_raw_file_is_turned_as_it_says(tmp_path):
    pytest.importorskip("rawpy")
    numbers = mosaic(1000, 1000, 1000)
    numbers[:, 30:] = BLACK
    cube = open_cube(saved(tmp_path / "a.dng", numbers, orientation=6))
    assert cube.shape == (3, 60, 40)
    assert cube.array[1, 5, 5] == 1000
    assert cube.array[1, 55, 5] == 0
    assert cube.provenance[-1] == "The picture is turned as its file says."


def test_a_damaged_raw_file_is_said_to_be_that(tmp_path):
    pytest.importorskip("rawpy")
    path = saved(tmp_path / "a.dng", mosaic(1, 2, 3))
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(
        CubeError, match=r"'a.dng' is a camera's raw file.* cannot develop it .* damaged"
    ):
        open_cube(path)


def test_without_rawpy_the_refusal_names_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "rawpy", None)
    path = saved(tmp_path / "a.dng", mosaic(1, 2, 3))
    with pytest.raises(
        CubeError, match=r"camera's raw file.* linear 16-bit TIFF.*napari-phenoscape\[raw\]"
    ):
        open_cube(path)
