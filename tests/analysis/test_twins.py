"""Twins: copies are found whatever was done to them, and others are not taken for copies."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from skimage.transform import resize
from typer.testing import CliRunner

from napari_phenoscape.analysis import look, twins_among
from napari_phenoscape.cli._console import app
from napari_phenoscape.cubes import Band, Bands
from napari_phenoscape.embeddings import Embeddings
from napari_phenoscape.errors import OptionError
from napari_phenoscape.events import result
from napari_phenoscape.samples import write_samples
from napari_phenoscape.specimens import Crops, Folder

SIDE = 48


def specimens(*images: np.ndarray, **columns: list) -> tuple[Embeddings, Crops]:
    """(C, 48, 48) pictures, round masks; the embeddings are random but of those that are copies."""
    number, bands = len(images), len(images[0])
    ids = [f"{n}.tif" for n in range(number)]
    table = pd.DataFrame({"specimen": ids, "filename": ids, "path": ids, "row": 0, "column": 0})
    x = np.random.default_rng(1).normal(size=(number, 8)).astype(np.float32)
    at = (np.indices((SIDE, SIDE)) - (SIDE - 1) / 2) / (SIDE / 2)
    masks = np.tile((at**2).sum(axis=0) < 0.9, (number, 1, 1, 1))
    crops = Crops(
        np.stack(images).astype(np.float32),
        masks,
        tuple(ids),
        Bands(tuple(Band(f"b{n}") for n in range(bands))),
        {"all": np.arange(bands)},
        {"all": np.ones(number, np.bool_)},
        np.zeros(bands, np.float32),
        np.ones(bands, np.float32),
    )
    return Embeddings(x, table.assign(**columns), "all", Folder(path=Path("moths"))), crops


def pattern(seed: int, bands: int = 4) -> np.ndarray:
    """Blotches of 6 pixels."""
    return resize(np.random.default_rng(seed).uniform(0.1, 0.9, (bands, 8, 8)), (bands, SIDE, SIDE))


COPIES = {
    "brighter": lambda one: 1.4 * one,
    "turned": lambda one: np.rot90(one, 1, (1, 2)),
    "mirrored": lambda one: one[:, :, ::-1],
    "noisy": lambda one: one + np.random.default_rng(0).normal(0, 0.02, one.shape),
    "half the size": lambda one: resize(resize(one, (4, 24, 24), anti_aliasing=True), one.shape),
}


@pytest.mark.parametrize("way", COPIES)
def test_a_copy_is_a_twin_whatever_was_done_to_it(way):
    one = pattern(0)
    embeddings, crops = specimens(one, COPIES[way](one), *(pattern(seed) for seed in range(1, 5)))
    found = result(twins_among(embeddings, crops))
    assert found.table[["first", "second", "why"]].to_numpy().tolist() == [
        ["0.tif", "1.tif", "twins"]
    ]
    assert found.words() == "1 pair of twins among 6."


def test_pictures_alone_or_embeddings_alone_make_no_twins():
    one = pattern(0)
    embeddings, crops = specimens(one, one, *(pattern(seed) for seed in range(1, 20)))
    embeddings.x[:] = np.eye(21, 8)
    embeddings.x[0], embeddings.x[1] = [1] * 8, [-1] * 8  # the same picture, as unlike as can be
    assert len(result(twins_among(embeddings, crops)).table) == 0
    embeddings.x[2], embeddings.x[3] = [5] * 8, [5] * 8  # alike, and their pictures are not
    assert len(result(twins_among(embeddings, crops)).table) == 0


def test_leaks_over_a_split_are_twins_and_the_same_individual_on_both_sides():
    one = pattern(0)
    images = [one, one, pattern(1), pattern(2), pattern(3), pattern(4)]
    given = {
        "split": ["train", "test", "train", "test", "train", None],
        "individual": ["a", "a", "b", "b", "c", "c"],
    }
    embeddings, crops = specimens(*images, **given)
    embeddings.x[1] = embeddings.x[0]
    found = result(twins_among(embeddings, crops, over="split", same="individual"))
    pairs = found.table[["first", "second", "why", "first_part", "second_part", "leak"]]
    assert pairs.to_numpy().tolist()[0] == ["0.tif", "1.tif", "twins", "train", "test", True]
    rest = {tuple(row) for row in pairs.to_numpy().tolist()[1:]}
    # the part of 5.tif is not known, so nobody can say that c lies on both sides
    assert rest == {("2.tif", "3.tif", "same", "train", "test", True)}
    assert "2 of all pairs reach from one split into another" in found.words()
    with pytest.raises(OptionError, match="no column of a split is given"):
        result(twins_among(embeddings, crops, same="individual"))


def test_the_command_finds_the_copy_of_a_photograph_in_another_folder(tmp_path):
    samples = result(write_samples(tmp_path / "samples", specimens=24, size=48, drawer=False))
    folder = samples / "multispectral"
    (folder / "metadata.csv").unlink(missing_ok=True)
    first = sorted(folder.rglob("*.tif"))[0]
    stack = tifffile.imread(first)
    stack[..., :6] = (stack[..., :6] * 0.8).astype(stack.dtype)
    copy = folder / "new" / "IMG_0001.tif"
    copy.parent.mkdir()
    tifffile.imwrite(copy, stack[:, ::-1], photometric="rgb")
    run = result(look(folder, tmp_path / "runs")).run
    end = CliRunner().invoke(app, ["twins", str(run), "--over", "folder", "--json"])
    assert end.exit_code == 0, end.output
    answer = json.loads(end.stdout)
    (pair,) = answer["pairs"]
    assert {pair["first"], pair["second"]} == {
        first.relative_to(folder).as_posix(),
        "new/IMG_0001.tif",
    }
    assert pair["leak"] is True
    assert answer["specimens"] == 25
