"""Twins panel: specimens that are there twice, side by side, and what leaks over a split."""

from __future__ import annotations

from collections.abc import Generator
from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QAbstractItemView, QLabel, QSizePolicy, QWidget

from napari_phenoscape.analysis import twins_among
from napari_phenoscape.embeddings import METADATA, embedded_specimens
from napari_phenoscape.events import Event
from napari_phenoscape.widgets._clustered import FoundTwins
from napari_phenoscape.widgets._dock import column_of, row, short_combo
from napari_phenoscape.widgets._overlay import overlay_of
from napari_phenoscape.widgets.form._fold import Fold
from napari_phenoscape.widgets.form._note import note
from napari_phenoscape.widgets.map._picture_table import chosen_rows, fill_pictures, picture_table

if TYPE_CHECKING:
    from napari_phenoscape.widgets._dock import Dock
    from napari_phenoscape.widgets._session import Session

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
        self._shown: FoundTwins | None = None
        self.over, self.same = short_combo(), short_combo()
        self.over.setToolTip("A column such as split or collection: what lies on both sides leaks")
        self.same.setToolTip("A column such as individual, which must not lie on both sides")
        self.find_button = dock.button(
            "Find twins",
            "Specimens that are each among the nearest of the other, and whose pictures are the "
            "same but for light, size and quarter turns",
            self._find,
        )
        self.words, self.table = note(), picture_table("Twins", 320, SIDE)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
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
            self._shown = None
        if clustered is not None and session.twins is not self._shown:
            self._shown = session.twins
            self._show(session.twins)

    def _find(self) -> None:
        clustered = self.dock.session.clustered
        assert clustered is not None  # or the panel is hidden
        over, same = (
            "" if box.currentIndex() == 0 else box.currentText() for box in (self.over, self.same)
        )

        def verb() -> Generator[Event, None, FoundTwins]:
            crops = clustered.backdrop.crops
            if crops is None:
                crops = yield from embedded_specimens(clustered.run, clustered.embeddings)
            found = yield from twins_among(clustered.embeddings, crops, over=over, same=same)
            return FoundTwins(clustered, found)

        self.words.setText("")
        session = self.dock.session
        task = session.do(FINDING, verb, partial(_keep, session), torch=False)
        self.dock.follow(task, beside=self.words)

    def _show(self, found: FoundTwins | None) -> None:
        if found is None or self._of is not found.clustered.embeddings:
            return  # others are shown by now
        clustered, twins = found
        lines = twins.lines()
        self._pairs = [(first, second) for first, second, *_ in lines[:LISTED]]
        more = f" The first {LISTED} are shown." if len(lines) > LISTED else ""
        self.words.setText(twins.words() + more)
        self.table.setVisible(bool(lines))
        header = ["why", "alike", "leak"] if twins.over else ["why", "alike"]
        rows = [((first, second), words) for first, second, *words in lines[:LISTED]]
        fill_pictures(self.table, clustered, header, rows)

    def _pick(self) -> None:
        chosen = chosen_rows(self.table)
        if chosen:
            pair = self._pairs[chosen[0]]
            self.dock.session.select(pair)
            overlay_of(self.dock.viewer).bring_into_view(pair[0])


def _keep(session: Session, found: FoundTwins) -> None:
    """For this dock, which then refreshes, or the next one."""
    session.twins = found
