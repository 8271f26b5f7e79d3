"""Zarr: cubes are found, read as zarr reads them, written exactly, and nothing else is opened."""

from __future__ import annotations

import gzip
import json
import pickle
import shutil
import subprocess
import sys
import time
import tracemalloc
import zipfile
from contextlib import suppress
from pathlib import Path

import npe2
import numcodecs
import numpy as np
import pyarrow
import pytest
import zarr
from hypothesis import given, settings, strategies as st

import napari_phenoscape
from napari_phenoscape.cubes import (
    Band,
    Bands,
    Cube,
    Interpretation,
    open_cube,
    recognise,
    write_cube,
)
from napari_phenoscape.cubes._write import zarr_block
from napari_phenoscape.errors import CubeError, MissingFileError, PhenoscapeError, RunError
from napari_phenoscape.events import result
from napari_phenoscape.layers import get_reader
from napari_phenoscape.specimens import Folder, collect
from napari_phenoscape.spectra import Part, convert

#: (C, H, W)
NUMBERS = np.arange(6 * 4 * 5, dtype="u2").reshape(6, 4, 5)
NM = np.linspace(400, 650, 6)
LAST = Interpretation(axis=2)
MASK = np.eye(4, 5) > 0
BOTH = pytest.mark.parametrize("version", [2, 3])


def store(path: Path, version: int = 3, **arrays: np.ndarray) -> Path:
    """A group of arrays in blocks of 4 bands, 3 rows and 3 columns."""
    group = zarr.create_group(path, zarr_format=version)
    for name, numbers in arrays.items():
        chunks = (4, 3, 3)[: numbers.ndim]
        array = group.create_array(
            name.replace("__", "/"), shape=numbers.shape, dtype=numbers.dtype, chunks=chunks
        )
        array[...] = numbers
    return path


def metadata(array: Path, version: int = 3) -> Path:
    return array / ("zarr.json" if version == 3 else ".zarray")


def edit(file: Path, **changes: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text("utf-8")) | changes), "utf-8")


@BOTH
def test_the_cube_its_wavelengths_and_its_mask_are_found(tmp_path, version):
    path = store(tmp_path / "a.zarr", version, scene=NUMBERS, wl=NM, inside=MASK)
    cube = open_cube(path)
    assert recognise(path) == "zarr"
    np.testing.assert_array_equal(cube.array[...], zarr.open_group(path, mode="r")["scene"][...])
    np.testing.assert_array_equal(cube.bands.wavelengths_nm, NM)
    np.testing.assert_array_equal(cube.mask, MASK)
    assert "'scene' of 3 variables is taken." in cube.provenance


@BOTH
def test_of_several_cubes_the_user_names_one(tmp_path, version):
    path = store(tmp_path / "a.zarr", version, scene__one=NUMBERS, scene__two=NUMBERS + 1)
    with pytest.raises(CubeError, match=r"2 arrays .*'scene/one' \(6 × 4 × 5 of uint16\)"):
        open_cube(path, LAST)
    assert recognise(path) is None
    cube = open_cube(path / "scene" / "two", LAST)
    assert recognise(path / "scene" / "two") == "zarr"
    np.testing.assert_array_equal(cube.array[...], np.moveaxis(NUMBERS + 1, 2, 0))
    assert open_cube(cube.path, LAST).shape == cube.shape
    with pytest.raises(MissingFileError, match="Did you mean 'scene/one'"):
        open_cube(path / "scene" / "none", LAST)


@BOTH
def test_a_store_that_is_one_array_has_its_wavelengths_beside_its_shape(tmp_path, version):
    array = zarr.create_array(
        tmp_path / "a.zarr", data=NUMBERS.transpose(1, 2, 0), zarr_format=version,
        attributes={"wavelength": NM.tolist(), "wavelength_units": "nm", "Scale_Factor": 50.0},
    )  # fmt: skip
    cube = open_cube(tmp_path / "a.zarr")
    np.testing.assert_array_equal(cube.array[2], array[..., 2])
    np.testing.assert_array_equal(cube.bands.wavelengths_nm, NM)
    assert cube.reflectance()[5, 3, 4] == pytest.approx(119 / 50)
    assert cube.provenance == ()


