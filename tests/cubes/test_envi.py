"""ENVI: right, or refused with a sentence."""

from __future__ import annotations

import copy
import csv
import pickle
import re
import tracemalloc
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import spectral
import tifffile
from hypothesis import given, settings, strategies as st

from napari_phenoscape.cubes import Interpretation, doubts, open_cube, recognise
from napari_phenoscape.cubes.readers._envi_data import DATA_TYPES
from napari_phenoscape.cubes.readers._envi_doubt import roughness
from napari_phenoscape.cubes.readers._envi_header import SPELT_OTHERWISE, Header
from napari_phenoscape.errors import CubeError, MissingFileError, PhenoscapeError

C, H, W = 4, 3, 5
#: Value at (band 2, row 1, column 3) is 213.
NUMBERS = np.add.outer(np.add.outer(100 * np.arange(C), 10 * np.arange(H)), np.arange(W))
ORDERS = {"bsq": (0, 1, 2), "bil": (1, 0, 2), "bip": (1, 2, 0)}
WAVELENGTHS = "wavelength units = nm\nwavelength = {400, 500.5, 600, 700}\n"


def write(
    folder: Path,
    more: str = "",
    *,
    interleave: str = "bil",
    data_type: str = "12",
    big: bool = False,
    name: str = "leaf.bil",
    header: str = "leaf.bil.hdr",
    order: str | None = None,
) -> Path:
    """A cube of `NUMBERS`; gives its header."""
    dtype = np.dtype(DATA_TYPES[data_type]).newbyteorder(">" if big else "<")
    numbers = NUMBERS.transpose(ORDERS[interleave]).astype(dtype)
    (folder / name).write_bytes(numbers.tobytes())
    order = f"byte order = {int(big)}\nheader offset = 0\n" if order is None else order
    (folder / header).write_text(
        f"ENVI\nsamples = {W}\nlines = {H}\nbands = {C}\ndata type = {data_type}\n"
        f"interleave = {interleave}\n{order}{more}",
        "latin-1",
        newline="",
    )
    return folder / header


def notes_of(path: Path) -> str:
    return " ".join(open_cube(path).provenance)


@pytest.mark.parametrize("interleave", ORDERS)
@pytest.mark.parametrize("big", [False, True], ids=["little", "big"])
@pytest.mark.parametrize("data_type", [number for number in DATA_TYPES if number != "1"])
def test_layout_and_type_do_not_change_the_cube(tmp_path, interleave, big, data_type):
    cube = open_cube(write(tmp_path, interleave=interleave, big=big, data_type=data_type))
    assert cube.shape == (C, H, W)
    assert cube.array[2, 1, 3] == 213
    np.testing.assert_array_equal(np.asarray(cube.array), NUMBERS)
    assert cube.array.dtype.isnative


def test_bytes_are_numbers_from_0_to_255(tmp_path):
    (tmp_path / "a.img").write_bytes(bytes([0, 128, 255]))
    (tmp_path / "a.hdr").write_text("ENVI\nsamples=3\nlines=1\nbands=1\ndata type=1\n", "ascii")
    cube = open_cube(tmp_path / "a.hdr")
    assert cube.array[0, 0].tolist() == [0, 128, 255]
    assert cube.reflectance()[0, 0].tolist() == pytest.approx([0, 128 / 255, 1])


def test_complex_numbers_show_their_magnitude(tmp_path):
    write(tmp_path, data_type="6")
    (tmp_path / "leaf.bil").write_bytes(np.full(C * H * W, 3 + 4j, "<c8").tobytes())
    cube = open_cube(tmp_path / "leaf.bil")
    assert cube.array[1, 1, 1] == 5
    assert "complex" in " ".join(cube.provenance)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(lambda t: t.replace("\n", "\r\n"), id="CRLF"),
        pytest.param(lambda t: t.replace("\n", "\r"), id="CR"),
        pytest.param(str.upper, id="upper case"),
        pytest.param(lambda t: t.replace(" = ", "="), id="no spaces"),
        pytest.param(lambda t: t.replace("data type", "Data  \tType"), id="wide keys"),
        pytest.param(lambda t: t.replace("bands", "; bands = 9\nbands"), id="comments"),
        pytest.param(lambda t: t.replace("bands", " ; bands = 9\nbands"), id="indented comments"),
        pytest.param(lambda t: t.replace("bands = 4", "bands = 4 ; four"), id="comment after"),
        pytest.param(lambda t: "\ufeff" + t, id="byte order mark"),
        pytest.param(lambda t: t + "description = {a {nested}\nlines = 9}\n", id="nested braces"),
        pytest.param(lambda t: t + "description = {\n lines = 9\n}\n", id="keys in braces"),
        pytest.param(lambda t: t.replace("400, 500.5", "\n400\n,500.5\n; 9\n"), id="list lines"),
        pytest.param(lambda t: t.replace("{400", "{ 400").replace("700}", "700,}"), id="comma"),
        pytest.param(lambda t: t.replace("length units", "length_unts"), id="misspelt key"),
        pytest.param(lambda t: t.replace("length =", "lengths ="), id="plural key"),
        pytest.param(lambda t: t.replace("wavelength =", "center_wavelength ="), id="other word"),
        pytest.param(lambda t: t.replace("data type", "data_type"), id="underscores"),
        pytest.param(lambda t: t.replace("{", "[\n").replace("}", "\n]"), id="square"),
        pytest.param(lambda t: t.replace(",", "\n"), id="lines alone"),
        pytest.param(lambda t: t.replace(",", " "), id="blanks alone"),
        pytest.param(lambda t: t.replace(",", ";"), id="semicolons"),
        pytest.param(lambda t: t.replace("= nm", '= "Nanometers"'), id="quotes"),
        pytest.param(lambda t: t.replace("= nm", "= {nm}"), id="units in braces"),
        pytest.param(
            lambda t: re.sub(r"(\d)([,}])", r"\1 nm\2", t.replace("units = nm", "x = [y")),
            id="units in the list",
        ),
        pytest.param(lambda t: t + "fwhm = {1,2}\nwords without equals\n\n", id="unknown keys"),
    ],
)
def test_a_header_may_be_written_in_many_ways(tmp_path, text):
    header = write(tmp_path, WAVELENGTHS)
    header.write_text(text(header.read_text()), "utf-8", newline="")
    cube = open_cube(header)
    assert cube.array[2, 1, 3] == 213
    assert cube.bands.wavelengths_nm.tolist() == [400, 500.5, 600, 700]
    assert [band.name for band in cube.bands] == ["400 nm", "500.5 nm", "600 nm", "700 nm"]


