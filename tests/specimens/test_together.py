"""Photographs of one specimen in several files are one specimen of a collection."""

from __future__ import annotations

import os
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from napari_phenoscape.cubes import as_modality
from napari_phenoscape.errors import CollectionError, OptionError
from napari_phenoscape.events import Notice, result
from napari_phenoscape.samples._specimens import individual, photograph
from napari_phenoscape.specimens import Collection, Folder, collect, prepare, source_at
from napari_phenoscape.specimens.collection._together import set_of

TOGETHER = "{id}_{vis|uv}"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory, monkeypatch):
    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setattr("platformdirs.user_cache_path", lambda *_, **__: cache)


def photographs(folder: Path, number: int, name: str, kind: str = "png") -> None:
    """The visible one, and the UV one of other pixels: 6 down, 10 right and 8 larger."""
    planes, mask = photograph(individual(number, 0), 150)
    pixels = np.where(mask, planes // 256, 128).astype(np.uint8)
    visible, uv = pixels[:3, :, 5:], np.pad(pixels[3:], ((0, 0), (6, 2), (5, 3)), mode="edge")
    for part, planes_of_it in (("vis", visible), ("uv", uv)):
        path = folder / f"{name}_{part}.{kind}" if "/" not in name else folder / part / name[1:]
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.moveaxis(planes_of_it, 0, -1)).save(path.with_suffix(f".{kind}"))


def ids(collection: Collection) -> list[str]:
    return [specimen.id for specimen in collection.specimens]


@pytest.fixture
def folder(tmp_path) -> Path:
    for number, name in enumerate(("moth 1", "moth 2", "moth 10")):
        photographs(tmp_path / "moths", number, name)
    return tmp_path / "moths"


