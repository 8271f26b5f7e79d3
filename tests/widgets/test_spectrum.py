"""The Spectrum dock, in a real window."""

from __future__ import annotations

import threading
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from napari.layers import Layer
from qtpy.QtCore import Qt
from qtpy.QtGui import QPalette
from qtpy.QtWidgets import QApplication, QFileDialog

from napari_phenoscape.cubes import Band, Bands, Cube, LazyArray, open_cube, write_cube
from napari_phenoscape.events import result
from napari_phenoscape.layers import cube_layers
from napari_phenoscape.spectra import pixel_spectrum, region_spectrum
from napari_phenoscape.widgets import SpectrumDock
from napari_phenoscape.widgets._commands import add_cube
from napari_phenoscape.widgets._place import ours
from napari_phenoscape.widgets.spectrum._composite import picture_of
from napari_phenoscape.widgets.spectrum._kept import REGION

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


class Slow(LazyArray):
    """Numbers that are there when they are let go."""

    def __init__(self):
        super().__init__((3, 4, 5), np.dtype("f4"))
        self.free = threading.Event()
        self.free.set()

    def read(self, bands, rows, columns):
        assert self.free.wait(30), "the window waits for it"
        return np.full(self.shape, 0.5, "f4")[bands, rows, columns]


def test_a_spectrum_that_takes_time_does_not_keep_the_window_waiting(
    viewer, open_dock, tmp_path, wait
):
    slow = Slow()
    bands = Bands(Band(f"{x} nm", x) for x in (400, 500, 600))
    for settings in cube_layers(Cube(slow, bands, tmp_path / "leaf.h5")):
        viewer.add_layer(Layer.create(*settings))
    dock = open_dock(SpectrumDock)
    slow.free.clear()
    for column in (1, 2, 3):
        dock._moved(viewer, at(2, column))
        dock._follow_cursor()
    assert "column" not in dock.place_words.text()
    slow.free.set()
    wait(lambda: "row 2, column 3" in dock.place_words.text())
    assert dock.chart.live.getData()[1].tolist() == [0.5] * 3


def test_parts_of_the_spectrum_and_bad_bands_are_shaded(viewer, open_dock, tmp_path):
    nm, flagged = [350, 450, 650, 750, 850], [False, False, True, False, False]
    bands = Bands(Band(f"{x} nm", x, bad=bad) for x, bad in zip(nm, flagged, strict=True))
    path = tmp_path / "leaf.bil"
    numbers = np.ones((5, 4, 5), np.float32)
    result(write_cube(Cube(numbers, bands, path), path))
    add_cube(viewer, path)
    chart = open_dock(SpectrumDock).chart
    shades = {shade.toolTip(): shade.getRegion() for shade in chart._shades}
    assert shades == {
        "UV": (350, 400), "VIS": (400, 700), "NIR": (700, 850),
        "Flagged as bad by the file": (600, 700),
    }  # fmt: skip
    chart.show_live(numbers[:, 0, 0])
    assert np.isnan(chart.live.getData()[1]).tolist() == flagged


@pytest.mark.parametrize("rising", [True, False])
def test_spectra_of_two_detectors_that_overlap_are_two_lines(viewer, open_dock, tmp_path, rising):
    nm = np.array([400.0, 700, 1000, 900, 1200, 1500])  # visible, then infrared
    nm = nm if rising else nm[::-1]
    path = tmp_path / "leaf.bil"
    numbers = np.arange(6 * 4 * 5, dtype=np.float32).reshape(6, 4, 5)
    result(write_cube(Cube(numbers, Bands(Band(f"{x} nm", x) for x in nm), path), path))
    add_cube(viewer, path)
    dock = open_dock(SpectrumDock)
    dock.chart.show_live(numbers[:, 0, 0])
    mask = np.ones((4, 5), bool)
    dock.kept.keep(region_spectrum(dock.cube, mask, "leaf"))
    (kept,) = dock.kept.chosen
    for curve in (dock.chart.live, kept.items[0]):
        assert len(curve.curve.getPath().toSubpathPolygons()) == 2
        assert np.flatnonzero(np.isnan(curve.getData()[1])).tolist() == [3]
        assert curve.getData()[0][[2, 4]].tolist() == [nm[2], nm[3]]
    edge = kept.items[1].curves[0].curve
    assert len(edge.getPath().toSubpathPolygons()) == 2
    assert dock.chart.x.tolist() == nm.tolist()
    assert len(kept.spectrum.mean) == 6


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


