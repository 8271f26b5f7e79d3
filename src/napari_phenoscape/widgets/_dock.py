"""Dock: the look and the manners that all docks share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyqtgraph as pg
from qtpy.QtCore import QEvent, QObject, QSize, Qt, QTimer
from qtpy.QtGui import QColor, QIcon, QPalette, QPixmap, QShowEvent
from qtpy.QtWidgets import (
    QComboBox,
    QDockWidget,
    QFormLayout,
    QHBoxLayout,
    QMainWindow,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QTabBar,
    QVBoxLayout,
    QWidget,
)

from napari_phenoscape._remote import address
from napari_phenoscape.events import Event, Failed, Notice, Progress
from napari_phenoscape.widgets._problem import CopyReport
from napari_phenoscape.widgets._session import session_of
from napari_phenoscape.widgets._worker import Task, Traced
from napari_phenoscape.widgets.form._fold import without_wheel
from napari_phenoscape.widgets.form._note import Note, as_it_is, note

if TYPE_CHECKING:
    import napari.viewer

#: Wide enough for every form, narrow enough to leave a canvas on a 1280 x 800 screen.
WIDTH = 380

#: The least height of a dock, in pixels.
LOW = 250


class Dock(QWidget):
    """A column that scrolls, and below it what always stays in sight: progress and words.

    Parameters
    ----------
    viewer
        Whose session this dock shows.
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__()
        self.viewer = viewer
        self.session = session_of(viewer)
        self._framed = False
        last_acts: list[Callable[[], object]] = []
        self._last_acts = last_acts
        self.destroyed.connect(lambda: _do_all(last_acts))
        self._tips: dict[QPushButton, str] = {}
        self._followed: Task | None = None
        self._done_words = ""
        content = QWidget()
        self.column = QVBoxLayout()
        self.column.setSpacing(6)
        whole = QVBoxLayout(content)
        whole.setContentsMargins(6, 6, 6, 6)
        whole.addLayout(self.column)
        whole.addStretch(1)  # takes the room that is left over
        self._whole = whole
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(content)
        self._scroll = scroll
        self.foot = QVBoxLayout()
        self.foot.setContentsMargins(6, 0, 6, 6)
        self.foot.setSpacing(4)
        self.progress = QProgressBar()
        self.stop_button = QPushButton("Stop")
        self.stop_button.setToolTip("End this piece of work; nothing that was there is lost")
        self.stop_button.clicked.connect(self._stop)
        # hidden as one: a layout of which all is hidden lets its neighbours grow into the dock
        self.work = QWidget()
        self.work.setLayout(row(self.progress, self.stop_button))
        self.work.hide()
        self.words = self._error_words = note()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(scroll, 1)
        layout.addLayout(self.foot)
        self.foot.addWidget(self.work)
        self.foot.addWidget(self.words)
        self.problem = CopyReport(self.session)
        self.foot.addWidget(self.problem)
        self.setMinimumWidth(300)
        self._shown_before = False

    def fill(self, widget: QWidget) -> None:
        """Give a widget of the column all the height that is left over."""
        self.column.setStretchFactor(widget, 1)
        self._whole.setStretch(0, 1_000_000)

    def see(self, part: QWidget) -> None:
        """Scroll until a part of the column is in sight."""
        self._scroll.ensureWidgetVisible(part)

    def sizeHint(self) -> QSize:
        """As wide as all our docks."""
        return QSize(WIDTH, 600)

    def minimumSizeHint(self) -> QSize:
        """Low enough for two, one below the other until they are tabs, or the window would grow."""
        return super().minimumSizeHint().boundedTo(QSize(WIDTH, LOW))

    def showEvent(self, event: QShowEvent | None) -> None:
        """The first time, become a tab of our docks that are open."""
        super().showEvent(event)
        if not self._shown_before:
            self._shown_before = True
            QTimer.singleShot(0, self._join)

    def _join(self) -> None:
        """One below the other none of them would have room."""
        window, mine = self.window(), frame_of(self)
        if mine is None or not isinstance(window, QMainWindow):
            return
        mine.setWindowTitle(mine.windowTitle().partition(" ")[0])  # five tabs have room
        for other in window.findChildren(Dock):
            frame = frame_of(other)
            if (
                frame is not None
                and frame is not mine
                and not frame.isHidden()
                and not frame.isFloating()
                and window.dockWidgetArea(frame) == window.dockWidgetArea(mine)
            ):
                window.tabifyDockWidget(frame, mine)
                mine.raise_()
                for bar in window.findChildren(QTabBar):
                    bar.setElideMode(Qt.TextElideMode.ElideNone)  # "Tr… R…" of seven docks
                    bar.setUsesScrollButtons(True)
                return

    def listen(self, event: Any, slot: Callable[..., None]) -> None:
        """Connect to an event of napari or a signal of the session until this dock is closed."""
        event.connect(slot)
        self.at_close(lambda: event.disconnect(slot))

    def at_close(self, act: Callable[[], object]) -> None:
        """Do something when this dock is closed, or deleted with its window."""
        self._last_acts.append(act)

    def event(self, event: QEvent | None) -> bool:
        """End with the frame: closed by its ×, napari takes the dock out, and forgets it."""
        if event is not None and event.type() == QEvent.Type.ParentChange:
            framed, self._framed = self._framed, self.parent() is not None
            if framed and not self._framed:
                _do_all(self._last_acts)
                self.deleteLater()
        return super().event(event)

    def resume(self, title: str) -> bool:
        """Follow the work of this title that a dock before this one began, if there is any."""
        task = self.session.task(title)
        if task is None or not task.busy:
            return False
        self.follow(task)
        return True

    def say(self, words: str, error: bool = False) -> None:
        """Put a sentence at the foot of the dock."""
        self.words.say(words, "error" if error else "plain")
        self.problem.offer(words if error else "")

    def button(self, text: str, tip: str, act: Callable[[], object]) -> QPushButton:
        """A button that explains itself."""
        button = QPushButton(text)
        button.setToolTip(tip)
        button.clicked.connect(lambda: act())
        self._tips[button] = tip
        return button

    def allow(self, button: QPushButton, unless: str = "") -> None:
        """Enable a button, or grey it and say why."""
        button.setEnabled(not unless)
        button.setToolTip(as_it_is(unless) or self._tips[button])

    def follow(self, task: Task, done: str = "", beside: Note | None = None) -> None:
        """Show the progress of a task, and how it ended; the task before it is forgotten.

        What goes wrong is said at the foot, or ``beside`` the field that it comes from.
        """
        if (before := self._followed) is not None:
            before.event_received.disconnect(self._on_event)
            before.state_changed.disconnect(self._on_state)
        self._followed, self._done_words = task, done
        self._error_words = beside or self.words
        self.say("")
        self.progress.setRange(0, 0)
        self.progress.setFormat(task.title)
        if task.progress is not None:  # it began before this dock
            self._on_event(task.progress)
        self.work.show()
        # methods, not lambdas: Qt disconnects them when the dock is closed
        task.event_received.connect(self._on_event)
        task.state_changed.connect(self._on_state)
        task.state_changed.connect(self._refresh)
        self._refresh()

    def _refresh(self) -> None:
        """Say what is possible now; asked when work begins, and whenever its state changes."""

    def _stop(self) -> None:
        if self._followed is not None:
            self._followed.stop()

    def _on_event(self, event: Event) -> None:
        self.problem.remember(event)
        if isinstance(event, Progress):
            self.progress.setRange(0, max(event.total, 1))
            self.progress.setValue(event.done)
            self.progress.setFormat(f"{event.what}: {event.done} of {event.total}")
        elif isinstance(event, Notice):
            self.say(event.message)
        elif isinstance(event, Failed):
            self._error_words.say(event.message, "error")
            self.problem.offer(event.message, event.traceback if isinstance(event, Traced) else "")

    def _on_state(self, state: str) -> None:
        task = self._followed
        if task is None or task.busy:
            return
        self.work.hide()
        if state == "stopped":
            self.say(f"{task.title}: stopped.")
        elif state == "done" and self._done_words:
            self.say(self._done_words)