def test_what_is_left_of_the_first_equals_sign_is_the_key(tmp_path):
    assert Header(write(tmp_path, "description = lines = 9\n")).text("description") == "lines = 9"


@pytest.mark.parametrize("kind", ["ENVI", "ENVI Standard"])
def test_a_file_type_that_is_envis_own_needs_no_word(tmp_path, kind):
    plain = notes_of(write(tmp_path))
    assert notes_of(write(tmp_path, f"file type = {kind}\n")) == plain


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_letters_of_a_header_may_be_of_either_encoding(tmp_path, encoding):
    header = write(tmp_path)
    header.write_text(header.read_text() + "band names = {é, b, c, d}\n", encoding)
    assert open_cube(header).bands[0].name == "é"


def test_what_a_header_leaves_out_is_noted(tmp_path):
    path = write(tmp_path, order="")
    assert open_cube(path).array[2, 1, 3] == 213
    for what in ("byte order", "header offset", "wavelengths", "scale"):
        assert what in notes_of(path)


def test_a_complete_header_leaves_nothing_to_note(tmp_path):
    assert notes_of(write(tmp_path, WAVELENGTHS + "reflectance scale factor = 10000\n")) == ""


def test_header_offset_is_skipped(tmp_path):
    path = write(tmp_path, order="byte order = 0\nheader offset = 7\n")
    data = tmp_path / "leaf.bil"
    data.write_bytes(b"x" * 7 + data.read_bytes())
    assert open_cube(path).array[2, 1, 3] == 213


@pytest.mark.parametrize(
    ("units", "values", "centres", "note"),
    [
        ("Nanometers", "400, 500, 600, 700", [400, 500, 600, 700], ""),
        ("Micrometers", "0.366551, 0.5, 0.6, 0.7", [366.551, 500, 600, 700], ""),
        ("µm", "0.4, 0.5, 0.6, 0.7", [400, 500, 600, 700], ""),
        *(
            (unit, "400, 500, 600, 700", [400, 500, 600, 700], "")
            for unit in (
                "nanometre",
                "Nanometres",
                "NM",
                "[nm]",
                "Wavelength (nm)",
                "nanomètres",
                "wavelength_nm",
                "Nanometers (nm)",
                "Nano-Meters",
                "Wavelength/nm",
                "nanometros",
            )
        ),
        *(
            (unit, ".4, .5, .6, .7", [400, 500, 600, 700], "")
            for unit in (
                "micrometre",
                "Micrometres",
                "micron",
                "um",
                "Mikrometer",
                "microns (um)",
            )
        ),
        ("Ångström", "4000, 5000, 6000, 7000", [400, 500, 600, 700], ""),
        ("Angstroms", "4000, 5000, 6000, 7000", [400, 500, 600, 700], ""),
        ("mm", "4e-4, 5e-4, 6e-4, 7e-4", [400, 500, 600, 700], ""),
        ("Centimeters", "4e-5, 5e-5, 6e-5, 7e-5", [400, 500, 600, 700], ""),
        ("Meters", "4e-7, 5e-7, 6e-7, 7e-7", [400, 500, 600, 700], ""),
        # 299792458 m/s over 400 nm
        ("GHz", "749481.145, 374740.5725, 299792.458, 3e5", [400, 800, 1000, 999.308193], ""),
        ("THz", "749.481145, 374.7405725, 299.792458, 300", [400, 800, 1000, 999.308193], ""),
        ("Unknown", "0.4, 0.5, 0.6, 2.5", [400, 500, 600, 2500], "micrometres are taken"),
        ("", "400, 500, 600, 700", [400, 500, 600, 700], "nanometres are taken"),
        ("nm", "500, 500, 500, 500", [500] * 4, "repeat: 1 different"),
        ("nm", "400, 600, 500, 700", [400, 600, 500, 700], "rise and fall"),
        ("Wavenumber", "25000, 20000, 15000, 10000", None, "wavenumbers"),
        ("Index", "1, 2, 3, 4", None, "in 'Index' only name the bands"),
        ("GHz", "0, 1, 2, 3", None, "only name the bands"),
        ("Micrometers", "400, 500, 600, 700", None, "not those of light"),
        ("nm", "0.4, 0.5, 0.6, 0.7", None, "not those of light"),
        ("nm", "400,5; 500,5; 600,5; 700", [400.5, 500.5, 600.5, 700], ""),
        ("nm", "400, 500, 600", None, "3 for 4 bands"),
        ("nm", "400, 500, x, 600", None, "not all numbers"),
        ("nm", "400, 500, nan, 600", None, "not all numbers"),
    ],
)
def test_wavelengths_are_nm_or_not_taken_for_nm(tmp_path, units, values, centres, note):
    path = write(tmp_path, f"wavelength units = {units}\nwavelength = {{{values}}}\n")
    found = open_cube(path).bands.wavelengths_nm
    assert (None if found is None else found.tolist()) == centres
    assert note in notes_of(path)


def test_wavenumbers_name_the_bands(tmp_path):
    path = write(tmp_path, "wavelength units = cm-1\nwavelength = {2e4, 1.5e4, 1e4, 9e3}\n")
    assert [band.name for band in open_cube(path).bands][:2] == ["20000 cm-1", "15000 cm-1"]


def test_band_names_are_kept_and_told_apart(tmp_path):
    path = write(tmp_path, WAVELENGTHS + "band names = {leaf, leaf, vein, leaf (2)}\n")
    names = [band.name for band in open_cube(path).bands]
    assert names == ["leaf", "leaf (3)", "vein", "leaf (2)"]


def test_band_names_say_roles_when_there_are_no_wavelengths(tmp_path):
    path = write(tmp_path, "band names = {Red, Green, Blue, UV_R}\n")
    bands = open_cube(path).bands
    assert [(band.name, band.region) for band in bands] == [
        ("Red", "vis"), ("Green", "vis"), ("Blue", "vis"), ("UV_R", "uv"),
    ]  # fmt: skip


