"""Evaluating: whether runs are better than what costs nothing, by a column of the metadata."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from qtpy.QtWidgets import QLabel, QSizePolicy, QWidget

from napari_phenoscape.analysis import KNN, RAND, VIEW_FOUND, Score, evaluate, evaluation_path
from napari_phenoscape.embeddings import METADATA
from napari_phenoscape.errors import TableError
from napari_phenoscape.events import Event, Progress
from napari_phenoscape.widgets._combos import EACH, group_of, groups_combo, offer, typed_combo
from napari_phenoscape.widgets._dock import column_of, row
from napari_phenoscape.widgets._small_table import fill_table, small_table
from napari_phenoscape.widgets.form._fold import Fold
from napari_phenoscape.widgets.form._note import note

if TYPE_CHECKING:
    from napari_phenoscape.widgets._dock import Dock

EVALUATING, READING = "Evaluating", "Reading scores"

#: What is shown of the measures of a label, or without one, and how it is called.
OF_LABEL = {KNN: "neighbours right", RAND: "clusters agree"}
WITHOUT = {VIEW_FOUND: "views of one found"}


class Evaluating(QWidget):
    """Ask how well embeddings tell a label, beside the controls; the answer is in the run.

    Parameters
    ----------
    dock
        The dock that it is a part of.
    runs
        Which runs are chosen.
    found
        What is done when there are new scores in them.
    """

    def __init__(
        self, dock: Dock, runs: Callable[[], list[Path]], found: Callable[[], object]
    ) -> None:
        super().__init__()
        self.dock, self.runs, self.found = dock, runs, found
        self._shown: object = None
        self.label, self.groups = typed_combo("a column, e.g. species"), groups_combo()
        self.label.setToolTip("The column of the metadata that embeddings are compared with")
        self.button = dock.button(
            "Evaluate",
            "Compare the chosen runs with this label, beside plain colour, an instant run and the "
            "start of the training; tables and figures into the first of them",
            self._evaluate,
        )
        self.verdict, self.table = note(), small_table(240)
        self.table.setAccessibleName("Scores")
        inner = QWidget()
        inside = column_of(inner)
        for box in (self.label, self.groups):
            box.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        inside.addLayout(row(QLabel("Label"), self.label))
        inside.addLayout(row(QLabel("Leave out"), self.groups, self.button))
        for widget in (self.verdict, self.table):
            inside.addWidget(widget)
        self.fold = Fold("Evaluate", inner)
        self.fold.toggled.connect(lambda _: self.refresh())
        column_of(self).addWidget(self.fold)
        line = self.label.lineEdit()
        assert line is not None  # it is editable
        line.editingFinished.connect(self.refresh)
        self.label.activated.connect(lambda _: self.refresh())
        self._show(None)

    def refresh(self) -> None:
        """Offer the columns that are known, and show what was found for what is chosen."""
        session, runs = self.dock.session, self.runs()
        if not self.fold.opened:
            return
        task = session.task(EVALUATING)
        busy = "Wait for its end." if task is not None and task.busy else ""
        if session.trains:
            busy = "A training is at work; stop it, or wait for its end."
        self.dock.allow(self.button, busy or ("" if runs else "Choose runs in the table."))
        columns = list[str]()
        if session.collection is not None:
            columns += map(str, session.collection.metadata)
        if session.clustered is not None:
            columns += map(str, session.clustered.embeddings.table.columns[METADATA:])
        columns = list(dict.fromkeys(columns))
        offer(self.label, columns)
        offer(self.groups, [EACH, *columns])
        label = self.label.currentText().strip()
        asked = (runs, label)
        if not busy and runs and asked != self._shown:
            self._shown = asked
            path = evaluation_path(runs[0], label)
            session.do(READING, lambda: _read(path), self._show, torch=False)

    def _evaluate(self) -> None:
        runs, label = self.runs(), self.label.currentText().strip()
        session, groups = self.dock.session, group_of(self.groups)
        session.stop(READING)
        self._shown = (runs, label)
        self._show(None)

        def verb() -> Generator[Event, None, object]:
            return (yield from evaluate(runs, *([label] if label else []), groups=groups))

        self.dock.follow(session.do(EVALUATING, verb, self._forget), beside=self.verdict)

    def _forget(self, _: object) -> None:
        """What was found is read from the run again."""
        self._shown = None
        self.found()

    def _show(self, found: Told | None) -> None:
        self.table.setVisible(found is not None)
        self.verdict.say("")
        if found is not None:
            verdict, header, lines = found
            self.verdict.say(verdict)
            fill_table(self.table, header, lines)


#: Verdicts, a header and rows.
Told = tuple[str, list[str], list[list[str]]]


def told(found: pd.DataFrame) -> Told:
    """Verdicts, and the header and rows of a table, of what `evaluate` wrote of a label."""
    is_verdict = found["measure"] == "verdict"
    said = found[is_verdict]
    names = said["embedding"] + ": " if len(said) > 1 else [""] * len(said)
    verdict = "\n".join(map(str.__add__, names, said["words"]))
    measured = found[~is_verdict]
    shown = OF_LABEL if measured["measure"].isin(OF_LABEL).any() else WITHOUT
    lines = []
    for embedding, of in measured.groupby("embedding", sort=False):
        numbers = of[["value", "low", "high"]].to_numpy(float)
        known = dict(zip(of["measure"], (Score(*row) for row in numbers), strict=True))
        cells = [_cell(measure, known.get(measure, Score(np.nan))) for measure in shown]
        lines.append([str(embedding), *cells])
    return verdict, ["embedding", *shown.values()], lines


def _cell(measure: str, score: Score) -> str:
    if measure == RAND:
        return score.words()[0]
    value, low, high = (f"{number:.0%}" for number in score[:3])
    return f"{value} ({low} to {high})" if np.isfinite(score.low) else value.replace("nan%", "")


def _read(path: Path) -> Generator[Event, None, Told | None]:
    yield Progress("reading scores", 0, 1)
    if not path.is_file():
        return None
    try:
        return told(pd.read_csv(path))
    except (OSError, ValueError, KeyError) as error:
        raise TableError(
            f"'{path}' is no table of scores ({' '.join(str(error).split())}). Press 'Evaluate' to "
            "make it anew."
        ) from None
