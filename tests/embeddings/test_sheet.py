"""The contact sheet, drawn where and as finely as it is looked at."""

from __future__ import annotations

import numpy as np
import pytest

from napari_phenoscape.embeddings import contact_sheet


@pytest.fixture
def sheet():
    pictures = np.random.default_rng(0).integers(0, 200, (50, 64, 64, 3)).astype(np.uint8)
    return contact_sheet(pictures, labels=np.arange(50) % 3)


def test_a_window_of_a_sheet_is_that_part_of_the_whole(sheet):
    frames = np.full((50, 3), 7, np.uint8)
    marked = np.arange(50) == 4
    for level in (*sheet.levels, *sheet.painted(frames, marked).levels):
        whole = np.asarray(level)
        assert whole.shape == level.shape
        for rows, columns in ((slice(3, 90), slice(50, 200)), (slice(0, 5), slice(None))):
            assert (level[rows, columns] == whole[rows, columns]).all()
        assert (level[0, :, 1] == whole[0, :, 1]).all()


def test_each_level_is_a_whole_number_of_times_smaller(sheet):
    pitches = [level.pitch for level in sheet.levels]
    assert pitches == [72, 36, 18, 9, 3, 1]
    for level in sheet.levels:
        rows, columns = sheet.grid.shape
        assert level.shape[:2] == (
            rows * level.pitch + level.gap, columns * level.pitch + level.gap
        )  # fmt: skip


def test_a_smaller_level_shows_the_means(sheet):
    row, column = sheet.places[0]
    small = np.asarray(sheet.levels[3])[row * 9 + 1 :, column * 9 + 1 :][:8, :8]
    means = sheet.pictures[0].reshape(8, 8, 8, 8, 3).mean(axis=(1, 3))
    assert np.abs(small - means).max() <= 3  # rounded down thrice


def test_a_place_of_the_sheet_tells_who_is_there(sheet):
    for number, (row, column) in enumerate(sheet.centres.tolist()):
        assert sheet.at(row, column) == number
        assert sheet.at(row - 35, column + 34) == number
    assert sheet.at(-20, 0) == -1
    assert sheet.at(1e6, 0) == -1


def test_the_order_is_kept_inside_of_each_cluster():
    pictures = np.zeros((6, 8, 8, 3), np.uint8)
    sheet = contact_sheet(
        pictures, columns=3, labels=np.array([1, 1, 1, 2, 2, 2]), order=np.arange(6)[::-1]
    )
    assert sheet.grid.tolist() == [[2, 1, 0], [5, 4, 3]]


def test_the_chosen_are_framed_in_black_and_white_and_the_others_in_their_colour(sheet):
    frames = np.tile(np.array([10, 200, 30], np.uint8), (50, 1))
    painted = sheet.painted(frames, np.arange(50) == 4)
    image = painted.image

    def edge(number: int) -> np.ndarray:
        row, column = painted.places[number] * 72 + 8
        return image[row + 32, column : column + 8, :]

    assert edge(0)[:4].tolist() == [[10, 200, 30]] * 4
    assert edge(4).tolist() == [[0, 0, 0]] * 4 + [[255, 255, 255]] * 4
