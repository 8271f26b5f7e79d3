"""Look now, in a real window: from a folder or a drawer to coloured specimens by one click."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest

from napari_phenoscape.specimens import Drawer, Folder
from napari_phenoscape.widgets import ClustersDock, SpecimensDock
from napari_phenoscape.widgets._commands import add_cube
from napari_phenoscape.widgets._specimens import LOOKING

pytestmark = pytest.mark.gui


@pytest.fixture
def dock(open_dock, tmp_path):
    dock = open_dock(SpecimensDock)
    dock.session.parts["runs"] = tmp_path / "runs"
    return dock


def press(dock) -> None:
    QTest.mouseClick(dock.look_button, Qt.MouseButton.LeftButton)


@pytest.fixture
def look(qtbot):
    """Presses the button and waits; the first in a process imports all that embeds and clusters."""

    def pressed(dock) -> None:
        press(dock)
        qtbot.waitUntil(lambda: not dock.session.busy, timeout=240_000)

    return pressed


def frames(viewer):
    marks = [(layer, layer.metadata.get("phenoscape", {})) for layer in viewer.layers]
    return [layer for layer, mark in marks if mark.get("role") == "clusters"]


def test_one_click_colours_the_specimens_of_a_folder(dock, look, specimens, open_dock):
    dock.form.set(Folder(path=specimens))
    look(dock)
    (points,) = frames(dock.viewer)
    assert len(points.data) == 24
    clustered = dock.session.clustered
    colours = {tuple(colour) for colour in np.round(points.border_color, 3).tolist()}
    assert len(colours) == len(clustered.clusters.names)
    assert dock.seen_words.text().startswith(clustered.clusters.choice.words)
    assert dock.session.collection.metadata["species"].nunique() == 2
    # what was chosen is what the other docks go on from, and how to train is not touched
    assert dock.session.experiment.modalities == ("rgb+uv",)
    assert dock.session.experiment.method.kind == "simclr"
    dock.session.select(clustered.ids[20:22])  # their rows are shown in place of the first
    shown = [dock.table.item(row, 0).text() for row in range(dock.table.rowCount())]
    assert shown == list(clustered.ids[20:22])
    assert dock.table_words.text() == "Those that are selected."
    clusters = open_dock(ClustersDock)
    assert clusters.choice_words.text() == clustered.clusters.choice.words
    assert dock.session.clustered is clustered  # and not clustered again


def test_the_drawer_that_is_open_is_looked_at_with_the_regions_that_are_drawn(dock, look, drawer):
    add_cube(dock.viewer, drawer)
    regions = np.zeros((40, 60), int)
    regions[5:15, 10:22], regions[20:32, 30:45], regions[0:12, 40:56] = 1, 2, 3
    dock.viewer.add_labels(regions, name="mine")
    dock.regions.setCurrentText("mine")
    assert dock.look_button.isEnabled()
    look(dock)
    assert dock.form.get() == Drawer(
        path=drawer, regions=dock.session.parts["runs"] / "drawer_regions.tif"
    )
    (points,) = frames(dock.viewer)
    assert len(points.data) == 3


def test_a_drawer_without_regions_is_refused_beside_the_button(dock, look, drawer):
    add_cube(dock.viewer, drawer)
    look(dock)
    assert "is used (2 × rectangle). Outline the specimens by hand" in dock.seen_words.text()
    assert frames(dock.viewer) == []
    assert dock.look_button.isEnabled()


def test_what_is_no_collection_is_said_beside_the_button_and_goes(
    dock, look, wait, tmp_path, specimens
):
    (tmp_path / "empty").mkdir()
    dock.form.set(Folder(path=tmp_path / "empty"))
    look(dock)
    assert "holds no files" in dock.seen_words.text()
    dock.form.set(Folder(path=specimens))
    press(dock)
    assert dock.seen_words.text() == ""
    dock.session.stop(LOOKING)
    wait(lambda: not dock.session.busy)


def test_a_look_that_is_stopped_shows_nothing_and_can_begin_again(dock, wait, specimens):
    dock.form.set(Folder(path=specimens))
    press(dock)
    assert not dock.look_button.isEnabled()
    QTest.mouseClick(dock.stop_button, Qt.MouseButton.LeftButton)
    wait(lambda: not dock.session.busy)
    assert dock.session.clustered is None
    assert dock.words.text() == "Looking: stopped."
    assert dock.look_button.isEnabled()
