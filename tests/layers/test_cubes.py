"""Cubes as napari layers, and who is read when napari is given a file."""

from __future__ import annotations

import copy
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from napari.layers import Image, Labels, Layer
from PIL import Image as Picture

from napari_phenoscape.cubes import Band, Bands, Cube, LazyArray
from napari_phenoscape.layers import _cubes as cubes, cube_layers, get_reader
from napari_phenoscape.layers._cubes import NOTHING

CENTRES = (360.0, 460.0, 550.0, 640.0)


class Watched(LazyArray):
    """Notes how many numbers were read."""

    def __init__(self, numbers: np.ndarray) -> None:
        super().__init__(numbers.shape, numbers.dtype)
        self._numbers = numbers
        self.count = 0

    def read(self, bands: np.ndarray, rows: slice, columns: slice) -> np.ndarray:
        found = self._numbers[bands, rows, columns]
        self.count += found.size
        return found


def scan(rows: int = 6, columns: int = 5, **more: Any) -> Cube:
    numbers = np.arange(4 * rows * columns, dtype="u2").reshape(4, rows, columns)
    bands = Bands(Band(f"{nm:g} nm", nm) for nm in CENTRES)
    return Cube(Watched(numbers), bands, Path("scans/leaf.bil"), **more)


def envi(folder: Path, header: str = "leaf.bil.hdr") -> Path:
    numbers = np.arange(4 * 6 * 5, dtype="<u2").reshape(6, 4, 5)
    (folder / "leaf.bil").write_bytes(numbers.tobytes())
    (folder / header).write_text(
        "ENVI\nsamples = 5\nlines = 6\nbands = 4\ndata type = 12\ninterleave = bil\n"
        "byte order = 0\nwavelength units = nm\nwavelength = {360, 460, 550, 640}\n",
        "ascii",
    )
    return folder / "leaf.bil"


@pytest.fixture(autouse=True)
def _no_drop_before():
    cubes._last_drop.clear()


@pytest.fixture
def shown_errors(monkeypatch) -> list[str]:
    """What the user is told by a notification."""
    told: list[str] = []
    monkeypatch.setattr("napari.utils.notifications.show_error", told.append)
    return told


def roles(layers: list[Any]) -> list[str]:
    return [settings["metadata"]["phenoscape"]["role"] for _, settings, _ in layers]


def test_a_cube_has_its_bands_a_picture_the_uv_and_the_mask():
    layers = cube_layers(scan(mask=np.eye(6, 5, dtype=bool)))
    assert roles(layers) == ["cube", "false colour", "composite", "mask"]
    assert [kind for _, _, kind in layers] == ["image", "image", "image", "labels"]
    assert [np.shape(data) for data, _, _ in layers] == [(4, 6, 5), (6, 5, 3), (6, 5, 3), (6, 5)]
    assert layers[1][1]["visible"] is False


def test_without_uv_and_mask_there_are_bands_and_picture():
    whole = scan()
    cube = Cube(whole.array, Bands(Band(f"band {i}") for i in range(4)), whole.path)
    assert roles(cube_layers(cube)) == ["cube", "composite"]


def test_the_bands_are_the_lazy_array_itself():
    cube = scan(1000, 1300)
    layers = cube_layers(cube)
    assert layers[0][0] is cube.array
    pictures = 6 * 1000 * 1300  # two of three bands, all pixels of each
    assert cube.array.count < 1.3 * pictures + 4 * 100 * 600


def test_bands_say_their_names_wavelengths_and_what_was_assumed():
    note = "No scale is given."
    settings = cube_layers(scan(provenance=(note,)))[0][1]
    kept = settings["metadata"]["phenoscape"]
    assert kept["path"] == str(Path("scans/leaf.bil").absolute())
    assert kept["wavelengths_nm"] == list(CENTRES)
    assert kept["bands"] == ["360 nm", "460 nm", "550 nm", "640 nm"]
    assert kept["provenance"] == [note]
    assert settings["axis_labels"] == ("band", "y", "x")


def test_no_axis_has_a_length_unit():
    for _, settings, _ in cube_layers(scan(mask=np.ones((6, 5), bool))):
        assert set(settings["units"]) == {"pixel"}


def test_contrast_leaves_out_what_was_not_measured():
    low, high = cube_layers(scan(ignore_value=119))[0][1]["contrast_limits"]
    assert 0 <= low < 2
    assert 116 < high <= 118


