"""What is computed from spectra: smoothing, continuum, band indices, spectral angles."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any

from qtpy.QtWidgets import QLineEdit, QSpinBox, QWidget

from napari_phenoscape.cubes import Cube, open_cube, write_cube
from napari_phenoscape.errors import PhenoscapeError
from napari_phenoscape.events import Event, Progress
from napari_phenoscape.layers import derived_layer, plane_layer
from napari_phenoscape.spectra import angles_to, band_index, planes_of, smoothed, without_continuum
from napari_phenoscape.widgets._dock import column_of, row
from napari_phenoscape.widgets.form._fold import without_wheel
from napari_phenoscape.widgets.form._note import Note, note
from napari_phenoscape.widgets.spectrum._cube_dock import CubeDock
from napari_phenoscape.widgets.spectrum._kept import KeptSection

COMPUTING = "Computing from spectra"


class ComputeSection(QWidget):
    """Each a field, a button, and its errors below.

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
        self.over = QSpinBox()
        self.over.setRange(3, 999)
        self.over.setSingleStep(2)
        self.over.setValue(11)
        self.over.setPrefix("over ")
        self.over.setSuffix(" bands")
        self.over.setToolTip("An odd number of neighbouring bands; a parabola is fitted to them")
        without_wheel(self.over)
        self.smooth_button = dock.button(
            "Smooth", "Savitzky-Golay, as a layer of its own", self._smooth
        )
        self.smooth_words = note()
        self.continuum_button = dock.button(
            "Divide by the continuum",
            "Every spectrum over its upper convex hull; 1 = on the hull. Written beside the window "
            "to a file that is removed when napari ends",
            self._continuum,
        )
        self.continuum_words = note()
        self.formula = QLineEdit("(R800 - R670) / (R800 + R670)")
        self.formula.setToolTip(
            "R800 is the band nearest to 800 nm; other words are names of bands; + - * / ** ( )"
        )
        self.formula.returnPressed.connect(self._index)
        self.index_button = dock.button("Index", "A number for each pixel, as a layer", self._index)
        self.index_words = note()
        self.angle_button = dock.button(
            "Angle to the kept spectra",
            "Spectral angle in radians to each chosen spectrum (all, when none is chosen), as "
            "layers; 0 = the same shape, however bright",
            self._angle,
        )
        self.angle_words = note()
        layout = column_of(self)
        layout.addLayout(row(self.over, self.smooth_button))
        layout.addWidget(self.smooth_words)
        layout.addWidget(self.continuum_button)
        layout.addWidget(self.continuum_words)
        layout.addLayout(row(self.formula, self.index_button))
        layout.addWidget(self.index_words)
        layout.addWidget(self.angle_button)
        layout.addWidget(self.angle_words)
        for words in (self.smooth_words, self.continuum_words, self.index_words, self.angle_words):
            words.say("")

    def refresh(self) -> None:
        """What is possible with the cube and the spectra that there are."""
        no_cube = "" if self.dock.cube is not None else "Open a cube first."
        for button in (self.smooth_button, self.continuum_button, self.index_button):
            self.dock.allow(button, no_cube)
        none = "" if self.kept.chosen else "Hold Shift and click on the cube: keep a spectrum."
        self.dock.allow(self.angle_button, no_cube or none)

    def _smooth(self) -> None:
        window = self.over.value()

        def lazily(cube: Cube) -> Generator[Event, None, Any]:
            yield Progress("smoothing", 0, 1)
            return derived_layer(smoothed(cube, window), f"smoothed over {window} bands")

        self._work(lambda cube: smoothed(cube, window), lazily, self.smooth_words)

    def _continuum(self) -> None:
        file = self.dock.session.scratch_file("continuum.bil")

        def written(cube: Cube) -> Generator[Event, None, Any]:
            # a band of it needs every spectrum whole, too much for a slider
            made = without_continuum(cube)
            yield from write_cube(replace(made, mask=None), file)
            return derived_layer(replace(made, array=open_cube(file).array), "over its continuum")

        self._work(without_continuum, written, self.continuum_words)

    def _index(self) -> None:
        formula = self.formula.text().strip()

        def planes(cube: Cube) -> Generator[Event, None, Any]:
            (plane,) = yield from planes_of(band_index(cube, formula))
            return plane_layer(cube, plane, formula)

        self._work(lambda cube: band_index(cube, formula), planes, self.index_words)

    def _angle(self) -> None:
        spectra = [kept.spectrum for kept in self.kept.chosen]

        def planes(cube: Cube) -> Generator[Event, None, Any]:
            angles = yield from planes_of(angles_to(cube, spectra))
            return [
                plane_layer(cube, plane, f"angle to {spectrum.name} (rad)")
                for plane, spectrum in zip(angles, spectra, strict=True)
            ]

        self._work(lambda cube: angles_to(cube, spectra), planes, self.angle_words)

    def _work(
        self,
        check: Callable[[Cube], object],
        verb: Callable[[Cube], Generator[Event, None, Any]],
        words: Note,
    ) -> None:
        """Say what is wrong at once, beside its field; else compute beside the window."""
        cube = self.dock.cube
        if cube is None:
            return  # Return was pressed in a field
        words.say("")
        try:
            check(cube)  # nothing is computed yet
        except PhenoscapeError as error:
            words.say(str(error), "error")
            return
        task = self.dock.session.do(COMPUTING, lambda: verb(cube), self.dock.add, torch=False)
        self.dock.follow(task, beside=words)
