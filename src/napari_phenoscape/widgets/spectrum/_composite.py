"""Pictures of the chosen cube: by name, or by dragging lines over the plot."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np
from napari.layers import Image
from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QWidget

from napari_phenoscape.events import Event, Failed, Progress
from napari_phenoscape.layers import picture_layer
from napari_phenoscape.spectra import COLOURS, shown_bands, ways
from napari_phenoscape.widgets._dock import column_of, short_combo
from napari_phenoscape.widgets._place import ours, place
from napari_phenoscape.widgets.form._note import note
from napari_phenoscape.widgets.spectrum._chart import Chart
from napari_phenoscape.widgets.spectrum._cube_dock import CubeDock
from napari_phenoscape.widgets.spectrum._kept import KeptSection

COMPOSITE = "Making the picture"


def picture_of(source: Any) -> str:
    """The group (`place`) of the picture of a cube's layer."""
    return f"picture {source.unique_id}"


class PictureSection(QWidget):
    """Which picture; it is one layer, made again while the lines move.

    Parameters
    ----------
    dock
        The dock that it is a part of.
    chart
        Whose lines choose three bands.
    kept
        Whose marks stay above the picture.
    """

    def __init__(self, dock: CubeDock, chart: Chart, kept: KeptSection) -> None:
        super().__init__()
        self.dock, self.chart, self.kept = dock, chart, kept
        self.show_as = short_combo()
        self.show_as.setToolTip("What is shown as red, green and blue")
        self.shown = note()
        layout = column_of(self)
        layout.addWidget(self.show_as)
        layout.addWidget(self.shown)
        self._next: tuple[Any, tuple[int, int, int] | str] | None = None
        self.show_as.currentTextChanged.connect(self._choose)
        chart.lines_moved.connect(self._dragged)

    def refresh(self) -> None:
        """Offer the pictures of the cube that was chosen; none is made yet."""
        cube = self.dock.cube
        self.show_as.blockSignals(True)
        self.show_as.clear()
        if cube is not None:
            self.show_as.addItems(ways(cube))
        self.show_as.setPlaceholderText("choose a picture…")
        self.show_as.setCurrentIndex(-1)
        self.show_as.blockSignals(False)
        self.show_as.setEnabled(cube is not None)
        if cube is not None:
            self.chart.set_lines(shown_bands(cube, COLOURS))
        self._say()

    def _choose(self, way: str) -> None:
        cube = self.dock.cube
        if cube is not None and way:
            self.chart.set_lines(shown_bands(cube, way))
            self._say()
            self._make(way)

    def _dragged(self) -> None:
        self.show_as.blockSignals(True)
        self.show_as.setPlaceholderText("three bands of your own")
        self.show_as.setCurrentIndex(-1)
        self.show_as.blockSignals(False)
        self._say()
        self._make(self.chart.line_bands())

    def _say(self) -> None:
        cube, way = self.dock.cube, self.show_as.currentText()
        if cube is None:
            self.shown.setText("")
        elif way and shown_bands(cube, way) is None:
            self.shown.setText("All bands take part.")
        else:
            bands = cube.bands.take(self.chart.line_bands())
            words = zip(("red", "green", "blue"), bands, strict=True)
            self.shown.setText(" · ".join(f"{colour} {band.label}" for colour, band in words))
            self.shown.setToolTip("Drag the lines of these colours in the plot")

    def _make(self, show: tuple[int, int, int] | str) -> None:
        """Make the picture beside the window; of those asked for meanwhile, the latest is next."""
        cube, task = self.dock.cube, self.dock.session.task(COMPOSITE)
        if cube is None:
            return
        self._next = cube, show
        if task is None or not task.busy:
            self._begin()

    def _begin(self) -> None:
        if self._next is None or self.dock.layer is None:
            return
        (cube, show), self._next = self._next, None
        layer = self.dock.layer

        def verb() -> Generator[Event, None, Any]:
            yield Progress("making the picture", 0, 1)
            return picture_layer(cube, show), layer

        task = self.dock.session.do(COMPOSITE, verb, self._show, torch=False)
        if isinstance(show, str):
            self.dock.follow(task)
        else:  # quick, and many of them: no progress that flickers
            task.event_received.connect(self._on_event)
        task.state_changed.connect(self._on_state)

    def _show(self, made: tuple[Any, Any]) -> None:
        (numbers, settings, kind), source = made
        viewer, group = self.dock.viewer, picture_of(source)
        layers, first = viewer.layers, not ours(viewer, group)
        active = layers.selection.active
        at = np.asarray(source.translate)[-2:]
        picture = numbers, settings | {"visible": False}, kind
        (layer,) = place(viewer, [picture], group, at=at)
        # it was asked for: nothing hides it
        own = layers.index(layer)
        above = [i for i, layer in enumerate(layers) if isinstance(layer, Image) and layer.visible]
        if above and above[-1] > own:
            layers.move(own, above[-1] + 1)
        if first or (above and above[-1] > own):
            self.dock.show_scale(layer)
            self.kept.mark()  # above it
            layers.selection.active = active
        if not layer.visible:
            # by itself: to add a layer and to draw it at once would keep the window waiting
            QTimer.singleShot(0, lambda: setattr(layer, "visible", True))

    def _on_event(self, event: Event) -> None:
        if isinstance(event, Failed):
            self.dock.say(event.message, error=True)

    def _on_state(self, _state: str) -> None:
        task = self.dock.session.task(COMPOSITE)
        if task is not None and not task.busy:
            self._begin()
