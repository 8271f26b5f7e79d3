"""Cubes that are written, whole or in part, read back as they were."""

from __future__ import annotations

import itertools
from pathlib import Path

import npe2
import numpy as np
import pytest
import rasterio
import spectral
import tifffile
from click.testing import Result
from PIL import Image
from typer.testing import CliRunner

import napari_phenoscape
from napari_phenoscape.cli._console import app
from napari_phenoscape.cubes import (
    Band,
    Bands,
    Cube,
    binned,
    cropped,
    in_reflectance,
    open_cube,
    write_cube,
)
from napari_phenoscape.errors import CubeError, OptionError, RunError
from napari_phenoscape.events import result
from napari_phenoscape.spectra import Index, Part, References, convert, picture

SPECTRAL = Bands(Band(f"{nm} nm", nm) for nm in (366.551, 401.25, 550.125, 700.0))
CAMERA = Bands(
    Band(camera + colour, region=region)
    for camera, region in (("", "vis"), ("UV_", "uv"))
    for colour in "RGB"
)


def cube(dtype: str = "u2", bands: Bands = SPECTRAL, **more: object) -> Cube:
    """Number of (band, row, column) is 100 band + 10 row + column, 3 rows of 5 columns."""
    c, y, x = np.ogrid[: len(bands), :3, :5]
    return Cube(array=(100 * c + 10 * y + x).astype(dtype), bands=bands, path=Path("a"), **more)


def same(got: Cube, expected: Cube) -> None:
    np.testing.assert_array_equal(got.array[...], np.asarray(expected.array[...]))
    assert got.bands == expected.bands
    for part in ("gain", "offset"):
        np.testing.assert_array_equal(
            np.broadcast_to(getattr(got, part), len(got.bands)),
            np.broadcast_to(getattr(expected, part), len(got.bands)),
        )
    assert got.ignore_value == expected.ignore_value


@pytest.mark.parametrize("ending", [".bil", ".bip", ".bsq", ".tif"])
@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4", "u4", "f4", "f8"])
def test_a_written_cube_reads_back_the_same(tmp_path, ending, dtype):
    gain = np.array([0.1, 1 / 3, 1 / 65535, 2], np.float32)
    before = cube(dtype, gain=gain, offset=-gain, ignore_value=11.0)
    path = tmp_path / f"b{ending}"
    result(write_cube(before, path))
    after = open_cube(path)
    assert after.array.dtype == np.dtype(dtype)
    same(after, before)


@pytest.mark.parametrize(
    ("gain", "line"),
    [
        (np.float32(1 / 10000), "reflectance scale factor = 10000.0"),
        (np.float32(1 / 65535), "reflectance scale factor = 65535.0"),
        (np.full(4, 0.3, np.float32), "reflectance scale factor = 3.33333"),
        (np.float32(1), "reflectance scale factor = 1.0"),
        (np.array([1, 2, 3, 4], np.float32), "data reflectance gain values = {1.0, 2.0, 3.0, 4.0}"),
    ],
)
def test_other_programs_find_the_scale_to_reflectance_in_the_header(tmp_path, gain, line):
    before = cube(gain=gain)
    result(write_cube(before, tmp_path / "b.bil"))
    header = (tmp_path / "b.bil.hdr").read_text()
    assert line in header
    assert header.count("reflectance") == 1 + ("gain values" in line)
    same(open_cube(tmp_path / "b.bil"), before)
    if "factor" in line:
        theirs = spectral.envi.open(tmp_path / "b.bil.hdr", tmp_path / "b.bil")
        reflectance = np.moveaxis(np.asarray(theirs.load()), 2, 0)
        np.testing.assert_allclose(reflectance, before.reflectance(), rtol=1e-5)


