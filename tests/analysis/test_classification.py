"""Labels from neighbours, and neighbours themselves."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from typer.testing import CliRunner, Result

from napari_phenoscape.analysis import (
    Classification,
    Named,
    classified,
    classify,
    judgement,
    nearest,
    neighbours_of,
)
from napari_phenoscape.analysis._retrieval import _row_of
from napari_phenoscape.analysis.evaluation._columns import identities
from napari_phenoscape.analysis.evaluation._neighbours import knn_vote
from napari_phenoscape.cli._console import app
from napari_phenoscape.cubes import Band, Bands
from napari_phenoscape.embeddings import (
    Embeddings,
    cluster,
    clusters_path,
    embed,
    read_embeddings,
    write_clusters,
    write_embeddings,
)
from napari_phenoscape.errors import CollectionError, OptionError, RunError, TableError
from napari_phenoscape.events import result
from napari_phenoscape.samples import write_samples
from napari_phenoscape.specimens import (
    Crops,
    Drawer,
    Folder,
    label_names,
    labels_path,
    read_labels,
    source_at,
    write_labels,
)
from napari_phenoscape.training import Experiment, KMeans, train
from tests.least import least


def directions(*degrees: float) -> np.ndarray:
    angle = np.radians(degrees)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


def test_those_without_a_label_are_voted_on_and_do_not_vote():
    x = directions(0, 1, 2, 3, 80, 81, 82)
    votes, share, _ = knn_vote(x, np.array([0, -1, 0, 1, 1, 1, -1]), k=3)
    # 1° is asked of 0°, 2° and 3°; 82° of 81°, 80° and 3°
    assert votes.tolist()[1] == 0
    assert votes.tolist()[6] == 1
    assert share[[1, 6]].tolist() == pytest.approx([2 / 3, 1])


def test_nobody_votes_where_only_the_own_group_has_labels():
    x = directions(0, 1, 80, 81)
    votes, share, _ = knn_vote(x, np.array([0, 1, -1, -1]), 5, ["a", "a", "b", "a"])
    assert (votes[:2].tolist(), share[:2].tolist()) == ([-1, -1], [0, 0])
    assert votes[2] == 1


def test_the_nearest_come_in_order_with_their_cosines_without_the_own_group():
    x = directions(0, 10, -20, 60)
    rows, similarity = nearest(x, 0, 2)
    assert rows.tolist() == [1, 2]
    assert similarity == pytest.approx(np.cos(np.radians([10, 20])))
    assert nearest(x, 0, 9, ["i", "i", "j", "k"])[0].tolist() == [2, 3]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run whose embeddings are the species and noise; every third specimen is ``known``."""
    folder = tmp_path_factory.mktemp("classify")
    samples = result(write_samples(folder / "samples", specimens=24, size=32, drawer=False))
    given = least(samples)
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
    assert "always the commonest 50%" in end.stdout
    table = pd.read_csv(run / "classifications" / "rgb+uv-known.csv")
    species = read_embeddings(run).table["species"]
    assert table["vote"].tolist() == species.tolist()
    assert table["known"].isna().sum() == 16
    found = result(classify(run, "known"))
    given = table["known"].notna()
    assert (given.sum(), found.accuracy.value) == (8, 1)
    assert found.baseline.value < 1  # eight of them are too few for plain colour


def test_doubtful_ones_come_first_then_those_far_from_any_that_is_named():
    x = directions(0, 1, 2, 40, 41, 60, 21.5)
    table = pd.DataFrame({"specimen": list("abcdefg"), "filename": list("abcdefg")})
    found = votes_on(x, ["p", "p", "p", "q", "q", None, None], table)
    # three of five votes are p's for both; 21.5° is 18.5° from its nearest, 60° is 19°
    assert found.table["vote"].tolist()[5:] == ["p", "p"]
    assert found.table["share"].tolist()[5:] == pytest.approx([0.6, 0.6])
    assert found.table["similarity"].tolist()[5:] == pytest.approx(np.cos(np.radians([19, 18.5])))
    assert found.doubtful.tolist() == [5, 6]
    # each q has one other q and three p to ask
    assert found.contradicted.tolist() == [3, 4]


