"""Copy report: all that is known of an error that a dock shows, for those who can mend it."""

from __future__ import annotations

import sys
import traceback
from collections import deque

from qtpy.QtCore import Qt
from qtpy.QtWidgets import QApplication, QPushButton

from napari_phenoscape._problem import problem_report
from napari_phenoscape.errors import PhenoscapeError
from napari_phenoscape.events import Event, event_line
from napari_phenoscape.widgets._session import Session

#: Events that are told.
LAST = 20


class CopyReport(QPushButton):
    """Is there when an error is, and copies it with versions, device, experiment and events."""

    def __init__(self, session: Session) -> None:
        super().__init__("Copy report")
        self.setToolTip(
            "Copy the error with versions, device, settings, last events and where in the program "
            "it happened; without your home folder and your name (with Shift they stay)"
        )
        self._session = session
        self._events: deque[Event] = deque(maxlen=LAST)
        self._what = self._trace = ""
        self.clicked.connect(self._copy)
        self.hide()

    def remember(self, event: Event) -> None:
        """Keep an event to be told."""
        self._events.append(event)

    def offer(self, what: str, trace: str = "") -> None:
        """Be there for an error; go when there is none.

        Parameters
        ----------
        trace
            Where it happened; empty: that of the error which is being answered, if one is.
        """
        own = traceback.format_exc() if sys.exc_info()[0] is not None else ""
        self._what, self._trace = what, trace or own
        self.setVisible(bool(what))

    def text_of(self, *, personal: bool = False) -> str:
        """The report."""
        try:
            experiment = self._session.experiment.to_yaml()
        except PhenoscapeError as error:
            experiment = str(error)
        return problem_report(
            self._what,
            experiment=experiment,
            events=[event_line(event) for event in (*self._session.history[-LAST:], *self._events)],
            traceback=self._trace,
            personal=personal,
        )

    def _copy(self) -> None:
        shift = QApplication.keyboardModifiers() & Qt.KeyboardModifier.ShiftModifier
        clipboard = QApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(self.text_of(personal=bool(shift)))