@pytest.mark.parametrize("ending", [".bil", ".tif", ".zarr"])
@pytest.mark.parametrize("gain", [np.float32(0.01), np.array([1, 2, 3, 4], np.float32)])
def test_radiance_and_integration_times_stay_what_they_are(tmp_path, ending, gain):
    before = cube("f4", gain=gain, units="W/m^2/sr/nm", integration_time=12.5)
    path = tmp_path / f"b{ending}"
    result(write_cube(before, path))
    after = open_cube(path)
    if ending == ".bil":
        assert "reflectance" not in (tmp_path / "b.bil.hdr").read_text()
    assert (after.units, after.integration_time) == ("W/m^2/sr/nm", 12.5)
    assert "are radiance" in " ".join(after.provenance)
    same(after, before)


@pytest.mark.parametrize("ending", [".bil", ".tif", ".zarr"])
@pytest.mark.parametrize("unit", ["cm-1", "GHz", "Index", ""])
def test_numbers_that_only_name_the_bands_come_back_as_names(tmp_path, ending, unit):
    bands = Bands(Band(f"{number} {unit}".strip()) for number in (450, 1000, 1500.5, 2000))
    result(write_cube(cube(bands=bands), tmp_path / f"b{ending}"))
    after = open_cube(tmp_path / f"b{ending}")
    assert after.bands.names == bands.names
    assert after.bands.wavelengths_nm is None


@pytest.mark.parametrize("ending", [".bil", ".tif"])
def test_a_written_cube_is_exact_whatever_numpy_is_set_to_print(tmp_path, ending):
    gain = np.array([0.1, 1 / 3, 1 / 65535, 2e-9], np.float32)
    before = cube("u2", gain=gain, offset=-gain)
    with np.printoptions(legacy="1.13", precision=2):  # some libraries set this on import
        result(write_cube(before, tmp_path / f"b{ending}"))
    same(open_cube(tmp_path / f"b{ending}"), before)


@pytest.mark.parametrize("ending", [".bil", ".tif"])
def test_flags_and_proposed_colours_stay(tmp_path, ending):
    bands = Bands([SPECTRAL[0], Band("401.25 nm", 401.25, bad=True), *SPECTRAL[2:]])
    path = tmp_path / f"b{ending}"
    result(write_cube(cube(bands=bands.proposing((3, 2, 0))), path))
    assert open_cube(path).bands == bands
    if ending == ".bil":
        assert open_cube(path).bands.proposed == (3, 2, 0)


@pytest.mark.parametrize("number", [3, 6])
@pytest.mark.parametrize("ending", [".bsq", ".tif"])
def test_bands_of_cameras_keep_their_roles(tmp_path, ending, number):
    before = cube(bands=CAMERA[:number])
    path = tmp_path / f"b{ending}"
    result(write_cube(before, path))
    same(open_cube(path), before)


@pytest.mark.parametrize("bands", [SPECTRAL, CAMERA], ids=["spectral", "camera"])
def test_the_mask_is_kept(tmp_path, bands):
    mask = np.zeros((3, 5), bool)
    mask[1, 2:4] = True
    before = cube(bands=bands, mask=mask)
    result(write_cube(before, tmp_path / "b.tif"))
    after = open_cube(tmp_path / "b.tif")
    same(after, before)
    np.testing.assert_array_equal(after.mask, mask)
    written = result(write_cube(before, tmp_path / "b.bil"))
    assert [file.name for file in written] == ["b.bil", "b.bil.hdr", "b_mask.png"]
    with Image.open(tmp_path / "b_mask.png") as image:
        np.testing.assert_array_equal(np.asarray(image) > 0, mask)


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_other_programs_read_what_is_written(tmp_path):
    before = cube()
    for ending in (".bil", ".tif"):
        result(write_cube(before, tmp_path / f"b{ending}"))
        with rasterio.open(tmp_path / f"b{ending}") as file:
            np.testing.assert_array_equal(file.read(), before.array)
            assert file.descriptions[0].startswith("366.551 nm")
    image = spectral.envi.open(tmp_path / "b.bil.hdr", tmp_path / "b.bil")
    np.testing.assert_array_equal(np.moveaxis(image.load(), 2, 0), before.array)
    assert image.bands.centers == [band.wavelength_nm for band in SPECTRAL]


