"""Lists of micaToolbox name photographs that belong together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from napari_phenoscape.cubes import open_cube
from napari_phenoscape.errors import CubeError, MissingFileError, OptionError
from napari_phenoscape.events import Notice
from napari_phenoscape.samples._specimens import individual, photograph
from napari_phenoscape.spectra import join
from napari_phenoscape.spectra.registering._mspec import read_mspec

LIST = """mspec calibrated image
files=moth vis.tif,moth uv.tif
imageType=RAW Photo
slices=1,2,3
labels=visible:R,visible:G,visible:B,uv:B,uv:R
refVals=20:8123.5_80:31007.2,20:8001.0_80:30111.9,20:7100.0_80:29000.0,20:900.1_80:3000.0,20:99.0_80:410.5
alignMethod=Auto-Align
alignData=0:0:1,0:0:1,0:0:1,-3:4:1,-3:4:1
"""


@pytest.fixture
def listed(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr("platformdirs.user_cache_path", lambda *_, **__: tmp_path / "cache")
    planes, mask = photograph(individual(0, 0), 150)
    numbers = np.where(mask, planes, 30000).astype(np.uint16)
    for name, part in (("vis", numbers[:3]), ("uv", np.roll(numbers[3:], 4, axis=2))):
        tifffile.imwrite(tmp_path / f"moth {name}.tif", np.moveaxis(part, 0, -1), photometric="rgb")
    path = tmp_path / "moth.mspec"
    path.write_text(LIST)
    return path


def test_the_photographs_of_a_list_are_joined_and_what_is_not_taken_is_said(listed, tmp_path):
    verb, said = join([listed], tmp_path / "moth.tif"), []
    for event in verb:
        said += [event.message] if isinstance(event, Notice) else []
    cube = open_cube(tmp_path / "moth.tif")
    assert cube.bands.names == ("R", "G", "B", "UV_R", "UV_G", "UV_B")
    assert "'moth vis.tif' (vis), 'moth uv.tif' (uv)" in said[0]
    assert "reflectance 0.2, 0.8" in said[1]
    assert "--white-region" in said[1]


def test_a_list_that_names_uv_first_gives_the_same_bands(listed, tmp_path):
    labels = "uv:B,uv:R,visible:R,visible:G,visible:B"
    listed.write_text(
        LIST.replace("moth vis.tif,moth uv.tif", "moth uv.tif,moth vis.tif").replace(
            "visible:R,visible:G,visible:B,uv:B,uv:R", labels
        )
    )
    list(join([listed], tmp_path / "moth.tif"))
    cube = open_cube(tmp_path / "moth.tif")
    assert cube.bands.names == ("UV_R", "UV_G", "UV_B", "R", "G", "B")
    uv = tifffile.imread(listed.parent / "moth uv.tif")
    np.testing.assert_allclose(cube.reflectance()[0], uv[..., 0] / 65535, atol=1e-4)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("mspec calibrated", "\ufeffmspec calibrated"),
        ("\n", "\r\n"),
        ("moth vis.tif,moth uv.tif", "Moth VIS.TIF, moth uv.tif"),
        ("moth vis.tif", r"C:\moths\moth vis.tif"),
    ],
    ids=["byte order mark", "lines of Windows", "capitals", "folder of another machine"],
)
def test_lists_that_other_systems_wrote_name_the_same_photographs(listed, old, new):
    listed.write_bytes(LIST.replace(old, new).encode())
    named = read_mspec(listed)
    assert [one.name for one in named.paths] == ["moth vis.tif", "moth uv.tif"]
    assert named.parts == ("vis", "uv")


def test_a_photograph_that_is_not_there_is_named(listed):
    (listed.parent / "moth uv.tif").unlink()
    with pytest.raises(MissingFileError, match=r"names 'moth uv.tif', and no such file"):
        read_mspec(listed)


def test_a_list_of_one_photograph_is_opened_by_itself(listed, tmp_path):
    rgb = LIST.replace(",moth uv.tif", "").replace(",uv:B,uv:R", "")
    listed.write_text(rgb.replace("slices=1,2,3", "slices=1,2,3,0,0"))
    with pytest.raises(OptionError, match=r"Open 'moth vis.tif' by itself, or name another"):
        list(join([listed], tmp_path / "moth.tif"))


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("mspec calibrated image", "ENVI", "is no list of micaToolbox"),
        ("labels=", "label=", "is no list of micaToolbox"),
        ("moth vis.tif,", "moth vis.tif,standard.tif,", "names 3 photographs"),
    ],
)
def test_what_is_no_such_list_is_refused_with_the_way_out(listed, old, new, words):
    listed.write_text(LIST.replace(old, new))
    with pytest.raises(CubeError, match=words) as error:
        read_mspec(listed)
    assert "by naming them" in str(error.value)
