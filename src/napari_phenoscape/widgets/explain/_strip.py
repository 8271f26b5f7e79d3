"""Strip: thumbnails of specimens side by side, to choose from."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QSize, Qt, Signal
from qtpy.QtGui import QIcon, QImage, QPalette, QPixmap
from qtpy.QtWidgets import QHBoxLayout, QToolButton, QWidget

from napari_phenoscape.widgets._dock import column_of
from napari_phenoscape.widgets.form._note import as_it_is, note

#: Thumbnails that fit side by side, and their sides in pixels.
ACROSS, SIDE = 6, 44


class Tile(NamedTuple):
    """A specimen in a strip.

    Parameters
    ----------
    specimen
        Its id.
    picture : (h, w, 3) uint8
        Its thumbnail.
    words
        Below it.
    tip
        When the cursor is on it.
    colour
        Of its frame, ``#rrggbb``.
    """

    specimen: str
    picture: NDArray[np.uint8]
    words: str
    tip: str
    colour: str


class Strip(QWidget):
    """A line of words, and tiles below it; six at most."""

    chosen = Signal(str)  #: id of the specimen that was clicked

    def __init__(self) -> None:
        super().__init__()
        self.words = note()
        self.tiles: list[QToolButton] = []
        self._row = QHBoxLayout()
        self._row.setSpacing(4)
        column = column_of(self)
        column.addWidget(self.words)
        column.addLayout(self._row)
        self._row.addStretch(1)

    def show_tiles(self, words: str, tiles: Sequence[Tile]) -> None:
        """Show these specimens in place of those before."""
        self.words.setText(words)
        for old in self.tiles:
            self._row.removeWidget(old)
            old.hide()
            old.deleteLater()  # it may be the one whose click is being answered
        self.tiles = [self._button(tile) for tile in tiles[:ACROSS]]
        for i, button in enumerate(self.tiles):
            self._row.insertWidget(i, button)

    def mark(self, specimen: str) -> None:
        """Give the specimen that is chosen a frame in the ink of the window."""
        ink = self.palette().color(QPalette.ColorRole.WindowText).name()
        for button in self.tiles:
            frame = ink if button.property("specimen") == specimen else button.property("colour")
            button.setStyleSheet(
                f"QToolButton {{ border: 2px solid {frame}; padding: 1px; font-size: 8pt; }}"
            )

    def _button(self, tile: Tile) -> QToolButton:
        height, width = tile.picture.shape[:2]
        image = QImage(
            tile.picture.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888
        ).copy()  # its own memory
        button = QToolButton()
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextUnderIcon)
        button.setIcon(QIcon(QPixmap.fromImage(image)))
        button.setIconSize(QSize(SIDE, SIDE))
        button.setText(tile.words.replace("&", "&&"))  # one alone underlines
        button.setToolTip(as_it_is(tile.tip))
        button.setProperty("specimen", tile.specimen)
        button.setProperty("colour", tile.colour)
        button.clicked.connect(partial(self._click, tile.specimen))
        return button

    def _click(self, specimen: str, _checked: bool = False) -> None:
        self.chosen.emit(specimen)
