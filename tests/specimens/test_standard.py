"""A standard in the picture makes a folder's photographs reflectance, or is refused."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from typer.testing import CliRunner

from napari_phenoscape.cli import app
from napari_phenoscape.cubes import Band, Bands, Cube, as_modality
from napari_phenoscape.errors import CollectionError, CubeError, OptionError
from napari_phenoscape.events import result
from napari_phenoscape.specimens import Folder, collect, prepare
from napari_phenoscape.spectra import standard_box
from napari_phenoscape.training import read_experiment

#: Where the standard is, and what it reflects.
BOX, PANEL = "2:8,2:12", 0.4


def photograph(path: Path, exposure: float, standard: tuple[slice, slice] | None = None) -> None:
    """R, G and B of a leaf of reflectance 0.1, 0.3, 0.2, and of a standard, in some light."""
    planes = np.full((3, 40, 30), 0.05)
    planes[:, 15:35, 5:25] = np.array([0.1, 0.3, 0.2])[:, None, None]
    planes[:, *(standard or (slice(2, 8), slice(2, 12)))] = PANEL
    light = exposure * np.array([1.0, 0.8, 0.5])
    numbers = np.minimum(planes * light[:, None, None] * 65535, 65535).astype(np.uint16)
    tifffile.imwrite(path, np.moveaxis(numbers, 0, -1), photometric="rgb")


def test_photographs_of_other_exposures_become_the_same_reflectance(tmp_path):
    for number, exposure in enumerate((0.3, 1.0, 2.0)):
        photograph(tmp_path / f"leaf{number}.tif", exposure)
    collection = result(collect(Folder(path=tmp_path, white_region=BOX, panel=PANEL)))
    for group in collection.groups():
        cube, _ = collection.opened(group)
        np.testing.assert_allclose(
            cube.reflectance()[:, 20, 20], [0.1, 0.3, 0.2], atol=0.001, rtol=0
        )
    assert any(
        f"Reflectance by the standard at {BOX}, taken to reflect 0.4" in words
        for words in collection.assumed
    )


def test_a_standard_may_lie_elsewhere_in_each_photograph_as_a_label_image_says(tmp_path):
    (tmp_path / "standards").mkdir()
    for number, left in enumerate((2, 15)):
        place = slice(1, 9), slice(left, left + 9)
        photograph(tmp_path / f"leaf{number}.tif", 0.5 + number, place)
        labels = np.zeros((40, 30), np.uint8)
        labels[place] = 1
        Image.fromarray(labels).save(tmp_path / "standards" / f"leaf{number}.png")
    source = Folder(path=tmp_path, white_region="standards/{stem}.png", panel=PANEL)
    collection = result(collect(source))
    assert [one.id for one in collection.specimens] == ["leaf0.tif", "leaf1.tif"]
    assert {file.name for file in collection.files()} >= {"leaf0.tif", "leaf0.png", "leaf1.png"}
    for group in collection.groups():
        cube, _ = collection.opened(group)
        np.testing.assert_allclose(
            cube.reflectance()[:, 20, 20], [0.1, 0.3, 0.2], atol=0.001, rtol=0
        )


def test_crops_are_made_anew_when_the_standard_is_said_to_be_another(tmp_path):
    photograph(tmp_path / "a.tif", 0.5)
    photograph(tmp_path / "b.tif", 1.0)
    means = []
    for panel in (PANEL, PANEL / 2):
        collection = result(collect(Folder(path=tmp_path, white_region=BOX, panel=panel)))
        store = tmp_path.parent / f"{tmp_path.name} crops"
        crops = result(prepare(collection, [as_modality("rgb")], 32, folder=store, keep=True))
        means.append(crops.mean)
    np.testing.assert_allclose(means[1], means[0] / 2, rtol=1e-3)


def test_a_first_look_takes_the_standard_and_keeps_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "leaves").mkdir()
    for number in range(3):
        photograph(tmp_path / "leaves" / f"leaf{number}.tif", 0.3 + 0.5 * number)
    words = ("look", "leaves", "--white-region", BOX, "--panel", str(PANEL))
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    (run,) = (tmp_path / "runs").glob("*_leaves")
    source = read_experiment(run).collection
    assert (source.white_region, source.panel) == (BOX, PANEL)


@pytest.mark.parametrize(
    ("exposure", "region", "reason"),
    [
        (4.0, BOX, r"overexposed \(in R, G\)"),
        (0.5, "2:8,2:90", "has 40 rows and 30 columns; 2:8,2:90 is not a part"),
        (0.5, "{stem}.png", "leaf.png"),
    ],
    ids=["overexposed", "outside", "no label image"],
)
def test_a_standard_that_cannot_be_measured_leaves_the_photograph_out(
    tmp_path, exposure, region, reason
):
    photograph(tmp_path / "leaf.tif", exposure)
    with pytest.raises(CollectionError, match=reason):
        result(collect(Folder(path=tmp_path, white_region=region, panel=PANEL)))


def test_numbers_that_a_camera_coded_for_the_eye_are_refused_unless_they_are_said_to_be_linear(
    tmp_path,
):
    planes = np.full((40, 30, 3), 40, np.uint8)
    planes[2:8, 2:12] = 100
    for name in ("leaf", "twin"):
        Image.fromarray(planes).save(tmp_path / f"{name}.png")
    with pytest.raises(CollectionError, match=r"coded for the eye \(gamma\), which no standard"):
        result(collect(Folder(path=tmp_path, white_region=BOX)))
    said = Folder.parse(
        {"path": tmp_path, "white_region": BOX, "panel": 0.5, "read_as": {"full_scale": 255}}
    )
    cube, _ = result(collect(said)).opened((0,))
    np.testing.assert_allclose(cube.reflectance()[:, 20, 20], 0.2, rtol=1e-5)


def found_by_itself(path: Path, exposure: float, *places: tuple[slice, slice]) -> None:
    """A leaf that is no rectangle, of the same reflectance, and grey squares on darker paper."""
    planes = np.full((3, 120, 160), 0.05)
    rows, columns = np.indices((120, 160))
    leaf = np.hypot((rows - 60) / 40, (columns - 40) / 25) * (1 + 0.4 * (rows > 60)) < 1
    planes[:, leaf] = np.array([0.1, 0.3, 0.2])[:, None]
    for place in places:
        planes[:, *place] = PANEL
    light = exposure * np.array([1.0, 0.8, 0.5])
    noise = np.random.default_rng(0).normal(0, 0.0005, planes.shape)
    numbers = np.clip((planes + noise) * light[:, None, None] * 65535, 0, 65535).astype(np.uint16)
    tifffile.imwrite(path, np.moveaxis(numbers, 0, -1), photometric="rgb")


def test_a_standard_that_lies_elsewhere_in_each_photograph_is_found(tmp_path):
    for number, (exposure, top, left) in enumerate(((0.5, 10, 100), (1.0, 80, 90), (2.0, 40, 120))):
        place = slice(top, top + 25), slice(left, left + 30)
        found_by_itself(tmp_path / f"leaf{number}.tif", exposure, place)
    collection = result(collect(Folder(path=tmp_path, white_region="auto", panel=PANEL)))
    assert len(collection.specimens) == 3
    for group in collection.groups():
        cube, _ = collection.opened(group)
        np.testing.assert_allclose(cube.reflectance()[:, 60, 40], [0.1, 0.3, 0.2], atol=0.003)
    said = " ".join(collection.assumed)
    assert "Reflectance by the standard found at 13:32,103:122" in said
    assert "taken to reflect 0.4" in said


def test_where_the_standard_was_found_is_said_in_the_words_that_take_it(tmp_path):
    found_by_itself(tmp_path / "leaf.tif", 1, (slice(10, 35), slice(100, 130)))
    words = ("convert", tmp_path / "leaf.tif", "-o", tmp_path / "made.tif", "--panel", PANEL)
    done = CliRunner().invoke(app, [*map(str, words), "--white-region", "auto"])
    assert done.exit_code == 0, done.output
    (place,) = re.findall(r"found at (\d+:\d+,\d+:\d+)", " ".join(done.output.split()))
    again = [*map(str, words), "--overwrite", "--white-region", place]
    before = (tmp_path / "made.tif").read_bytes()
    assert CliRunner().invoke(app, again).exit_code == 0
    cubes = []
    for written in (before, (tmp_path / "made.tif").read_bytes()):
        (tmp_path / "one.tif").write_bytes(written)
        cubes.append(tifffile.imread(tmp_path / "one.tif"))
    np.testing.assert_array_equal(*cubes)


SQUARE, OTHER = (slice(10, 35), slice(100, 130)), (slice(80, 105), slice(100, 130))


@pytest.mark.parametrize(
    ("places", "reason"),
    [
        ((), "No standard was found in 'leaf.tif': nothing on its background is plain, grey"),
        ((SQUARE, OTHER), "shows 2 patches that may each be the standard, at 13:32,103:122, 83"),
    ],
    ids=["none", "two"],
)
def test_a_photograph_without_one_standard_is_left_out_and_why(tmp_path, places, reason):
    found_by_itself(tmp_path / "leaf.tif", 1, *places)
    with pytest.raises(CollectionError, match=reason):
        result(collect(Folder(path=tmp_path, white_region="auto", panel=PANEL)))


def test_a_standard_that_is_found_and_overexposed_is_refused(tmp_path):
    found_by_itself(tmp_path / "leaf.tif", 4, SQUARE)
    with pytest.raises(CollectionError, match="overexposed"):
        result(collect(Folder(path=tmp_path, white_region="auto", panel=PANEL)))


def drawn(*patches: tuple[slice, slice, tuple[float, float, float]]) -> Cube:
    """Patches of a reflectance, one over the other, on grey paper, with some noise."""
    planes = np.full((3, 200, 200), 0.4)
    for rows, columns, colour in patches:
        planes[:, rows, columns] = np.array(colour)[:, None, None]
    planes += np.random.default_rng(1).normal(0, 0.003, planes.shape)
    return Cube(planes.astype(np.float32), Bands(Band(name) for name in "RGB"), Path("drawn.tif"))


CARD = slice(40, 100), slice(60, 160)


@pytest.mark.parametrize(
    "patches",
    [
        [(*CARD, (0.7, 0.1, 0.1))],
        [(*CARD, (0.8,) * 3), (slice(60, 80), slice(90, 130), (0.1, 0.2, 0.1))],
        [(*CARD, (0.8,) * 3), (slice(60, 66), slice(60, 160), (0.05,) * 3)],
        [(slice(0, 60), slice(60, 160), (0.8,) * 3)],
        [(slice(40, 46), slice(60, 160), (0.8,) * 3)],
        [
            (slice(20, 180), slice(60, 100), (0.8,) * 3),
            (slice(90, 120), slice(20, 180), (0.8,) * 3),
        ],
    ],
    ids=[
        "a red card",
        "a card under a specimen",
        "a written label",
        "cut off",
        "a strip",
        "a cross",
    ],
)
def test_what_is_no_standard_is_not_taken_for_one(patches):
    with pytest.raises(CubeError, match=r"No standard was found|may each be"):
        standard_box(drawn(*patches))


def test_of_a_chart_the_brightest_grey_patch_is_found():
    columns = [slice(25 + 25 * i, 43 + 25 * i) for i in range(6)]
    greys = [
        (slice(85, 103), at, (g,) * 3)
        for at, g in zip(columns, (0.9, 0.6, 0.36, 0.2, 0.1, 0.03), strict=True)
    ]
    hues = [
        (slice(60, 78), at, hue)
        for at, hue in zip(columns, ((0.9, 0.8, 0.1), (0.1, 0.5, 0.1)) * 3, strict=True)
    ]
    chart = drawn((slice(52, 111), slice(17, 182), (0.05,) * 3), *greys, *hues)
    place = [int(end) for end in re.findall(r"\d+", standard_box(chart))]
    assert 85 <= place[0] < place[1] <= 103
    assert 25 <= place[2] < place[3] <= 43


def test_a_background_that_is_not_plain_gives_no_standard():
    cube = drawn((*CARD, (0.8,) * 3))
    rough = np.random.default_rng(0).normal(0, 0.2, (1, 25, 25)).repeat(8, 1).repeat(8, 2)
    with pytest.raises(CubeError, match="its background is not plain"):
        standard_box(replace(cube, array=(cube.array + rough).astype(np.float32)))


@pytest.mark.parametrize(
    "numbers", [np.nan, 0.0, 0.5], ids=["not measured", "black", "of one grey"]
)
@pytest.mark.parametrize("side", [3, 60])
def test_a_picture_of_nothing_gives_no_standard(numbers, side):
    planes = np.full((3, side, side), numbers, np.float32)
    with pytest.raises(CubeError, match="white_region"):
        standard_box(Cube(planes, Bands(Band(name) for name in "RGB"), Path("drawn.tif")))


def test_only_the_photographs_name_stands_in_braces(tmp_path):
    with pytest.raises(OptionError, match=r"other braces than \{stem\}"):
        Folder.parse({"path": tmp_path, "white_region": "standards/{id}.png"})
