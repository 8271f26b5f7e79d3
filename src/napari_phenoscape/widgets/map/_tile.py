"""Tile: who the specimen under the cursor is."""

from __future__ import annotations

from html import escape

from qtpy.QtCore import QPoint, QSize, Qt
from qtpy.QtGui import QGuiApplication, QPixmap
from qtpy.QtWidgets import QFrame, QHBoxLayout, QLabel

from napari_phenoscape.widgets._clustered import ClusteredRun
from napari_phenoscape.widgets.map._dots import image_of

#: Side of the picture, and the distance from the cursor, in pixels.
SIDE, AWAY = 112, 16

#: Lines of metadata at most.
LINES = 8


class Tile(QFrame):
    """Picture, id, cluster, metadata and next cluster of one specimen, beside the cursor."""

    def __init__(self) -> None:
        super().__init__(None, Qt.WindowType.ToolTip)
        self.setAttribute(Qt.WidgetAttribute.WA_ShowWithoutActivating)
        self.setAttribute(Qt.WidgetAttribute.WA_TransparentForMouseEvents)
        self.setFrameShape(QFrame.Shape.Box)
        self.picture, self.words = QLabel(), QLabel()
        self.picture.setFixedSize(SIDE, SIDE)
        self.words.setTextFormat(Qt.TextFormat.RichText)
        self.words.setAlignment(Qt.AlignmentFlag.AlignTop)
        layout = QHBoxLayout(self)
        layout.setContentsMargins(6, 6, 8, 6)
        layout.addWidget(self.picture, alignment=Qt.AlignmentFlag.AlignTop)
        layout.addWidget(self.words)
        self.specimen = ""
        self._style = ""

    def show_specimen(self, clustered: ClusteredRun, row: int, at: QPoint, style: str) -> None:
        """Say who it is, beside a place on the screen; in the style sheet of the window."""
        if self._style != style:
            self._style = style
            self.setStyleSheet(f"{style}\nTile {{ border: 1px solid #888888; }}")
        self.specimen = clustered.ids[row]
        image = image_of(clustered.backdrop.pictures[row])
        self.picture.setPixmap(
            QPixmap.fromImage(image).scaled(
                QSize(SIDE, SIDE), transformMode=Qt.TransformationMode.SmoothTransformation
            )
        )
        self.words.setText(_words(clustered, row))
        self.adjustSize()
        screen = QGuiApplication.screenAt(at) or QGuiApplication.primaryScreen()
        x, y = at.x() + AWAY, at.y() + AWAY
        if screen is not None:
            room = screen.availableGeometry()
            if x + self.width() > room.right():
                x = at.x() - AWAY - self.width()
            y = max(room.top(), min(y, room.bottom() - self.height()))
        self.move(x, y)
        self.show()
        self.raise_()


def _words(clustered: ClusteredRun, row: int) -> str:
    clusters = clustered.clusters
    label = int(clusters.labels[row])
    square = f'<span style="color:{clusters.colours[label]}">■</span>'
    lines = [f"<b>{escape(clustered.ids[row])}</b>", f"{square} {escape(clusters.names[label])}"]
    if (near := clustered.next_cluster(row)) is not None:
        lines.append(f"next to {escape(clusters.names[near])}")
    known = clustered.known_of(row)
    lines += [f"{escape(name)}: {escape(value)}" for name, value in [*known.items()][:LINES]]
    if len(known) > LINES:
        lines.append(f"and {len(known) - LINES} more columns")
    return "<br>".join(lines)
