"""Differing: the settings in which chosen runs are not the same."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtWidgets import QWidget

from napari_phenoscape.training import RunSummary, differences
from napari_phenoscape.widgets._dock import column_of, swatch
from napari_phenoscape.widgets._small_table import fill_table, small_table
from napari_phenoscape.widgets.form._note import as_it_is, note
from napari_phenoscape.widgets.form._words import setting_words, value_words

#: Of the chosen runs in their order, seen on a dark and on a light ground.
COLOURS = ("#4fc3f7", "#e69f00", "#26a65b", "#d55e00", "#cc79a7", "#8c7ae6")


class Differing(QWidget):
    """A line for each setting that differs, a column for each run; words where there is none."""

    def __init__(self) -> None:
        super().__init__()
        self.table, self.words = small_table(190), note()
        inside = column_of(self)
        inside.addWidget(self.table)
        inside.addWidget(self.words)

    def show_runs(self, chosen: Sequence[RunSummary], count: int) -> None:
        """Of those that are chosen of so many runs."""
        known = [(at, run) for at, run in enumerate(chosen) if run.experiment is not None]
        rows = differences([run.experiment for _, run in known if run.experiment is not None])
        names = [run.path.name.partition("_")[2] or run.path.name for _, run in known]
        words = [[setting_words(of), *map(value_words, values)] for of, values in rows.items()]
        fill_table(self.table, ["differs", *names], words)
        for column, (at, run) in enumerate(known, start=1):
            header = self.table.horizontalHeaderItem(column)
            if header is not None:
                header.setIcon(swatch(COLOURS[at % len(COLOURS)]))
                header.setToolTip(as_it_is(run.path.name))
        self.table.setVisible(bool(rows))
        several = "Choose several runs (Ctrl or Shift + click) to see what differs between them."
        alike = "Their settings are the same." if len(known) > 1 and not rows else ""
        self.words.setText(several if len(chosen) == 1 < count else alike)