def _do_all(acts: list[Callable[[], object]]) -> None:
    """Each once."""
    while acts:
        acts.pop()()


def frame_of(widget: QWidget) -> QDockWidget | None:
    """What holds a widget in the window."""
    parent = widget.parentWidget()
    while parent is not None and not isinstance(parent, QDockWidget):
        parent = parent.parentWidget()
    return parent


def row(*widgets: QWidget) -> QHBoxLayout:
    """Widgets side by side."""
    layout = QHBoxLayout()
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(4)
    for widget in widgets:
        layout.addWidget(widget)
    return layout


def column_of(box: QWidget) -> QVBoxLayout:
    """A layout that fills a widget from above."""
    layout = QVBoxLayout(box)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(4)
    return layout


def fields(**named: QWidget) -> QFormLayout:
    """Fields below each other, with their names."""
    form = QFormLayout()
    form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
    form.setSpacing(4)
    for name, field in named.items():
        form.addRow(name, field)
    return form


def stacked(*widgets: QWidget) -> QWidget:
    """Widgets one below the other."""
    box = QWidget()
    layout = column_of(box)
    for widget in widgets:
        layout.addWidget(widget)
    return box


def later(owner: QObject, milliseconds: int, act: Callable[[], object]) -> QTimer:
    """A timer that, once started, does something after a while, if its owner is still there."""
    timer = QTimer(owner)
    timer.setSingleShot(True)
    timer.setInterval(milliseconds)
    timer.timeout.connect(act)
    return timer


