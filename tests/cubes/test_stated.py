"""What an array of a container file says of its numbers: scale, units, "not measured"."""

from __future__ import annotations

import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest

from napari_phenoscape.cubes import open_cube

#: Number of (band, row, column) is 100 band + 10 row + column.
NUMBERS = np.add.outer(100 * np.arange(4), np.add.outer(10 * np.arange(3), np.arange(5)))


def stated(path: Path, numbers: np.ndarray, **said: object) -> Path:
    """An HDF5 file with a cube of 4 bands, wavelengths, and attributes of the cube."""
    with h5py.File(path, "w") as file:
        file["cube"], file["wavelength"] = numbers, np.arange(4) * 100 + 400.0
        file["cube"].attrs.update(said)
    return path


@pytest.mark.parametrize(
    ("said", "reflectance", "note"),
    [
        ({"scale_factor": "0.001"}, 0.213, ""),
        ({"ScaleFactor": 0.001}, 0.213, "'ScaleFactor = 0.001' is taken to multiply"),
        ({"reflectance_scale_factor": 1000}, 0.213, "= 1000' is taken to divide"),
        ({"scale_factor": 0.001, "gain": 3.0}, 0.213, "The attribute 'gain' of the numbers is not"),
        ({"units": "%"}, 2.13, "per cent of reflectance ('units = %')"),
        ({"units": "W m-2 sr-1 nm-1"}, 213, "are radiance ('units = W m-2 sr-1 nm-1')"),
        ({"scale_factor": 0.01, "Units": "uW/cm2/sr/nm"}, 2.13, "are radiance"),
        ({"_FillValue": [213, 5]}, 213 / 65535, "'_FillValue' is not one number"),
        *(({key: 213}, np.nan, "") for key in ("fill_value", "NoData", "no_data_value")),
        ({"_FillValue": "213"}, np.nan, ""),
        ({"_FillValue": 9, "missing_value": 213}, 213 / 65535, "'missing_value = 213' is not used"),
    ],
)
def test_what_an_array_says_of_its_numbers_is_read_or_noted(tmp_path, said, reflectance, note):
    cube = open_cube(stated(tmp_path / "a.h5", NUMBERS.astype("u2"), **said))
    found = cube.reflectance()[2, 1, 3]
    assert found == pytest.approx(reflectance, nan_ok=True)
    assert note in " ".join(cube.provenance)
    assert bool(cube.units) == ("radiance" in note)


def test_whole_numbers_whose_sign_netcdf_says_is_none_have_none(tmp_path):
    numbers = (NUMBERS + 40000).astype("u2")
    path = stated(tmp_path / "a.h5", numbers.view("i2"), _Unsigned="true", scale_factor=1e-4)
    cube = pickle.loads(pickle.dumps(open_cube(path)))
    np.testing.assert_array_equal(cube.array[...], numbers)
    assert cube.reflectance()[2, 1, 3] == pytest.approx(4.0213)