def test_xarrays_attributes_are_read(tmp_path):
    path = store(tmp_path / "a.zarr", scene=NUMBERS.astype("f4"), wavelength=NM)
    array = zarr.open_group(path)["scene"]
    array.attrs["_FillValue"] = "AAAAAACAXEA="  # 114.0
    array.attrs["scale_factor"], array.attrs["add_offset"] = 0.5, 1.0
    cube = open_cube(path)
    assert cube.ignore_value == 114
    assert np.isnan(cube.reflectance()[5, 2, 4])
    assert cube.reflectance()[5, 3, 4] == pytest.approx(119 * 0.5 + 1)


@pytest.mark.parametrize(
    ("dtype", "fill", "said"),
    [("i2", -9999, -9999), ("f4", -9999.0, -9999), ("f4", np.inf, np.inf)],
)
def test_in_zarr_2_of_xarray_the_fill_value_is_not_measured(tmp_path, dtype, fill, said):
    numbers = NUMBERS.astype(dtype)
    numbers[:, 1, 2] = fill
    for name, names in (("a", {"_ARRAY_DIMENSIONS": ["wavelength", "y", "x"]}), ("b", {})):
        group = zarr.create_group(tmp_path / f"{name}.zarr", zarr_format=2)
        array = group.create_array("scene", shape=NUMBERS.shape, dtype=dtype, fill_value=fill)
        array[...] = numbers
        array.attrs.update(names | {"scale_factor": 0.01})
        group.create_array("wavelength", data=NM, fill_value=np.nan)
    cube = open_cube(tmp_path / "a.zarr")
    assert cube.ignore_value == said
    assert np.isnan(cube.reflectance()[:, 1, 2]).all()
    assert np.isnan(cube.reflectance()).sum() == 6
    assert cube.reflectance()[5, 3, 4] == pytest.approx(1.19)
    # zarr's own fill value, 0 mostly, is a number like others
    assert open_cube(tmp_path / "b.zarr").ignore_value is None


def test_centres_in_micrometres_are_nm_here_whatever_the_bands_are_called(tmp_path):
    path = store(tmp_path / "a.zarr", scene=NUMBERS, wavelength=NM / 1000)
    group = zarr.open_group(path)
    group["wavelength"].attrs["units"] = "um"
    group["scene"].attrs["band_names"] = list("abcdef")
    np.testing.assert_allclose(open_cube(path).bands.wavelengths_nm, NM)


AXIS = st.one_of(st.integers(-6, 5), st.slices(6), st.lists(st.integers(-6, 5), max_size=4))


@pytest.fixture(scope="module")
def array(tmp_path_factory):
    path = store(tmp_path_factory.mktemp("z") / "a.zarr", scene=NUMBERS.astype(">u2"), wl=NM)
    return open_cube(path).array


@settings(max_examples=60, deadline=None)
@given(first=AXIS, rest=st.tuples(st.slices(4), st.one_of(st.integers(0, 4), st.slices(5))))
def test_an_index_means_what_numpy_means_by_it(array, first, rest):
    np.testing.assert_array_equal(array[(first, *rest)], NUMBERS[(first, *rest)])


def test_another_process_opens_the_store_anew(array):
    assert len(pickle.dumps(array)) < 1000
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(array))[...], NUMBERS)


def test_shards_and_zip_files_are_read(tmp_path):
    group = zarr.create_group(tmp_path / "a.zarr")
    group.create_array("scene", data=NUMBERS, chunks=(2, 2, 5), shards=(4, 4, 5))
    group.create_array("wavelength", data=NM)
    np.testing.assert_array_equal(open_cube(tmp_path / "a.zarr").array[1:5, 1], NUMBERS[1:5, 1])
    zipped = Path(shutil.make_archive(str(tmp_path / "a.zarr"), "zip", tmp_path / "a.zarr"))
    assert recognise(zipped) == "zarr"
    np.testing.assert_array_equal(open_cube(zipped).array[...], NUMBERS)
    np.testing.assert_array_equal(open_cube(zipped / "scene").array[3], NUMBERS[3])
    other = tmp_path / "b.zip"
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("a.txt", "a")
    assert recognise(other) is None
    with pytest.raises(CubeError, match="is no cube"):
        open_cube(other)


