"""Readout: napari's slider counts bands; the corner of the canvas says their wavelength."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

from qtpy.QtCore import QObject, Signal

from napari_phenoscape.cubes import Cube

if TYPE_CHECKING:
    import napari


class Readout(QObject):
    """The band of a layer that the slider shows, in words on the canvas.

    It goes on when the dock that began it is closed. A text that the user put there is left alone.

    Parameters
    ----------
    viewer
        Whose slider.
    """

    changed = Signal(object)  #: the band, None when no single one is shown

    def __init__(self, viewer: napari.Viewer) -> None:
        super().__init__()
        self._viewer = ref(viewer)
        self.band: int | None = None
        self._layer: Any = None
        self._cube: Cube | None = None
        self._written = ""
        viewer.dims.events.current_step.connect(self.follow)
        viewer.dims.events.order.connect(self.follow)
        viewer.layers.events.removed.connect(self.follow)

    def watch(self, layer: Any, cube: Cube | None) -> None:
        """Follow the slider over the bands of a layer; None: of none."""
        self._layer, self._cube = layer, cube
        self.follow()

    def follow(self, _event: Any = None) -> None:
        """Say which band is shown now."""
        self.band = self._shown()
        cube = self._cube
        if self.band is None or cube is None:
            self._write("")
        else:
            band, last = cube.bands[self.band], len(cube.bands) - 1
            nm = band.wavelength_nm
            name = band.name if nm is None else f"{nm:.1f} nm"
            flag = ", flagged as bad" if band.bad else ""
            self._write(f"{name}  (band {self.band} of 0-{last}{flag})")
        self.changed.emit(self.band)

    def move(self, band: int) -> None:
        """Move the slider to a band."""
        viewer, layer = self._viewer(), self._layer
        if viewer is not None and layer is not None and viewer.dims.ndim >= 3:
            viewer.dims.set_point(viewer.dims.ndim - 3, layer.data_to_world((band, 0, 0))[0])

    def _shown(self) -> int | None:
        viewer, layer = self._viewer(), self._layer
        if viewer is None or self._cube is None or layer not in viewer.layers:
            return None
        dims = viewer.dims
        if dims.ndim - 3 in dims.displayed or not layer.visible:
            return None
        band = round(float(layer.world_to_data(dims.point[-3:])[0]))
        return band if 0 <= band < len(self._cube.bands) else None

    def _write(self, words: str) -> None:
        viewer = self._viewer()
        if viewer is None:
            return
        overlay = viewer.canvas.overlays.text
        if overlay.text not in ("", self._written):
            return  # the user's own
        self._written = overlay.text = words
        overlay.visible = bool(words)


_READOUTS: WeakKeyDictionary[Any, Readout] = WeakKeyDictionary()


def readout_of(viewer: napari.Viewer) -> Readout:
    """The one readout of a viewer."""
    real = getattr(viewer, "__wrapped__", viewer)  # plugins get a proxy, a new one each time
    if real not in _READOUTS:
        _READOUTS[real] = Readout(real)
    return _READOUTS[real]
