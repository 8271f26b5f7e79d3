"""Instant runs of specimens as nobody wants them: finite and the same twice, or a sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray

from napari_phenoscape.embeddings import cluster, embed
from napari_phenoscape.errors import CollectionError, OptionError
from napari_phenoscape.events import result
from napari_phenoscape.samples._experiments import RGB_UV
from napari_phenoscape.training import Experiment, KMeans, train

#: (7, H, W) float32 by the number of a specimen: six bands of 0-1 and a mask.
Draw = Callable[[int], NDArray[np.float32]]


def noise(number: int, side: int = 16) -> NDArray[np.float32]:
    stack = np.random.default_rng(number).random((7, side, side), dtype=np.float32)
    stack[6] = 1
    return stack


def of_three_pixels(number: int) -> NDArray[np.float32]:
    return noise(number, 3)


def one_much_larger(number: int) -> NDArray[np.float32]:
    return noise(number, 2 if number else 600)


def all_the_same(number: int) -> NDArray[np.float32]:
    return noise(0)


def under_two_pixels(number: int) -> NDArray[np.float32]:
    stack = noise(number)
    stack[6] = 0
    stack[6, 5, 5:7] = 1
    return stack


def with_a_dead_band(number: int) -> NDArray[np.float32]:
    stack = noise(number)
    stack[4] = 0
    return stack


def with_unmeasured_pixels(number: int) -> NDArray[np.float32]:
    stack = noise(number)
    stack[:6, 4:7, 4:7] = np.nan
    return stack


def huge(number: int) -> NDArray[np.float32]:
    stack = noise(number)
    stack[:6] *= 1e30
    return stack


def in_pairs(number: int) -> NDArray[np.float32]:
    return noise(number // 2)


def black(number: int) -> NDArray[np.float32]:
    stack = noise(number)
    stack[:6] = 0
    return stack


def with_an_undeclared_fill_value(number: int) -> NDArray[np.float32]:
    stack = noise(number)
    stack[:6, 8, 8] = np.finfo(np.float32).max
    return stack


def embedded(folder: Path, draw: Draw, number: int = 8) -> NDArray[np.float32]:
    """(N, K) of an instant run of as many specimens."""
    specimens = folder / "specimens"
    specimens.mkdir(parents=True, exist_ok=True)
    for i in range(number):
        tifffile.imwrite(specimens / f"{i}.tif", draw(i), photometric="minisblack")
    given = RGB_UV.model_dump(mode="json") | {"image_size": 16, "method": "instant"}
    given |= {"collection": {"kind": "folder", "path": str(specimens)}, "runs": str(folder)}
    (embeddings,) = result(embed(result(train(Experiment.parse(given))))).values()
    return embeddings.x


@pytest.mark.parametrize(
    "draw",
    [
        of_three_pixels, one_much_larger, all_the_same, under_two_pixels,
        with_a_dead_band, with_unmeasured_pixels, huge, in_pairs,
    ],
)  # fmt: skip
def test_specimens_as_nobody_wants_them_have_an_embedding_the_same_twice(
    draw: Draw, tmp_path: Path
) -> None:
    one, two = (embedded(tmp_path / name, draw) for name in ("one", "two"))
    assert len(one) == 8
    assert np.isfinite(one).all()
    np.testing.assert_array_equal(one, two)
    ids = [str(row) for row in range(8)]
    labels = cluster(one, ids, KMeans(clusters=2)).labels
    np.testing.assert_array_equal(labels, cluster(two, ids, KMeans(clusters=2)).labels)
    assert len(labels) == 8


def test_pictures_that_show_nothing_are_told_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"the pictures show nothing \(one colour, or a few"):
        embedded(tmp_path, black)


def test_a_fill_value_that_no_file_declares_is_told_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(CollectionError, match=r"declares no such number. Say 'ignore_value: 3.4"):
        embedded(tmp_path, with_an_undeclared_fill_value)


def test_photographs_of_one_specimen_twice_are_each_others_nearest(tmp_path: Path) -> None:
    x = embedded(tmp_path, in_pairs)
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    similar = unit @ unit.T
    np.fill_diagonal(similar, -np.inf)
    assert similar.argmax(axis=1).tolist() == [1, 0, 3, 2, 5, 4, 7, 6]