def ome(path: Path, channels: int, version: str = "0.5", labels: tuple[str, ...] = ()) -> Path:
    """Two levels of a pyramid with five axes, as microscopes write them."""
    numbers = np.arange(channels * 4 * 6, dtype="u2").reshape(1, channels, 1, 4, 6)
    group = zarr.create_group(path, zarr_format=3 if version == "0.5" else 2)
    for level, step in (("0", 1), ("1", 2)):
        group.create_array(level, data=numbers[..., ::step, ::step])
    axes = [{"name": "t", "type": "time"}, {"name": "c", "type": "channel"}]
    axes += [{"name": name, "type": "space"} for name in "zyx"]
    said = {
        "multiscales": [{"axes": axes, "datasets": [{"path": "0"}, {"path": "1"}]}],
        "omero": {"channels": [{"label": label} for label in labels]},
    }
    group.attrs.update({"ome": said} if version == "0.5" else said)
    return path


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_spectra_of_ome_zarr_are_one_cube_and_its_pictures_are_left_to_others(tmp_path, version):
    spectral = ome(tmp_path / "a.zarr", 17, version)
    cube = open_cube(spectral)
    assert cube.shape == (17, 4, 6)
    np.testing.assert_array_equal(cube.array[16, 3], np.arange(402, 408))
    assert recognise(spectral) == "zarr"
    assert get_reader(str(spectral)) is not None
    picture = ome(tmp_path / "b.zarr", 16, version, ("548 nm", "uv:R", *map(str, range(14))))
    assert recognise(picture) is None
    assert get_reader(str(picture)) is None
    asked_for = open_cube(picture)
    assert [asked_for.bands[i].name for i in (0, 1, 15)] == ["548 nm", "UV_R", "13"]
    assert asked_for.bands[0].wavelength_nm == 548


@BOTH
def test_missing_blocks_are_told(tmp_path, version):
    path = store(tmp_path / "a.zarr", version, scene=NUMBERS, wl=NM)
    before = open_cube(path)
    (path / "scene" / ("c/1/1/1" if version == 3 else "1.1.1")).unlink()
    cube = open_cube(path)
    assert "1 of its 8 blocks are not stored; they read as 0." in cube.provenance
    assert cube.array[5, 3, 4] == 0
    # of a cube that is open, it is a loss
    with pytest.raises(CubeError, match=r"1.1.1' is gone.*changed since it was opened"):
        before.array[5]
    assert before.array[0, 0, 1] == 1
    shutil.rmtree(path)
    with pytest.raises(CubeError, match="is gone"):
        cube.array[0]


@BOTH
def test_nothing_outside_the_store_is_opened(tmp_path, version):
    path = store(tmp_path / "a.zarr", version, scene=NUMBERS, wl=NM)
    outside = store(tmp_path / "secret", version, other=NUMBERS) / "other"
    (path / "linked").symlink_to(outside)
    assert "2 variables" in open_cube(path).provenance[0]
    with pytest.raises(MissingFileError, match="holds no 'linked'"):
        open_cube(path / "linked")
    block = path / "scene" / ("c/0/0/0" if version == 3 else "0.0.0")
    block.unlink()
    block.symlink_to("/etc/passwd")
    with pytest.raises(CubeError, match=r"'c?.?0.0.0' is a link.*not opened"):
        open_cube(path)


def test_what_is_declared_and_not_there_is_refused_before_it_is_read(tmp_path):
    path = store(tmp_path / "a.zarr", scene=NUMBERS, wl=NM)
    edit(metadata(path / "scene"), shape=[6, 10**6, 10**6])
    with pytest.raises(CubeError, match=r"declares 12000000000000 bytes .* and 8 are there"):
        open_cube(path)
    grid = {"name": "regular", "configuration": {"chunk_shape": [6, 10**6, 10**6]}}
    edit(metadata(path / "scene"), chunk_grid=grid)
    with pytest.raises(CubeError, match="stored in blocks of 12000000000000 bytes"):
        open_cube(path)