def test_wavelengths_go_before_the_roles_that_names_say(tmp_path):
    path = write(tmp_path, WAVELENGTHS + "band names = {Red, Green, Blue, UV_R}\n")
    assert open_cube(path).bands.wavelengths_nm.tolist() == [400, 500.5, 600, 700]


def test_wavelengths_that_names_alone_say_are_said_to_be_theirs(tmp_path):
    path = write(tmp_path, "band names = {450 nm, 550 nm, 650 nm, 750 nm}\n")
    assert open_cube(path).bands.wavelengths_nm.tolist() == [450, 550, 650, 750]
    assert "The wavelengths are those of the band names." in notes_of(path)
    assert "No wavelengths are given." not in notes_of(path)


def test_bands_without_a_word_about_them_are_counted_from_one(tmp_path):
    path = write(tmp_path, "wavelength = {}\n")
    assert [band.name for band in open_cube(path).bands] == ["band 1", "band 2", "band 3", "band 4"]
    assert "No wavelengths are given." in notes_of(path)


@pytest.mark.parametrize("key", ["bbl", "bad bands list", "good_bands", "Bad Band Multiplier"])
@pytest.mark.parametrize(
    "lines", ["", WAVELENGTHS, "band names = {Red, Green, Blue, UV_R}\n"], ids=["", "nm", "roles"]
)
def test_bands_that_the_file_flags_are_bad(tmp_path, lines, key):
    bands = open_cube(write(tmp_path, lines + f"{key} = {{1, 0, 1, 1}}\n")).bands
    assert [band.bad for band in bands] == [False, True, False, False]


def test_ignored_numbers_are_not_reflectance(tmp_path):
    cube = open_cube(write(tmp_path, "data ignore value = 213\nreflectance scale factor = 100\n"))
    reflectance = cube.reflectance()
    assert np.isnan(reflectance[2, 1, 3])
    assert np.isnan(reflectance).sum() == 1
    assert reflectance[2, 1, 2] == pytest.approx(2.12)


def test_an_ignore_value_that_no_number_can_have_hides_nothing(tmp_path):
    cube = open_cube(write(tmp_path, "data ignore value = -9999\n"))  # of uint16
    assert cube.ignore_value is None
    assert not np.isnan(cube.reflectance()).any()


def test_gains_are_in_the_order_of_the_bands_in_the_file(tmp_path):
    ones = open_cube(write(tmp_path)).array[:, 1, 3].astype(float)
    cube = open_cube(write(tmp_path, "data gain values = {1, 2, 3, 4}\n"))
    assert cube.reflectance()[:, 1, 3].tolist() == (ones * [1, 2, 3, 4]).tolist()
    np.testing.assert_array_equal(cube.reflectance(np.array([3, 0])), cube.reflectance()[[3, 0]])


@pytest.mark.parametrize(
    ("key", "note"),
    [
        ("wavelength_unts = nm", "The key 'wavelength unts' is read as 'wavelength units'"),
        ("band = 4", ""),
        ("file_type = ENVI Standard", ""),
        ("file type = Something", "The file type 'Something' is read as 'ENVI Standard'"),
        ("scale factor = 10000", "'scale factor = 10000' is none of ENVI's and is not used"),
        ("bad bands = {3}", "'bad bands = 3' is none of ENVI's"),
        ("nodata = 0", "'nodata = 0' is none of ENVI's"),
        ("fwhm = {5, 5, 5, 5}", ""),
    ],
)
def test_a_key_that_is_read_for_another_is_noted(tmp_path, key, note):
    assert note in notes_of(write(tmp_path, f"{key}\nwavelength = {{400, 500, 600, 700}}\n"))


@pytest.mark.parametrize(
    ("lines", "reflectance", "note"),
    [
        ("data gain values = {0.01}", 2.13, "where they give radiance"),
        ("data gain values = 0.01\ndata units = Reflectance", 2.13, ""),
        ("data reflectance gain values = 0.01", 2.13, ""),
        ("data gain values = {1, 1, 1, 1}\nreflectance scale factor = 1000", 0.213, ""),
        ("reflectance scale factor = {1000, 1000, 500, 1000}", 0.426, ""),
        ("reflectance_scale_factor = 1000", 0.213, ""),
        ("data gain values = {0.01}\ndata units = W/m^2/sr/nm", 2.13, "are radiance"),
        ("data units = uW/(cm^2 sr nm)", 213, "are radiance ('data units = uW/(cm^2 sr nm)')"),
        ("z plot titles = {Wavelength, Radiance}", 213, "radiance ('z plot titles = Radiance')"),
        ("z plot titles = {Wavelength, Reflectance %}", 2.13, "per cent of reflectance"),
        ("reflectance scale factor = 1000\ndata units = Radiance", 0.213, "though 'data units"),
        ("reflectance scale factor = 0.001", 0.213, "it is taken as what multiplies"),
        ("z plot titles = {Wavelength, Reflectance x 1000}", 0.213, "multiples of reflectance"),
        ("data gain values = 2\ndata offset values = 50\ndata units = Reflectance (%)", 4.76,
         "per cent of reflectance"),
        ("ceiling = 1", 213, "1, by 'ceiling', is taken"),
        ("ceiling = 65535", 213 / 65535, "65535, by 'ceiling', is taken"),
        ("ceiling = 426", 0.5, "426, by 'ceiling', is taken as reflectance 1"),
        ("bit depth = 12", 213 / 4095, "4095, by 'bit depth', is taken"),
        ("bitdepth = 12", 213 / 4095, "4095, by 'bit depth', is taken"),
        ("saturation value = 426", 0.5, "426, by 'ceiling', is taken"),
        ("ceiling = 99999", 213 / 65535, "'ceiling = 99999' is no largest number of uint16"),
    ],
)  # fmt: skip
def test_what_the_numbers_are_is_read_or_said(tmp_path, lines, reflectance, note):
    path = write(tmp_path, WAVELENGTHS + lines + "\n")
    assert open_cube(path).reflectance()[2, 1, 3] == pytest.approx(reflectance)
    assert note in notes_of(path)
    if not note and "_" not in lines:
        assert notes_of(path) == ""
    cube = open_cube(path)
    assert bool(cube.units) == bool(re.search(r"are radiance|radiance \(", note))
    assert cube.gain.shape == ((C,) if re.search(r"(gain|factor) .*, ", lines) else ())


