"""A folder with one picture for each band is a cube when it is opened as one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from typer.testing import CliRunner

from napari_phenoscape.cli._console import app
from napari_phenoscape.cubes import Interpretation, open_cube, recognise
from napari_phenoscape.errors import CubeError, MissingFileError
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


WAYS = [
    "moth_{w}nm.tif", "moth_{w}nm_exp10.tif", "col_{w:04d}_nm.tif", "moth {w} nm.tif",
    "moth-{w}nm-10ms.tif", "moth_WL{w}.tif", "moth_w{w}.tif", "moth_{w}.tif", "{w}.tif",
    "moth_{w}NM_raw.TIF", "20240305_moth_{w}nm_v2.tif", "img_{i:02d}_{w}nm_001.tif",
    "F{i}_{w}nm_fwhm10nm.tif", "F{i}_fwhm10nm_{w}nm.tif", "led365mW10_{w}nm_.tif",
]  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_the_ways_to_write_a_wavelength_into_a_name(tmp_path, way):
    centres = (365, 450, 550, 940, 1050)
    names = [way.format(w=w, i=5 - i) for i, w in enumerate(centres)]
    cube = open_cube(folder(tmp_path / "a", *names))
    assert cube.bands.wavelengths_nm.tolist() == list(centres)
    assert cube.array[:, 0, 0].tolist() == [0, 100, 200, 300, 400]
    note = next(note for note in cube.provenance if "wavelengths" in note)
    assert ("numbers that are taken as nm" in note) == ("nm" not in way.lower())


def test_a_decimal_point_is_no_end_of_a_word(tmp_path):
    cube = open_cube(folder(tmp_path / "a", "moth_365.5nm.tif", "moth_365.7nm.tif"))
    assert cube.bands.wavelengths_nm.tolist() == [365.5, 365.7]
    assert cube.bands.names == ("365.5nm", "365.7nm")


@pytest.mark.parametrize(("ending", "dtype"), [("png", "u2"), ("png", "u1"), ("bmp", "u1")])
def test_pictures_of_any_kind_are_bands(tmp_path, ending, dtype):
    for i, nm in enumerate((550, 450)):
        plane = np.full((4, 5), 100 + i, dtype)
        Image.fromarray(plane).save(tmp_path / f"moth_{nm}nm.{ending}")
    Image.fromarray(np.eye(4, 5) > 0).save(tmp_path / f"moth_mask.{ending}")
    Image.fromarray(np.zeros((9, 9, 3), "u1")).save(tmp_path / "moth_RGB.jpg")
    cube = open_cube(tmp_path)
    assert cube.bands.wavelengths_nm.tolist() == [450, 550]
    assert cube.array.dtype == np.dtype(dtype)
    assert cube.array[:, 0, 0].tolist() == [101, 100]
    assert cube.reflectance()[0, 0, 0] == pytest.approx(101 / np.iinfo(dtype).max)
    np.testing.assert_array_equal(cube.mask, np.eye(4, 5) > 0)
    assert "1 pictures in the folder that are no" in cube.provenance[0]


XMP = (
    "<x:xmpmeta><rdf:RDF><rdf:Description><Camera:BandName>{name}</Camera:BandName>"
    "<Camera:CentralWavelength>{nm}</Camera:CentralWavelength>"
    "<Camera:WavelengthFWHM>20</Camera:WavelengthFWHM>"
    "<MicaSense:CaptureId>{capture}</MicaSense:CaptureId></rdf:Description></rdf:RDF></x:xmpmeta>"
)
DRONE = {"Blue": 475, "Green": 560, "Red": 668, "NIR": 840, "Red edge": 717}


def captures(path: Path, names: dict[str, str], *, xmp: bool = True) -> Path:
    """A capture under each name; band i of capture c is filled with 10 c + i."""
    path.mkdir()
    for c, (capture, form) in enumerate(names.items()):
        for i, (name, nm) in enumerate(DRONE.items()):
            said = XMP.format(name=name, nm=nm, capture=capture).encode()
            tifffile.imwrite(
                path / form.format(i + 1), np.full((4, 5), 10 * c + i, "u2"), metadata=None,
                extratags=[(700, 1, len(said), said, True)] if xmp else [],
            )  # fmt: skip
    return path


def test_xmp_says_names_and_centres(tmp_path):
    cube = open_cube(captures(tmp_path / "a", {"x": "IMG_0000_{}.tif"}))
    assert cube.bands.names == ("Blue", "Green", "Red", "Red edge", "NIR")
    assert cube.bands.wavelengths_nm.tolist() == [475, 560, 668, 717, 840]
    assert cube.array[:, 0, 0].tolist() == [0, 1, 2, 4, 3]
    assert "The wavelengths are those in the files." in cube.provenance


@pytest.mark.parametrize(
    ("names", "called", "xmp"),
    [
        ({"c0": "IMG_0000_{}.tif", "c1": "IMG_0001_{}.tif"}, ("IMG_0000", "IMG_0001"), True),
        ({"c0": "IMG_0000_{}.tif", "c1": "IMG_0001_{}.tif"}, ("IMG_0000", "IMG_0001"), False),
        ({"c0": "DJI_001{}.TIF", "c1": "DJI_002{}.TIF"}, ("DJI_001", "DJI_002"), True),
        ({"c0": "a_45{}nm.tif", "c1": "b_45{}nm.tif"}, ("a", "b"), False),
    ],
    ids=["MicaSense", "by the names alone", "DJI", "wavelengths"],
)
def test_two_captures_are_two_cubes(tmp_path, names, called, xmp):
    path = captures(tmp_path / "two", names, xmp=xmp)
    with pytest.raises(CubeError, match=rf"holds 2 captures, '{called[0]}', '{called[1]}'; one"):
        open_cube(path)
    for number, capture in enumerate(called):
        cube = open_cube(path / capture)
        assert sorted(cube.array[:, 0, 0].tolist()) == [10 * number + i for i in range(5)]
        assert cube.path == path / capture
    with pytest.raises(MissingFileError):
        open_cube(path / "c")


def test_roles_of_two_cameras_are_one_capture(tmp_path):
    names = ("vis_R.tif", "vis_G.tif", "vis_B.tif", "uv_R.tif", "uv_B.tif")
    assert open_cube(folder(tmp_path / "a", *names)).bands.names == ("UV_B", "UV_R", "B", "G", "R")


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


@pytest.mark.parametrize(("kind", "fractions"), [("u2", "f4"), ("i4", "f8"), ("f4", "f4")])
def test_each_band_is_not_measured_where_it_holds_its_own_number_for_that(
    tmp_path, kind, fractions
):
    (tmp_path / "a").mkdir()
    for i, declared in enumerate(("0", "9", None)):
        tags = [(42113, "s", 0, declared, True)] if declared else []
        plane = np.array([[0, 9, 100 + i]], kind)
        tifffile.imwrite(tmp_path / "a" / f"b_{500 + i}nm.tif", plane, extratags=tags)
    cube = open_cube(tmp_path / "a")
    assert cube.array.dtype == fractions
    expected = [[np.nan, 9, 100], [0, np.nan, 101], [0, 9, 102]]
    np.testing.assert_array_equal(np.asarray(cube.array)[:, 0], expected)
    np.testing.assert_array_equal(cube.array[[2, 0], 0, 1:], [[9, 102], [9, 100]])
    assert np.isnan(cube.reflectance()[:, 0]).tolist() == np.isnan(expected).tolist()
    assert "Each file's own number for 'not measured' is taken for NaN." in cube.provenance
    alike = open_cube(tmp_path / "a", Interpretation(ignore_value=100))
    assert np.isnan(alike.reflectance()[0, 0]).tolist() == [True, False, True]
