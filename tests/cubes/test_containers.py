"""MATLAB and HDF5: the cube and its wavelengths are found among other arrays, or asked for."""

from __future__ import annotations

import pickle
import struct
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import tifffile
from hypothesis import given, settings, strategies as st

from napari_phenoscape.cubes import Interpretation, Modality, open_cube, recognise
from napari_phenoscape.errors import CubeError, MissingFileError, PhenoscapeError

#: (H, W, C), as these programs store cubes.
NUMBERS = np.arange(4 * 5 * 6, dtype="f4").reshape(4, 5, 6) / 120
NM = np.linspace(400, 650, 6)
LAST = Interpretation(axis=2)
MASK = np.eye(4, 5) > 0


def mat5(path: Path, **variables: object) -> Path:
    scipy.io.savemat(path, variables, do_compression=True)
    return path


def mat73(path: Path, **variables: np.ndarray) -> Path:
    """As MATLAB writes it: axes reversed, behind 512 bytes of its own header."""
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in variables.items():
            data = file.create_dataset(name, data=np.asarray(value).T)
            data.attrs["MATLAB_class"] = np.bytes_("logical" if value.dtype == bool else "single")
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")
    return path


def hdf5(path: Path, **variables: object) -> Path:
    with h5py.File(path, "w") as file:
        for name, value in variables.items():
            file[name.replace("__", "/")] = value
    return path


@pytest.mark.parametrize(("write", "kind"), [(mat5, "matlab"), (mat73, "hdf5"), (hdf5, "hdf5")])
def test_the_cube_and_its_wavelengths_are_found(tmp_path, write, kind):
    path = write(tmp_path / "a.bin", scene=NUMBERS, wavelengths=NM[:, None], inside=MASK)
    cube = open_cube(path)
    assert recognise(path) == kind
    assert cube.shape == (6, 4, 5)
    np.testing.assert_array_equal(np.asarray(cube.array), NUMBERS.transpose(2, 0, 1))
    np.testing.assert_array_equal(cube.bands.wavelengths_nm, NM)
    assert Modality(name="uv", range_nm=(400, 500)).indices(cube).tolist() == [0, 1, 2]
    assert "'scene' of 3 variables is taken." in cube.provenance
    if write is not hdf5:  # there it is no type of its own
        np.testing.assert_array_equal(cube.mask, MASK)


def test_the_axis_of_the_bands_is_that_of_the_wavelengths(tmp_path):
    cube = open_cube(hdf5(tmp_path / "a.h5", scene=NUMBERS.transpose(2, 0, 1), wl=NM / 1000))
    assert cube.shape == (6, 4, 5)
    np.testing.assert_allclose(cube.bands.wavelengths_nm, NM)
    assert "No wavelength units are given; micrometres are taken." in cube.provenance


def test_an_axis_that_is_named_band_is_one(tmp_path):
    path = hdf5(tmp_path / "a.nc", scene=NUMBERS.transpose(2, 0, 1))
    with h5py.File(path, "r+") as file:
        for dim, name in zip(file["scene"].dims, ("band", "y", "x"), strict=True):
            dim.label = name
    assert open_cube(path).shape == (6, 4, 5)
    assert recognise(path) is None  # without wavelengths it may be anything


def test_without_a_word_about_it_the_last_axis_is_taken(tmp_path):
    cube = open_cube(mat5(tmp_path / "a.mat", scene=NUMBERS))
    assert cube.shape == (6, 4, 5)
    assert "The last axis of (4, 5, 6) is taken as the bands." in cube.provenance
    assert cube.bands.wavelengths_nm is None


@pytest.mark.parametrize("write", [mat5, mat73, hdf5])
def test_of_several_cubes_the_user_names_one(tmp_path, write):
    path = write(tmp_path / "a.mat", one=NUMBERS, two=NUMBERS + 1)
    with pytest.raises(CubeError, match=r"2 arrays .*'one' \(4 × 5 × 6 of float32\).*'two'"):
        open_cube(path, LAST)
    cube = open_cube(path / "two", LAST)
    assert cube.array[0, 0, 0] == 1
    assert open_cube(cube.path, LAST).shape == (6, 4, 5)
    with pytest.raises(MissingFileError, match=r"holds no 'three'\. It holds 'one' \(.*Name one"):
        open_cube(path / "three", LAST)


def test_a_file_without_a_cube_says_what_it_holds(tmp_path):
    for path in (
        mat5(tmp_path / "a.mat", flat=MASK, text="abc", cell=np.array([1, "a"], object)),
        hdf5(tmp_path / "a.h5", flat=MASK, text="abc"),
    ):
        with pytest.raises(CubeError, match=r"holds no cube.*'flat'"):
            open_cube(path)
        assert recognise(path) is None
        with pytest.raises(CubeError, match="three axes were expected"):
            open_cube(path / "flat")


