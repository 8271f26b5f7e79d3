"""Specimens are chosen and looked at on the map and on the picture, in a real window."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pyqtgraph as pg
import pytest
from qtpy.QtCore import QEvent, QPoint, QPointF, Qt
from qtpy.QtGui import QMouseEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QApplication

from napari_phenoscape.embeddings import Embeddings, cluster
from napari_phenoscape.layers import FRAMES
from napari_phenoscape.specimens import Folder
from napari_phenoscape.training import KMeans
from napari_phenoscape.widgets import ClustersDock
from napari_phenoscape.widgets._clustered import Backdrop, ClusteredRun, Projection2D
from napari_phenoscape.widgets._overlay import overlay_of
from napari_phenoscape.widgets._place import ours
from napari_phenoscape.widgets.map._dots import picture_side

pytestmark = pytest.mark.gui

NONE, SHIFT, ALT = (
    Qt.KeyboardModifier.NoModifier,
    Qt.KeyboardModifier.ShiftModifier,
    Qt.KeyboardModifier.AltModifier,
)
LEFT = Qt.MouseButton.LeftButton


def made(count: int, folder, sheet_of: str = "a") -> ClusteredRun:
    """Specimens in two clusters, the first half on the left of the map, the others right."""
    random = np.random.default_rng(0)
    x = random.normal(scale=0.1, size=(count, 4)).astype(np.float32)
    x[: count // 2, 0] += 1
    x[count // 2 :, 1] += 1
    ids = [f"{number}.png" for number in range(count)]
    table = pd.DataFrame({
        "specimen": ids, "filename": ids, "path": ids, "row": 0.0, "column": 0.0,
        "mass": np.arange(count, dtype=float), "sex": ["F", "M"] * (count // 2),
    })  # fmt: skip
    embeddings = Embeddings(x, table, "joint", Folder(path=folder / sheet_of))
    side = 64 if count < 1000 else 16
    pictures = np.zeros((count, side, side, 3), np.uint8)
    pictures[..., :] = random.integers(60, 255, (count, 1, 1, 3))
    xy = random.normal(scale=0.3, size=(count, 2)).astype(np.float32)
    xy[: count // 2, 0] -= 5
    xy[count // 2 :, 0] += 5
    clusters = cluster(x, ids, KMeans(clusters=2))
    backdrop = Backdrop(pictures, None, np.zeros((count, 2)), np.ones(count))
    return ClusteredRun(folder, embeddings, clusters, Projection2D(xy, "pca"), backdrop)


@pytest.fixture
def dock(open_dock):
    return open_dock(ClustersDock)


@pytest.fixture
def shown(dock, tmp_path, qtbot):
    """24 specimens in the dock and on the canvas."""
    run = made(24, tmp_path)
    dock.session.set_clustered(run)
    qtbot.waitUntil(lambda: dock.map.dots.drawn_as != "" and not dock.session.busy)
    return run


def place(dock, row: int) -> QPoint:
    """Where a specimen is on the map's widget."""
    x, y = dock.map.dots.xy[row].tolist()
    return dock.map.mapFromScene(dock.map.getViewBox().mapViewToScene(pg.Point(x, y)))


def drag(dock, places: list[QPoint], modifier=NONE) -> None:
    ground = dock.map.viewport()
    QTest.mousePress(ground, LEFT, modifier, places[0])
    for one in places[1:]:  # QTest moves the mouse with no button down
        at = QPointF(one), QPointF(ground.mapToGlobal(one))
        moved = QMouseEvent(QEvent.Type.MouseMove, *at, LEFT, LEFT, modifier)
        QApplication.sendEvent(ground, moved)
        QTest.qWait(15)  # pyqtgraph takes a hundred of them a second
    QTest.mouseRelease(ground, LEFT, modifier, places[-1])


def halves(dock) -> tuple[list[QPoint], list[QPoint]]:
    """Lines around the left and the right half of the map."""
    right, low = dock.map.viewport().width() - 2, dock.map.viewport().height() - 2
    middle = right // 2
    left = [QPoint(x, y) for x, y in ((1, 20), (middle, 20), (middle, low), (1, low))]
    return left, [QPoint(right + 1 - one.x(), one.y()) for one in left]


def on_canvas(viewer, qtbot, layer, at, modifier=NONE) -> None:
    """A click on a row and column of a layer."""
    canvas = viewer.__wrapped__.window._qt_viewer.canvas
    world = np.asarray(layer.data_to_world(at))[-2:]
    camera = viewer.scene.camera
    height, width = viewer.canvas.size
    offset = (world - np.asarray(camera.center)[-2:]) * camera.zoom
    spot = QPoint(round(width / 2 + offset[1]), round(height / 2 + offset[0]))
    QTest.mouseMove(canvas.native, spot)
    QTest.mouseClick(canvas.native, LEFT, modifier, spot)


