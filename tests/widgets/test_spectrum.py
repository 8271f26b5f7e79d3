"""The Spectrum dock, in a real window."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from napari_phenoscape.widgets.commands import add_cube
from napari_phenoscape.widgets.place import ours
from napari_phenoscape.widgets.spectrum import SpectrumDock
from napari_phenoscape.widgets.spectrum.composite import COMPOSITE
from napari_phenoscape.widgets.spectrum.kept import REGION

pytestmark = pytest.mark.gui


@pytest.fixture
def dock(viewer, open_dock, drawer):
    add_cube(viewer, drawer)
    return open_dock(SpectrumDock)


def at(row: float, column: float, *keys: str) -> SimpleNamespace:
    return SimpleNamespace(position=(0, row, column), modifiers=keys)


def test_the_curve_follows_the_cursor(viewer, dock, wait):
    for callback in viewer.mouse_move_callbacks:
        callback(viewer, at(10, 15))
    wait(lambda: dock.chart.live.xData is not None and len(dock.chart.live.xData) == 4)
    x, y = dock.chart.live.getData()
    assert x.tolist() == [370, 460, 550, 640]
    assert y == pytest.approx([0.1, 0.2, 0.3, 0.4])
    assert "row 10, column 15" in dock.place_words.text()
    for callback in viewer.mouse_move_callbacks:
        callback(viewer, at(-5, 15))  # outside: the last one stays
    dock._follow_cursor()
    assert dock.chart.live.getData()[1] == pytest.approx([0.1, 0.2, 0.3, 0.4])


def test_shift_and_click_keeps_a_spectrum_with_its_point_and_a_click_alone_does_not(viewer, dock):
    for keys in ((), ("Shift",)):
        for callback in viewer.mouse_drag_callbacks:
            callback(viewer, at(25, 40, *keys))
    assert dock.kept.pins.count() == 1
    (points,) = ours(viewer, "kept spectra")
    np.testing.assert_array_equal(points.data, [[25, 40]])
    assert dock.kept.save_button.isEnabled()
    dock.kept._remove()
    assert dock.kept.pins.count() == 0
    assert not ours(viewer, "kept spectra")
    assert not dock.kept.save_button.isEnabled()
    assert "Shift" in dock.kept.save_button.toolTip()


def test_each_region_that_is_drawn_has_a_mean_and_the_table_is_saved(viewer, dock, wait, tmp_path):
    rectangles = [np.array([[6, 11], [6, 20], [13, 20], [13, 11]], float)]
    rectangles.append(np.array([[22, 32], [22, 42], [30, 42], [30, 32]], float))
    shapes = viewer.add_shapes(rectangles, shape_type="polygon", name="wings")
    viewer.layers.selection.active = shapes
    dock.kept.region_button.click()
    wait(lambda: dock.kept.pins.count() == 2 and not dock.session.task(REGION).busy)
    dock.kept.pins.item(0).setText("left wing")
    dock.kept.save(tmp_path / "s.csv")
    table = pd.read_csv(tmp_path / "s.csv")
    assert table["left wing"].tolist() == pytest.approx([10, 20, 30, 40], rel=1e-5)
    assert table["wings 2"].tolist() == pytest.approx([40, 30, 20, 10], rel=1e-5)
    assert pd.read_csv(tmp_path / "s-sd.csv")["left wing"].tolist() == pytest.approx(
        [0] * 4, abs=1e-5
    )


def test_without_regions_the_way_out_is_said(viewer, dock):
    dock.kept.region_button.click()
    assert dock.words.text().startswith("Select a Shapes or Labels layer")
    assert not dock.kept.mask_button.isEnabled()
    assert "no mask of its own" in dock.kept.mask_button.toolTip()


def test_a_dragged_line_shows_its_band(viewer, dock, wait):
    before = len(viewer.layers)
    dock.chart.lines[0].setValue(372)
    dock.chart.lines[0].sigPositionChangeFinished.emit(dock.chart.lines[0])
    wait(lambda: len(ours(viewer, "composite")) == 1 and not dock.session.task(COMPOSITE).busy)
    (picture,) = ours(viewer, "composite")
    assert picture.metadata["phenoscape"]["shown"] == [0, 2, 1]
    assert dock.chart.lines[0].value() == 370  # on its band
    assert "370 nm" in picture.name
    red, green, blue = picture.data[10, 15]
    assert red < blue < green
    dock.pictures.show_as.setCurrentText("UV false colour")
    wait(lambda: ours(viewer, "composite")[0].metadata["phenoscape"]["shown"] == [2, 1, 0])
    assert len(viewer.layers) == before + 1


def test_closing_the_cube_and_the_dock_leaves_nothing_behind(viewer, dock, drawer):
    viewer.layers.clear()
    assert dock.cube is None
    assert not dock.kept.region_button.isEnabled()
    assert dock.kept.region_button.toolTip() == "Open a cube first."
    add_cube(viewer, drawer)
    assert dock.cube is not None
