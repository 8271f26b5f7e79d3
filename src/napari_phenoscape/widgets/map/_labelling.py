"""Labelling: names for the selected, and what the others are by their neighbours."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import (
    QCheckBox,
    QLabel,
    QMessageBox,
    QSizePolicy,
    QTableWidgetSelectionRange,
    QWidget,
)

from napari_phenoscape.analysis import judgement
from napari_phenoscape.embeddings import METADATA
from napari_phenoscape.widgets._combos import EACH, group_of, groups_combo, offer, typed_combo
from napari_phenoscape.widgets._dock import column_of, count_of, row, short
from napari_phenoscape.widgets._labelled import (
    FoundLabels,
    LabelledRun,
    found_labels,
    named,
    predicted,
    predicted_columns,
)
from napari_phenoscape.widgets._overlay import overlay_of
from napari_phenoscape.widgets.form._fold import Fold
from napari_phenoscape.widgets.form._note import as_it_is, note
from napari_phenoscape.widgets.map._picture_table import chosen_rows, fill_pictures, picture_table

if TYPE_CHECKING:
    from napari_phenoscape.widgets._dock import Dock

LABELLING = READING, NAMING, PREDICTING = "Reading labels", "Writing labels", "Predicting labels"

#: Doubtful specimens that are listed, and the side of their pictures in pixels.
LISTED, SIDE = 100, 36


class Labelling(QWidget):
    """Name the specimens that are selected; the nearest named ones vote on the rest.

    Parameters
    ----------
    dock
        The dock that it is a part of.
    colour_by
        Shows specimens in the colours of a column.
    """

    def __init__(self, dock: Dock, colour_by: Callable[[str], object]) -> None:
        super().__init__()
        self.dock, self.colour_by = dock, colour_by
        self._listed: list[str] = []
        self.label, self.name = typed_combo("e.g. morph"), typed_combo("e.g. dark")
        self.groups = groups_combo()
        self.label.setToolTip("What is told apart: a word of yours, or a column of the metadata")
        self.name.setToolTip("What the selected specimens are; empty takes their name away")
        self.name_button = dock.button(
            "Name selected",
            "Give this name to the specimens that are selected; the table beside the photographs "
            "is written at once",
            self._name,
        )
        self.predict_button = dock.button(
            "Predict the rest",
            "The five nearest specimens that have a name vote on each that has none",
            self._predict,
        )
        self.from_run = QCheckBox("Names of the run's own specimens")
        self.from_run.setToolTip(
            "Those that the run was made of vote on these, which need no names; these do not vote"
        )
        self.from_run.toggled.connect(lambda _: self.refresh())
        self.words, self.trust, self.doubt = note(), note(), note()
        self.table = picture_table("Doubtful specimens", 250, SIDE)
        self.table.itemSelectionChanged.connect(self._pick)
        inner = QWidget()
        inside = column_of(inner)
        inside.addLayout(row(QLabel("Label"), self.label))
        inside.addLayout(row(self.name, self.name_button))
        inside.addLayout(row(QLabel("Leave out"), self.groups, self.predict_button))
        for widget in (self.from_run, self.words, self.trust, self.doubt, self.table):
            inside.addWidget(widget)
        self.fold = Fold("4  Label and predict", inner)
        column_of(self).addWidget(self.fold)
        self.table.hide()
        self.from_run.hide()
        for box in (self.label, self.name, self.groups):
            box.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        line = self.label.lineEdit()
        assert line is not None  # it is editable
        line.editingFinished.connect(self._choose)
        self.label.activated.connect(lambda _: self._choose())
        line = self.name.lineEdit()
        assert line is not None
        line.returnPressed.connect(self.name_button.click)
        self.groups.activated.connect(lambda _: self.refresh())

    def refresh(self) -> None:
        """What is possible with what is selected."""
        session, allow = self.dock.session, self.dock.allow
        tasks = [session.task(title) for title in LABELLING]
        busy = next((f"{t.title}: wait for its end." for t in tasks if t and t.busy), "")
        if session.clustered is None:
            busy = busy or "Cluster first."
        label = "" if session.labelled is not None else "Say what is told apart, e.g. morph."
        selected = "" if session.selected else "Select specimens on the map or on the picture."
        kinds = {} if session.labelled is None else session.labelled.labels.values
        known = self.from_run.isChecked() or len(set(kinds.values())) > 1
        few = "" if known else "Name some specimens of each kind first."
        allow(self.name_button, busy or label or selected)
        allow(self.predict_button, busy or label or few)
        count = len(session.selected)
        self.name_button.setText(f"Name selected ({count})" if count else "Name selected")

    def show_labels(self) -> None:
        """Show the session's labels, or look for those that the specimens have."""
        session = self.dock.session
        clustered, labelled = session.clustered, session.labelled
        self.setVisible(clustered is not None)
        if clustered is None:
            return
        source = clustered.embeddings.source
        if self.property("source") != source.model_dump_json():
            self.setProperty("source", source.model_dump_json())
            self.from_run.setChecked(False)
            self.from_run.hide()
            offer(self.groups, [EACH, *map(str, clustered.embeddings.table.columns[METADATA:])])
            self._read("" if labelled is None else labelled.labels.name)
        if labelled is None:
            self.words.setText(
                "Type what is told apart, select specimens, and name them; the names are kept in a "
                "table beside the photographs."
            )
            self._list([])
            self.refresh()
            return
        given = labelled.labels.values
        values = [given[one] for one in clustered.ids if one in given]
        kinds = sorted(set(values), key=lambda kind: (-values.count(kind), kind))
        offer(self.name, kinds)
        if self.label.currentText() != labelled.labels.name:
            self.label.setCurrentText(labelled.labels.name)
        counts = ", ".join(f"{kind} {values.count(kind)}" for kind in kinds)
        self.words.setText(
            f"{len(values)} of {count_of(len(clustered.ids), 'specimen')} have a "
            f"{labelled.labels.name}{f': {counts}' if counts else ''}. "
            + (f"Kept in '{short(labelled.labels.path)}'." if labelled.labels.stamp else "")
        )
        self._show_votes(labelled if labelled.embeddings is clustered.embeddings else None)
        self.refresh()

    def mark(self) -> None:
        """Choose in the table whom the session has selected."""
        chosen = set(self.dock.session.selected)
        self.table.blockSignals(True)
        self.table.clearSelection()
        for number, specimen in enumerate(self._listed):
            if specimen in chosen:
                self.table.setRangeSelected(QTableWidgetSelectionRange(number, 0, number, 3), True)
        self.table.blockSignals(False)

    def _show_votes(self, labelled: LabelledRun | None) -> None:
        votes = None if labelled is None else labelled.votes
        if labelled is None or votes is None:
            self.trust.setText("")
            self.doubt.setText("")
            self._list([])
            return
        self.trust.setText(judgement(votes))
        odd, doubtful = votes.contradicted.tolist(), votes.doubtful.tolist()
        parts = [
            f"{len(odd)} named otherwise than their neighbours" if odd else "",
            f"{len(doubtful)} without a name, the most doubtful first" if doubtful else "",
        ]
        said = ", then ".join(part for part in parts if part)
        more = f" (the first {LISTED})" if len(odd) + len(doubtful) > LISTED else ""
        self.doubt.setText(f"{said}{more}. Click one to see it." if said else "")
        self._list([*odd, *doubtful])

    def _list(self, rows: list[int]) -> None:
        session = self.dock.session
        clustered, labelled = session.clustered, session.labelled
        self._listed = []
        self.table.setVisible(bool(rows))
        if clustered is None or labelled is None or labelled.votes is None:
            return
        table, given = labelled.votes.table, labelled.labels.values
        lines = []
        for one, vote, share in table.iloc[rows[:LISTED]][["specimen", "vote", "share"]].itertuples(
            index=False
        ):
            named_so = f" (named {given[one]})" if one in given else ""
            lines.append(((one,), [f"{vote}{named_so}", f"{share:.0%}", str(one)]))
            self._listed.append(one)
        fill_pictures(self.table, clustered, ["predicted", "votes", "specimen"], lines)
        self.mark()

    def _pick(self) -> None:
        ids = [self._listed[number] for number in chosen_rows(self.table)]
        if ids:
            self.dock.session.select(ids)
            overlay_of(self.dock.viewer).bring_into_view(ids[0])

    def _choose(self) -> None:
        """Another label was chosen or typed."""
        name, labelled = self.label.currentText().strip(), self.dock.session.labelled
        if name and (labelled is None or labelled.labels.name != name):
            self._read(name)

    def _read(self, name: str) -> None:
        clustered = self.dock.session.clustered
        assert clustered is not None  # or nothing can be labelled

        session = self.dock.session
        verb = partial(found_labels, clustered, name)
        self.dock.follow(session.do(READING, verb, self._show_found, torch=False))

    def _show_found(self, found: FoundLabels) -> None:
        offer(self.label, found.names)
        self.from_run.setVisible(found.others)
        if found.labelled is not None:
            self._take(found.labelled)

    def _name(self) -> None:
        session = self.dock.session
        labelled = session.labelled
        assert labelled is not None  # the button is grey
        given = labelled.labels.given(session.selected, self.name.currentText())
        after = LabelledRun(given, labelled.embeddings)
        self._write(after, lambda over: named(after, overwrite=over), NAMING, self._take)

    def _predict(self) -> None:
        labelled, clustered = self.dock.session.labelled, self.dock.session.clustered
        assert labelled is not None
        assert clustered is not None
        groups, from_run = group_of(self.groups), self.from_run.isChecked()
        self._write(
            labelled,
            lambda over: predicted(labelled, clustered, groups, from_run=from_run, overwrite=over),
            PREDICTING,
            self._show_predicted,
        )

    def _show_predicted(self, after: LabelledRun) -> None:
        self._take(after)
        self.colour_by(predicted_columns(after.labels.name)[0])

    def _write(
        self, labelled: LabelledRun, verb: Callable[[bool], Any], title: str, done: Any
    ) -> None:
        """Do what writes the table; of one that another program changed it is asked first."""
        over = not labelled.labels.is_current
        if over and not self._may_replace(labelled):
            return
        session = self.dock.session
        session.set_labelled(labelled)  # what was named is not lost, should the disk refuse
        self.dock.follow(session.do(title, lambda: verb(over), done, torch=False))

    def _may_replace(self, labelled: LabelledRun) -> bool:
        button = QMessageBox.StandardButton
        answer = QMessageBox.question(
            self,
            "Labels",
            as_it_is(
                f"Another program has changed '{labelled.labels.path}' since it was read here. "
                "Replace the names in it by those that are shown?"
            ),
            button.Yes | button.Cancel,
            button.Cancel,
        )
        return answer == button.Yes

    def _take(self, labelled: LabelledRun) -> None:
        self.dock.session.set_labelled(labelled)
        shown, name = self.dock.session.clustered, labelled.labels.name
        if shown is not None and shown.appearance.colour in (name, *predicted_columns(name)):
            self.colour_by(name)  # as they are named now