def short_combo() -> QComboBox:
    """A combo box that a long name in it does not widen."""
    combo = QComboBox()
    combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    combo.setMinimumContentsLength(8)
    without_wheel(combo)
    return combo


class Plot(pg.PlotWidget):
    """An empty plot on the ground of the window.

    Parameters
    ----------
    height
        In pixels.
    """

    def __init__(self, height: int) -> None:
        self._inked: list[Callable[[QColor], object]] = []
        super().__init__(background=None)
        self.setFixedHeight(height)
        self.getPlotItem().setMenuEnabled(False)
        self.getPlotItem().hideButtons()

    def ink(self, paint: Callable[[QColor], object]) -> None:
        """Call ``paint`` with the colour of the window's words, now and when the theme changes."""
        self._inked.append(paint)
        paint(self.palette().color(QPalette.ColorRole.WindowText))

    def changeEvent(self, event: QEvent | None) -> None:
        """Follow the theme of the window."""
        super().changeEvent(event)
        if event is not None and event.type() == QEvent.Type.StyleChange:
            colour = self.palette().color(QPalette.ColorRole.WindowText)
            for paint in self._inked:
                paint(colour)


def plot(x: str, y: str, height: int) -> Plot:
    """An empty plot with its axes named."""
    widget = Plot(height)
    name_axes(widget, x, y)
    return widget


def name_axes(widget: Plot, x: str, y: str) -> None:
    """Name the axes of a plot, in the ink of the window."""
    widget.setLabel("bottom", x)
    widget.setLabel("left", y)
    for side in ("bottom", "left"):
        axis = widget.getAxis(side)
        axis.enableAutoSIPrefix(False)  # no thousandths of a reflectance
        widget.ink(axis.setPen)
        widget.ink(axis.setTextPen)
    widget.getPlotItem().layout.setContentsMargins(0, 8, 4, 8)  # or ends of axes are cut


def swatch(colour: str) -> QIcon:
    """A square of a colour, to stand beside a name."""
    square = QPixmap(12, 12)
    square.fill(QColor(colour))
    icon = QIcon(square)
    icon.addPixmap(square, QIcon.Mode.Selected)  # or it is tinted in a row that is chosen
    return icon


def short(path: Path) -> str:
    """A path as seen from the current folder, when it lies in it; of a server its address."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else address(path)


def count_of(number: int, noun: str) -> str:
    """``1 file``, ``2 files``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
