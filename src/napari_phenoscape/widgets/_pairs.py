"""Pairs: photographs that were laid on each other, shown in turn, so that the eye can judge."""

from __future__ import annotations

from collections.abc import Generator

from qtpy.QtCore import QTimer
from qtpy.QtWidgets import QWidget

from napari_phenoscape.events import Event, Progress
from napari_phenoscape.layers import part_layers
from napari_phenoscape.specimens import Collection, Folder
from napari_phenoscape.spectra import open_calibrated
from napari_phenoscape.widgets._dock import Dock, short_combo
from napari_phenoscape.widgets._place import LayerData, look_at, ours, place
from napari_phenoscape.widgets.form._fields import column

PAIRING, GROUP = "Opening photographs", "pair"

#: For which each photograph is seen.
BLINK_MS = 500


class PairsPanel(QWidget):
    """Both photographs of a specimen, one on the other; the upper one comes and goes.

    Parameters
    ----------
    dock
        That it stands in.
    """

    def __init__(self, dock: Dock) -> None:
        super().__init__()
        self.dock = dock
        self._collection: Collection | None = None
        self.pairs = short_combo()
        self.pairs.setToolTip("Specimens, those first of which most is left between photographs")
        self.button = dock.button(
            "Blink",
            "Show what was laid on the first photograph, and the first, in turn: what does not "
            "jump lies on it",
            self._toggle,
        )
        self.pairs.currentIndexChanged.connect(self._stop)
        self.timer = QTimer(self)
        self.timer.setInterval(BLINK_MS)
        self.timer.timeout.connect(self._blink)
        dock.at_close(self.timer.stop)
        layout = column(self)
        layout.addWidget(self.pairs)
        layout.addWidget(self.button)

    def show_collection(self, collection: Collection) -> None:
        """Offer the specimens of a collection, if they are of several photographs."""
        self._stop()
        self._collection = collection
        source = collection.source
        together = isinstance(source, Folder) and source.together is not None
        self.setVisible(together)
        self.pairs.clear()
        if together:
            left = collection.metadata["residual_px"].astype(float).sort_values(ascending=False)
            for name, residual_px in left.items():
                self.pairs.addItem(f"{name}: {residual_px:.2f} px left", name)

    def _toggle(self) -> None:
        if self.timer.isActive():
            self._stop()
            return
        name, collection = self.pairs.currentData(), self._collection
        assert collection is not None  # or the button is not there

        def verb() -> Generator[Event, None, list[LayerData]]:
            yield Progress("opening photographs", 0, 1)
            source, path = collection.source, collection.take([name]).specimens[0].path
            first = open_calibrated(path, source.read_as)
            return part_layers(source.cube(path), len(first.bands))

        self.dock.follow(self.dock.session.do(PAIRING, verb, self._show, torch=False))

    def _show(self, made: list[LayerData]) -> None:
        for layer in ours(self.dock.viewer, GROUP):  # of another specimen
            self.dock.viewer.layers.remove(layer)
        look_at(self.dock.viewer, place(self.dock.viewer, made, GROUP))
        self.button.setText("Stop blinking")
        self.timer.start()

    def _blink(self) -> None:
        layers = ours(self.dock.viewer, GROUP)
        if len(layers) < 2:  # the user removed one
            self._stop()
            return
        layers[-1].visible = not layers[-1].visible

    def _stop(self, _index: int = 0) -> None:
        self.dock.session.stop(PAIRING)  # or photographs of another specimen would come
        self.timer.stop()
        self.button.setText("Blink")
        for layer in ours(self.dock.viewer, GROUP):
            layer.visible = True