def test_a_lasso_chooses_shift_adds_alt_takes_away_and_escape_clears(dock, shown):
    left, right = halves(dock)
    drag(dock, left)
    assert dock.session.selected == shown.ids[:12]
    drag(dock, right, SHIFT)
    assert dock.session.selected == shown.ids
    drag(dock, left, ALT)
    assert dock.session.selected == shown.ids[12:]
    QTest.keyClick(dock.map, Qt.Key.Key_Escape)
    assert dock.session.selected == ()


def test_a_box_is_drawn_by_two_corners(dock, shown):
    dock.panel.tools["Box"].click()
    left, _ = halves(dock)
    drag(dock, [left[0], left[2]])
    assert dock.session.selected == shown.ids[:12]


def test_the_move_tool_moves_the_map_and_a_click_still_chooses(dock, shown):
    dock.panel.tools["Move"].click()
    before = dock.map.getViewBox().viewRange()[0]
    left, _ = halves(dock)
    drag(dock, [left[2] - QPoint(20 * step, 100) for step in range(6)])
    assert dock.session.selected == ()
    assert dock.map.getViewBox().viewRange()[0] != before
    dock.panel.whole.click()
    QTest.mouseClick(dock.map.viewport(), LEFT, NONE, place(dock, 20))
    assert len(dock.session.selected) == 1


