"""Readers, samples and commands, as napari finds them in the manifest."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace

import npe2
import numpy as np
import pytest
import tifffile
from napari.utils.notifications import notification_manager
from qtpy.QtGui import QPalette
from qtpy.QtWidgets import QFileDialog, QLabel, QPushButton

from napari_phenoscape.cubes import READERS
from napari_phenoscape.errors import CubeError
from napari_phenoscape.widgets import (
    RunsDock,
    _commands as commands,
    open_spectral_cube,
    open_spectral_folder,
)
from napari_phenoscape.widgets._dock import frame_of
from napari_phenoscape.widgets._small_table import fill_table, small_table

pytestmark = pytest.mark.gui

PLUGIN = "napari-phenoscape"


@pytest.fixture
def told(monkeypatch):
    """Messages that the user was shown."""
    messages: list[str] = []

    def keep(notification) -> None:
        messages.append(notification.message)

    notification_manager.notification_ready.connect(keep)
    yield messages
    notification_manager.notification_ready.disconnect(keep)


def choose(monkeypatch, path) -> None:
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(path), ""))


def test_napari_opens_a_cube_by_its_name(viewer, drawer, installed):
    viewer.open(drawer, plugin=PLUGIN)
    bands = viewer.layers["drawer bands"]
    assert bands.data.shape == (4, 40, 60)
    assert bands.metadata["phenoscape"]["wavelengths_nm"] == [370, 460, 550, 640]


def test_the_command_opens_a_cube_whatever_its_name(viewer, drawer, tmp_path, monkeypatch):
    for suffix in ("", ".hdr"):
        shutil.copy(f"{drawer}{suffix}", tmp_path / f"scan.raw{suffix}")
    choose(monkeypatch, tmp_path / "scan.raw")
    open_spectral_cube()
    assert viewer.layers["scan bands"].data.shape == (4, 40, 60)


def test_the_command_offers_the_files_of_every_reader_those_of_other_packages_too(monkeypatch):
    asked = []

    def ask(*given):
        asked.extend(given)
        return "", ""

    monkeypatch.setattr(QFileDialog, "getOpenFileName", ask)
    theirs = replace(READERS[0], name="theirs", patterns=("*.theirs",))
    monkeypatch.setattr(commands, "all_readers", lambda: (*READERS, theirs))
    open_spectral_cube()
    offered = asked[-1].partition("(")[2].partition(")")[0].split()
    assert offered == [*(p for reader in READERS for p in reader.patterns), "*.theirs"]


def test_a_folder_of_bands_is_opened_as_a_cube(viewer, tmp_path, monkeypatch):
    (tmp_path / "moth").mkdir()
    for nm in (450, 550, 650):
        tifffile.imwrite(tmp_path / "moth" / f"{nm}nm.tif", np.full((6, 5), nm, "u2"))
    folder = str(tmp_path / "moth")
    monkeypatch.setattr(QFileDialog, "getExistingDirectory", lambda *_: folder)
    open_spectral_folder()
    assert viewer.layers["moth bands"].data[2, 0, 0] == 650


def test_a_truncated_cube_is_answered_in_words_and_adds_nothing(
    viewer, drawer, tmp_path, monkeypatch, told
):
    (tmp_path / "cut.bil").write_bytes(drawer.read_bytes()[:1000])
    shutil.copy(f"{drawer}.hdr", tmp_path / "cut.bil.hdr")
    choose(monkeypatch, tmp_path / "cut.bil")
    open_spectral_cube()
    assert len(viewer.layers) == 0
    assert len(told) == 1
    assert "cut.bil" in told[0]


@pytest.fixture
def installed() -> npe2.PluginManager:
    """The plugin manager with our manifest, as it is installed."""
    manager = npe2.PluginManager.instance()
    manager.discover()
    assert PLUGIN in manager
    return manager


@pytest.mark.parametrize(("key", "shape"), [("drawer", (408,)), ("specimen", (6,))])
def test_a_sample_opens_with_its_bands(viewer, installed, tmp_path, monkeypatch, key, shape):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    viewer.open_sample(PLUGIN, key)
    bands = next(layer for layer in viewer.layers if layer.metadata["phenoscape"]["role"] == "cube")
    assert bands.data.shape[:1] == shape
    assert np.asarray(bands.data[0]).max() > 0


@pytest.mark.parametrize(
    "name", ["Specimens", "Preview augmentations", "Train", "Runs", "Clusters"]
)
def test_a_dock_opens_from_the_menu_and_again_after_it_was_closed(viewer, installed, name, qtbot):
    for _ in range(2):
        _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, name)
        qtbot.waitUntil(dock.isVisible)
        # 1280 pixels hold the dock, napari's own lists and a canvas
        assert dock.minimumSizeHint().width() <= 400
        for button in dock.findChildren(QPushButton):
            assert button.isEnabled() or "." in button.toolTip(), button.text()
        viewer.window.remove_dock_widget(dock)
        qtbot.wait(10)
    viewer.add_image(np.zeros((4, 4)))  # nobody who is gone listens


def test_the_real_maize_kernel_opens_with_its_580_bands(viewer, installed, phenoscape_data):
    folder = phenoscape_data / "plantcv-hyperspectral"
    viewer.open(folder / "corn-kernel-hyperspectral.hdr", plugin=PLUGIN)
    (bands,) = (layer for layer in viewer.layers if layer.metadata["phenoscape"]["role"] == "cube")
    nm = bands.metadata["phenoscape"]["wavelengths_nm"]
    assert bands.data.shape == (580, 31, 43)
    assert (nm[0], nm[1], round(nm[-1], 1)) == (366.551, 367.656, 1048.4)
    assert viewer.dims.nsteps[0] == 580


def test_a_header_without_data_is_answered_in_words_and_adds_nothing(
    viewer, drawer, tmp_path, monkeypatch, told
):
    shutil.copy(f"{drawer}.hdr", tmp_path / "alone.bil.hdr")
    choose(monkeypatch, tmp_path / "alone.bil.hdr")
    open_spectral_cube()
    assert len(viewer.layers) == 0
    assert "alone.bil" in told[0]


def test_a_cube_whose_file_shrinks_while_it_is_shown_is_told_and_the_window_lives(
    viewer, drawer, tmp_path
):
    for suffix in ("", ".hdr"):
        shutil.copy(f"{drawer}{suffix}", tmp_path / f"scan.bil{suffix}")
    viewer.open(tmp_path / "scan.bil", plugin=PLUGIN)
    os.truncate(tmp_path / "scan.bil", 100)
    with pytest.raises(CubeError, match=r"'scan.bil' has changed from 19200 to 100 bytes"):
        viewer.dims.set_current_step(0, 2)
    viewer.layers["scan bands"].visible = False  # as its user would
    shutil.copy(drawer, tmp_path / "scan.bil")
    viewer.open(tmp_path / "scan.bil", plugin=PLUGIN)
    viewer.dims.set_current_step(0, 1)
    assert viewer.layers["scan bands [1]"].data[1].max() == 300


def test_docks_become_tabs_of_each_other_and_the_last_is_in_front(viewer, installed, qtbot):
    docks = []
    for name in ("Specimens", "Train", "Clusters"):
        docks.append(viewer.window.add_plugin_dock_widget(PLUGIN, name)[1])
        qtbot.wait(20)  # one after the other
    frames = [frame_of(dock) for dock in docks]
    window = docks[0].window()
    qtbot.waitUntil(lambda: set(window.tabifiedDockWidgets(frames[0])) == set(frames[1:]))
    assert [frame.windowTitle() for frame in frames] == ["Specimens", "Train", "Clusters"]
    assert docks[2].height() > 300
    assert docks[2].visibleRegion().boundingRect().height() > 300


def test_docks_that_have_much_to_say_do_not_make_the_window_higher(open_dock, qtbot):
    first = open_dock(RunsDock)
    window = first.window()
    window.resize(1280, 800)
    for _ in range(4):
        foot = QLabel("much")
        foot.setMinimumHeight(160)
        first.foot.addWidget(foot)
    qtbot.wait(50)
    open_dock(RunsDock)
    qtbot.wait(50)
    assert window.height() == 800


def test_a_table_has_all_its_columns_in_sight_and_shortens_the_names(qtbot):
    table = small_table(200)
    qtbot.addWidget(table)
    table.resize(338, 120)
    table.show()
    name = "2026-12-01_a-long-name-of-an-experiment-of-the-museum-drawers"
    fill_table(table, ["other result", "Rand", "shared"], [[name, "1.00", "72"]])
    columns = [table.columnWidth(number) for number in range(3)]
    assert sum(columns) == table.viewport().width()
    assert table.item(0, 0).toolTip() == name


def test_words_can_be_read_in_either_theme(viewer, installed, choose_theme, wait):
    _, dock = viewer.window.add_plugin_dock_widget(PLUGIN, "Train")
    dock.say("wrong", error=True)
    for theme in ("light", "dark"):
        choose_theme(theme)
        wait(lambda: contrast(dock.words) > 4.5)  # WCAG 2.2, level AA


def contrast(label) -> float:
    """Ratio of luminances of a label's words and ground, as WCAG defines it."""
    lights = sorted(
        sum(
            weight * (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4)
            for weight, part in zip((0.2126, 0.7152, 0.0722), colour.getRgbF(), strict=False)
        )
        for colour in (
            label.palette().color(role)
            for role in (QPalette.ColorRole.WindowText, QPalette.ColorRole.Window)
        )
    )
    return (lights[1] + 0.05) / (lights[0] + 0.05)