def test_a_camera_of_32_bits_is_one(tmp_path):
    path = write(tmp_path, WAVELENGTHS + "bit depth = 32\n", data_type="13")
    assert "4294967295, by 'bit depth', is taken" in notes_of(path)


def test_an_ignore_value_that_is_used_needs_no_word(tmp_path):
    assert notes_of(write(tmp_path, WAVELENGTHS + "ceiling = 9\n")) == notes_of(
        write(tmp_path, WAVELENGTHS + "ceiling = 9\ndata ignore value = 0\n")
    )


@pytest.mark.parametrize(
    ("line", "ms"),
    [
        ("tint = 12.5", 12.5),
        ("tint = 0.5", 0.5),
        ("tint = 12,5 ms", 12.5),
        ("exposure time = 12500 us", 12.5),
        ("integration time (s) = 0.0125", 12.5),
        ("IntegrationTime = 12.5", 12.5),
    ],
)
def test_an_integration_time_is_read_with_its_unit(tmp_path, line, ms):
    assert open_cube(write(tmp_path, line + "\n")).integration_time == pytest.approx(ms)


@pytest.mark.parametrize("line", ["tint = 1/60", "tint = {10, 20}", "tint = 0", "exposure = auto"])
def test_an_integration_time_that_is_none_is_noted(tmp_path, line):
    path = write(tmp_path, line + "\n")
    assert open_cube(path).integration_time is None
    assert "is not one time above 0" in notes_of(path)


@pytest.mark.parametrize("given", ["-9999", "{0, 65535}", "half"])
def test_an_ignore_value_that_is_not_used_is_noted(tmp_path, given):
    assert "data ignore value" in notes_of(write(tmp_path, f"data ignore value = {given}\n"))


@pytest.mark.parametrize("order", [1, -1])
def test_gains_that_give_reflectance_go_before_those_that_give_radiance(tmp_path, order):
    lines = [
        "data gain values = {1, 2, 3, 4}\n",
        "data offset values = {5, 5, 5, 5}\n",
        "data reflectance gain values = {10, 20, 30, 40}\n",
    ]
    cube = open_cube(write(tmp_path, "".join(lines[::order])))
    assert cube.gain.tolist() == [10, 20, 30, 40]
    assert not cube.offset.any()


def test_gains_and_offsets_are_of_each_band(tmp_path):
    cube = open_cube(
        write(
            tmp_path,
            "data gain values = {1, 2, 3, 4}\ndata offset values = {0, 0, 10, 0}\n"
            "reflectance scale factor = 1000\n",
        )
    )
    assert cube.reflectance()[2, 1, 3] == pytest.approx((3 * 213 + 10) / 1000)
    assert cube.reflectance(np.array([2]))[0, 1, 3] == pytest.approx((3 * 213 + 10) / 1000)


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ("reflectance scale factor = 1e-56", "scales its numbers by a gain that is no number"),
        ("data offset values = {0, 1e300, 0, 0}", "scales its numbers by an offset that is no"),
        ("data gain values = {1, 2, nan, 4}", "has no numbers in 'data gain values' for 4 bands"),
        ("data gain values = {1, 2, 4}", "has 3 'data gain values' for 4 bands"),
    ],
)
def test_a_scale_that_is_no_number_is_refused(tmp_path, words, what):
    with pytest.raises(CubeError, match=rf"'leaf.bil.hdr' {what}"):
        open_cube(write(tmp_path, f"{words}\n"))


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("{4, 2, 1}", (3, 1, 0)),
        ("4.0 2.0 1.0", (3, 1, 0)),
        ("{2}", (1, 1, 1)),
        ("{700, 600, 400}", (3, 2, 0)),
        ("{600}", (2, 2, 2)),
        ("{}", None),
    ],
)
def test_default_bands_are_counted_from_one_or_named_by_their_nm(tmp_path, given, shown):
    path = write(tmp_path, f"{WAVELENGTHS}default bands = {given}\n")
    assert open_cube(path).bands.proposed == shown
    assert ("read as wavelengths" in notes_of(path)) == ("600" in given)


@pytest.mark.parametrize(
    "given", ["{0, 0, 0}", "{550}", "{5, 2, 1}", "{1.5, 2, 1}", "{1, 2}", "{a, b, c}"]
)
def test_default_bands_that_are_none_are_noted(tmp_path, given):
    path = write(tmp_path, f"default bands = {given}\n")
    assert open_cube(path).bands.proposed is None
    assert "default bands" in notes_of(path)


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("leaf.bil", "leaf.bil.hdr"),
        ("leaf.bil", "leaf.hdr"),
        ("leaf", "leaf.hdr"),
        ("leaf.IMG", "leaf.HDR"),
        ("leaf.v2.raw", "leaf.v2.hdr"),
        ("leaf.xyz", "leaf.xyz.hdr"),
    ],
)
def test_header_and_data_find_each_other(tmp_path, name, header):
    write(tmp_path, name=name, header=header)
    for either in (name, header):
        assert recognise(tmp_path / either) == "envi"
        cube = open_cube(tmp_path / either)
        assert cube.array[2, 1, 3] == 213
        assert cube.path.name == name


@pytest.mark.parametrize("ending", ["hyspex", "RFL", "pix", "tiff", "int16"])
def test_the_one_file_of_the_declared_size_is_the_data(tmp_path, ending):
    header = write(tmp_path, name=f"leaf.{ending}", header="leaf.hdr")
    data = tmp_path / f"leaf.{ending}"
    (tmp_path / "leaf.txt").write_text("notes")
    (tmp_path / "leaf.raw").write_bytes(b"decoy")
    for path in (header, data):
        assert recognise(path) == "envi"
        assert open_cube(path).path == data
    assert recognise(tmp_path / "leaf.txt") is None
    (tmp_path / "leaf.raw").unlink()
    data.write_bytes(bytes(119))
    with pytest.raises(MissingFileError, match=r"of 120 bytes, was .* with 119 bytes.*'\.bil'"):
        open_cube(header)
    data.rename(tmp_path / "leaf.bil")
    with pytest.raises(CubeError, match="119 are there, 2 of 3 lines"):
        open_cube(header)


