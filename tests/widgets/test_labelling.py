"""Specimens are named, the others predicted, and both kept beside the photographs."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from qtpy.QtCore import QPoint, Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QMessageBox

from napari_phenoscape.analysis import cluster_run
from napari_phenoscape.embeddings import embed, read_spaces, write_embeddings
from napari_phenoscape.events import result
from napari_phenoscape.specimens import Folder, collect
from napari_phenoscape.training import PCA, Grouping, KMeans
from napari_phenoscape.widgets import ClustersDock
from napari_phenoscape.widgets._dock import frame_of

pytestmark = pytest.mark.gui


@pytest.fixture(scope="module")
def grouped(trained, tmp_path_factory) -> Path:
    """A run whose embeddings are the species and noise."""
    run = Path(shutil.copytree(trained, tmp_path_factory.mktemp("labelled") / "run"))
    result(embed(run))
    draws = np.random.default_rng(0)
    for embeddings in read_spaces(run).values():
        x = draws.normal(size=embeddings.x.shape).astype(np.float32)
        x[:, 0] += np.where(embeddings.table["species"] == "Ficta aurea", 30, -30)
        write_embeddings(replace(embeddings, x=x), run)
    result(cluster_run(run, Grouping(method=KMeans(clusters=2), map=PCA())))
    return run


@pytest.fixture
def labelled(trained, specimens):
    """No label is left beside the samples of other tests."""
    yield
    for table in specimens.parent.glob("*.labels.csv"):
        table.unlink()


@pytest.fixture
def dock(open_dock, grouped, tmp_path, wait, labelled):
    dock = open_dock(ClustersDock)
    dock.open_run(Path(shutil.copytree(grouped, tmp_path / "run")))
    wait(lambda: dock.session.clustered is not None and not dock.session.busy)
    dock.labelling.fold.opened = True
    return dock


def choose(dock, label: str, wait) -> None:
    line = dock.labelling.label.lineEdit()
    line.clear()
    QTest.keyClicks(line, label)
    QTest.keyClick(line, Qt.Key.Key_Return)
    wait(lambda: dock.session.labelled is not None and not dock.session.busy)


def name(dock, ids, kind: str, wait) -> None:
    dock.session.select(ids)
    dock.labelling.name.setCurrentText(kind)
    QTest.mouseClick(dock.labelling.name_button, Qt.MouseButton.LeftButton)
    wait(lambda: not dock.session.busy)


def test_some_are_named_the_rest_predicted_and_found_again(dock, open_dock, specimens, wait):
    labelling, table = dock.labelling, dock.session.clustered.embeddings.table
    assert "what is told apart" in labelling.name_button.toolTip()
    choose(dock, "wing", wait)
    dock.session.select([])
    assert "Select specimens" in labelling.name_button.toolTip()
    for species, kind in (("Ficta aurea", "gold"), ("Ficta caerulea", "blue")):
        own = table["specimen"][table["species"] == species].tolist()
        assert not labelling.predict_button.isEnabled()
        name(dock, own[:6], kind, wait)
    name(dock, [own[0]], "gold", wait)  # a mistake
    path = specimens.parent / "multispectral.wing.labels.csv"
    assert pd.read_csv(path)["wing"].notna().sum() == 12
    assert "gold 7, blue 5" in labelling.words.text()
    QTest.mouseClick(labelling.predict_button, Qt.MouseButton.LeftButton)
    wait(lambda: not dock.session.busy and dock.session.clustered.coloured is not None)
    assert "plain colour" in labelling.trust.text()
    assert labelling.table.item(0, 1).text() == "blue (named gold)"
    assert labelling.table.rowCount() == 1 + 12
    labelling.table.selectRow(0)
    assert dock.session.selected == (own[0],)
    written = pd.read_csv(path)
    truth = table["species"].map({"Ficta aurea": "gold", "Ficta caerulea": "blue"})
    assert written["vote"].tolist() == truth.tolist()
    assert dock.looks.value.colour == "predicted wing"
    dock.export(path.with_name("all.labels.csv"))
    exported = pd.read_csv(path.with_name("all.labels.csv"))
    assert exported["predicted wing"].value_counts().to_dict() == {"gold": 13, "blue": 11}
    name(dock, [own[0]], "", wait)  # taken away
    assert pd.read_csv(path)["wing"].notna().sum() == 11
    # the next opening finds what was named
    dock.session.labelled = None
    again = open_dock(ClustersDock)
    wait(lambda: not dock.session.busy)
    assert again.labelling.label.currentText() == "wing"
    assert "gold 6, blue 5" in again.labelling.words.text()


def test_a_table_that_another_program_changed_is_replaced_only_when_asked(
    dock, specimens, wait, monkeypatch
):
    choose(dock, "wing", wait)
    ids = dock.session.clustered.ids
    name(dock, ids[:1], "gold", wait)
    path = specimens.parent / "multispectral.wing.labels.csv"
    path.write_text(path.read_text("utf-8").replace("gold", "silver-plated"), "utf-8")
    answers = [QMessageBox.StandardButton.Cancel, QMessageBox.StandardButton.Yes]
    monkeypatch.setattr(QMessageBox, "question", lambda *_: answers.pop(0))
    name(dock, ids[1:2], "blue", wait)
    assert "silver-plated" in path.read_text("utf-8")
    name(dock, ids[1:2], "blue", wait)
    assert pd.read_csv(path)["wing"].tolist()[:2] == ["gold", "blue"]


def test_a_column_of_the_metadata_is_where_labels_begin(dock, wait):
    choose(dock, "sex", wait)
    table = dock.session.clustered.embeddings.table
    assert dock.session.labelled.labels.values == dict(
        zip(table["specimen"], table["sex"], strict=True)
    )
    assert dock.session.labelled.labels.stamp is None  # nothing was written


def test_a_run_that_was_moved_away_names_nobody_and_stops_nothing(dock, wait):
    choose(dock, "wing", wait)
    clustered = dock.session.clustered
    clustered.run.rename(clustered.run.with_name("moved"))
    dock.session.set_clustered(replace(clustered))
    choose(dock, "sex", wait)
    assert "have a sex" in dock.labelling.words.text()
    assert not dock.labelling.from_run.isVisible()


def test_collected_specimens_are_embedded_by_the_run_and_named_by_its_own(
    dock, open_dock, viewer, specimens, tmp_path, wait
):
    labelling, own = dock.labelling, dock.session.clustered.embeddings.table
    assert not labelling.from_run.isVisible()
    assert "Collect specimens first" not in dock.embed_button.toolTip()
    dock.embedding.set(dock.embedding.value.model_copy(update={"specimens": "collected"}))
    assert "Collect specimens first" in dock.embed_button.toolTip()
    new = tmp_path / "new"
    new.mkdir()
    for number, path in enumerate(own["path"][::3]):
        shutil.copy(path, new / f"later_{number}.tif")
    dock.session.set_collection(result(collect(Folder(path=new))))
    assert "Collect specimens first" not in dock.embed_button.toolTip()
    dock.asking[0].opened = True
    QTest.mouseClick(dock.embed_button, Qt.MouseButton.LeftButton)
    wait(lambda: not dock.session.busy and len(dock.session.clustered.ids) == 8)
    wait(labelling.from_run.isVisible)
    choose(dock, "species", wait)
    assert not labelling.predict_button.isEnabled()
    QTest.mouseClick(labelling.from_run, Qt.MouseButton.LeftButton, pos=QPoint(8, 8))
    QTest.mouseClick(labelling.predict_button, Qt.MouseButton.LeftButton)
    wait(lambda: not dock.session.busy and dock.session.labelled.votes is not None)
    assert "Right on the 24 of the run's own that have a species" in labelling.trust.text()
    votes = pd.read_csv(tmp_path / "new.species.labels.csv")["vote"]
    assert votes.isin(["Ficta aurea", "Ficta caerulea"]).all()


def test_twins_are_shown_side_by_side_and_chosen_together(dock, open_dock, wait, qtbot):
    panel, clustered = dock.twins, dock.session.clustered
    crops = clustered.backdrop.crops
    for of in (crops.images, crops.masks, clustered.embeddings.x):
        of[5] = of[2]  # as if the photograph were there twice
    panel.fold.opened = True
    panel.over.setCurrentText("species")
    panel.same.setCurrentText("sex")
    QTest.mouseClick(panel.find_button, Qt.MouseButton.LeftButton)
    wait(lambda: not dock.session.busy)
    assert panel.words.text().startswith("1 pair of twins among 24; 2 of all pairs reach")
    whys = [panel.table.item(row, 2).text() for row in range(panel.table.rowCount())]
    assert sorted(whys) == ["same sex", "same sex", "twins"]
    panel.table.selectRow(whys.index("twins"))
    assert set(dock.session.selected) == {clustered.ids[2], clustered.ids[5]}
    said, session = panel.words.text(), dock.session
    with qtbot.waitSignal(dock.destroyed):
        frame_of(dock).titleBarWidget().close_button.click()
    again = open_dock(ClustersDock).twins
    wait(lambda: not session.busy)
    assert again.words.text() == said
    again.table.selectRow(whys.index("twins"))
    assert set(session.selected) == {clustered.ids[2], clustered.ids[5]}
