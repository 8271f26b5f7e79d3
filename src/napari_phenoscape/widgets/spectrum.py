"""Spectrum: the dock that shows what a cube reflects, pixel by pixel and region by region."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QFileDialog, QListWidget, QListWidgetItem

from napari_phenoscape.cube import REGION_ENDS_NM, Cube
from napari_phenoscape.errors import PhenoscapeError
from napari_phenoscape.events import Event, Progress
from napari_phenoscape.io import open_cube
from napari_phenoscape.layers.cubes import picture_layer
from napari_phenoscape.layers.views import pictures
from napari_phenoscape.spectra import Spectrum, pixel_spectrum, region_spectrum, write_spectra
from napari_phenoscape.spectral import COLOURS, FALSE_COLOUR
from napari_phenoscape.widgets.dock import Dock, plot, row, short_combo
from napari_phenoscape.widgets.form import heading, note
from napari_phenoscape.widgets.place import place
from napari_phenoscape.widgets.regions import cube_layers_of, region_layers_of, regions_image

if TYPE_CHECKING:
    import napari.viewer

#: The cursor may move many times a second; the curve follows so often at most.
LIVE_MS = 33

REGION, COMPOSITE = "Mean spectrum", "Composite"

#: How the regions of the spectrum are shaded.
SHADES = {"uv": "#7e57c2", "vis": "#66bb6a", "nir": "#8d6e63", "swir": "#546e7a"}

#: Of kept spectra: Okabe & Ito's, those that are bright on a dark ground first.
CURVES = ("#e69f00", "#56b4e9", "#f0e442", "#cc79a7", "#009e73", "#d55e00", "#0072b2")

#: Of the three lines that say which bands are shown as red, green and blue.
LINES = ("#ff5252", "#69f0ae", "#448aff")


@dataclass(frozen=True, eq=False)
class Kept:
    """A spectrum on the list.

    Parameters
    ----------
    spectrum
        Its numbers.
    items
        What shows it in the plot.
    pixel
        Where it was taken, None of a region.
    colour
        As ``#rrggbb``.
    cube
        Path of its cube.
    """

    spectrum: Spectrum
    items: tuple[Any, ...]
    pixel: tuple[int, int] | None
    colour: str
    cube: str


class SpectrumDock(Dock):
    """The spectrum under the cursor, pinned ones, means of regions, and a composite by wavelength.

    It shows the cube that is chosen above; the cursor may be over any of its layers.
    """

    def __init__(self, viewer: napari.viewer.Viewer) -> None:
        super().__init__(viewer)
        self.cubes = short_combo()
        self.cubes.setToolTip("The open cube whose spectra are shown")
        self.place_words = note()
        self.plot = plot("wavelength (nm)", "reflectance", 260)
        self.live = self.plot.plot(pen=pg.mkPen("w", width=1), connect="finite")
        self.lines = [self._line(colour) for colour in LINES]
        self.show_as = short_combo()
        self.show_as.setToolTip("Which bands are shown as red, green and blue")
        self.pins = QListWidget()
        self.pins.setFixedHeight(150)
        self.pins.setToolTip("Double click to rename")
        self.mask_button = self.button(
            "Mean of the mask", "Mean ± standard deviation over the cube's own mask", self._of_mask
        )
        self.region_button = self.button(
            "Mean of each region",
            "Mean ± standard deviation over each shape or label of the selected layer",
            self._of_regions,
        )
        self.remove_button = self.button(
            "Remove", "Take the chosen spectra off the list; all, when none is chosen", self._remove
        )
        self.save_button = self.button(
            "Save CSV…", "Per cent by nm, as R's pavo reads it; `phenoscape spectra` does the same",
            self._save,
        )  # fmt: skip
        self.column.addWidget(heading("Cube"))
        self.column.addWidget(self.cubes)
        self.column.addWidget(self.plot)
        self.column.addWidget(self.place_words)
        self.column.addWidget(heading("Composite"))
        self.column.addWidget(self.show_as)
        self.column.addWidget(note("Or drag the red, green and blue line of the plot."))
        self.column.addWidget(heading("Kept spectra"))
        self.column.addWidget(self.pins)
        self.column.addLayout(row(self.mask_button, self.region_button))
        self.column.addLayout(row(self.remove_button, self.save_button))

        self.cube: Cube | None = None
        self._kept: dict[int, Kept] = {}
        self._number = 0
        self._shades: list[Any] = []
        self._cursor: Any = None
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(LIVE_MS)
        self._timer.timeout.connect(self._follow_cursor)
        self.cubes.currentIndexChanged.connect(self._choose)
        self.show_as.currentTextChanged.connect(self._show_as)
        self.pins.itemChanged.connect(self._rename)
        for line in self.lines:
            line.sigPositionChangeFinished.connect(self._compose)
        for callbacks, own in (
            (viewer.mouse_move_callbacks, self._moved),
            (viewer.mouse_drag_callbacks, self._pressed),
        ):
            callbacks.append(own)
            self.destroyed.connect(lambda _=None, c=callbacks, o=own: c.remove(o))
        self.listen(viewer.layers.events.inserted, self._list)
        self.listen(viewer.layers.events.removed, self._list)
        self._list()
        self._allow()

    def _line(self, colour: str) -> Any:
        line = pg.InfiniteLine(angle=90, movable=True, pen=pg.mkPen(colour, width=2))
        line.setHoverPen(pg.mkPen(colour, width=4))
        line.hide()
        self.plot.addItem(line, ignoreBounds=True)
        return line

    # the cube

    def _list(self, _event: Any = None) -> None:
        """The open cubes, the one that was chosen kept."""
        open_now = {layer.metadata["phenoscape"]["path"]: layer for layer in
                    cube_layers_of(self.viewer)}  # fmt: skip
        chosen = self.cubes.currentData()
        if [self.cubes.itemData(i) for i in range(self.cubes.count())] == list(open_now):
            return
        self.cubes.blockSignals(True)
        self.cubes.clear()
        for path in open_now:
            self.cubes.addItem(Path(path).name, path)
        self.cubes.setCurrentIndex(max(0, self.cubes.findData(chosen)) if open_now else -1)
        self.cubes.blockSignals(False)
        if self.cubes.currentData() != chosen or self.cube is None:
            self._choose()

    def _layer(self) -> Any:
        """The layer of the chosen cube's bands."""
        path = self.cubes.currentData()
        layers = cube_layers_of(self.viewer)
        return next((one for one in layers if one.metadata["phenoscape"]["path"] == path), None)

    def _choose(self, _index: int = 0) -> None:
        layer = self._layer()
        self.cube = None
        self.live.setData([], [])
        if layer is not None:
            try:
                # the numbers that are open already, not a second copy of them
                self.cube = replace(
                    open_cube(layer.metadata["phenoscape"]["path"]), array=layer.data
                )
                self.say("")
            except PhenoscapeError as error:
                self.say(str(error), error=True)
        self._allow()
        self._axis()

    def _axis(self) -> None:
        """Axis, shades and lines for the chosen cube."""
        for item in self._shades:
            self.plot.removeItem(item)
        self._shades = []
        for line in self.lines:
            line.setVisible(self.cube is not None)
        self.show_as.blockSignals(True)
        self.show_as.clear()
        if self.cube is not None:
            self.show_as.addItems([way for way in pictures(self.cube.bands)
                                   if way in (COLOURS, FALSE_COLOUR)])  # fmt: skip
        self.show_as.blockSignals(False)
        if self.cube is None:
            return
        x = self._x()
        self.plot.setLabel(
            "bottom", "band" if self.cube.wavelengths_nm is None else "wavelength (nm)"
        )
        self.plot.setXRange(float(x.min()), float(x.max()))
        if self.cube.wavelengths_nm is not None:
            start = 0.0
            for region, end in REGION_ENDS_NM:
                if start < x.max() and end > x.min():
                    self._shade(region, max(start, float(x.min())), min(end, float(x.max())))
                start = end
        self._set_lines(pictures(self.cube.bands)[COLOURS])

    def _shade(self, region: str, start: float, end: float) -> None:
        colour = pg.mkColor(SHADES[region])
        colour.setAlpha(45)
        shade = pg.LinearRegionItem((start, end), movable=False, brush=colour, pen=pg.mkPen(None))
        shade.setZValue(-10)
        label = pg.InfLineLabel(
            shade.lines[0], region.upper(), position=0.95, anchors=[(0, 0), (0, 0)], color="#b0b0b0"
        )
        self.plot.addItem(shade, ignoreBounds=True)
        self._shades += [shade]
        label.setParentItem(shade.lines[0])

    def _x(self) -> NDArray[np.float64]:
        assert self.cube is not None
        centres = self.cube.wavelengths_nm
        return np.arange(len(self.cube.bands), dtype=np.float64) if centres is None else centres

    def _allow(self) -> None:
        no_cube = "" if self.cube is not None else "Open a cube first."
        no_mask = "" if self.cube is not None and self.cube.mask is not None else (
            no_cube or "This cube has no mask of its own; draw shapes and use the other button."
        )  # fmt: skip
        self.allow(self.mask_button, no_mask)
        self.allow(self.region_button, no_cube)
        nothing = "" if self._kept else "Hold Shift and click on the cube to keep a spectrum."
        self.allow(self.remove_button, nothing)
        self.allow(self.save_button, nothing)
        self.place_words.setText(
            no_cube or "Shift + click keeps the spectrum under the cursor."
        )

    # the cursor

    def _moved(self, _viewer: Any, event: Any) -> None:
        self._cursor = event.position
        if not self._timer.isActive():
            self._timer.start()

    def _pixel(self, position: Any) -> tuple[int, int] | None:
        """Row and column of a place in the world, None outside the cube."""
        layer = self._layer()
        if self.cube is None or layer is None or position is None:
            return None
        place = np.asarray(position, dtype=np.float64)[-2:]
        world = np.concatenate([np.zeros(layer.ndim - 2), place])
        row, column = (round(float(at)) for at in np.asarray(layer.world_to_data(world))[-2:])
        rows, columns = self.cube.shape[1:]
        return (row, column) if 0 <= row < rows and 0 <= column < columns else None

    def _follow_cursor(self) -> None:
        pixel = self._pixel(self._cursor)
        if pixel is None or self.cube is None:
            return
        try:
            spectrum = pixel_spectrum(self.cube, *pixel)
        except PhenoscapeError as error:
            self.say(str(error), error=True)
            return
        self.live.setData(self._x(), self._good(spectrum.mean))
        self.place_words.setText(f"row {pixel[0]}, column {pixel[1]}; Shift + click keeps it.")

    def _good(self, mean: NDArray[np.float64]) -> NDArray[np.float64]:
        """Without the bands that the file flags as bad, in the order of the axis."""
        assert self.cube is not None
        bad = np.array([band.bad for band in self.cube.bands])
        return np.where(bad, np.nan, mean)

    def _pressed(self, _viewer: Any, event: Any) -> None:
        if any(str(key) == "Shift" for key in event.modifiers):
            pixel = self._pixel(event.position)
            if pixel is not None and self.cube is not None:
                try:
                    self.keep(pixel_spectrum(self.cube, *pixel), pixel)
                except PhenoscapeError as error:
                    self.say(str(error), error=True)

    # what is kept

    def keep(self, spectrum: Spectrum, pixel: tuple[int, int] | None = None) -> None:
        """Put a spectrum on the list and into the plot; ``pixel`` is marked on the cube."""
        if self.cube is None:
            return
        colour = CURVES[self._number % len(CURVES)]
        x, mean = self._x(), self._good(spectrum.mean)
        items = [self.plot.plot(x, mean, pen=pg.mkPen(colour, width=2), connect="finite")]
        if spectrum.sd is not None:
            edges = [pg.PlotDataItem(x, mean + sign * spectrum.sd) for sign in (-1, 1)]
            shade = pg.mkColor(colour)
            shade.setAlpha(60)
            band = pg.FillBetweenItem(*edges, brush=shade)
            self.plot.addItem(band)
            items.append(band)
        entry = QListWidgetItem(spectrum.name)
        entry.setForeground(pg.mkColor(colour))
        entry.setData(Qt.ItemDataRole.UserRole, self._number)
        entry.setFlags(entry.flags() | Qt.ItemFlag.ItemIsEditable)
        self._kept[self._number] = Kept(
            spectrum, tuple(items), pixel, colour, self.cubes.currentData()
        )
        self.pins.addItem(entry)
        self._number += 1
        self._mark()
        self._allow()

    def _mark(self) -> None:
        """Points on the cube, in the colours of their curves."""
        layer = self._layer()
        if layer is None:
            return
        here = [kept for kept in self._kept.values() if kept.cube == self.cubes.currentData()]
        marked = [kept for kept in here if kept.pixel is not None]
        active = self.viewer.layers.selection.active
        place(self.viewer, [], "kept spectra")
        if marked:
            points = {
                "name": "kept spectra",
                "face_color": [kept.colour for kept in marked],
                "border_color": "white",
                "size": max(3.0, max(layer.data.shape[-2:]) / 60),
                "metadata": {"phenoscape": {"role": "kept spectra"}},
            }
            pixels = np.array([kept.pixel for kept in marked], dtype=np.float64)
            at = np.asarray(layer.translate)[-2:]
            place(self.viewer, [(pixels, points, "points")], "kept spectra", at=at)
            # the user goes on with the layer that they had
            self.viewer.layers.selection.active = active

    def _rename(self, entry: QListWidgetItem) -> None:
        number = entry.data(Qt.ItemDataRole.UserRole)
        if number in self._kept:
            kept = self._kept[number]
            self._kept[number] = replace(kept, spectrum=replace(kept.spectrum, name=entry.text()))

    def _remove(self) -> None:
        chosen = self.pins.selectedItems() or [
            entry for i in range(self.pins.count()) if (entry := self.pins.item(i)) is not None
        ]
        for entry in chosen:
            for item in self._kept.pop(entry.data(Qt.ItemDataRole.UserRole)).items:
                self.plot.removeItem(item)
            self.pins.takeItem(self.pins.row(entry))
        self._mark()
        self._allow()

    def _save(self) -> None:
        name, _ = QFileDialog.getSaveFileName(
            self, "Save the spectra", "spectra.csv", "CSV (*.csv)"
        )
        if name:
            self.save(Path(name))

    def save(self, path: Path) -> None:
        """Write the kept spectra."""
        try:
            written = write_spectra([kept.spectrum for kept in self._kept.values()], path)
        except PhenoscapeError as error:
            self.say(str(error), error=True)
        else:
            self.say(f"Saved {' and '.join(file.name for file in written)}.")

    # regions

    def _of_mask(self) -> None:
        if self.cube is not None and self.cube.mask is not None:
            self._mean({f"{self.cube.path.stem} mask": self.cube.mask})

    def _of_regions(self) -> None:
        drawn = self.viewer.layers.selection.active
        layers = region_layers_of(self.viewer)
        if not any(layer is drawn or layer == drawn for layer in layers):
            drawn = layers[-1] if len(layers) == 1 else None
        if drawn is None:
            self.say(
                "Select a Shapes or Labels layer that you drew on the cube, and press again.",
                error=True,
            )
            return
        try:
            numbers = regions_image(drawn, self._layer())
        except PhenoscapeError as error:
            self.say(str(error), error=True)
            return
        self._mean(
            {
                f"{drawn.name} {number}": numbers == number
                for number in np.unique(numbers[numbers > 0])
            }
        )

    def _mean(self, masks: dict[str, NDArray[np.bool_]]) -> None:
        cube = self.cube
        assert cube is not None  # the buttons are grey

        def verb() -> Generator[Event, None, list[Spectrum]]:
            found = []
            for done, (name, mask) in enumerate(masks.items(), start=1):
                found.append(region_spectrum(cube, mask, name))
                yield Progress("reading regions", done, len(masks))
            return found

        def show(found: list[Spectrum]) -> None:
            for spectrum in found:
                self.keep(spectrum)

        self.follow(self.session.do(REGION, verb, show, torch=False))

    # the composite

    def _set_lines(self, bands: tuple[int, int, int]) -> None:
        x = self._x()
        for line, band in zip(self.lines, bands, strict=True):
            line.blockSignals(True)
            line.setValue(float(x[band]))
            line.blockSignals(False)

    def _show_as(self, way: str) -> None:
        if self.cube is not None and way:
            self._set_lines(pictures(self.cube.bands)[way])
            self._compose()

    def _compose(self, _line: Any = None) -> None:
        """Show the bands nearest to the three lines as red, green and blue."""
        cube, layer = self.cube, self._layer()
        if cube is None or layer is None:
            return
        x = self._x()
        nearest = [int(np.abs(x - float(line.value())).argmin()) for line in self.lines]
        bands = nearest[0], nearest[1], nearest[2]
        self._set_lines(bands)

        def verb() -> Generator[Event, None, Any]:
            yield Progress("reading three bands", 0, 1)
            return picture_layer(cube, bands)

        def show(made: Any) -> None:
            active = self.viewer.layers.selection.active
            place(self.viewer, [made], "composite", at=np.asarray(layer.translate)[-2:])
            self._mark()  # above it
            self.viewer.layers.selection.active = active

        self.follow(self.session.do(COMPOSITE, verb, show, torch=False))