@pytest.mark.parametrize("codec", ["zstd", "gzip", "blosc"])
def test_a_block_that_expands_beyond_its_size_is_refused_before_it_does(tmp_path, codec):
    from zarr.codecs import BloscCodec, GzipCodec, ZstdCodec

    coded = {"zstd": ZstdCodec(), "gzip": GzipCodec(), "blosc": BloscCodec(typesize=1)}[codec]
    for name, side in (("bomb", 400), ("a", 4)):
        group = zarr.create_group(tmp_path / f"{name}.zarr")
        numbers = np.full((8, side, side), 7, "u2")
        array = group.create_array("scene", shape=numbers.shape, chunks=numbers.shape, dtype="u2",
                                   compressors=coded)  # fmt: skip
        array[...] = numbers
    block = Path("scene", "c", "0", "0", "0")
    assert open_cube(tmp_path / "a.zarr").array[0, 0, 0] == 7
    shutil.copy(tmp_path / "bomb.zarr" / block, tmp_path / "a.zarr" / block)
    with pytest.raises(CubeError, match="expands to more than the"):
        open_cube(tmp_path / "a.zarr").array[0]


@pytest.mark.parametrize("codec", ["zlib", "gzip", "bz2", "zstd", "lz4", "blosc"])
def test_in_zarr_2_too_blocks_are_bounded(tmp_path, codec):
    compressor = numcodecs.get_codec({"id": codec})
    for name, side in (("bomb", 800), ("a", 4)):
        numbers = np.arange(8 * side**2, dtype="u2").reshape(8, side, side) // 1000 + 1
        zarr.create_array(
            tmp_path / f"{name}.zarr", data=numbers, chunks=numbers.shape, compressors=compressor,
            filters=[numcodecs.Delta("u2")], zarr_format=2,
        )  # fmt: skip
    cube = open_cube(tmp_path / "a.zarr", LAST)
    np.testing.assert_array_equal(cube.array[...], np.ones((4, 8, 4)))
    shutil.copy(tmp_path / "bomb.zarr" / "0.0.0", tmp_path / "a.zarr" / "0.0.0")
    with pytest.raises(CubeError, match="expands to more than the"):
        open_cube(tmp_path / "a.zarr", LAST).array[0]


def test_a_frame_of_zstd_that_does_not_say_its_size_is_bounded_too(tmp_path):
    numbers = np.arange(8 * 4 * 4, dtype="u2").reshape(8, 4, 4)
    group = zarr.create_group(tmp_path / "a.zarr")
    names = ("band", "y", "x")
    group.create_array("scene", data=numbers, chunks=numbers.shape, dimension_names=names)
    block = tmp_path / "a.zarr" / "scene" / "c" / "0" / "0" / "0"

    def write(*frames: bytes) -> None:
        block.write_bytes(b"".join(map(_zstd_without_size, frames)))

    write(numbers.tobytes())
    np.testing.assert_array_equal(open_cube(tmp_path / "a.zarr").array[...], numbers)
    for bomb in ((bytes(8 << 20),), (numbers.tobytes(), bytes(8 << 20))):
        write(*bomb)
        assert block.stat().st_size < 1000
        tracemalloc.start()
        try:
            with pytest.raises(CubeError, match="expands to more than the"):
                open_cube(tmp_path / "a.zarr").array[0]
            assert tracemalloc.get_traced_memory()[1] < 4 << 20
        finally:
            tracemalloc.stop()


def _zstd_without_size(content: bytes) -> bytes:
    """A frame as streams write it."""
    sink = pyarrow.BufferOutputStream()
    with pyarrow.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    frame = bytes(sink.getvalue())
    assert frame[4] >> 5 == 0, "neither one segment nor a size"
    return frame


