"""What is no specimen, what is damaged, and what only cannot be read just now."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import Image

from napari_phenoscape.cubes import as_modality, is_drawn, save_drawn
from napari_phenoscape.errors import CollectionError, OptionError
from napari_phenoscape.events import Event, Notice, result
from napari_phenoscape.specimens import Collection, Crops, Drawer, Folder, collect, prepare
from napari_phenoscape.specimens.collection._metadata import join
from napari_phenoscape.specimens.collection._walk import matches

RGB = [as_modality("rgb")]


def photograph(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (8, 8, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def tiff(path: Path, seed: int = 0) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 9, (64, 64, 3), np.uint8)
    tifffile.imwrite(path, pixels, photometric="rgb", compression="zlib", rowsperstrip=8)
    return path


def damage(path: Path) -> None:
    """Of a compressed TIFF, inside the pixels: what it declares stays right."""
    with tifffile.TiffFile(path) as file:
        at, length = file.pages[0].dataoffsets[2], file.pages[0].databytecounts[2]
    whole = bytearray(path.read_bytes())
    whole[at + 4 : at + length] = bytes(length - 4)
    path.write_bytes(whole)


def ids(collection: Collection) -> list[str]:
    return [specimen.id for specimen in collection.specimens]


def heard(verb: Iterator[Event]) -> tuple[list[str], Crops]:
    """The notices of a verb, and what it returns."""
    said = []
    while True:
        try:
            event = next(verb)
        except StopIteration as end:
            return said, end.value
        if isinstance(event, Notice):
            said.append(event.message)


def test_a_name_as_long_as_the_system_takes_is_that_of_a_specimen(tmp_path):
    names = sorted(photograph(tmp_path / (letter * 251 + ".png")).name for letter in "ab")
    collection = result(collect(Folder(path=tmp_path)))
    assert ids(collection) == names
    assert not collection.skipped


@pytest.mark.skipif(sys.platform != "linux", reason="names are Unicode there")
def test_a_name_that_is_not_utf8_is_left_out_by_name_and_such_a_folder_is_refused(tmp_path):
    odd = os.fsdecode(b"caf\xe9")
    for name in ("a.png", "b.png", f"{odd}.png", f"{odd}/c.png"):
        photograph(tmp_path / name)
    collection = result(collect(Folder(path=tmp_path)))
    assert ids(collection) == ["a.png", "b.png"]
    # as it can be written, into a report too
    assert [left.path.name for left in collection.skipped] == [r"caf\xe9", r"caf\xe9.png"]
    assert all("not UTF-8" in skipped.reason for skipped in collection.skipped)
    with pytest.raises(CollectionError, match=r"caf\\xe9' is not UTF-8, so no table can hold it"):
        result(collect(Folder(path=tmp_path / odd)))


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("**/*", ["1.png", "a/2.png", "a/b/3.tif"]),
        ("*", ["1.png"]),
        ("**/*.png", ["1.png", "a/2.png"]),
        ("a/**/*", ["a/2.png", "a/b/3.tif"]),
        ("*/*.png", ["a/2.png"]),
        ("**/b/*", ["a/b/3.tif"]),
    ],
)
def test_a_pattern_chooses_files_by_their_folders_and_name(pattern, names):
    there = ["1.png", "a/2.png", "a/b/3.tif"]
    assert [name for name in there if matches(name.split("/"), pattern)] == names


def test_links_to_folders_and_to_files_are_followed(tmp_path):
    for name in ("aurea/1.png", "caerulea/1.png", "one.png"):
        photograph(tmp_path / "archive" / name)
    chosen = tmp_path / "chosen"
    chosen.mkdir()
    (chosen / "aurea").symlink_to(tmp_path / "archive" / "aurea")
    (chosen / "blue").symlink_to(tmp_path / "archive" / "caerulea", target_is_directory=True)
    (chosen / "2.png").symlink_to(tmp_path / "archive" / "one.png")
    (chosen / "3.png").symlink_to(tmp_path / "nowhere.png")
    collection = result(collect(Folder(path=chosen)))
    assert ids(collection) == ["2.png", "aurea/1.png", "blue/1.png"]
    assert collection.metadata["folder"].tolist() == [".", "aurea", "blue"]
    (left,) = collection.skipped
    assert (left.path.name, left.reason) == ("3.png", "It is a link to what is not there.")
    # and the folder itself may be one
    (tmp_path / "link").symlink_to(chosen)
    assert ids(result(collect(Folder(path=tmp_path / "link")))) == ids(collection)


def test_links_in_a_circle_end_and_a_folder_keeps_its_own_name(tmp_path):
    for name in ("b/1.png", "c/2.png"):
        photograph(tmp_path / name)
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b" / "up").symlink_to(tmp_path)
    (tmp_path / "c" / "self.png").symlink_to(tmp_path / "c" / "self.png")
    collection = result(collect(Folder(path=tmp_path)))
    assert ids(collection) == ["b/1.png", "c/2.png"]
    assert {one.path.name for one in collection.skipped} == {"a", "up", "self.png"}


def test_litter_of_systems_and_hidden_files_are_passed_over(tmp_path):
    for i, name in enumerate(["1.png", "2.png"]):
        photograph(tmp_path / name, i)
    for name in (
        "__MACOSX/._1.png", "._2.png", ".ipynb_checkpoints/1-checkpoint.png", "@eaDir/1.png/T.jpg",
        "$RECYCLE.BIN/1.png", "#recycle/1.png", "System Volume Information/1.png",
        "lost+found/1.png",
    ):  # fmt: skip
        photograph(tmp_path / name)
    for name in ("Thumbs.db", "desktop.ini", ".DS_Store", "~$metadata.csv"):
        (tmp_path / name).write_bytes(b"\0")
    collection = result(collect(Folder(path=tmp_path)))
    assert (ids(collection), collection.skipped) == (["1.png", "2.png"], ())


def test_what_phenoscape_drew_is_no_specimen_and_told(tmp_path):
    for i, name in enumerate(["1.png", "2.png"]):
        assert not is_drawn(photograph(tmp_path / name, i))
    save_drawn(Image.new("RGB", (8, 8)), tmp_path / "views.png")
    with pytest.raises(OptionError, match=r"end it in .png"):
        save_drawn(Image.new("RGB", (8, 8)), tmp_path / "views.jpg")
    collection = result(collect(Folder(path=tmp_path)))
    assert ids(collection) == ["1.png", "2.png"]
    (left,) = collection.skipped
    assert left.path.name == "views.png"
    assert left.reason.startswith("It was drawn by phenoscape")


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EIO, errno.ESTALE, errno.EACCES])
@pytest.mark.parametrize("when", ["collecting", "preparing"])
def test_an_error_of_the_moment_ends_the_verb_and_leaves_nothing_out(
    tmp_path, monkeypatch, number, when
):
    for i in range(3):
        photograph(tmp_path / f"{i}.png", i)
    collection = result(collect(Folder(path=tmp_path)))
    real = Path.open

    def refuses(path: Path, *mode: object, **more: object) -> object:
        if path.name == "1.png":
            raise OSError(number, os.strerror(number), str(path))
        return real(path, *mode, **more)

    monkeypatch.setattr(Path, "open", refuses)
    verb = collect(Folder(path=tmp_path)) if when == "collecting" else prepare(collection, RGB, 8)
    with pytest.raises(CollectionError, match=r"1\.png' could not be read just now .*run the same"):
        result(verb)


def test_a_file_that_was_there_a_moment_ago_is_not_left_out(tmp_path):
    for i in range(3):
        photograph(tmp_path / f"{i}.png", i)
    collection = result(collect(Folder(path=tmp_path)))
    (tmp_path / "1.png").unlink()
    for folder in (None, tmp_path / "kept"):
        with pytest.raises(CollectionError, match=r"1\.png' could not be read just now"):
            result(prepare(collection, RGB, 8, folder=folder))


def test_a_folder_whose_name_is_too_long_is_a_sentence():
    with pytest.raises(CollectionError, match=r"cannot be read \(File name too long\)"):
        result(collect(Folder(path=Path("/" + "a" * 300))))


def test_a_mask_whose_name_is_too_long_leaves_its_picture_out(tmp_path):
    photograph(tmp_path / "1.png")
    with pytest.raises(CollectionError, match="File name too long"):
        result(collect(Folder(path=tmp_path, mask="{stem}" + "a" * 300 + ".tif")))


@pytest.mark.parametrize("on_disk", [False, True], ids=["in memory", "on disk"])
def test_a_specimen_that_is_damaged_inside_is_left_out_of_the_crops_and_told(tmp_path, on_disk):
    folder = tmp_path / "specimens"
    folder.mkdir()
    for i in range(4):
        tiff(folder / f"{i}.tif", i)
    whole = result(prepare(result(collect(Folder(path=folder))), RGB, 8))
    damage(folder / "1.tif")
    collection = result(collect(Folder(path=folder)))
    assert ids(collection) == ["0.tif", "1.tif", "2.tif", "3.tif"]
    keep = {"folder": tmp_path / "kept", "keep": True} if on_disk else {}
    for _ in range(2):  # the second time it finds them prepared, and says so too
        said, crops = heard(prepare(collection, RGB, 8, **keep))
        assert len(said) == 1
        assert said[0].startswith("1 of 4 left out ('1.tif'): it ")
        assert crops.ids == ("0.tif", "2.tif", "3.tif")
        assert crops.images.shape == (3, 3, 8, 8)
        np.testing.assert_array_equal(crops.images[:][:, :, 4, 4], whole.images[[0, 2, 3], :, 4, 4])
        assert crops.stamps == tuple(whole.stamps[i] for i in (0, 2, 3))
    if on_disk:
        assert np.load(crops.folder / "images.npy").shape == (3, 3, 8, 8)
        assert np.load(crops.folder / "masks.npy").shape == (3, 1, 8, 8)


def test_a_collection_of_which_one_is_whole_is_refused_with_the_reason(tmp_path):
    for i in range(3):
        tiff(tmp_path / f"{i}.tif", i)
    for i in (0, 1):
        damage(tmp_path / f"{i}.tif")
    with pytest.raises(
        CollectionError, match=r"2 of 3 specimens cannot be used.*'0\.tif' was left"
    ):
        result(prepare(result(collect(Folder(path=tmp_path))), RGB, 8))


def test_a_drawer_says_which_of_its_regions_it_left_out(tmp_path):
    tiff(tmp_path / "a.tif")
    labels = np.zeros((64, 64), np.uint8)
    labels[2:6], labels[17:23], labels[40:60] = 1, 2, 3
    tifffile.imwrite(tmp_path / "regions.tif", labels)
    collection = result(
        collect(Drawer(path=tmp_path / "a.tif", regions=tmp_path / "regions.tif", min_area=1))
    )
    damage(tmp_path / "a.tif")
    with pytest.raises(CollectionError, match=r"Region 1: 'a\.tif'"):
        result(prepare(collection, RGB, 8))


def test_metadata_is_joined_by_looking_at_each_row_once():
    class Counted(str):
        looked = 0

        def __eq__(self, other: object) -> bool:
            Counted.looked += 1
            return str.__eq__(self, other)

        __hash__ = str.__hash__

    def looks(number: int) -> int:
        table = pd.DataFrame({"file": [Counted(f"{i}.png") for i in range(number)], "n": 1})
        Counted.looked = 0
        join(table, Path("t.csv"), "file", [f"{i}.png" for i in reversed(range(number))])
        return Counted.looked

    assert looks(2000) <= 2.5 * max(looks(1000), 1000)


def test_paths_may_begin_with_a_home_or_a_variable_and_windows_stay_their_own(monkeypatch):
    monkeypatch.setenv("HOME", "/home/anna")
    monkeypatch.setenv("DISK", "/media/disk")
    for given, path in {
        "~/moths": "/home/anna/moths",
        "$DISK/moths": "/media/disk/moths",
        "moths": "/project/moths",
        r"C:\Users\anna\moths": r"C:\Users\anna\moths",
    }.items():
        assert str(Folder(path=Path(given)).anchored(Path("/project")).path) == path


@pytest.mark.parametrize(
    ("text", "way"),
    [
        ("kind: folder\npath:\n\t- moths", "Indent lines by blanks"),
        ('path: "C:\\Users\\anna"', "Write a path of Windows without quotation marks"),
    ],
    ids=["tab", "backslash"],
)
def test_what_is_no_yaml_is_told_with_the_way_out(text, way):
    with pytest.raises(OptionError, match=way):
        Folder.from_yaml(text)


def test_files_whose_scale_is_assumed_in_different_ways_are_told(tmp_path):
    for number in range(3):
        photograph(tmp_path / f"{number}.png", number)
        tiff(tmp_path / f"{number}.tif", number)
    floats = np.random.default_rng(0).random((8, 8, 3), np.float32)
    tifffile.imwrite(tmp_path / "a.tif", floats, photometric="rgb")
    (told,) = result(collect(Folder(path=tmp_path, pattern="*.tif"))).skipped
    assert told.only_lacks
    assert told.reason == (
        "Its files do not have their scale from one source. 3 of 4: No scale is given; 255, the "
        "largest number, is taken as reflectance 1. 1 of 4: No scale is given; the numbers are "
        "taken as reflectance. Where they are brighter or darker for that, say full_scale "
        "(read_as), or collect them separately."
    )
    assert len(result(collect(Folder(path=tmp_path, pattern="?.*"))).skipped) == 1
    assert result(collect(Folder(path=tmp_path, pattern="?.png"))).skipped == ()
    said = Folder.parse({"path": tmp_path, "pattern": "*.tif", "read_as": {"full_scale": 255}})
    assert result(collect(said)).skipped == ()
