"""The first sitting of docs/tutorial.md, by mouse and keyboard alone in a real window.

``python docs/make_walk.py`` writes ``docs/images/walk-*.png``; ``--size 1280x800``,
``--theme light`` and ``--out FOLDER`` give the same in another window. ``make screenshots`` runs
it, and tests/widgets/test_walk.py takes the same walk, so that the page stays true.
Needs a display of that many pixels.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import napari
import numpy as np
from napari.settings import get_settings
from PIL import Image
from qtpy.QtCore import QPoint, QPointF, Qt
from qtpy.QtGui import QAction, QImage, QWheelEvent
from qtpy.QtTest import QTest
from qtpy.QtWidgets import (
    QAbstractItemView,
    QApplication,
    QComboBox,
    QMenu,
    QMenuBar,
    QPushButton,
    QScrollArea,
    QTabBar,
    QWidget,
)

from napari_phenoscape.events import Step, result
from napari_phenoscape.samples import write_samples
from napari_phenoscape.widgets import (
    ClustersDock,
    ExplainDock,
    Fold,
    RunsDock,
    SpecimensDock,
    TrainDock,
)
from napari_phenoscape.widgets._dock import Dock
from napari_phenoscape.widgets._session import Session, session_of
from napari_phenoscape.widgets._worker import guard_torch
from napari_phenoscape.widgets.map._scatter import Scatter

IMAGES = Path(__file__).parent / "images"

#: Of the cluster that only the UV tells from another.
NAME = "yellow with UV"

NONE, SHIFT, CONTROL = (
    Qt.KeyboardModifier.NoModifier,
    Qt.KeyboardModifier.ShiftModifier,
    Qt.KeyboardModifier.ControlModifier,
)
LEFT = Qt.MouseButton.LeftButton


class Hand:
    """Clicks, drags, scrolls and types in a window, where a person could.

    A place is clicked only if what is meant is what lies there, uncovered.

    Parameters
    ----------
    viewer
        Whose window it is.
    patience
        Seconds that a piece of work may take.
    """

    def __init__(self, viewer: napari.Viewer, patience: float = 600) -> None:
        self.viewer, self.patience = viewer, patience
        self.session: Session = session_of(viewer)
        self.window: QWidget = next(
            w for w in QApplication.topLevelWidgets() if w.inherits("QMainWindow") and w.isVisible()
        )
        self.window.activateWindow()  # there may be no window manager to do it
        QTest.qWaitForWindowActive(self.window)

    def until(self, claim: Callable[[], object]) -> None:
        """Let the window live until a claim is true."""
        end = time.monotonic() + self.patience
        while not claim():
            if time.monotonic() > end:
                raise TimeoutError("what was waited for did not come")
            QTest.qWait(20)

    def rest(self) -> None:
        """Let the window live until nothing is at work, and stays so."""
        quiet = 0
        while quiet < 10:
            self.until(lambda: not self.session.busy)
            QTest.qWait(60)
            quiet = 0 if self.session.busy else quiet + 1

    def dock(self, kind: type[Dock]) -> Dock:
        """The open dock of a kind, made the one in front by its tab."""
        (found,) = (one for one in self.window.findChildren(kind) if not one.isHidden())
        if found.visibleRegion().isEmpty():
            title = kind.__name__.removesuffix("Dock")
            for bar in self.window.findChildren(QTabBar):
                for number in range(bar.count()):
                    if bar.isVisible() and bar.tabText(number) == title:
                        self._press(bar, bar.tabRect(number).center())
        self.until(lambda: not found.visibleRegion().isEmpty())
        QTest.qWait(50)
        return found

    def menu(self, *names: str) -> None:
        """Choose an action through the menus."""
        (bar,) = (one for one in self.window.findChildren(QMenuBar) if one.isVisible())
        action = _named(bar, names[0])
        self._press(bar, bar.actionGeometry(action).center())
        for name in names[1:]:
            menu = action.menu()
            assert isinstance(menu, QMenu)
            self.until(menu.isVisible)
            action = _named(menu, name)
            self._press(menu, menu.actionGeometry(action).center())
        QTest.qWait(50)

    def click(
        self, widget: QWidget, at: QPoint | None = None, keys: Qt.KeyboardModifier = NONE
    ) -> None:
        """Click a widget, scrolled into sight if need be."""
        self.bring(widget)
        self._press(widget, widget.rect().center() if at is None else at, keys)

    def push(self, button: QPushButton) -> None:
        """Click a button that may be clicked."""
        self.until(button.isEnabled)
        self.click(button)

    def open(self, fold: Fold) -> None:
        """Open a fold by its title."""
        if not fold.opened:
            self.click(fold.toggleButton())
            self.until(lambda: fold.opened)

    def type(self, widget: QWidget, text: str) -> None:
        """Replace what stands in a field, and leave it."""
        self.click(widget)
        self.keys(text)

    def keys(self, text: str) -> None:
        """Type into the field that has the keyboard, and leave it."""
        field = QApplication.focusWidget()
        assert field is not None, "no field has the keyboard"
        QTest.keyClick(field, Qt.Key.Key_A, CONTROL)
        QTest.keyClicks(field, text)
        QTest.keyClick(field, Qt.Key.Key_Return)
        QTest.qWait(50)

    def choose(self, combo: QComboBox, text: str) -> None:
        """Choose in a combo box."""
        self.click(combo)
        view = combo.view()
        assert view is not None
        self.until(view.isVisible)
        index = combo.model().index(combo.findText(text), combo.modelColumn())
        QTest.mouseMove(view.viewport(), view.visualRect(index).center())
        QTest.qWait(QApplication.doubleClickInterval() + 100)  # sooner, Qt takes it for the opening
        self._item(view, index)
        self.until(lambda: combo.currentText() == text)

    def row(
        self,
        table: QAbstractItemView,
        row: int,
        column: int,
        keys: Qt.KeyboardModifier = NONE,
        *,
        twice: bool = False,
    ) -> None:
        """Click a cell of a table, or double-click it."""
        self.bring(table)
        place = self._item(table, table.model().index(row, column), keys)
        if twice:
            QTest.mouseDClick(table.viewport(), LEFT, keys, place)

    def _item(self, view: QAbstractItemView, index, keys: Qt.KeyboardModifier = NONE) -> QPoint:
        place = view.visualRect(index).center()
        self._press(view.viewport(), place, keys)
        return place

    def drag(
        self, widget: QWidget, places: Sequence[QPoint], keys: Qt.KeyboardModifier = NONE
    ) -> None:
        """Draw a line with the left button down."""
        self.bring(widget)
        self._at(widget, places[0])
        QTest.mousePress(widget, LEFT, keys, places[0])
        for place in places[1:]:
            QTest.mouseMove(widget, place)
            QTest.qWait(5)
        QTest.mouseRelease(widget, LEFT, keys, places[-1])
        QTest.qWait(50)

    def hover(self, widget: QWidget, place: QPoint) -> None:
        """Rest the cursor over a place."""
        self._at(widget, place)
        for beside in (QPoint(9, 9), QPoint()):
            QTest.mouseMove(widget, place + beside)
            QTest.qWait(100)

    def seen(self) -> Image.Image:
        """What the window shows, and what lies over it."""
        screen, place = self.window.screen(), self.window.geometry()
        grabbed = screen.grabWindow(0, *place.getRect()).toImage()
        grabbed = grabbed.convertToFormat(QImage.Format.Format_RGB888)
        rows = np.frombuffer(grabbed.constBits().asarray(grabbed.sizeInBytes()), np.uint8)
        rows = rows.reshape(grabbed.height(), grabbed.bytesPerLine())
        return Image.fromarray(rows[:, : 3 * grabbed.width()].reshape(grabbed.height(), -1, 3))

    def bring(self, widget: QWidget) -> None:
        """Turn the wheel until a widget is in sight."""
        area = widget.parentWidget()
        while area is not None and not isinstance(area, QScrollArea):
            area = area.parentWidget()
        if area is None:
            return
        port = area.viewport()
        for _ in range(200):
            top = widget.mapTo(port, QPoint(0, 0)).y()
            if top >= 0 and top + min(widget.height(), port.height()) <= port.height():
                return
            middle = port.rect().center()
            turn = QPoint(0, 30 if top < 0 else -30)
            event = QWheelEvent(
                QPointF(middle),
                QPointF(port.mapToGlobal(middle)),
                QPoint(),
                turn,
                Qt.MouseButton.NoButton,
                NONE,
                Qt.ScrollPhase.NoScrollPhase,
                False,
            )
            QApplication.sendEvent(port, event)
            QTest.qWait(5)
        raise AssertionError(f"{widget} cannot be scrolled into sight")

    def _press(self, widget: QWidget, place: QPoint, keys: Qt.KeyboardModifier = NONE) -> None:
        there = self._at(widget, place)
        QTest.mouseClick(there, LEFT, keys, there.mapFrom(widget, place))
        QTest.qWait(30)

    def _at(self, widget: QWidget, place: QPoint) -> QWidget:
        """What lies on the screen at a place of a widget: it, or a part of it."""
        there = QApplication.widgetAt(widget.mapToGlobal(place))
        if there is None or not (there is widget or widget.isAncestorOf(there)):
            raise AssertionError(f"{widget} is covered by {there} at {place}")
        return there


def _named(menu: QWidget, name: str) -> QAction:
    (found,) = (one for one in menu.actions() if one.text().replace("&", "") == name)
    return found


def walk(hand: Hand, folder: Path, steps: int = 0) -> Iterator[str]:
    """From a folder to a report: the name of each step, when it is done.

    Parameters
    ----------
    folder
        Of the samples' multispectral pictures.
    steps
        That the net is trained for; 0: those of the preset.
    """
    session = hand.session
    hand.menu("Plugins", "Phenoscape", "Specimens (Phenoscape)")
    specimens = hand.dock(SpecimensDock)
    hand.type(specimens.form.forms["folder"].editors["path"].line.native, str(folder))
    hand.push(specimens.look_button)
    hand.rest()
    yield "look"

    hand.menu("Plugins", "Phenoscape", "Clusters (Phenoscape)")
    clusters = hand.dock(ClustersDock)
    hand.rest()
    picture = clusters.looks.boxes[0]
    hand.choose(picture, "colours")
    hand.rest()
    yield "visible"
    hand.choose(picture, "UV false colour")
    hand.rest()
    rows, number = patched(session)
    hand.drag(clusters.map.viewport(), around(clusters.map, rows))
    hand.until(lambda: set(session.selected) == {session.clustered.ids[row] for row in rows})
    hand.hover(clusters.map.viewport(), place_of(clusters.map, rows[0]))
    yield "lasso"
    hand.hover(clusters.map.viewport(), QPoint(5, 5))  # or the tile stays

    legend, numbers = clusters.legend, sorted(session.clustered.clusters.names)
    hand.row(legend, 0, 1)
    hand.row(legend, 1, 1, CONTROL)
    hand.push(clusters.working.merge)
    hand.until(lambda: len(session.clustered.clusters.names) == len(numbers) - 1)
    hand.rest()
    yield "merge"
    hand.push(clusters.working.undo)
    hand.until(lambda: len(session.clustered.clusters.names) == len(numbers))
    hand.rest()
    hand.row(legend, numbers.index(number), 1, twice=True)
    hand.keys(NAME)
    hand.until(lambda: session.clustered.clusters.names[number] == NAME)
    hand.rest()
    yield "name"

    hand.menu("Plugins", "Phenoscape", "Explain (Phenoscape)")
    explain = hand.dock(ExplainDock)
    hand.rest()
    hand.choose(explain.cluster, NAME)
    yield "spectra"
    hand.push(explain.where_button)
    hand.rest()
    yield "where"

    hand.menu("Plugins", "Phenoscape", "Train (Phenoscape)")
    train = hand.dock(TrainDock)
    hand.until(train.preset.isEnabled)
    hand.choose(train.preset.box, "quick")
    hand.rest()
    if steps:
        hand.open(train.settings)
        hand.open(train.form.folds["schedule"])
        hand.type(train.form.editors["schedule"].editors["steps"], str(steps))
        hand.rest()
    yield "settings"
    steps = session.experiment.schedule.steps
    hand.push(train.start_button)
    hand.until(lambda: sum(isinstance(one, Step) for one in session.history) > steps * 0.7)
    yield "train"
    hand.dock(ClustersDock)
    yield "emerging"
    hand.until(lambda: not session.trains)
    hand.rest()

    hand.open(clusters.asking[0])
    hand.push(clusters.embed_button)
    hand.rest()
    hand.open(clusters.working.fold)
    hand.push(clusters.working.compare)
    hand.rest()
    yield "trained"
    hand.menu("Plugins", "Phenoscape", "Runs (Phenoscape)")
    runs = hand.dock(RunsDock)
    hand.rest()
    hand.row(runs.table, 0, 0)
    hand.row(runs.table, 1, 0, CONTROL)
    hand.rest()
    yield "runs"
    asked = runs.evaluating
    hand.row(runs.table, 0, 0)
    hand.open(asked.fold)
    hand.type(asked.label.lineEdit(), "morph")
    hand.push(asked.button)
    hand.rest()
    hand.until(asked.verdict.text)
    yield "evaluated"
    hand.push(runs.open_button)
    hand.rest()

    hand.dock(ClustersDock)
    hand.push(clusters.report_button)
    hand.until(clusters.page_button.isVisible)
    hand.rest()


def patched(session: Session) -> tuple[list[int], int]:
    """Rows of the specimens with a UV patch, and the cluster that has most of them."""
    clustered = session.clustered
    assert clustered is not None
    rows = np.flatnonzero(clustered.table["morph"] == "patched")
    numbers, counts = np.unique(clustered.clusters.labels[rows], return_counts=True)
    number = int(numbers[counts.argmax()])
    return np.flatnonzero(clustered.clusters.labels == number).tolist(), number


def place_of(scatter: Scatter, row: int) -> QPoint:
    """Where a specimen is on the map, in pixels of its viewport."""
    return scatter.mapFromScene(scatter.getViewBox().mapViewToScene(QPointF(*scatter.dots.xy[row])))


def around(scatter: Scatter, rows: Sequence[int]) -> list[QPoint]:
    """A line on the map around some specimens, in pixels of its viewport."""
    places = [place_of(scatter, row) for row in rows]
    xy = np.array([[place.x(), place.y()] for place in places])
    middle, angles = xy.mean(axis=0), np.linspace(-np.pi, np.pi, 37)
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    reach = ((xy - middle) @ directions.T).max(axis=0) + 8
    line = np.rint(middle + reach[:, None] * directions).astype(int)
    return [QPoint(x, y) for x, y in line.tolist()]


def page_of(report: Path, picture: Path) -> None:
    """What Chromium shows of a report, where there is one."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        print(f"{picture.name} stays as it is: there is no Chromium")
        return
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=3000"]
    taken = ["--window-size=1200,1000", f"--screenshot={picture}", report.absolute().as_uri()]
    subprocess.run([browser, *flags, *taken], check=True, capture_output=True)
    saved(Image.open(picture), picture)


