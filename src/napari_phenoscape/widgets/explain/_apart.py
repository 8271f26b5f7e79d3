"""Apart: how far clusters are from each other for an eye, as a small table."""

from __future__ import annotations

import numpy as np
from qtpy.QtWidgets import QLabel, QTableWidget, QWidget

from napari_phenoscape.analysis import Explanation
from napari_phenoscape.widgets._dock import column_of, row, short_combo
from napari_phenoscape.widgets._small_table import fill_table, small_table
from napari_phenoscape.widgets.form._fold import heading
from napari_phenoscape.widgets.form._note import note

#: Height of the table in pixels; more rows scroll.
HIGH = 150


class Apart(QWidget):
    """Colour distances between clusters, or of one to all others, for the eye that is chosen."""

    def __init__(self) -> None:
        super().__init__()
        self.eye = short_combo()
        self.eye.setToolTip("Whose eye compares the mean colours of the clusters, in daylight")
        self.table: QTableWidget = small_table(HIGH)
        self.table.setToolTip(
            "Distance in just noticeable differences (JND) by the receptor noise model, and the "
            "interval that holds 95 % of it when specimens are drawn anew"
        )
        column = column_of(self)
        column.addWidget(heading("Colour apart"))
        column.addLayout(row(QLabel("for the eye"), self.eye))
        column.addWidget(self.table)
        column.addWidget(note("Below 1 JND hard to tell, above 3 easy (Siddiqi et al. 2004)."))
        self._of: tuple[Explanation, int | None] | None = None
        self.eye.currentIndexChanged.connect(self._fill)

    def show_clusters(self, explanation: Explanation, number: int | None) -> None:
        """Show all clusters, or one against each other; hidden where no eye sees these bands."""
        colours = explanation.colours
        self.setVisible(colours is not None)
        if colours is None:
            return
        eyes, chosen = colours["eye"].unique().tolist(), self.eye.currentText()
        self.eye.blockSignals(True)
        self.eye.clear()
        self.eye.addItems(eyes)
        self.eye.setCurrentIndex(max(0, self.eye.findText(chosen)))
        self.eye.blockSignals(False)
        self._of = explanation, number
        self._fill()

    def _fill(self) -> None:
        if self._of is None:
            return
        explanation, number = self._of
        colours, names = explanation.colours, explanation.clusters.names
        assert colours is not None  # or nothing is shown
        shown = colours[colours["eye"] == self.eye.currentText()]
        if number in explanation.nearest:
            shown = shown[(shown["cluster"] == number) | (shown["other"] == number)]
        rows = [
            [
                *(names[int(one[of])] for of in ("cluster", "other")),
                f"{one['jnd']:.2f}",
                _interval(one["low"], one["high"]),
                str(one["words"]),
            ]
            for one in shown.to_dict("records")
        ]
        fill_table(self.table, ["cluster", "and", "JND", "95 %", ""], rows)


def _interval(low: float, high: float) -> str:
    return f"{low:.2f}-{high:.2f}" if np.isfinite(low) else ""  # too few specimens