@pytest.mark.parametrize(
    ("start", "what", "way_out"),
    [
        (b"\x89PNG\r\n\x1a\n", "a PNG picture", "Open 'leaf.bil' itself"),
        (b"\xff\xd8\xff\xe0", "a JPEG", "Open 'leaf.bil' itself"),
        (b"\x89HDF\r\n\x1a\n", "an HDF5 file", "Open 'leaf.bil' itself"),
        (b"PK\x03\x04", "a zip archive", "Export it so"),
        (b"CDF\x01", "a NetCDF 3 file", "Export it so"),
    ],
)
@pytest.mark.parametrize("size", [80, 120, 200])
def test_the_bytes_of_another_format_are_never_pixels(tmp_path, start, what, way_out, size):
    header = write(tmp_path)
    (tmp_path / "leaf.bil").write_bytes(start.ljust(size, b"\0"))
    with pytest.raises(CubeError, match=rf"'leaf\.bil' is {what}.* expected\. {way_out}\."):
        open_cube(header)


@pytest.mark.parametrize("name", ["leaf.bil", "leaf.raw", "leaf.xyz"])
@pytest.mark.parametrize("start", [b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"])
def test_the_bytes_of_a_tiff_are_never_pixels(tmp_path, start, name):
    header = write(tmp_path, name=name, header="leaf.hdr")
    (tmp_path / name).write_bytes(start.ljust(120, b"\0"))
    for path in (header, tmp_path / name):
        with pytest.raises(CubeError, match=name):
            open_cube(path)


TIFF_HEADER = (
    f"ENVI\nfile type = TIFF\nsamples = {W}\nlines = {H}\nbands = {C}\n{WAVELENGTHS}"
    "bbl = {1, 0, 1, 1}\nreflectance scale factor = 1000\ndata ignore value = 214\n"
)
LAYOUT = "data type = 12\ninterleave = bsq\nbyte order = 0\nheader offset = 0\n"


@pytest.mark.parametrize("layout", ["", LAYOUT], ids=["without layout", "with layout"])
@pytest.mark.parametrize(
    ("name", "header"), [("a.tif", "a.hdr"), ("a.tif", "a.tif.hdr"), ("a.TIFF", "a.hdr")]
)
def test_a_tiff_has_the_bands_and_scale_of_the_header_beside_it(tmp_path, name, header, layout):
    options = {"photometric": "minisblack", "planarconfig": "separate", "metadata": None}
    tifffile.imwrite(tmp_path / name, NUMBERS.astype("u2"), compression="zlib", **options)
    (tmp_path / header).write_text(TIFF_HEADER + layout)
    for path in (tmp_path / name, tmp_path / header):
        cube = open_cube(path)
        assert cube.path == tmp_path / name
        np.testing.assert_array_equal(cube.array[...], NUMBERS)
        assert cube.bands.wavelengths_nm.tolist() == [400, 500.5, 600, 700]
        assert cube.bands.good.tolist() == [True, False, True, True]
        assert cube.reflectance()[2, 1, 3] == pytest.approx(0.213)
        assert np.isnan(cube.reflectance()[2, 1, 4])
        assert "scale" not in " ".join(cube.provenance)
        assert "wavelength" not in " ".join(cube.provenance).lower()


def test_a_tiff_has_names_offsets_and_default_bands_of_the_header_beside_it(tmp_path):
    options = {"photometric": "minisblack", "planarconfig": "separate", "metadata": None}
    tifffile.imwrite(tmp_path / "a.tif", NUMBERS[[0, 1, 2, 3, 0]].astype("u2"), **options)
    (tmp_path / "a.hdr").write_text(
        f"ENVI\nfile type = TIFF\nsamples = {W}\nlines = {H}\nbands = 5\n"
        "band names = {a, b, c, d, e}\ndefault bands = {3, 2, 1}\n"
        "data reflectance gain values = 1\ndata reflectance offset values = {1, 2, 3, 4, 5}\n"
    )
    cube = open_cube(tmp_path / "a.tif")
    assert [band.name for band in cube.bands] == ["a", "b", "c", "d", "e"]
    assert cube.reflectance()[2, 1, 3] == 213 + 3
    assert cube.bands.proposed == (2, 1, 0)


def test_a_mask_in_a_tiff_is_no_band_whatever_a_header_without_wavelengths_counts(tmp_path):
    planes = np.zeros((7, H, W), "u2")
    options = {"photometric": "minisblack", "planarconfig": "separate", "metadata": None}
    tifffile.imwrite(tmp_path / "a.tif", planes, **options)
    (tmp_path / "a.hdr").write_text(
        f"ENVI\nfile type = TIFF\nsamples = {W}\nlines = {H}\nbands = 7\nceiling = 100\n"
    )
    assert len(open_cube(tmp_path / "a.tif").bands) == 6


def test_a_header_beside_a_tiff_that_is_of_another_file_or_size_is_not_used(tmp_path):
    options = {"photometric": "minisblack", "planarconfig": "separate", "metadata": None}
    tifffile.imwrite(tmp_path / "a.tif", NUMBERS[:3].astype("u2"), **options)
    write(tmp_path, WAVELENGTHS, name="a.raw", header="a.hdr")
    assert open_cube(tmp_path / "a.tif").bands.wavelengths_nm is None  # the header is a.raw's
    assert open_cube(tmp_path / "a.hdr").path.name == "a.raw"
    (tmp_path / "a.tif.hdr").write_text(TIFF_HEADER)
    cube = open_cube(tmp_path / "a.tif")
    assert cube.bands.wavelengths_nm is None
    assert "'a.tif.hdr' describes (4, 3, 5) numbers" in " ".join(cube.provenance)


@pytest.mark.parametrize(
    ("name", "head", "sentence"),
    [
        ("a.hips", b"HIPS\0", r"'a\.hips' is a picture of a Videometer camera; save it as TIFF"),
        ("a.CU3S", b"SQLite format 3", r"'a\.CU3S' is a session of a Cubert camera; export"),
        ("a.hdf", b"\x0e\x03\x13\x01", r"HDF4; make it HDF5 \(h4toh5"),
        ("a.fits", b"SIMPLE  =     T", r"gdal_translate -of ENVI"),
        ("a.jp2", b"\0\0\0\x0cjP  \r\n", r"gdal_translate -of ENVI"),
    ],
)
def test_formats_of_other_programs_are_named_with_the_step_to_one_of_ours(
    tmp_path, name, head, sentence
):
    (tmp_path / name).write_bytes(head)
    with pytest.raises(CubeError, match=sentence):
        open_cube(tmp_path / name)


@pytest.mark.parametrize("name", ["leaf.bil", "leaf.raw"])
def test_a_file_of_another_size_is_not_mistaken_for_the_data(tmp_path, name):
    write(tmp_path, name=name, header="leaf.hdr")
    (tmp_path / "leaf.img").write_bytes(b"decoy")
    assert open_cube(tmp_path / "leaf.hdr").path.name == name


def test_the_interleave_names_the_data_among_files_of_one_size(tmp_path):
    write(tmp_path, header="leaf.hdr")
    (tmp_path / "leaf.img").write_bytes(bytes(2 * C * H * W))
    assert open_cube(tmp_path / "leaf.hdr").path.name == "leaf.bil"


def test_two_files_that_fit_equally_well_are_not_guessed_between(tmp_path):
    write(tmp_path, name="leaf.img", header="leaf.hdr")
    (tmp_path / "leaf.dat").write_bytes(bytes(2 * C * H * W))
    with pytest.raises(CubeError, match=r"leaf\.img.*leaf\.dat.*Open the data file"):
        open_cube(tmp_path / "leaf.hdr")
    assert open_cube(tmp_path / "leaf.img").array[2, 1, 3] == 213


def test_a_truncated_cube_says_how_much_is_missing(tmp_path):
    header = write(tmp_path)
    (tmp_path / "leaf.bil").write_bytes(bytes(100))
    with pytest.raises(CubeError, match=r"'leaf.bil' is truncated: 120 bytes .* and 100 are there"):
        open_cube(header)


@pytest.mark.parametrize("interleave", ORDERS)
def test_the_way_out_of_a_truncated_cube_opens_what_is_there(tmp_path, interleave):
    header = write(tmp_path, interleave=interleave)
    with (tmp_path / "leaf.bil").open("r+b") as file:
        file.truncate(85)
    with pytest.raises(
        CubeError,
        match=r"2 of \d (lines|bands)\. Copy the file again .*, or set '(lines|bands) = 2' in "
        r"'leaf\.bil\.hdr'( and shorten its lists of bands)? to open",
    ) as said:
        open_cube(header)
    key, number = re.search(r"'(\w+ = )(2)'", str(said.value)).groups()
    header.write_text(re.sub(rf"^{key}\d", key + number, header.read_text(), flags=re.MULTILINE))
    cube = open_cube(header)
    np.testing.assert_array_equal(cube.array, NUMBERS[: cube.shape[0], : cube.shape[1]])
    assert 2 in cube.shape


def test_a_longer_file_is_opened_and_noted(tmp_path):
    header = write(tmp_path)
    with (tmp_path / "leaf.bil").open("ab") as file:
        file.write(b"xx")
    assert open_cube(header).array[2, 1, 3] == 213
    assert "has 122 bytes, 2 more than declared" in notes_of(header)


def test_a_header_without_data_names_what_is_missing(tmp_path):
    header = write(tmp_path)
    (tmp_path / "leaf.bil").unlink()
    with pytest.raises(MissingFileError, match=r"'leaf.bil.hdr' has no data file"):
        open_cube(header)


def test_a_header_cannot_name_a_file_elsewhere(tmp_path):
    (tmp_path / "scan").mkdir()
    secret = tmp_path / "secret.bil"
    secret.write_bytes(bytes(2 * C * H * W))
    keys = ("data file", "file name", "filename", "data file name", "image file")
    header = write(tmp_path / "scan", "".join(f"{key} = ../secret.bil\n" for key in keys))
    assert open_cube(header).path == tmp_path / "scan" / "leaf.bil"
    (tmp_path / "scan" / "leaf.bil").unlink()
    with pytest.raises(MissingFileError, match=r"'leaf.bil.hdr' has no data file beside it"):
        open_cube(header)


def test_data_without_a_header_names_what_is_missing(tmp_path):
    write(tmp_path).unlink()
    assert recognise(tmp_path / "leaf.bil") is None
    with pytest.raises(MissingFileError, match=r"neither 'leaf.bil.hdr' nor 'leaf.hdr'"):
        open_cube(tmp_path / "leaf.bil")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("interleave = bil", "interleave = bup"), r"'interleave = bup'; bil, bip or bsq"),
        (("interleave = bil\n", ""), r"no interleave"),
        (("data type = 12", "data type = 7"), r"'data type = 7'; one of 1, 2"),
        (("data type = 12\n", ""), r"no 'data type'"),
        (("byte order = 0", "byte order = 2"), r"'byte order = 2'; 0 .* or 1"),
        (("bands = 4", "bands = -4"), r"'bands = -4'; a whole number of at least 1"),
        (("bands = 4\n", ""), r"no 'bands'"),
        (("bands = 4", "bands = 4\nBands = 5"), r"'bands' twice"),
        (("bands = 4", "bands = " + "9" * 5000), r"a whole number"),
        (("lines = 3", "lines = 999999999999999999"), r"truncated"),
        (("bands = 4", "bands = 4\nfile compression = 1"), r"compressed.*gunzip"),
        (("bands = 4", "bands = 4\nfile type = ENVI Classification"), r"is a classification"),
        (("bands = 4", "bands = 4\nfile type = ENVI Spectral Library"), r"is a spectral library"),
        (("bands = 4", "bands = 4\nmajor frame offsets = {4, 0}"), r"'major frame offsets'"),
        (("bands = 4", "bands = 4\nminor frame offsets = {4, 0}"), r"'minor frame offsets'"),
        (("bands = 4", "bands = 4\nwavelength = {1, 2"), r"brace at 'wavelength' .* never closed"),
        (("bands = 4", "bands = 4\ndata gain values = {1, 2}"), r"has 2 'data gain values' for 4"),
        (("ENVI\n", "BYTEORDER I\n"), r"an ESRI header, not an ENVI header"),
        (("ENVI\n", "ENVIRONMENT\n"), r"not an ENVI header"),
    ],
)
def test_a_header_that_cannot_be_trusted_is_refused(tmp_path, change, sentence):
    header = write(tmp_path)
    header.write_text(header.read_text().replace(*change))
    with pytest.raises(CubeError, match=sentence):
        open_cube(header)


