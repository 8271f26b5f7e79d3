"""Legend: colour, name and size of each cluster."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QHeaderView, QTableWidget, QTableWidgetItem, QTableWidgetSelectionRange

from napari_phenoscape.embeddings import NOISE, Clusters, legend


class Legend(QTableWidget):
    """Colour, name and size of each cluster; they are chosen by rows, and a name is edited."""

    renamed = Signal(int, str)  #: cluster number, new name
    picked = Signal(object)  #: numbers of the clusters whose rows the user chose

    def __init__(self) -> None:
        super().__init__(0, 3)
        self.setHorizontalHeaderLabels(["", "cluster", "specimens"])
        self.setToolTip("Click a row to select its specimens; double-click a name to change it")
        self.setSelectionBehavior(QTableWidget.SelectionBehavior.SelectRows)
        self.setEditTriggers(QTableWidget.EditTrigger.DoubleClicked)
        header, numbers = self.horizontalHeader(), self.verticalHeader()
        if header is not None and numbers is not None:
            header.setSectionResizeMode(1, QHeaderView.ResizeMode.Stretch)
            numbers.hide()
            numbers.setDefaultSectionSize(22)
        self.setColumnWidth(0, 24)
        self.itemChanged.connect(self._edit)
        self.itemSelectionChanged.connect(lambda: self.picked.emit(self.chosen))

    @property
    def chosen(self) -> tuple[int, ...]:
        """Numbers of the clusters whose rows are chosen."""
        rows = sorted({index.row() for index in self.selectedIndexes()})
        items = [self.item(row, 1) for row in rows]
        return tuple(item.data(Qt.ItemDataRole.UserRole) for item in items if item is not None)

    def show_clusters(self, clusters: Clusters) -> None:
        """One row for each cluster."""
        chosen = self.chosen
        self.blockSignals(True)
        self.clearSelection()
        rows = legend(clusters)
        self.setRowCount(len(rows))
        numbers = sorted(clusters.names, key=lambda number: (number == NOISE, number))
        for i, (name, colour, count) in enumerate(rows):
            swatch, words, size = (QTableWidgetItem(text) for text in ("", name, str(count)))
            swatch.setBackground(QColor(colour))
            words.setData(Qt.ItemDataRole.UserRole, numbers[i])
            swatch.setFlags(Qt.ItemFlag.ItemIsEnabled)  # its colour stays when it is chosen
            size.setFlags(Qt.ItemFlag.ItemIsEnabled | Qt.ItemFlag.ItemIsSelectable)
            for j, item in enumerate((swatch, words, size)):
                self.setItem(i, j, item)
        for i, number in enumerate(numbers):
            if number in chosen:
                self.setRangeSelected(QTableWidgetSelectionRange(i, 0, i, 2), True)
        self.setFixedHeight(26 + 22 * min(len(rows), 8) + 4)
        self.blockSignals(False)

    def _edit(self, item: QTableWidgetItem) -> None:
        self.renamed.emit(item.data(Qt.ItemDataRole.UserRole), item.text())
