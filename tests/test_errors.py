"""What is said of a name that is not there."""

from __future__ import annotations

import pytest

from napari_phenoscape._tables import read_table
from napari_phenoscape.cubes import open_cube
from napari_phenoscape.errors import MissingFileError
from napari_phenoscape.events import result
from napari_phenoscape.nets._weights import read_weights
from napari_phenoscape.specimens import Folder
from napari_phenoscape.training import Experiment, runs_in


@pytest.mark.parametrize(
    ("read", "given", "meant"),
    [
        (open_cube, "drawr.tif", "drawer.tif"),
        (open_cube, "drawer.tiff", "drawer.tif"),
        (read_table, "metdata.csv", "metadata.csv"),
        (Experiment.read, "experment.yaml", "experiment.yaml"),
        (read_weights, "weights.pt", "weights.pth"),
        (lambda path: result(Folder(path=path).collect()), "photos", "Photos"),
        (lambda path: result(runs_in(path)), "run", "runs"),
    ],
)
def test_a_name_that_is_nearly_one_beside_it_is_asked_for(tmp_path, read, given, meant):
    (tmp_path / meant).mkdir()
    with pytest.raises(MissingFileError, match=f"Did you mean '{meant}'"):
        read(tmp_path / given)


def test_a_link_to_nothing_is_not_asked_for_itself(tmp_path):
    (tmp_path / "drawer.tif").symlink_to(tmp_path / "gone")
    with pytest.raises(MissingFileError) as error:
        open_cube(tmp_path / "drawer.tif")
    assert "Did you mean" not in str(error.value)


@pytest.mark.parametrize("read", [open_cube, read_table, Experiment.read])
def test_a_name_in_a_folder_that_is_not_there_is_no_question(tmp_path, read):
    with pytest.raises(MissingFileError) as error:
        read(tmp_path / "nowhere" / "a.tif")
    assert "Did you mean" not in str(error.value)
