"""The map of the embeddings, and the legend of their clusters."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
import pyqtgraph as pg
from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor, QPalette
from qtpy.QtWidgets import QHeaderView, QTableWidget, QTableWidgetItem

from napari_phenoscape.embeddings import NOISE, Clusters, legend
from napari_phenoscape.widgets._clustered import ClusteredRun, Projection2D
from napari_phenoscape.widgets._dock import Plot


class Scatter(Plot):
    """One dot for each specimen in its cluster's colour; chosen ones have a ring."""

    chosen = Signal(object)  #: set of specimen ids

    def __init__(self) -> None:
        super().__init__(220)
        for axis in ("bottom", "left"):  # a map has no units
            self.hideAxis(axis)
        self.dots = pg.ScatterPlotItem(size=8, pen=pg.mkPen(None), hoverable=True, tip=None)
        self.dots.sigClicked.connect(self._click)
        self.rings = pg.ScatterPlotItem(size=13, brush=pg.mkBrush(None))
        self.ink(lambda colour: self.rings.setPen(pg.mkPen(colour, width=2)))
        self.addItem(self.dots)
        self.addItem(self.rings)
        self._marked: frozenset[str] = frozenset()
        self._map: Projection2D | None = None
        self.ink(self._say_title)

    def draw(self, clustered: ClusteredRun, selected: Collection[str]) -> None:
        """Show the map of a run, with the ids of some specimens marked."""
        another, self._map = clustered.map is not self._map, clustered.map
        xy, clusters = clustered.map.xy, clustered.clusters
        self._marked = frozenset(selected)
        brushes = {number: pg.mkBrush(colour) for number, colour in clusters.colours.items()}
        self.dots.setData(
            x=xy[:, 0],
            y=xy[:, 1],
            brush=[brushes[label] for label in clusters.labels.tolist()],
            data=np.array(clustered.ids, object),
        )
        marked = xy[[clustered.rows[specimen] for specimen in selected]]
        self.rings.setData(x=marked[:, 0], y=marked[:, 1])
        self._say_title(self.palette().color(QPalette.ColorRole.WindowText))
        if another:  # else the user may have looked closer
            self.autoRange()

    def _say_title(self, ink: QColor) -> None:
        self.setTitle("" if self._map is None else self._map.title, size="9pt", color=ink)

    def _click(self, _: Any, dots: Any, event: Any) -> None:
        ids = frozenset(dot.data() for dot in dots)
        adds = bool(event.modifiers() & Qt.KeyboardModifier.ShiftModifier)
        self.chosen.emit(set(self._marked ^ ids if adds else ids))


class Legend(QTableWidget):
    """Colour, name and size of each cluster; a name can be edited."""

    renamed = Signal(int, str)  #: cluster number, new name

    def __init__(self) -> None:
        super().__init__(0, 3)
        self.setHorizontalHeaderLabels(["", "cluster", "specimens"])
        self.setToolTip("Double-click a name to change it")
        header, numbers = self.horizontalHeader(), self.verticalHeader()
        if header is not None and numbers is not None:
            header.setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
            numbers.hide()
            numbers.setDefaultSectionSize(22)
        self.setColumnWidth(0, 24)
        self.itemChanged.connect(self._edit)

    def show_clusters(self, clusters: Clusters) -> None:
        """One row for each cluster."""
        self.blockSignals(True)
        rows = legend(clusters)
        self.setRowCount(len(rows))
        numbers = sorted(clusters.names, key=lambda number: (number == NOISE, number))
        for i, (name, colour, count) in enumerate(rows):
            swatch, words, size = (QTableWidgetItem(text) for text in ("", name, str(count)))
            swatch.setBackground(QColor(colour))
            words.setData(Qt.ItemDataRole.UserRole, numbers[i])
            for item in (swatch, size):
                item.setFlags(Qt.ItemFlag.ItemIsEnabled)
            for j, item in enumerate((swatch, words, size)):
                self.setItem(i, j, item)
        self.setFixedHeight(26 + 22 * min(len(rows), 8) + 4)
        self.blockSignals(False)

    def _edit(self, item: QTableWidgetItem) -> None:
        self.renamed.emit(item.data(Qt.ItemDataRole.UserRole), item.text())
