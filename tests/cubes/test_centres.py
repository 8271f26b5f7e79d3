"""Which list of a file is the wavelengths: by its name, numbers and axis; which bands are bad."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest
import zarr

from napari_phenoscape.cubes import Interpretation, open_cube, recognise

#: (H, W, C) = (4, 5, 6); number of (row, column, band) is 100 band + 10 row + column.
NUMBERS = (100 * np.arange(6) + np.add.outer(10 * np.arange(4), np.arange(5))[..., None]).astype(
    "u2"
)
NM = np.linspace(400, 650, 6)


def hdf5(path: Path, **arrays: object) -> Path:
    with h5py.File(path, "w") as file:
        for name, numbers in {"scene": NUMBERS, **arrays}.items():
            file[name.replace("__", "/")] = numbers
    return path


def nm_of(path: Path) -> list[float] | None:
    nm = open_cube(path, Interpretation(axis=2)).bands.wavelengths_nm
    return None if nm is None else nm.tolist()


@pytest.mark.parametrize(
    "name",
    ["wavelength", "Wavelengths", "wavlength", "WaveLength", "lambda", "WL", "wvl", "wvls", "wls",
     "Wavelength_nm", "wavelength_3d", "central_wavelength", "bandCenters", "band_centres", "CWL",
     "List_Cw_Vnir", "bands", "wave", "wavelist", "centers", "lam", "nm", "spectral_axis"],
)  # fmt: skip
def test_a_list_is_known_by_what_people_call_it(tmp_path, name):
    path = hdf5(tmp_path / "a.h5", **{name: NM})
    assert nm_of(path) == NM.tolist()
    assert recognise(path) == "hdf5"


@pytest.mark.parametrize(
    ("name", "numbers"),
    [("good_wavelengths", [1, 1, 0, 1, 1, 1]), ("wavelength_fwhm", [5, 6, 7, 8, 9, 10]),
     ("wavelength", [1, 2, 3, 4, 5, 6]), ("wavelength", [0, 0, 0, 0, 0, 0]),
     ("wavelength", [-9999] * 6), ("bands", [0, 1, 2, 3, 4, 5]), ("bands", [1, 2, 3, 4, 5, 6]),
     ("wave", [400, 500, 450, 600, 420, 410]), ("centers", [-3, -2, -1, 1, 2, 3]),
     ("wavelength_error", NM), ("bandwidth_nm", NM), ("waveform", NM), ("freq", NM)],
)  # fmt: skip
def test_flags_widths_counts_and_placeholders_are_no_wavelengths(tmp_path, name, numbers):
    path = hdf5(tmp_path / "a.h5", **{name: np.asarray(numbers, "f8")})
    assert nm_of(path) is None
    assert recognise(path) is None


@pytest.mark.parametrize(
    "written",
    [", ".join(map(str, NM)), str(NM.tolist()), [f"{nm} nm" for nm in NM], [str(nm) for nm in NM]],
    ids=["a text", "as JSON", "texts with a unit", "texts"],
)
@pytest.mark.parametrize("is_attribute", [True, False])
def test_a_list_may_be_written_as_text(tmp_path, written, is_attribute):
    path = hdf5(tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        (file["scene"].attrs if is_attribute else file)["wavelengths"] = written
    assert nm_of(path) == (None if isinstance(written, str) and not is_attribute else NM.tolist())


@pytest.mark.parametrize("key", ["units", "UNITS", "Unit"])
def test_the_unit_of_a_list_may_be_spelt_in_capitals(tmp_path, key):
    path = hdf5(tmp_path / "a.h5", wavelength=NM / 1000)
    with h5py.File(path, "a") as file:
        file["wavelength"].attrs[key] = np.bytes_("um")
    assert nm_of(path) == NM.tolist()
    assert not any("units" in note for note in open_cube(path).provenance)


def test_the_surest_name_is_taken_and_then_the_nearest_list(tmp_path):
    names = {"bands": NM + 1, "target_wavelengths": NM + 2, "wavelengths": NM}
    assert nm_of(hdf5(tmp_path / "a.h5", **names)) == NM.tolist()
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file["one/scene"], file["one/wl"], file["two/wl"] = NUMBERS, NM, NM + 1
    assert nm_of(tmp_path / "b.h5") == NM.tolist()


def test_what_the_name_says_of_the_unit_is_not_assumed(tmp_path):
    for name, numbers in (("wavelength_nm", NM), ("wavelength_um", NM / 1000)):
        cube = open_cube(hdf5(tmp_path / f"{name}.h5", **{name: numbers}))
        np.testing.assert_allclose(cube.bands.wavelengths_nm, NM)
        assert not any("units" in note for note in cube.provenance)
    numbered = open_cube(hdf5(tmp_path / "a.h5", wavenumber=NM))
    assert numbered.bands.wavelengths_nm is None
    assert numbered.bands[0].name == "400 cm-1"


def test_a_band_without_a_wavelength_in_the_list_is_bad(tmp_path):
    falling = np.append(NM[:0:-1], 0)  # as PRISMA marks those that it does not use
    cube = open_cube(hdf5(tmp_path / "a.h5", wavelengths=falling))
    assert [band.wavelength_nm for band in cube.bands] == [650, 600, 550, 500, 450, None]
    assert cube.bands.good.tolist() == [True] * 5 + [False]
    assert "1 bands have no wavelength in the file; they are bad." in cube.provenance


@pytest.mark.parametrize("name", ["good_wavelengths", "good", "bbl", "good_bands"])
def test_a_list_of_flags_says_which_bands_are_bad(tmp_path, name):
    flags = np.array([1, 1, 0, 0, 1, 1], "u1")
    cube = open_cube(hdf5(tmp_path / "a.h5", params__wavelengths=NM, **{f"params__{name}": flags}))
    assert cube.bands.wavelengths_nm.tolist() == NM.tolist()
    assert cube.bands.good.tolist() == (flags > 0).tolist()
    assert f"The bands that are 0 in '{name}' are taken as bad." in cube.provenance


def test_a_list_of_bad_bands_that_does_not_say_how_it_counts_is_named(tmp_path):
    cube = open_cube(hdf5(tmp_path / "a.h5", wavelengths=NM, bad_bands=np.array([1, 2])))
    assert cube.bands.good.all()
    assert any("'bad_bands' does not say how it names bands" in note for note in cube.provenance)


def test_neons_windows_are_bad_and_its_text_names_the_axes(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["SITE/Reflectance/Data"] = NUMBERS[:, :4, :4]  # three sides of 4
        file["SITE/Reflectance/Data"].attrs["Dimensions"] = "Wavelength, Lines, Samples"
        file["SITE/Reflectance/Metadata/Wavelength"] = NM[:4]
        file["SITE/Reflectance"].attrs["Band_Window_1_Nanometers"] = [440, 460]
        file["SITE/Reflectance"].attrs["Band_Window_2_Nanometers"] = [550, 2000]
    cube = open_cube(tmp_path / "a.h5")
    assert cube.bands.good.tolist() == [True, False, True, False]
    np.testing.assert_array_equal(cube.array[...], NUMBERS[:, :4, :4])


def test_attributes_of_groups_hold_wavelengths_too(tmp_path):
    with h5py.File(tmp_path / "a.he5", "w") as file:
        file["swath/VNIR_Cube"] = NUMBERS.transpose(0, 2, 1)
        file["swath/SWIR_Cube"] = NUMBERS[..., :3]
        file.attrs["List_Cw_Vnir"], file.attrs["List_Cw_Swir"] = NM, NM[:3] + 1000
        file.attrs["List_Fwhm_Vnir"] = np.full(6, 12.0)
        file.attrs["L2ScaleVnirMin"], file.attrs["L2ScaleVnirMax"] = 0.1, 1.1
    cube = open_cube(tmp_path / "a.he5/swath/VNIR_Cube")
    assert cube.reflectance()[5, 3, 4] == pytest.approx(0.1 + 534 / 65535)
    assert cube.shape == (6, 4, 5)  # (row, band, column) in the file
    assert cube.bands.wavelengths_nm.tolist() == NM.tolist()
    np.testing.assert_array_equal(cube.array[5, 3], [530, 531, 532, 533, 534])
    group = zarr.create_group(tmp_path / "a.zarr", attributes={"wavelengths": NM.tolist()})
    group.create_array("scene", data=NUMBERS)
    assert nm_of(tmp_path / "a.zarr") == NM.tolist()


def netcdf(path: Path, dims: dict[str, int], placeholder: str = "", **lists: np.ndarray) -> Path:
    """A cube of zeros along these dimensions; of one there may be no variable."""
    with h5py.File(path, "w") as file:
        data = file.create_dataset("reflectance", data=np.zeros(tuple(dims.values()), "f4"))
        for axis, (name, side) in enumerate(dims.items()):
            if name == placeholder:
                scale = file.create_dataset(name, (side,), "f4")
                scale.make_scale(f"This is a netCDF dimension but not a netCDF variable.{side:10}")
            elif name in lists:
                file[name] = lists[name]
                file[name].make_scale(name)
            else:
                file[name] = np.arange(side, dtype="f8")
                file[name].make_scale(name)
            data.dims[axis].attach_scale(file[name])
        for name in lists.keys() - dims.keys():
            file[name] = lists[name]
            axis = list(dims.values()).index(len(lists[name]))
            file[name].dims[0].attach_scale(file[list(dims)[axis]])
    return path


@pytest.mark.parametrize("name", ["wavelength", "lambda", "bands", "spectral"])
def test_a_dimension_of_netcdf_without_a_variable_names_the_axis_alone(tmp_path, name):
    cube = open_cube(netcdf(tmp_path / "a.nc", {name: 6, "y": 4, "x": 5}, placeholder=name))
    assert cube.shape == (6, 4, 5)
    assert cube.bands.wavelengths_nm is None
    assert "No wavelengths are given." in cube.provenance
    given = netcdf(tmp_path / "b.nc", {name: 6, "y": 4, "x": 5}, name, central_wavelength=NM)
    assert nm_of(given) is None  # axis 2 is said, and theirs is 0
    assert open_cube(given).bands.wavelengths_nm.tolist() == NM.tolist()


def test_wavelengths_that_were_declared_and_never_written_are_no_damage(tmp_path):
    path = hdf5(tmp_path / "a.nc")
    with h5py.File(path, "r+") as file:
        file.create_dataset("wavelength", (6,), "f8", chunks=(6,), fillvalue=9.969e36)
    assert nm_of(path) is None
    with h5py.File(path, "r+") as file:
        file["wavelength"][:5] = NM[:5]
    assert [band.wavelength_nm for band in open_cube(path).bands] == [*NM[:5], None]


def test_of_axes_of_equal_length_the_names_decide(tmp_path):
    path = netcdf(tmp_path / "a.nc", {"wavelength": 6, "y": 6, "x": 6}, wavelength=NM)
    with h5py.File(path, "r+") as file:
        file["reflectance"][...] = np.arange(216).reshape(6, 6, 6)
    cube = open_cube(path)
    assert cube.array[1, 0, 0] == 36
    assert not any("axes of" in note for note in cube.provenance)
    del cube  # which keeps the file open
    with h5py.File(path, "r+") as file:  # as long as the bands, and of something else
        file["wvl"] = NM + 1
        file["other"] = np.zeros(6)
        file["other"].make_scale("other")
        file["wvl"].dims[0].attach_scale(file["other"])
    assert open_cube(path, Interpretation(axis=1)).bands.wavelengths_nm is None


@pytest.mark.parametrize(("unit", "scale"), [("nm", 1.0), ("µm", 1e-3)])
def test_hyperspys_axis_is_an_offset_and_a_step(tmp_path, unit, scale):
    with h5py.File(tmp_path / "a.hspy", "w") as file:
        group = file.create_group("Experiments/map")
        group["data"] = NUMBERS
        for i, (name, side, units) in enumerate(
            (("y", 4, "mm"), ("x", 5, "mm"), ("Wavelength", 6, unit))
        ):
            group.create_group(f"axis-{i}").attrs.update(
                {"name": name, "size": side, "offset": 450 * scale, "scale": 2 * scale,
                 "units": units}
            )  # fmt: skip
    cube = open_cube(tmp_path / "a.hspy")
    assert cube.bands.wavelengths_nm.tolist() == [450, 452, 454, 456, 458, 460]
    assert recognise(tmp_path / "a.hspy") == "hdf5"