def test_the_second_member_of_a_gzip_file_counts(tmp_path):
    from zarr.codecs import GzipCodec

    numbers = np.zeros((8, 4, 4), "u2")
    group = zarr.create_group(tmp_path / "a.zarr")
    group.create_array("scene", data=numbers, chunks=numbers.shape, compressors=GzipCodec(),
                       config={"write_empty_chunks": True})  # fmt: skip
    block = tmp_path / "a.zarr" / "scene" / "c" / "0" / "0" / "0"
    block.write_bytes(block.read_bytes() + gzip.compress(bytes(8 << 20)))
    with pytest.raises(CubeError, match="expands to more than the"):
        open_cube(tmp_path / "a.zarr").array[0]


def test_shards_in_shards_and_checksums_of_compressed_blocks_are_read(tmp_path):
    from zarr.codecs import BytesCodec, Crc32cCodec, GzipCodec, ShardingCodec

    inner = ShardingCodec(chunk_shape=(3, 2, 5), codecs=[BytesCodec(), GzipCodec()])
    shards = ShardingCodec(chunk_shape=(3, 4, 5), codecs=[inner])
    for name, how in {
        "a": {"serializer": shards, "compressors": None},
        "b": {"compressors": [GzipCodec(), Crc32cCodec()]},
    }.items():
        zarr.create_array(tmp_path / f"{name}.zarr", data=NUMBERS, chunks=NUMBERS.shape, **how)
        array = open_cube(tmp_path / f"{name}.zarr", LAST).array
        np.testing.assert_array_equal(array[...], np.moveaxis(NUMBERS, 2, 0))


@pytest.mark.parametrize("place", ["start", "end"])
def test_blocks_inside_of_shards_are_looked_at_too(tmp_path, place):
    from zarr.codecs import BloscCodec

    group = zarr.create_group(tmp_path / "a.zarr")
    sharded = zarr.codecs.ShardingCodec(
        chunk_shape=(2, 4, 5), codecs=[zarr.codecs.BytesCodec(), BloscCodec(typesize=2)],
        index_location=place,
    )  # fmt: skip
    group.create_array(
        "scene", shape=NUMBERS.shape, dtype="u2", chunks=NUMBERS.shape, serializer=sharded,
        compressors=None,
    )[...] = NUMBERS  # fmt: skip
    array = open_cube(tmp_path / "a.zarr", LAST).array
    np.testing.assert_array_equal(array[...], np.moveaxis(NUMBERS, 2, 0))
    block = tmp_path / "a.zarr" / "scene" / "c" / "0" / "0" / "0"
    coded = bytearray(block.read_bytes())
    first = coded.index(b"\x02\x01")  # the versions with which a block of Blosc begins
    coded[first + 12 : first + 16] = b"\xff\xff\xff\x7f"
    block.write_bytes(coded)
    for index in (..., (slice(None), 0, 0)):
        with pytest.raises(CubeError, match=r"bytes of Blosc, 2147483647 are declared"):
            array[index]


def test_a_shard_whose_list_points_beyond_its_end_is_refused(tmp_path):
    from zarr.codecs import BytesCodec, ShardingCodec

    sharded = ShardingCodec(chunk_shape=(2, 4, 5), index_codecs=[BytesCodec()])
    zarr.create_array(
        tmp_path / "a.zarr", data=NUMBERS, chunks=NUMBERS.shape, serializer=sharded,
        compressors=None,
    )  # fmt: skip
    block = tmp_path / "a.zarr" / "c" / "0" / "0" / "0"
    coded = bytearray(block.read_bytes())
    coded[-3 * 16 + 8 : -2 * 16] = (2**62).to_bytes(8, "little")  # bytes of the first block
    block.write_bytes(coded)
    with pytest.raises(CubeError, match="ends before its block"):
        open_cube(tmp_path / "a.zarr", LAST).array[:, 0, 0]