@pytest.mark.parametrize("kind", ["shapes", "labels"])
def test_each_region_that_is_drawn_has_a_mean_and_the_table_is_saved(
    viewer, dock, wait, tmp_path, kind
):
    boxes = [(6, 13, 11, 20), (22, 30, 32, 42)]
    if kind == "shapes":
        corners = [[[a, c], [a, d], [b, d], [b, c]] for a, b, c, d in boxes]
        rectangles = [np.array(each, float) for each in corners]
        drawn = viewer.add_shapes(rectangles, shape_type="polygon", name="wings")
    else:
        numbers = np.zeros((40, 60), np.uint8)
        for number, (a, b, c, d) in enumerate(boxes, start=1):
            numbers[a:b, c:d] = number
        drawn = viewer.add_labels(numbers, name="wings")
    viewer.layers.selection.active = drawn
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


def drag(line, *places: float) -> None:
    """Move a line of the plot as a mouse does, and let go."""
    for place in places:
        line.setValue(place)
        line.sigDragged.emit(line)
    line.sigPositionChangeFinished.emit(line)


def pictures_of(viewer, dock) -> list:
    return ours(viewer, picture_of(dock.layer))


def at_rest(dock):
    return lambda: not dock.session.busy


def test_a_dragged_line_shows_its_band(viewer, dock, wait):
    before = len(viewer.layers)
    drag(dock.chart.lines[0], 600, 450, 372)
    wait(at_rest(dock))
    (picture,) = pictures_of(viewer, dock)
    assert picture.metadata["phenoscape"]["shown"] == [0, 2, 1]
    assert dock.chart.lines[0].value() == 370  # on its band
    assert "370 nm" in picture.name
    red, green, blue = picture.data[10, 15]
    assert red < blue < green
    assert dock.pictures.shown.text() == "red 370 nm · green 550 nm · blue 460 nm"
    assert dock.pictures.show_as.currentIndex() == -1  # no picture that has a name
    dock.pictures.show_as.setCurrentText("UV false colour")
    wait(lambda: picture.metadata["phenoscape"]["shown"] == [2, 1, 0])
    assert [line.value() for line in dock.chart.lines] == [550, 460, 370]
    dock.pictures.show_as.setCurrentText("principal components")
    wait(lambda: picture.metadata["phenoscape"]["shown"] is None)
    assert not dock.chart.lines[0].isVisible()
    assert pictures_of(viewer, dock) == [picture]
    assert len(viewer.layers) == before + 1


def test_a_picture_that_changes_is_drawn_once(viewer, dock, wait):
    drag(dock.chart.lines[0], 450)
    wait(at_rest(dock))
    (picture,) = pictures_of(viewer, dock)
    drawn = []
    picture.events.set_data.connect(lambda _: drawn.append(picture.name))
    dock.chart.lines[0].setValue(550)
    dock.chart.lines[0].sigDragged.emit(dock.chart.lines[0])
    wait(lambda: picture.metadata["phenoscape"]["shown"] == [2, 2, 1])
    assert len(drawn) == 1


def test_a_picture_that_is_asked_for_is_not_hidden_by_another_layer(viewer, dock, wait):
    dock.pictures.show_as.setCurrentText("colours")
    wait(at_rest(dock))
    (picture,) = pictures_of(viewer, dock)
    wait(lambda: picture.visible)
    cover = viewer.add_image(np.zeros((40, 60)))
    picture.visible = False
    dock.pictures.show_as.setCurrentText("UV false colour")
    wait(lambda: picture.visible)
    assert viewer.layers.index(picture) > viewer.layers.index(cover)


def test_the_canvas_says_the_wavelength_and_a_line_of_the_plot_moves_the_slider(viewer, dock):
    viewer.dims.set_current_step(0, 2)
    assert viewer.canvas.overlays.text.text == "550.0 nm  (band 2 of 0-3)"
    assert dock.chart.slider.value() == 550
    drag(dock.chart.slider, 400)
    assert viewer.dims.current_step[0] == 0
    viewer.canvas.overlays.text.text = "my own"
    viewer.dims.set_current_step(0, 1)
    assert viewer.canvas.overlays.text.text == "my own"


