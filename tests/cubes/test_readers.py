"""The table of readers: what each says of itself, and what other packages add to it."""

from __future__ import annotations

import os
import pickle
import sys
import types
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from napari_phenoscape import _extensions
from napari_phenoscape._extensions import ExtensionWarning
from napari_phenoscape.cli import app
from napari_phenoscape.cubes import READERS, all_readers, open_cube, read_mask, recognise
from napari_phenoscape.errors import CubeError, MissingFileError
from napari_phenoscape.events import result
from napari_phenoscape.specimens import Folder, collect
from tests.cubes import plain_cubes

NUMBERS = np.arange(24, dtype="<f4").reshape(4, 2, 3) / 24


def plain(path: Path) -> Path:
    path.write_bytes(b"PLAIN 4 2 3 400 700\n" + NUMBERS.tobytes())
    return path


@pytest.fixture
def add(monkeypatch):
    """Adds an object to the entry points of readers, as an installed package does."""
    module = types.ModuleType("a_strangers_package")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    group = "napari_phenoscape.readers"

    def added(**found: object) -> None:
        vars(module).update(found)
        points = [EntryPoint(name, f"{module.__name__}:{name}", group) for name in found]
        monkeypatch.setattr(_extensions, "entry_points", lambda group: points)
        _extensions.extensions.cache_clear()

    yield added
    _extensions.extensions.cache_clear()


def test_a_reader_of_another_package_opens_its_files_everywhere(tmp_path, add):
    path = plain(tmp_path / "leaf.plain")
    with pytest.raises(CubeError, match=r"'leaf.plain' is no cube"):
        open_cube(path)
    add(plain=plain_cubes.READER)
    cube = open_cube(path)
    np.testing.assert_array_equal(cube.array[[2, 0], 1, ::-1], NUMBERS[[2, 0], 1, ::-1])
    assert cube.bands.wavelengths_nm.tolist() == [400, 500, 600, 700]
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(cube)).array[...], NUMBERS)
    told = CliRunner().invoke(app, ["info", str(path)])
    assert told.exit_code == 0, told.output
    assert "400" in told.output
    plain(tmp_path / "other.plain")
    collection = result(collect(Folder(path=tmp_path)))
    assert [one.path.name for one in collection.specimens] == ["leaf.plain", "other.plain"]


def test_what_is_wrong_with_its_file_is_said_by_its_reader(tmp_path, add):
    add(plain=plain_cubes.READER)
    (tmp_path / "leaf.plain").write_bytes(b"PLAIN 4 2\n")
    (tmp_path / "other.plain").write_bytes(b"nothing of the kind")
    for name in ("leaf.plain", "other.plain"):
        with pytest.raises(CubeError, match=rf"'{name}' begins with .* five numbers were expected"):
            open_cube(tmp_path / name)
    with pytest.raises(MissingFileError, match="There is no 'scene' in the file"):
        open_cube(plain(tmp_path / "leaf.plain") / "scene")
    with pytest.raises(CubeError, match=r"'leaf.plain' is no mask"):
        read_mask(tmp_path / "leaf.plain")


def test_only_what_evidently_is_a_cube_is_taken_from_napari(tmp_path, add):
    path = plain(tmp_path / "leaf.plain")
    add(plain=plain_cubes.READER)
    assert recognise(path) is None
    add(plain=replace(plain_cubes.READER, recognise=lambda path: path.stem == "leaf"))
    assert recognise(path) == "plain"
    assert recognise(plain(tmp_path / "other.plain")) is None


def test_a_file_of_ours_is_ours_whatever_else_is_installed(tmp_path, add):
    (tmp_path / "a.hdr").write_text("ENVI\nsamples = 3\nlines = 2\nbands = 4\ndata type = 4\n"
                                    "interleave = bsq\n")  # fmt: skip
    (tmp_path / "a.img").write_bytes(NUMBERS.tobytes())
    add(all=replace(plain_cubes.READER, claims=lambda *_: True))
    assert open_cube(tmp_path / "a.img").array[3, 1, 2] == NUMBERS[3, 1, 2]
    assert all_readers()[:-1] == READERS


def fails(*_: object) -> bool:
    raise KeyError("a bug of theirs")


@pytest.mark.parametrize(
    ("added", "words"),
    [
        (open, "'broken' .* a Reader was expected"),
        (replace(plain_cubes.READER, claims=fails), "'plain' of another package fails at 'a.mat' "),
    ],
    ids=["no reader", "a reader that fails"],
)
def test_a_broken_reader_is_named_and_left_out(tmp_path, add, added, words):
    (tmp_path / "a.mat").write_text("no cube of anybody's")
    add(broken=added)
    with pytest.warns(ExtensionWarning, match=words), pytest.raises(CubeError, match=r"'a.mat'"):
        open_cube(tmp_path / "a.mat")


def test_a_reader_whose_module_cannot_be_imported_is_named_and_left_out(tmp_path, add):
    path = plain(tmp_path / "leaf.plain")
    add(plain=plain_cubes.READER)
    del sys.modules["a_strangers_package"]
    with pytest.warns(ExtensionWarning, match="'plain' .* cannot be used"):
        assert all_readers() == READERS
    with pytest.raises(CubeError, match="is no cube"):
        open_cube(path)


def test_a_library_that_is_missing_is_named_with_the_way_to_get_it(tmp_path, add):
    def needing(install: str) -> Callable[[Path], object]:
        def open_it(path):
            raise ModuleNotFoundError("No module named 'rarelib'", name="rarelib")

        return replace(plain_cubes.READER, open=open_it, install=install)

    path = plain(tmp_path / "leaf.plain")
    add(plain=needing("conda install rare"))
    with pytest.raises(CubeError, match=r"'leaf.plain' needs rarelib: conda install rare, or"):
        open_cube(path)
    add(plain=needing(""))
    with pytest.raises(CubeError, match="needs rarelib: pip install rarelib, or export it as"):
        open_cube(path)


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.name)
def test_names_are_patterns_in_lower_case(reader):
    assert all(pattern.startswith("*.") for pattern in reader.patterns)
    assert all(pattern == pattern.lower() for pattern in reader.patterns)
    assert [one.name for one in READERS].count(reader.name) == 1


@pytest.mark.parametrize(
    ("name", "words"),
    [("a.tif", "cannot be decoded"), ("a.h5", "cannot be read as HDF5"),
     ("a.mat", "no MATLAB file"),
     ("a.hdr", "not an ENVI header"), ("a.zarr.zip", "cannot be read as a zip file"),
     ("a.RAW", "has no ENVI header"), ("a.png", "cannot be decoded"), ("a.txt", "is no cube")],
)  # fmt: skip
def test_a_file_that_is_not_what_its_name_says_is_judged_by_its_name(tmp_path, name, words):
    (tmp_path / name).write_text("something else altogether")
    assert recognise(tmp_path / name) is None
    with pytest.raises((CubeError, MissingFileError), match=words):
        open_cube(tmp_path / name)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("name", ["a.tif", "a.hdr", "a.png"])
def test_a_pipe_is_not_waited_for(tmp_path, name):
    path = tmp_path / name
    os.mkfifo(path)
    pipe = os.open(path, os.O_RDWR)
    os.write(pipe, b"ENVI\n" + bytes(100))  # so that nobody has to wait where this fails
    try:
        for read in (open_cube, read_mask):
            with pytest.raises(CubeError, match=f"'{name}' is a pipe, a socket or a device"):
                read(path)
        assert recognise(path) is None
    finally:
        os.close(pipe)