def test_neon_divides_by_its_scale_and_netcdf_multiplies(tmp_path):
    counts = (NUMBERS * 120).astype("i2")
    counts[0, 0] = -9999
    path = hdf5(tmp_path / "a.h5", SITE__Reflectance__Data=counts, SITE__Spectral__Wavelength=NM)
    with h5py.File(path, "r+") as file:
        data = file["SITE/Reflectance/Data"]
        data.attrs["Scale_Factor"], data.attrs["Data_Ignore_Value"] = 10000.0, -9999.0
        file["SITE/Spectral/Wavelength"].attrs["Units"] = "Nanometers"
    cube = open_cube(path)
    assert np.isnan(cube.reflectance()[:, 0, 0]).all()
    assert cube.reflectance()[5, 3, 4] == pytest.approx(119 / 10000)
    assert not any("scale" in note or "units" in note for note in cube.provenance)
    del cube  # which keeps the file open
    with h5py.File(path, "r+") as file:
        data = file["SITE/Reflectance/Data"]
        del data.attrs["Scale_Factor"]
        data.attrs["scale_factor"], data.attrs["add_offset"] = 0.5, 2.0
    assert open_cube(path).reflectance()[5, 3, 4] == pytest.approx(119 * 0.5 + 2)


@pytest.mark.parametrize(
    ("word", "value"), [("scale_factor", 1e300), ("add_offset", np.nan), ("Scale_Factor", 1e-60)]
)
def test_a_scale_that_is_no_number_is_refused(tmp_path, word, value):
    path = hdf5(tmp_path / "a.h5", scene=NUMBERS)
    with h5py.File(path, "r+") as file:
        file["scene"].attrs[word] = value
    with pytest.raises(CubeError, match=r"'a\.h5' scales its numbers by an? (gain|offset) that is"):
        open_cube(path, LAST)


@pytest.mark.parametrize(
    "value",
    [0, "bands", np.zeros(3), np.array([b"a"]), np.array([b"y", b"x"]), h5py.Empty("f4"),
     np.zeros((2, 2)), np.array([b"y", b"x", b"band"])],
)  # fmt: skip
@pytest.mark.parametrize("name", ["DIMENSION_LABELS", "DIMENSION_LIST", "REFERENCE_LIST", "CLASS"])
def test_attributes_of_dimensions_of_any_kind_do_not_end_the_process(tmp_path, name, value):
    path = hdf5(tmp_path / "a.h5", scene=NUMBERS)
    with h5py.File(path, "r+") as file:
        file["scene"].attrs[name] = value
    code = (
        "import sys; from napari_phenoscape.cubes import Interpretation, open_cube, recognise\n"
        f"print(recognise({str(path)!r}), open_cube({str(path)!r}, Interpretation(axis=2)).shape)"
    )
    end = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert end.stdout == "None (6, 4, 5)\n"


def test_labels_of_fixed_length_name_the_axes(tmp_path):
    path = hdf5(tmp_path / "a.h5", scene=NUMBERS)
    with h5py.File(path, "r+") as file:
        file["scene"].attrs["DIMENSION_LABELS"] = np.array([b"band", b"y", b"x"])
    assert open_cube(path).shape == (4, 5, 6)


def test_a_scale_that_was_removed_names_no_axis_and_the_cube_opens(tmp_path):
    path = hdf5(tmp_path / "a.h5", scene=NUMBERS, old=NM, wavelengths=NM)
    with h5py.File(path, "r+") as file:
        file["old"].make_scale("old")
        file["scene"].dims[2].attach_scale(file["old"])
        del file["old"]
    np.testing.assert_array_equal(open_cube(path).array[...], NUMBERS.transpose(2, 0, 1))


@pytest.mark.parametrize("write", [mat5, mat73, hdf5])
def test_an_axis_of_one_is_left_out_and_the_others_keep_their_numbers(tmp_path, write):
    shape = (1, 4, 5, 6) if write is hdf5 else (4, 5, 1, 6)
    path = write(tmp_path / "a.mat", scene=NUMBERS.reshape(shape), wavelengths=NM)
    cube = open_cube(path)
    np.testing.assert_array_equal(cube.array[...], NUMBERS.transpose(2, 0, 1))
    np.testing.assert_array_equal(cube.bands.wavelengths_nm, NM)
    turned = open_cube(path, Interpretation(axis=1))  # as the file counts them
    assert turned.shape[0] == shape[1]
    assert f"do not fit to axis {1}" in " ".join(turned.provenance)
    with pytest.raises(CubeError, match="cannot count the bands"):
        open_cube(path, Interpretation(axis=shape.index(1)))