def test_napari_makes_layers_of_them():
    made = [Layer.create(*one) for one in cube_layers(scan(mask=np.eye(6, 5, dtype=bool)))]
    assert [type(layer) for layer in made] == [Image, Image, Image, Labels]
    assert [layer.ndim for layer in made] == [3, 2, 2, 2]
    assert [layer.rgb for layer in made[:3]] == [False, True, True]


def test_a_cube_is_read_by_its_data_or_its_header(tmp_path):
    for path in (envi(tmp_path), tmp_path / "leaf.bil.hdr"):
        reader = get_reader(str(path))
        assert reader is not None
        cubes._last_drop.clear()
        layers = reader(str(path))
        assert roles(layers) == ["cube", "false colour", "composite"]
        assert layers[0][1]["name"] == "leaf bands"


def test_a_copy_of_the_layer_maps_the_same_file(tmp_path):
    data = get_reader(str(envi(tmp_path)))(str(tmp_path / "leaf.bil"))[0][0]
    np.testing.assert_array_equal(copy.deepcopy(data)[3], data[3])


def test_a_header_and_its_data_that_are_dropped_together_are_one_cube(tmp_path):
    data, header = str(envi(tmp_path)), str(tmp_path / "leaf.bil.hdr")
    first, second = (get_reader(path)(path) for path in (header, data))
    assert len(first) == 3
    assert second == NOTHING
    cubes._last_drop.clear()
    assert len(get_reader([data, header])([data, header])) == 3


def test_the_same_file_may_be_opened_again(tmp_path, monkeypatch):
    data, header = str(envi(tmp_path)), str(tmp_path / "leaf.bil.hdr")
    assert len(get_reader(data)(data)) == 3
    assert len(get_reader(data)(data)) == 3
    later = time.monotonic() + 60
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert len(get_reader(header)(header)) == 3


def test_several_cubes_are_read_together(tmp_path):
    data = envi(tmp_path)
    mask = np.zeros((1, 6, 5), "u2")
    mask[0, :3] = 255
    stack = np.concatenate([np.arange(180, dtype="u2").reshape(6, 6, 5), mask])
    tifffile.imwrite(tmp_path / "moth.tif", stack, photometric="minisblack")
    paths = [str(data), str(tmp_path / "moth.tif")]
    layers = get_reader(paths)(paths)
    assert [settings["name"] for _, settings, _ in layers] == [
        "leaf bands", "leaf UV false colour", "leaf RGB",
        "moth bands", "moth UV false colour", "moth RGB", "moth mask",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.csv", "a.hdr", "folder"])
def test_other_peoples_files_and_folders_are_left_to_others(tmp_path, name):
    path = tmp_path / name
    if name == "folder":
        path.mkdir()
    elif name == "a.png":
        Picture.fromarray(np.zeros((4, 4, 3), "u1")).save(path)
    elif name == "a.tif":
        tifffile.imwrite(path, np.zeros((4, 4, 3), "u1"), photometric="rgb")
    else:
        path.write_text("BYTEORDER I\n")
    assert get_reader(str(path)) is None
    assert get_reader([str(envi(tmp_path)), str(path)]) is None


def test_a_file_that_is_not_there_is_left_to_others(tmp_path):
    assert get_reader(str(tmp_path / "leaf.bil")) is None


def test_what_is_wrong_with_a_cube_is_told(tmp_path, shown_errors):
    data = envi(tmp_path)
    data.write_bytes(bytes(10))
    assert get_reader(str(data))(str(data)) == NOTHING
    assert shown_errors == [
        "'leaf.bil' is truncated: 240 bytes are declared and 10 are there, 0 of 6 lines. Copy the "
        "file again from its source."
    ]


def test_a_broken_cube_among_others_does_not_stop_them(tmp_path, shown_errors):
    good = envi(tmp_path)
    bad = tmp_path / "bad.hdr"
    bad.write_text("ENVI\nsamples = 0\n")
    paths = [str(bad), str(good)]
    assert roles(get_reader(paths)(paths)) == ["cube", "false colour", "composite"]
    assert len(shown_errors) == 1


def test_the_maize_kernel_opens_with_580_bands(phenoscape_data):
    path = str(phenoscape_data / "plantcv-hyperspectral" / "corn-kernel-hyperspectral.hdr")
    layers = get_reader(path)(path)
    assert layers[0][0].shape == (580, 31, 43)
    assert layers[0][1]["metadata"]["phenoscape"]["wavelengths_nm"][0] == 366.551
    picture = layers[roles(layers).index("composite")][0]
    kernel = picture[15, 21].astype(int)
    assert kernel[0] > kernel[2]  # a yellow to red grain
