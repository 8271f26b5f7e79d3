"""Find specimens: a drawer without a mask, in the dock Specimens."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import numpy as np
from napari.layers import Labels, Layer
from numpy.typing import NDArray
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QCheckBox, QLabel, QSpinBox, QWidget
from superqt import QLabeledDoubleSlider

from napari_phenoscape.cubes import Cube
from napari_phenoscape.events import Event, Progress
from napari_phenoscape.layers import regions_layer
from napari_phenoscape.specimens import (
    Distances,
    Finding,
    Found,
    found_at,
    measured,
    tallied,
)
from napari_phenoscape.widgets._dock import Dock, count_of, fields, row
from napari_phenoscape.widgets._toggling import say_of_each, toggled
from napari_phenoscape.widgets.form._fields import column
from napari_phenoscape.widgets.form._fold import without_wheel
from napari_phenoscape.widgets.form._note import note

FINDING, TRYING = "Finding specimens", "Trying another threshold"

#: Pause in the moves of a slider, in ms, after which specimens are found anew.
PAUSE_MS = 150

#: Pixels of a region at least, at first.
MIN_AREA = 64

#: Thresholds that the slider reaches, in deviations of the background.
THRESHOLDS = 1.0, 40.0


class FindPanel(QWidget):
    """A button that finds the specimens of a cube, and what makes them fewer or more.

    They are a Labels layer of the user's: painted, erased and undone by napari's own means. A click
    on one takes it away, a click on what was left out takes it in.

    Parameters
    ----------
    dock
        That it stands in; says what is wrong, and shows the progress.
    cube_layer
        Gives the layer of the cube that is chosen there; None: there is none.
    choose
        Chooses a layer of regions in the dock.
    collect
        Collects the specimens of the layers that are chosen in the dock.
    """

    def __init__(
        self,
        dock: Dock,
        cube_layer: Callable[[], Any],
        choose: Callable[[str], None],
        collect: Callable[[], None],
    ) -> None:
        super().__init__()
        self.dock, self._cube_layer = dock, cube_layer
        self._choose, self._collect_chosen = choose, collect
        self.layer: Labels | None = None
        self._distances: Distances | None = None
        self._found: Found | None = None
        self._drawn: NDArray[np.int32] = np.zeros((0, 0), np.int32)
        self.find_button = dock.button(
            "Find specimens",
            "Draw a region on each thing that stands out from a plain background",
            self._find,
        )
        self.threshold = QLabeledDoubleSlider()
        self.threshold.setOrientation(Qt.Orientation.Horizontal)
        self.threshold.setRange(*THRESHOLDS)
        self.threshold.setDecimals(1)
        self.threshold.setToolTip("Deviations of the background from which a pixel is specimen")
        self.min_area = QSpinBox()
        self.min_area.setRange(1, 10**8)
        self.min_area.setValue(MIN_AREA)
        self.min_area.setKeyboardTracking(False)
        self.min_area.setSuffix(" px")
        self.min_area.setToolTip("What is smaller is dust")
        self.doubtful = QCheckBox("doubtful ones")
        self.doubtful.setToolTip("Also what touches the edge, or lies on no plain background")
        self.cards = QCheckBox("rectangles")
        self.cards.setToolTip("Also rectangles: labels, rulers, colour charts")
        without_wheel(self.threshold)
        without_wheel(self.min_area)
        self.words, self.doubt = note(), note(tone="warning")
        self.collect_button = dock.button(
            "Collect these", "Write the regions as they are now, and collect them", self._collect
        )
        self.controls = QWidget()
        below = column(self.controls)
        below.addLayout(fields(**{"threshold": self.threshold, "smallest area": self.min_area}))
        also = QWidget()
        also.setLayout(row(QLabel("also"), self.doubtful, self.cards))
        below.addWidget(also)
        for widget in (self.doubt, self.words, self.collect_button):
            below.addWidget(widget)
        self.controls.hide()
        layout = column(self)
        layout.addWidget(self.find_button)
        layout.addWidget(self.controls)
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(PAUSE_MS)
        self._timer.timeout.connect(self._try)
        self.threshold.valueChanged.connect(self._timer.start)
        self.min_area.valueChanged.connect(self._timer.start)
        self.doubtful.toggled.connect(self._redraw)
        self.cards.toggled.connect(self._redraw)

    def refresh(self) -> None:
        """Say what is possible now."""
        task = self.dock.session.task(FINDING)
        busy = task is not None and task.busy
        none = "" if self._cube_layer() is not None else "No cube is open; open one first."
        self.dock.allow(self.find_button, "Specimens are being found." if busy else none)
        there = self.layer is not None and self.layer in self.dock.viewer.layers
        self.controls.setVisible(there)

    def _find(self) -> None:
        layer = self._cube_layer()
        cube: Cube = layer.metadata["phenoscape"]["cube"]
        least = self.min_area.value()

        def verb() -> Generator[Event, None, tuple[Layer, Distances, Found]]:
            distances = yield from measured(cube)
            return layer, distances, found_at(distances, None, least)

        self.dock.follow(self.dock.session.do(FINDING, verb, self._show, torch=False))

    def _show(self, made: tuple[Any, Distances, Found]) -> None:
        """Add what was found as a layer of its own; those before stay the user's."""
        shown, self._distances, self._found = made
        data, settings, _ = regions_layer(shown.metadata["phenoscape"]["cube"], self._regions())
        self.layer = self.dock.viewer.add_labels(data.copy(), **settings)
        self._drawn = data
        self._choose(self.layer.name)
        self.layer.contour = 2
        self.layer.mode = "pan_zoom"
        self.layer.mouse_drag_callbacks.append(self._clicked)
        self.threshold.blockSignals(True)
        self.threshold.setValue(self._found.threshold)
        self.threshold.blockSignals(False)
        self._say()
        self.refresh()

    def _finding(self) -> Finding:
        return Finding(doubtful=self.doubtful.isChecked(), cards=self.cards.isChecked())

    def _regions(self) -> NDArray[np.int32]:
        assert self._found is not None  # what is shown was found
        return self._found.regions(self._found.used(self._finding()))

    def _try(self) -> None:
        distances = self._distances
        if distances is None or self.layer is None or self._is_edited():
            return
        cut, least = self.threshold.value(), self.min_area.value()

        def verb() -> Generator[Event, None, Found]:
            yield Progress("finding specimens", 0, 1)
            return found_at(distances, cut, least)

        self.dock.follow(self.dock.session.do(TRYING, verb, self._retried, torch=False))

    def _retried(self, found: Found) -> None:
        self._found = found
        self._redraw()

    def _redraw(self) -> None:
        """Change the layer where it differs; napari's undo brings back what was there."""
        if self.layer is None or self._found is None or self._is_edited():
            return
        regions = self._regions()
        changed = np.nonzero(regions != self.layer.data)
        if len(changed[0]):
            self.layer.data_setitem(changed, regions[changed])
        self._drawn = regions
        self._say()

    def _is_edited(self) -> bool:
        """Whether the regions are not as they were drawn: then they stay as they are."""
        assert self.layer is not None  # or nothing is shown that could be changed
        edited = not np.array_equal(self.layer.data, self._drawn)
        if edited:
            self.doubt.say(
                "The regions were changed by hand and stay so. 'Find specimens' begins anew, on a "
                "layer of its own.",
                "warning",
            )
        return edited

    def _clicked(self, layer: Labels, event: Any) -> Generator[None, None, None]:
        """Take a region away, or one in that was left out."""
        if self._found is not None:
            yield from toggled(layer, self._found.labels, event)

    def _say(self) -> None:
        assert self._found is not None
        used = self._found.used(self._finding())
        self.doubt.setText(self._found.not_plain)
        words = f"{count_of(len(used), 'specimen')} found"
        words += f": {tallied(piece.word for piece in used)}." if used else "."
        if left := [piece.word for piece in self._found.pieces if piece not in used]:
            words += f" Left out: {tallied(left)}."
        if self.layer is not None:  # under the cursor
            say_of_each(self.layer, word=[piece.word for piece in self._found.pieces])
        self.words.setText(
            f"{words} A click on a region takes it away, a click on what was left out takes it in; "
            "paint and erase with the tools of the layer. Ctrl+Z undoes."
        )

    def _collect(self) -> None:
        if self.layer is not None:
            self._choose(self.layer.name)
            self._collect_chosen()
