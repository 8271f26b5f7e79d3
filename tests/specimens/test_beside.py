"""What lies beside specimens: masks, regions and tables, found and said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from napari_phenoscape.cubes import Interpretation, read_mask
from napari_phenoscape.errors import CollectionError, MissingFileError
from napari_phenoscape.events import Notice, result
from napari_phenoscape.specimens import Drawer, Folder, Source, collect, source_at

STEMS = ("001", "002", "003", "004")


def picture(path: Path, planes: int = 3) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    numbers = np.random.default_rng(len(path.name)).integers(0, 255, (20, 24, planes), np.uint8)
    Image.fromarray(numbers.squeeze()).save(path)


def mask(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    numbers = np.zeros((20, 24), np.uint8)
    numbers[4:14, 6:20] = 255
    Image.fromarray(numbers).save(path)


def seen(path: Path, said: dict[str, Any] | None = None) -> tuple[Source, str]:
    """The source, and the sentences."""
    events = []
    verb = source_at(path, said or {})
    while True:
        try:
            events.append(next(verb))
        except StopIteration as end:
            return end.value, " ".join(e.message for e in events if isinstance(e, Notice))


@pytest.mark.parametrize(
    ("pictures", "masks", "pattern"),
    [
        ("{}.jpg", "{}_mask.png", "{stem}_mask.png"),
        ("{}.jpg", "masks/{}.png", "masks/{stem}.png"),
        ("images/{}.jpg", "masks/{}.png", "../masks/{stem}.png"),
        ("{}.bmp", "{}.png", "{stem}.png"),
        ("{}.png", "{}_mask.tif", "{stem}_mask.tif"),
    ],
)
def test_masks_are_found_by_their_names_and_are_no_specimens(
    tmp_path, pictures, masks, pattern
) -> None:
    for stem in STEMS:
        picture(tmp_path / pictures.format(stem))
        mask(tmp_path / masks.format(stem))
    source, words = seen(tmp_path)
    assert source == Folder(path=tmp_path, mask=pattern)
    assert words == f"Found masks '{pattern}' of 4 pictures."
    specimens = result(collect(source)).specimens
    assert [specimen.path.name for specimen in specimens] == [
        Path(pictures.format(stem)).name for stem in STEMS
    ]
    assert specimens[0].box == (2, 16, 4, 22)  # the mask, and 2 px around it


def test_the_same_picture_in_another_format_is_no_mask(tmp_path) -> None:
    for stem in STEMS:
        picture(tmp_path / f"{stem}.jpg")
        picture(tmp_path / f"{stem}.png")
    assert seen(tmp_path) == (
        Folder(path=tmp_path), "No mask and no table of metadata was found beside the files.",
    )  # fmt: skip


def test_masks_in_the_pictures_themselves_are_said_to_be_found(tmp_path) -> None:
    for stem in STEMS:
        cube = np.random.default_rng(int(stem)).integers(1, 9000, (7, 20, 24)).astype("<u2")
        cube[6] = 0
        cube[6, 4:14, 6:20] = 65535
        tifffile.imwrite(tmp_path / f"{stem}.tif", cube, photometric="minisblack")
    assert seen(tmp_path) == (Folder(path=tmp_path), "Found masks in the pictures themselves.")
    drawer = tmp_path / "001.tif"
    assert seen(drawer) == (Drawer(path=drawer), "Found the mask of the cube itself.")


def test_a_picture_without_its_mask_is_said(tmp_path) -> None:
    for stem in STEMS:
        picture(tmp_path / f"{stem}.jpg")
        if stem != "003":
            mask(tmp_path / f"{stem}_mask.png")
    assert seen(tmp_path)[1] == "Found masks '{stem}_mask.png' of 3 pictures, none for 1."


@pytest.mark.parametrize("place", ["moths/labels.csv", "Labels of moths.csv"])
def test_a_table_is_known_by_a_column_that_names_the_files(tmp_path, place) -> None:
    for stem in STEMS:
        picture(tmp_path / "moths" / f"{stem}.png")
    rows = "".join(f"{int(stem)},{'ab'[int(stem) % 2]}\n" for stem in STEMS)
    (tmp_path / place).write_text(f"number,sex\n{rows}")
    (tmp_path / "moths" / "cameras.csv").write_text("camera,lens\nA,50\n")
    source, words = seen(tmp_path / "moths")
    assert source == Folder(path=tmp_path / "moths", metadata=tmp_path / place)
    assert words == f"Found metadata '{Path(place).name}'."
    assert result(collect(source)).metadata["sex"].tolist() == ["b", "a", "b", "a"]


def test_a_table_of_another_folder_is_left_where_it_is(tmp_path) -> None:
    for stem in STEMS:
        picture(tmp_path / "set 1" / f"{stem}.png")
    (tmp_path / "Labels of set 10.csv").write_text("number,sex\n1,a\n2,b\n3,a\n4,b\n")
    assert seen(tmp_path / "set 1")[0] == Folder(path=tmp_path / "set 1")


def test_of_two_folders_of_the_same_specimens_the_one_with_most_bands_is_taken(tmp_path) -> None:
    for stem in STEMS:
        picture(tmp_path / "rgb" / "a" / f"{stem}.png")
        numbers = np.ones((6, 20, 24), "u2")
        (tmp_path / "uv" / "a").mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(
            tmp_path / "uv" / "a" / f"{stem}.tif", numbers, photometric="minisblack", metadata=None
        )
    source, words = seen(tmp_path)
    assert source == Folder(path=tmp_path / "uv")
    assert "'uv' and 'rgb' show the same specimens; 'uv' has most bands" in words


def test_beside_few_files_of_other_bands_the_folder_that_holds_nearly_all_is_taken(
    tmp_path,
) -> None:
    for number in range(18):
        picture(tmp_path / "crowns" / f"{number}.png")
    Image.new("L", (24, 20)).save(tmp_path / "map.png")
    (tmp_path / "traits.csv").write_text(
        "file,sex\n" + "".join(f"{number}.png,{'ab'[number % 2]}\n" for number in range(18))
    )
    source, words = seen(tmp_path)
    assert isinstance(source, Folder)
    assert source.path == tmp_path / "crowns"
    assert source.metadata == tmp_path / "traits.csv"  # which lies beside all of them
    assert "'crowns' holds 18 of 19 files and is looked at" in words
    assert "others have 1 bands instead of 3" in words
    # half of them are a collection of their own, which nobody can choose for you
    for number in range(9):
        Image.new("L", (24, 20)).save(tmp_path / f"map {number}.png")
    assert seen(tmp_path)[0].path == tmp_path


def test_folders_of_classes_stay_together_and_name_them(tmp_path) -> None:
    for stem, species in zip(STEMS, "aabb", strict=True):
        picture(tmp_path / species / f"{stem}.png")
    source, _ = seen(tmp_path)
    assert source == Folder(path=tmp_path)
    assert result(collect(source)).metadata["folder"].tolist() == ["a", "a", "b", "b"]


def test_regions_and_table_of_a_drawer_are_found_by_its_name(tmp_path) -> None:
    picture(tmp_path / "drawer.png")
    mask(tmp_path / "drawer_regions.tif")
    (tmp_path / "drawer_metadata.csv").write_text("region,sex\n255,a\n")
    assert seen(tmp_path / "drawer.png")[0] == Drawer(
        path=tmp_path / "drawer.png",
        regions=tmp_path / "drawer_regions.tif",
        metadata=tmp_path / "drawer_metadata.csv",
    )


def test_a_folder_of_masks_alone_is_refused_and_the_way_out_is_said(tmp_path) -> None:
    for stem in STEMS:
        mask(tmp_path / f"{stem}.png")
    with pytest.raises(CollectionError, match=r"holds masks, 4 files.*Name the folder of the pict"):
        seen(tmp_path)


def test_of_a_drawer_without_a_mask_specimens_are_told_from_the_background(tmp_path) -> None:
    picture(tmp_path / "moth.png")
    source, words = seen(tmp_path / "moth.png")
    assert (source.kind, source.regions) == ("drawer", "auto")
    assert "`phenoscape find`" in words


def test_what_is_not_there_is_said(tmp_path) -> None:
    with pytest.raises(MissingFileError, match="There is nothing at"):
        seen(tmp_path / "nowhere")


@pytest.mark.parametrize("ending", [".jpg", ".gif", ".npy"])
def test_masks_of_a_kind_that_is_no_mask_are_refused_and_no_specimens(tmp_path, ending) -> None:
    for stem in STEMS:
        picture(tmp_path / f"{stem}.png")
        mask(tmp_path / "mask.png")
        numbers = Image.open(tmp_path / "mask.png")
        of = tmp_path / f"{stem}_mask{ending}"
        np.save(of, np.asarray(numbers)) if ending == ".npy" else numbers.save(of)
        (tmp_path / "mask.png").unlink()
    source, _ = seen(tmp_path)
    assert source.mask == f"{{stem}}_mask{ending}"
    with pytest.raises(CollectionError, match=r"_mask.* is (a JPEG|no mask)"):
        result(collect(source))


def test_masks_with_capitals_in_their_endings_are_found(tmp_path) -> None:
    for stem in STEMS:
        picture(tmp_path / f"{stem}.JPG")
        mask(tmp_path / f"{stem}_mask.PNG")
    assert seen(tmp_path)[0].mask == "{stem}_mask.PNG"


def test_masks_of_other_names_are_said_to_be_taken_as_specimens(tmp_path) -> None:
    for stem in STEMS:
        picture(tmp_path / f"{stem}.jpg")
        mask(tmp_path / f"{stem}-outlined.png")
    source, words = seen(tmp_path)
    assert source.mask is None
    assert "holds a few whole numbers, as a mask does, and is taken as a specimen" in words


def outlines(folder: Path, numbers: np.ndarray, said: str | None) -> None:
    """Four pictures, whose masks are these numbers, are collected and their doubt is told."""
    for stem in STEMS:
        picture(folder / f"{stem}.jpg")
        Image.fromarray(numbers).save(folder / f"{stem}_mask.png")
    told = [
        one.reason for one in result(collect(Folder(path=folder, mask="{stem}_mask.png"))).skipped
    ]
    assert told == ([] if said is None else [f"4 of 4 masks {said}."])


BORDER = "hold the whole border of the picture: where 0 is the specimen, invert them"
EVERY = "hold every pixel: where the background has a number, make it 0"


@pytest.mark.parametrize(
    ("ground", "specimen", "said"),
    [(0, 1, None), (0, 255, None), (255, 0, BORDER), (1, 2, EVERY), (1, 1, EVERY)],
)
def test_a_mask_that_may_be_inverted_or_numbers_its_ground_is_said(
    tmp_path, ground, specimen, said
) -> None:
    numbers = np.full((20, 24), ground, np.uint8)
    numbers[4:14, 6:20] = specimen
    outlines(tmp_path, numbers, said)


def test_a_specimen_that_reaches_the_edges_is_no_inverted_mask(tmp_path) -> None:
    numbers = np.full((20, 24), 255, np.uint8)
    numbers[:3, :3] = 0
    outlines(tmp_path, numbers, None)


def test_a_drawer_whose_ground_is_numbered_is_said(tmp_path) -> None:
    picture(tmp_path / "drawer.png")
    numbers = np.ones((20, 24), np.uint8)
    numbers[2:9, 2:9], numbers[12:18, 12:20] = 2, 3
    Image.fromarray(numbers).save(tmp_path / "regions.png")
    drawer = Drawer(path=tmp_path / "drawer.png", regions=tmp_path / "regions.png", min_area=4)
    (told,) = result(collect(drawer)).skipped
    assert told.reason == f"Its regions {EVERY}."


def test_a_mask_of_few_greys_is_read_by_its_colours_and_labels_by_their_numbers(tmp_path) -> None:
    numbers = np.zeros((20, 24), np.uint8)
    numbers[4:14, 6:20] = 1
    of_greys = Image.fromarray(1 - numbers, "P")
    of_greys.putpalette([255, 255, 255, 0, 0, 0])  # as programs number colours that they meet
    of_greys.save(tmp_path / "greys.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "greys.png"), 255 * numbers)
    of_colours = Image.fromarray(2 * numbers, "P")
    of_colours.putpalette([0, 0, 0, 0, 128, 0, 128, 0, 0])
    of_colours.save(tmp_path / "colours.png")
    np.testing.assert_array_equal(read_mask(tmp_path / "colours.png"), 2 * numbers)


def test_a_table_without_a_line_of_names_is_refused(tmp_path) -> None:
    for stem in STEMS:
        picture(tmp_path / f"{stem}.jpg")
    rows = [f"{stem}.jpg,species {stem}" for stem in STEMS]
    (tmp_path / "metadata.csv").write_text("\n".join(rows), "utf-8")
    with pytest.raises(CollectionError, match=r"first line of 'metadata.csv' names the file '001"):
        result(collect(Folder(path=tmp_path)))


def test_numbers_of_rows_are_no_names_where_a_column_names_the_files(tmp_path) -> None:
    for stem in STEMS:
        picture(tmp_path / f"{stem}.jpg")
    # the third name is misspelt, and the order of the rows is that of somebody's list
    rows = ["order,file,sex", "4,001.jpg,a", "3,002.jpg,b", "2,03.jpg,c", "1,004.jpeg,d"]
    (tmp_path / "metadata.csv").write_text("\n".join(rows), "utf-8")
    collection = result(collect(Folder(path=tmp_path)))
    assert collection.metadata["order"].fillna(0).tolist() == [4, 3, 0, 1]
    assert [one.reason for one in collection.skipped] == [
        "1 of its 4 rows have no specimen here, e.g. '03'.",
        "1 of 4 specimens have no row in it, e.g. '003'.",
    ]


def test_a_folder_is_the_same_whether_it_names_the_table_in_it_or_not(tmp_path) -> None:
    for stem in STEMS:
        picture(tmp_path / f"{stem}.jpg")
    (tmp_path / "metadata.csv").write_text("file,sex\n001.jpg,F\n003.jpg,M\n", "utf-8")
    found, written = seen(tmp_path)[0], Folder(path=tmp_path)
    assert found != written
    assert found.with_table == written.with_table == found
    elsewhere = Folder(path=tmp_path, metadata=tmp_path / "other.csv")
    assert elsewhere.with_table == elsewhere


def test_a_damaged_picture_says_nothing_of_the_background_of_the_others(tmp_path) -> None:
    planes = np.full((7, 40, 40), 9, "u2")
    planes[6, 10:20, 10:30] = 65535
    for number in range(1, 4):
        tifffile.imwrite(tmp_path / f"{number}.tif", planes, photometric="minisblack")
    (tmp_path / "0.tif").write_bytes((tmp_path / "1.tif").read_bytes()[:9000])
    source, words = seen(tmp_path)
    assert source == Folder(path=tmp_path)
    assert "plain background" not in words  # they have masks of their own


def test_that_pictures_are_not_on_a_plain_background_names_the_first_and_why(tmp_path) -> None:
    rows, columns = np.mgrid[:96, :128]
    for number in range(8):
        numbers = np.full((96, 128, 3), 217, np.uint8)
        if number % 2:
            numbers[30:60, 40:90] = 40
        else:
            numbers[(rows - 48) ** 2 + (columns - 64) ** 2 < 400] = 40
        Image.fromarray(numbers).save(tmp_path / f"{number}.png")
    source, words = seen(tmp_path)
    assert source == Folder(path=tmp_path)
    assert (
        "1 of the first 2 pictures shows no clear specimen on a plain background, such as '1.png': "
        "Nothing that was found in '1.png' is used (1 × rectangle)."
    ) in words
    for number in range(1, 8, 2):
        (tmp_path / f"{number}.png").unlink()
    source, words = seen(tmp_path)
    assert source == Folder(path=tmp_path, mask="auto")
    assert "have a plain background" in words


def test_pictures_are_looked_at_as_they_are_said_to_be_read(tmp_path) -> None:
    rows, columns = np.mgrid[:96, :128]
    for number in range(4):
        numbers = np.full((96, 128, 3), 217, np.uint8)
        numbers[(rows - 48) ** 2 + (columns - 90) ** 2 < 400] = 40
        numbers[:, :50] = 0  # nothing was scanned there
        Image.fromarray(numbers).save(tmp_path / f"{number}.png")
    assert seen(tmp_path)[0] == Folder(path=tmp_path)
    read_as = Interpretation(ignore_value=0)
    source, words = seen(tmp_path, {"read_as": read_as})
    assert source == Folder(path=tmp_path, mask="auto", read_as=read_as)
    assert "have a plain background" in words