def test_nothing_is_overwritten_and_no_half_is_left(tmp_path):
    path = tmp_path / "b.bil"
    result(write_cube(cube(), path))
    before = path.read_bytes()
    with pytest.raises(RunError, match="is there already"):
        result(write_cube(cube("f4"), path))
    assert path.read_bytes() == before
    stopped = write_cube(cube(), tmp_path / "c.tif")
    next(stopped)
    stopped.close()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["b.bil", "b.bil.hdr"]
    with pytest.raises(OptionError, match=r"end it with \.bil"):
        result(write_cube(cube(), tmp_path / "b.jpg"))


def test_a_header_that_a_killed_write_left_is_not_in_the_way_and_another_is(tmp_path):
    result(write_cube(cube(), tmp_path / "b.bil"))
    (tmp_path / "b.bil").unlink()
    result(write_cube(cube(), tmp_path / "b.bil"))
    (tmp_path / "b.bil").unlink()
    (tmp_path / "b.bil.hdr").write_text("mine")
    with pytest.raises(RunError, match=r"'.*b\.bil\.hdr' is there already"):
        result(write_cube(cube(), tmp_path / "b.bil"))
    assert (tmp_path / "b.bil.hdr").read_text() == "mine"
    result(write_cube(cube(), tmp_path / "b.bil", overwrite=True))
    same(open_cube(tmp_path / "b.bil"), cube())


@pytest.mark.parametrize("name", ["scan.bil", "scan.bil.hdr", "soft.bil", "hard.bil"])
@pytest.mark.parametrize("verb", ["picture", "spectra", "convert"])
def test_no_verb_writes_over_what_it_reads(tmp_path, scan, verb, name):
    (tmp_path / "soft.bil").symlink_to(scan)
    (tmp_path / "hard.bil").hardlink_to(scan)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    for more in ((), ("--overwrite",)):
        ended = run(verb, scan, "-o", tmp_path / name, *more)
        assert ended.exit_code == 2, ended.output
        assert "never overwritten" in ended.stderr
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize(
    ("verb", "name"), [("picture", "p.png"), ("spectra", "metadata.csv"), ("convert", "c.tif")]
)
def test_every_verb_overwrites_only_when_told_to(tmp_path, scan, verb, name):
    out = tmp_path / name
    out.write_text("mine")
    ended = run(verb, scan, "-o", out)
    assert ended.exit_code == 2
    assert "say --overwrite" in ended.stderr
    assert out.read_text() == "mine"
    ended = run(verb, scan, "-o", out, "--overwrite")
    assert ended.exit_code == 0, ended.output
    assert out.read_bytes() != b"mine"


def test_no_table_or_reference_that_is_read_is_written_over(tmp_path, scan):
    run("spectra", scan, "--pixel", "0,1", "-o", tmp_path / "t.csv")
    tifffile.imwrite(tmp_path / "l.tif", np.ones((3, 5), np.uint8))
    for words in (
        ("convert", scan, "-o", tmp_path / "l.tif", "--white-region", f"{tmp_path / 'l.tif'},1"),
        ("spectra", scan, "-o", tmp_path / "l.tif", "--regions", tmp_path / "l.tif"),
        ("spectra", scan, "-o", scan.with_name("s.csv"), "--vision", scan.with_name("s.csv")),
        ("spectra", tmp_path / "t.csv", scan, "-o", scan),
    ):
        ended = run(*words, "--overwrite")
        assert ended.exit_code == 2, words
    assert open_cube(scan).shape == (4, 3, 5)


