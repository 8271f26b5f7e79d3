"""Train: the dock that trains a net, or fits an instant one, and shows how it goes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QCheckBox, QFileDialog

from napari_phenoscape.errors import OptionError, PhenoscapeError
from napari_phenoscape.events import (
    Event,
    Failed,
    Finished,
    Health,
    Progress,
    Saved,
    Started,
    Step,
)
from napari_phenoscape.training import SETTLED, Example, Experiment, RunSummary, runs_in
from napari_phenoscape.widgets._before_start import BeforeStart, Checked, checked
from napari_phenoscape.widgets._dock import Dock, later, row, short
from napari_phenoscape.widgets._emerging import WATCHED
from napari_phenoscape.widgets._example_views import ExampleViews
from napari_phenoscape.widgets._experiment_file import ExperimentFile
from napari_phenoscape.widgets._loss_curve import LossCurve, left
from napari_phenoscape.widgets._preset import PresetChoice
from napari_phenoscape.widgets._session import WATCHING
from napari_phenoscape.widgets._unfinished import Unfinished
from napari_phenoscape.widgets.form._form import Form
from napari_phenoscape.widgets.form._modalities import Modalities
from napari_phenoscape.widgets.form._note import note

if TYPE_CHECKING:
    import napari.viewer

    from napari_phenoscape.training import Check

UNFINISHED = "Looking for a run that did not end"
CHECKING, TRYING = "Looking for what would go wrong", "Trying a step"

#: Milliseconds of rest after a change of the settings, before they are checked.
CHECK_MS = 400

ELSEWHERE = ("collection", "augmentations", "background", "image_size", "seed", "grouping")


class TrainDock(Dock):
    """Form of the experiment, start, pause, resume, stop, loss curve, time left.

    The training belongs to the session: it goes on when this dock is closed, and a dock that is
    opened again shows it from its first step.
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(viewer)
        self.source = note()
        self.preset = PresetChoice()
        self.preset.accepted.connect(self._settle)
        self.form = Form(Experiment, hide=ELSEWHERE, first=("modalities",))
        self.form.changed.connect(self._store)
        self.settings = self.form.rest
        self.file = ExperimentFile(self)
        self.continue_button = self.button(
            "Continue…", "Go on with a run directory that was stopped", self._continue
        )
        self.unfinished = Unfinished()
        self.unfinished.accepted.connect(self._accept)
        self.column.addWidget(self.unfinished)
        self.column.addWidget(self.source)
        self.column.addLayout(
            row(self.file.load_button, self.file.save_button, self.continue_button)
        )
        self.column.addWidget(self.preset)
        self.column.addWidget(self.form)

        self.stop_button.hide()  # there is one beside Pause
        self.start_button = self.button("Start", "Train in a new run directory", self._start)
        self.pause_button = self.button("Pause", "Wait after this step", self._pause)
        self.stop_button = self.button("Stop", "End after this step and save", self._stop)
        self.before = BeforeStart()
        self._tried: dict[str, Check | None] = {}
        self.before.accepted.connect(self._mend)
        self._check_soon = later(self, CHECK_MS, self._check)
        self.curve, self.example = LossCurve(self._draw), ExampleViews()
        self.foot.insertLayout(0, row(self.start_button, self.pause_button, self.stop_button))
        self.foot.insertWidget(0, self.before)
        self.emerging = QCheckBox("Show clusters while it trains")
        self.emerging.setChecked(self.session.shows_emerging)
        self.emerging.toggled.connect(self._watch)
        self.foot.insertWidget(2, self.emerging)
        self.foot.insertWidget(3, self.curve)
        self.foot.insertWidget(4, self.example)
        self.run_words = note()
        self.foot.addWidget(self.run_words)

        self.listen(self.session.experiment_changed, self._take)
        self.listen(self.session.collection_changed, self._forget)
        self.listen(self.session.collection_changed, self._refresh)
        self.listen(self.session.clustered_changed, self._offer_emerging)
        self.listen(self.session.training_changed, self._attach)
        self._take("")
        self._attach()
        folder = self.session.runs_folder
        if self.session.training is None and folder.is_dir():
            self.session.do(UNFINISHED, lambda: runs_in(folder), self._offer, torch=False)

    def _offer(self, runs: tuple[RunSummary, ...]) -> None:
        if self.session.training is None:
            self.unfinished.offer(runs)

    def _accept(self, run: RunSummary) -> None:
        self.continue_run(run.path)

    def _take(self, name: str) -> None:
        """Show what another dock, or a file, has put into the experiment."""
        parts = self.session.parts
        blocked = self.form.blockSignals(True)  # or this dock would answer with what it shows
        for field, editor in self.form.editors.items():
            if field in parts and name in ("", field) and self._shown(field) != parts[field]:
                editor.set(parts[field])
        self.form.keep(**{field: parts[field] for field in ELSEWHERE if field in parts})
        self.form.blockSignals(blocked)
        self._refresh()

    def _shown(self, field: str) -> Any:
        try:
            return self.form.editors[field].get()
        except OptionError:
            return None

    def _store(self) -> None:
        if not self.form.error:
            experiment = self.form.value
            for name in self.form.editors:
                self.session.set_part(name, getattr(experiment, name))
        self._refresh()

    def _forget(self) -> None:
        self._tried = {}
        self.preset.offer({})

    def _check(self) -> None:
        """Say beside Start what would go wrong, when the settings have come to rest."""
        task, collection = self.session.training, self.session.collection
        if collection is None or self.form.error or (task is not None and task.busy):
            self.before.show_checks(())
            return
        if (experiment := self._asked()) is None:
            self.before.show_checks(())
            return
        self.session.do(CHECKING, lambda: checked(experiment, collection), self._show_checks)

    def _show_checks(self, found: Checked) -> None:
        editor = self.form.editors["modalities"]
        assert isinstance(editor, Modalities)
        editor.offer(found.modalities)
        self.preset.offer(found.presets)
        task = self.session.training
        busy = task is not None and task.busy
        self.preset.show_of(self.session.parts, busy)
        if found.experiment == self._asked() and not busy:
            self.before.show_checks(found.checks)
            self._try_a_step(found)

    def _try_a_step(self, found: Checked) -> None:
        """Say how long it would take, once a step was tried; again only with other settings."""
        from napari_phenoscape.training import dry_step

        collection, experiment = self.session.collection, found.experiment
        if collection is None or any(check.tone == "error" for check in found.checks):
            return
        key = experiment.model_dump_json(exclude={"name", "runs", "grouping"})

        def show(check: Check | None) -> None:
            self._tried = {key: check}
            if check is not None and experiment == self._asked() and not self.session.trains:
                self.before.show_checks((*found.checks, check))

        if key in self._tried:
            show(self._tried[key])
        else:
            self.session.do(TRYING, lambda: dry_step(experiment, collection), show)

    def _settle(self, experiment: Experiment) -> None:
        self.session.fit(**{name: getattr(experiment, name) for name in SETTLED})

    def _asked(self) -> Experiment | None:
        try:
            return self.session.experiment
        except OptionError:
            return None

    def _mend(self, check: Check) -> None:
        from napari_phenoscape.training import mended

        try:
            self.session.set_experiment(mended(self.session.experiment, check.change))
        except PhenoscapeError as error:
            self.say(str(error), error=True)

    def _refresh(self) -> None:
        self._check_soon.start()
        collection = self.session.collection
        chosen = self.session.parts.get("collection")
        if chosen is not None:
            number = "Specimens" if collection is None else f"{len(collection.specimens)} specimens"
            self.source.setText(f"{number} of '{short(chosen.path)}'. {self._views()}")
        else:
            self.source.setText("No specimens yet: collect them in the Specimens dock.")
        task = self.session.training
        busy = task is not None and task.busy
        self.preset.show_of(self.session.parts, busy)
        state = task.state if task is not None else ""
        idle = "" if busy else "Nothing is being trained."
        missing = "" if chosen is not None else "Collect specimens first, in the Specimens dock."
        wrong = missing or (
            f"The settings do not fit: {self.form.error}" if self.form.error else ""
        )
        watching = task is not None and task.title == WATCHING
        running = (
            "A run is being watched; stop watching it first."
            if watching
            else "A training is at work; stop it first."
        )
        self.allow(self.start_button, running if busy else wrong)
        self.allow(self.continue_button, running if busy else "")
        self.allow(self.file.load_button, running if busy else "")
        self.allow(self.file.save_button, wrong)
        runtime = self.session.parts.get("runtime")
        together = runtime is not None and runtime.devices > 1
        self.allow(
            self.pause_button,
            idle
            or ("Another program trains it; it cannot be paused from here." if watching else "")
            or {"pausing": "Waiting for this step to end.", "stopping": "Stopping."}.get(state, "")
            or ("Several devices cannot wait; stop, and continue later." if together else ""),
        )
        self.allow(self.stop_button, idle or ("Stopping." if state == "stopping" else ""))
        self.stop_button.setText("Stop watching" if watching and busy else "Stop")
        self.pause_button.setText("Resume" if state == "paused" else "Pause")
        self._offer_emerging()
        self.form.setEnabled(not busy)
        self.form.setToolTip(
            "The settings of the training at work; stop it to change them." if busy else ""
        )

    def _offer_emerging(self) -> None:
        """Whether specimens can tell of a training that is begun now; else the tooltip says why."""
        task, asked = self.session.training, self._asked()
        if task is not None and task.busy:
            why = "Decided at the start of a training."
        elif asked is None or not self.session.can_show_emerging(asked):
            why = "None of these specimens are shown: 'Look now' in the dock Specimens shows them."
        elif not asked.method.trains or asked.runtime.devices > 1 or asked.runtime.compile:
            why = "Only of a net that is trained on one device, and not compiled."
        else:
            why = ""
        self.emerging.setEnabled(not why)
        self.emerging.setToolTip(
            why
            or f"Every so many steps {WATCHED} specimens at most are embedded by the net so far, "
            "and recoloured on the picture and on the map; it takes some 3% of the time, and "
            "changes nothing that is learnt"
        )

    def _watch(self, on: bool) -> None:
        self.session.shows_emerging = on

    def _views(self) -> str:
        """What is chosen in the dock beside this one, in words."""
        size, chosen = (
            self.session.parts.get(name, Experiment.model_fields[name].default)
            for name in ("image_size", "augmentations")
        )
        name = (
            f"the augmentations '{chosen}'" if isinstance(chosen, str) else "augmentations of mine"
        )
        return f"Views of {size} pixels, by {name} (Preview augmentations)."

    def _start(self) -> None:
        try:
            experiment = self.session.experiment
        except OptionError as error:
            self.say(str(error), error=True)
            return
        self.session.train_experiment(experiment)

    def _continue(self) -> None:
        chosen = QFileDialog.getExistingDirectory(self, "Choose a run directory", "runs")
        if chosen:
            self.continue_run(Path(chosen))

    def continue_run(self, run: Path) -> None:
        """Go on with the training of a run directory."""
        try:
            self.session.continue_run(run)
        except PhenoscapeError as error:
            self.say(str(error), error=True)

    def _pause(self) -> None:
        task = self.session.training
        if task is not None:
            if task.state == "paused":
                task.resume()
            else:
                task.pause()

    def _stop(self) -> None:
        if self.session.training is not None:
            self.session.training.stop()

    def _attach(self) -> None:
        """Show the session's training, from its first event."""
        task = self.session.training
        self.session.stop(TRYING)
        self.curve.forget()
        self.run_words.setText("")
        for event in self.session.history:
            self._on_training_event(event)
        self.example.show_example(self.session.example)
        if task is not None and not task.busy:
            self.settings.opened = True
        self._draw()
        if task is not None:
            self.unfinished.hide()
            task.event_received.connect(self._on_training_event)
            task.batch_flushed.connect(self.curve.draw_soon)
            task.state_changed.connect(self._on_training_state)
            self._on_training_state(task.state)
        self._refresh()

    def _on_training_event(self, event: Event) -> None:
        match event:
            case Started(run=run, specimens=specimens, step=step, steps=steps, device=device):
                self.run_words.setText(f"{device} · {specimens} specimens · {short(run)}")
                self.progress.setRange(0, steps)
                self.progress.setValue(step)
                self.work.show()
                self.settings.opened = False  # to make room, once the settings were fine
            case Step():
                self.curve.add(event)
            case Example():
                self.example.show_example(event)
            case Progress(what=what, done=done, total=total):
                self.progress.setRange(0, max(total, 1))
                self.progress.setValue(done)
                self.progress.setFormat(f"{what}: {done} of {total}")
                self.work.show()
            case Health(verdict=verdict) if verdict:
                self.run_words.setText(verdict)
            case Saved(path=path):
                self.run_words.setToolTip(f"Saved {path.name}")
            case Failed(message=message):
                self.curve.leave_untold()
                self.say(message, error=True)
            case Finished(path=path):
                self.run_words.setText(f"Run: {short(path)}")

    def _draw(self) -> None:
        if (told := self.curve.draw()) is not None:
            step, words = told
            self.progress.setRange(0, step.steps)
            self.progress.setValue(step.step)
            self.progress.setFormat(f"step {step.step} of {step.steps}, {left(step)}")
            self.say(words)

    def _on_training_state(self, state: str) -> None:
        self._draw()
        here = short(self.session.run) if self.session.run is not None else ""
        if state in ("done", "stopped", "failed"):
            self.work.hide()
            self.example.hide()  # it leaves its room to what is to be known before the next
        task = self.session.training
        if task is not None and task.title == WATCHING:
            self.say(
                {
                    "done": f"Its training has ended. Continue, or cluster it: {here}",
                    "stopped": "No longer watched; its training goes on.",
                    "running": "Watching …",
                }.get(state, self.words.text())
            )
        elif state == "running":
            self.say("Going on …" if self.curve.steps else "Starting …")
        elif state == "done":
            self.say(f"Done. Embed and cluster the run in the Clusters dock: {here}")
        elif state == "stopped":
            self.say(f"Stopped and saved: {here}. 'Continue…' goes on from here.")
        elif state == "stopping":
            self.say("Stopping after this step, then saving …")
        elif state in ("pausing", "paused"):
            self.say(
                "Paused. Nothing is lost." if state == "paused" else "Pausing after this step …"
            )
        self._refresh()
