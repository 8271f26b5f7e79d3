"""Before you start: what would go wrong, each with a button that mends it."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QPushButton, QSizePolicy, QWidget

from napari_phenoscape.errors import PhenoscapeError
from napari_phenoscape.events import Event, Progress
from napari_phenoscape.widgets._dock import column_of, row
from napari_phenoscape.widgets.form._fold import heading
from napari_phenoscape.widgets.form._note import note

if TYPE_CHECKING:
    from napari_phenoscape.specimens import Collection
    from napari_phenoscape.training import Check, Experiment, ExperimentPresetName


@dataclass(frozen=True, eq=False)
class Checked:
    """What is known before a start.

    Parameters
    ----------
    experiment
        That was asked about.
    checks
        Of it.
    modalities
        That its specimens have; none where a cube cannot be opened any more, which is a check.
    presets
        What each preset would make of the specimens.
    """

    experiment: Experiment
    checks: tuple[Check, ...]
    modalities: tuple[str, ...] = ()
    presets: Mapping[ExperimentPresetName, Experiment] = field(default_factory=dict)


def checked(experiment: Experiment, collection: Collection) -> Generator[Event, None, Checked]:
    """Check an experiment, and look for what fits its specimens."""
    from napari_phenoscape.training import Check, checks, experiments_for, modalities_seen

    yield Progress("looking for what would go wrong", 0, 1)
    try:
        return Checked(
            experiment,
            checks(experiment, collection),
            modalities_seen(collection),
            experiments_for(collection),
        )
    except PhenoscapeError as error:
        return Checked(experiment, (Check(str(error), "error"),))


class BeforeStart(QWidget):
    """A line for each thing to know; what can be mended has a button."""

    accepted = Signal(object)  #: the `Check` whose change is wanted

    def __init__(self) -> None:
        super().__init__()
        self._rows: list[QWidget] = []
        self.buttons: list[QPushButton] = []
        self._column = column_of(self)
        self._column.addWidget(heading("Before you start"))
        self.hide()

    @property
    def words(self) -> list[str]:
        """What is said, line by line."""
        return [str(line.property("words")) for line in self._rows]

    def show_checks(self, checks: Sequence[Check]) -> None:
        """These, in place of those before."""
        for old in self._rows:
            self._column.removeWidget(old)
            old.hide()
            old.deleteLater()
        self._rows, self.buttons = [], []
        for check in checks:
            line = QWidget()
            words = note(check.words, check.tone)
            layout = row(words)
            layout.setStretch(0, 1)
            if check.change:
                button = QPushButton(check.act)
                button.setToolTip("Change this setting in the form; nothing is started")
                button.setSizePolicy(QSizePolicy.Policy.Maximum, QSizePolicy.Policy.Fixed)
                button.clicked.connect(partial(self._accept, check))
                layout.addWidget(button)
                self.buttons.append(button)
            line.setLayout(layout)
            line.setProperty("words", check.words)
            self._column.addWidget(line)
            self._rows.append(line)
            words.show()
        self.setVisible(bool(checks))

    def _accept(self, check: Check, _checked: bool = False) -> None:
        self.accepted.emit(check)
