"""Chart: reflectance over wavelength, with lines for the bands that are shown."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from qtpy.QtCore import QObject, Qt, Signal
from qtpy.QtGui import QColor
from qtpy.QtWidgets import QWidget

from napari_phenoscape.cubes import REGION_ENDS_NM, Cube
from napari_phenoscape.spectra import Spectrum
from napari_phenoscape.widgets._dock import plot

#: How the regions of the spectrum are shaded, and what is flagged as bad.
SHADES = {
    "uv": "#7e57c2", "vis": "#66bb6a", "nir": "#8d6e63", "swir": "#546e7a", "bad": "#e0e0e0",
}  # fmt: skip

#: Of the three lines that say which bands are shown as red, green and blue.
LINES = ("#ff5252", "#69f0ae", "#448aff")

#: So many bands without wavelengths have their names on the axis.
NAMED = 12


class Chart(QObject):
    """A plot of spectra, by nm or, where there are none, by band.

    Parameters
    ----------
    parent
        With which it ends: what outlives a dock must not reach a chart that is gone.

    Attributes
    ----------
    plot
        The widget.
    lines
        Of the bands shown as red, green and blue.
    slider
        The line of the band that napari's slider shows.
    """

    lines_moved = Signal()  #: while one of the three is dragged
    slider_moved = Signal(int)  #: to this band, while it is dragged

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.plot = plot("wavelength (nm)", "reflectance", 250)
        self.plot.setToolTip("Wheel: zoom · drag: move · double click: show all")
        self.plot.setMouseEnabled(x=True, y=False)
        self.plot.scene().sigMouseClicked.connect(self._clicked)
        self.live = self.plot.plot(connect="finite")
        self.plot.ink(self.live.setPen)
        self.lines = [self._line(pg.mkPen(colour, width=2), colour) for colour in LINES]
        self.slider = self._line(pg.mkPen(None), "#808080")
        self.plot.ink(self._paint_slider)
        for line in self.lines:
            line.sigDragged.connect(lambda _line: self.lines_moved.emit())
            line.sigPositionChangeFinished.connect(self._settle)
        self.slider.sigDragged.connect(self._slide)
        self._cube: Cube | None = None
        self._shades: list[Any] = []

    def _line(self, pen: Any, colour: str) -> Any:
        line = pg.InfiniteLine(angle=90, movable=True, pen=pen)
        line.setHoverPen(pg.mkPen(colour, width=4))
        line.addMarker("v", position=1.0, size=9)  # a handle, wide enough for a mouse
        line.hide()
        self.plot.addItem(line, ignoreBounds=True)
        return line

    def _paint_slider(self, colour: QColor) -> None:
        self.slider.setPen(pg.mkPen(colour, width=1, style=Qt.PenStyle.DashLine))

    @property
    def x(self) -> NDArray[np.float64]:
        """(C,) places of the cube's bands on the axis."""
        assert self._cube is not None
        return self._cube.bands.x

    @property
    def _by_band(self) -> bool:
        return self._cube is not None and self._cube.bands.wavelengths_nm is None

    def show_cube(self, cube: Cube | None) -> None:
        """Axis and shades for the bands of a cube."""
        self._cube = cube
        for item in self._shades:
            self.plot.removeItem(item)
        self._shades = []
        self.live.setData([], [])
        self.slider.hide()
        for line in self.lines:
            line.setVisible(cube is not None)
        if cube is None:
            return
        self.plot.setLabel("bottom", "band" if self._by_band else "wavelength (nm)")
        few = self._by_band and len(cube.bands) <= NAMED
        names = list(enumerate(cube.bands.names))
        self.plot.getAxis("bottom").setTicks([names] if few else None)
        if not self._by_band:
            for region in regions_between(float(self.x.min()), float(self.x.max())):
                self._shade(*region)
        else:
            self._shade_runs([band.region for band in cube.bands])
        self._shade_runs(["bad" if band.bad else None for band in cube.bands])
        self._show_all()

    def set_lines(self, bands: tuple[int, int, int] | None) -> None:
        """Put the three lines onto bands; None: hide them."""
        for i, line in enumerate(self.lines):
            line.setVisible(bands is not None)
            if bands is not None:
                line.setValue(float(self.x[bands[i]]))

    def line_bands(self) -> tuple[int, int, int]:
        """The bands nearest to the three lines."""
        red, green, blue = (
            int(np.abs(self.x - float(line.value())).argmin()) for line in self.lines
        )
        return red, green, blue

    def set_slider(self, band: int | None) -> None:
        """Put the line of napari's slider onto a band; None: hide it."""
        self.slider.setVisible(band is not None)
        if band is not None and not self.slider.moving:
            self.slider.setValue(float(self.x[band]))

    def show_live(self, mean: NDArray[np.float64]) -> None:
        """Show the (C,) spectrum under the cursor."""
        assert self._cube is not None
        self.live.setData(*_in_runs(self.x, _good(mean, self._cube)))

    def curve(self, spectrum: Spectrum, cube: Cube, colour: str) -> tuple[Any, ...]:
        """Draw a spectrum of a cube, with its deviation; gives what it consists of."""
        x = spectrum.bands.x
        mean = _good(spectrum.mean, cube)
        line = pg.mkPen(colour, width=2)
        items = [self.plot.plot(*_in_runs(x, mean), pen=line, connect="finite")]
        if spectrum.sd is not None:
            finite = np.isfinite(mean) & np.isfinite(spectrum.sd)
            edges = [
                pg.PlotDataItem(
                    *_in_runs(x[finite], (mean + sign * spectrum.sd)[finite]), connect="finite"
                )
                for sign in (-1, 1)
            ]
            shade = pg.mkColor(colour)
            shade.setAlpha(60)
            band = pg.FillBetweenItem(*edges, brush=shade)
            self.plot.addItem(band)
            items.append(band)
        return tuple(items)

    def drop(self, items: tuple[Any, ...]) -> None:
        """Take a curve away."""
        for item in items:
            self.plot.removeItem(item)

    def _settle(self) -> None:
        """Put lines that were dragged onto their bands."""
        self.set_lines(self.line_bands())
        self.lines_moved.emit()

    def _slide(self, line: Any) -> None:
        self.slider_moved.emit(int(np.abs(self.x - float(line.value())).argmin()))

    def _clicked(self, event: Any) -> None:
        if event.double() and self._cube is not None:
            self._show_all()

    def _show_all(self) -> None:
        edge = 0.5 if self._by_band else 0.0
        self.plot.setXRange(float(self.x.min()) - edge, float(self.x.max()) + edge)
        self.plot.enableAutoRange(y=True)

    def _shade_runs(self, words: list[Any]) -> None:
        """Shade each run of bands of the same word; None is left out."""
        x = self.x
        half = np.diff(np.sort(x)).clip(1e-9).min() / 2 if len(x) > 1 else 0.5
        start = 0
        for end in range(1, len(words) + 1):
            if end == len(words) or words[end] != words[start]:
                if words[start] is not None:
                    run = x[start:end]
                    self._shade(words[start], float(run.min()) - half, float(run.max()) + half)
                start = end

    def _shade(self, word: str, start: float, end: float) -> None:
        shade = shaded(word, start, end)
        self.plot.addItem(shade, ignoreBounds=True)
        self._shades.append(shade)