def test_hovering_tells_who_a_specimen_is(dock, shown, qtbot):
    ground = dock.map.viewport()
    QTest.mouseMove(ground, place(dock, 5) + QPoint(40, 0))
    QTest.mouseMove(ground, place(dock, 5))
    qtbot.waitUntil(dock.map.tile.isVisible)
    row = shown.rows[dock.map.tile.specimen]
    words = dock.map.tile.words.text()
    own, other = shown.clusters.labels[row], 3 - shown.clusters.labels[row]
    for said in (f"{row}.png", f"cluster {own}", f"next to cluster {other}", f"mass: {row}.0"):
        assert said in words
    picture = dock.map.tile.picture.pixmap().toImage().pixelColor(50, 50)
    expected = shown.backdrop.pictures[row, 0, 0].tolist()
    assert [picture.red(), picture.green(), picture.blue()] == expected
    QTest.mouseMove(ground, QPoint(ground.width() // 2, 30))
    qtbot.waitUntil(lambda: not dock.map.tile.isVisible())


@pytest.mark.parametrize(
    ("count", "side"), [(1, 64), (24, 47), (120, 21), (240, 0)], ids=lambda v: str(v)
)
def test_pictures_are_as_large_as_there_is_room_or_dots(count, side):
    assert picture_side(count, 400, 400) == side


def test_many_specimens_are_dots_that_become_pictures_when_looked_at_closely(
    viewer, dock, tmp_path, qtbot
):
    run = made(2000, tmp_path)
    dock.session.set_clustered(run)
    qtbot.waitUntil(lambda: dock.map.dots.drawn_as == "dots")
    x, y = run.map.xy[0].tolist()
    dock.map.getViewBox().setRange(xRange=(x - 0.02, x + 0.02), yRange=(y - 0.02, y + 0.02))
    qtbot.waitUntil(lambda: dock.map.dots.drawn_as == "pictures")


def test_more_than_fifty_thousand_are_a_density_from_which_can_be_chosen(
    viewer, dock, tmp_path, qtbot
):
    run = made(60_000, tmp_path)
    dock.session.set_clustered(run)
    qtbot.waitUntil(lambda: dock.map.dots.drawn_as == "density")
    left, _ = halves(dock)
    drag(dock, left)
    assert dock.session.selected == run.ids[:30_000]
    qtbot.waitUntil(lambda: not dock.session.busy)
    assert [layer.name for layer in viewer.layers] == ["contact sheet"]  # frames are painted
    assert len(run.ids) > FRAMES


@pytest.mark.parametrize("mode", ["pan_zoom", "add", "select"])
def test_a_click_on_the_picture_selects_in_any_mode(viewer, dock, shown, qtbot, mode):
    sheet, frames = ours(viewer, "clusters")
    viewer.layers.selection.active = frames
    frames.mode = mode
    on_canvas(viewer, qtbot, sheet, frames.data[3])
    assert dock.session.selected == ("3.png",)
    assert dock.map.dots.marked.tolist() == [3]
    on_canvas(viewer, qtbot, sheet, frames.data[9], SHIFT)
    assert dock.session.selected == ("3.png", "9.png")
    qtbot.waitUntil(lambda: len(frames.data) == 24)  # what was added is taken back


def test_a_click_selects_while_another_layer_is_painted_on(viewer, dock, shown, qtbot):
    sheet, frames = ours(viewer, "clusters")
    labels = viewer.add_labels(np.zeros(sheet.data.shape[:2], np.uint8))
    labels.mode = "paint"
    on_canvas(viewer, qtbot, sheet, frames.data[7])
    assert dock.session.selected == ("7.png",)
    assert viewer.layers.selection.active == labels


def test_the_chosen_have_a_frame_of_black_and_white_that_follows(viewer, dock, shown):
    assert not ours(viewer, "chosen")
    active = viewer.layers.selection.active
    dock.session.select(["2.png", "5.png"])
    (chosen,) = ours(viewer, "chosen")
    frames = ours(viewer, "clusters")[-1]
    assert viewer.layers.selection.active == active
    np.testing.assert_array_equal(chosen.data[:2], frames.data[[2, 5]])
    assert chosen.border_color[[0, 2], 0].tolist() == [0, 1]
    dock.session.select([])
    assert len(chosen.data) == 0


def test_frames_that_are_deleted_come_back_only_when_asked(viewer, dock, shown, wait):
    frames = ours(viewer, "clusters")[-1]
    frames.selected_data = {2, 3}
    frames.remove_selected()
    assert overlay_of(viewer).gone == {"2.png", "3.png"}
    assert dock.back_button.isVisible()
    renamed = replace(shown.clusters, names={**shown.clusters.names, 1: "pale"})
    dock.session.set_clustered(replace(shown, clusters=renamed))
    wait(lambda: not dock.session.busy)
    assert len(frames.data) == 22
    assert "pale" in set(frames.features["cluster"])
    dock.back_button.click()
    wait(lambda: not dock.session.busy)
    assert len(frames.data) == 24
    assert not dock.back_button.isVisible()


def test_a_layer_that_is_deleted_comes_back_only_when_asked(viewer, dock, shown, wait):
    viewer.layers.remove(ours(viewer, "clusters")[0])
    renamed = replace(shown.clusters, names={**shown.clusters.names, 1: "pale"})
    dock.session.set_clustered(replace(shown, clusters=renamed))
    wait(lambda: not dock.session.busy)
    assert [layer.name for layer in viewer.layers] == ["clusters (joint)"]


def test_points_that_are_moved_or_added_go_back(viewer, dock, shown, qtbot):
    frames = ours(viewer, "clusters")[-1]
    places = frames.data.copy()
    moved = places.copy()
    moved[4] += 30
    frames.data = moved
    qtbot.waitUntil(lambda: np.array_equal(frames.data, places))
    frames.add([[5.0, 5.0]])
    qtbot.waitUntil(lambda: len(frames.data) == 24)
    assert frames.features["specimen"].tolist() == list(shown.ids)


def test_two_docks_of_one_kind_show_and_choose_the_same(dock, shown, open_dock):
    other = open_dock(ClustersDock)
    left, _ = halves(other)
    drag(other, left)
    assert dock.map.dots.marked.tolist() == other.map.dots.marked.tolist() == list(range(12))
    dock.map.chosen.emit(("20.png",), "only")
    assert other.map.dots.marked.tolist() == [20]


def test_the_map_takes_the_height_of_the_dock(viewer, dock, shown):
    viewer.window.set_geometry(0, 0, 1500, 950)
    QTest.qWait(200)
    assert dock.map.height() > 400


def test_a_second_collection_of_the_same_ids_is_another_selection(dock, shown, tmp_path):
    dock.session.select(["2.png"])
    dock.session.set_clustered(made(24, tmp_path, "b"))
    assert dock.session.selected == ()
    assert not dock.map.dots.marked.size


def test_noise_alone_is_next_to_no_cluster(dock, shown):
    noise = replace(
        shown.clusters, labels=np.full(24, -1), names={-1: "noise"}, colours={-1: "#6e6e6e"}
    )
    lost = replace(shown, clusters=noise)
    assert lost.next_cluster(3) is None
    dock.session.set_clustered(lost)
    assert dock.legend.rowCount() == 1


@pytest.mark.parametrize("turns", [0, 1, 2])
def test_a_window_that_closes_while_layers_come_ends_in_peace(dock, tmp_path, qtbot, turns) -> None:
    overlay, viewer = overlay_of(dock.viewer), dock.viewer
    dock.session.set_clustered(made(24, tmp_path))
    if turns:
        qtbot.waitUntil(lambda: overlay._next.isActive())
    if turns == 2:
        qtbot.waitUntil(lambda: len(viewer.layers) > 0)
    viewer.close()
    qtbot.wait(300)  # what goes wrong in a timer fails the test
    assert len(viewer.layers) == 0
    assert not overlay._next.isActive()