def test_a_damaged_block_of_blosc_does_not_end_the_process(tmp_path):
    from zarr.codecs import BloscCodec

    group = zarr.create_group(tmp_path / "a.zarr")
    group.create_array(
        "scene", shape=NUMBERS.shape, dtype="u2", chunks=NUMBERS.shape,
        compressors=BloscCodec(typesize=2),
    )[...] = NUMBERS  # fmt: skip
    block = tmp_path / "a.zarr" / "scene" / "c" / "0" / "0" / "0"
    whole = block.read_bytes()
    flipped = [
        whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :] for place in range(2, 20)
    ]
    refused = 0
    for coded in (whole[:-1], *flipped):
        block.write_bytes(coded)
        try:
            assert open_cube(tmp_path / "a.zarr").array[...].shape == (5, 6, 4)
        except CubeError:
            refused += 1
    assert refused >= 13  # cut short; the size, its parts, where they begin


def test_a_codec_that_runs_programs_is_not_used(tmp_path):
    class Harm:
        def __reduce__(self):
            return (tmp_path / "harmed").touch, ()

    path = store(tmp_path / "a.zarr", 2, scene=NUMBERS)
    edit(metadata(path / "scene", 2), compressor={"id": "pickle"}, chunks=[6, 4, 5])
    for block in (path / "scene").glob("[0-9]*"):
        block.unlink()
    (path / "scene" / "0.0.0").write_bytes(pickle.dumps(Harm()))
    with pytest.raises(CubeError, match="coded by 'pickle', which may run a program"):
        open_cube(path, LAST)
    assert not (tmp_path / "harmed").exists()


@BOTH
def test_damage_ends_in_a_sentence(tmp_path_factory, version):
    path = store(tmp_path_factory.mktemp("d") / "a.zarr", version, scene=NUMBERS, wl=NM)
    file = metadata(path / "scene", version)
    whole = file.read_bytes()

    @settings(max_examples=60, deadline=None, derandomize=True)
    @given(st.lists(st.tuples(st.integers(0, len(whole) - 1), st.binary(min_size=1, max_size=8))))
    def damaged(changes):
        changed = bytearray(whole)
        for place, given_ in changes:
            changed[place : place + len(given_)] = given_
        file.write_bytes(changed)
        recognise(path)
        with suppress(PhenoscapeError):
            assert np.asarray(open_cube(path).array).nbytes < 1e6

    damaged()
    file.write_bytes(whole)
    block = path / "scene" / ("c/0/0/0" if version == 3 else "0.0.0")
    block.write_bytes(block.read_bytes()[:5])
    with pytest.raises(CubeError, match="damaged, or has changed"):
        open_cube(path).array[0]


def test_without_zarr_the_way_out_is_named(tmp_path):
    path = store(tmp_path / "a.zarr", scene=NUMBERS, wl=NM)
    code = (
        "import sys; sys.modules['zarr'] = None\n"
        "from napari_phenoscape.cubes._open import open_cube, recognise\n"
        f"assert recognise({str(path)!r}) == 'zarr'\n"
        f"open_cube({str(path)!r})"
    )
    end = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert 'pip install "napari-phenoscape[formats]"' in end.stderr


BANDS = Bands(
    [
        Band("366.551 nm", 366.551),
        Band("R", region="vis"),
        Band("UV_R", region="uv", bad=True),
        Band("800 nm", 800.0),
    ]
)


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", ">i2", "u4", "f2", "f4", "f8", "i8"])
def test_a_written_cube_reads_back_the_same(tmp_path, dtype):
    c, y, x = np.ogrid[:4, :7, :9]
    before = Cube(
        array=(30 * c + 9 * y + x - 3).astype(dtype),
        bands=BANDS.proposing((3, 1, 0)),
        path=Path("a"),
        gain=np.array([0.1, 1 / 3, 1 / 65535, 2], np.float32),
        offset=np.array(1 / 7, np.float32),
        mask=(x + y)[0] > 5,
        ignore_value=11.0,
    )
    path = tmp_path / "b.zarr"
    assert result(write_cube(before, path)) == [path]
    after = open_cube(path)
    assert not any("bad_bands" in note for note in after.provenance)
    np.testing.assert_array_equal(after.array[...], before.array)
    assert after.array.dtype == before.array.dtype.newbyteorder("=")
    for part in ("gain", "offset", "mask"):
        np.testing.assert_array_equal(getattr(after, part), getattr(before, part))
    assert (after.bands, after.ignore_value) == (before.bands, before.ignore_value)
    assert after.bands.proposed == (3, 1, 0)
    theirs = zarr.open_group(path, mode="r")
    assert theirs.metadata.zarr_format == 3
    assert theirs["cube"].metadata.dimension_names == ("band", "y", "x")
    np.testing.assert_array_equal(theirs["wavelength"][:], [366.551, np.nan, np.nan, 800])
    assert [file.name for file in tmp_path.iterdir()] == ["b.zarr"]