def test_drawn_regions_calibrate_to_a_layer_beside(viewer, dock, wait):
    assert not dock.calibration.button.isEnabled()
    assert "draw a shape on the panel" in dock.calibration.button.toolTip()
    white = np.array([[6, 11], [6, 20], [13, 20], [13, 11]], float)  # 100, 200, 300, 400
    viewer.add_shapes([white], shape_type="polygon", name="panel")
    viewer.add_labels(np.zeros((40, 60), np.uint8), name="empty")
    dock.calibration.white.choose(viewer.layers["empty"])
    dock.calibration.button.click()
    assert "marks no pixel" in dock.calibration.words.text()
    before = list(viewer.layers)
    dock.calibration.white.choose(viewer.layers["panel"])
    dock.calibration.panel.setValue(0.5)
    dock.calibration.button.click()
    wait(at_rest(dock))
    assert [layer for layer in viewer.layers if layer in before] == before  # none was replaced
    made = viewer.layers["drawer reflectance"]
    np.testing.assert_allclose(made.data[:, 25, 35], [2, 0.75, 1 / 3, 0.125], rtol=1e-6)
    assert dock.layer == made  # and is looked at from now on
    dock.kept.keep(pixel_spectrum(dock.cube, 25, 35))
    assert dock.kept.chosen[0].spectrum.mean == pytest.approx([2, 0.75, 1 / 3, 0.125])


def test_a_reference_may_be_a_file_or_another_cube_that_is_open(
    viewer, dock, wait, drawer, tmp_path, monkeypatch
):
    other = tmp_path / "white.bil"
    result(write_cube(replace(open_cube(drawer), array=np.full((4, 2, 60), 500, "u2")), other))
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(other), ""))
    box = dock.calibration.white
    box.setCurrentIndex(box.count() - 1)
    box.activated.emit(box.currentIndex())
    assert box.chosen == other
    dock.calibration.button.click()
    wait(at_rest(dock))
    np.testing.assert_allclose(dock.layer.data[:, 10, 15], [0.2, 0.4, 0.6, 0.8], rtol=1e-6)
    add_cube(viewer, other)
    assert "white.bil" in [box.itemText(i) for i in range(box.count())]
    dock.calibration.dark.choose(viewer.layers["white bands"])
    dock.calibration.button.click()
    wait(at_rest(dock))
    assert "Were they exchanged?" in dock.calibration.words.text()


def test_what_is_computed_is_a_layer_and_what_is_wrong_is_said_beside_its_field(viewer, dock, wait):
    computing = dock.computing
    assert not computing.angle_button.isEnabled()
    for text, words in (("R900", "no band for 'R900'"), ("R460 +", "no formula of bands")):
        computing.formula.setText(text)
        computing.index_button.click()
        assert words in computing.index_words.text()
    computing.over.setValue(4)
    computing.smooth_button.click()
    assert "an odd number above 2 and up to 4" in computing.smooth_words.text()
    assert not any("drawer " in layer.name and layer.data.ndim == 2 for layer in viewer.layers[:-2])

    computing.formula.setText("(R640 - R460) / (R640 + R460)")
    computing.index_button.click()
    wait(at_rest(dock))
    assert not computing.index_words.text()
    plane = viewer.layers["drawer (R640 - R460) / (R640 + R460)"].data
    assert plane[10, 15] == pytest.approx(1 / 3)
    assert np.isnan(plane[0, 0])  # black: 0 / 0

    dock.kept.keep(pixel_spectrum(dock.cube, 10, 15))
    computing.angle_button.click()
    wait(at_rest(dock))
    angle = viewer.layers["drawer angle to drawer (10, 15) (rad)"]
    assert angle.data[8, 12] == pytest.approx(0, abs=1e-3)
    assert angle.data[25, 35] == pytest.approx(np.arccos(200 / 300), rel=1e-5)
    assert angle.colorbar.visible
    assert not viewer.layers["drawer (R640 - R460) / (R640 + R460)"].colorbar.visible

    computing.over.setValue(3)
    computing.smooth_button.click()
    wait(at_rest(dock))
    smooth = dock.layer
    np.testing.assert_allclose(smooth.data[:, 10, 15], [0.1, 0.2, 0.3, 0.4], rtol=1e-5)
    computing.continuum_button.click()
    wait(at_rest(dock))
    np.testing.assert_allclose(dock.layer.data[0, 10, 15], 1)
    assert dock.layer != smooth
    assert dock.cubes.count() == 3


