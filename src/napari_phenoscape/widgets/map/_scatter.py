"""Scatter: the map of the embeddings, on which specimens are looked at and chosen."""

from __future__ import annotations

from html import escape
from typing import Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from qtpy.QtCore import QEvent, QPoint, QPointF, QSize, Qt, QTimer, Signal
from qtpy.QtGui import QColor, QKeyEvent, QMouseEvent, QPalette
from qtpy.QtWidgets import QSizePolicy

from napari_phenoscape.analysis import inside
from napari_phenoscape.widgets._clustered import ClusteredRun, Projection2D
from napari_phenoscape.widgets._dock import Plot
from napari_phenoscape.widgets.map._dots import DOT, Dots
from napari_phenoscape.widgets.map._tile import Tile

#: What dragging with the left button does. The middle one always moves the map.
LASSO, BOX, MOVE = "Lasso", "Box", "Move"

#: Least height, and how far a hand may shake in a click, in pixels.
LEAST, SHAKE = 210, 4

#: So long the cursor rests before it is said who is under it, in ms.
REST_MS = 40


class Scatter(Plot):
    """The specimens in their colours: a click, a lasso or a box chooses, hovering tells who.

    Shift adds to those that are chosen, Alt takes away, Escape chooses nobody.
    """

    chosen = Signal(object, str)  #: ids, and "only", "add" or "remove"

    def __init__(self) -> None:
        super().__init__(LEAST)
        self.setMinimumHeight(LEAST)
        self.setMaximumHeight(16_777_215)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setFocusPolicy(Qt.FocusPolicy.ClickFocus)
        # marks and pictures reach over the edge of the dots, and would stay there
        self.setViewportUpdateMode(self.ViewportUpdateMode.FullViewportUpdate)
        for axis in ("bottom", "left"):  # a map has no units
            self.hideAxis(axis)
        self.tool = LASSO
        self.dots = Dots()
        self.addItem(self.dots)
        self.line = pg.PlotCurveItem()
        self.ink(lambda colour: self.line.setPen(pg.mkPen(colour, width=1.5)))
        self.addItem(self.line, ignoreBounds=True)
        self.tile = Tile()
        self.destroyed.connect(self.tile.deleteLater)
        self._clustered: ClusteredRun | None = None
        self._map: Projection2D | None = None
        self._pressed: QPointF | None = None
        self._corners: list[tuple[float, float]] = []
        self._cursor = QPoint()
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.setInterval(REST_MS)
        self._rest.timeout.connect(self._tell)
        self.ink(self._say_title)

    def draw(self, clustered: ClusteredRun, selected: tuple[str, ...]) -> None:
        """Show the map of a run, with some specimens marked."""
        another, self._map = clustered.plotted is not self._map, clustered.plotted
        self._clustered = clustered
        rows = np.fromiter((clustered.rows[one] for one in selected), np.intp, len(selected))
        self.dots.show_specimens(
            clustered.plotted.xy, clustered.colours, clustered.backdrop.pictures, rows
        )
        self._say_title(self.palette().color(QPalette.ColorRole.WindowText))
        if another:  # else the user may have looked closer
            self.tile.hide()
            self.show_all()

    def show_all(self) -> None:
        """Bring the whole map into sight; pictures at its edge have room."""
        self.getViewBox().autoRange(padding=0.12)

    def sizeHint(self) -> QSize:
        """Small; it takes what it is given."""
        return QSize(LEAST, LEAST)

    def row_at(self, place: QPointF) -> int | None:
        """The row of the specimen at a place of the widget, None on the ground."""
        if self._clustered is None:
            return None
        seen = self.dots.in_sight()
        if not len(seen):
            return None
        at = self.getViewBox().mapSceneToView(self.mapToScene(place.toPoint()))
        wide, high = self.getViewBox().viewPixelSize()
        away = (self.dots.xy[seen] - np.array([at.x(), at.y()])) / np.array([wide, high])
        side = self.dots.side(len(seen))
        nearest = int((away**2).sum(axis=1).argmin())
        reach = side / 2 + 2 if side else DOT
        return int(seen[nearest]) if np.abs(away[nearest]).max() <= reach else None

    def mousePressEvent(self, event: QMouseEvent | None) -> None:
        """Begin a click, a lasso or a box."""
        assert event is not None
        self._hide_tile()
        if event.button() != Qt.MouseButton.LeftButton:
            super().mousePressEvent(event)
            return
        self._pressed, self._corners = event.position(), []
        if self.tool == MOVE:
            super().mousePressEvent(event)

    def mouseMoveEvent(self, event: QMouseEvent | None) -> None:
        """Draw the line around specimens, or ask who is under the cursor."""
        assert event is not None
        if event.buttons() == Qt.MouseButton.NoButton:
            self._cursor = event.position().toPoint()
            self._rest.start()
        if self._pressed is None or self.tool == MOVE:
            super().mouseMoveEvent(event)
            return
        start, here = self._pressed, event.position()
        if not self._corners and (here - start).manhattanLength() <= SHAKE:
            return
        if self.tool == BOX:
            places = [start, QPointF(here.x(), start.y()), here, QPointF(start.x(), here.y())]
            self._corners = [self._on_map(place) for place in places]
        else:
            self._corners = [*(self._corners or [self._on_map(start)]), self._on_map(here)]
        line = np.array([*self._corners, self._corners[0]])
        self.line.setData(line[:, 0], line[:, 1])

    def mouseReleaseEvent(self, event: QMouseEvent | None) -> None:
        """Choose what was clicked, or lies in the line."""
        assert event is not None
        start, self._pressed = self._pressed, None
        if start is None or event.button() != Qt.MouseButton.LeftButton:
            super().mouseReleaseEvent(event)
            return
        if self.tool == MOVE:
            super().mouseReleaseEvent(event)
        how = how_chosen(event.modifiers())
        if self._corners and self._clustered is not None:
            held = inside(self.dots.xy, np.array(self._corners))
            self._corners = []
            self.line.setData([], [])
            self.chosen.emit(self._ids(np.flatnonzero(held)), how)
            return
        clicked = (event.position() - start).manhattanLength() <= SHAKE
        if clicked and (row := self.row_at(event.position())) is not None:
            self.chosen.emit(self._ids(np.array([row])), how)

    def keyPressEvent(self, event: QKeyEvent | None) -> None:
        """Escape gives a line up, or chooses nobody."""
        assert event is not None
        if event.key() != Qt.Key.Key_Escape:
            super().keyPressEvent(event)
            return
        if self._corners:
            self._pressed, self._corners = None, []
            self.line.setData([], [])
        else:
            self.chosen.emit((), "only")
        event.accept()

    def leaveEvent(self, event: QEvent | None) -> None:
        """Nobody is under the cursor."""
        super().leaveEvent(event)
        self._hide_tile()

    def hideEvent(self, event: Any) -> None:
        """Nor when the map is not seen."""
        super().hideEvent(event)
        self._hide_tile()

    def _hide_tile(self) -> None:
        self._rest.stop()
        self.tile.hide()

    def _tell(self) -> None:
        row = self.row_at(QPointF(self._cursor))
        if row is None or self._clustered is None:
            self.tile.hide()
        else:
            self.tile.show_specimen(
                self._clustered, row, self.mapToGlobal(self._cursor), self.window().styleSheet()
            )

    def _ids(self, rows: NDArray[np.intp]) -> tuple[str, ...]:
        assert self._clustered is not None  # whose dots they are
        ids = self._clustered.ids
        return tuple([ids[row] for row in rows.tolist()])

    def _on_map(self, place: QPointF) -> tuple[float, float]:
        at = self.getViewBox().mapSceneToView(self.mapToScene(place.toPoint()))
        return at.x(), at.y()

    def _say_title(self, ink: QColor) -> None:
        self.setTitle("" if self._map is None else escape(self._map.title), size="9pt", color=ink)


def how_chosen(modifiers: Qt.KeyboardModifier) -> str:
    """What is done with those that were chosen before."""
    if modifiers & Qt.KeyboardModifier.ShiftModifier:
        return "add"
    return "remove" if modifiers & Qt.KeyboardModifier.AltModifier else "only"