@pytest.mark.parametrize("gain", [0.5, (0.1, 0.2, 0.4, 0.8)], ids=["one", "each"])
def test_xarray_finds_coordinates_and_a_scale_that_it_can_apply(tmp_path, gain):
    """By the conventions that xarray and NetCDF document (CF 1.11, 5 and 8.1)."""
    cube = Cube(
        np.arange(60, dtype="i2").reshape(4, 3, 5), BANDS, Path("a"), np.array(gain, np.float32),
        np.array(0.25, np.float32), ignore_value=7.0,
    )  # fmt: skip
    result(write_cube(cube, tmp_path / "b.zarr"))
    theirs = zarr.open_group(tmp_path / "b.zarr", mode="r")
    assert theirs.metadata.consolidated_metadata is not None
    said, numbers = dict(theirs["cube"].attrs), theirs["cube"][...].astype("f8")
    named = said["coordinates"].split()
    assert all(theirs[name].metadata.dimension_names == ("band",) for name in named)
    assert theirs["wavelength"].attrs["units"] == "nm"
    assert type(said["missing_value"]) is int
    if gain == 0.5:
        assert named == ["wavelength"]
        reflectance = numbers * said["scale_factor"] + said["add_offset"]
    else:  # xarray takes a list of scales for one of each column, or raises
        assert named == ["wavelength", "gain", "offset"]
        assert not {"scale_factor", "add_offset"} & said.keys()
        along_bands = (theirs[name][:][:, None, None] for name in ("gain", "offset"))
        reflectance = numbers * next(along_bands) + next(along_bands)
    reflectance[numbers == said["missing_value"]] = np.nan
    np.testing.assert_allclose(reflectance, cube.reflectance(), rtol=1e-6)
    np.testing.assert_array_equal(open_cube(tmp_path / "b.zarr").reflectance(), cube.reflectance())


def test_of_bands_that_we_wrote_nothing_is_assumed(tmp_path):
    bands = Bands([Band("R", region="vis"), Band("365 nm", 365.0)])
    given = Cube(np.ones((2, 4, 5), "u2"), bands, Path("a"), np.float32(1e-4)[...],
                 np.float32(0)[...], mask=np.eye(4, 5) > 0)  # fmt: skip
    result(write_cube(given, tmp_path / "a.zarr"))
    cube = open_cube(tmp_path / "a.zarr")
    assert (cube.bands, cube.provenance) == (bands, ())


def test_every_block_is_written_so_that_a_lost_one_shows(tmp_path):
    result(write_cube(Cube(np.zeros((4, 3, 5), "f4"), BANDS, Path("a")), tmp_path / "b.zarr"))
    assert not any("not stored" in note for note in open_cube(tmp_path / "b.zarr").provenance)


def test_nothing_is_overwritten_and_no_half_is_left(tmp_path):
    cube = Cube(np.ones((4, 300, 5), "f4"), BANDS, Path("a"))
    stopped = write_cube(cube, tmp_path / "b.zarr")
    next(stopped)
    stopped.close()
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "b.zarr").mkdir()
    with pytest.raises(RunError, match="is there already"):
        result(write_cube(cube, tmp_path / "b.zarr"))