def test_where_others_vote_those_who_are_asked_never_do_and_their_own_names_judge():
    table, of_run = (
        pd.DataFrame({"specimen": list(ids), "filename": list(ids), "path": list(ids)})
        for ids in ("abc", "vwxyz")
    )
    voters = known_by(directions(0, 1, 2, 80, 81), [1, 1, 1, 2.0, 2.0], of_run)
    asked = known_by(directions(3, 78, 79), ["2", None, "2"], table)
    found = classified(asked, "morph", voters=voters)
    # of five votes 3° has three of 1's, and so has 79°; the two that lie beside do not vote
    assert found.table["vote"].tolist() == ["1", "1", "1"]
    assert found.table["morph"].tolist() == ["2", None, "2"]
    assert (found.accuracy.value, found.commonest) == (0, 1)
    assert found.judged == "the 2 that have a morph, by the votes of 5 of the run's own"
    in_both = replace(asked.embeddings, table=table.assign(path=["v", "b", "c"]))
    found = classified(asked._replace(embeddings=in_both), "morph", voters=voters)
    assert found.table["share"].tolist() == [0.5, 0.6, 0.6]  # 0°, which it is, has no vote on 3°
    by_column = replace(in_both, table=in_both.table.assign(who=None))
    theirs = replace(voters.embeddings, table=of_run.assign(who=None))
    again = classified(
        asked._replace(embeddings=by_column), "morph", "who", voters._replace(embeddings=theirs)
    )
    assert again.table.equals(found.table)  # nor where a column of groups does not know it
    nameless = asked._replace(given=pd.Series([None] * 3, dtype=object))
    found = classified(nameless, "morph", voters=voters)
    assert found.accuracy == classified(voters, "morph").accuracy
    assert found.judged.startswith("the 5 of the run's own that have a morph, each specimen left")
    assert judgement(found).endswith(
        "How right on these is not known before some of them have a morph."
    )


def test_a_specimen_is_the_same_in_two_collections_by_its_file_or_by_its_region():
    folder = pd.DataFrame({"specimen": ["a.png", "b.png"], "path": ["/f/a.png", "/f/b.png"]})
    above = pd.DataFrame({"specimen": ["f/a.png"], "path": ["/f/a.png"]})
    drawer = pd.DataFrame({"specimen": ["d#1", "d#2"], "path": ["/d.bil", "/d.bil"]})
    assert identities(folder).iloc[0] == identities(above).iloc[0]
    assert identities(folder).iloc[1] != identities(above).iloc[0]
    assert identities(drawer).nunique() == 2


def votes_on(x: np.ndarray, names: list, table: pd.DataFrame) -> Classification:
    return classified(known_by(x, names, table), "morph")


def known_by(x: np.ndarray, names: list, table: pd.DataFrame) -> Named:
    embeddings = Embeddings(x.astype(np.float32), table, "rgb", Folder(path=Path("moths")))
    grey = np.random.default_rng(0).uniform(size=(len(x), 1, 4, 4)).astype(np.float32)
    crops = Crops(
        grey,
        np.ones_like(grey, np.bool_),
        embeddings.ids,
        Bands((Band("grey"),)),
        {"rgb": np.array([0])},
        {"rgb": np.ones(len(x), np.bool_)},
        np.zeros(1, np.float32),
        np.ones(1, np.float32),
    )
    return Named(embeddings, pd.Series(names, dtype=object), crops)


def test_labels_beside_the_photographs_go_before_the_metadata_and_are_never_lost(run, tmp_path):
    run = Path(shutil.copytree(run, tmp_path / "run"))
    table, source = read_embeddings(run).table, read_embeddings(run).source
    label = f"morph{tmp_path.name}"  # the samples are those of other tests too
    ids, species = table["specimen"], table["species"]
    end = phenoscape("classify", run, "--label", label)
    assert "no metadata column" in end.stderr
    labels = read_labels(source, label).given(ids[::3], "dark")
    labels = labels.given(ids[(species == "Ficta aurea") & (table.index % 3 == 0)], "light")
    write_labels(labels, source, table)
    end = phenoscape("classify", run, "--label", label, "--json")
    assert end.exit_code == 0, end.output
    votes = [row["vote"] for row in json.loads(end.stdout)["specimens"]]
    assert votes == species.map({"Ficta aurea": "light", "Ficta caerulea": "dark"}).tolist()
    # a note that somebody wrote into it stays, and so does a specimen that is gone
    written = pd.read_csv(labels.path).assign(note="mine")
    gone = written.iloc[:1].assign(specimen="gone.tif", **{label: "pale"})
    pd.concat([written, gone]).to_csv(labels.path, index=False)
    end = phenoscape("classify", run, "--label", label, "--save")
    assert end.exit_code == 2
    assert "is there already" in end.stderr
    assert phenoscape("classify", run, "--label", label, "--save", "--overwrite").exit_code == 0
    after = pd.read_csv(labels.path)
    assert after["vote"].tolist()[:24] == votes
    assert (after["note"] == "mine").all()
    assert after[label].tolist()[24] == "pale"
    with pytest.raises(RunError, match="was changed by another program"):
        write_labels(labels, source, table)
    labels.path.unlink()


