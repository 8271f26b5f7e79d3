"""Which specimens a folder or a drawer holds, what is known of them, what is left out and why."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from napari_phenoscape.cubes import Interpretation
from napari_phenoscape.errors import CollectionError, MissingFileError, OptionError, TableError
from napari_phenoscape.events import Notice, Progress, result
from napari_phenoscape.specimens import Collection, Drawer, Folder, collect
from napari_phenoscape.specimens.collection import _walk


def picture(path: Path, pixels: NDArray[np.uint8] | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((6, 8, 3), 99, np.uint8) if pixels is None else pixels).save(path)
    return path


def stack(path: Path, channels: int = 7, mask: int = 255) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((10, 12, channels), 1000, np.uint16)
    pixels[..., -1] = 0
    pixels[4:6, 3:8, -1] = mask
    tifffile.imwrite(path, pixels, photometric="minisblack", planarconfig="contig")
    return path


def envi(path: Path, regions: NDArray[np.integer] | None = None) -> Path:
    rows, columns = (4, 5) if regions is None else regions.shape
    header = f"ENVI\nsamples = {columns}\nlines = {rows}\nbands = 9\ndata type = 12\n"
    header += "interleave = bil\nbyte order = 0\nheader offset = 0\nwavelength units = nm\n"
    header += f"wavelength = {{{', '.join(str(400 + 40 * i) for i in range(9))}}}\n"
    np.full((rows, 9, columns), 500, "<u2").tofile(path)
    Path(f"{path}.hdr").write_text(header)
    return path


def ids(collection: Collection) -> list[str]:
    return [specimen.id for specimen in collection.specimens]


def reasons(collection: Collection) -> dict[str, str]:
    return {skipped.path.name: skipped.reason for skipped in collection.skipped}


def test_specimens_come_in_natural_order_with_their_relative_path_as_id(tmp_path):
    for name in ("b/moth 10.png", "b/moth 2.png", "a/moth 1.png"):
        picture(tmp_path / name)
    collection = result(collect(Folder(path=tmp_path)))
    assert ids(collection) == ["a/moth 1.png", "b/moth 2.png", "b/moth 10.png"]
    assert collection.metadata.index.tolist() == ids(collection)
    assert collection.metadata["folder"].tolist() == ["a", "b", "b"]
    assert collection.specimens[0].path == tmp_path / "a" / "moth 1.png"


def test_a_relative_folder_starts_at_the_current_directory(tmp_path, monkeypatch):
    picture(tmp_path / "in" / "1.png")
    picture(tmp_path / "in" / "2.png")
    monkeypatch.chdir(tmp_path)
    collection = result(collect(Folder(path=Path("in"))))
    assert ids(collection) == ["1.png", "2.png"]
    assert collection.specimens[0].path == tmp_path / "in" / "1.png"


def test_a_picture_without_mask_is_a_specimen_as_a_whole(tmp_path):
    picture(tmp_path / "1.png")
    picture(tmp_path / "2.png")
    (one, _) = result(collect(Folder(path=tmp_path))).specimens
    assert one.box == (0, 6, 0, 8)


def test_the_box_is_the_mask_and_two_pixels_around_it(tmp_path):
    stack(tmp_path / "1.tif")
    stack(tmp_path / "2.tif")
    collection = result(collect(Folder(path=tmp_path)))
    assert collection.specimens[0].box == (2, 8, 1, 10)
    (_, labels) = collection.opened((0,))
    inside = collection.specimens[0].mask(labels)
    assert inside.shape == (6, 9)
    assert inside[2:4, 2:7].all()
    assert inside.sum() == 10


def test_transparency_outlines_a_specimen_and_the_box_ends_at_the_image(tmp_path):
    pixels = np.zeros((6, 8, 4), np.uint8)
    pixels[0, 7] = 255
    picture(tmp_path / "1.png", pixels)
    picture(tmp_path / "2.png", pixels)
    assert result(collect(Folder(path=tmp_path))).specimens[0].box == (0, 3, 5, 8)


def test_a_mask_beside_the_picture_outlines_it_and_is_no_specimen(tmp_path):
    mask = np.zeros((6, 8), np.uint8)
    mask[3, 4] = 128
    for name in ("001", "002", "003"):
        picture(tmp_path / f"{name}.bmp")
        picture(tmp_path / f"{name}.png", mask)
    (tmp_path / "003.png").unlink()
    picture(tmp_path / "004.png", mask)
    collection = result(collect(Folder(path=tmp_path, mask="{stem}.png")))
    assert ids(collection) == ["001.bmp", "002.bmp"]
    assert collection.specimens[0].box == (1, 6, 2, 7)
    assert list(reasons(collection)) == ["003.bmp", "004.png"]
    assert "no mask '003.png' where the mask pattern" in reasons(collection)["003.bmp"]
    assert "itself what the mask pattern '{stem}.png' asks for" in reasons(collection)["004.png"]


def test_every_file_that_is_left_out_is_listed_with_its_reason(tmp_path):
    for name in ("1.tif", "2.tif"):
        stack(tmp_path / name)
    stack(tmp_path / "empty.tif", mask=0)
    tifffile.imwrite(
        tmp_path / "two.tif",
        np.zeros((20, 30, 2), np.uint16),
        photometric="minisblack",
        planarconfig="contig",
    )
    (tmp_path / "notes.txt").write_text("caught at night")
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 20)
    collection = result(collect(Folder(path=tmp_path)))
    assert ids(collection) == ["1.tif", "2.tif"]
    why = reasons(collection)
    assert set(why) == {"empty.tif", "two.tif", "notes.txt", "broken.png"}
    assert why["empty.tif"] == "Its mask is empty: no pixel is above 0."
    assert why["notes.txt"].startswith("'notes.txt' is no cube")
    assert why["two.tif"].startswith("'two.tif' has 2 ")
    assert why["broken.png"].startswith("'broken.png' stops before the end")


def test_a_mask_of_another_size_is_a_reason(tmp_path):
    for name in "12":
        picture(tmp_path / f"{name}.bmp")
        picture(tmp_path / f"{name}.png", np.ones((6, 8), np.uint8))
    picture(tmp_path / "3.bmp")
    picture(tmp_path / "3.png", np.ones((5, 8), np.uint8))
    collection = result(collect(Folder(path=tmp_path, pattern="*.bmp", mask="{stem}.png")))
    assert reasons(collection)["3.bmp"].startswith(
        "Its mask '3.png' is 5 × 8 pixels, the picture 6"
    )


def exif(turned: int) -> Image.Exif:
    found = Image.Exif()
    found[0x0112] = turned
    return found


@pytest.mark.parametrize("turned", [3, 2])
def test_that_a_mask_without_orientation_may_not_be_turned_as_its_picture_is_said(tmp_path, turned):
    rng, mask = np.random.default_rng(0), np.zeros((6, 8), np.uint8)
    mask[1, 1] = 1
    for name, of_picture, of_mask in (
        ("a", turned, None), ("b", turned, None), ("c", turned, turned), ("d", turned, 1),
        ("e", 1, None), ("f", None, None),
    ):  # fmt: skip
        for ending, pixels, tag in (
            ("jpg", rng.integers(0, 256, (6, 8, 3), np.uint8), of_picture),
            ("png", mask, of_mask),
        ):
            how = {} if tag is None else {"exif": exif(tag)}
            Image.fromarray(pixels).save(tmp_path / f"{name}.{ending}", **how)
    collection = result(collect(Folder(path=tmp_path, mask="{stem}.png")))
    assert ids(collection) == [f"{name}.jpg" for name in "abcdef"]
    (doubt,) = collection.skipped
    assert doubt.only_lacks
    assert doubt.path.name == "a.png"
    assert doubt.reason.startswith(
        "2 of 6 masks have no orientation tag where the picture has one that leaves its size"
    )
    # as it is drawn on what is shown, but for the one that says that it is turned, too
    assert [specimen.box[:2] for specimen in collection.specimens[:2]] == [(0, 4)] * 2
    assert collection.specimens[2].box == ((2, 6, 4, 8) if turned == 3 else (0, 4, 4, 8))


def test_a_mask_that_lies_as_its_picture_is_stored_is_told_to_be_turned(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    for name, tag in (("1", 6), ("2", 1), ("3", 1)):
        Image.fromarray(pixels).save(tmp_path / f"{name}.jpg", exif=exif(tag))
        picture(tmp_path / f"{name}.png", np.eye(6, 8, dtype=np.uint8))
    collection = result(collect(Folder(path=tmp_path, mask="{stem}.png")))
    assert ids(collection) == ["2.jpg", "3.jpg"]
    assert reasons(collection)["1.jpg"] == (
        "Its mask '1.png' is 6 × 8 pixels, the picture 8 × 6; the same size was expected. The "
        "picture is shown as its orientation tag turns it: turn the mask likewise."
    )


def test_that_regions_without_orientation_may_not_be_turned_as_their_drawer_is_said(tmp_path):
    pixels, regions = np.zeros((20, 30, 3), np.uint8), np.zeros((20, 30), np.uint8)
    regions[2:12, 2:12], regions[2:12, 16:26] = 1, 2
    Image.fromarray(pixels).save(tmp_path / "a.jpg", exif=exif(3))
    picture(tmp_path / "regions.png", regions)
    drawer = Drawer(path=tmp_path / "a.jpg", regions=tmp_path / "regions.png")
    (doubt,) = result(collect(drawer)).skipped
    assert doubt.reason.startswith("Its regions have no orientation tag where the picture has one")


def test_header_and_data_of_a_cube_are_one_specimen(tmp_path):
    envi(tmp_path / "a.bil")
    envi(tmp_path / "b.bil")
    collection = result(collect(Folder(path=tmp_path)))
    assert ids(collection) == ["a.bil", "b.bil"]
    assert collection.skipped == ()


def test_hidden_files_and_runs_are_not_looked_at(tmp_path):
    for name in ("1.png", "2.png", ".git/3.png", "._1.png", "runs/moths/figures/4.png"):
        picture(tmp_path / name)
    for name in ("experiment.yaml", "events.jsonl"):
        (tmp_path / "runs" / "moths" / name).touch()
    collection = result(collect(Folder(path=tmp_path)))
    assert ids(collection) == ["1.png", "2.png"]
    assert collection.skipped == ()


def test_collecting_tells_how_far_it_is(tmp_path):
    picture(tmp_path / "1.png")
    picture(tmp_path / "2.png")
    assert list(collect(Folder(path=tmp_path))) == [
        Progress("finding specimens", 1, 2),
        Progress("finding specimens", 2, 2),
    ]


def test_how_many_files_there_are_is_said_while_they_are_looked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(_walk, "_EVERY", 2)
    for number in range(5):
        picture(tmp_path / f"{number}.png")
    first, second, third, *_ = collect(Folder(path=tmp_path))
    assert (first, second) == (
        Progress("looking through the folder", 2, 2),
        Progress("looking through the folder", 4, 4),
    )
    assert third == Progress("finding specimens", 1, 5)


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("file", ["a/01.png", "a/2.png", "b/003.png"]),
        ("file", ["a\\01.png", "a\\2.png", "b\\003.png"]),
        ("filename", ["01.png", "2.png", "003.png"]),
        ("name", ["01", "2", "003"]),
        ("image ID", [1, 2, 3]),
        ("file", ["./a/01.png", "./a/2.png", "./b/003.png"]),
        ("file", ["C:\\moths\\01.NEF", "C:\\moths\\2.NEF", "C:\\moths\\003.NEF"]),
        ("file", ["file:///d/a/01.PNG", "file:///d/a/2.PNG", "file:///d/b/003.PNG"]),
    ],
    ids=[
        "relative path",
        "relative path of Windows",
        "file name",
        "stem",
        "number",
        "from here",
        "raw files elsewhere",
        "capitals",
    ],
)
@pytest.mark.parametrize("separator", [",", ";", "\t"], ids=["comma", "semicolon", "tab"])
def test_metadata_is_joined_by_whatever_names_the_files(tmp_path, column, values, separator):
    for name in ("a/01.png", "a/2.png", "b/003.png"):
        picture(tmp_path / name)
    lines = [["mm", column, "sex"], [31, values[2], "F"], [12, values[0], "M"], [2, values[1], "F"]]
    text = "\n".join(separator.join(map(str, line)) for line in lines)
    (tmp_path / "metadata.csv").write_text("\ufeff" + text, "utf-8")
    collection = result(collect(Folder(path=tmp_path)))
    assert collection.metadata["sex"].tolist() == ["M", "F", "F"]
    assert column not in collection.metadata
    assert collection.skipped == ()


def test_a_name_whose_accents_a_mac_took_apart_is_the_same_name(tmp_path):
    picture(tmp_path / "Caf\u00e9.png")
    picture(tmp_path / "moth.png")
    (tmp_path / "metadata.csv").write_text("file,sex\nCafe\u0301.png,F\nmoth.png,M\n", "utf-8")
    collection = result(collect(Folder(path=tmp_path)))
    assert sorted(collection.metadata["sex"]) == ["F", "M"]


def test_a_column_of_labels_that_look_like_file_numbers_is_not_taken_for_file_names(tmp_path):
    for number in range(1, 7):
        picture(tmp_path / f"{number:03}.png")
    rows = "\n".join(f"{1 + number % 2},{number}" for number in range(1, 7))
    (tmp_path / "metadata.csv").write_text(f"class,image ID\n{rows}\n")
    metadata = result(collect(Folder(path=tmp_path))).metadata
    assert metadata["class"].tolist() == [2, 1, 2, 1, 2, 1]


def test_two_columns_that_could_number_the_files_are_not_guessed_at(tmp_path):
    picture(tmp_path / "1.png")
    picture(tmp_path / "2.png")
    (tmp_path / "metadata.csv").write_text("rank,id,sex\n2,1,M\n1,2,F\n")
    with pytest.raises(CollectionError, match=r"'rank' and 'id' of 'metadata\.csv'"):
        result(collect(Folder(path=tmp_path)))


def test_rows_without_file_and_files_without_row_are_counted(tmp_path):
    for name in "123":
        picture(tmp_path / f"{name}.png")
    table = tmp_path / "who.csv"
    table.write_text(",file,sex\n0,1.png,M\n1,2.png,F\n2,7.png,F\n3,8.png,F\n")
    collection = result(collect(Folder(path=tmp_path, pattern="*.png", metadata=table)))
    assert collection.metadata["sex"].tolist()[:2] == ["M", "F"]
    assert collection.metadata["sex"].isna().tolist() == [False, False, True]
    assert list(collection.metadata) == ["sex"]
    assert [skipped.reason for skipped in collection.skipped] == [
        "2 of its 4 rows have no specimen here, e.g. '7.png'.",
        "1 of 3 specimens have no row in it, e.g. '3.png'.",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("file,sex\nx.png,M\n", "names none of the 2 files .* columns are file, sex"),
        ("file,sex\n1.png,M\n1.png,F\n", "'1.png' stands in 2 rows of 'metadata.csv'"),
        ("", "'metadata.csv' is not a table"),
        ("file,sex\n1.png,M,3,4\n2.png\n1,2,3,4,5,6\n", "'metadata.csv' is not a table"),
    ],
    ids=["other files", "two rows for one file", "empty", "ragged"],
)
def test_metadata_that_does_not_fit_is_an_error_that_says_why(tmp_path, text, message):
    picture(tmp_path / "1.png")
    picture(tmp_path / "2.png")
    (tmp_path / "metadata.csv").write_text(text)
    with pytest.raises((CollectionError, TableError), match=message):
        result(collect(Folder(path=tmp_path)))


def test_a_file_name_that_two_folders_share_needs_its_path_in_the_metadata(tmp_path):
    for name in ("a/1.png", "b/1.png"):
        picture(tmp_path / name)
    (tmp_path / "metadata.csv").write_text("file,sex\n1.png,M\n")
    with pytest.raises(CollectionError, match=r"names 2 files, e\.g\. 'a/1\.png'"):
        result(collect(Folder(path=tmp_path)))


def test_metadata_in_another_encoding_is_said_to_be(tmp_path):
    picture(tmp_path / "1.png")
    (tmp_path / "metadata.csv").write_bytes("file,leg\n1.png,Müller\n".encode("latin-1"))
    with pytest.raises(TableError, match="not UTF-8"):
        result(collect(Folder(path=tmp_path)))


def test_names_spell_labels_and_a_name_of_another_form_is_left_out(tmp_path):
    for name in ("Danaus_plexippus_12_F_dorsal", "Danaus_gilippus_3_M_ventral", "Danaus_12"):
        picture(tmp_path / f"{name}.png")
    pattern = "{genus}_{species}_{id}_{sex}_{view}"
    collection = result(collect(Folder(path=tmp_path, name_pattern=pattern)))
    assert collection.metadata.to_dict("list") == {
        "genus": ["Danaus", "Danaus"],
        "species": ["gilippus", "plexippus"],
        "id": ["3", "12"],
        "sex": ["M", "F"],
        "view": ["ventral", "dorsal"],
    }
    assert "does not have the form" in reasons(collection)["Danaus_12.png"]


def test_a_mask_that_is_called_as_its_picture_is_named_by_its_folder(tmp_path):
    for number in range(6):
        picture(tmp_path / f"{number}.png")  # 6 x 8 pixels
    for number, shape in enumerate([(6, 8), (6, 8), (6, 8), (5, 5)]):
        picture(tmp_path / "masks" / f"{number}.png", np.full(shape, number != 2, np.uint8))
    (tmp_path / "masks" / "4.png").write_bytes(b"no picture")
    verb = collect(Folder(path=tmp_path, pattern="*.png", mask="masks/{stem}.png"))
    said = " ".join(event.message for event in verb if isinstance(event, Notice))
    for words in (
        "('2.png'): Its mask 'masks/2.png' is empty: no pixel is above 0.",
        "('3.png'): Its mask 'masks/3.png' is 5 × 5 pixels, the picture 6 × 8;",
        "('4.png'): Its mask 'masks/4.png': ",
        "('5.png'): There is no mask 'masks/5.png' where the mask pattern",
    ):
        assert words in said, said


def test_a_label_from_two_places_is_an_error(tmp_path):
    picture(tmp_path / "1_F.png")
    picture(tmp_path / "2_M.png")
    (tmp_path / "metadata.csv").write_text("file,sex\n1_F.png,M\n")
    said = "of '1_F.png' one says 'M', the other 'F'. Rename one of them, e.g. {sex_2}"
    with pytest.raises(CollectionError, match=re.escape(said)):
        result(collect(Folder(path=tmp_path, name_pattern="{id}_{sex}")))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"pattern": "/etc/*"}, "no pattern for files inside the folder"),
        ({"pattern": "../*"}, "no pattern for files inside the folder"),
        ({"pattern": ""}, "no pattern for files inside the folder"),
        ({"pattern": "**.png"}, r"write '\*\*/\*\.png'"),
        ({"mask": "mask.png"}, "put {stem} where"),
        ({"mask": "{name}.png"}, "put {stem} where"),
        ({"name_pattern": "moth"}, "distinct fields"),
        ({"name_pattern": "{a}_{a}"}, "distinct fields"),
    ],
)
def test_patterns_that_mean_nothing_are_refused(given, message):
    with pytest.raises(OptionError, match=message):
        Folder.parse({"path": "moths", **given})


def test_a_folder_without_specimens_is_an_error_that_says_what_it_holds(tmp_path):
    with pytest.raises(CollectionError, match="holds no files of specimens; pictures or cubes"):
        result(collect(Folder(path=tmp_path)))
    (tmp_path / "notes.txt").write_text("caught at night")
    with pytest.raises(CollectionError, match=r"None of the 1 files .* 'notes\.txt' was left out"):
        result(collect(Folder(path=tmp_path)))
    with pytest.raises(CollectionError, match=r"matches '\*\.jpg'; it holds 1 \.txt"):
        result(collect(Folder(path=tmp_path, pattern="*.jpg")))
    with pytest.raises(MissingFileError, match="no folder at"):
        result(collect(Folder(path=tmp_path / "nowhere")))
    with pytest.raises(CollectionError, match="is a file and a folder was expected"):
        result(collect(Folder(path=tmp_path / "notes.txt")))


def test_one_specimen_is_not_a_collection(tmp_path):
    picture(tmp_path / "1.png")
    (tmp_path / "notes.txt").write_text("caught at night")
    with pytest.raises(CollectionError, match=r"holds 1 specimen, '1\.png'; at least 2 .*'notes"):
        result(collect(Folder(path=tmp_path)))


REGIONS = np.zeros((20, 30), np.uint8)
REGIONS[2:10, 3:12] = 9
REGIONS[12:20, 20:30] = 4
REGIONS[15, 1:4] = 2


@pytest.fixture
def drawer(tmp_path) -> Drawer:
    """Regions 4 and 9, and one of 3 pixels."""
    envi(tmp_path / "drawer.bil", REGIONS)
    tifffile.imwrite(tmp_path / "regions.tif", REGIONS)
    return Drawer(path=tmp_path / "drawer.bil", regions=tmp_path / "regions.tif")


def test_each_region_of_a_drawer_is_a_specimen_and_dust_is_not(drawer):
    collection = result(collect(drawer))
    assert ids(collection) == ["drawer.bil#4", "drawer.bil#9"]
    assert [specimen.region for specimen in collection.specimens] == [4, 9]
    assert [s.box for s in collection.specimens] == [(10, 20, 18, 30), (0, 12, 1, 14)]
    assert [s.reason for s in collection.skipped] == ["Region 2 has 3 pixels, fewer than 64."]
    assert list(collection.groups()) == [(0, 1)]
    _, labels = collection.opened((0, 1))
    assert collection.specimens[1].mask(labels).sum() == 72


def test_metadata_of_a_drawer_is_joined_by_region(drawer, tmp_path):
    table = tmp_path / "who.csv"
    table.write_text("region,species\n9,cossus\n4,caja\n2,dust\n")
    collection = result(collect(drawer.model_copy(update={"metadata": table})))
    assert collection.metadata["species"].to_dict() == {
        "drawer.bil#4": "caja",
        "drawer.bil#9": "cossus",
    }
    table.write_text("number,species\n9,cossus\n")
    with pytest.raises(CollectionError, match="one called 'region'"):
        result(collect(drawer.model_copy(update={"metadata": table})))


def test_pieces_of_a_mask_are_numbered_in_reading_order_and_corners_connect(tmp_path):
    pixels = np.zeros((9, 20, 7), np.uint16)
    pixels[4:6, 1:4, 6] = 1
    pixels[1:3, 10:13, 6] = 1
    pixels[3, 13, 6] = 1
    pixels[8, 19, 6] = 1
    tifffile.imwrite(tmp_path / "a.tif", pixels, photometric="minisblack", planarconfig="contig")
    collection = result(collect(Drawer(path=tmp_path / "a.tif", min_area=3)))
    assert ids(collection) == ["a.tif#1", "a.tif#2"]
    (group,) = collection.groups()
    _, labels = collection.opened(group)
    assert [int((labels == number).sum()) for number in (1, 2)] == [7, 6]


def test_a_drawer_that_cannot_be_told_apart_says_why(drawer, tmp_path):
    with pytest.raises(CollectionError, match=r"'drawer\.bil' has no mask of its own"):
        result(collect(Drawer(path=drawer.path)))
    with pytest.raises(CollectionError, match=r"shows no specimen: .* the largest has 80"):
        result(collect(drawer.model_copy(update={"min_area": 1000})))
    tifffile.imwrite(tmp_path / "small.tif", REGIONS[:10])
    with pytest.raises(CollectionError, match=r"'small\.tif' is 10 × 30 pixels"):
        result(collect(drawer.model_copy(update={"regions": tmp_path / "small.tif"})))


def test_real_blood_cells_are_collected_with_mask_and_label(phenoscape_data):
    folder = phenoscape_data / "wbc-zheng"
    collection = result(
        collect(
            Folder(
                path=folder / "Dataset 1",
                pattern="*.bmp",
                mask="{stem}.png",
                metadata=folder / "Class Labels of Dataset 1.csv",
            )
        )
    )
    assert len(collection.specimens) == 300
    assert collection.skipped == ()
    assert collection.metadata["class label"].value_counts().to_dict() == {
        1: 176, 2: 53, 3: 48, 4: 22, 5: 1
    }  # fmt: skip


def test_real_trees_are_found_among_many_more_rows(phenoscape_data):
    (folder,) = (phenoscape_data / "neon-trees-hsi").glob("110ac77*")
    source = Folder(path=folder, pattern="*.tif", metadata=folder / "annotations.csv")
    collection = result(collect(source))
    assert len(collection.specimens) == 53
    assert collection.metadata["taxonID"].nunique() == 15
    assert [skipped.reason for skipped in collection.skipped] == [
        "4607 of its 4660 rows have no specimen here, e.g. 'OSBS_megaplot.contrib.1193_2019.tif'."
    ]


def test_real_cut_out_beetles_have_their_outline(phenoscape_data):
    collection = result(
        collect(Folder(path=phenoscape_data / "specimens-recolorize", pattern="*.png"))
    )
    assert len(collection.specimens) == 5
    first = next(s for s in collection.specimens if s.id == "chongi.png")
    assert first.box == (5, 210, 11, 78)


def scan(path: Path, number: int, tint: float | str) -> Path:
    """A line scan of one number, in two bands, with its integration time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    np.full((6, 2, 5), number, "<u2").tofile(path)
    path.with_suffix(".hdr").write_text(
        "ENVI\nsamples = 5\nlines = 6\nbands = 2\ndata type = 12\ninterleave = bil\n"
        f"byte order = 0\nheader offset = 0\ntint = {tint}\nwavelength = {{450, 550}}\n"
        "wavelength units = nm\n"
    )
    return path


