"""Spectrum: the dock that shows what a cube reflects, pixel by pixel and region by region."""

from __future__ import annotations

from collections.abc import Generator
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from qtpy.QtCore import QTimer

from napari_phenoscape.cubes import Cube, FileArray
from napari_phenoscape.errors import PhenoscapeError
from napari_phenoscape.events import Event, Progress
from napari_phenoscape.spectra import Spectrum, pixel_spectrum
from napari_phenoscape.widgets._dock import stacked
from napari_phenoscape.widgets.form._fold import Fold, heading
from napari_phenoscape.widgets.form._note import note
from napari_phenoscape.widgets.spectrum._calibrate import CALIBRATION, CalibrationSection
from napari_phenoscape.widgets.spectrum._chart import Chart
from napari_phenoscape.widgets.spectrum._composite import COMPOSITE, PictureSection
from napari_phenoscape.widgets.spectrum._compute import COMPUTING, ComputeSection
from napari_phenoscape.widgets.spectrum._cube_dock import CubeDock
from napari_phenoscape.widgets.spectrum._eyes import CATCHING, EyeSection
from napari_phenoscape.widgets.spectrum._kept import REGION, KeptSection

if TYPE_CHECKING:
    import napari.viewer

#: The cursor may move many times a second; the curve follows so often at most.
LIVE_MS = 33

LIVE = "Reading a spectrum"

#: A cube, a pixel of it, and its spectrum or why there is none.
Live = tuple[Cube, tuple[int, int], Spectrum | str]


class SpectrumDock(CubeDock):
    """The spectrum under the cursor, and what can be seen, kept and computed of a cube.

    It shows the cube that is chosen above; the cursor may be over any of its layers.
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(viewer)
        self.chart = Chart(self)
        self.place_words = note()
        self.kept = KeptSection(self, self.chart)
        self.pictures = PictureSection(self, self.chart, self.kept)
        self.calibration = CalibrationSection(self)
        self.computing = ComputeSection(self, self.kept)
        self.eyes = EyeSection(self, self.kept)
        self.assumed = note()
        self.assumed_fold = Fold("Assumed about the file", stacked(self.assumed))
        self.assumed_fold.setToolTip("What the file does not say, or what makes one doubt it")
        self.column.addWidget(heading("Cube"))
        self.column.addWidget(self.cubes)
        self.column.addWidget(self.chart.plot)
        self.column.addWidget(self.place_words)
        self.column.addWidget(heading("Picture"))
        self.column.addWidget(self.pictures)
        self.column.addWidget(heading("Kept spectra"))
        self.column.addWidget(self.kept)
        self.column.addWidget(Fold("Calibrate", self.calibration))
        self.column.addWidget(Fold("Compute from spectra", self.computing))
        self.column.addWidget(Fold("Animal vision", self.eyes))
        self.column.addWidget(self.assumed_fold)

        self._cursor: Any = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(LIVE_MS)
        self._timer.timeout.connect(self._follow_cursor)
        self.cube_chosen.connect(self._show_cube)
        self.layers_changed.connect(self.refresh)
        self.kept.changed.connect(self.refresh)
        self.readout.changed.connect(self.chart.set_slider)
        self.chart.slider_moved.connect(self.readout.move)
        # what they make is shown by this dock
        self.at_close(partial(self.session.stop, LIVE, COMPOSITE, REGION, CALIBRATION))
        self.at_close(partial(self.session.stop, COMPUTING, CATCHING))
        for callbacks, own in (
            (viewer.mouse_move_callbacks, self._moved),
            (viewer.mouse_drag_callbacks, self._pressed),
        ):
            callbacks.append(own)
            self.at_close(partial(callbacks.remove, own))
        self._list()
        self._choose()
        self.kept.restore()

    def refresh(self) -> None:
        """Let every part show what is possible now."""
        for part in (self.kept, self.calibration, self.computing, self.eyes):
            part.refresh()
        self.place_words.setText(
            "Open a cube first."
            if self.cube is None
            else "Shift + click keeps the spectrum under the cursor."
        )

    def _show_cube(self) -> None:
        mark = {} if self.layer is None else self.layer.metadata["phenoscape"]
        self.assumed.setText("\n".join(f"• {words}" for words in mark.get("provenance", ())))
        self.assumed_fold.setVisible(bool(self.assumed.text()))
        self.say("")
        self.chart.show_cube(self.cube)
        self.readout.watch(self.layer, self.cube)
        self.pictures.refresh()
        self.kept.mark()
        self.refresh()

    def _moved(self, _viewer: Any, event: Any) -> None:
        self._cursor = event.position
        if not self._timer.isActive():
            self._timer.start()

    def _pixel(self, position: Any) -> tuple[int, int] | None:
        """Row and column of a place in the world, None outside the cube."""
        layer, cube = self.layer, self.cube
        if cube is None or layer is None or position is None:
            return None
        place = np.asarray(position, dtype=np.float64)[-2:]
        world = np.concatenate([np.zeros(layer.ndim - 2), place])
        row, column = (round(float(at)) for at in np.asarray(layer.world_to_data(world))[-2:])
        rows, columns = cube.shape[1:]
        return (row, column) if 0 <= row < rows and 0 <= column < columns else None

    def _follow_cursor(self) -> None:
        """Show the spectrum under the cursor; one that takes time is read beside the window."""
        cube, pixel = self.cube, self._pixel(self._cursor)
        if pixel is None or cube is None:
            return
        if isinstance(cube.array, FileArray):  # some microseconds
            self._show_live((cube, pixel, _spectrum_or_why(cube, pixel)))
            return
        before = self.session.task(LIVE)
        if before is not None and before.busy:
            self._timer.start()  # then from where the cursor is
            return

        def verb() -> Generator[Event, None, Live]:
            yield Progress("reading a spectrum", 0, 1)
            return cube, pixel, _spectrum_or_why(cube, pixel)

        self.session.do(LIVE, verb, self._show_live, torch=False)

    def _show_live(self, read: Live) -> None:
        cube, (row, column), spectrum = read
        if cube is not self.cube:
            return  # another was chosen meanwhile
        if isinstance(spectrum, str):
            self.say(spectrum, error=True)
            return
        self.chart.show_live(spectrum.mean)
        self.place_words.setText(f"row {row}, column {column}; Shift + click keeps it.")

    def _pressed(self, _viewer: Any, event: Any) -> None:
        if "Shift" in event.modifiers:  # a Key of vispy, equal to its name
            pixel = self._pixel(event.position)
            if pixel is not None and self.cube is not None:
                try:
                    self.kept.keep(pixel_spectrum(self.cube, *pixel), pixel)
                except PhenoscapeError as error:
                    self.say(str(error), error=True)


def _spectrum_or_why(cube: Cube, pixel: tuple[int, int]) -> Spectrum | str:
    """A pixel's spectrum, or why there is none: said once, not at every move of the cursor."""
    try:
        return pixel_spectrum(cube, *pixel)
    except PhenoscapeError as error:
        return str(error)
