"""Dock: the look and the manners that all docks share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyqtgraph as pg
from qtpy.QtCore import QSize, Qt
from qtpy.QtWidgets import (
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QTableWidget,
    QTableWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_phenoscape.events import Event, Failed, Notice, Progress
from napari_phenoscape.widgets.form import note, without_wheel
from napari_phenoscape.widgets.session import session_of
from napari_phenoscape.widgets.worker import Task

if TYPE_CHECKING:
    import napari.viewer

#: Wide enough for every form, narrow enough to leave a canvas on a 1280 x 800 screen.
WIDTH = 380

ERROR = "color: #ff6b6b;"
PLAIN = ""


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
        scroll = QScrollArea()
        scroll.setWidgetResizable(True)
        scroll.setFrameShape(QScrollArea.Shape.NoFrame)
        scroll.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        scroll.setWidget(content)
        self.foot = QVBoxLayout()
        self.foot.setContentsMargins(6, 0, 6, 6)
        self.foot.setSpacing(4)
        self.progress = QProgressBar()
        self.progress.hide()
        self.stop_button = QPushButton("Stop")
        self.stop_button.setToolTip("End this piece of work; nothing that was there is lost")
        self.stop_button.clicked.connect(self._stop)
        self.stop_button.hide()
        self.words = self._error_words = note()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addWidget(scroll, 1)
        layout.addLayout(self.foot)
        self.foot.addLayout(row(self.progress, self.stop_button))
        self.foot.addWidget(self.words)
        self.setMinimumWidth(300)

    def sizeHint(self) -> QSize:
        """As wide as all our docks."""
        return QSize(WIDTH, 600)

    def listen(self, event: Any, slot: Callable[..., None]) -> None:
        """Connect to an event of napari until this dock is closed; napari would not let go."""
        event.connect(slot)
        self.destroyed.connect(lambda: event.disconnect(slot))

    def say(self, words: str, error: bool = False) -> None:
        """Put a sentence at the foot of the dock."""
        tell(self.words, words, error)

    def button(self, text: str, tip: str, act: Callable[[], None]) -> QPushButton:
        """A button that explains itself."""
        button = QPushButton(text)
        button.setToolTip(tip)
        button.clicked.connect(lambda: act())
        self._tips[button] = tip
        return button

    def allow(self, button: QPushButton, unless: str = "") -> None:
        """Enable a button, or grey it and say why."""
        button.setEnabled(not unless)
        button.setToolTip(unless or self._tips[button])

    def follow(self, task: Task, done: str = "", beside: QLabel | None = None) -> None:
        """Show the progress of a task, and how it ended; the task before it is forgotten.

        What goes wrong is said at the foot, or ``beside`` the field that it comes from.
        """
        self._followed, self._done_words = task, done
        self._error_words = beside or self.words
        self.say("")
        self.progress.setRange(0, 0)
        self.progress.setFormat(task.title)
        self.progress.show()
        self.stop_button.show()
        # methods, not lambdas: Qt disconnects them when the dock is closed
        task.happened.connect(self._on_event)
        task.state_changed.connect(self._on_state)

    def _stop(self) -> None:
        if self._followed is not None:
            self._followed.stop()

    def _on_event(self, event: Event) -> None:
        if self.sender() is not self._followed:
            return
        if isinstance(event, Progress):
            self.progress.setRange(0, max(event.total, 1))
            self.progress.setValue(event.done)
            self.progress.setFormat(f"{event.what}: {event.done} of {event.total}")
        elif isinstance(event, Notice):
            self.say(event.message)
        elif isinstance(event, Failed):
            tell(self._error_words, event.message, error=True)

    def _on_state(self, state: str) -> None:
        task = self._followed
        if task is None or self.sender() is not task or task.busy:
            return
        self.progress.hide()
        self.stop_button.hide()
        if state == "stopped":
            self.say(f"{task.title}: stopped.")
        elif state == "done" and self._done_words:
            self.say(self._done_words)


def tell(label: QLabel, words: str, error: bool = False) -> None:
    """Put a sentence into a label, in red when something is wrong; without words it is hidden."""
    label.setStyleSheet(ERROR if error else PLAIN)
    label.setText(words)
    label.setVisible(bool(words))


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


def short_combo() -> QComboBox:
    """A combo box that a long name in it does not widen."""
    combo = QComboBox()
    combo.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
    combo.setMinimumContentsLength(8)
    without_wheel(combo)
    return combo


def plot(x: str, y: str, height: int) -> pg.PlotWidget:
    """An empty plot in the colours of the window, with its axes named."""
    widget = pg.PlotWidget(background=None)
    widget.setLabel("bottom", x)
    widget.setLabel("left", y)
    widget.setFixedHeight(height)
    for side in ("bottom", "left"):
        widget.getAxis(side).enableAutoSIPrefix(False)  # no thousandths of a reflectance
    widget.getPlotItem().setMenuEnabled(False)
    widget.getPlotItem().hideButtons()
    widget.getPlotItem().layout.setContentsMargins(0, 8, 4, 8)  # or ends of axes are cut
    return widget


def short(path: Path) -> Path:
    """A path as seen from the current folder, when it lies in it."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def count_of(number: int, noun: str) -> str:
    """``1 file``, ``2 files``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def fill_table(table: QTableWidget, header: list[str], rows: list[list[str]]) -> None:
    """Show rows of words; long ones in the tooltip too."""
    table.setColumnCount(len(header))
    table.setHorizontalHeaderLabels(header)
    table.setRowCount(len(rows))
    for i, words in enumerate(rows):
        for j, word in enumerate(words):
            item = QTableWidgetItem(word)
            item.setToolTip(word)
            table.setItem(i, j, item)
    table.resizeColumnsToContents()


def small_table(height: int) -> QTableWidget:
    """A table that only shows."""
    table = QTableWidget()
    table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
    table.setFixedHeight(height)
    header = table.verticalHeader()
    if header is not None:
        header.hide()
        header.setDefaultSectionSize(20)
    return table