def test_a_part_has_the_numbers_at_its_place():
    mask = np.eye(3, 5, dtype=bool)
    gain = np.arange(4, dtype=np.float32)
    part = cropped(cube(mask=mask, gain=gain), [2, 0], slice(1, 3), slice(2, None))
    assert part.shape == (2, 2, 3)
    assert part.array[0].tolist() == [[212, 213, 214], [222, 223, 224]]
    assert part.array[1, -1, ::-2].tolist() == [24, 22]
    assert part.gain.tolist() == [2, 0]
    assert part.mask.tolist() == [[False] * 3, [True, False, False]]
    assert [band.name for band in part.bands] == ["550.125 nm", "366.551 nm"]
    np.testing.assert_array_equal(part.reflectance(), np.asarray(part.array) * [[[2]], [[0]]])


def test_every_crop_is_the_part_of_the_whole_that_it_names():
    whole = cube(mask=np.random.default_rng(0).random((3, 5)) < 0.5)
    numbers = np.asarray(whole.array)
    for top, bottom in itertools.combinations(range(4), 2):
        for left, right in itertools.combinations(range(6), 2):
            down, across = slice(top, bottom), slice(left, right)
            part = cropped(whole, range(4), down, across)
            np.testing.assert_array_equal(part.array[...], numbers[:, down, across])
            np.testing.assert_array_equal(part.array[:, -1, -1], numbers[:, bottom - 1, right - 1])
            np.testing.assert_array_equal(part.mask, whole.mask[down, across])


@pytest.mark.parametrize("rows", [slice(2, 2), slice(0, 4), slice(-1, 2)])
def test_a_range_outside_is_refused(rows):
    with pytest.raises(CubeError, match="has 3 rows"):
        cropped(cube(), [0], rows, slice(None))


@pytest.mark.parametrize(
    "index", [2, (slice(None), 1), (slice(None), 1, 3), (..., slice(None, None, -2)),
              ([2, 0], slice(0, 2)), (slice(3, 0, -2), slice(None, None, 2), slice(4, None, -3))],
)  # fmt: skip
def test_derived_cubes_index_like_arrays(index):
    whole = cube("f4")
    for derived in (cropped(whole, range(4), slice(None), slice(None)), in_reflectance(whole),
                    binned(whole)):  # fmt: skip
        np.testing.assert_array_equal(derived.array[index], np.asarray(whole.array)[index])


def test_bins_are_means_of_what_was_measured():
    whole = cube(ignore_value=0.0)
    half = binned(whole, bands=2, pixels=2)
    assert half.shape == (2, 2, 3)
    # rows 0-1, columns 0-1 of bands 0 and 1: 0 is ignored, 1, 10, 11, 100, 101, 110, 111 stay
    assert half.array[0, 0, 0] == pytest.approx(np.mean([1, 10, 11, 100, 101, 110, 111]))
    assert half.array[1, 1, 2] == pytest.approx((224 + 324) / 2)
    assert half.bands[0].wavelength_nm == pytest.approx((366.551 + 401.25) / 2)
    np.testing.assert_array_equal(half.array[:, ::2, ::2], np.asarray(half.array)[:, ::2, ::2])
    dark = binned(cube(ignore_value=24.0), pixels=3)
    assert not np.isnan(dark.array[...]).any()
    alone = cropped(cube(ignore_value=24.0), [0], slice(2, 3), slice(4, 5))
    assert np.isnan(binned(alone, pixels=3).array[...]).all()


