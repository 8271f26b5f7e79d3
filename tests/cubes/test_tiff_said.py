"""What a TIFF says of its planes: names, wavelengths, flags and scale, wherever it says them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile

from napari_phenoscape.cubes import as_modality, open_cube, recognise
from napari_phenoscape.cubes._labels import band_of_label, wavelength_of, wavelengths_of
from tests.cubes.test_tiff import H, W, planes, written


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
        ("548,351 nm", 548.351), ("moth_550,5nm", 550.5), ("moth7,550nm", 550),
        ("Ex 405 nm, Em 520 nm", 520), ("520nm (exc. 405nm)", 520), ("Ex405nm", 405),
        ("apex 550 nm", 550), ("0.450 Micrometers", 450), ("Band 1 (450.5 Nanometers)", 450.5),
        ("1.05 microns", 1050), ("550 nanotubes", None),
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
        (("1000 cm-1", "2000 cm-1"), None), (("a450ms", "a550ms"), None),
        (("450 Index", "550 Index"), None), (("led365mW_450", "led365mW_550"), [450, 550]),
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
    "GDAL's copy of ENVI": "".join(
        f'<Item name="Band_{i + 1}">{nm}.0 Nanometers</Item>' for i, nm in enumerate(CENTRES)
    ),
    "counted": "".join(
        f'<Item name="wavelength_{i + 1}">{nm}</Item>' for i, nm in enumerate(CENTRES)
    ),
    "counted from 1": "".join(
        f'<Item name="wavelength" sample="{i + 1}">{nm}</Item>' for i, nm in enumerate(CENTRES)
    ),
    "semicolons": f'<Item name="wavelengths">{";".join(map(str, CENTRES))}</Item>',
    "decimal commas": "".join(
        f'<Item name="wavelength" sample="{i}">{nm},0 nm</Item>' for i, nm in enumerate(CENTRES)
    ),
    "long names": "".join(
        f'<Item name="long_name" sample="{i}">at {nm} nm</Item>' for i, nm in enumerate(CENTRES)
    ),
    "with the unit": "".join(
        f'<Item name="wavelength" sample="{i}">{nm} nm</Item>' for i, nm in enumerate(CENTRES)
    ),
}  # fmt: skip


def test_the_order_in_which_they_are_written_says_nothing_of_the_wavelengths(tmp_path):
    items = [f'<Item name="wavelength" sample="{i}">{nm}</Item>' for i, nm in enumerate(CENTRES)]
    cube = open_cube(of_gdal(tmp_path / "a.tif", "".join([items[0], *items[:0:-1]])))
    assert cube.bands.wavelengths_nm.tolist() == list(CENTRES)
    assert not any("rise and fall" in note for note in cube.provenance)


@pytest.mark.parametrize("domain", DOMAINS)
def test_wavelengths_are_found_in_every_domain(tmp_path, domain):
    path = of_gdal(tmp_path / "a.tif", DOMAINS[domain])
    assert open_cube(path).bands.wavelengths_nm.tolist() == CENTRES
    assert recognise(path) == "tiff"


NM, UM = ", ".join(map(str, CENTRES)), " ".join(str(nm / 1000) for nm in CENTRES)
SAID = {
    "tifffile": {"metadata": {"wavelengths": CENTRES}},
    "tifffile, um": {"metadata": {"wl": [n / 1000 for n in CENTRES], "wavelength units": "um"}},
    "a description": {"metadata": None, "description": f"Camera 3\nwavelengths [nm]: {NM} nm"},
    "ImageJ's Info": {"imagej": True, "metadata": {"axes": "ZYX", "Info": f"Wavelength={UM}"}},
    "OME": {"ome": True, "metadata": {
        "axes": "CYX",
        "Channel": {"EmissionWavelength": CENTRES, "EmissionWavelengthUnit": 8 * ["nm"]},
    }},
}  # fmt: skip


@pytest.mark.parametrize("how", SAID)
def test_wavelengths_that_a_program_or_person_wrote_beside_the_planes_are_read(tmp_path, how):
    path = written(tmp_path / "a.tif", planes(8, "u2"), photometric="minisblack", **SAID[how])
    assert open_cube(path).bands.wavelengths_nm.tolist() == CENTRES


def test_what_snap_says_of_its_bands_is_read(tmp_path):
    xml = "".join(
        f"<Spectral_Band_Info><BAND_INDEX>{i}</BAND_INDEX><BAND_NAME>refl_{i}</BAND_NAME>"
        f"<BAND_WAVELEN>{nm if i < 7 else 0.0}</BAND_WAVELEN><BANDWIDTH>15.0</BANDWIDTH>"
        "<SCALING_FACTOR>1.0E-4</SCALING_FACTOR><SCALING_OFFSET>-0.1</SCALING_OFFSET>"
        "<NO_DATA_VALUE_USED>true</NO_DATA_VALUE_USED><NO_DATA_VALUE>0.0</NO_DATA_VALUE>"
        "</Spectral_Band_Info>"
        for i, nm in enumerate(CENTRES)
    )
    how = {"photometric": "minisblack", "planarconfig": "separate", "metadata": None}
    tags = [(65000, "s", 0, f"<Dimap_Document>{xml}</Dimap_Document>".encode(), True)]
    cube = open_cube(written(tmp_path / "a.tif", planes(8, "u2"), extratags=tags, **how))
    assert cube.bands.names == tuple(f"refl_{i}" for i in range(8))
    assert [band.wavelength_nm for band in cube.bands] == [*CENTRES[:7], None]
    assert (cube.gain[0], cube.offset[0]) == (np.float32(1e-4), np.float32(-0.1))
    assert cube.ignore_value == 0
    plain = xml.replace("1.0E-4", "1.0").replace("-0.1", "0.0")  # which SNAP writes of no scale
    tags = [(65000, "s", 0, plain.encode(), True)]
    cube = open_cube(written(tmp_path / "b.tif", planes(8, "u2"), extratags=tags, **how))
    assert "No scale is given; 65535, the largest number, is taken as reflectance 1." in (
        cube.provenance
    )


@pytest.mark.parametrize(
    "key",
    ["Wavelengths (nm)", "wavelength_nanometers", "center wavelength [nm]", "wavelength in nm"],
)
def test_a_key_that_says_its_unit_is_read(tmp_path, key):
    listed = ", ".join(map(str, CENTRES))
    cube = open_cube(of_gdal(tmp_path / "a.tif", f'<Item name="{key}">{listed}</Item>'))
    assert cube.bands.wavelengths_nm.tolist() == CENTRES


def test_names_that_gdal_counts_are_names_of_bands(tmp_path):
    items = "".join(f'<Item name="Band_{i + 1}">{name}</Item>' for i, name in enumerate("pqrstu"))
    cube = open_cube(of_gdal(tmp_path / "a.tif", items, 6))
    assert cube.bands.names == tuple("pqrstu")


@pytest.mark.parametrize(
    "flags",
    ['<Item name="bbl" domain="ENVI">{1, 0, 1, 1, 1, 1, 1, 1}</Item>',
     '<Item name="bbl" sample="0">1</Item><Item name="bbl" sample="1">0</Item>',
     '<Item name="BAD_BAND" sample="1">1</Item><Item name="BAD_BAND" sample="2">0</Item>',
     '<Item name="bad_bands_list" domain="ENVI">{1, 0, 1, 1, 1, 1, 1, 1}</Item>',
     '<Item name="bad band multiplier">1 0 1 1 1 1 1 1</Item>',
     "".join(f'<Item name="good_bands" sample="{i}">{int(i != 1)}</Item>' for i in range(8))],
)  # fmt: skip
def test_flags_of_bad_bands_are_read(tmp_path, flags):
    cube = open_cube(of_gdal(tmp_path / "a.tif", DOMAINS["default"] + flags))
    assert cube.bands.good.tolist() == [True, False] + 6 * [True]


@pytest.mark.parametrize(
    ("item", "note"),
    [
        ('<Item name="bbl" domain="ENVI">{1, 0, 1}</Item>', "'bbl' does not fit to the bands"),
        ('<Item name="bad_bands">{1, 2}</Item>', "'badbands' does not say how it names bands"),
        ('<Item name="Bad_Band">0 1 0 0 0 0 0 0</Item>', "'badband' does not say how it names"),
    ],
)
def test_a_list_of_bad_bands_that_cannot_be_used_is_named(tmp_path, item, note):
    cube = open_cube(of_gdal(tmp_path / "a.tif", DOMAINS["default"] + item))
    assert cube.bands.good.all()
    assert any(note in said for said in cube.provenance)


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


def test_bands_have_the_colours_that_gdal_gives_them(tmp_path):
    def coloured(name: str, *colours: str) -> Path:
        items = "".join(
            f'<Item name="COLORINTERP" sample="{i}" role="colorinterp">{colour}</Item>'
            for i, colour in enumerate(colours)
        )
        return of_gdal(tmp_path / name, items, len(colours))

    cube = open_cube(coloured("a.tif", "Blue", "Green", "Red"))
    assert as_modality("rgb").indices(cube).tolist() == [2, 1, 0]
    cube = open_cube(coloured("b.tif", "NIR", "Red", "Green", "Blue"))
    assert [band.region for band in cube.bands] == ["nir", "vis", "vis", "vis"]
    # which is no colour
    assert open_cube(coloured("c.tif", "Gray", *["Undefined"] * 7)).bands[0].name == "band 1"