def test_photographs_that_belong_together_are_one_specimen_with_all_bands(folder):
    collection = result(collect(Folder(path=folder, together=TOGETHER)))
    assert ids(collection) == ["moth 1_vis.png", "moth 2_vis.png", "moth 10_vis.png"]
    assert not collection.skipped
    cube, labels = collection.opened((0,))
    assert cube.bands.names == ("R", "G", "B", "UV_R", "UV_G", "UV_B")
    assert cube.shape == (6, 150, 145)
    assert labels is None
    planes, mask = photograph(individual(0, 0), 150)
    expected = np.where(mask, planes[3] // 256, 128)[10:140, 15:135] / 255
    found = cube.reflectance(np.array([3]), slice(10, 140), slice(10, 130))[0]
    assert np.median(np.abs(found - expected)) < 0.01
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.98


def test_each_specimen_says_what_is_left_in_pixels(folder):
    collection = result(collect(Folder(path=folder, together=TOGETHER)))
    residuals = collection.metadata["residual_px"].astype(float)
    assert residuals.between(0, 2).all()
    assert f"at most {residuals.max():.2f}" in collection.assumed[-1]


def test_what_does_not_lie_on_the_first_is_left_out_and_named(folder):
    Image.new("RGB", (150, 150), "grey").save(folder / "moth 2_uv.png")
    collection = result(collect(Folder(path=folder, together=TOGETHER)))
    assert ids(collection) == ["moth 1_vis.png", "moth 10_vis.png"]
    (skipped,) = collection.skipped
    assert "'moth 2_uv.png' does not lie on 'moth 2_vis.png'" in skipped.reason


def test_a_photograph_without_its_other_is_left_out_and_says_which(folder):
    photographs(folder, 3, "moth 11")
    photographs(folder, 4, "moth 12")
    (folder / "moth 1_vis.png").unlink()
    (folder / "moth 2_uv.png").unlink()
    (folder / "moth 10_uv.png").rename(folder / "readme.png")
    collection = result(collect(Folder(path=folder, together=TOGETHER)))
    assert ids(collection) == ["moth 11_vis.png", "moth 12_vis.png"]
    reasons = {one.path.name: one.reason for one in collection.skipped}
    assert reasons == {
        "moth 1_uv.png": "There is no photograph 'moth 1_vis' (vis) to lay it on.",
        "moth 2_vis.png": "One photograph 'moth 2_uv' (uv) was expected with it, and there is "
        "none.",
        "moth 10_vis.png": "One photograph 'moth 10_uv' (uv) was expected with it, and there is "
        "none.",
        "readme.png": "Its name does not have the form '{id}_{vis|uv}' (together).",
    }


def test_parts_may_lie_in_folders_of_their_own(tmp_path):
    for number in range(2):
        photographs(tmp_path, number, f"/moth{number}")
    collection = result(collect(Folder(path=tmp_path, together="{vis|uv}/{id}")))
    assert ids(collection) == ["vis/moth0.png", "vis/moth1.png"]
    assert len(collection.opened((1,))[0].bands) == 6


def test_crops_have_the_bands_of_all_parts(folder):
    collection = result(collect(Folder(path=folder, together=TOGETHER)))
    files = [file.name for file in collection.files()]
    assert files[:2] == ["moth 1_vis.png", "moth 1_uv.png"]
    crops = result(prepare(collection, [as_modality("rgb"), as_modality("uv")], 32))
    assert {band.name for band in crops.bands} >= {"R", "UV_R"}


@pytest.mark.parametrize("pattern", ["{id}", "{vis|uv}", "{id}_{vis}", "{id}_{uv|uv}", "a_b"])
def test_a_pattern_that_says_no_parts_is_refused(tmp_path, pattern):
    with pytest.raises(OptionError, match="does not say which photographs belong together"):
        Folder.parse({"path": tmp_path, "together": pattern})


def test_no_first_photograph_at_all_is_said(tmp_path):
    for number in range(2):
        photographs(tmp_path, number, f"moth{number}")
    with pytest.raises(CollectionError, match=r"does not have the form '{id}_{rgb\|uv}'"):
        result(collect(Folder(path=tmp_path, together="{id}_{rgb|uv}")))


def test_a_folder_that_has_changed_is_looked_through_anew(tmp_path):
    (tmp_path / "moth_vis.png").touch()
    (tmp_path / "moth_uv.png").touch()
    long_ago = time.time() - 3600
    os.utime(tmp_path, (long_ago, long_ago))
    first = tmp_path / "moth_vis.png"
    for _ in range(2):
        assert set_of(first, tmp_path, TOGETHER) == [first, tmp_path / "moth_uv.png"]
    (tmp_path / "moth_uv.png").rename(tmp_path / "moth_uv.tif")
    assert set_of(first, tmp_path, TOGETHER) == [first, tmp_path / "moth_uv.tif"]
    (tmp_path / "moth_uv.tif").unlink()
    with pytest.raises(CollectionError, match="there is none"):
        set_of(first, tmp_path, TOGETHER)


@pytest.mark.parametrize(
    ("name", "pattern"),
    [("moth{}", "{id}_{vis|uv}"), ("/moth{}", "{vis|uv}/{id}")],
    ids=["by name", "by folder"],
)
def test_a_first_look_knows_pairs_by_their_names_and_says_so(tmp_path, name, pattern):
    for number in range(3):
        photographs(tmp_path / "moths", number, name.format(number))
    events = source_at(tmp_path / "moths")
    said = []
    while True:
        try:
            event = next(events)
        except StopIteration as end:
            source = end.value
            break
        said += [event.message] if isinstance(event, Notice) else []
    assert source == Folder(path=tmp_path / "moths", mask="auto", together=pattern)
    assert any("3 pairs of photographs belong together" in words for words in said)
    assert ids(result(collect(source))) == [
        f"vis/moth{n}.png" if pattern.startswith("{vis") else f"moth{n}_vis.png" for n in range(3)
    ]


def test_photographs_of_which_few_have_a_second_are_no_pairs(tmp_path):
    for number in range(2):
        photographs(tmp_path / "moths", number, f"moth{number}")
    for number in range(12):
        Image.new("RGB", (40, 40), (number, 90, 9)).save(tmp_path / "moths" / f"other{number}.png")
    assert result(source_at(tmp_path / "moths")).together is None