def saved(picture: Image.Image, path: Path) -> None:
    """Write a picture in few enough colours to be small."""
    picture.convert("RGB").quantize(256).save(path, optimize=True)
    print(f"{path.name}: {picture.width} x {picture.height}, {path.stat().st_size // 1024} kB")


def main() -> None:
    """Take the walk, with a picture of each step."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--size", default="1600x1000")
    parser.add_argument("--theme", default="dark", choices=["dark", "light"])
    parser.add_argument("--out", type=Path, default=IMAGES)
    given = parser.parse_args()
    guard_torch()
    get_settings(None).appearance.theme = given.theme  # of this napari, not of the user's
    out = given.out.absolute()
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="phenoscape-") as folder:
        os.chdir(folder)  # so that the pictures show short, relative paths
        result(write_samples("samples", specimens=72))
        viewer = napari.Viewer(title="napari")
        viewer.window.set_geometry(0, 0, *map(int, given.size.split("x")))
        QTest.qWait(500)
        hand = Hand(viewer)
        for name in walk(hand, Path("samples/multispectral")):
            QTest.qWait(800)
            saved(hand.seen(), out / f"walk-{name}.png")
        assert hand.session.run is not None  # it was trained
        page_of(hand.session.run / "report.html", out / "walk-page.png")
        viewer.close()


if __name__ == "__main__":
    main()
