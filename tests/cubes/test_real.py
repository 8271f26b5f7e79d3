"""Every real file: opened as it is, or refused in words, in memory for what is there."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from napari_phenoscape.cubes import open_cube, recognise
from napari_phenoscape.errors import PhenoscapeError

#: What libraries take for themselves, e.g. for decoding one strip.
THEIRS = 2 << 20

#: Of each folder, how many of its files are opened and refused, texts beside the data among them.
FOLDERS = {
    "reader-torture": (40, 163),
    "tiff-torture": (113, 38),
    "plantcv-hyperspectral": (14, 8),
    "gatorsense-mat": (4, 2),
    "neon-trees-hsi": (57, 9),
}


def _looked_at(path: Path) -> tuple[int, int, str]:
    """Most bytes that were taken, how many may be, and the sentence of a file that is refused."""
    there, sentence = path.stat().st_size, ""
    tracemalloc.start()
    try:
        recognise(path)
        cube = open_cube(path)
        assert cube.array[0].shape == cube.shape[1:]
        there = max(there, cube.array.dtype.itemsize * int(np.prod(cube.shape)))
    except PhenoscapeError as error:
        sentence = str(error)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    return peak, 2 * there + THEIRS, sentence


@pytest.mark.parametrize("folder", FOLDERS)
def test_real_files_open_or_are_refused_in_little_memory(phenoscape_data, folder):
    opened, refused = 0, 0
    for path in sorted((phenoscape_data / folder).rglob("*")):
        if not path.is_file():
            continue
        peak, needed, sentence = _looked_at(path)
        if peak >= needed:  # or a thread of a test before took some meanwhile
            peak, needed, sentence = _looked_at(path)
        assert peak < needed, path
        opened += not sentence
        refused += bool(sentence)
        if sentence:
            assert path.stem in sentence, sentence
            assert sentence.endswith((".", "?")), sentence
    assert (opened, refused) == FOLDERS[folder]


def test_the_maize_kernel_and_the_dark_lines_have_the_numbers_of_their_files(phenoscape_data):
    folder = phenoscape_data / "plantcv-hyperspectral"
    for name, (rows, bands, columns) in {
        "corn-kernel-hyperspectral.raw": (31, 580, 43),
        "darkReference": (1, 978, 1600),
    }.items():
        expected = np.fromfile(folder / name, "<u2").reshape(rows, bands, columns)
        np.testing.assert_array_equal(
            np.asarray(open_cube(folder / name).array), expected.transpose(1, 0, 2)
        )
