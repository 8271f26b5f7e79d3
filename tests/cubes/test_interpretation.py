"""What a file does not say, or says wrongly, can be said by the user, at every door."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from typer.testing import CliRunner

from napari_phenoscape.cli._console import app
from napari_phenoscape.cubes import (
    Band,
    Bands,
    Cube,
    Interpretation,
    as_modality,
    open_cube,
    write_cube,
)
from napari_phenoscape.errors import CubeError, OptionError
from napari_phenoscape.events import result
from napari_phenoscape.specimens import Drawer, Folder, collect
from napari_phenoscape.spectra import References, convert

#: Number of (plane, row, column) is 100 plane + 10 row + column; the first plane is the mask.
PLANES = np.add.outer(100 * np.arange(6), np.add.outer(10 * np.arange(8), np.arange(9)))
PLANES[0] = 0
PLANES[0, 2:5, 3:7] = 255
NAMES = ("mask", "UV_R", "B", "-", "548 nm", "wing")


@pytest.fixture
def path(tmp_path) -> Path:
    """Six planes without names, which are taken as RGB and UV."""
    file = tmp_path / "a.tif"
    tifffile.imwrite(file, PLANES.astype("u2"), photometric="minisblack", metadata=None)
    return file


def test_names_say_what_the_planes_are(path):
    assert [band.name for band in open_cube(path).bands][:3] == ["R", "G", "B"]
    cube = open_cube(path, Interpretation(names=NAMES))
    assert cube.bands == (
        Band("UV_R", region="uv"), Band("B", region="vis"), Band("548 nm", 548.0), Band("wing"),
    )  # fmt: skip
    np.testing.assert_array_equal(cube.array[...], PLANES[[1, 2, 4, 5]])
    np.testing.assert_array_equal(cube.mask, PLANES[0] > 0)
    assert as_modality("uv").indices(cube).tolist() == [0]
    assert cube.provenance == (
        "No scale is given; 65535, the largest number, is taken as reflectance 1.",
        "As stated, the planes are mask, UV_R, B, -, 548 nm, wing.",
    )


@pytest.mark.parametrize(
    ("name", "meant"),
    [("maks", "mask"), ("365", "365 nm"), ("bleu", "blue"), ("IR", "nir"), ("thermal", "")],
)
def test_a_name_that_is_nearly_one_of_ours_is_asked_about(path, name, meant):
    cube = open_cube(path, Interpretation(names=("R", "G", "B", "-", "548 nm", name)))
    asked = f" '{name}' says nothing of the light that it shows. Did you mean '{meant}'?"
    assert cube.provenance[-1] == (
        f"As stated, the planes are R, G, B, -, 548 nm, {name}.{asked if meant else ''}"
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--wavelengths", "348.39"), "--wavelengths 348.39: two wavelengths or more, above 0 nm"),
        (("--wavelengths", "348-809"), "--wavelengths 348-809: a number was expected"),
        (("--full-scale", "-1"), "--full-scale -1.0: a number greater than 0.0 was expected"),
        (("--names", "mask,mask"), "--names mask,mask: mask, mask name 0 bands and 2 masks"),
    ],
)
def test_the_command_names_the_option_that_is_wrong(path, options, words):
    end = CliRunner().invoke(app, ["info", str(path), *options])
    assert end.exit_code == 2
    assert f"error: {words}" in " ".join(end.stderr.split())


def test_channels_that_fit_no_convention_open_by_their_names(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", PLANES[:4].astype("u1"), photometric="minisblack")
    with pytest.raises(CubeError, match="Say what they are by --names"):
        open_cube(tmp_path / "a.tif")
    cube = open_cube(tmp_path / "a.tif", Interpretation(names=("R", "G", "B", "UV")))
    assert [band.region for band in cube.bands] == ["vis", "vis", "vis", "uv"]


def test_a_name_keeps_the_wavelength_that_the_file_gives(tmp_path):
    bands = Bands([Band("400 nm", 400.0), Band("500 nm", 500.0, bad=True)])
    result(write_cube(Cube(PLANES[:2].astype("u2"), bands, Path("a")), tmp_path / "a.bil"))
    named = open_cube(tmp_path / "a.bil", Interpretation(names=("blue", "green")))
    assert named.bands == Bands([Band("blue", 400.0, "vis"), Band("green", 500.0, "vis", bad=True)])


def test_evenly_spaced_wavelengths_are_given_by_their_ends(tmp_path):
    tifffile.imwrite(
        tmp_path / "a.tif", np.zeros((8, 9, 408), "u2"), photometric="minisblack",
        planarconfig="contig",
    )  # fmt: skip
    cube = open_cube(tmp_path / "a.tif", Interpretation(wavelengths_nm=(348.39, 809.61)))
    assert cube.bands.wavelengths_nm[[0, 1, 407]].tolist() == [348.39, 349.523219, 809.61]
    assert cube.bands[0].name == "348.39 nm"
    assert len(as_modality("uv").indices(cube)) == 46
    assert not any("wavelengths are not given" in note for note in cube.provenance)
    each = tuple(float(nm) for nm in range(400, 808))
    assert open_cube(
        tmp_path / "a.tif", Interpretation(wavelengths_nm=each)
    ).bands.wavelengths_nm.tolist() == list(each)
    with pytest.raises(CubeError, match="has 408 bands and 3 wavelengths are given"):
        open_cube(tmp_path / "a.tif", Interpretation(wavelengths_nm=(1.0, 2.0, 3.0)))


@pytest.mark.parametrize(("full_scale", "gain"), [(None, 1 / 65535), (4095, 1 / 4095)])
def test_the_number_of_a_perfect_white_can_be_given(path, full_scale, gain):
    cube = open_cube(path, Interpretation(full_scale=full_scale))
    assert cube.reflectance()[5, 7, 7] == pytest.approx(577 * gain)
    assumed = any("No scale is given" in note for note in cube.provenance)
    assert assumed == (full_scale is None)


@pytest.mark.parametrize(
    ("said", "words"),
    [({"names": ("mask", "mask", "R")}, "1 bands and 2 masks"),
     ({"names": ("mask", "-")}, "0 bands and 1 masks"),
     ({"wavelengths_nm": (0.0, 400.0)}, "above 0 nm"), ({"full_scale": 0}, "greater than 0")],
)  # fmt: skip
def test_what_cannot_be_is_refused_at_once(said, words):
    with pytest.raises(OptionError, match=words):
        Interpretation.parse(said)


def test_names_for_other_numbers_of_planes_are_refused(path):
    with pytest.raises(CubeError, match=r"has 6 planes and 2 names are given \(R, G\)"):
        open_cube(path, Interpretation(names=("R", "G")))


def test_collections_read_every_file_so_and_say_what_was_assumed(tmp_path, path):
    tifffile.imwrite(tmp_path / "b.tif", PLANES.astype("u1"), photometric="minisblack")
    said = Interpretation(names=NAMES)
    before = result(collect(Folder(path=tmp_path)))
    after = result(collect(Folder.parse({"path": tmp_path, "read_as": said.model_dump()})))
    assert before.specimens[0].box == (0, 8, 0, 9)
    assert after.specimens[0].box == (0, 7, 1, 9)  # the mask, and two pixels around it
    cube, labels = after.opened((0,))
    assert [band.name for band in cube.bands] == ["UV_R", "B", "548 nm", "wing"]
    np.testing.assert_array_equal(labels, PLANES[0] > 0)
    assert "The six pages are taken as R, G, B and UV_R, UV_G, UV_B." in before.assumed
    assert after.assumed[0].startswith("As stated, the planes are mask")
    assert any("(1 of 2 files)" in sentence for sentence in after.assumed)


def test_a_drawer_is_read_so_too(path):
    two = PLANES.copy()
    two[0, :2, :2] = 1
    tifffile.imwrite(path, two.astype("u2"), photometric="minisblack", metadata=None)
    drawer = Drawer(path=path, min_area=1, read_as=Interpretation(names=NAMES))
    collection = result(collect(drawer))
    assert len(collection.specimens) == 2
    assert collection.opened((0,))[0].shape == (4, 8, 9)
    assert collection.assumed[-1].startswith("As stated")


def test_references_are_read_as_the_cube_is(tmp_path):
    for name, numbers in (("raw", 200), ("white", 400), ("dark", 100)):
        tifffile.imwrite(tmp_path / f"{name}.tif", np.full((6, 8, 9), numbers, "u2"),
                         photometric="minisblack", metadata=None)  # fmt: skip
    said = Interpretation(names=("R", "G", "B", "UV", "-", "-"), full_scale=1000)
    white, dark = (tmp_path / f"{name}.tif" for name in ("white", "dark"))
    references = References(white, dark)
    result(convert(tmp_path / "raw.tif", tmp_path / "a.zarr", references=references, read_as=said))
    np.testing.assert_allclose(open_cube(tmp_path / "a.zarr").array[...], 1 / 3, rtol=1e-6)


def test_the_command_line_shows_and_writes_a_corrected_file(tmp_path, path):
    given = ["--names", "mask,UV_R,B,-,548 nm,wing", "--full-scale", "4095"]
    said = CliRunner().invoke(app, ["info", str(path), *given]).stdout
    assert "bands: UV_R, B, 548 nm, wing" in said
    assert "As stated, the planes are" in said
    output = tmp_path / "b.zarr"
    assert CliRunner().invoke(app, ["convert", str(path), "-o", str(output), *given]).exit_code == 0
    cube = open_cube(output)
    assert [band.region for band in cube.bands] == ["uv", "vis", "vis", None]
    assert cube.mask.sum() == 12
    assert cube.reflectance()[3, 7, 7] == pytest.approx(577 / 4095)
    drawn = tmp_path / "b.png"
    shown = ["picture", str(path), "-o", str(drawn), "--names", "-,-,-,R,G,B"]
    assert CliRunner().invoke(app, shown).exit_code == 0
    red, green, blue = np.asarray(Image.open(drawn))[4, 4]
    assert red < green < blue  # planes 3, 4 and 5 rise by 100
    table = tmp_path / "b.csv"
    measured = ["spectra", str(path), "-o", str(table), "--wavelengths", "400,650"]
    assert CliRunner().invoke(app, [*measured, "--full-scale", "1000"]).exit_code == 0
    lines = table.read_text("utf-8").splitlines()
    assert [float(line.partition(",")[0]) for line in lines[1:]] == [400, 450, 500, 550, 600, 650]
    assert float(lines[-1].split(",")[1]) == pytest.approx(100 * PLANES[5].mean() / 1000, rel=1e-4)
    spaced = CliRunner().invoke(app, ["info", str(path), "--wavelengths", "400,650"]).stdout
    assert "400.00 to 650.00 nm" in spaced
    wrong = CliRunner().invoke(app, ["info", str(path), "--wavelengths", "a,b"])
    assert wrong.exit_code == 2
    assert "--wavelengths" in wrong.stderr
