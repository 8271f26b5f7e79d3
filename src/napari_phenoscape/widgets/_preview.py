"""Preview augmentations: the dock that shows what training will see of a specimen."""

from __future__ import annotations

from collections.abc import Generator
from typing import TYPE_CHECKING, Any

from napari.layers import Labels
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QComboBox, QSlider, QSpinBox

from napari_phenoscape.errors import OptionError
from napari_phenoscape.events import Event
from napari_phenoscape.layers import view_layers
from napari_phenoscape.specimens import Crops
from napari_phenoscape.training import SHEET, Experiment, views_of, with_only
from napari_phenoscape.views import operations, pictures, warnings
from napari_phenoscape.widgets._dock import Dock, row, short_combo
from napari_phenoscape.widgets._experiment_file import ExperimentFile
from napari_phenoscape.widgets._place import look_at, ours, place
from napari_phenoscape.widgets.form._fold import heading, without_wheel
from napari_phenoscape.widgets.form._form import Form
from napari_phenoscape.widgets.form._note import note
from napari_phenoscape.widgets.form._variants import Preset

if TYPE_CHECKING:
    import napari.viewer

SHOWN = ("augmentations", "image_size", "background")

#: The form may change many times a second; the views follow after so long a rest.
REST_MS = 150

WORKING = "Making views"

#: The choice of no augmentation in particular.
ALL = "all augmentations"


