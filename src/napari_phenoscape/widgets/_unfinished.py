"""The offer to go on with a run that did not end; never by itself."""

from __future__ import annotations

from collections.abc import Sequence

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QPushButton, QSizePolicy, QWidget

from napari_phenoscape.training import RunSummary
from napari_phenoscape.widgets._dock import row
from napari_phenoscape.widgets.form._note import note

#: How it came that a run can go on.
HOW = {
    "new": "was made and not begun",
    "stopped": "was stopped",
    "interrupted": "was interrupted",
}


class Unfinished(QWidget):
    """A line and a button, when the newest of the runs can go on."""

    accepted = Signal(object)  #: the `RunSummary`

    def __init__(self) -> None:
        super().__init__()
        self.run: RunSummary | None = None
        self.words = note()
        self.button = QPushButton("Continue")
        self.button.setToolTip("Go on with this run, with its own settings")
        self.button.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.button.clicked.connect(lambda: self.accepted.emit(self.run))
        layout = row(self.words, self.button)
        layout.setStretch(0, 1)
        self.setLayout(layout)
        self.hide()

    def offer(self, runs: Sequence[RunSummary]) -> None:
        """Of runs, newest first; an older one that did not end was left so on purpose."""
        newest = next(iter(runs), None)
        self.run = newest if newest is not None and newest.goes_on else None
        if self.run is not None:
            self.words.setText(
                f"'{self.run.path.name}' {HOW[self.run.state]} at step {self.run.step} of "
                f"{self.run.steps}."
            )
        self.setVisible(self.run is not None)
