"""A folder with one TIFF for each band is a cube when it is opened as one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from typer.testing import CliRunner

from napari_phenoscape.cli._console import app
from napari_phenoscape.cubes import Interpretation, open_cube, recognise
from napari_phenoscape.errors import CubeError
from napari_phenoscape.events import result
from napari_phenoscape.spectra import convert


def folder(path: Path, *names: str, **how: object) -> Path:
    """Number of (file, row, column) is 100 file + 10 row + column, 4 rows of 5 columns."""
    path.mkdir()
    for i, name in enumerate(names):
        plane = 100 * i + np.add.outer(10 * np.arange(4), np.arange(5))
        tifffile.imwrite(path / name, plane.astype("u2"), **how)
    return path


@pytest.mark.parametrize("how", [{}, {"compression": "zlib"}], ids=["plain", "compressed"])
def test_wavelengths_are_in_the_names(tmp_path, how):
    path = folder(tmp_path / "moth", "b_700nm.tif", "b_365.5nm.tif", "b_1000 nm.TIF", **how)
    (path / "notes.txt").write_text("not a band")
    cube = open_cube(path)
    assert cube.bands.wavelengths_nm.tolist() == [365.5, 700, 1000]
    assert cube.shape == (3, 4, 5)
    assert cube.array[:, 2, 3].tolist() == [123, 23, 223]
    for index in ((1, 2), ([2, 0], slice(1, 3)), (..., -1), (slice(None, None, -1), 3, 4)):
        np.testing.assert_array_equal(cube.array[index], np.asarray(cube.array)[index])
    assert "The wavelengths are those in the names of the files." in cube.provenance
    assert recognise(path) is None  # a folder of TIFFs may be anything


def test_without_wavelengths_the_order_of_the_names_is_kept(tmp_path):
    cube = open_cube(folder(tmp_path / "a", "band_10.tif", "band_2.tif", "band_1.tif"))
    assert [band.name for band in cube.bands] == ["1", "2", "10"]
    assert cube.array[:, 0, 0].tolist() == [200, 100, 0]
    assert any("in the order of the names" in note for note in cube.provenance)
    said = Interpretation(names=("R", "mask", "UV_R"), full_scale=1000)
    named = open_cube(tmp_path / "a", said)
    assert [band.name for band in named.bands] == ["R", "UV_R"]
    assert named.mask.all()
    assert named.reflectance()[0, 0, 0] == pytest.approx(0.2)


def test_roles_and_the_mask_are_in_the_names(tmp_path):
    names = ("moth 1_vR.tif", "moth 1_vG.tif", "moth 1_vB.tif", "moth 1_uvR.tif", "moth 1_mask.tif")
    cube = open_cube(folder(tmp_path / "a", *names))
    # natural order: uvR, vB, vG, vR; the fifth file is the mask, and its numbers are above 0
    assert [band.name for band in cube.bands] == ["UV_R", "B", "G", "R"]
    assert [band.region for band in cube.bands] == ["uv", "vis", "vis", "vis"]
    assert cube.mask.all()


def test_other_sizes_types_and_channels_are_refused(tmp_path):
    path = folder(tmp_path / "a", "b1.tif", "b2.tif")
    odd = path / "b3.tif"
    for numbers, words in (
        (np.zeros((4, 6), "u2"), r"'b3.tif' is 4 × 6 of uint16, 'b1.tif' 4 × 5 of uint16"),
        (np.zeros((4, 5), "u1"), r"4 × 5 of uint8"),
        (np.zeros((4, 5, 3), "u2"), r"has 3 channels; a folder that is opened as one cube"),
    ):
        tifffile.imwrite(odd, numbers)
        with pytest.raises(CubeError, match=words):
            open_cube(path)


def test_a_folder_of_pictures_in_colour_is_a_collection(tmp_path):
    (tmp_path / "a").mkdir()
    for name in ("a.tif", "b.tif"):
        tifffile.imwrite(tmp_path / "a" / name, np.zeros((4, 5, 3), "u1"), photometric="rgb")
    with pytest.raises(CubeError, match="A folder of cubes is a collection"):
        open_cube(tmp_path / "a")


def test_the_command_line_takes_such_a_folder(tmp_path):
    path = folder(tmp_path / "a", "b_450nm.tif", "b_550nm.tif")
    assert "450.00 to 550.00 nm" in CliRunner().invoke(app, ["info", str(path)]).stdout
    result(convert(path, tmp_path / "b.tif"))
    np.testing.assert_array_equal(open_cube(tmp_path / "b.tif").array, open_cube(path).array)
