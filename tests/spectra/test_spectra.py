"""Spectra in numbers that can be checked by hand, and the tables of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from typer.testing import CliRunner

from napari_phenoscape.cli._console import app
from napari_phenoscape.cubes import Band, Bands, Cube, open_cube, write_cube
from napari_phenoscape.errors import CubeError, MissingFileError, TableError
from napari_phenoscape.events import result
from napari_phenoscape.spectra import (
    angles_to,
    mean_of,
    pixel_spectrum,
    region_spectrum,
    spectra,
    write_spectra,
)
from napari_phenoscape.spectra._spectra import on_bands, read_spectra, spectra_table


def cube(*nm: float, name: str = "a") -> Cube:
    """Number of (band, row, column) is 100 band + 10 row + column; white is 1000."""
    c, y, x = np.ogrid[: len(nm), :3, :5]
    bands = Bands(Band(f"{one} nm", one) for one in nm)
    array = (100 * c + 10 * y + x).astype(np.uint16)
    return Cube(array, bands, Path(f"{name}.bil"), gain=np.array(0.001, np.float32))


def test_a_pixel_has_its_reflectance_in_each_band():
    spectrum = pixel_spectrum(cube(400, 500, 600), 2, 3)
    assert spectrum.mean == pytest.approx([0.023, 0.123, 0.223])
    assert spectrum.bands.wavelengths_nm.tolist() == [400, 500, 600]
    assert spectrum.sd is None


def test_the_table_is_in_per_cent_by_rising_wavelength():
    falling = cube(600, 500, 400)
    mask = np.zeros((3, 5), bool)
    mask[0, :2] = True  # numbers 0 and 1
    table = spectra_table([pixel_spectrum(falling, 1, 1), region_spectrum(falling, mask, "wing")])
    assert table.columns.tolist() == ["wl", "a (1, 1)", "wing"]
    assert table["wl"].tolist() == [400, 500, 600]
    assert table["a (1, 1)"].tolist() == pytest.approx([21.1, 11.1, 1.1])
    assert table["wing"].tolist() == pytest.approx([20.05, 10.05, 0.05])


def test_cubes_of_other_wavelengths_share_a_table_with_empty_cells():
    table = spectra_table([pixel_spectrum(cube(*nm), 0, 0) for nm in ((400, 500), (500, 600))])
    assert table["wl"].tolist() == [400, 500, 600]
    assert table["a (0, 0)"].isna().tolist() == [False, False, True]
    assert table["a (0, 0) (2)"].isna().tolist() == [True, False, False]


def test_bands_without_wavelengths_are_named_in_their_order():
    camera = Cube(np.ones((2, 1, 1), np.float32), Bands([Band("R"), Band("B")]), Path("c"))
    table = spectra_table([pixel_spectrum(camera, 0, 0)])
    assert table["band"].tolist() == ["R", "B"]
    with pytest.raises(CubeError, match="not all have wavelengths"):
        spectra_table([pixel_spectrum(camera, 0, 0), pixel_spectrum(cube(400), 0, 0)])


def test_repeated_wavelengths_are_refused():
    twice = cube(400, 400)
    with pytest.raises(CubeError, match="repeat a wavelength"):
        spectra_table([pixel_spectrum(twice, 0, 0)])


def test_standard_deviations_have_a_table_of_their_own(tmp_path):
    mask = np.zeros((3, 5), bool)
    mask[0, :3] = True  # numbers 0, 1, 2
    found = [region_spectrum(cube(400, 500), mask, "wing"), pixel_spectrum(cube(400, 500), 0, 0)]
    files = write_spectra(found, tmp_path / "s.csv")
    assert [file.name for file in files] == ["s.csv", "s-sd.csv"]
    deviations = pd.read_csv(files[1])
    assert deviations["wing"].tolist() == pytest.approx([0.1 * np.sqrt(2 / 3)] * 2, rel=1e-5)
    assert deviations["a (0, 0)"].isna().all()


def test_a_mean_counts_each_spectrum_once_where_it_reaches():
    one, two = pixel_spectrum(cube(400, 500, 600), 0, 0), pixel_spectrum(cube(450, 550), 1, 2)
    found = mean_of([one, two], "both")  # 0, 0.1, 0.2 and, at 500 nm, between 0.012 and 0.112
    assert found.bands.wavelengths_nm.tolist() == [400, 500, 600]
    assert found.mean == pytest.approx([0, (0.1 + 0.062) / 2, 0.2])
    assert found.sd[1] == pytest.approx((0.1 - 0.062) / np.sqrt(2))  # of a sample of two
    assert np.isnan(found.sd[[0, 2]]).all()
    with pytest.raises(CubeError, match="shares no band"):
        mean_of([one, pixel_spectrum(cube(700, 800), 0, 0)], "both")


def test_bands_without_wavelengths_are_matched_by_name():
    camera = Cube(np.ones((2, 1, 1), np.float32), Bands([Band("R"), Band("B")]), Path("c"))
    found = on_bands(pixel_spectrum(camera, 0, 0), Bands([Band("B"), Band("G")]))
    assert found[0] == 1
    assert np.isnan(found[1])


def test_a_table_of_spectra_is_read_back(tmp_path):
    written = [pixel_spectrum(cube(400, 500), 0, 3), pixel_spectrum(cube(400, 500), 2, 4)]
    write_spectra(written, tmp_path / "s.csv")
    for before, after in zip(written, read_spectra(tmp_path / "s.csv"), strict=True):
        assert (after.name, after.bands.wavelengths_nm.tolist()) == (before.name, [400, 500])
        assert after.mean == pytest.approx(before.mean, rel=1e-5)
    camera = Cube(np.ones((2, 1, 1), np.float32), Bands([Band("R"), Band("B")]), Path("c"))
    write_spectra([pixel_spectrum(camera, 0, 0)], tmp_path / "c.csv")
    (found,) = read_spectra(tmp_path / "c.csv")
    assert found.bands == camera.bands


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not a table"),
        ("wl\n400\n", "no table of spectra"),
        ("x,a\n1,2\n", "no table of spectra"),
        ("wl,a\n400,high\n", "'high' in 's.csv'"),
        ("wl,a\n", "it has 1 lines"),
    ],
)
def test_what_is_no_table_of_spectra_is_refused(tmp_path, text, words):
    (tmp_path / "s.csv").write_text(text)
    with pytest.raises((CubeError, TableError), match=words):
        read_spectra(tmp_path / "s.csv")
    with pytest.raises(MissingFileError, match="There is no table"):
        read_spectra(tmp_path / "t.csv")


def test_angles_are_to_spectra_of_other_wavelengths_too():
    # the same straight line, sampled elsewhere
    nm = np.array([450.0, 550])
    other = pixel_spectrum(cube(450, 550), 0, 0)
    line = Cube(
        ((nm - 400) / 1000)[:, None, None], Bands([Band("b0", 450.0), Band("b1", 550.0)]), Path("b")
    )
    one = pixel_spectrum(cube(400, 500, 600), 0, 0)  # 0, 0.1, 0.2
    assert float(angles_to(line, [one]).array[0, 0, 0]) == pytest.approx(0, abs=1e-6)
    assert angles_to(line, [one, other]).shape == (2, 1, 1)


def test_regions_and_pixels_from_the_command_line(tmp_path):
    result(write_cube(cube(400, 500), tmp_path / "b.bil"))
    labels = np.zeros((3, 5), np.uint8)
    labels[1], labels[2, 4] = 1, 7
    tifffile.imwrite(tmp_path / "l.tif", labels)
    path = str(tmp_path / "b.bil")
    out = str(tmp_path / "s.csv")
    CliRunner().invoke(app, ["spectra", path, "-o", out, "--regions", str(tmp_path / "l.tif")])
    table = pd.read_csv(out)
    assert table["b 1"].tolist() == pytest.approx([1.2, 11.2])
    assert table["b 7"].tolist() == pytest.approx([2.4, 12.4])
    ended = CliRunner().invoke(app, ["spectra", path, "-o", out, "--overwrite", "--pixel", "1,2"])
    assert ended.exit_code == 0
    assert pd.read_csv(out)["b (1, 2)"].tolist() == pytest.approx([1.2, 11.2])
    two = ["--pixel", "1,2", "--pixel", "1,4"]
    CliRunner().invoke(app, ["spectra", path, "-o", out, "--overwrite", *two, "--mean"])
    assert pd.read_csv(out)["mean of 2"].tolist() == pytest.approx([1.3, 11.3])
    ended = CliRunner().invoke(
        app, ["spectra", path, "-o", out, "--overwrite", "--pixel", "1,2", "--mean"]
    )
    assert "A mean needs two spectra" in ended.stderr
    ended = CliRunner().invoke(app, ["spectra", path, "-o", out, "--overwrite", "--pixel", "3,0"])
    assert "has 3 rows and 5 columns" in ended.stderr
    ended = CliRunner().invoke(app, ["spectra", path, "--pixel", "3;0"])
    assert "'ROW,COLUMN' was expected" in ended.stderr


def test_a_real_kernel_is_brighter_in_the_near_infrared(tmp_path, phenoscape_data):
    kernel = phenoscape_data / "plantcv-hyperspectral" / "corn-kernel-hyperspectral.hdr"
    result(spectra([kernel], tmp_path / "kernel.csv"))
    table = pd.read_csv(tmp_path / "kernel.csv")
    assert len(table) == len(open_cube(kernel).bands)
    assert table["wl"].is_monotonic_increasing
