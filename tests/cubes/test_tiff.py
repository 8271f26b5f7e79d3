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
from PIL import Image, ImageOps

from napari_phenoscape.cubes import (
    Band,
    Bands,
    Cube,
    open_cube,
    read_mask,
    recognise,
    write_cube,
)
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
    told = "Its numbers are multiplied by its opacity" in " ".join(cube.provenance)
    assert told == (kind == "assocalpha")


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


@pytest.mark.parametrize("how", [{}, {"imagej": True}, {"compression": "zlib"}], ids=str)
def test_a_block_at_offset_0_is_not_read_from_the_header(tmp_path, how):
    path = written(tmp_path / "a.tif", planes(6), photometric="minisblack", **how)
    with tifffile.TiffFile(path, mode="r+") as tif:
        tif.pages[0].tags["StripOffsets"].overwrite(0)
    with pytest.raises(CubeError, match="lacks some of its planes or blocks"):
        open_cube(path)


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


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("turned", range(10))
def test_every_orientation_is_that_of_pillow_and_said(tmp_path, turned, compression):
    pixels = np.arange(72, dtype="u1").reshape(4, 6, 3)
    tag = (274, "H", 1, turned, True)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, pixels, photometric="rgb", compression=compression, extratags=[tag])
    cube = open_cube(path)
    exif = Image.Exif()
    exif[274] = turned
    picture = Image.fromarray(pixels)
    picture.info["exif"] = exif.tobytes()
    upright = np.moveaxis(np.asarray(ImageOps.exif_transpose(picture)), -1, 0)
    np.testing.assert_array_equal(np.asarray(cube.array), upright)
    np.testing.assert_array_equal(cube.array[1:, 1:3, ::2], upright[1:, 1:3, ::2])
    np.testing.assert_array_equal(cube.array[[2, 0], -1], upright[[2, 0], -1])
    said = "The picture is turned as its tag Orientation says."
    assert (said in cube.provenance) is (2 <= turned <= 8)


def test_a_mask_is_turned_with_its_file(tmp_path):
    tag = (274, "H", 1, 6, True)
    tifffile.imwrite(tmp_path / "a.tif", np.array([[0, 7]], "u1"), extratags=[tag])
    assert read_mask(tmp_path / "a.tif").tolist() == [[0], [7]]


def test_a_map_lies_as_its_coordinates_say(tmp_path):
    tags = [(274, "H", 1, 6, True), (33550, "d", 3, (1.0, 1.0, 0.0), True),
            (33922, "d", 6, (0.0,) * 6, True), (34735, "H", 4, (1, 1, 0, 0), True)]  # fmt: skip
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((4, 6, 3), "u1"), extratags=tags)
    assert open_cube(tmp_path / "a.tif").shape == (3, 4, 6)


@pytest.mark.parametrize(
    ("largest", "white"),
    [(4095, 4095), (255, 255), (1, 65535), (4000, 65535), (65535, 65535), ((4095,) * 3, 4095)],
)
def test_fewer_bits_that_a_file_says_are_the_scale(tmp_path, largest, white):
    values = largest if isinstance(largest, tuple) else (largest,)
    tag = (281, "H", len(values), largest, True)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.ones((4, 6, 3), "u2"), photometric="rgb", extratags=[tag])
    assert open_cube(path).gain == np.float32(1 / white)


def test_significant_bits_of_ome_are_the_scale(tmp_path):
    path = tmp_path / "a.ome.tif"
    metadata = {"axes": "CYX", "SignificantBits": 12}
    tifffile.imwrite(path, np.ones((3, 20, 20), "u2"), metadata=metadata, photometric="minisblack")
    with tifffile.TiffFile(path) as tif:
        assert 'SignificantBits="12"' in str(tif.ome_metadata)
    assert open_cube(path).gain == np.float32(1 / 4095)


@pytest.mark.parametrize("page", [0, 1])
def test_a_side_below_0_is_refused_where_tifffile_would_never_end(tmp_path, page):
    path = tmp_path / "a.tif"
    for _ in range(2):  # two images, each with a shape in its description
        tifffile.imwrite(path, np.ones((4, 5, 3), "u1"), append=True, metadata={"axes": "YXS"})
    with tifffile.TiffFile(path) as tif:
        width = tif.pages[page].tags["ImageWidth"]
        assert (tif.is_shaped, len(tif.pages), width.value) == (True, 2, 5)
    with path.open("r+b") as file:
        file.seek(width.offset + 2)
        file.write(struct.pack("<HIi", 6, 1, -1))  # a signed byte
    code = f"from napari_phenoscape.cubes import open_cube; open_cube({str(path)!r})"
    end = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "gives a side of its pictures as a number that may be negative (tag 256" in end.stderr
