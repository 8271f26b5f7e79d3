"""The experiment as a YAML file: the buttons that load and save it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from qtpy.QtWidgets import QFileDialog

from napari_phenoscape._atomic import atomic
from napari_phenoscape.errors import PhenoscapeError
from napari_phenoscape.training import Experiment

if TYPE_CHECKING:
    from napari_phenoscape.widgets._dock import Dock

_FILES = "YAML (*.yaml *.yml)"


class ExperimentFile:
    """Loads the experiment of a dock's session, and saves it; the dock says how it went."""

    def __init__(self, dock: Dock) -> None:
        self._dock = dock
        self.load_button = dock.button(
            "Load…", "Open an experiment.yaml and show it in all docks", self._load
        )
        self.save_button = dock.button(
            "Save…", "Write experiment.yaml; `phenoscape train` runs the same file", self._save
        )

    def _load(self) -> None:
        chosen, _ = QFileDialog.getOpenFileName(self._dock, "Open an experiment", "", _FILES)
        if chosen:
            self.load(Path(chosen))

    def load(self, path: Path) -> None:
        """Show the experiment of a YAML file in all docks."""
        try:
            self._dock.session.set_experiment(Experiment.read(path))
        except PhenoscapeError as error:
            self._dock.say(str(error), error=True)
        else:
            self._dock.say(f"Loaded '{path}'.")

    def _save(self) -> None:
        chosen, _ = QFileDialog.getSaveFileName(
            self._dock, "Save the experiment", "experiment.yaml", _FILES
        )
        if chosen:
            self.save(Path(chosen))

    def save(self, path: Path) -> None:
        """Write the experiment, with paths that hold wherever the file is moved to."""
        try:
            text = self._dock.session.experiment.anchored(Path.cwd()).to_yaml()
            with atomic(path) as temporary:
                temporary.write_text(text, "utf-8")
        except PhenoscapeError as error:
            self._dock.say(str(error), error=True)
        else:
            self._dock.say(f"Saved '{path}'.")