class PreviewDock(Dock):
    """Both views of a specimen beside the original, following the form.

    The views are those of training: the same seed, step and specimen give the same bits there.
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(viewer)
        self.specimen = short_combo()
        self.specimen.setToolTip("The specimen that is shown")
        self.slider = QSlider(Qt.Orientation.Horizontal)
        self.slider.setToolTip("Go through the specimens")
        self.step = QSpinBox()
        self.step.setRange(0, 1_000_000)
        self.step.setPrefix("step ")
        self.step.setToolTip("The training step whose views these are")
        without_wheel(self.step)
        self.roll_button = self.button(
            "Re-roll", "Views of the next step: another roll of the dice", self._roll
        )
        self.only = short_combo()
        self.only.setToolTip("One augmentation alone, in every view, to see what it does")
        self.show_as = short_combo()
        self.show_as.setToolTip("What is seen of the bands: colours, or one band in grey")
        self.form = Form(Experiment, hide=[n for n in Experiment.model_fields if n not in SHOWN])
        self.dice = Form(Experiment, hide=[n for n in Experiment.model_fields if n != "seed"])
        self.editors = self.form.editors | self.dice.editors
        self.file = ExperimentFile(self)
        augmentations = self.form.editors["augmentations"]
        assert isinstance(augmentations, Preset)  # a preset, or the user's own list
        augmentations.fold.opened = True
        self.warnings = note(tone="warning")
        self.column.addWidget(heading("Specimen"))
        self.column.addWidget(self.specimen)
        self.column.addWidget(self.slider)
        self.column.addLayout(row(self.dice, self.step, self.roll_button))
        self.column.addLayout(row(self.only, self.show_as))
        self.column.addWidget(heading("How its views differ"))
        self.column.addLayout(row(self.file.load_button, self.file.save_button))
        self.column.addWidget(self.form)
        self.foot.insertWidget(0, self.warnings)  # in sight however far down the switch is

        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.setInterval(REST_MS)
        self._rest.timeout.connect(self._make)
        self._again = False
        self.specimen.currentIndexChanged.connect(self.slider.setValue)
        self.slider.valueChanged.connect(self.specimen.setCurrentIndex)
        self.specimen.currentIndexChanged.connect(self._later)
        self.step.valueChanged.connect(self._later)
        self.only.currentIndexChanged.connect(self._later)
        self.show_as.currentIndexChanged.connect(self._later)
        for form in (self.form, self.dice):
            form.changed.connect(self._store)
        self.listen(self.session.collection_changed, self._list)
        self.listen(self.session.experiment_changed, self._take)
        self._take("")
        self._list()

    def _take(self, name: str) -> None:
        parts = self.session.parts
        blocked = [form.blockSignals(True) for form in (self.form, self.dice)]
        for field, editor in self.editors.items():
            if field in parts and name in ("", field) and self._shown(field) != parts[field]:
                editor.set(parts[field])
        for form, before in zip((self.form, self.dice), blocked, strict=True):
            form.blockSignals(before)
        if name in ("", "modalities", *self.editors):
            self._later()

    def _shown(self, field: str) -> Any:
        try:
            return self.editors[field].get()
        except OptionError:
            return None

    def _store(self) -> None:
        for name, editor in self.editors.items():
            try:
                self.session.set_part(name, editor.get())
            except OptionError as error:
                self.say(str(error), error=True)
                return
        self._later()

    def _list(self) -> None:
        collection = self.session.collection
        ids = [specimen.id for specimen in collection.specimens] if collection else []
        self.specimen.blockSignals(True)
        self.specimen.clear()
        self.specimen.addItems(ids)
        self.specimen.blockSignals(False)
        self.slider.setRange(0, max(0, len(ids) - 1))
        missing = "" if ids else "Collect specimens first, in the Specimens dock."
        self.allow(self.roll_button, missing)
        for widget in (self.specimen, self.slider, self.step, self.only, self.show_as):
            widget.setEnabled(bool(ids))
        self.say(missing)
        self._later()

    def _roll(self) -> None:
        self.step.setValue(self.step.value() + 1)

    def _later(self) -> None:
        if self.session.collection is not None:
            self._rest.start()

    def _make(self) -> None:
        """Make the views in a thread; while one is at work, remember to do it again."""
        if self.session.collection is None or self.specimen.currentIndex() < 0:
            return
        task = self.session.task(WORKING)
        if task is not None and task.busy:
            self._again = True
            return
        try:
            experiment = self.session.experiment
        except OptionError as error:
            self.say(str(error), error=True)
            return
        collection, crops = self.session.collection, self.session.crops.of(experiment)
        step = self.step.value()
        chosen = collection.specimens[self.specimen.currentIndex()].id
        self._offer(self.only, [ALL, *(op.kind for op in operations(experiment.augmentations))])
        alone = with_only(experiment, self.only.currentText()) if self.only.currentIndex() else None

        def verb() -> Generator[Event, None, Any]:
            from napari_phenoscape.training import crops_of

            made = crops
            if made is None:
                made = yield from crops_of(experiment, collection)
            number = made.row(chosen)
            views = views_of(
                alone or experiment, made, number, seed=experiment.seed, step=step, count=SHEET
            )
            return experiment, made, number, views

        task = self.session.do(WORKING, verb, self._show)
        self.follow(task)
        task.state_changed.connect(self._next)

    def _offer(self, combo: QComboBox, words: list[str]) -> None:
        """Choices of a box; what was chosen stays when it is among them."""
        if [combo.itemText(index) for index in range(combo.count())] == words:
            return
        chosen = combo.currentText()
        combo.blockSignals(True)
        combo.clear()
        combo.addItems(words)
        combo.setCurrentIndex(max(0, combo.findText(chosen)))
        combo.blockSignals(False)

    def _next(self) -> None:
        task = self.session.task(WORKING)
        if self._again and task is not None and not task.busy:
            self._again = False
            self._make()

    def _show(self, made: tuple[Experiment, Crops, int, Any]) -> None:
        experiment, crops, number, views = made
        self.session.crops.keep(experiment, crops)
        new = not ours(self.viewer, "view")
        ways = pictures(crops.bands)
        self._offer(self.show_as, list(ways))
        pair = views.part(slice(2))
        layers = place(
            self.viewer,
            view_layers(
                crops.images[number],
                crops.masks[number],
                pair,
                crops.bands,
                ways[self.show_as.currentText()],
                sheet=views,
            ),
            "view",
        )
        if new:
            outlines = next(layer for layer in layers if isinstance(layer, Labels))
            outlines.contour = 1  # napari's constructor of Labels does not take it
            look_at(self.viewer, layers)
        said = warnings(operations(experiment.augmentations))
        self.warnings.setText("\n".join(said))
