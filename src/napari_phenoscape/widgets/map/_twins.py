"""Twins panel: specimens that are there twice, side by side, and what leaks over a split."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING

from qtpy.QtCore import QSize
from qtpy.QtWidgets import QAbstractItemView, QLabel, QSizePolicy, QTableWidgetItem, QWidget

from napari_phenoscape.analysis import Twins, twins_among
from napari_phenoscape.embeddings import METADATA, embedded_specimens
from napari_phenoscape.events import Event
from napari_phenoscape.widgets._dock import column_of, fill_table, row, short_combo, small_table
from napari_phenoscape.widgets._overlay import overlay_of
from napari_phenoscape.widgets.form._fold import Fold
from napari_phenoscape.widgets.form._note import note
from napari_phenoscape.widgets.map._dots import icon_of

if TYPE_CHECKING:
    from napari_phenoscape.widgets._clustered import ClusteredRun
    from napari_phenoscape.widgets._dock import Dock

FINDING = "Finding twins"

NONE = "none"

#: Pairs that are listed, and the side of their pictures in pixels.
LISTED, SIDE = 100, 56


class TwinsPanel(QWidget):
    """Find near-duplicates among the specimens that are shown, and show each pair.

    Parameters
    ----------
    dock
        The dock that it is a part of.
    """

    def __init__(self, dock: Dock) -> None:
        super().__init__()
        self.dock = dock
        self._pairs: list[tuple[str, str]] = []
        self._of: object = None
        self.over, self.same = short_combo(), short_combo()
        self.over.setToolTip("A column such as split or collection: what lies on both sides leaks")
        self.same.setToolTip("A column such as individual, which must not lie on both sides")
        self.find_button = dock.button(
            "Find twins",
            "Specimens that are each among the nearest of the other, and whose pictures are the "
            "same but for light, size and quarter turns",
            self._find,
        )
        self.words, self.table = note(), small_table(320)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        self.table.setIconSize(QSize(SIDE, SIDE))
        self.table.setAccessibleName("Twins")
        self.table.itemSelectionChanged.connect(self._pick)
        self.table.hide()
        for box in (self.over, self.same):
            box.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        inner = QWidget()
        inside = column_of(inner)
        asked = row(QLabel("Split"), self.over, QLabel("Same"), self.same)
        for at in (1, 3):
            asked.setStretch(at, 1)
        inside.addLayout(asked)
        for widget in (self.find_button, self.words, self.table):
            inside.addWidget(widget)
        self.fold = Fold("5  Twins", inner)
        column_of(self).addWidget(self.fold)

    def refresh(self) -> None:
        """Offer the columns of what is shown; pairs of other specimens are not shown any more."""
        session = self.dock.session
        clustered, task = session.clustered, session.task(FINDING)
        self.setVisible(clustered is not None)
        busy = "Twins are being found." if task is not None and task.busy else ""
        self.dock.allow(self.find_button, busy)
        if clustered is not None and self._of is not clustered.embeddings:
            self._of = clustered.embeddings
            columns = [str(name) for name in clustered.embeddings.table.columns[METADATA:]]
            for box in (self.over, self.same):
                chosen = box.currentText()
                box.clear()
                box.addItems([NONE, *columns])
                box.setCurrentIndex(max(0, box.findText(chosen)))
            self._pairs = []
            self.words.setText("")
            self.table.hide()

    def _find(self) -> None:
        clustered = self.dock.session.clustered
        assert clustered is not None  # or the panel is hidden
        over, same = (
            "" if box.currentIndex() == 0 else box.currentText() for box in (self.over, self.same)
        )

        def verb() -> Generator[Event, None, tuple[ClusteredRun, Twins]]:
            crops = clustered.backdrop.crops
            if crops is None:
                crops = yield from embedded_specimens(clustered.run, clustered.embeddings)
            found = yield from twins_among(clustered.embeddings, crops, over=over, same=same)
            return clustered, found

        self.words.setText("")
        task = self.dock.session.do(FINDING, verb, self._show, torch=False)
        self.dock.follow(task, beside=self.words)

    def _show(self, found: tuple[ClusteredRun, Twins]) -> None:
        clustered, twins = found
        if self._of is not clustered.embeddings:
            return  # others are shown by now
        table = twins.table.head(LISTED)
        self._pairs = list(zip(table["first"], table["second"], strict=True))
        more = f" The first {LISTED} are shown." if len(twins.table) > LISTED else ""
        self.words.setText(twins.words() + more)
        self.table.setVisible(len(table) > 0)
        rows = []
        for one in table.to_dict("records"):
            leak = f"{one['first_part']} | {one['second_part']}" if one.get("leak") else ""
            why = "twins" if one["why"] == "twins" else f"same {twins.same}"
            rows.append(["", "", why, f"{one['correlation']:.3f}", leak])
        self.table.blockSignals(True)
        header = ["", "", "why", "alike", "leak"]
        fill_table(
            self.table,
            header if twins.over else header[:-1],
            rows if twins.over else [line[:-1] for line in rows],
        )
        pictures = clustered.backdrop.pictures
        for number, pair in enumerate(self._pairs):
            for column, specimen in enumerate(pair):
                item = QTableWidgetItem(icon_of(pictures[clustered.rows[specimen]], SIDE), "")
                item.setToolTip(specimen)
                self.table.setItem(number, column, item)
            self.table.setRowHeight(number, SIDE + 4)
        for column in (0, 1):
            self.table.setColumnWidth(column, SIDE + 8)
        self.table.clearSelection()
        self.table.blockSignals(False)

    def _pick(self) -> None:
        chosen = {index.row() for index in self.table.selectedIndexes()}
        if chosen:
            pair = self._pairs[min(chosen)]
            self.dock.session.select(pair)
            overlay_of(self.dock.viewer).bring_into_view(pair[0])
