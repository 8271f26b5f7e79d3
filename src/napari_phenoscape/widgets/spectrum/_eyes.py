"""Animal vision in the dock: what an eye catches of the cube, and of the kept spectra."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from qtpy.QtWidgets import QFileDialog, QWidget

from napari_phenoscape._atomic import atomic
from napari_phenoscape.cubes import Cube, visual_systems
from napari_phenoscape.errors import PhenoscapeError
from napari_phenoscape.events import Event
from napari_phenoscape.layers import derived_layer
from napari_phenoscape.spectra import (
    ILLUMINANTS,
    CameraModel,
    Eye,
    Illuminant,
    colours_table,
    cone_catch,
    illuminant,
    planes_of,
    read_eye,
)
from napari_phenoscape.widgets._dock import column_of, fields, row
from napari_phenoscape.widgets._small_table import fill_table, small_table
from napari_phenoscape.widgets.form._note import note
from napari_phenoscape.widgets.spectrum._choices import WordBox
from napari_phenoscape.widgets.spectrum._cube_dock import CubeDock
from napari_phenoscape.widgets.spectrum._kept import KeptSection

CATCHING = "Cone catches"


class EyeSection(QWidget):
    """Which eye, in which light; its catches as layers, and as a table.

    Parameters
    ----------
    dock
        The dock that it is a part of.
    kept
        The spectra that can be chosen.
    """

    def __init__(self, dock: CubeDock, kept: KeptSection) -> None:
        super().__init__()
        self.dock, self.kept = dock, kept
        self.eye = WordBox(visual_systems(), "Sensitivities, pigments or a camera's model")
        self.eye.setToolTip(
            "A built-in visual system, or a CSV: sensitivities by nm, pigments, or, for pictures "
            "of a UV camera, a camera's model"
        )
        self.light = WordBox(ILLUMINANTS, "A light: energy or quanta by nm")
        self.light.setToolTip("What the eye is adapted to; a camera's model holds its own")
        self.layer_button = dock.button(
            "Catches as layers",
            "How much each receptor catches of every pixel, 1 for a perfect white; a cube like any "
            "other. `phenoscape convert --vision` writes it to a file",
            self._catch,
        )
        self.table_button = dock.button(
            "Table",
            "Catches of the chosen kept spectra (all, when none is chosen), their shares, and, of "
            "four colour receptors, the place in the tetrahedron",
            self._fill,
        )
        self.save_button = dock.button("Save CSV…", "All columns of the table", self._save)
        self.words = note()
        self.table = small_table(120)
        self.table.hide()
        self.colours: pd.DataFrame | None = None
        layout = column_of(self)
        layout.addLayout(fields(eye=self.eye, light=self.light))
        layout.addWidget(self.words)
        layout.addLayout(row(self.layer_button, self.table_button, self.save_button))
        layout.addWidget(self.table)
        self.words.say("")

    def refresh(self) -> None:
        """What is possible with the cube and the spectra that there are."""
        allow = self.dock.allow
        allow(self.layer_button, "" if self.dock.cube is not None else "Open a cube first.")
        none = "" if self.kept.chosen else "Hold Shift and click on the cube: keep a spectrum."
        allow(self.table_button, none)
        allow(self.save_button, "" if self.colours is not None else "Fill the table first.")

    def _seeing(self) -> tuple[Eye, Illuminant | None]:
        """The eye and the light that are chosen.

        Raises
        ------
        PhenoscapeError
            A file is none of them.
        """
        eye = read_eye(self.eye.chosen)
        return eye, None if isinstance(eye, CameraModel) else illuminant(self.light.chosen)

    def _catch(self) -> None:
        cube = self.dock.cube
        assert cube is not None  # the button is grey
        self.words.say("")
        try:
            eye, light = self._seeing()
            seen = cone_catch(cube, eye, light)
        except PhenoscapeError as error:
            self.words.say(str(error), "error")
            return

        def verb() -> Generator[Event, None, Any]:
            # few bands, each from all of the cube's: too much for a slider
            planes = yield from planes_of(seen)
            return derived_layer(replace(seen, array=planes), f"catches of {eye.name}")

        self.words.say(" ".join(seen.provenance[len(cube.provenance) :]))
        task = self.dock.session.do(CATCHING, verb, self.dock.add, torch=False)
        self.dock.follow(task, beside=self.words)

    def _fill(self) -> None:
        self.words.say("")
        try:
            eye, light = self._seeing()
            caught = []
            for kept in self.kept.chosen:
                pixel = Cube(kept.spectrum.mean[:, None, None], kept.cube.bands, kept.cube.path)
                seen = cone_catch(pixel, eye, light)
                caught.append((kept.spectrum.name, np.asarray(seen.array)[:, 0, 0]))
        except PhenoscapeError as error:
            self.words.say(str(error), "error")
            return
        self.colours = colours_table(eye, caught)
        rows = [
            [value if isinstance(value, str) else f"{value:.3f}" for value in line]
            for line in self.colours.itertuples(index=False)
        ]
        fill_table(self.table, list(self.colours.columns), rows)
        self.table.show()
        self.refresh()

    def _save(self) -> None:
        name, _ = QFileDialog.getSaveFileName(self, "Save the table", "colours.csv", "CSV (*.csv)")
        if name:
            self.save(Path(name))

    def save(self, path: Path) -> None:
        """Write the table."""
        assert self.colours is not None  # the button is grey
        try:
            with atomic(path.absolute()) as temporary:
                self.colours.to_csv(temporary, index=False, float_format="%.6g")
        except PhenoscapeError as error:
            self.words.say(str(error), "error")
        else:
            self.dock.say(f"Saved {path.name}.")
