"""Dots: what is drawn on the map, by how much of it is in sight."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from qtpy.QtCore import QRectF, Qt
from qtpy.QtGui import QColor, QIcon, QImage, QPainter, QPen, QPixmap

from napari_phenoscape.analysis import density

#: More dots in sight than this are shown as their density.
MANY = 50_000

#: Sides of pictures in pixels: smaller ones would show nothing, so dots are drawn instead.
SMALLEST, LARGEST = 20, 64

#: Share of the map that pictures may cover together.
COVER = 1 / 3

DOT = 8


def picture_side(count: int, width: float, height: float) -> int:
    """Side in pixels of so many pictures in a window; 0 where they would be too small."""
    side = min(LARGEST, sqrt(COVER * width * height / max(count, 1)))
    return int(side) if side >= SMALLEST else 0


class Dots(pg.GraphicsObject):
    """N specimens at their places: pictures if few are in sight, dots, or their density.

    Those that are chosen are drawn last, in a white frame with a black one around it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.xy: NDArray[np.float32] = np.zeros((0, 2), np.float32)
        self.colours: NDArray[np.uint8] = np.zeros((0, 3), np.uint8)
        self.pictures: NDArray[np.uint8] | None = None
        self.marked: NDArray[np.intp] = np.zeros(0, np.intp)
        self.drawn_as = ""  #: "pictures", "dots" or "density": what was painted last
        self._codes: NDArray[np.intp] = np.zeros(0, np.intp)
        self._pens: list[QColor] = []
        self._picture: tuple[Any, QImage] | None = None

    def show_specimens(
        self,
        xy: NDArray[np.float32],
        colours: NDArray[np.uint8],
        pictures: NDArray[np.uint8] | None,
        marked: NDArray[np.intp],
    ) -> None:
        """Draw (N, 2) places, (N, 3) colours, (N, h, h, 3) pictures, and the chosen rows."""
        if xy is not self.xy:
            self.prepareGeometryChange()
        if colours is not self.colours:
            packed = colours.astype(np.int32) @ np.array([65536, 256, 1], np.int32)
            if len(packed) > MANY:  # sorting a million takes longer than to count them
                there = np.zeros(1 << 24, np.bool_)
                there[packed] = True
                found = np.flatnonzero(there)
                self._codes = np.searchsorted(found, packed)
            else:
                found, self._codes = np.unique(packed, return_inverse=True)
            self._pens = [QColor.fromRgb(int(one)) for one in found]
        self.xy, self.colours, self.pictures, self.marked = xy, colours, pictures, marked
        self._picture = None
        self.update()

    def boundingRect(self) -> QRectF:
        """All of the map."""
        if not len(self.xy):
            return QRectF()
        # who has no place is not drawn
        (x0, y0), (x1, y1) = np.nanmin(self.xy, axis=0), np.nanmax(self.xy, axis=0)
        return QRectF(float(x0), float(y0), float(x1 - x0), float(y1 - y0))

    def viewRangeChanged(self, *_: Any) -> None:
        """Another part is looked at, so something else may be drawn."""
        self.update()

    def in_sight(self) -> NDArray[np.intp]:
        """Rows of the specimens that are in the window."""
        (x0, x1), (y0, y1) = self.getViewBox().viewRange()
        x, y = self.xy.T
        return np.flatnonzero((x >= x0) & (x <= x1) & (y >= y0) & (y <= y1))

    def side(self, seen: int) -> int:
        """Side of the pictures, when so many specimens are in sight; 0 when dots are drawn."""
        box = self.getViewBox()
        return 0 if self.pictures is None else picture_side(seen, box.width(), box.height())

    def paint(self, painter: Any, *_: Any) -> None:
        """Draw what is in sight."""
        seen = self.in_sight()
        if len(seen) > MANY:
            self.drawn_as = "density"
            self._paint_density(painter)
            return
        chosen = np.zeros(len(self.xy), np.bool_)
        chosen[self.marked] = True
        side = self.side(len(seen))
        self.drawn_as = "pictures" if side else "dots"
        painter.setRenderHint(QPainter.RenderHint.Antialiasing, len(seen) <= 5000)
        if side:
            self._paint_pictures(painter, seen[~chosen[seen]], side, chosen=False)
            self._paint_pictures(painter, seen[chosen[seen]], side, chosen=True)
            return
        self._paint_dots(painter, seen[~chosen[seen]])
        marked = seen[chosen[seen]]
        for size, colour in ((DOT + 7, Qt.GlobalColor.black), (DOT + 4, Qt.GlobalColor.white)):
            self._points(painter, marked, QColor(colour), size)
        self._paint_dots(painter, marked)

    def _paint_dots(self, painter: Any, rows: NDArray[np.intp]) -> None:
        if not len(rows):
            return
        codes = self._codes[rows]
        order = np.argsort(codes, kind="stable")
        found, first = np.unique(codes[order], return_index=True)
        for code, part in zip(found.tolist(), np.split(rows[order], first[1:]), strict=True):
            self._points(painter, part, self._pens[code], DOT)

    def _points(self, painter: Any, rows: NDArray[np.intp], colour: QColor, size: int) -> None:
        if len(rows):
            painter.setPen(QPen(colour, size, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap))
            across = painter.transform()
            x, y = self.xy[rows].astype(np.float64).T
            right = across.m11() * x + across.m21() * y + across.dx()
            down = across.m12() * x + across.m22() * y + across.dy()
            painter.save()
            painter.resetTransform()  # or dots are as long as the map is
            painter.drawPoints(pg.functions.arrayToQPolygonF(right, down))
            painter.restore()

    def _paint_pictures(
        self, painter: Any, rows: NDArray[np.intp], side: int, *, chosen: bool
    ) -> None:
        assert self.pictures is not None  # or there are dots
        transform = painter.transform()
        painter.save()
        painter.resetTransform()
        painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
        frames = [(3.0, 2.0, QColor(Qt.GlobalColor.white)), (5.0, 2.0, QColor("black"))]
        for row in rows.tolist():
            x, y = transform.map(float(self.xy[row, 0]), float(self.xy[row, 1]))
            square = QRectF(x - side / 2, y - side / 2, side, side)
            painter.drawImage(square, image_of(self.pictures[row]))
            own = self._pens[self._codes[row]]
            for out, width, colour in [(0.5, 2.0, own), *(frames if chosen else [])]:
                painter.setPen(QPen(colour, width))
                painter.drawRect(square.adjusted(-out, -out, out, out))
        painter.restore()

    def _paint_density(self, painter: Any) -> None:
        box = self.getViewBox()
        (x0, x1), (y0, y1) = box.viewRange()
        key = (x0, x1, y0, y1, box.width(), box.height())
        if self._picture is None or self._picture[0] != key:
            window, shape = (x0, y0, x1, y1), (max(1, int(box.height())), max(1, int(box.width())))
            picture = density(self.xy, self.colours, window, shape)
            if len(self.marked):
                picture[..., 3] //= 4
                own = density(self.xy[self.marked], self.colours[self.marked], window, shape)
                there = own[..., 3] > 0
                picture[there] = own[there]
                picture[there, 3] = 255
            self._picture = key, image_of(picture)
        painter.drawImage(QRectF(x0, y0, x1 - x0, y1 - y0), self._picture[1])


def image_of(picture: NDArray[np.uint8]) -> QImage:
    """(h, w, 3 or 4) picture as Qt's, in memory of its own."""
    height, width, channels = picture.shape
    kind = QImage.Format.Format_RGB888 if channels == 3 else QImage.Format.Format_RGBA8888
    return QImage(picture.tobytes(), width, height, channels * width, kind).copy()


def icon_of(picture: NDArray[np.uint8], side: int) -> QIcon:
    """(h, w, 3) picture to stand in a table; its colours stay in a row that is chosen."""
    small = QPixmap.fromImage(image_of(picture)).scaled(
        side,
        side,
        Qt.AspectRatioMode.KeepAspectRatio,
        Qt.TransformationMode.SmoothTransformation,
    )
    icon = QIcon(small)
    icon.addPixmap(small, QIcon.Mode.Selected)
    return icon