def test_the_average_counts_each_spectrum_once_and_wants_two(viewer, dock):
    dock.kept.keep(pixel_spectrum(dock.cube, 10, 15))
    assert not dock.kept.mean_button.isEnabled()
    assert dock.kept.mean_button.toolTip() == "Keep a second spectrum first."
    dock.kept.keep(pixel_spectrum(dock.cube, 25, 35))
    dock.kept.mean_button.click()
    mean = dock.kept.chosen[2].spectrum
    assert mean.mean == pytest.approx([0.25] * 4)
    assert mean.sd == pytest.approx(np.array([0.3, 0.1, 0.1, 0.3]) / np.sqrt(2))


def test_curves_of_other_bands_are_not_drawn_over_this_axis(viewer, dock, wait, specimens):
    dock.kept.keep(pixel_spectrum(dock.cube, 10, 15))
    (first,) = dock.kept.chosen
    add_cube(viewer, next(iter(sorted(specimens.rglob("*.tif")))))
    dock.cubes.setCurrentIndex(1)
    assert dock.chart.x.tolist() == [0, 1, 2, 3, 4, 5]
    assert not first.items[0].isVisible()
    assert "other bands" in dock.kept.pins.item(0).toolTip()
    dock.kept.mask_button.click()
    wait(lambda: dock.kept.pins.count() == 2)
    assert dock.kept.chosen[1].spectrum.name.endswith(" mask")
    expected = dock.cube.reflectance()[:, dock.cube.mask]
    np.testing.assert_allclose(dock.kept.chosen[1].spectrum.mean, expected.mean(1), rtol=1e-5)
    np.testing.assert_allclose(dock.kept.chosen[1].spectrum.sd, expected.std(1), rtol=1e-4)
    dock.computing.continuum_button.click()
    assert "no wavelengths that rise" in dock.computing.continuum_words.text()
    dock.cubes.setCurrentIndex(0)
    assert first.items[0].isVisible()


def test_what_was_assumed_about_the_chosen_cube_is_shown(viewer, dock, specimens):
    assert dock.assumed_fold.isHidden()  # its header says all
    add_cube(viewer, next(iter(sorted(specimens.rglob("*.tif")))))
    dock.cubes.setCurrentIndex(1)
    assert not dock.assumed_fold.isHidden()
    assert "• No scale is given; 65535, the largest number" in dock.assumed.text()
    dock.cubes.setCurrentIndex(0)
    assert dock.assumed_fold.isHidden()


def test_an_eye_sees_the_cube_and_the_kept_spectra(viewer, open_dock, wait, tmp_path):
    nm = np.arange(300.0, 701, 10)
    array = np.full((41, 6, 8), 0.5, np.float32)
    array[nm > 500, :, 4:] = 0  # the right half is blue and ultraviolet
    path = tmp_path / "wing.bil"
    result(write_cube(Cube(array, Bands(Band(f"{x} nm", x) for x in nm), path), path))
    add_cube(viewer, path)
    dock = open_dock(SpectrumDock)
    for column in (1, 6):
        dock.kept.keep(pixel_spectrum(dock.cube, 2, column), (2, column))
    assert not dock.eyes.save_button.isEnabled()
    dock.eyes.eye.choose("bird-uv")
    dock.eyes.table_button.click()
    table = dock.eyes.colours
    assert table.loc[0, ["uv", "sw", "mw", "lw"]].tolist() == pytest.approx([0.5] * 4, rel=1e-5)
    assert table["r"][0] == pytest.approx(0, abs=1e-5)
    assert table["lw"][1] < 0.05 < table["uv"][1]
    dock.eyes.save(tmp_path / "colours.csv")
    assert pd.read_csv(tmp_path / "colours.csv")["r"][1] == pytest.approx(table["r"][1], rel=1e-4)
    dock.eyes.layer_button.click()
    wait(at_rest(dock))
    assert dock.layer.data.shape == (5, 6, 8)
    np.testing.assert_allclose(dock.layer.data[:, 2, 1], 0.5, rtol=1e-5)
    np.testing.assert_allclose(dock.layer.data[:4, 2, 6], table.iloc[1, 1:5].astype(float))
    assert viewer.canvas.overlays.text.text.startswith("lw  (band 0 of 0-4)")
    dock.cubes.setCurrentIndex(0)
    dock.eyes.eye.files.append(tmp_path / "colours.csv")
    dock.eyes.eye.refresh()
    dock.eyes.eye.choose(tmp_path / "colours.csv")
    dock.eyes.layer_button.click()
    assert "colours.csv" in dock.eyes.words.text()


