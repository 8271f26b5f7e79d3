"""Labels from neighbours, and neighbours themselves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from napari_phenoscape.analysis import classify, nearest, neighbours_of
from napari_phenoscape.analysis._retrieval import _row_of
from napari_phenoscape.analysis.evaluation._neighbours import knn_vote
from napari_phenoscape.cli._console import app
from napari_phenoscape.embeddings import embed, read_embeddings, write_embeddings
from napari_phenoscape.errors import CollectionError, OptionError
from napari_phenoscape.events import result
from napari_phenoscape.samples import write_samples
from napari_phenoscape.samples._experiments import RGB_UV
from napari_phenoscape.training import Experiment, train


def directions(*degrees: float) -> np.ndarray:
    angle = np.radians(degrees)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def test_those_without_a_label_are_voted_on_and_do_not_vote():
    x = directions(0, 1, 2, 3, 80, 81, 82)
    votes, share = knn_vote(x, np.array([0, -1, 0, 1, 1, 1, -1]), k=3)
    # 1° is asked of 0°, 2° and 3°; 82° of 81°, 80° and 3°
    assert votes.tolist()[1] == 0
    assert votes.tolist()[6] == 1
    assert share[[1, 6]].tolist() == pytest.approx([2 / 3, 1])


def test_nobody_votes_where_only_the_own_group_has_labels():
    x = directions(0, 1, 80, 81)
    votes, share = knn_vote(x, np.array([0, 1, -1, -1]), 5, ["a", "a", "b", "a"])
    assert (votes[:2].tolist(), share[:2].tolist()) == ([-1, -1], [0, 0])
    assert votes[2] == 1


def test_the_nearest_come_in_order_with_their_cosines_without_the_own_group():
    x = directions(0, 10, -20, 60) * [[1], [2], [3], [4]]
    rows, similarity = nearest(x, 0, 2)
    assert rows.tolist() == [1, 2]
    assert similarity == pytest.approx(np.cos(np.radians([10, 20])))
    assert nearest(x, 0, 9, ["i", "i", "j", "k"])[0].tolist() == [2, 3]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose embeddings are the species and noise; every third specimen is ``known``."""
    folder = tmp_path_factory.mktemp("classify")
    samples = result(write_samples(folder / "samples", specimens=24, size=32, drawer=False))
    given = RGB_UV.anchored(samples).model_dump(mode="json")
    given["schedule"] |= {"steps": 2, "batch_size": 8}
    given |= {"image_size": 32, "runs": str(folder / "runs")}
    run = result(train(Experiment.parse(given)))
    result(embed(run))
    embeddings = read_embeddings(run)
    table = embeddings.table
    table["known"] = table["species"].where(table.index % 3 == 0)
    table["number"] = table["known"].map({"Ficta aurea": 1, "Ficta caerulea": 2})
    table["alike"] = table["known"].where(table["known"] == "Ficta aurea")
    noise = np.random.default_rng(0).normal(size=(24, 8))
    noise[:, 0] += np.where(table["species"] == "Ficta aurea", 9, -9)
    write_embeddings(replace(embeddings, x=noise.astype(np.float32)), run)
    return run


def phenoscape(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_species_of_the_samples_are_classified_with_the_accuracy_beside(run: Path) -> None:
    end = phenoscape("classify", run, "--label", "known")
    assert end.exit_code == 0, end.output
    assert "always the commonest: 0.500" in end.stdout
    table = pd.read_csv(run / "classifications" / "rgb+uv-known.csv")
    species = read_embeddings(run).table["species"]
    assert table["vote"].tolist() == species.tolist()
    assert table["known"].isna().sum() == 16
    found = result(classify(run, "known"))
    given = table["known"].notna()
    assert (given.sum(), found.accuracy.value) == (8, 1)
    assert found.baseline.value < 1  # eight of them are too few for plain colour


def test_labels_that_are_numbers_stay_numbers(run: Path) -> None:
    table = result(classify(run, "number", groups="individual")).table
    assert set(table["vote"]) == {1, 2}


def test_what_cannot_be_classified_is_said(run: Path) -> None:
    with pytest.raises(OptionError, match="no metadata column 'genus'"):
        result(classify(run, "genus"))
    with pytest.raises(CollectionError, match="4 of 24 specimens have a 'alike', and they have 1"):
        result(classify(run, "alike"))
    assert (
        "every specimen has a species" in phenoscape("classify", run, "--label", "species").stdout
    )


def test_neighbours_are_found_by_id_and_by_file_name(run: Path) -> None:
    table = read_embeddings(run).table
    by_id = result(neighbours_of(run, table["specimen"][3], 5))
    assert by_id["similarity"].is_monotonic_decreasing
    assert table["specimen"][3] not in set(by_id["specimen"])
    pd.testing.assert_frame_equal(by_id, result(neighbours_of(run, table["filename"][3], 5)))
    other = result(neighbours_of(run, table["specimen"][3], 24, groups="species"))
    assert set(other["species"]) == set(table["species"]) - {table["species"][3]}
    end = phenoscape("neighbours", run, table["specimen"][3], "-k", 5)
    assert end.stdout.count("species Ficta") == 5
    end = phenoscape("neighbours", run, "Ficta_aurea_0000")
    assert end.exit_code == 2
    assert "There is no specimen 'Ficta_aurea_0000' among 24" in end.stderr
    assert "Ficta_aurea_0000_F_Dorsal.tif" in end.stderr


def test_a_name_of_several_specimens_is_answered_by_a_way_out_that_works(tmp_path):
    ids = ["aurea/IMG_1.png", "caerulea/IMG_1.png", "caerulea/IMG_2.png"]
    table = pd.DataFrame({"specimen": ids, "path": [str(tmp_path / name) for name in ids]})
    with pytest.raises(CollectionError, match=r"2 of 3 .* aurea/IMG_1\.png, caerulea/IMG_1\.png"):
        _row_of(table, "IMG_1.png")
    for given in (
        "caerulea/IMG_1.png", "caerulea\\IMG_1.png", "caerulea/IMG_1",
        str(tmp_path / "caerulea" / "IMG_1.png"),
    ):  # fmt: skip
        assert _row_of(table, given) == 1
    assert _row_of(table, "IMG_2.png") == 2