def test_a_filter_that_is_not_there_is_named_with_the_library_that_brings_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "hdf5plugin", None)
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        created = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        created.set_chunk((4, 5, 6))
        created.set_filter(32011, h5py.h5z.FLAG_OPTIONAL)  # registered, of no library at hand
        space = h5py.h5s.create_simple((4, 5, 6))
        data = h5py.Dataset(
            h5py.h5d.create(file.id, b"scene", h5py.h5t.NATIVE_FLOAT, space, created)
        )
        data.id.write_direct_chunk((0, 0, 0), b"compressed")
    with pytest.raises(CubeError, match=r"filter 32011.*: pip install hdf5plugin, or .*h5repack"):
        open_cube(path, LAST)


def test_the_axis_is_not_said_of_a_format_that_knows_it(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((8, 9, 3), "u1"), photometric="rgb")
    with pytest.raises(CubeError, match=r"says which axis .* Leave it out"):
        open_cube(tmp_path / "a.tif", LAST)


CHUNKED = np.random.default_rng(0).integers(0, 999, (7, 11, 13)).astype(">u2")
AXIS = st.one_of(
    st.integers(-7, 6),
    st.slices(7),
    st.lists(st.integers(-7, 6), max_size=5),
)


@pytest.fixture(scope="module")
def chunked(tmp_path_factory):
    path = tmp_path_factory.mktemp("h5") / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("a", data=CHUNKED, chunks=(2, 5, 4), compression="gzip")
        file["wavelength"] = np.arange(500, 507.0)
    return open_cube(path).array


@settings(max_examples=150, deadline=None)
@given(first=AXIS, rest=st.tuples(st.slices(11), st.one_of(st.integers(0, 12), st.slices(13))))
def test_an_index_means_what_numpy_means_by_it(chunked, first, rest):
    np.testing.assert_array_equal(chunked[(first, *rest)], CHUNKED[(first, *rest)])


def test_other_forms_of_an_index(chunked):
    for index in (
        ..., 3, slice(1, 3), (..., 4), ([0, 6, 3], ..., 2), ([1, 4], [0, 10], [2, 12]),
        (np.arange(7) % 2 == 0, 3), (slice(None), slice(None), slice(None)),
    ):  # fmt: skip
        np.testing.assert_array_equal(chunked[index], CHUNKED[index])
    with pytest.raises(IndexError):
        chunked[7]
    again = pickle.loads(pickle.dumps(chunked))
    np.testing.assert_array_equal(np.asarray(again), CHUNKED)
    assert len(pickle.dumps(chunked)) < 1000
    assert again.dtype == np.dtype("u2")


def test_nothing_outside_the_file_is_opened(tmp_path):
    secret = tmp_path / "secret.h5"
    hdf5(secret, scene=NUMBERS)
    raw = tmp_path / "raw"
    raw.write_bytes(NUMBERS.tobytes())
    links = tmp_path / "links.h5"
    with h5py.File(links, "w") as file:
        file["scene"] = h5py.ExternalLink(str(secret), "scene")
        file["soft"] = h5py.SoftLink("/nowhere")
        file["circle/back"] = file["/"]
    with pytest.raises(CubeError, match="holds no cube"):
        open_cube(links, LAST)
    stored = tmp_path / "stored.h5"
    with h5py.File(stored, "w") as file:
        file.create_dataset("scene", (4, 5, 6), "f4", external=[(str(raw), 0, h5py.h5f.UNLIMITED)])
    virtual = tmp_path / "virtual.h5"
    layout = h5py.VirtualLayout((4, 5, 6), "f4")
    layout[:] = h5py.VirtualSource(str(secret), "scene", (4, 5, 6))
    with h5py.File(virtual, "w") as file:
        file.create_virtual_dataset("scene", layout)
    for path in (stored, virtual):
        with pytest.raises(CubeError, match="numbers from other files, which are not opened"):
            open_cube(path, LAST)


def test_what_is_declared_and_not_there_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("scene", (408, 10**6, 10**6), "f4", chunks=(1, 64, 64))
    with pytest.raises(CubeError, match=r"declares 1632000000000000 bytes and 0 are stored"):
        open_cube(path)
    with h5py.File(path, "w") as file:
        data = file.create_dataset("scene", (10, 10**6, 10**6), "f4", chunks=(1, 64, 64))
        data[0, :64, :64] = 1  # one block of 2.4 million
    with pytest.raises(CubeError, match="most of its numbers are not there"):
        open_cube(path)


def test_missing_blocks_are_told(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        data = file.create_dataset("scene", (4, 5, 6), "f4", chunks=(2, 5, 6), fillvalue=7)
        data[:2] = NUMBERS[:2]
    cube = open_cube(path, LAST)
    assert "1 of its blocks are not stored; they read as 7.0." in cube.provenance
    assert cube.array[0, 3, 0] == 7


def test_a_file_that_is_cut_short_is_refused(tmp_path):
    for path in (mat5(tmp_path / "a.mat", scene=NUMBERS), hdf5(tmp_path / "a.h5", scene=NUMBERS)):
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) * 2 // 3])
        with pytest.raises(CubeError, match=r"damaged or cut short"):
            np.asarray(open_cube(path).array)