def test_a_real_cube_is_cut_binned_and_written(tmp_path, phenoscape_data):
    kernel = phenoscape_data / "plantcv-hyperspectral" / "corn-kernel-hyperspectral.hdr"
    whole = open_cube(kernel)
    result(convert(kernel, tmp_path / "a.bil", Part("vis", rows=slice(3, 20))))
    part = open_cube(tmp_path / "a.bil")
    visible = [i for i, band in enumerate(whole.bands) if band.region == "vis"]
    np.testing.assert_array_equal(part.array[...], whole.array[visible, 3:20])
    assert [b.wavelength_nm for b in part.bands] == [whole.bands[i].wavelength_nm for i in visible]
    np.testing.assert_array_equal(
        part.reflectance(), whole.reflectance(np.array(visible), slice(3, 20))
    )
    result(convert(kernel, tmp_path / "b.tif", Part(bin_bands=4, bin_pixels=2)))
    coarse = open_cube(tmp_path / "b.tif")
    assert coarse.shape == (145, 16, 22)
    assert coarse.reflectance()[3, 2, 5] == pytest.approx(
        whole.reflectance(np.arange(12, 16), slice(4, 6), slice(10, 12)).mean(), rel=1e-6
    )


@pytest.fixture
def manifest(npe2pm):
    package = Path(napari_phenoscape.__file__).parent
    with npe2pm.tmp_plugin(manifest=npe2.PluginManifest.from_file(package / "napari.yaml")):
        yield


@pytest.mark.usefixtures("manifest")
def test_napari_saves_a_layer_of_bands_with_its_wavelengths(tmp_path):
    result(write_cube(cube(gain=np.float32(0.5) * np.ones(4, np.float32)), tmp_path / "a.bil"))
    (data, attributes, kind), *_ = npe2.read([str(tmp_path / "a.bil")], stack=False)
    out = tmp_path / "b.bip"
    written = npe2.write(str(out), [(data, attributes, kind)], plugin_name="napari-phenoscape")
    assert [Path(name).name for name in written] == ["b.bip", "b.bip.hdr"]
    same(open_cube(out), open_cube(tmp_path / "a.bil"))


@pytest.mark.usefixtures("manifest")
def test_napari_saves_a_picture_as_red_green_blue(tmp_path):
    picture = np.arange(36, dtype=np.uint8).reshape(3, 4, 3)
    out = tmp_path / "b.bsq"
    npe2.write(str(out), [(picture, {"rgb": True}, "image")], plugin_name="napari-phenoscape")
    after = open_cube(out)
    assert [band.name for band in after.bands] == list("RGB")
    np.testing.assert_array_equal(after.array[1], picture[..., 1])
    assert after.reflectance()[0, 0, 1] == pytest.approx(3 / 255)


def test_spectra_are_calibrated_smoothed_and_made_into_an_index(tmp_path):
    raw, white, dark = (tmp_path / f"{name}.bil" for name in ("raw", "white", "dark"))
    for path, numbers in ((raw, 60), (white, 110), (dark, 10)):
        flat = np.full((4, 3, 5), numbers, "u2")
        flat[1] += 25 if path == raw else 0  # 0.5 and, at 401.25 nm, 0.75
        result(write_cube(Cube(array=flat, bands=SPECTRAL, path=path), path))
    references = References(white, dark)
    result(convert(raw, tmp_path / "r.bil", references=references))
    np.testing.assert_allclose(open_cube(tmp_path / "r.bil").array[:, 0, 0], [0.5, 0.75, 0.5, 0.5])
    result(convert(raw, tmp_path / "i.bil", references=references, measure=Index("R400 / R550")))
    index = open_cube(tmp_path / "i.bil")
    assert index.shape == (1, 3, 5)
    np.testing.assert_allclose(index.array[...], 1.5)
    result(convert(raw, tmp_path / "s.bil", Part(smooth=3, continuum=True)))
    assert open_cube(tmp_path / "s.bil").array[1, 0, 0] == 1
    ended = run("convert", raw, "-o", tmp_path / "x.bil", "--dark", dark)
    assert "without a white one" in ended.stderr


@pytest.fixture
def scan(tmp_path) -> Path:
    """Four bands, 3 x 5 pixels: white (200) in row 0, dark (20) in column 0 of the rows below."""
    array = np.arange(60, dtype="u2").reshape(4, 3, 5) + 50
    array[:, 0] = 200
    array[:, 1:, 0] = 20
    path = tmp_path / "scan.bil"
    result(write_cube(Cube(array=array, bands=SPECTRAL, path=path), path))
    return path