def test_a_huge_file_is_not_read_as_a_header(tmp_path):
    header = write(tmp_path)
    with header.open("r+b") as file:
        file.truncate(1 << 33)
    with pytest.raises(CubeError, match="larger than 16777216 bytes"):
        open_cube(header)


def test_gzip_is_told_from_truncation(tmp_path):
    header = write(tmp_path)
    (tmp_path / "leaf.bil").write_bytes(b"\x1f\x8b" + bytes(40))
    with pytest.raises(CubeError, match="is compressed"):
        open_cube(header)


def test_an_open_cube_takes_no_memory_and_a_band_takes_a_band(tmp_path):
    bands, rows, columns = 408, 1000, 1300  # 1.06 GB, none of it on the disk
    with (tmp_path / "big.bil").open("wb") as file:
        file.truncate(2 * bands * rows * columns)
    (tmp_path / "big.bil.hdr").write_text(
        f"ENVI\nsamples = {columns}\nlines = {rows}\nbands = {bands}\ndata type = 12\n"
        "interleave = bil\nbyte order = 0\n",
        "ascii",
    )
    tracemalloc.start()
    try:
        cube = open_cube(tmp_path / "big.bil")
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
        band = cube.array[200]
        assert tracemalloc.get_traced_memory()[1] < 2 * band.nbytes
    finally:
        tracemalloc.stop()
    assert band.shape == (rows, columns)


