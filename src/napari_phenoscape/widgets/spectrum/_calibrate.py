"""Calibration in the dock: reflectance by white and dark references, as a layer beside."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from qtpy.QtWidgets import QSizePolicy, QWidget

from napari_phenoscape.errors import PhenoscapeError
from napari_phenoscape.events import Event, Notice, Progress
from napari_phenoscape.layers import derived_layer
from napari_phenoscape.spectra import calibrated
from napari_phenoscape.widgets._dock import column_of, fields
from napari_phenoscape.widgets.form._fold import without_wheel
from napari_phenoscape.widgets.form._note import note
from napari_phenoscape.widgets.form._numbers import FloatBox
from napari_phenoscape.widgets.spectrum._choices import ReferenceBox
from napari_phenoscape.widgets.spectrum._cube_dock import CubeDock

CALIBRATION = "Calibrating"


class CalibrationSection(QWidget):
    """White, dark, and what the white panel reflects.

    Parameters
    ----------
    dock
        The dock that it is a part of.
    """

    def __init__(self, dock: CubeDock) -> None:
        super().__init__()
        self.dock = dock
        self.white = ReferenceBox(dock, "choose…")
        self.white.setToolTip(
            "A Shapes or Labels layer that you drew on the white panel, or a scan of it"
        )
        self.dark = ReferenceBox(dock, "none: 0")
        self.dark.setToolTip("What the camera reads without light: a scan, or a part of this one")
        self.panel = FloatBox()
        self.panel.setRange(0.01, 1)
        self.panel.setSingleStep(0.01)
        self.panel.setValue(1)
        self.panel.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.panel.setToolTip("Reflectance of the white panel, 0-1; it is on its label")
        without_wheel(self.panel)
        self.words = note()
        self.button = dock.button(
            "To reflectance",
            "panel · (raw − dark) / (white − dark), as a layer of its own; "
            "`phenoscape convert --white` writes it to a file",
            self._calibrate,
        )
        layout = column_of(self)
        layout.addLayout(fields(white=self.white, dark=self.dark, panel=self.panel))
        layout.addWidget(self.words)
        layout.addWidget(self.button)
        for box in (self.white, self.dark):
            box.currentIndexChanged.connect(self._allow)

    def refresh(self) -> None:
        """Offer the references that are there now."""
        self.white.refresh()
        self.dark.refresh()
        self._allow()

    def _allow(self, _index: int = 0) -> None:
        self.words.say("")
        no_cube = "" if self.dock.cube is not None else "Open a cube first."
        no_white = "" if self.white.chosen is not None else (
            "Choose a white reference: draw a shape on the panel, or take a file."
        )  # fmt: skip
        self.dock.allow(self.button, no_cube or no_white)

    def _calibrate(self) -> None:
        cube, panel = self.dock.cube, self.panel.value()
        assert cube is not None  # the button is grey
        try:
            white, dark = self.white.reference(), self.dark.reference()
        except PhenoscapeError as error:
            self.words.say(str(error), "error")
            return
        assert white is not None  # the button is grey

        def verb() -> Generator[Event, None, Any]:
            yield Progress("reading the references", 0, 1)
            shade = None if dark is None else dark(cube)
            made = calibrated(cube, white(cube), shade, panel)
            for sentence in made.provenance:
                if sentence not in cube.provenance:
                    yield Notice(sentence)
            return derived_layer(made, "reflectance")

        task = self.dock.session.do(CALIBRATION, verb, self.dock.add, torch=False)
        self.dock.follow(task, beside=self.words)