def test_a_scan_with_references_beside_it_is_one_specimen_calibrated_by_its_own(tmp_path):
    for name, white in (("leaf 1", 1100), ("leaf 2", 600)):
        folder = tmp_path / name / "capture"
        scan(folder / f"{name}.raw", 600, 20)
        scan(folder / f"WHITEREF_{name}.raw", white, 10)
        scan(folder / f"DARKREF_{name}.raw", 100, 20)
    scan(tmp_path / "leaf 3.raw", 6000, 20)
    # another camera says the same in microseconds
    scan(tmp_path / "leaf 4.raw", 600, "20 ms")
    scan(tmp_path / "whiteref_leaf 4.raw", 1100, "10000 us")
    scan(tmp_path / "Darkref_leaf 4.raw", 100, 20)
    collection = result(collect(Folder(path=tmp_path)))
    assert ids(collection) == [
        "leaf 1/capture/leaf 1.raw", "leaf 2/capture/leaf 2.raw", "leaf 3.raw",
        "leaf 4.raw",
    ]  # fmt: skip
    cubes = [collection.opened(group)[0].reflectance() for group in collection.groups()]
    # (600 - 100) / (1100 - 100) of a white that was exposed half as long, and over (600 - 100)
    np.testing.assert_allclose(cubes[0], 0.25)
    np.testing.assert_allclose(cubes[1], 0.5)
    np.testing.assert_allclose(cubes[2], 6000 / 65535)
    np.testing.assert_allclose(cubes[3], 0.25)
    said = " ".join(collection.assumed)
    assert (
        "Calibrated with the references beside it (dark, white), white as reflectance 1. (3 of 4"
        in said
    )
    assert "corrected by their ratio, 0.5" in said
    read = {path.name for path in collection.files()}
    assert {"WHITEREF_leaf 1.raw", "WHITEREF_leaf 1.hdr", "DARKREF_leaf 2.raw"} <= read
    regions = np.ones((6, 5), np.uint8)
    tifffile.imwrite(tmp_path / "regions.tif", regions)
    drawer = Drawer(
        path=tmp_path / ids(collection)[0], regions=tmp_path / "regions.tif", min_area=1
    )
    cube, _ = result(drawer.collect()).opened((0,))
    np.testing.assert_allclose(cube.reflectance(), 0.25)


def test_a_scan_is_not_calibrated_where_that_cannot_be_or_the_scale_is_said(tmp_path):
    scan(tmp_path / "leaf.raw", 600, 20)
    scan(tmp_path / "DARKREF_leaf.raw", 100, 20)
    collection = result(Folder(path=tmp_path).collect())
    assert ids(collection) == ["leaf.raw"]
    assert "no white reference, only a dark one" in " ".join(collection.assumed)
    scan(tmp_path / "WHITEREF_leaf.raw", 1100, 20)
    said = Folder(path=tmp_path, read_as=Interpretation(full_scale=1200))
    cube, _ = result(said.collect()).opened((0,))
    np.testing.assert_allclose(cube.reflectance(), 0.5)
    scan(tmp_path / "WHITEREF_leaf.raw", 50, 20)
    with pytest.raises(CollectionError, match="nowhere brighter than the dark one"):
        result(collect(Folder(path=tmp_path)))
