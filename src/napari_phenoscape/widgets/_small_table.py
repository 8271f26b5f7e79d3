"""Small tables: rows of words in a dock, of which none is wider than that."""

from __future__ import annotations

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QHeaderView, QSizePolicy, QTableWidget, QTableWidgetItem

from napari_phenoscape.widgets._dock import WIDTH
from napari_phenoscape.widgets.form._note import as_it_is

#: Widest column of a table that scrolls, and the least room of names in one that does not, pixels.
COLUMN, NAME = 170, 120


def fill_table(
    table: QTableWidget, header: list[str], rows: list[list[str]], named: int = 0
) -> None:
    """Show rows of words; long ones are shortened, and whole in the tooltip.

    Column ``named`` has the room that the others leave; if that is too little, the table scrolls.
    """
    table.setColumnCount(len(header))
    table.setHorizontalHeaderLabels(header)
    table.setRowCount(len(rows))
    for i, words in enumerate(rows):
        for j, word in enumerate(words):
            item = QTableWidgetItem(word)
            item.setToolTip(as_it_is(word))
            table.setItem(i, j, item)
    bar = table.horizontalHeader()
    assert bar is not None
    bar.setSectionResizeMode(QHeaderView.ResizeMode.Interactive)
    table.resizeColumnsToContents()
    widths = [table.columnWidth(j) for j in range(len(header))]
    if sum(widths) - widths[named] <= WIDTH - NAME:
        bar.setSectionResizeMode(named % len(header), QHeaderView.ResizeMode.Stretch)
        return
    for j, width in enumerate(widths[:-1]):  # the last may go on beyond the edge
        table.setColumnWidth(j, min(width, COLUMN))


def small_table(height: int) -> QTableWidget:
    """A table that only shows, as high as its rows and no higher than that."""
    table = QTableWidget()
    table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
    table.setSizeAdjustPolicy(QTableWidget.SizeAdjustPolicy.AdjustToContents)
    table.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Maximum)
    table.setMaximumHeight(height)
    table.setWordWrap(False)
    table.setTextElideMode(Qt.TextElideMode.ElideMiddle)  # file names differ at their ends
    header, names = table.verticalHeader(), table.horizontalHeader()
    if header is not None and names is not None:
        header.hide()
        header.setDefaultSectionSize(20)
        names.setDefaultAlignment(Qt.AlignmentFlag.AlignLeft)
        names.setTextElideMode(Qt.TextElideMode.ElideRight)
    return table
