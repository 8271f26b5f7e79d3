"""A standard in the picture makes a folder's photographs reflectance, or is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from typer.testing import CliRunner

from napari_phenoscape.cli import app
from napari_phenoscape.cubes import as_modality
from napari_phenoscape.errors import CollectionError, OptionError
from napari_phenoscape.events import result
from napari_phenoscape.specimens import Folder, collect, prepare
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


def test_only_the_photographs_name_stands_in_braces(tmp_path):
    with pytest.raises(OptionError, match=r"other braces than \{stem\}"):
        Folder.parse({"path": tmp_path, "white_region": "standards/{id}.png"})