def test_clusters_and_specimens_are_named_beside_the_photographs(run: Path) -> None:
    embeddings = read_embeddings(run)
    two = cluster(embeddings.x, embeddings.ids, KMeans(clusters=2))
    write_clusters(replace(two, names={1: "one", 2: "two"}), clusters_path(run, embeddings))
    ids = np.array(embeddings.ids)
    first, second = ids[two.labels == 1], ids[two.labels == 2]
    label = ("label", run, "--label", "wing/colour", "--name")
    end = phenoscape(*label, "pale", "--cluster", "one", "--specimen", second[0])
    assert end.exit_code == 0, end.output
    assert "pale: " in end.stdout
    path = labels_path(embeddings.source, "wing/colour")
    written = pd.read_csv(path).set_index("specimen")["wing/colour"]
    assert set(written.dropna().index) == {*first, second[0]}
    assert phenoscape(*label, "dark", "--specimen", second[1]).exit_code == 0
    assert phenoscape(*label, "", "--specimen", second[0]).exit_code == 0
    given = read_labels(embeddings.source, "wing/colour").values
    assert given == dict.fromkeys(first, "pale") | {second[1]: "dark"}
    # and these vote
    votes = result(classify(run, "wing/colour")).table
    assert votes["wing/colour"].notna().sum() == len(first) + 1
    for wrong, words in (
        (("--cluster", "onee"), "no cluster 'onee'. Did you mean 'one'?"),
        (("--specimen", "nobody"), "no specimen 'nobody'"),
        ((), "Nobody is chosen"),
    ):
        end = phenoscape(*label, "x", *wrong)
        assert end.exit_code == 2
        assert words in " ".join(end.stderr.split())
    assert read_labels(embeddings.source, "wing/colour").values == given
    path.unlink()


def test_a_table_that_is_none_of_labels_is_not_written_over(tmp_path):
    (tmp_path / "moths").mkdir()
    source = Folder(path=tmp_path / "moths")
    path = labels_path(source, "wing/colour")
    assert path == tmp_path / "moths.wing_colour.labels.csv"
    path.write_text("name,value\na,1\n")
    with pytest.raises(TableError, match=r"'specimen' and 'wing/colour' were expected"):
        read_labels(source, "wing/colour")
    with pytest.raises(OptionError, match="cannot be what a label is called"):
        labels_path(source, "vote")


def test_the_labels_of_a_drawer_can_be_its_metadata(tmp_path):
    source = Drawer(path=tmp_path / "drawer.bil")
    table = pd.DataFrame({"specimen": ["drawer.bil#2", "drawer.bil#7"], "filename": "drawer.bil"})
    labels = read_labels(source, "morph").given(["drawer.bil#7"], "dark")
    labels = write_labels(labels, source, table)
    written = pd.read_csv(tmp_path / "drawer.morph.labels.csv")
    assert written["region"].tolist() == [2, 7]
    assert written["morph"].fillna("").tolist() == ["", "dark"]
    assert label_names(source) == ("morph",)
    assert read_labels(source, "morph").values == {"drawer.bil#7": "dark"}
    write_labels(labels.given(["drawer.bil#7"], ""), source, table)
    assert read_labels(source, "morph").values == {}


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


def test_the_runs_own_specimens_name_those_that_came_later(run: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(run, tmp_path / "run"))
    own = read_embeddings(run).table
    new = tmp_path / "new"
    new.mkdir()
    for number, path in enumerate(own["path"][::4]):
        shutil.copy(path, new / f"later_{number}.tif")
    (new / "metadata.csv").write_text("filename,note\nlater_0.tif,torn\n")
    source = result(source_at(new))
    result(embed(run, source))
    later = read_embeddings(run, source=source)
    write_embeddings(replace(later, x=read_embeddings(run).x[::4]), run)
    words = ("classify", run, "--label", "known", "--collection", new)
    assert "no metadata column 'known'" in phenoscape(*words).stderr
    end = phenoscape(*words, "--from-run", "--json", "--save")
    assert end.exit_code == 0, end.output
    rows = json.loads(end.stdout)["specimens"]
    assert [row["vote"] for row in rows] == own["species"][::4].tolist()
    assert pd.read_csv(tmp_path / "new.known.labels.csv")["vote"].notna().all()
    end = phenoscape(*words, "--from-run")
    assert "Right on the 8 of the run's own that have a known, each specimen left" in end.stdout
    # neither from themselves nor from each other
    nearest_one = ("neighbours", run, "later_2", "--collection", new, "-k", 1)
    end = phenoscape(*nearest_one, "--from-run", "--json")
    (found,) = json.loads(end.stdout)["neighbours"]
    assert found["species"] == own["species"][8]
    assert "note" not in found  # a column of the others alone
    assert (found["specimen"], found["similarity"]) == (own["specimen"][8], pytest.approx(1))
    for verb in (("classify", run, "--label", "known"), ("neighbours", run, own["specimen"][0])):
        assert "no others are named" in phenoscape(*verb, "--from-run").stderr


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