@pytest.mark.skipif(sys.platform != "linux", reason="sizes of files are limited as a disk is")
def test_nothing_is_left_on_a_full_disk(tmp_path):
    import resource

    noise = np.random.default_rng(0).integers(0, 2**16, (4, 512, 512)).astype("u2")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    try:
        with pytest.raises(RunError, match="cannot be written"):
            result(write_cube(Cube(noise, BANDS, Path("a")), tmp_path / "b.zarr"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    time.sleep(0.5)  # what zarr still writes comes later
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("shape", "itemsize", "block"),
    [((408, 1000, 1300), 2, (64, 64, 64)), ((408, 9, 1300), 4, (32, 9, 64)),
     ((7, 1000, 1300), 2, (7, 128, 128)), ((1, 2000, 2000), 1, (1, 512, 512))],
)  # fmt: skip
def test_blocks_hold_half_a_megabyte_at_most(shape, itemsize, block):
    assert zarr_block(shape, itemsize) == block
    assert np.prod(block) * itemsize <= 2**19


def test_a_real_cube_is_converted_in_whole_and_in_part(tmp_path, phenoscape_data):
    kernel = phenoscape_data / "plantcv-hyperspectral" / "corn-kernel-hyperspectral.hdr"
    whole = open_cube(kernel)
    result(convert(kernel, tmp_path / "a.zarr"))
    after = open_cube(tmp_path / "a.zarr")
    np.testing.assert_array_equal(after.array[...], whole.array[...])
    assert after.bands == whole.bands
    result(convert(tmp_path / "a.zarr", tmp_path / "b.zarr", Part(rows=slice(3, 20), bin_bands=4)))
    assert open_cube(tmp_path / "b.zarr").shape == (145, 17, 43)


def test_a_store_is_one_specimen_of_a_folder(tmp_path):
    for name in ("a", "b"):
        cube = Cube(np.ones((4, 5, 5), "f4"), BANDS, Path("a"))
        (tmp_path / "moths").mkdir(exist_ok=True)
        result(write_cube(cube, tmp_path / "moths" / f"{name}.zarr"))
    collection = result(collect(Folder(path=tmp_path)))
    assert [one.id for one in collection.specimens] == ["moths/a.zarr", "moths/b.zarr"]
    assert collection.skipped == ()
    assert [collection.opened(group)[0].shape for group in collection.groups()] == [(4, 5, 5)] * 2


@pytest.fixture
def manifest(npe2pm):
    package = Path(napari_phenoscape.__file__).parent
    with npe2pm.tmp_plugin(manifest=npe2.PluginManifest.from_file(package / "napari.yaml")):
        yield


@pytest.mark.usefixtures("manifest")
def test_napari_opens_and_saves_stores(tmp_path):
    path = store(tmp_path / "a.zarr", scene=NUMBERS, wl=NM)
    (data, attributes, kind), *_ = npe2.read([str(path)], stack=False)
    np.testing.assert_array_equal(np.asarray(data), NUMBERS)
    out = tmp_path / "b.zarr"
    npe2.write(str(out), [(data, attributes, kind)], plugin_name="napari-phenoscape")
    np.testing.assert_array_equal(open_cube(out).bands.wavelengths_nm, NM)
    (tmp_path / "folder").mkdir()
    with pytest.raises(ValueError, match="No readers"):
        npe2.read([str(tmp_path / "folder")], stack=False)


def test_metadata_that_is_a_bomb_is_refused(tmp_path):
    path = store(tmp_path / "a.zarr", scene=NUMBERS)
    with metadata(path).open("ab") as file:
        file.truncate(20 << 20)
    with pytest.raises(CubeError, match="metadata of at most"):
        open_cube(path)


@pytest.mark.parametrize("blocks", [[0, 4, 5], [6, -4, 5], [6, 4]])
def test_blocks_of_no_size_are_damage(tmp_path, blocks):
    path = store(tmp_path / "a.zarr", scene=NUMBERS)
    grid = {"name": "regular", "configuration": {"chunk_shape": blocks}}
    edit(metadata(path / "scene"), chunk_grid=grid)
    with pytest.raises(CubeError, match="'scene' in it says what cannot be"):
        open_cube(path, LAST)