def shaded(word: str, start: float, end: float, named: bool = True) -> Any:
    """A region of the axis in the colour of its word, one of `SHADES`; ``named``: it says which."""
    colour = pg.mkColor(SHADES[word])
    colour.setAlpha(45)
    shade = pg.LinearRegionItem((start, end), movable=False, brush=colour, pen=pg.mkPen(None))
    shade.setZValue(-10)
    if named:
        label = pg.InfLineLabel(
            shade.lines[0], word.upper(), position=0.9, anchors=[(0, 0), (0, 0)], color="#888888"
        )
        label.setParentItem(shade.lines[0])
    shade.setToolTip("Flagged as bad by the file" if word == "bad" else word.upper())
    return shade


def regions_between(low: float, high: float) -> list[tuple[str, float, float]]:
    """Name, start and end in nm of the spectral regions that have a part in a range."""
    regions: list[tuple[str, float, float]] = []
    start = 0.0
    for region, end in REGION_ENDS_NM:
        if start < high and end > low:
            regions.append((region, max(start, low), min(end, high)))
        start = end
    return regions


def _in_runs(
    x: NDArray[np.float64], y: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A curve with a gap where its wavelengths turn back, which is where a detector ends."""
    step = np.diff(x)
    turns = np.flatnonzero(step * step.sum() < 0) + 1
    return np.insert(x, turns, x[turns]), np.insert(y, turns, np.nan)


def _good(mean: NDArray[np.float64], cube: Cube) -> NDArray[np.float64]:
    """Without the bands that the file flags as bad."""
    return np.where(cube.bands.good, mean, np.nan)