def test_an_open_cube_notices_that_its_file_shrank(tmp_path):
    cube = open_cube(write(tmp_path))
    with (tmp_path / "leaf.bil").open("r+b") as file:
        file.truncate(10)
    with pytest.raises(CubeError, match="has changed from 120 to 10 bytes"):
        cube.array[0]


def test_an_open_cube_notices_that_its_file_is_gone(tmp_path):
    cube = open_cube(write(tmp_path))
    (tmp_path / "leaf.bil").unlink()
    with pytest.raises(CubeError, match="cannot be read any more"):
        cube.array[0]


@pytest.mark.parametrize("again", [copy.deepcopy, lambda a: pickle.loads(pickle.dumps(a))])
def test_a_copy_maps_the_file_again(tmp_path, again):
    array = open_cube(write(tmp_path)).array
    assert len(pickle.dumps(array)) < 1000
    np.testing.assert_array_equal(again(array)[2], array[2])


@pytest.mark.parametrize(
    "index",
    [
        (2,), (slice(1, 3), 0), (Ellipsis, 3), ([3, 0], slice(None), slice(1, 4)),
        (np.array([-1, 2]), 1), (slice(None, None, 2), slice(None, None, -1)), ([],),
    ],
    ids=str,
)  # fmt: skip
def test_an_index_reads_what_it_reads_of_an_array(tmp_path, index):
    array = open_cube(write(tmp_path)).array
    np.testing.assert_array_equal(array[index], NUMBERS[index])


@pytest.mark.parametrize(
    ("words", "numbers"),
    [
        ("1,2", (1, 2)), ("1;2", (1, 2)), ("1,5;2,5", (1.5, 2.5)), ("1,5; 2", (1.5, 2)),
        ("1,2,3;4", (1, 2, 3, 4)), ("nan", None),
    ],
)  # fmt: skip
def test_commas_are_decimal_marks_where_semicolons_are(tmp_path, words, numbers):
    assert Header(write(tmp_path, f"x = {{{words}}}\n")).numbers("x") == numbers


