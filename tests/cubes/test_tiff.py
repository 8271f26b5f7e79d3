"""TIFF: specimen stacks and spectra are known, other people's files are left alone."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import rasterio
import tifffile

from napari_phenoscape.cubes import (
    Band,
    Bands,
    Cube,
    open_cube,
    read_mask,
    recognise,
    write_cube,
)
from napari_phenoscape.cubes._labels import band_of_label, wavelength_of, wavelengths_of
from napari_phenoscape.cubes.readers import _pieces as pieces, _tiff_decode as tiff_decode
from napari_phenoscape.errors import CubeError, PhenoscapeError
from napari_phenoscape.events import result

H, W = 20, 17
NAMES = ["R", "G", "B", "UV_R", "UV_G", "UV_B"]


def planes(count: int, dtype: str = "u2") -> np.ndarray:
    """(count, H, W): 100 * plane + row + column."""
    return np.add.outer(100 * np.arange(count), np.add.outer(np.arange(H), np.arange(W))).astype(
        dtype
    )


def specimen(full: int = 65535) -> np.ndarray:
    """(7, H, W) six bands and a mask of the first 10 rows."""
    mask = np.zeros((1, H, W), "u2")
    mask[:, :10] = full
    return np.concatenate([planes(6), mask])


def written(path: Path, array: np.ndarray, **how: Any) -> Path:
    tifffile.imwrite(path, array, **how)
    return path


LAYOUTS = {
    "interleaved": (
        lambda a: np.ascontiguousarray(a.transpose(1, 2, 0)),
        {"photometric": "rgb", "extrasamples": ["unspecified"] * 4, "metadata": None},
    ),
    "interleaved grey": (
        lambda a: np.ascontiguousarray(a.transpose(1, 2, 0)),
        {"photometric": "minisblack", "planarconfig": "contig", "metadata": None},
    ),
    "interleaved, unsaid": (lambda a: np.ascontiguousarray(a.transpose(1, 2, 0)), {}),
    "planar": (lambda a: a, {"photometric": "minisblack", "planarconfig": "separate"}),
    "pages": (lambda a: a, {"photometric": "minisblack", "metadata": None}),
    "shaped": (lambda a: a, {"photometric": "minisblack"}),
    "ImageJ channels": (lambda a: a, {"imagej": True, "metadata": {"axes": "CYX"}}),
    "deflated": (lambda a: a, {"photometric": "minisblack", "compression": "zlib"}),
    "LZW tiles": (
        lambda a: np.ascontiguousarray(a.transpose(1, 2, 0)),
        {"photometric": "minisblack", "planarconfig": "contig", "compression": "lzw",
         "tile": (16, 16), "predictor": True},
    ),
    "big-endian": (lambda a: a, {"photometric": "minisblack", "byteorder": ">"}),
    "BigTIFF": (lambda a: a, {"photometric": "minisblack", "bigtiff": True}),
}  # fmt: skip


@pytest.mark.parametrize("layout", LAYOUTS)
def test_seven_channels_are_rgb_uv_and_mask_in_any_layout(tmp_path, layout):
    arrange, how = LAYOUTS[layout]
    cube = open_cube(written(tmp_path / "a.tif", arrange(specimen()), **how))
    assert [band.name for band in cube.bands] == NAMES
    assert [band.region for band in cube.bands] == ["vis"] * 3 + ["uv"] * 3
    assert cube.shape == (6, H, W)
    assert cube.array[4, 3, 2] == 405
    np.testing.assert_array_equal(np.asarray(cube.array), planes(6))
    np.testing.assert_array_equal(cube.array[[5, 0], 2:4], planes(6)[[5, 0], 2:4])
    np.testing.assert_array_equal(cube.array[1:3, :, 1], planes(6)[1:3, :, 1])
    np.testing.assert_array_equal(cube.array[..., -1], planes(6)[..., -1])
    assert cube.mask.sum() == 10 * W
    assert cube.reflectance()[4, 3, 2] == pytest.approx(405 / 65535)
    assert recognise(tmp_path / "a.tif") == (None if "ImageJ" in layout else "tiff")


@pytest.mark.parametrize("layout", ["contig", "separate", "pages"])
@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
@pytest.mark.parametrize("rows", [H, 6], ids=["one strip", "four strips"])
@pytest.mark.parametrize("how", [{}, {"predictor": True}], ids=["plain", "differences"])
@pytest.mark.parametrize("order", "<>")
def test_large_strips_are_inflated_piece_by_piece(
    tmp_path, monkeypatch, layout, dtype, rows, how, order
):
    monkeypatch.setattr(tiff_decode, "PIECE", 50)
    monkeypatch.setattr(pieces, "PIECE", 37)
    array = (planes(9, "f4") * 7 % 250).astype(dtype)
    path = written(
        tmp_path / "a.tif",
        array.transpose(1, 2, 0) if layout == "contig" else array,
        photometric="minisblack",
        metadata=None,
        compression="zlib",
        rowsperstrip=rows,
        byteorder=order,
        **({} if layout == "pages" else {"planarconfig": layout}),
        **how,
    )
    np.testing.assert_array_equal(np.asarray(open_cube(path).array), array)


@pytest.mark.parametrize("piece", [50, 1 << 20], ids=["large strips", "small strips"])
def test_strips_that_end_too_early_are_no_zeros(tmp_path, monkeypatch, piece):
    monkeypatch.setattr(tiff_decode, "PIECE", piece)
    how = {"photometric": "minisblack", "planarconfig": "contig", "metadata": None}
    path = written(
        tmp_path / "a.tif", planes(9).transpose(1, 2, 0), compression="zlib", rowsperstrip=5, **how
    )
    with tifffile.TiffFile(path) as file:
        page = file.pages.first
        place, size = page.dataoffsets[1], page.databytecounts[1]
    content = bytearray(path.read_bytes())
    content[place : place + size] = zlib.compress(bytes(W * 9)).ljust(size, b"\0")
    path.write_bytes(content)
    with pytest.raises(CubeError, match=r"'a.tif' cannot be decoded"):
        open_cube(path).array[0]


@pytest.mark.parametrize("compression", ["zlib", "lzw"])
@pytest.mark.parametrize("tag", [273, 279], ids=["offsets", "sizes"])
def test_strips_that_are_not_listed_are_no_zeros(tmp_path, tag, compression):
    how = {"photometric": "minisblack", "planarconfig": "contig", "metadata": None}
    path = written(
        tmp_path / "a.tif",
        planes(9).transpose(1, 2, 0),
        compression=compression,
        rowsperstrip=5,
        **how,
    )
    with tifffile.TiffFile(path, mode="r+b") as file:
        listed = file.pages.first.tags[tag]
        listed.overwrite(listed.value[:-1])
    with pytest.raises(CubeError, match=r"'a.tif' lacks some of its planes or blocks"):
        open_cube(path)


@pytest.mark.parametrize("full", [1, 255, 65535])
def test_any_number_above_0_is_mask(tmp_path, full):
    path = written(tmp_path / "a.tif", specimen(full), photometric="minisblack")
    assert open_cube(path).mask.sum() == 10 * W


def test_the_mask_may_be_a_page_of_its_own_type(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(planes(6), photometric="minisblack", metadata=None)
        file.write((specimen()[6] > 0).astype("u1"), photometric="minisblack", metadata=None)
    cube = open_cube(tmp_path / "a.tif")
    assert [band.name for band in cube.bands] == NAMES
    assert cube.array[4, 3, 2] == 405
    assert cube.mask.sum() == 10 * W


def test_a_seventh_photograph_is_not_taken_for_a_mask(tmp_path):
    path = written(tmp_path / "a.tif", planes(7), photometric="minisblack")
    assert recognise(path) is None
    with pytest.raises(CubeError, match=r"7 pages, the last with 36 different numbers"):
        open_cube(path)


def test_six_channels_are_rgb_and_uv(tmp_path):
    how = {"photometric": "minisblack", "planarconfig": "separate"}
    cube = open_cube(written(tmp_path / "a.tif", planes(6), **how))
    assert [band.name for band in cube.bands] == NAMES
    assert cube.mask is None
    assert "taken as R, G, B and UV" in cube.provenance[0]
    assert recognise(tmp_path / "a.tif") == "tiff"


def test_three_channels_are_rgb_when_asked_for_and_are_not_claimed(tmp_path):
    path = written(tmp_path / "a.tif", planes(3).transpose(1, 2, 0), photometric="rgb")
    assert [band.name for band in open_cube(path).bands] == ["R", "G", "B"]
    assert recognise(path) is None


@pytest.mark.parametrize("kind", ["unassalpha", "assocalpha"])
def test_transparency_is_the_mask_where_it_is_at_least_half_opaque(tmp_path, kind):
    array = planes(4, "u1").transpose(1, 2, 0).copy()
    array[..., 3] = 127
    array[:5, :, 3] = 128
    path = written(tmp_path / "a.tif", array, photometric="rgb", extrasamples=[kind])
    cube = open_cube(path)
    assert len(cube.bands) == 3
    assert cube.mask.sum() == 5 * W


def test_a_fourth_channel_that_is_not_transparency_is_not_guessed(tmp_path):
    path = written(
        tmp_path / "a.tif",
        planes(4).transpose(1, 2, 0),
        photometric="rgb",
        extrasamples=["unspecified"],
    )
    with pytest.raises(CubeError, match=r"'a.tif' has 4 channels; 1 \(grey\), 3 \(RGB\)"):
        open_cube(path)


@pytest.mark.parametrize("layout", ["contig", "separate", "pages"])
def test_five_channels_are_rgb_and_the_two_of_uv_that_micatoolbox_keeps(tmp_path, layout):
    array = planes(5).transpose(1, 2, 0) if layout == "contig" else planes(5)
    how = {"metadata": None} if layout == "pages" else {"planarconfig": layout}
    path = written(tmp_path / "a.tif", array, photometric="minisblack", **how)
    cube = open_cube(path)
    assert [band.name for band in cube.bands] == ["R", "G", "B", "UV_B", "UV_R"]
    assert cube.array[3, 3, 2] == 305
    assert "the order of micaToolbox" in cube.provenance[0]
    assert recognise(path) is None  # any five channels look so


def test_two_channels_are_refused(tmp_path):
    how = {"photometric": "minisblack", "planarconfig": "separate"}
    path = written(tmp_path / "a.tif", planes(2), **how)
    assert recognise(path) is None
    with pytest.raises(CubeError, match=r"has 2 channels; 1 .* by --names"):
        open_cube(path)


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
def test_one_channel_is_grey(tmp_path, dtype):
    path = written(tmp_path / "a.tif", planes(1, dtype)[0], photometric="minisblack")
    cube = open_cube(path)
    assert [(band.name, band.region) for band in cube.bands] == [("grey", None)]
    np.testing.assert_array_equal(cube.array, planes(1, dtype))
    assert recognise(path) is None


def test_grey_with_transparency_has_a_mask(tmp_path):
    pixels = np.stack(
        [planes(1, "u1")[0], np.where(np.arange(W) < 3, 200, 100)[None].repeat(H, 0)], -1
    )
    path = written(
        tmp_path / "a.tif", pixels.astype("u1"), photometric="minisblack", planarconfig="contig",
        extrasamples=["unassalpha"], metadata=None,
    )  # fmt: skip
    cube = open_cube(path)
    assert cube.bands.names == ("grey",)
    assert cube.mask.sum() == 3 * H


MICA = ["visible:R:Normalised", "visible:G:Normalised", "visible:B:Normalised"]
MICA += ["uv:B:Normalised", "uv:R:Normalised"]


def test_micatoolbox_labels_say_the_order_and_the_scale(tmp_path):
    array = planes(5, "f4") / 10  # per cent
    path = written(tmp_path / "a.tif", array, imagej=True, metadata={"Labels": MICA})
    cube = open_cube(path)
    assert [band.name for band in cube.bands] == ["R", "G", "B", "UV_B", "UV_R"]
    assert cube.reflectance()[4, 3, 2] == pytest.approx(40.5 / 100)
    assert cube.array.dtype.isnative  # ImageJ writes big-endian
    assert recognise(path) == "tiff"


def test_a_label_may_say_which_slice_is_the_mask(tmp_path):
    labels = ["Mask", "R", "G", "B"]
    path = written(tmp_path / "a.tif", planes(4), imagej=True, metadata={"Labels": labels})
    cube = open_cube(path)
    assert [band.name for band in cube.bands] == ["R", "G", "B"]
    np.testing.assert_array_equal(np.asarray(cube.array), planes(4)[1:])
    np.testing.assert_array_equal(cube.mask, planes(4)[0] > 0)


@pytest.mark.parametrize(
    ("label", "name", "region"),
    [
        ("R", "R", "vis"), ("green", "green", "vis"), ("Red:Normalised", "R", "vis"),
        ("visible:B:Normalised", "B", "vis"),
        ("vG", "G", "vis"), ("uB", "UV_B", "uv"), ("uv:R", "UV_R", "uv"), ("UV_G", "UV_G", "uv"),
        ("lw", "lw", "vis"), ("uv", "uv", "uv"), ("548.35 nm", "548.35 nm", "vis"),
        ("Band 3 (360nm)", "Band 3 (360nm)", "uv"),
        ("vs", "vs", "vis"), ("UVS", "UVS", "uv"), ("NIR", "NIR", "nir"),
        ("SWIR2", "SWIR2", "swir"),
        ("1.05 µm", "1.05 µm", "swir"),
    ],
)  # fmt: skip
def test_labels_in_use_are_understood(label, name, region):
    band = band_of_label(label)
    assert (band.name, band.region) == (name, region)


@pytest.mark.parametrize("label", ["DAPI", "Background", "img_001.tif", "", "urgent", "10 nm"])
def test_other_labels_are_not(label):
    assert band_of_label(label) is None


@pytest.mark.parametrize(
    ("label", "nm"),
    [
        ("1050nm_fwhm10nm", 1050), ("F1_fwhm10nm_365nm", 365), ("fwhm200nm 550nm", 550),
        ("10nm_fwhm_550nm", 550), ("550 nm, 10 nm FWHM", 550), ("FWHM 200 nm", None),
        ("550/10 nm", 550), ("550 ± 5 nm", 550), ("500-550 nm", None), ("IMG-01-550nm", 550),
        ("led365mW10_450nm_", 450), ("col_0365_nm", 365), ("moth_365NM_raw", 365),
        ("365.5nm_refl", 365.5), ("0.94 µm", 940), ("moth_550nm_v2", 550),
    ],
)  # fmt: skip
def test_the_centre_of_a_name_is_not_its_width(label, nm):
    assert wavelength_of(label) == nm


@pytest.mark.parametrize(
    ("names", "nm"),
    [
        (("moth_365_v2", "moth_1050_v2"), [365, 1050]), (("365", "450"), [365, 450]),
        (("5_WL365", "4_WL450"), [365, 450]), (("img_0300", "img_0400"), [300, 400]),
        (("DSC_1234", "DSC_1240"), None), (("2016", "2020"), None), (("1", "2"), None),
        (tuple(f"IMG_{i:04d}" for i in range(300, 340)), None), (("450", "450"), None),
    ],
)  # fmt: skip
def test_a_number_that_varies_is_nm_and_a_count_or_year_is_none(names, nm):
    assert wavelengths_of(names) == nm


def gdal(name: str, values: list[Any], more: str = "") -> list[tuple[Any, ...]]:
    items = "".join(f'<Item {name} sample="{i}">{value}</Item>' for i, value in enumerate(values))
    return [(42112, "s", 0, f"<GDALMetadata>{items}{more}</GDALMetadata>", True)]


def test_gdal_metadata_gives_wavelengths_scale_and_nodata(tmp_path):
    centres = [400 + 10 * i for i in range(9)]
    scale = "".join(f'<Item name="SCALE" sample="{i}" role="scale">0.001</Item>' for i in range(9))
    path = written(
        tmp_path / "a.tif",
        planes(9, "i2").transpose(1, 2, 0),
        photometric="minisblack",
        planarconfig="contig",
        metadata=None,
        extratags=[*gdal('name="wavelength"', centres, scale), (42113, "s", 0, "405", True)],
    )
    cube = open_cube(path)
    assert cube.bands.wavelengths_nm.tolist() == centres
    assert cube.reflectance()[5, 0, 0] == pytest.approx(0.5)
    assert np.isnan(cube.reflectance()[4, 3, 2])
    assert recognise(path) == "tiff"


def of_gdal(path: Path, items: str, count: int = 8) -> Path:
    """A GeoTIFF, as far as it matters: georeferenced, with these items of metadata."""
    geo = (34735, "H", 4, (1, 1, 0, 0), True)
    tags = [(42112, "s", 0, f"<GDALMetadata>{items}</GDALMetadata>".encode(), True), geo]
    how = {"photometric": "minisblack", "planarconfig": "contig", "metadata": None}
    return written(path, planes(count, "i2").transpose(1, 2, 0), extratags=tags, **how)


@pytest.mark.parametrize("unit", ["Micrometers", "um", "µm", "microns", "", "Nanometers", "nm"])
def test_units_of_wavelengths_are_those_of_envi(tmp_path, unit):
    factor = 1 if unit.lower().startswith("n") else 1000
    items = "".join(
        f'<Item name="wavelength" sample="{i}">{(366.551 + 10 * i) / factor:.9g}</Item>'
        + f'<Item name="wavelength_units" sample="{i}">{unit}</Item>' * bool(unit)
        for i in range(8)
    )
    cube = open_cube(of_gdal(tmp_path / "a.tif", items))
    assert cube.bands.wavelengths_nm.tolist() == [round(366.551 + 10 * i, 6) for i in range(8)]
    assert any("units are given" in note for note in cube.provenance) == (not unit)


def test_wavenumbers_only_name_the_bands_of_a_tiff(tmp_path):
    items = "".join(
        f'<Item name="wavelength" sample="{i}">{2000 + i}</Item>'
        f'<Item name="wavelength_units" sample="{i}">Wavenumber</Item>'
        for i in range(8)
    )
    cube = open_cube(of_gdal(tmp_path / "a.tif", items))
    assert cube.bands.wavelengths_nm is None
    assert cube.bands.names[:2] == ("2000 cm-1", "2001 cm-1")
    assert any("wavenumbers" in note for note in cube.provenance)


def listed(values: Any) -> str:
    return "{" + ", ".join(map(str, values)) + "}"


CENTRES = [400 + 50 * i for i in range(8)]
DOMAINS = {
    "ENVI": f'<Item name="wavelength" domain="ENVI">{listed(CENTRES)}</Item>'
            '<Item name="wavelength_units" domain="ENVI">nanometers</Item>',
    "ENVI, um": f'<Item name="wavelength" domain="ENVI">{listed(n / 1000 for n in CENTRES)}</Item>'
                '<Item name="wavelength_units" domain="ENVI">Micrometers</Item>',
    "default": f'<Item name="wavelength">{listed(CENTRES)}</Item>'
               '<Item name="wavelength_units">nm</Item>',
    "IMAGERY": "".join(
        f'<Item name="CENTRAL_WAVELENGTH_UM" sample="{i}" domain="IMAGERY">{nm / 1000}</Item>'
        f'<Item name="FWHM_UM" sample="{i}" domain="IMAGERY">0.01</Item>'
        for i, nm in enumerate(CENTRES)
    ),
    "FORCE": "".join(
        f'<Item name="Wavelength" sample="{i}" domain="FORCE">{nm / 1000}</Item>'
        f'<Item name="Wavelength_unit" sample="{i}" domain="FORCE">micrometers</Item>'
        for i, nm in enumerate(CENTRES)
    ),
    "with the unit": "".join(
        f'<Item name="wavelength" sample="{i}">{nm} nm</Item>' for i, nm in enumerate(CENTRES)
    ),
}  # fmt: skip


@pytest.mark.parametrize("domain", DOMAINS)
def test_wavelengths_are_found_in_every_domain(tmp_path, domain):
    path = of_gdal(tmp_path / "a.tif", DOMAINS[domain])
    assert open_cube(path).bands.wavelengths_nm.tolist() == CENTRES
    assert recognise(path) == "tiff"


@pytest.mark.parametrize(
    "flags",
    ['<Item name="bbl" domain="ENVI">{1, 0, 1, 1, 1, 1, 1, 1}</Item>',
     '<Item name="bbl" sample="0">1</Item><Item name="bbl" sample="1">0</Item>',
     '<Item name="BAD_BAND" sample="1">1</Item><Item name="BAD_BAND" sample="2">0</Item>'],
)  # fmt: skip
def test_flags_of_bad_bands_are_read(tmp_path, flags):
    cube = open_cube(of_gdal(tmp_path / "a.tif", DOMAINS["default"] + flags))
    assert cube.bands.good.tolist() == [True, False] + 6 * [True]


def test_a_scale_of_a_foreign_domain_is_no_scale_and_that_is_said(tmp_path):
    scales = "".join(
        f'<Item name="Scale" sample="{i}" domain="FORCE">10000.0</Item>' for i in range(8)
    )
    cube = open_cube(of_gdal(tmp_path / "a.tif", DOMAINS["FORCE"] + scales))
    assert cube.gain == pytest.approx(1 / 32767)
    assert any("'scale = 10000.0' (domain FORCE) is no scale" in note for note in cube.provenance)
    factor = '<Item name="reflectance_scale_factor" domain="ENVI">10000</Item>'
    assert open_cube(of_gdal(tmp_path / "b.tif", factor)).gain[0] == pytest.approx(1 / 10000)


def described(*names: str) -> str:
    return "".join(
        f'<Item name="DESCRIPTION" sample="{i}" role="description">{name}</Item>'
        for i, name in enumerate(names)
    )


@pytest.mark.parametrize(
    ("names", "visible"),
    [
        (("Blue", "Green", "Red", "NIR", "Red edge"), (2, 1, 0)),
        (("Blue", "Green", "Red", "Red edge", "NIR", "LWIR"), (2, 1, 0)),
        (("Blue", "Green", "Red"), (2, 1, 0)), (("NIR", "Red", "Green"), None),
        (("blue", "green", "red", "nir"), (2, 1, 0)),
        (tuple(f"SR_B{i}" for i in range(1, 8)), None),
        (("coastal", "blue", "green_i", "green", "yellow", "red", "rededge", "nir"), (5, 3, 1)),
    ],
)  # fmt: skip
def test_bands_of_drones_and_satellites_keep_their_names(tmp_path, names, visible):
    cube = open_cube(of_gdal(tmp_path / "a.tif", described(*names), len(names)))
    assert cube.bands.names == names
    assert cube.bands.visible == visible
    assert "uv" not in {band.region for band in cube.bands}
    assert cube.mask is None
    np.testing.assert_array_equal(cube.array, planes(len(names), "i2"))
    assert [band.region for band in cube.bands if band.name.lower() == "nir"] in ([], ["nir"])


def test_transparency_that_has_no_name_is_the_mask_beside_named_bands(tmp_path):
    pixels = np.concatenate([planes(5), np.full((1, H, W), 65535, "u2")])
    pixels[5, :, :3] = 0
    path = written(
        tmp_path / "a.tif", pixels.transpose(1, 2, 0), photometric="minisblack", metadata=None,
        planarconfig="contig", extrasamples=["unspecified"] * 4 + ["unassalpha"],
        extratags=[(42112, "s", 0, described("Blue", "Green", "Red", "NIR", "Red edge"), True)],
    )  # fmt: skip
    cube = open_cube(path)
    assert cube.bands.names == ("Blue", "Green", "Red", "NIR", "Red edge")
    assert cube.mask.sum() == H * (W - 3)


@pytest.mark.parametrize("count", [2, 3, 4, 5, 6, 7])
def test_bands_of_a_map_are_not_known_by_their_number(tmp_path, count):
    path = of_gdal(tmp_path / "a.tif", "", count)
    cube = open_cube(path)
    assert cube.bands.names == tuple(f"band {i + 1}" for i in range(count))
    assert {band.region for band in cube.bands} == {None}
    assert recognise(path) is None


CONES = [
    ("vs", "sw", "mw", "lw", "dbl"), ("lw", "mw", "sw", "vs", "dbl"), ("uv", "blue", "green"),
    ("UV", "SW", "MW", "LW", "DBL"), ("u", "s", "m", "l", "lum"),
    ("UVS", "SWS", "MWS", "LWS", "DC"), ("v", "s", "m", "l"),
]  # fmt: skip


@pytest.mark.parametrize("names", CONES, ids=" ".join)
def test_receptors_are_receptors(tmp_path, names):
    how = {"imagej": True, "metadata": {"axes": "CYX", "Labels": list(names)}}
    path = written(tmp_path / "a.tif", planes(len(names), "f4"), **how)
    cube = open_cube(path)
    assert cube.bands.names == names
    seen = ["uv" if name.lower() in ("u", "uv", "uvs") else "vis" for name in names]
    assert [band.region for band in cube.bands] == seen
    assert cube.bands.visible is None
    assert recognise(path) == "tiff"


PAGES = {
    "names": ((285, "{} nm"), "450 nm", ""),
    "descriptions": ((270, "{} nm"), "450 nm", ""),
    "keys": ((270, "Wavelength={}\nExposure=20"), "450 nm", "No wavelength units are given"),
    "keys with the unit": ((270, "wavelength: {} nm"), "450 nm", ""),
    "numbers": ((285, "{}"), "450", "numbers in the names are taken as wavelengths in nm"),
}


@pytest.mark.parametrize("kind", PAGES)
def test_pages_say_their_wavelength(tmp_path, kind):
    (tag, text), first, note = PAGES[kind]
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for i, page in enumerate(planes(9)):
            file.write(page, contiguous=False, metadata=None, photometric="minisblack",
                       extratags=[(tag, 2, None, text.format(450 + 20 * i), True)])  # fmt: skip
    cube = open_cube(tmp_path / "a.tif")
    assert cube.bands.wavelengths_nm.tolist() == [450 + 20 * i for i in range(9)]
    assert cube.bands.names[0] == first
    assert note in " ".join(cube.provenance)


@pytest.mark.parametrize("value", [0, 3, 16, 255])
def test_an_unknown_planar_configuration_is_refused(tmp_path, value):
    """The library would leave planes as they lay in the memory before."""
    how = {"photometric": "minisblack", "planarconfig": "separate", "metadata": None}
    path = written(tmp_path / "a.tif", planes(9), rowsperstrip=3, **how)
    with tifffile.TiffFile(path, mode="r+b") as file:
        file.pages.first.tags[284].overwrite(value)
    with pytest.raises(CubeError, match=rf"has the planar configuration {value}; 1 "):
        open_cube(path)


def test_blocks_that_do_not_cover_a_page_are_no_pixels(tmp_path, monkeypatch):
    how = {"photometric": "minisblack", "metadata": None, "compression": "lzw", "rowsperstrip": 5}
    path = written(tmp_path / "a.tif", planes(9), **how)
    whole = tifffile.TiffPage.segments
    monkeypatch.setattr(
        tifffile.TiffPage, "segments", lambda self, **how: list(whole(self, **how))[:-1]
    )
    with pytest.raises(CubeError, match=r"cannot be decoded \(255 of 340 numbers are there"):
        open_cube(path).array[0]


SENSOR = [(33421, 3, 2, (2, 2), True), (33422, 1, 4, bytes([0, 1, 1, 2]), True)]
DNG = [(50706, 1, 4, bytes([1, 4, 0, 0]), True)]


@pytest.mark.parametrize("kind", ["preview first", "mosaic", "linear", "by its name"])
def test_a_raw_photograph_is_no_picture_of_its_preview(tmp_path, kind):
    preview, raw = planes(3, "u1").transpose(1, 2, 0), planes(1)[0]
    path = tmp_path / ("a.NEF" if kind in ("preview first", "by its name") else "a.tif")
    with tifffile.TiffWriter(path) as file:
        if kind == "preview first":
            file.write(preview, photometric="rgb", subifds=1, metadata=None)
            file.write(raw, photometric=32803, metadata=None, extratags=SENSOR)
        elif kind == "mosaic":
            file.write(raw, photometric=32803, metadata=None, extratags=SENSOR)
        elif kind == "linear":
            file.write(preview, photometric=34892, metadata=None, extratags=DNG)
        else:
            file.write(preview, photometric="rgb", metadata=None)
    assert recognise(path) is None
    with pytest.raises(CubeError, match=r"is a camera's raw file.* linear 16-bit TIFF \(dcraw -4"):
        open_cube(path)


@pytest.mark.parametrize("dtype", ["u1", "u2", "f4"])
def test_what_is_written_is_a_stack_of_imagej(tmp_path, dtype):
    bands = Bands([Band("R", region="vis"), Band("UV_B", region="uv"), Band("Glühlicht")])
    mask = np.arange(H * W).reshape(H, W) % 3 == 0
    gain = np.array([0.5, 0.25, 2], "f4")
    before = Cube(planes(3, dtype), bands, Path("a"), gain, mask=mask, ignore_value=7.0)
    result(write_cube(before, tmp_path / "a.tif"))
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.is_imagej
        assert file.imagej_metadata["images"] == file.imagej_metadata["slices"] == 4
        assert file.imagej_metadata["Labels"] == ["R", "UV_B", "Glühlicht", "mask"]
        assert file.series[0].shape == (4, H, W)
        # ImageJ reads all planes behind each other, from where the first begins
        size = planes(4, dtype).nbytes
        start = file.pages.first.dataoffsets[0]
    stored = (tmp_path / "a.tif").read_bytes()[start : start + size]
    np.testing.assert_array_equal(
        np.frombuffer(stored, f"<{dtype}").reshape(4, H, W), [*planes(3, dtype), mask]
    )
    after = open_cube(tmp_path / "a.tif")
    assert after.bands == bands
    np.testing.assert_array_equal(after.array, before.array)
    np.testing.assert_array_equal(after.mask, mask)
    np.testing.assert_array_equal(after.gain, gain)
    assert after.ignore_value == 7


def test_many_channels_are_spectral_and_claimed_when_interleaved(tmp_path):
    array = planes(40).transpose(1, 2, 0)
    path = written(tmp_path / "a.tif", array, photometric="minisblack", planarconfig="contig")
    cube = open_cube(path)
    assert cube.shape == (40, H, W)
    assert cube.array[31, 3, 2] == 3105
    assert "40 channels are taken as bands" in cube.provenance[0]
    assert recognise(path) == "tiff"


OTHERS = {
    "grey": (planes(1)[0], {}),
    "z-stack": (planes(30), {"imagej": True, "metadata": {"axes": "ZYX"}}),
    "z-stack of 7": (planes(7), {"imagej": True, "metadata": {"axes": "ZYX"}}),
    "pages": (planes(30), {"photometric": "minisblack", "metadata": None}),
    "six pages": (planes(6), {"photometric": "minisblack", "metadata": None}),
    "binary z-stack of 7": (planes(7) % 2, {"photometric": "minisblack"}),
    "OME channels": (planes(7), {"ome": True, "metadata": {"axes": "CYX"}}),
    "OME with a mask": (specimen(), {"ome": True, "metadata": {"axes": "CYX"}}),
    "RGB time series": (np.stack([planes(3, "u1").transpose(1, 2, 0)] * 4), {}),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_other_peoples_files_are_not_claimed(tmp_path, kind):
    array, how = OTHERS[kind]
    assert recognise(written(tmp_path / "a.tif", array, **how)) is None


def test_ome_channel_names_say_the_bands(tmp_path):
    metadata = {"axes": "CYX", "Channel": {"Name": ["uR", "vR", "vG", "vB"]}}
    path = written(tmp_path / "a.ome.tif", planes(4), ome=True, metadata=metadata)
    assert [band.name for band in open_cube(path).bands] == ["UV_R", "R", "G", "B"]


def test_a_truncated_file_says_how_much_is_missing(tmp_path):
    how = {"photometric": "minisblack", "planarconfig": "contig"}
    path = written(tmp_path / "a.tif", planes(40).transpose(1, 2, 0), **how)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1000])
    with pytest.raises(CubeError, match=rf"truncated: {len(whole)} .* {len(whole) - 1000} are"):
        open_cube(path)
    assert recognise(path) is None


def test_a_file_that_lost_its_last_pages_is_not_a_shorter_stack(tmp_path):
    path = written(tmp_path / "a.tif", planes(12), photometric="minisblack", metadata=None)
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(CubeError, match=r"truncated: after \d+ pages another is declared"):
        open_cube(path)


def test_a_truncated_compressed_file_is_refused_before_it_is_decoded(tmp_path):
    how = {"photometric": "minisblack", "compression": "zlib", "metadata": None}
    path = written(tmp_path / "a.tif", np.random.default_rng(0).integers(0, 9, (9, 99, 99)), **how)
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(CubeError, match=r"truncated|cannot be decoded"):
        open_cube(path)


def test_a_bomb_is_refused_by_what_it_declares(tmp_path, monkeypatch):
    path = written(tmp_path / "a.tif", specimen(), photometric="minisblack", compression="zlib")
    memory = psutil.virtual_memory()._replace(available=1000)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    with pytest.raises(CubeError, match=rf"expand to {7 * H * W * 2}; 1000 bytes of memory"):
        open_cube(path)
    assert recognise(path) is None


def test_without_imagecodecs_the_way_out_is_named(tmp_path):
    path = written(tmp_path / "a.tif", specimen(), photometric="minisblack", compression="lzw")
    code = (
        "import sys; sys.modules['imagecodecs'] = None\n"
        "from napari_phenoscape.cubes._open import open_cube\n"
        f"open_cube({str(path)!r})"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert 'needs imagecodecs: pip install "napari-phenoscape[formats]"' in process.stderr


def test_a_file_that_does_not_say_how_high_it_is_is_refused(tmp_path):
    how = {"photometric": "minisblack", "planarconfig": "contig", "metadata": None}
    path = written(tmp_path / "a.tif", planes(7).transpose(1, 2, 0), **how)
    height = struct.pack("<HHI", 257, 4, 1)
    assert height in path.read_bytes()
    path.write_bytes(path.read_bytes().replace(height, struct.pack("<HHI", 4096, 4, 1)))
    with pytest.raises(CubeError, match=rf"\(0 × {W} × 7\); rows, columns and one axis of bands"):
        open_cube(path)
    assert recognise(path) is None


def test_images_of_several_sizes_are_refused(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(planes(3), photometric="minisblack")
        file.write(np.zeros((4, 4), "u2"))
    with pytest.raises(CubeError, match="holds 2 images of different sizes"):
        open_cube(tmp_path / "a.tif")


def of_two_files(folder: Path, prefix: str = "") -> Path:
    """An OME TIFF whose last three planes are said to be in a pipe, which nobody can read."""
    (folder / "data").mkdir()
    secret = written(folder / "secret.tif", planes(3), photometric="minisblack", metadata=None)
    place = "".join(
        f'<{prefix}TiffData FirstC="{c}" IFD="{c % 3}"><{prefix}UUID FileName="{name}">{uuid}'
        f"</{prefix}UUID></{prefix}TiffData>"
        for c, (name, uuid) in enumerate(
            3 * [("a.ome.tif", "urn:uuid:1")] + 3 * [("../secret.tif", "urn:uuid:2")]
        )
    )
    ome = (
        f'<?xml version="1.0"?><{prefix}OME xmlns{":" * bool(prefix)}{prefix[:-1]}='
        '"http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:1">'
        f'<{prefix}Image ID="Image:0"><{prefix}Pixels ID="Pixels:0" DimensionOrder="XYCZT" '
        f'Type="uint16" SizeX="{W}" SizeY="{H}" SizeC="6" SizeZ="1" SizeT="1">{place}'
        f"</{prefix}Pixels></{prefix}Image></{prefix}OME>"
    )
    how = {"photometric": "minisblack", "metadata": None, "description": ome}
    path = written(folder / "data" / "a.ome.tif", planes(3), **how)
    assert tifffile.imread(path).shape[0] == 6, "the library follows the name"
    secret.unlink()
    os.mkfifo(secret)  # opening it would wait for ever
    return path


@pytest.mark.parametrize("prefix", ["", "ome:"])
def test_planes_that_an_ome_description_takes_from_elsewhere_are_not_opened(tmp_path, prefix):
    path = of_two_files(tmp_path, prefix)
    with pytest.raises(CubeError, match="takes planes from other files, which are not opened"):
        open_cube(path)
    assert recognise(path) is None


def test_tifffile_opens_no_other_file_when_it_is_told_so(tmp_path):
    """A canary for ``TiffFile(_multifile=False)``, which tifffile promises to nobody.

    Where this fails or hangs, tifffile calls it otherwise or follows the names nevertheless: then
    `_tiff_decode.ALONE` must say it in the new way, and until then only `_tiff_stack`'s look at the
    description keeps a file from opening others.
    """
    with tifffile.TiffFile(of_two_files(tmp_path), **tiff_decode.ALONE) as tif:
        assert [series.shape for series in tif.series] == [(3, H, W)]


def test_overviews_are_not_images(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        file.write(planes(3).transpose(1, 2, 0), photometric="rgb", metadata=None)
        small = np.ascontiguousarray(planes(3).transpose(1, 2, 0)[::2, ::2])
        file.write(small, photometric="rgb", subfiletype=1, metadata=None)
    assert open_cube(tmp_path / "a.tif").shape == (3, H, W)


@pytest.mark.parametrize("dtype", ["u1", "u2", "i4", "f4", "?"])
def test_masks_keep_their_numbers(tmp_path, dtype):
    labels = (np.arange(H * W).reshape(H, W) % 3).astype(dtype)
    mask = read_mask(written(tmp_path / "a.tif", labels, photometric="minisblack"))
    assert mask.dtype.kind in "ui"
    np.testing.assert_array_equal(mask, labels)


def test_a_mask_that_may_be_inverted_is_refused(tmp_path):
    path = written(tmp_path / "a.tif", np.eye(4, dtype=bool))  # tifffile's default: 0 is white
    with pytest.raises(CubeError, match="declares that 0 is white"):
        read_mask(path)


def test_colour_numbers_of_a_palette_are_the_mask(tmp_path):
    colours = np.zeros((3, 256), "u2")
    labels = np.array([[0, 7]], "u1")
    path = written(tmp_path / "a.tif", labels, photometric="palette", colormap=colours)
    assert read_mask(path).tolist() == [[0, 7]]


@pytest.mark.parametrize(
    ("array", "sentence"),
    [(planes(3), "3 .* a mask of one"), (np.full((2, 2), 0.5), "holds fractions")],
)
def test_what_is_no_mask_is_refused(tmp_path, array, sentence):
    with pytest.raises(CubeError, match=sentence):
        read_mask(written(tmp_path / "a.tif", array, photometric="minisblack"))


@pytest.mark.parametrize("cut", range(0, 700, 7))
def test_damage_is_refused_or_harmless(tmp_path, cut):
    path = written(tmp_path / "a.tif", specimen(), photometric="minisblack", compression="zlib")
    damaged = bytearray(path.read_bytes())
    damaged[cut % len(damaged)] ^= 0xFF
    path.write_bytes(damaged)
    try:
        shape = np.asarray(open_cube(path).array).shape
    except PhenoscapeError as error:
        shape, refused = (), str(error)
        assert path.name in refused or str(path) in refused
    assert len(shape) in (0, 3)


def test_every_file_of_the_torture_chamber_is_right_or_refused(phenoscape_data):
    files = sorted((phenoscape_data / "tiff-torture").rglob("*.tif*"))
    opened = 0
    for path in files:
        assert recognise(path) is None, f"{path.name} is somebody else's"
        try:
            cube = open_cube(path)
            numbers = np.asarray(cube.array)
        except CubeError as error:
            sentence = str(error)
            numbers = None
        if numbers is None:
            assert path.name in sentence
            continue
        opened += 1
        expected = tifffile.imread(path)
        if expected.ndim == 2:
            expected = expected[None]
        elif expected.shape[-1] in (3, 4) and expected.shape[0] not in (3, 4, 30):
            expected = np.moveaxis(expected, -1, 0)
        bands = len(cube.bands)
        np.testing.assert_array_equal(numbers, expected[:bands], err_msg=path.name)
    assert len(files) == 149
    assert opened == 113


@pytest.mark.filterwarnings("ignore:Dataset has no geotransform")  # says the oracle
def test_neon_trees_have_369_bands_last_and_nodata(phenoscape_data):
    files = [
        path
        for path in sorted((phenoscape_data / "neon-trees-hsi").rglob("*.tif"))
        if "crop_20" not in path.name or "hyperspectral" in path.name
    ]
    assert len(files) >= 55
    for path in files:
        assert recognise(path) == "tiff"
        cube = open_cube(path)
        assert len(cube.bands) == 369
        with rasterio.open(path) as oracle:
            np.testing.assert_array_equal(np.asarray(cube.array), oracle.read())
            assert cube.ignore_value == (None if oracle.nodata is None else oracle.nodata)
