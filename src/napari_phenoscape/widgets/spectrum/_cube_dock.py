"""A dock that shows one of the open cubes: what its sections need of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Layer
from qtpy.QtCore import Signal

from napari_phenoscape.cubes import Cube
from napari_phenoscape.widgets._dock import Dock, short_combo
from napari_phenoscape.widgets._regions import spectral_layers_of
from napari_phenoscape.widgets.spectrum._readout import readout_of

if TYPE_CHECKING:
    import napari.viewer


class CubeDock(Dock):
    """The choice of a cube among those that are open.

    Attributes
    ----------
    cube, layer
        What is chosen; None while no cube is open.
    readout
        The band of it that the slider shows.
    """

    cube_chosen = Signal()  #: another cube, or none
    layers_changed = Signal()  #: cubes or drawn regions came or went

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(viewer)
        self.cube: Cube | None = None
        self.layer: Any = None
        self.readout = readout_of(viewer)
        self.cubes = short_combo()
        self.cubes.setToolTip("The open cube whose spectra are shown")
        self.cubes.currentIndexChanged.connect(self._choose)
        self._layers: list[Any] = []
        for event in (viewer.layers.events.inserted, viewer.layers.events.removed):
            self.listen(event, self._list)

    def add(self, made: Any) -> None:
        """Add what was computed from a cube, where that is; a new cube is chosen.

        Parameters
        ----------
        made
            One layer's data, or a list of them, as `layers.cubes` gives them.
        """
        for data, settings, kind in made if isinstance(made, list) else [made]:
            path = settings["metadata"]["phenoscape"]["path"]
            there = [
                other for other in self._layers if other.metadata["phenoscape"]["path"] == path
            ]
            settings = dict(settings)
            if there:
                for name in ("translate", "scale"):
                    settings[name] = np.asarray(getattr(there[0], name))[-data.ndim :]
            layer = self.viewer.add_layer(Layer.create(data, settings, kind))
            self.show_scale(layer)
            if layer in self._layers:
                self.cubes.setCurrentIndex(self._layers.index(layer))
                if self.readout.band is None:  # of few bands: the slider stands beyond them
                    self.readout.move(0)

    def show_scale(self, plane: Any) -> None:
        """Show the colour bar of a plane on top, and of no other: they cover the picture."""
        for layer in self.viewer.layers:
            if layer.metadata.get("phenoscape", {}).get("role") == "plane":
                layer.colorbar.visible = layer == plane

    def _list(self, _event: Any = None) -> None:
        """The open cubes, the one that was chosen kept."""
        layers = spectral_layers_of(self.viewer)
        if layers != self._layers:
            self._layers = layers
            self.cubes.blockSignals(True)
            self.cubes.clear()
            for layer in layers:
                mark = layer.metadata["phenoscape"]
                own = mark["role"] == "cube"
                self.cubes.addItem(mark["cube"].path.name if own else layer.name)
            chosen = layers.index(self.layer) if self.layer in layers else 0
            self.cubes.setCurrentIndex(chosen if layers else -1)
            self.cubes.blockSignals(False)
            if self.layer not in layers:
                self._choose()
                return
        self.layers_changed.emit()

    def _choose(self, _index: int = 0) -> None:
        index = self.cubes.currentIndex()
        self.layer = self._layers[index] if index >= 0 else None
        self.cube = None if self.layer is None else self.layer.metadata["phenoscape"]["cube"]
        self.cube_chosen.emit()
