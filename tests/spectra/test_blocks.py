"""Blocks of rows: whatever their size, what is computed from a cube is the same."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from napari_phenoscape.cubes import Band, Bands, Cube, open_cube, row_blocks, write_cube
from napari_phenoscape.events import result
from napari_phenoscape.spectra import (
    band_index,
    calibrated,
    composite,
    mean_spectrum,
    picture,
    planes_of,
    region_reference,
    smoothed,
    spectral_angle,
    without_continuum,
)

C, H, W = 40, 23, 9
NM = np.linspace(380, 780, C)
RANDOM = np.random.default_rng(0)
NUMBERS = RANDOM.uniform(0.1, 1, (C, H, W)).astype("f4")
NUMBERS[3, 5:8, 2:4] = np.nan
BLOCK = "napari_phenoscape.cubes._blocks.BLOCK"

SCAN = Cube(NUMBERS, Bands(Band(f"{nm:.0f} nm", nm) for nm in NM), Path("leaf.bil"))
REGION = RANDOM.random((H, W)) < 0.3
REGION[10:15] = False


def written(folder: Path, ending: str) -> np.ndarray:
    path = folder / f"{len(list(folder.iterdir()))}{ending}"
    result(write_cube(SCAN, path))
    return np.asarray(open_cube(path).array)


WALKS = {
    "composite": lambda _: composite(SCAN, (30, 20, 10)),
    "composite in steps": lambda _: composite(SCAN, (30, 20, 10), 3),
    "components": lambda _: picture(SCAN, "principal components"),
    "true colour": lambda _: picture(SCAN, "true colour", 2),
    "mean spectrum": lambda _: np.array(mean_spectrum(SCAN, REGION)),
    "reference": lambda _: region_reference(SCAN, REGION).array,
    "calibrated": lambda _: calibrated(SCAN, SCAN).array[...],
    "smoothed": lambda _: smoothed(SCAN, 5).array[::3, 1:20:2],
    "continuum": lambda _: without_continuum(SCAN).array[:, ::-2],
    "index": lambda _: band_index(SCAN, "R700 / R550").array[...],
    "planes": lambda _: result(planes_of(spectral_angle(SCAN, [("one", NUMBERS[:, 0, 0])]))),
    "written line by line": lambda folder: written(folder, ".bil"),
    "written pixel by pixel": lambda folder: written(folder, ".bip"),
    "written in blocks": lambda folder: written(folder, ".zarr"),
}


@pytest.mark.parametrize("rows_at_once", [1, 4])
@pytest.mark.parametrize("walk", WALKS)
def test_rows_at_once_do_not_change_what_is_computed(tmp_path, monkeypatch, walk, rows_at_once):
    whole = WALKS[walk](tmp_path)
    monkeypatch.setattr(BLOCK, rows_at_once * C * W)
    np.testing.assert_allclose(WALKS[walk](tmp_path), whole, rtol=1e-6)
    monkeypatch.setattr(BLOCK, 1)  # less than a row: a row is not divided
    np.testing.assert_allclose(WALKS[walk](tmp_path), whole, rtol=1e-6)


@pytest.mark.parametrize("rows", [slice(None), slice(2, 20), slice(3, None, 4), slice(5, 5)])
@pytest.mark.parametrize("most", [1, 3 * W, 10 * C * W, None])
def test_blocks_are_the_rows_each_once_and_in_order(rows, most):
    blocks = list(row_blocks(SCAN, np.arange(3), rows, slice(None), most))
    places = [place for part, _ in blocks for place in range(part.start, part.stop)]
    taken = [row for _, down in blocks for row in range(H)[down]]
    assert taken == list(range(H)[rows])
    assert places == list(range(len(taken)))


def test_a_block_holds_no_more_numbers_than_it_may():
    blocks = list(row_blocks(SCAN, slice(0, 5), slice(None), slice(0, 4), 45))
    assert [down.stop - down.start for _, down in blocks] == [2] * 11 + [1]