def test_of_two_other_spellings_the_first_of_ours_is_read(tmp_path):
    key, (first, second) = next(
        (key, words[:2]) for key, words in SPELT_OTHERWISE.items() if len(words) > 1
    )
    header = Header(write(tmp_path, f"{second} = {{2}}\n{first} = {{1}}\n"))
    assert header.numbers(key) == (1,)


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from("={};,\n\r ab1.\x85é")))
def test_any_text_is_parsed_or_refused(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "any.hdr"
    path.write_text("ENVI\n" + text, "utf-8", newline="")
    try:
        fields = Header(path).fields
    except CubeError:
        assert text.count("{") > 0
    else:
        assert all(key == key.lower().strip() for key in fields)


def _rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "reader-torture" / "TABLE.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.filterwarnings("ignore:Parameters with non-lowercase")  # says the oracle
def test_every_header_of_the_truth_table_is_right_or_refused(phenoscape_data):
    opened = 0
    for row in _rows(phenoscape_data):
        header = phenoscape_data / row["header"]
        if row["envi"] != "True":
            assert recognise(header) is None, header
            with pytest.raises(CubeError, match="not an ENVI header"):
                open_cube(header)
        elif "data file absent" in row["odd"] or header.stem == "hypercloud":
            with pytest.raises(PhenoscapeError, match=header.name):
                open_cube(header)
        elif row["file compression"] or row["file type"] == "ENVI Classification":
            with pytest.raises(CubeError, match=r"is compressed|is a classification"):
                open_cube(header)
        else:
            cube = open_cube(header)
            shape = int(row["bands"]), int(row["lines"]), int(row["samples"])
            assert cube.shape == shape
            oracle = spectral.envi.open(str(header), str(header.with_name(row["data"])))
            expected = np.array(oracle.load(dtype=oracle.dtype)).transpose(2, 0, 1)
            oracle.fid.close()
            if expected.dtype.kind == "c":
                expected = np.abs(expected)
            np.testing.assert_array_equal(np.asarray(cube.array), expected, err_msg=row["header"])
            if row["nwl"]:
                low, high = map(float, row["wl"].split(".."))
                assert cube.bands.wavelengths_nm[[0, -1]].tolist() == [low, high]
            opened += 1
    assert opened == 20


def test_every_file_of_the_torture_chamber_is_opened_or_refused(phenoscape_data):
    files = [p for p in (phenoscape_data / "reader-torture").rglob("*") if p.is_file()]
    assert len(files) > 100
    for path in files:
        try:
            cube = open_cube(path)
        except PhenoscapeError as error:
            refused = str(error)
        else:
            refused = ""
            assert recognise(path) == "envi"
            assert np.asarray(cube.array).shape == cube.shape
        assert not refused or path.stem in refused


def test_the_maize_kernel_has_580_bands_from_366_551_nm(phenoscape_data):
    cube = open_cube(phenoscape_data / "plantcv-hyperspectral" / "corn-kernel-hyperspectral.raw")
    assert cube.shape == (580, 31, 43)
    assert cube.bands.wavelengths_nm[[0, -1]].tolist() == [366.551, 1048.421]
    assert "byte order" in " ".join(cube.provenance)


def test_headwall_files_are_opened_without_an_ending_and_bup_is_refused(phenoscape_data):
    folder = phenoscape_data / "plantcv-hyperspectral"
    cube = open_cube(folder / "darkReference")
    assert cube.shape == (978, 1, 1600)
    assert cube.bands.proposed == (158, 252, 519)
    # 35 for 978 bands
    assert open_cube(folder / "darkReference2.hdr").bands.wavelengths_nm is None
    with pytest.raises(CubeError, match="'interleave = bup'"):
        open_cube(folder / "darkReference4.hdr")


@pytest.fixture(scope="module")
def smooth() -> np.ndarray:
    """(30, 40, 50) numbers that change little from neighbour to neighbour, as in a scan."""
    band, row, column = np.meshgrid(*map(np.arange, (30, 40, 50)), indexing="ij")
    noise = np.random.default_rng(0).normal(0, 20, band.shape)
    return 2000 + 900 * np.sin(band / 9) + 500 * np.cos((row + 2 * column) / 25) + noise


def written(folder: Path, numbers: np.ndarray, interleave: str, dtype: str, words: str) -> Path:
    """The numbers as they are, under a header that says ``words``."""
    (folder / "a.dat").write_bytes(numbers.transpose(ORDERS[interleave]).astype(dtype).tobytes())
    bands, rows, columns = numbers.shape
    (folder / "a.hdr").write_text(
        f"ENVI\nsamples = {columns}\nlines = {rows}\nbands = {bands}\n"
        f"data type = {12 if 'u' in dtype else 4}\n{words}\n"
    )
    return folder / "a.dat"


@pytest.mark.parametrize("dtype", ["u2", "f4"])
@pytest.mark.parametrize("said", ORDERS)
@pytest.mark.parametrize("true", ORDERS)
def test_a_header_with_the_wrong_interleave_is_doubted(tmp_path, smooth, true, said, dtype):
    words = f"interleave = {said}\nbyte order = 0"
    found = doubts(open_cube(written(tmp_path, smooth, true, "<" + dtype, words)))
    if said == true:
        assert found == ()
    else:
        assert re.search(rf"and by 0\.\d\d .* read with 'interleave = {true}'\.", *found)


@pytest.mark.parametrize("said", [0, 1])
@pytest.mark.parametrize("dtype", ["<u2", ">u2", "<f4", ">f4"])
def test_a_header_with_the_wrong_byte_order_is_doubted(tmp_path, smooth, dtype, said):
    words = f"interleave = bil\nbyte order = {said}"
    found = " ".join(doubts(open_cube(written(tmp_path, smooth, "bil", dtype, words))))
    right = int(dtype[0] == ">")
    assert (f"read with 'byte order = {right}'." in found) == (said != right)


def test_noise_and_small_cubes_are_not_doubted(tmp_path, smooth):
    words = "interleave = bil\nbyte order = 0"
    noise = np.random.default_rng(0).integers(0, 4000, smooth.shape)
    assert doubts(open_cube(written(tmp_path, noise, "bsq", "<u2", words))) == ()
    assert doubts(open_cube(written(tmp_path, smooth[:, :10], "bsq", "<u2", words))) == ()
    assert doubts(open_cube(written(tmp_path, 0 * smooth, "bsq", "<u2", words))) == ()


def test_a_doubt_reads_27_windows_of_a_thousand_numbers(tmp_path, smooth, monkeypatch):
    array = open_cube(written(tmp_path, smooth, "bil", "<u2", "interleave = bil")).array
    whole, read = type(array).__getitem__, []

    def counted(self, index):
        block = whole(self, index)
        read.append(block.shape)
        return block

    monkeypatch.setattr(type(array), "__getitem__", counted)
    assert 0 < roughness(array) < 0.3
    assert read == [(8, 8, 16)] * 27


def test_nothing_is_rough_where_all_is_the_same(tmp_path, smooth):
    path = written(tmp_path, 0 * smooth + 7, "bil", "<u2", "interleave = bil")
    assert roughness(open_cube(path).array) == 0


def test_no_header_of_the_real_files_is_doubted(phenoscape_data):
    looked_at = 0
    for path in phenoscape_data.rglob("*.hdr"):
        with suppress(PhenoscapeError):
            assert doubts(open_cube(path)) == (), path
            looked_at += 1
    assert looked_at >= 20


def test_real_cubes_under_a_wrong_header_are_doubted(tmp_path, phenoscape_data):
    kernel = phenoscape_data / "plantcv-hyperspectral" / "corn-kernel-hyperspectral"
    header = kernel.with_suffix(".hdr").read_text("latin-1")
    (tmp_path / "a.raw").write_bytes(kernel.with_suffix(".raw").read_bytes())
    for wrong, right in (
        (header.replace("bil", "bip"), "'interleave = bil'"),
        (header + "\nbyte order = 1\n", "'byte order = 0'"),
    ):
        assert wrong != header
        (tmp_path / "a.hdr").write_text(wrong, "latin-1")
        assert f"read with {right}." in " ".join(doubts(open_cube(tmp_path / "a.raw")))


def test_a_gain_of_0_is_refused_before_it_makes_all_numbers_the_same(tmp_path):
    path = write(tmp_path, "data gain values = {0, 0, 0, 0}\n")
    with pytest.raises(CubeError, match="a gain of 0, which makes them all the same"):
        open_cube(path)
    bad = write(tmp_path, "data gain values = {1, 0, 1, 1}\n")
    assert open_cube(bad).gain.ravel().tolist() == [1, 0, 1, 1]


def test_a_band_called_a_mask_is_the_mask_and_no_band(tmp_path):
    path = write(tmp_path, "band names = {Red, Green, mask, Blue}\n")
    cube = open_cube(path)
    assert [(band.name, band.region) for band in cube.bands] == [
        ("Red", "vis"), ("Green", "vis"), ("Blue", "vis"),
    ]  # fmt: skip
    np.testing.assert_array_equal(cube.array[...], NUMBERS[[0, 1, 3]])
    np.testing.assert_array_equal(cube.mask, NUMBERS[2] > 0)
    assert "The band 'mask' is taken as the mask." in cube.provenance
    # whoever names the planes says it of all that are in the file
    named = open_cube(path, Interpretation(names=("a", "b", "c", "d")))
    assert (named.mask, named.shape) == (None, (C, H, W))
