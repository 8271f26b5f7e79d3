"""Light, colours and order above the map, and clusters worked with, on a run in a real window."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtGui import QDesktopServices
from qtpy.QtTest import QTest

from napari_phenoscape.analysis import cluster_run
from napari_phenoscape.embeddings import clusters_path, embed, read_clusters
from napari_phenoscape.events import result
from napari_phenoscape.training import PCA, Grouping, KMeans
from napari_phenoscape.widgets import ClustersDock, _grouping
from napari_phenoscape.widgets._place import ours
from napari_phenoscape.widgets._settings import Settings

pytestmark = pytest.mark.gui


@pytest.fixture(scope="module")
def grouped(trained, tmp_path_factory) -> Path:
    """A run in three clusters."""
    run = Path(shutil.copytree(trained, tmp_path_factory.mktemp("grouped") / "run"))
    result(embed(run))
    result(cluster_run(run, Grouping(method=KMeans(clusters=3), map=PCA())))
    return run


@pytest.fixture
def dock(open_dock, grouped, tmp_path, wait):
    dock = open_dock(ClustersDock)
    dock.open_run(Path(shutil.copytree(grouped, tmp_path / "run")))
    wait(lambda: dock.session.clustered is not None and not dock.session.busy)
    return dock


def choose(dock, number: int, name: str, wait) -> None:
    """With the keyboard, in one of the boxes above the map."""
    box = dock.looks.boxes[number]
    assert box.findText(name) >= 0
    step = Qt.Key.Key_Down if box.findText(name) > box.currentIndex() else Qt.Key.Key_Up
    while box.currentText() != name:
        QTest.keyClick(box, step)
    wait(lambda: dock.session.clustered.appearance[number] == name and not dock.session.busy)


def at_work(dock, button, wait) -> None:
    before = dock.session.clustered
    QTest.mouseClick(button, Qt.MouseButton.LeftButton)
    wait(lambda: dock.session.clustered is not before and not dock.session.busy)


def test_sheet_map_and_frames_change_together(viewer, dock, wait):
    sheet, frames = ours(viewer, "clusters")
    before, places = sheet.data.copy(), frames.data.copy()
    assert dock.looks.boxes[0].currentText() == "UV false colour"  # as the net saw them
    choose(dock, 0, "colours", wait)
    assert (sheet.data != before).any()
    assert dock.map.dots.pictures is dock.session.clustered.backdrop.pictures
    choose(dock, 1, "sex", wait)
    table, colours = dock.session.clustered.embeddings.table, dock.map.dots.colours
    kinds = {str(sex): colours[table["sex"] == sex] for sex in table["sex"].unique()}
    assert all((own == own[0]).all() for own in kinds.values())
    assert len({tuple(own[0]) for own in kinds.values()}) == len(kinds) > 1
    np.testing.assert_allclose(frames.border_color[:, :3], colours / 255, atol=1e-6)
    assert "sex" in dock.key.text()
    choose(dock, 2, "likeness", wait)
    assert not np.array_equal(frames.data, places)
    assert ours(viewer, "clusters") == [sheet, frames]
    dock.session.select([dock.session.clustered.ids[3]])
    assert set(frames.selected_data) == {3}


def test_colours_and_light_stay_when_clusters_are_made_anew_or_docks_opened(dock, open_dock, wait):
    choose(dock, 0, "UV_R", wait)
    choose(dock, 1, "silhouette", wait)
    before = dock.session.clustered.colours
    dock.grouping.set(Grouping(method=KMeans(clusters=2), map=PCA()))
    at_work_clusters = dock.session.clustered
    dock.cluster_button.click()
    wait(lambda: dock.session.clustered is not at_work_clusters and not dock.session.busy)
    assert dock.session.clustered.appearance == ("UV_R", "silhouette", "cluster")
    assert (dock.session.clustered.colours != before).any()  # of other clusters
    other = open_dock(ClustersDock)
    assert other.looks.value == ("UV_R", "silhouette", "cluster")
    choose(other, 1, "cluster", wait)
    assert dock.looks.value.colour == "cluster"
    assert not dock.key.isVisible()


def test_clusters_are_split_merged_undone_and_redone_on_disk_too(dock, wait):
    path = dock.session.clustered.run / "clusters" / "joint.parquet"
    first = dock.session.clustered.clusters.labels.tolist()
    assert not dock.working.undo.isEnabled()
    dock.legend.selectRow(0)
    number = dock.legend.chosen[0]
    members = np.flatnonzero(dock.session.clustered.clusters.labels == number)
    assert dock.map.dots.marked.tolist() == members.tolist()
    at_work(dock, dock.working.split, wait)
    assert len(dock.session.clustered.clusters.names) == 4
    assert len(read_clusters(path).names) == 4
    dock.legend.selectAll()
    at_work(dock, dock.working.merge, wait)
    assert len(read_clusters(path).names) == 1
    at_work(dock, dock.working.undo, wait)
    at_work(dock, dock.working.undo, wait)
    assert read_clusters(path).labels.tolist() == first
    assert not dock.working.undo.isEnabled()
    at_work(dock, dock.working.redo, wait)
    assert len(dock.session.clustered.clusters.names) == 4


def test_the_selected_are_left_out_or_clustered_by_themselves(dock, wait):
    assert "Select" in dock.working.exclude.toolTip()
    ids = dock.session.clustered.ids[:6]
    dock.session.select(ids)
    dock.grouping.set(Grouping(method=KMeans(clusters=2), map=PCA()))
    rest = dock.session.clustered.clusters.labels[6:].tolist()
    at_work(dock, dock.working.again, wait)
    assert dock.session.selected == ids
    assert dock.session.clustered.clusters.labels[6:].tolist() == rest
    at_work(dock, dock.working.exclude, wait)
    assert dock.session.clustered.clusters.labels[:6].tolist() == [-1] * 6


def test_results_are_kept_and_compared_with_columns_and_each_other(dock, wait):
    dock.working.keep_as("three")
    assert "Kept as 'three'" in dock.words.text()
    dock.working.keep_as("a/b")
    assert "cannot be the name" in dock.words.text()
    dock.working.fold.opened = True
    QTest.mouseClick(dock.working.compare, Qt.MouseButton.LeftButton)
    wait(lambda: not dock.session.busy)
    assert dock.working.columns.rowCount() > 1
    table = dock.working.results
    rows = {table.item(i, 0).text(): table.item(i, 1).text() for i in range(table.rowCount())}
    assert rows["three"] == "1.00"


def test_results_are_compared_with_those_of_the_runs_beside_them(dock, wait):
    run = dock.session.clustered.run
    other, broken = run.with_name("other"), run.with_name("broken")
    for copy in (other, broken):
        shutil.copytree(run, copy)
    space = clusters_path(run, dock.session.clustered.embeddings)
    (broken / space.relative_to(run)).write_bytes(b"no table")
    dock.working.fold.opened = True
    QTest.mouseClick(dock.working.compare, Qt.MouseButton.LeftButton)
    wait(lambda: not dock.session.busy)
    table = dock.working.results
    rows = {table.item(i, 0).text(): table.item(i, 1).text() for i in range(table.rowCount())}
    assert rows[f"other: {space.stem}"] == "1.00"
    assert not any("broken" in name for name in rows)


def test_the_map_is_saved_in_the_colours_that_are_shown(dock, wait, tmp_path):
    choose(dock, 1, "sex", wait)
    dock.save_map(tmp_path / "map.svg")
    assert (tmp_path / "map.svg").stat().st_size > 10_000
    assert "Saved" in dock.words.text()
    dock.save_map(tmp_path / "map.gif")
    assert "written as" in dock.words.text()


def test_the_report_is_of_the_clusters_that_are_shown_and_opens_by_a_click(dock, wait, monkeypatch):
    opened = []
    monkeypatch.setattr(QDesktopServices, "openUrl", opened.append)
    dock.legend.selectRow(0)
    at_work(dock, dock.working.split, wait)
    dock._rename(dock.legend.chosen[0], "pale")
    QTest.mouseClick(dock.report_button, Qt.MouseButton.LeftButton)
    wait(lambda: dock.page_button.isVisible())
    page = dock.session.clustered.run / "report.html"
    assert "The report is" in dock.words.text()
    assert page.name in dock.words.text()
    text = page.read_text("utf-8")
    assert all(name in text for name in dock.session.clustered.clusters.names.values())
    assert "pale" in text
    assert len(read_clusters(page.parent / "clusters" / "joint.parquet").names) == 4
    assert not opened
    QTest.mouseClick(dock.page_button, Qt.MouseButton.LeftButton)
    assert opened[0].toLocalFile() == str(page)


def test_the_first_picture_is_that_of_the_settings(dock, open_dock, wait, monkeypatch):
    monkeypatch.setattr(_grouping, "settings", lambda: Settings(picture="colours"))
    dock.session.clustered = None
    dock.open_run(dock.session.embedded.run)
    wait(lambda: dock.session.clustered is not None and not dock.session.busy)
    assert dock.looks.value.picture == "colours"
