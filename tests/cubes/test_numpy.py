"""NumPy's files open in place; which axis counts the bands is asked only where nothing tells."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from napari_phenoscape.cli._console import app
from napari_phenoscape.cubes import FileArray, Interpretation, open_cube, recognise
from napari_phenoscape.errors import CubeError

#: (H, W, C)
NUMBERS = np.arange(20 * 24 * 12).reshape(20, 24, 12)
NM = np.linspace(400, 950, 12)


def saved(path: Path, numbers: np.ndarray) -> Path:
    np.save(path, numbers)
    return path


@pytest.mark.parametrize("dtype", ["u1", ">u2", "<i4", "f2", ">f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_an_array_is_read_where_it_lies(tmp_path, dtype, order):
    cube = open_cube(saved(tmp_path / "a.npy", np.asarray(NUMBERS % 250, dtype, order=order)))
    assert isinstance(cube.array, FileArray)
    np.testing.assert_array_equal(cube.array[...], (NUMBERS % 250).transpose(2, 0, 1))
    assert "The last axis of (20, 24, 12) is taken as the bands." in cube.provenance


@pytest.mark.parametrize(
    ("shape", "bands"),
    [((20, 24, 12), 12), ((9, 9, 31), 31), ((31, 9, 9), 31), ((9, 31, 9), 31), ((1, 9, 8, 5), 5)],
)
def test_sides_of_equal_length_or_a_short_last_one_tell_the_bands(tmp_path, shape, bands):
    assert open_cube(saved(tmp_path / "a.npy", np.zeros(shape))).shape[0] == bands


@pytest.mark.parametrize("shape", [(31, 482, 512), (40, 66, 50), (8, 100, 408), (9, 9, 9)])
def test_where_nothing_tells_the_axis_it_is_asked_for(tmp_path, shape):
    path = saved(tmp_path / "a.npy", np.zeros(shape, "u1"))
    with pytest.raises(CubeError, match=r"which axis of .* counts the bands.*--axis"):
        open_cube(path)
    for axis, side in enumerate(shape):
        assert open_cube(path, Interpretation(axis=axis)).shape[0] == side
    said = CliRunner().invoke(app, ["info", str(path), "--axis", "1", "--wavelengths", "400,700"])
    words = " ".join(said.stdout.split())
    assert f"{shape[1]} bands, {shape[0]} rows, {shape[2]} columns" in words
    assert "400.00 to 700.00 nm" in words
    with pytest.raises(CubeError, match=r"axis 3 cannot count the bands\. Name one of 0, 1, 2"):
        open_cube(path, Interpretation(axis=3))


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_the_arrays_of_an_npz_know_each_other(tmp_path, save):
    mask = NUMBERS[..., 0] > 99
    save(tmp_path / "a.npz", scene=NUMBERS, wavelengths=NM, inside=mask, note=np.array("a"))
    cube = open_cube(tmp_path / "a.npz")
    np.testing.assert_array_equal(cube.array[...], NUMBERS.transpose(2, 0, 1))
    np.testing.assert_array_equal(cube.bands.wavelengths_nm, NM)
    np.testing.assert_array_equal(cube.mask, mask)
    assert isinstance(cube.array, FileArray) == (save is np.savez)
    assert open_cube(tmp_path / "a.npz/scene").shape == cube.shape
    assert recognise(tmp_path / "a.npz") is None  # napari reads them as they are


def test_an_array_without_a_name_is_told_by_its_sides(tmp_path):
    np.save(tmp_path / "a.npy", np.zeros((2, 3, 4, 5), "f4"))
    with pytest.raises(CubeError, match="and it holds 2 × 3 × 4 × 5 of float32"):
        open_cube(tmp_path / "a.npy")


def test_python_objects_are_not_read_and_a_short_file_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.full((4, 5, 3), None), allow_pickle=True)
    with pytest.raises(CubeError, match="holds no cube"):
        open_cube(tmp_path / "a.npy")
    whole = saved(tmp_path / "b.npy", NUMBERS).read_bytes()
    (tmp_path / "b.npy").write_bytes(whole[:-1])
    with pytest.raises(CubeError, match="is truncated"):
        open_cube(tmp_path / "b.npy")
    for end in (10, 60):
        (tmp_path / "b.npy").write_bytes(whole[:end])
        with pytest.raises(CubeError, match="damaged or cut short"):
            open_cube(tmp_path / "b.npy")