SELECT_REMOVE_ADD = """
import napari, numpy as np
from qtpy.QtTest import QTest
from napari_phenoscape.widgets._session import session_of
viewer = napari.Viewer()
session_of(viewer)
viewer.add_image(np.zeros((50, 50)))
points = viewer.add_points(np.arange(20).reshape(10, 2), symbol="square")
QTest.qWait(150)
points.selected_data = {3}
QTest.qWait(150)
viewer.layers.remove(points)
QTest.qWait(150)
viewer.add_points([[1, 2]])
QTest.qWait(150)
viewer.close()
"""


def test_a_layer_whose_points_were_selected_can_be_removed(tmp_path):
    """In a process of its own: napari 0.9.2 dies of it where Mesa draws in software."""
    ended = subprocess.run([sys.executable, "-c", SELECT_REMOVE_ADD], cwd=tmp_path)
    assert ended.returncode == 0


def test_a_dock_opens_in_a_window_that_was_there_before_torch():
    """In a process of its own, for a fault there would end this one."""
    code = (
        "import os, napari\n"
        "viewer = napari.Viewer(show=True)\n"
        "viewer.window.add_plugin_dock_widget('napari-phenoscape', 'Specimens')\n"
        "print('opened', flush=True)\n"
        "os._exit(0)\n"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300
    )
    assert process.returncode == 0, process.stderr[-2000:]
    assert "opened" in process.stdout
