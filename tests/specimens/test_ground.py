"""Things are told from grounds that are not plain, by all pictures of a collection together."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from typer.testing import CliRunner

from napari_phenoscape.analysis import tell_things
from napari_phenoscape.cli import app
from napari_phenoscape.cubes import read_mask
from napari_phenoscape.events import Notice, result
from napari_phenoscape.nets import offline_net
from napari_phenoscape.specimens import MASK_PX, Folder, largest_piece, source_at, told
from napari_phenoscape.specimens.finding._ground import Picture

Mask = NDArray[np.bool_]


def overlap(found: Mask, mask: Mask) -> float:
    return float((found & mask).sum() / (found | mask).sum())


def disc(row: float, column: float, radius: float, side: int = MASK_PX) -> Mask:
    rows, columns = np.indices((side, side))
    return np.asarray(np.hypot(rows - row, columns - column) <= radius)


def mottled(seed: int, mean: tuple[float, float, float]) -> NDArray[np.float32]:
    """(128, 128, 3) a ground with patches of its own."""
    noise = np.random.default_rng(seed).normal(size=(MASK_PX, MASK_PX, 3))
    patches = ndimage.gaussian_filter(noise, (3, 3, 0)) * 0.6
    return np.clip(np.array(mean) + patches, 0, 1).astype(np.float32)


@pytest.fixture(scope="module")
def scenes() -> tuple[list[NDArray[np.uint8]], NDArray[np.float32], list[Mask]]:
    """Six things of the ground's own colours, each beside a red stone nearer to the middle.

    Only the grid knows the things: in its first two numbers, under noise.
    """
    rng = np.random.default_rng(0)
    pictures, grids, masks = [], [], []
    for seed in range(6):
        place = 64 + 14 * np.array([np.cos(seed), np.sin(seed)])
        mask, stone = disc(*place, 30), disc(*(128 - place + 8), 12)
        picture = mottled(seed, (0.3, 0.5, 0.3))
        picture[mask] = mottled(seed + 50, (0.5, 0.5, 0.2))[mask]
        picture[stone & ~mask] = (0.8, 0.1, 0.1)
        known = mask.reshape(16, 8, 16, 8).mean(axis=(1, 3))
        grid = rng.normal(0, 1, (8, 16, 16))
        grid[:2] += 3 * known
        pictures.append((255 * picture).astype(np.uint8))
        grids.append(grid)
        masks.append(mask)
    return pictures, np.array(grids, np.float32), masks


def test_what_the_net_sees_in_all_pictures_tells_what_colours_and_place_do_not(scenes):
    pictures, grids, masks = scenes
    shares, agreement = result(told(pictures, grids))
    blind, _ = result(told(pictures, np.zeros_like(grids)))
    with_net, without = (
        np.mean(
            [overlap(largest_piece(one > 0.5), mask) for one, mask in zip(of, masks, strict=True)]
        )
        for of in (shares, blind)
    )
    assert with_net > 0.85
    assert with_net > without + 0.1
    assert agreement.min() > 0.5


def test_the_border_lies_on_edges_that_the_grid_is_too_coarse_for():
    mask = disc(64, 64, 33)
    picture = mottled(1, (0.3, 0.5, 0.3))
    picture[mask] = (0.6, 0.4, 0.1)
    known = ndimage.zoom(ndimage.zoom(mask.astype(float), 1 / 16, order=1), 16, order=1)
    coarse = known > 0.5
    share = Picture(picture).thing(4 * (known - 0.5))
    assert overlap(coarse, mask) < 0.93
    assert overlap(share > 0.5, mask) > 0.97


def test_a_picture_of_one_colour_gives_no_error():
    share = Picture(np.full((64, 64, 3), 0.5, np.float32)).thing(np.full((64, 64), -1.0))
    assert np.isfinite(share).all()
    assert not largest_piece(share > 0.5).any()


def test_the_largest_piece_is_kept_and_its_holes_are_filled():
    mask = disc(40, 40, 20) & ~disc(40, 40, 5) | disc(100, 100, 8)
    np.testing.assert_array_equal(largest_piece(mask), disc(40, 40, 20))


needs_net = pytest.mark.skipif(offline_net() is None, reason="the extra 'pretrained' is missing")


@pytest.fixture
def photographs(tmp_path) -> tuple[Path, list[Mask]]:
    """Four of 96 rows and 144 columns, on mottled ground; one thing is cut off by the edge."""
    folder, masks = tmp_path / "moths", []
    folder.mkdir()
    for seed, (row, column) in enumerate([(64, 64), (58, 70), (70, 60), (2, 64)]):
        mask, picture = disc(row, column, 30), mottled(seed, (0.3, 0.5, 0.3))
        picture[mask] = mottled(seed + 9, (0.8, 0.3, 0.1))[mask]
        whole = Image.fromarray((255 * picture).astype(np.uint8))
        whole.resize((144, 96), Image.Resampling.LANCZOS).save(folder / f"moth{seed}.png")
        masks.append(np.asarray(Image.fromarray(mask).resize((144, 96))))
    return folder, masks


def phenoscape(*words: object) -> tuple[int, str]:
    answer = CliRunner().invoke(app, [*map(str, words)])
    return answer.exit_code, answer.output


@needs_net
def test_masks_of_photographs_are_written_beside_them_where_look_finds_them(photographs, tmp_path):
    folder, masks = photographs
    sheet = tmp_path / "found.png"
    code, output = phenoscape("find", folder, "-o", sheet, "--json", "--quiet")
    assert code == 0, output
    known = json.loads(output)["photographs"]
    assert [one["word"] for one in known] == ["clear"] * 3 + ["touches the edge"]
    assert [one["used"] for one in known] == [True, True, True, False]
    assert sorted(path.name for path in folder.glob("masks/*")) == [
        f"moth{number}.png" for number in range(3)
    ]
    for number in range(3):
        found = read_mask(folder / "masks" / f"moth{number}.png") > 0
        assert overlap(found, masks[number]) > 0.9
    assert sheet.is_file()
    assert result(source_at(folder)) == Folder(path=folder, mask="masks/{stem}.png")

    again = tmp_path / "again.png"
    for name, refused in (("again.png", "is there already"), ("again.txt", "end it in .png")):
        code, output = phenoscape("find", folder, "-o", tmp_path / name)
        assert code == 2
        assert refused in " ".join(output.split())
        assert "telling" not in output  # before what takes minutes
        assert not again.exists()
    code, output = phenoscape("find", folder, "-o", again, "--overwrite", "--doubtful")
    assert code == 0, output
    assert (folder / "masks" / "moth3.png").is_file()


def test_a_first_look_says_how_to_tell_specimens_from_a_ground_that_is_not_plain(
    photographs, monkeypatch, tmp_path
):
    monkeypatch.setattr("platformdirs.user_cache_path", lambda *_, **__: tmp_path / "cache")
    folder, _ = photographs
    told_so = [event.message for event in source_at(folder) if isinstance(event, Notice)]
    assert any("`phenoscape find`" in words and "not plain" in words for words in told_so)
    assert result(source_at(folder)).mask is None


@needs_net
def test_of_many_photographs_so_many_are_told_together_and_each_keeps_its_place(
    photographs, monkeypatch
):
    folder, masks = photographs
    monkeypatch.setattr("napari_phenoscape.analysis._masks._AT_ONCE", 3)
    looked = []
    monkeypatch.setattr(
        "napari_phenoscape.analysis._masks.told",
        lambda pictures, grids: looked.append(len(pictures)) or told(pictures, grids),
    )
    things = result(tell_things(Folder(path=folder)))
    assert looked == [2, 2]
    assert things.words == ("clear",) * 3 + ("touches the edge",)
    for share, mask in zip(things.shares[:3], masks, strict=False):
        square = np.asarray(Image.fromarray(mask).resize((MASK_PX, MASK_PX)))
        assert overlap(share > 0.5, square) > 0.9
