"""Preset: how much a whole experiment computes, chosen before anything else."""

from __future__ import annotations

from collections.abc import Mapping

from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QLabel, QWidget

from napari_phenoscape.training import (
    EXPERIMENT_PRESETS,
    SETTLED,
    Experiment,
    ExperimentPresetName,
)
from napari_phenoscape.widgets._dock import column_of, row, short_combo
from napari_phenoscape.widgets.form._note import note
from napari_phenoscape.widgets.form._variants import OWN

#: What is said where no specimens tell what fits them.
UNKNOWN = "Collect specimens first, in the Specimens dock: presets are made to fit them."


class PresetChoice(QWidget):
    """A choice of `EXPERIMENT_PRESETS`, and what the chosen one means for these specimens."""

    accepted = Signal(object)  #: the `Experiment` whose settings are wanted

    def __init__(self) -> None:
        super().__init__()
        self._offered: Mapping[ExperimentPresetName, Experiment] = {}
        self.box = short_combo()
        self.box.addItems([*EXPERIMENT_PRESETS, OWN])
        self.words = note()
        column = column_of(self)
        self.label = QLabel("preset")
        column.addLayout(row(self.label, self.box))
        column.addWidget(self.words)
        self.box.activated.connect(self._accept)

    def offer(self, experiments: Mapping[ExperimentPresetName, Experiment]) -> None:
        """The experiments of the presets, for the specimens that are collected now."""
        self._offered = experiments

    def show_of(self, parts: Mapping[str, object], busy: bool = False) -> None:
        """Say which preset these fields of an experiment are; ``busy``: they cannot be changed."""
        name = next((name for name, one in self._offered.items() if _settles(one, parts)), None)
        with QSignalBlocker(self.box):
            self.box.setCurrentText(name or OWN)
        self.setEnabled(bool(self._offered) and not busy)
        self.setToolTip("" if self._offered else UNKNOWN)
        self.words.setText("" if name is None else self._meaning(name))

    def _meaning(self, name: ExperimentPresetName) -> str:
        preset, experiment = EXPERIMENT_PRESETS[name], self._offered[name]
        views = f"Views of {experiment.image_size} pixels"
        if not preset.trains:
            return f"{preset.words} {views}."
        schedule = experiment.schedule
        return (
            f"{preset.words} {views}, {schedule.steps} steps of {schedule.batch_size} specimens, "
            f"net {experiment.encoder.backbone}."
        )

    def _accept(self, chosen: int) -> None:
        names = list(EXPERIMENT_PRESETS)
        if chosen < len(names):  # or it is the user's own, and nothing to take
            self.accepted.emit(self._offered[names[chosen]])


def _settles(experiment: Experiment, parts: Mapping[str, object]) -> bool:
    """Whether all that a preset settles is as in an experiment."""
    fields = Experiment.model_fields
    return all(
        parts.get(name, fields[name].get_default()) == getattr(experiment, name) for name in SETTLED
    )
