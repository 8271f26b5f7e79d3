"""Picture table: rows of specimens, each with its small picture, of which whole rows are chosen."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from qtpy.QtCore import QSize
from qtpy.QtWidgets import QAbstractItemView, QTableWidget, QTableWidgetItem

from napari_phenoscape.widgets._small_table import fill_table, small_table
from napari_phenoscape.widgets.form._note import as_it_is
from napari_phenoscape.widgets.map._dots import icon_of

if TYPE_CHECKING:
    from napari_phenoscape.widgets._clustered import ClusteredRun


def picture_table(name: str, height: int, side: int) -> QTableWidget:
    """A `small_table` for pictures of so many pixels a side; ``name`` is read to the blind."""
    table = small_table(height)
    table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
    table.setIconSize(QSize(side, side))
    table.setAccessibleName(name)
    return table


def fill_pictures(
    table: QTableWidget,
    clustered: ClusteredRun,
    header: list[str],
    rows: Sequence[tuple[tuple[str, ...], list[str]]],
) -> None:
    """Show rows of specimens by id, equally many in each, and words; nothing is chosen then."""
    side = table.iconSize().width()
    table.blockSignals(True)
    blank = [""] * len(rows[0][0]) if rows else []
    fill_table(table, [*blank, *header], [[*blank, *words] for _, words in rows], named=-1)
    for number, (specimens, _) in enumerate(rows):
        for column, specimen in enumerate(specimens):
            picture = clustered.backdrop.pictures[clustered.rows[specimen]]
            item = QTableWidgetItem(icon_of(picture, side), "")
            item.setToolTip(as_it_is(specimen))
            table.setItem(number, column, item)
            table.setColumnWidth(column, side + 8)
        table.setRowHeight(number, side + 4)
    table.clearSelection()
    table.blockSignals(False)


def chosen_rows(table: QTableWidget) -> list[int]:
    """Numbers of the rows that are chosen, from above."""
    return sorted({index.row() for index in table.selectedIndexes()})
