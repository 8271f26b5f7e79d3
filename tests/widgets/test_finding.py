"""Find specimens in the dock, in a real window: found, changed, undone, collected."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from napari.utils.events import Event
from PIL import Image
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from scipy.ndimage import gaussian_filter

from napari_phenoscape.cubes import read_mask
from napari_phenoscape.nets import offline_net
from napari_phenoscape.specimens import Drawer, Folder
from napari_phenoscape.widgets import SpecimensDock
from napari_phenoscape.widgets._commands import add_cube

pytestmark = pytest.mark.gui


@pytest.fixture
def picture(tmp_path) -> Path:
    """Three discs on paper, of which one touches the edge; one differs little."""
    rng = np.random.default_rng(0)
    numbers = 0.6 + rng.normal(0, 0.005, (100, 160, 3))
    rows, columns = np.indices((100, 160))
    for column, row, value in ((40, 50, 0.1), (110, 50, 0.5), (75, 0, 0.1)):
        numbers[np.hypot(rows - row, columns - column) < 16] = value
    Image.fromarray(np.rint(255 * numbers).astype(np.uint8)).save(tmp_path / "drawer.png")
    return tmp_path / "drawer.png"


@pytest.fixture
def dock(viewer, open_dock, wait, picture, tmp_path):
    """The dock after *Find specimens* was clicked on a drawer without a mask."""
    dock = open_dock(SpecimensDock)
    dock.session.set_part("runs", tmp_path / "runs")
    add_cube(viewer, picture)
    QTest.mouseClick(dock.finding.find_button, Qt.MouseButton.LeftButton)
    wait(lambda: dock.finding.layer is not None and not dock.session.busy)
    return dock


def numbers_of(dock) -> set[int]:
    return set(np.unique(dock.finding.layer.data)) - {0}


def click(dock, row: int, column: int) -> None:
    """A click on a pixel of the layer, without a drag."""
    layer = dock.finding.layer
    event = Event("mouse_press")
    event.position = (0, row, column)
    for callback in layer.mouse_drag_callbacks:
        running = callback(layer, event)
        if running is not None:  # napari's own may be plain functions
            next(running, None)
            event._type = "mouse_release"
            next(running, None)
            event._type = "mouse_press"


def test_without_a_cube_there_is_nothing_to_find_in(open_dock):
    dock = open_dock(SpecimensDock)
    assert not dock.finding.find_button.isEnabled()
    assert "No cube is open" in dock.finding.find_button.toolTip()
    assert not dock.finding.controls.isVisible()


def test_what_is_found_is_a_layer_of_outlines_and_what_is_left_out_is_said(dock):
    assert numbers_of(dock) == {1, 2}
    assert dock.finding.layer.contour > 0
    assert dock.finding.layer.editable
    said = dock.finding.words.text()
    assert said.startswith("2 specimens found: 2 clear. Left out: 1 touches the edge.")


def test_the_word_of_a_specimen_is_under_the_cursor(dock):
    dock.finding.doubtful.setChecked(True)
    layer = dock.finding.layer
    said = [
        layer.get_status((0, row, column), view_direction=None, dims_displayed=[1, 2])["value"]
        for row, column in ((50, 40), (5, 75))
    ]
    assert "word: clear" in said[0]
    assert "word: touches the edge" in said[1]


def test_the_slider_finds_anew_and_undo_brings_back_what_was_there(dock, wait):
    dock.finding.threshold.setValue(30)
    wait(lambda: numbers_of(dock) == {1} and not dock.session.busy)
    assert "1 specimen found" in dock.finding.words.text()
    dock.finding.layer.undo()
    assert numbers_of(dock) == {1, 2}


def test_a_smallest_area_leaves_out_what_is_smaller(dock, wait):
    dock.finding.min_area.setValue(5000)
    wait(lambda: numbers_of(dock) == set() and not dock.session.busy)
    assert "0 specimens found" in dock.finding.words.text()


def test_doubtful_ones_are_drawn_when_they_are_asked_for(dock):
    dock.finding.doubtful.setChecked(True)
    assert numbers_of(dock) == {1, 2, 3}


def test_a_click_takes_a_region_away_and_one_in_that_was_left_out(dock):
    click(dock, 50, 40)
    assert numbers_of(dock) == {2}
    click(dock, 4, 75)
    assert numbers_of(dock) == {2, 3}
    dock.finding.layer.undo()
    dock.finding.layer.undo()
    assert numbers_of(dock) == {1, 2}


def test_what_was_changed_by_hand_stays_when_the_slider_moves(dock, qtbot):
    click(dock, 50, 40)
    dock.finding.threshold.setValue(30)
    qtbot.wait(400)
    assert numbers_of(dock) == {2}
    assert "changed by hand" in dock.finding.doubt.text()


def test_what_is_edited_is_what_is_collected_and_saved(dock, wait):
    dock.finding.layer.data_setitem((np.array([50]), np.array([40])), 0)
    click(dock, 4, 75)
    edited = dock.finding.layer.data.copy()
    QTest.mouseClick(dock.finding.collect_button, Qt.MouseButton.LeftButton)
    wait(lambda: dock.session.collection is not None and not dock.session.busy)
    source = dock.session.collection.source
    assert isinstance(source, Drawer)
    np.testing.assert_array_equal(read_mask(source.regions), edited)
    assert [specimen.region for specimen in dock.session.collection.specimens] == [1, 2, 3]


def test_finding_again_adds_a_layer_and_leaves_the_first_to_the_user(viewer, dock, wait):
    first = dock.finding.layer
    click(dock, 50, 40)
    QTest.mouseClick(dock.finding.find_button, Qt.MouseButton.LeftButton)
    wait(lambda: dock.finding.layer is not first and not dock.session.busy)
    assert first in viewer.layers
    assert set(np.unique(first.data)) == {0, 2}


def test_the_form_takes_auto_in_place_of_a_path(dock):
    dock.form.set(Drawer(path=Path("drawer.bil"), regions="auto"))
    assert dock.form.get().regions == "auto"
    dock.form.set(Drawer(path=Path("drawer.bil"), regions=Path("regions.tif")))
    assert dock.form.get().regions == Path("regions.tif")


def test_samples_are_drawn_beside_the_window_which_lives_meanwhile(viewer, tmp_path, monkeypatch):
    from napari_phenoscape.widgets import _samples

    monkeypatch.setattr(_samples, "sample_directory", lambda: tmp_path / "samples")
    write = _samples.write_samples
    monkeypatch.setattr(_samples, "write_samples", lambda folder: write(folder, specimens=24))
    from qtpy.QtCore import QTimer

    beats = []
    timer = QTimer()
    timer.timeout.connect(lambda: beats.append(1))
    timer.start(20)
    viewer.open_sample("napari-phenoscape", "drawer_to_find")
    timer.stop()
    assert len(beats) > 3
    names = [layer.name for layer in viewer.layers]
    assert "drawer RGB" in names
    assert "drawer specimens" not in names
    viewer.open_sample("napari-phenoscape", "drawer")
    regions = viewer.layers["drawer specimens"]
    assert set(np.unique(regions.data)) == set(range(25))


@pytest.mark.skipif(offline_net() is None, reason="the extra 'pretrained' is missing")
def test_specimens_of_photographs_are_found_corrected_by_a_click_and_collected(
    open_dock, wait, tmp_path
):
    folder, rng = tmp_path / "moths", np.random.default_rng(0)
    folder.mkdir()
    rows, columns = np.indices((64, 64))
    for number in range(4):
        ground = 0.4 + 0.5 * gaussian_filter(rng.normal(size=(64, 64, 3)), (2, 2, 0))
        ground[np.hypot(rows - 32, columns - 28 - 2 * number) < 15] = (0.9, 0.2, 0.1)
        numbers = np.rint(255 * np.clip(ground, 0, 1)).astype(np.uint8)
        Image.fromarray(numbers).save(folder / f"moth{number}.png")
    dock = open_dock(SpecimensDock)
    dock.form.set(Folder(path=folder))
    panel = dock.photographs
    wait(panel.find_button.isEnabled)
    QTest.mouseClick(panel.find_button, Qt.MouseButton.LeftButton)
    wait(lambda: panel.layer is not None and not dock.session.busy)
    layer = panel.layer
    assert set(np.unique(layer.data)) == {0, 1, 2, 3, 4}
    assert not (folder / "masks").exists()  # shown first

    place = np.argwhere(layer.data == 2)[len(np.argwhere(layer.data == 2)) // 2]
    event = Event("mouse_press")
    event.position = tuple(place)
    running = panel._clicked(layer, event)
    next(running)
    event._type = "mouse_release"
    next(running, None)
    assert set(np.unique(layer.data)) == {0, 1, 3, 4}

    QTest.mouseClick(panel.collect_button, Qt.MouseButton.LeftButton)
    wait(lambda: dock.session.collection is not None)
    assert [one.id for one in dock.session.collection.specimens] == [
        "moth0.png", "moth2.png", "moth3.png"
    ]  # fmt: skip
    assert dock.form.get().mask == "masks/{stem}.png"
    mask = read_mask(folder / "masks" / "moth0.png") > 0
    disc = np.hypot(rows - 32, columns - 28) < 15
    assert (mask & disc).sum() / (mask | disc).sum() > 0.85