def run(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_references_may_be_regions_of_the_cube_itself(tmp_path, scan):
    labels = np.zeros((3, 5), np.uint8)
    labels[0], labels[1:, 0] = 1, 2
    tifffile.imwrite(tmp_path / "l.tif", labels)
    raw = open_cube(scan).array[...].astype(float)
    for white, dark in (
        ("0:1,:", "1:3,0:1"),
        (f"{tmp_path / 'l.tif'},1", f"{tmp_path / 'l.tif'},2"),
    ):
        out = tmp_path / "r.bil"
        ended = run("convert", scan, "-o", out, "--white-region", white, "--dark-region", dark)
        assert ended.exit_code == 0, ended.output
        np.testing.assert_allclose(open_cube(out).array[...], (raw - 20) / 180, rtol=1e-6)
        for file in (out, out.with_name("r.bil.hdr")):
            file.unlink()
    ended = run("convert", scan, "-o", tmp_path / "r.bil", "--white-region", "0:9,0:2")
    assert "has 3 rows and 5 columns; 0:9,0:2 is not a part" in ended.stderr
    for words in ("0:1", "0:1, 0:2", "3,4"):
        ended = run("convert", scan, "-o", tmp_path / "r.bil", "--white-region", words)
        assert f"'{words}' is no region; ROW:ROW,COLUMN:COLUMN without blanks" in ended.stderr
    both = ("--white", scan, "--white-region", "0:1,:")
    assert "choose one of them" in run("convert", scan, "-o", tmp_path / "r.bil", *both).stderr


def test_angles_to_a_pixel_and_to_a_table_are_the_same(tmp_path, scan):
    more = ("--smooth", 3, "--rows", "1:3")
    ended = run("convert", scan, "-o", tmp_path / "p.bil", "--angle", "2,4", *more)
    assert ended.exit_code == 0, ended.output
    angles = open_cube(tmp_path / "p.bil")
    assert [band.name for band in angles.bands] == ["scan (2 4)"]  # ENVI's names have no commas
    assert angles.array[0, 1, 4] == pytest.approx(0, abs=1e-6)
    assert (angles.array[0][:, :4] > 0).all()
    run("convert", scan, "-o", tmp_path / "s.bil", "--smooth", 3)
    table = tmp_path / "t.csv"
    run("spectra", tmp_path / "s.bil", "--pixel", "2,4", "--pixel", "1,1", "-o", table)
    run("convert", scan, "-o", tmp_path / "t.bil", "--angle", table, *more)
    again = open_cube(tmp_path / "t.bil")
    assert again.shape == (2, 2, 5)
    np.testing.assert_allclose(again.array[0], angles.array[0], atol=2e-3)  # CSV has six digits
    both = ("--angle", "0,0", "--index", "R400")
    assert "choose one of them" in run("convert", scan, "-o", tmp_path / "x.bil", *both).stderr
    ended = run("convert", scan, "-o", tmp_path / "x.bil", "--angle", "3,0")
    assert "has 3 rows" in ended.stderr


def test_a_picture_is_written_as_it_is_shown(tmp_path, scan):
    cube = open_cube(scan)
    for show in ("colours", "principal components", "401", "366.551 nm,700,550"):
        out = tmp_path / "p.png"
        ended = run("picture", scan, "-o", out, "--show", show, "--overwrite")
        assert ended.exit_code == 0, ended.output
        np.testing.assert_array_equal(np.asarray(Image.open(out)), picture(cube, show))
    ended = run("picture", scan, "-o", tmp_path / "q.png", "--show", "heat")
    assert ended.exit_code == 2
    assert "Choose from colours, " in ended.stderr
    assert not (tmp_path / "q.png").exists()