@pytest.mark.parametrize("write", [mat5, hdf5])
def test_damage_ends_in_a_sentence(tmp_path_factory, write):
    path = write(tmp_path_factory.mktemp("damage") / "a.bin", scene=NUMBERS, wavelengths=NM)
    whole = path.read_bytes()

    @settings(max_examples=60, deadline=None, derandomize=True)
    @given(st.lists(st.tuples(st.integers(16, len(whole) - 1), st.binary(min_size=1, max_size=8))))
    def damaged(changes):
        changed = bytearray(whole)
        for place, given_ in changes:
            changed[place : place + len(given_)] = given_
        path.write_bytes(changed)
        with suppress(PhenoscapeError):
            assert np.asarray(open_cube(path).array).nbytes < 1e6

    damaged()


def test_a_heap_of_which_a_part_is_0_is_refused_where_libhdf5_would_never_end(tmp_path):
    path = hdf5(tmp_path / "a.h5", scene=NUMBERS)
    with h5py.File(path, "r+") as file:
        file["scene"].attrs["units"] = "reflectance"  # of no fixed length: in the global heap
    heap = path.read_bytes().index(b"GCOL")
    with path.open("r+b") as file:
        file.seek(heap + 16)  # behind the heap's header
        file.write(bytes(512))
    code = (
        "from napari_phenoscape.cubes import open_cube, recognise\n"
        f"print(recognise({str(path)!r}))\n"
        f"open_cube({str(path)!r})"
    )
    end = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    said = f"'a.h5' is damaged: a list in it has no end at byte {heap + 16}. Copy it again from"
    assert end.stdout == "None\n"
    assert said in end.stderr


@pytest.mark.parametrize("version", ["earliest", "latest"])
@pytest.mark.parametrize("place", [(), (1,), (2, 3)])
def test_a_list_that_is_said_to_be_longer_than_its_file_is_refused_unread(tmp_path, version, place):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w", libver=version) as file:
        file["scene"] = NUMBERS
        words = np.full((5, 4)[: len(place)], "reflectance", h5py.string_dtype())
        file["scene"].attrs["units"] = words
    open_cube(path, LAST)
    content, number = path.read_bytes(), int(np.ravel_multi_index(place, words.shape)) + 1
    belongs = content.index(struct.pack("<IQI", 11, content.index(b"GCOL"), number))
    with path.open("r+b") as file:
        file.seek(belongs)
        file.write(bytes([255] * 16))
    with pytest.raises(CubeError, match="a list in it is said to have 4294967295 parts"):
        open_cube(path, LAST)


def test_a_file_that_is_being_written_is_not_called_damaged(tmp_path):
    path = tmp_path / "a.h5"
    code = (
        "from napari_phenoscape.cubes import open_cube\n"
        f"try: open_cube({str(path)!r})\n"
        "except Exception as error: print(error)"
    )
    with h5py.File(path, "w") as file:
        file["scene"] = NUMBERS
        file.flush()  # all of it is there, and may be written anew
        end = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert end.stdout.startswith("'a.h5' is being written by another program"), end.stderr


def test_without_h5py_the_way_out_is_named(tmp_path):
    path = hdf5(tmp_path / "a.h5", scene=NUMBERS)
    code = (
        "import sys; sys.modules['h5py'] = None\n"
        f"from napari_phenoscape.cubes._open import open_cube; open_cube({str(path)!r})"
    )
    end = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert 'pip install "napari-phenoscape[formats]"' in end.stderr


def test_real_files_equal_scipys(phenoscape_data):
    files = sorted((phenoscape_data / "gatorsense-mat").glob("*.mat"))
    assert len(files) == 4
    for path in files:
        cube, theirs = open_cube(path), scipy.io.loadmat(path)
        name = next(name for name in theirs if name.startswith("hsi"))
        np.testing.assert_array_equal(np.asarray(cube.array), theirs[name].transpose(2, 0, 1))
        nm = theirs.get("wavelengths", theirs.get("wavlength")).ravel()
        np.testing.assert_allclose(cube.bands.wavelengths_nm, nm, atol=1e-6)
        assert recognise(path) == "matlab"


def test_a_struct_of_matlab_says_how_its_fields_are_saved(tmp_path):
    path = mat5(tmp_path / "scan.mat", hcube={"DataCube": NUMBERS, "Wavelength": NM})
    with pytest.raises(CubeError, match=r"save\('scan-fields.mat', '-struct', 'hcube'\)"):
        open_cube(path)
