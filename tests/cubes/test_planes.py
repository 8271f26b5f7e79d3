"""Bands that are arrays or files of their own, and lists of centres beside an array."""

from __future__ import annotations

import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile

from napari_phenoscape.cubes import open_cube, recognise
from napari_phenoscape.errors import CubeError
from napari_phenoscape.events import result
from napari_phenoscape.specimens import Folder, collect

NM = (443, 492, 560, 665)


def acolite(path: Path, *kinds: str) -> Path:
    """Number of (kind, band, row, column) is 1000 kind + 100 band + 10 row + column."""
    plane = np.add.outer(10 * np.arange(4), np.arange(5)).astype("f4")
    with h5py.File(path, "w") as file:
        for name in ("lat", "lon", "l2_flags"):
            file[name] = plane
        for k, kind in enumerate(kinds):
            for band, nm in enumerate(NM):
                written = file.create_dataset(f"{kind}_{nm}", data=1000 * k + 100 * band + plane)
                written.attrs["_FillValue"] = np.float32(9.96921e36)
    return path


def test_an_array_for_each_band_is_a_cube_with_the_nm_of_their_names(tmp_path):
    path = acolite(tmp_path / "scene.nc", "Rrs")
    cube = open_cube(path)
    assert recognise(path) == "hdf5"
    assert cube.bands.wavelengths_nm.tolist() == list(NM)
    assert cube.array[:, 2, 3].tolist() == [23, 123, 223, 323]
    assert cube.array[2, 1:3, ::2].tolist() == [[210, 212, 214], [220, 222, 224]]
    assert cube.ignore_value == np.float32(9.96921e36)
    assert pickle.loads(pickle.dumps(cube.array))[3, 1, 4] == 314
    assert "4 variables 'Rrs_...' are taken as bands, the numbers in their names as nm." in (
        cube.provenance
    )


def test_of_two_sets_of_bands_the_user_names_one(tmp_path):
    path = acolite(tmp_path / "scene.nc", "rhot", "rhos")
    with pytest.raises(CubeError, match=r"its sets of bands, rhos, rhot, e.g. 'scene.nc/rhos'"):
        open_cube(path)
    assert open_cube(path / "rhos").array[1, 0, 2] == 1102


def test_arrays_of_other_sizes_are_no_bands(tmp_path):
    path = acolite(tmp_path / "scene.nc", "Rrs")
    with h5py.File(path, "r+") as file:
        file["Rrs_700"] = np.zeros((3, 3), "f4")
    with pytest.raises(CubeError, match="holds no cube"):
        open_cube(path)


def test_an_uneven_axis_of_hyperspy_is_the_wavelengths(tmp_path):
    with h5py.File(tmp_path / "a.hspy", "w") as file:
        group = file.create_group("Experiments/leaf")
        group["data"] = np.zeros((4, 5, 6), "f4")
        for number, (name, size) in enumerate((("y", 4), ("x", 5))):
            axis = group.create_group(f"axis-{number}")
            axis.attrs.update({"name": name, "size": size, "scale": 1.0, "offset": 0.0})
        axis = group.create_group("axis-2")
        axis.attrs.update({"name": "Wavelength", "units": "µm"})
        axis["axis"] = np.array([0.4, 0.41, 0.43, 0.46, 0.5, 0.55])
    cube = open_cube(tmp_path / "a.hspy")
    assert cube.bands.wavelengths_nm.round(3).tolist() == [400, 410, 430, 460, 500, 550]


def test_shots_of_a_micasense_are_specimens_and_other_numbered_pictures_are_not(tmp_path):
    for shot in ("IMG_0001", "IMG_0002"):
        for band in range(1, 6):
            tifffile.imwrite(tmp_path / f"{shot}_{band}.tif", np.full((4, 5), 10 * band, "u2"))
    found = result(collect(Folder(path=tmp_path)))
    assert [one.id for one in found.specimens] == ["IMG_0001", "IMG_0002"]
    assert open_cube(found.specimens[1].path).array[:, 0, 0].tolist() == [10, 20, 30, 40, 50]
    other = tmp_path / "moths"
    other.mkdir()
    for number in (1, 2):
        tifffile.imwrite(other / f"moth_{number}.tif", np.zeros((4, 5), "u2"))
    assert len(result(collect(Folder(path=other))).specimens) == 2
