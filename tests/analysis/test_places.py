"""Places on a map: in a lasso, as a density, in colours."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.path import Path as Outline
from PIL import Image

from napari_phenoscape.analysis import Colouring, by_values, density, inside, map_figure
from napari_phenoscape.errors import OptionError
from napari_phenoscape.training import PALETTE, PALETTES

SQUARE = np.array([[0.0, 0.0], [2.0, 0.0], [2.0, 2.0], [0.0, 2.0]])


def test_a_lasso_holds_what_lies_in_it_and_nothing_else():
    places = np.array([[1.0, 1.0], [3.0, 1.0], [1.0, -1.0], [0.5, 1.9], [np.nan, 1.0]])
    assert inside(places, SQUARE).tolist() == [True, False, False, True, False]
    assert inside(places, SQUARE[::-1]).tolist() == [True, False, False, True, False]


def test_what_a_line_goes_around_twice_is_outside():
    twice = np.concatenate([SQUARE, SQUARE * 2])  # the small square lies in the large one
    assert inside(np.array([[1.0, 0.5], [3.0, 3.5]]), twice).tolist() == [False, True]


def test_two_corners_hold_nothing():
    assert not inside(np.array([[1.0, 1.0]]), SQUARE[:2]).any()


def test_a_random_line_holds_the_same_as_that_of_matplotlib():
    random = np.random.default_rng(0)
    angle = np.sort(random.uniform(0, 2 * np.pi, 50))
    line = np.stack([np.cos(angle), np.sin(angle)], axis=1) * random.uniform(0.3, 1, (50, 1))
    places = random.uniform(-1, 1, (20_000, 2)).astype(np.float32)
    expected = Outline(line).contains_points(places)
    assert 2000 < expected.sum() < 18_000
    assert (inside(places, line) == expected).all()


def test_a_pixel_of_the_density_has_the_mean_colour_of_its_specimens():
    places = np.array([[0.5, 0.5], [0.6, 0.4], [2.5, 1.5], [9.0, 9.0]])
    colours = np.array([[255, 0, 0], [0, 0, 255], [0, 255, 0], [1, 1, 1]], np.uint8)
    picture = density(places, colours, (0, 0, 3, 2), (2, 3))
    assert picture.shape == (2, 3, 4)
    assert picture[0, 0].tolist() == [128, 0, 128, 255]
    assert picture[1, 2, :3].tolist() == [0, 255, 0]
    assert 0 < picture[1, 2, 3] < 255
    assert (picture[..., 3] > 0).sum() == 2


def test_nobody_in_sight_is_an_empty_density():
    picture = density(np.zeros((0, 2)), np.zeros((0, 3), np.uint8), (0, 0, 1, 1), (4, 4))
    assert not picture.any()


def test_kinds_have_the_clusters_colours_by_size_and_unknown_ones_are_grey():
    colouring = by_values("sex", pd.Series(["M", "F", "F", None]))
    assert [(name, count) for name, _, count in colouring.legend] == [
        ("F", 2), ("M", 1), ("unknown", 1)
    ]  # fmt: skip
    muted = by_values("sex", pd.Series(["M", "F", "F", None]), "tol-muted")
    assert muted.legend[0][1] == (0xCC, 0x66, 0x77)
    first = tuple(bytes.fromhex(PALETTES[PALETTE][0][1:]))
    assert tuple(colouring.colours[1]) == tuple(colouring.colours[2]) == first
    assert len(set(colouring.colours[3].tolist())) == 1


def test_numbers_are_coloured_along_a_scale():
    colouring = by_values("mass", [0.0, 50.0, 100.0, np.nan])
    low, high = colouring.scale
    assert low == pytest.approx(1)  # percentiles 1 and 99
    assert high == pytest.approx(99)
    assert colouring.colours[0].tolist() == [68, 1, 84]  # viridis
    assert colouring.colours[2].tolist() == [253, 231, 37]
    assert colouring.legend == ()


def test_truth_is_a_kind_and_no_number():
    assert {name for name, _, _ in by_values("wild", [True, False, True]).legend} == {
        "True", "False"
    }  # fmt: skip


@pytest.mark.parametrize("ending", ["png", "svg", "pdf"])
def test_a_map_is_written_in_the_colours_that_are_shown(tmp_path, ending):
    red = Colouring("all", np.tile(np.array([255, 0, 0], np.uint8), (50, 1)))
    path = tmp_path / f"map.{ending}"
    map_figure(np.random.default_rng(0).normal(size=(50, 2)), red, "pca", path)
    if ending == "png":
        picture = np.asarray(Image.open(path).convert("RGB"))
        assert ((picture == [255, 0, 0]).all(axis=2)).sum() > 500
    elif ending == "svg":
        assert "#ff0000" in path.read_text()


def test_a_map_of_another_ending_is_refused(tmp_path):
    with pytest.raises(OptionError, match=r"written as \.png, \.svg, \.pdf"):
        map_figure(np.zeros((1, 2)), by_values("a", ["b"]), "", tmp_path / "map.gif")
