"""Runs: the dock that shows the runs of a folder, compares them and goes on with one."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Generator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import Qt, QUrl
from qtpy.QtGui import QDesktopServices
from qtpy.QtWidgets import (
    QAbstractItemView,
    QApplication,
    QFileDialog,
    QMessageBox,
    QPushButton,
    QTableWidgetSelectionRange,
)

from napari_phenoscape.embeddings import ENCODER, export
from napari_phenoscape.errors import PhenoscapeError
from napari_phenoscape.events import Event, Progress
from napari_phenoscape.training import (
    EXPERIMENT,
    RunSummary,
    curve,
    discard,
    restore,
    runs_in,
    write_batch_script,
)
from napari_phenoscape.widgets._differing import COLOURS, Differing
from napari_phenoscape.widgets._dock import Dock, count_of, plot, row, short, swatch
from napari_phenoscape.widgets._evaluating import EVALUATING, Evaluating
from napari_phenoscape.widgets._grouping import opened
from napari_phenoscape.widgets._small_table import fill_table, small_table
from napari_phenoscape.widgets._unfinished import Unfinished
from napari_phenoscape.widgets.form._note import as_it_is, note

if TYPE_CHECKING:
    import napari.viewer

READING, CURVES, OPENING = "Reading runs", "Reading curves", "Opening the run"
EXPORTING = "Exporting the encoder"

#: Of what the dialog of *Export encoder…* offers, that which writes ONNX as well.
WITH_ONNX = "For torch, and as ONNX (*)"

#: In the dock's words; what is more is in the tooltip.
STATES = {
    "new": "not begun",
    "training": "trained elsewhere",
    "stopped": "stopped",
    "interrupted": "interrupted",
    "finished": "finished",
    "instant": "instant",
    "unreadable": "unreadable",
}

Curves = dict[Path, tuple[NDArray[np.int64], NDArray[np.float64]]]


class RunsDock(Dock):
    """The runs of a folder: how they stand, what differs, their curves; and what to do with one."""

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(viewer)
        self.runs: tuple[RunSummary, ...] = ()
        self.folder = self.session.runs_folder
        self._discarded: list[Path] = []
        self.folder_words = note()
        self.folder_button = self.button("Folder…", "Choose a folder of runs", self._choose)
        self.refresh_button = self.button("Refresh", "Read the folder again", self.read)
        self.unfinished = Unfinished()
        self.unfinished.accepted.connect(lambda run: self._continue(run))
        self.table = small_table(260)
        self.table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.table.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.table.itemSelectionChanged.connect(self._show_chosen)
        self.wrong = note(tone="error")
        self.curves = plot("step", "loss (nats)", 185)
        self.curves.setDownsampling(auto=True, mode="peak")
        self.differing = Differing()
        self.acts: dict[QPushButton, Callable[[RunSummary], str]] = {}
        self.open_button = self._act(
            "Open", "Show its settings, embeddings and clusters in all docks", self._open,
        )  # fmt: skip
        self.continue_button = self._act(
            "Continue", "Go on with its training", self._continue, self._cannot_go_on
        )
        self.watch_button = self._act(
            "Watch",
            "Show in the dock Train how another program trains it, as if it were here",
            lambda run: self.session.watch(run.path),
            self._cannot_watch,
        )
        self.take_button = self._act(
            "Use its settings",
            "Take its experiment into all docks, to change it and start a new run",
            self._take_settings,
        )
        self.command_button = self._act(
            "Copy command", "Copy the command that trains it, for a terminal", self._copy_command,
        )  # fmt: skip
        self.slurm_button = self._act(
            "Slurm script",
            "Write train.sbatch for a cluster: into the run if it can go on, else into a new one "
            "with the same settings",
            self._write_slurm,
            lambda run: "It is being trained." if run.state == "training" else "",
        )
        self.reveal_button = self._act("Show folder", "In the file manager", self._reveal)
        self.export_button = self._act(
            "Export encoder…",
            "Write its net by itself for other programs, with a model card",
            self._export,
            lambda run: "It has no checkpoint yet." if run.state == "new" else "",
        )
        self.discard_button = self._act(
            "Move to trash…",
            "Into the folder .trash beside the runs; it can be undone",
            self._discard,
            lambda run: "It is being trained; stop it first." if run.state == "training" else "",
        )
        self.undo_button = self.button("Undo", "Bring back the run moved last", self._undo)
        self.undo_button.hide()
        self.foot.addWidget(self.undo_button)
        self.column.addLayout(row(self.folder_words, self.folder_button, self.refresh_button))
        self.column.addWidget(self.unfinished)
        self.column.addWidget(self.table)
        self.column.addWidget(self.wrong)
        self.column.addWidget(self.curves)
        self.column.addWidget(self.differing)
        for buttons in (
            (self.open_button, self.continue_button, self.watch_button),
            (self.take_button, self.command_button, self.slurm_button),
            (self.reveal_button, self.export_button, self.discard_button),
        ):
            self.column.addLayout(row(*buttons))
        self.evaluating = Evaluating(self, lambda: [run.path for run in self.chosen], self.read)
        self.column.addWidget(self.evaluating)
        self.table.setAccessibleName("Runs")
        self.listen(self.session.training_changed, self._attach)
        self.listen(self.session.experiment_changed, self._take)
        self._attach()
        # after it, which reads the folder, and would have that followed
        self.evaluating.fold.opened = self.resume(EVALUATING)
        self.resume(EXPORTING)

    def _act(
        self,
        text: str,
        tip: str,
        act: Callable[[RunSummary], object],
        unless: Callable[[RunSummary], str] = lambda _: "",
    ) -> QPushButton:
        """A button for the one run that is chosen."""

        def do() -> None:
            self.say("")
            try:
                act(self.chosen[0])
            except PhenoscapeError as error:
                self.say(str(error), error=True)

        button = self.button(text, tip, do)
        self.acts[button] = unless
        return button

    @property
    def chosen(self) -> list[RunSummary]:
        """The runs that are chosen in the table, in its order."""
        model = self.table.selectionModel()
        rows = {index.row() for index in model.selectedRows()} if model is not None else set()
        return [run for number, run in enumerate(self.runs) if number in rows]

    def read(self) -> None:
        """Read the folder again."""
        folder = self.folder
        self.folder_words.setText(f"Runs in '{short(folder.absolute())}'")
        self.folder_words.setToolTip(as_it_is(str(folder.absolute())))
        if not folder.is_dir():
            self._show(())
            return
        self.follow(self.session.do(READING, lambda: runs_in(folder), self._show, torch=False))

    def _choose(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Choose a folder of runs", str(self.folder))
        if chosen:
            self.folder = Path(chosen)
            self.read()

    def _take(self, name: str) -> None:
        if name in ("", "runs") and self.folder != self.session.runs_folder:
            self.folder = self.session.runs_folder
            self.read()

    def _attach(self) -> None:
        if self.session.training is not None:
            self.session.training.state_changed.connect(self._on_training)
        self.read()

    def _on_training(self, state: str) -> None:
        if state not in ("pausing", "stopping"):
            self.read()

    def _here(self, run: RunSummary) -> bool:
        task, mine = self.session.training, self.session.run
        return (
            run.state == "training"
            and self.session.trains
            and task is not None
            and mine is not None
            and mine.absolute() == run.path.absolute()
        )

    def _show(self, runs: tuple[RunSummary, ...]) -> None:
        before = {run.path for run in self.chosen} or {run.path for run in runs[:1]}
        self.runs = runs
        self.unfinished.offer(() if self.session.trains else runs)
        scored = list(dict.fromkeys(name for run in runs for name in run.scores))
        self.table.blockSignals(True)
        fill_table(
            self.table,
            ["run", "state", "step", "loss", *scored],
            [
                [
                    run.path.name,
                    "trained here" if self._here(run) else STATES[run.state],
                    f"{run.step} of {run.steps}" if run.steps and run.state != "instant" else "",
                    f"{run.loss:.3f}" if run.loss == run.loss else "",
                    *(f"{run.scores[name]:.3f}" if name in run.scores else "" for name in scored),
                ]
                for run in runs
            ],
        )
        self.table.clearSelection()
        for number, run in enumerate(runs):
            if run.path in before:
                rows = QTableWidgetSelectionRange(number, 0, number, self.table.columnCount() - 1)
                self.table.setRangeSelected(rows, True)
        self.table.blockSignals(False)
        self.table.setVisible(bool(runs))
        if not runs:
            self.say("No runs there yet: Start in the dock Train makes one, and so does Look now.")
        self._show_chosen()

    def _show_chosen(self) -> None:
        chosen = self.chosen
        self.wrong.setText(
            "\n".join(f"{run.path.name}: {run.wrong}" for run in chosen if run.wrong)
        )
        for number, run in enumerate(self.runs):
            item = self.table.item(number, 0)
            if item is not None:
                icon = swatch(COLOURS[chosen.index(run) % len(COLOURS)]) if run in chosen else None
                item.setData(Qt.ItemDataRole.DecorationRole, icon)
        self.differing.show_runs(chosen, len(self.runs))
        paths = [run.path for run in chosen if run.step]
        self._refresh()
        if not paths:
            self._show_curves({})
            return

        def verb() -> Generator[Event, None, Curves]:
            found: Curves = {}
            for path in paths:
                yield Progress("reading curves", len(found), len(paths))
                found[path] = curve(path)
            return found

        self.session.do(CURVES, verb, self._show_curves, torch=False)

    def _show_curves(self, curves: Curves) -> None:
        self.curves.clear()
        for number, run in enumerate(self.chosen):
            if run.path in curves:
                pen = {"color": COLOURS[number % len(COLOURS)], "width": 2}
                self.curves.plot(*curves[run.path], pen=pen)
        self.curves.setVisible(bool(curves))

    def _refresh(self) -> None:
        self.evaluating.refresh()
        chosen = self.chosen
        one = "" if len(chosen) == 1 else "Choose one run in the table."
        for button, unless in self.acts.items():
            why = one
            if not why and chosen[0].experiment is None and button in self._needs_experiment:
                why = "Its experiment.yaml cannot be read."
            self.allow(button, why or unless(chosen[0]))

    @property
    def _needs_experiment(self) -> tuple[QPushButton, ...]:
        return (
            self.open_button, self.continue_button, self.watch_button, self.take_button,
            self.command_button, self.slurm_button,
        )  # fmt: skip

    def _busy(self) -> str:
        task = self.session.training
        if task is None or not task.busy:
            return ""
        return f"{task.title} is under way in the dock Train; stop it first."

    def _cannot_go_on(self, run: RunSummary) -> str:
        if run.goes_on:
            return self._busy()
        return (
            "It is being trained."
            if run.state == "training"
            else "It is finished. 'Use its settings' starts another."
        )

    def _cannot_watch(self, run: RunSummary) -> str:
        if self._here(run):
            return "It is trained here; see the dock Train."
        return self._busy() or ("" if run.state in ("training", "new") else "Nobody trains it now.")

    def _open(self, run: RunSummary) -> None:
        assert run.experiment is not None  # or the button is grey
        path = run.path
        self.session.show_run(path, run.experiment)
        if (path / "embeddings").is_dir():
            task = self.session.do(OPENING, lambda: opened(path), self.session.set_embedded)
            self.follow(task, f"'{path.name}' is open in all docks.")
        else:
            self.say("Its settings are in all docks. It has no embeddings yet: Embed, in Clusters.")

    def _continue(self, run: RunSummary) -> None:
        self.unfinished.hide()
        self.session.continue_run(run.path)

    def _take_settings(self, run: RunSummary) -> None:
        assert run.experiment is not None  # or the button is grey
        self.session.set_experiment(run.experiment)
        self.say("Its settings are in all docks: change them, and press Start in the dock Train.")

    def _copy_command(self, run: RunSummary) -> None:
        path = run.path.absolute()
        words = ["phenoscape", "train", str(path if run.goes_on else path / EXPERIMENT)]
        clipboard = QApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(shlex.join(words))
        self.say(f"Copied: {shlex.join(words)}")

    def _write_slurm(self, run: RunSummary) -> None:
        assert run.experiment is not None  # or the button is grey
        script = write_batch_script(run.experiment, run=run.path if run.goes_on else None)
        self.read()
        self.say(f"On the cluster: sbatch {script}")

    def _reveal(self, run: RunSummary) -> None:
        QDesktopServices.openUrl(QUrl.fromLocalFile(str(run.path.absolute())))

    def _export(self, run: RunSummary) -> None:
        chosen, kind = QFileDialog.getSaveFileName(
            self,
            "Export the encoder into a new folder",
            str(run.path / ENCODER),
            f"For torch (*);;{WITH_ONNX}",
        )
        if chosen:
            verb = partial(export, run.path, Path(chosen), onnx=kind == WITH_ONNX)
            self.follow(self.session.do(EXPORTING, verb, self._say_where))

    def _say_where(self, folder: Path) -> None:
        self.say(f"The encoder is in '{short(folder)}'. Read its model card, README.md, first.")

    def _discard(self, run: RunSummary) -> None:
        button = QMessageBox.StandardButton
        asked = QMessageBox(
            QMessageBox.Icon.Question,
            "Move to trash",
            as_it_is(f"Move '{run.path.name}' into the folder .trash beside it?"),
            button.Yes | button.Cancel,
            self,
        )
        if asked.exec() == button.Yes:
            self._discarded.append(discard(run.path))
            self.undo_button.show()
            self.read()
            self.say(f"Moved to '{short(self._discarded[-1])}'.")

    def _undo(self) -> None:
        try:
            back = restore(self._discarded[-1])
        except PhenoscapeError as error:
            self.say(str(error), error=True)
            return
        self._discarded.pop()
        self.undo_button.setVisible(bool(self._discarded))
        self.read()
        self.say(f"{count_of(1, 'run')} is back: '{back.name}'.")