def test_closing_the_cube_and_the_dock_leaves_nothing_behind(viewer, dock, drawer):
    viewer.layers.clear()
    assert dock.cube is None
    assert not dock.kept.region_button.isEnabled()
    assert dock.kept.region_button.toolTip() == "Open a cube first."
    add_cube(viewer, drawer)
    assert dock.cube is not None


def test_kept_spectra_are_there_again_in_a_dock_that_is_opened_again(viewer, open_dock, dock):
    for row in (2, 5, 7):
        dock.kept.keep(pixel_spectrum(dock.cube, row, 3), (row, 3))
    dock.kept.pins.item(0).setText("the <b>wing</b> & its edge")
    dock.kept.pins.item(1).setSelected(True)
    dock.kept.remove_button.click()
    before = [(kept.spectrum.name, kept.colour, kept.pixel) for kept in dock.kept.chosen]
    viewer.window.remove_dock_widget(dock)
    again = open_dock(SpectrumDock)
    assert [(kept.spectrum.name, kept.colour, kept.pixel) for kept in again.kept.chosen] == before
    assert again.kept.pins.count() == 2
    assert len(ours(viewer, "kept spectra")[0].data) == 2
    again.kept.keep(pixel_spectrum(again.cube, 1, 1), (1, 1))
    assert again.kept.pins.count() == 3


def test_the_points_are_left_as_they_are_when_a_kept_spectrum_is_renamed(viewer, dock):
    dock.kept.keep(pixel_spectrum(dock.cube, 2, 3), (2, 3))
    (points,) = ours(viewer, "kept spectra")
    points.size, points.selected_data = 9, {0}
    dock.kept.pins.item(0).setText("wing")
    assert points.size.tolist() == [9]
    assert set(points.selected_data) == {0}
    viewer.layers.remove(points)
    dock.kept.pins.item(0).setText("hind wing")
    assert not ours(viewer, "kept spectra")
    assert [kept.spectrum.name for kept in dock.session.kept_spectra] == ["hind wing"]


def test_shift_and_a_click_of_the_mouse_keep_a_spectrum(viewer, dock, qtbot):
    canvas = next(
        widget for widget in QApplication.allWidgets() if type(widget).__name__.startswith("Canvas")
    )
    for keys in (Qt.KeyboardModifier.NoModifier, Qt.KeyboardModifier.ShiftModifier):
        qtbot.mouseMove(canvas, canvas.rect().center())
        qtbot.mouseClick(canvas, Qt.MouseButton.LeftButton, keys, canvas.rect().center())
    assert dock.kept.pins.count() == 1


def test_a_dock_that_was_closed_hears_the_slider_no_more(viewer, dock, qtbot):
    viewer.window.remove_dock_widget(dock)
    qtbot.wait(10)
    viewer.dims.set_current_step(0, 2)  # an exception would fail this test
    viewer.dims.set_current_step(0, 3)
    assert "640.0 nm" in viewer.canvas.overlays.text.text


def test_curves_are_drawn_in_the_colour_of_the_words_of_either_theme(dock, choose_theme, wait):
    drawn = {}
    for theme in ("dark", "light"):
        choose_theme(theme)
        words = dock.palette().color(QPalette.ColorRole.WindowText)
        wait(lambda words=words: dock.chart.live.opts["pen"].color() == words)
        assert dock.chart.slider.pen.color() == words
        drawn[theme] = words.lightness()
    assert drawn["dark"] > 200
    assert drawn["light"] < 60
