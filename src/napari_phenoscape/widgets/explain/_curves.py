"""Curves: spectra of clusters, what sets them apart and what is missed, one below the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyqtgraph as pg
from numpy.typing import NDArray
from qtpy.QtWidgets import QWidget

from napari_phenoscape.analysis import FEW, Explanation, Moments
from napari_phenoscape.widgets._dock import column_of, plot
from napari_phenoscape.widgets.spectrum._chart import regions_between, shaded

#: Of the axes at the left, so that the plots lie below each other; in pixels.
AXIS = 52

#: Of the specimens that a cluster is compared with.
OTHERS = "#b0b0b0"


class Curves(QWidget):
    """Three plots over the same axis: in nm, or by band where there are no wavelengths."""

    def __init__(self) -> None:
        super().__init__()
        self.spectra = plot("", "reflectance", 160)
        self.effect = plot("", "Hedges' g", 110)
        self.lost = plot("", "margin lost", 125)
        self.spectra.setToolTip("Mean over the specimens ± standard deviation, each counting once")
        self.effect.setToolTip(
            "Difference of the means in standard deviations; above 0 the cluster reflects more"
        )
        self.lost.setToolTip(
            "How much nearer specimens come to another cluster when these bands are hidden "
            "(cosine, mean ± standard deviation)"
        )
        self.plots = (self.spectra, self.effect, self.lost)
        column = column_of(self)
        column.setSpacing(0)
        for panel in self.plots:
            panel.setMouseEnabled(x=True, y=False)
            panel.scene().sigMouseClicked.connect(self._clicked)
            panel.getAxis("left").setWidth(AXIS)
            column.addWidget(panel)
        for below in self.plots[1:]:
            below.setXLink(self.spectra)
        self._of: Any = None

    def show_clusters(
        self, explanation: Explanation, numbers: Sequence[int], against: int | None = None
    ) -> None:
        """Draw some clusters; of one alone also what it is compared with.

        ``against`` is a cluster, or None for all other specimens.
        """
        for panel in self.plots:
            panel.clear()
        self.lost.setVisible(explanation.occlusion is not None)
        self._set_axes(explanation)
        x = explanation.spectra.bands.x
        if len(numbers) == 1:
            colour = OTHERS if against is None else explanation.clusters.colours[against]
            self._draw(self.spectra, x, explanation.others(numbers[0], against), colour)
        lost = explanation.lost
        for number in numbers:
            colour = explanation.clusters.colours[number]
            k = explanation.numbers.index(number)
            self._draw(self.spectra, x, explanation.moments[k], colour)
            if number in explanation.nearest:
                self._line(self.effect, x, explanation.effect(number, against), colour)
                if explanation.occlusion is not None:
                    middles = [x[list(w.bands)].mean() for w in explanation.occlusion.windows]
                    self._draw(self.lost, np.array(middles), lost[k], colour)

    def _set_axes(self, explanation: Explanation) -> None:
        x, nm = explanation.spectra.bands.x, explanation.spectra.bands.wavelengths_nm
        names = list(enumerate(explanation.spectra.bands.names))
        few = nm is None and len(names) <= FEW
        lowest = self.effect if explanation.occlusion is None else self.lost
        for panel in self.plots:
            axis = panel.getAxis("bottom")
            axis.setTicks([names] if few else None)
            axis.setStyle(showValues=panel is lowest)
            axis.setHeight(None if panel is lowest else 8)
            axis.showLabel(False)
            if nm is not None:
                for region in regions_between(float(x.min()), float(x.max())):
                    shade = shaded(*region, named=panel is self.spectra)
                    panel.addItem(shade, ignoreBounds=True)
        lowest.setLabel("bottom", "" if few else "band" if nm is None else "wavelength (nm)")
        for panel in self.plots[1:]:
            panel.addItem(pg.InfiniteLine(0, angle=0, pen=pg.mkPen(OTHERS, width=1)))
        if self._of is not explanation.spectra.bands:  # else the user may have looked closer
            self._of = explanation.spectra.bands
            self._show_all()
        for panel in self.plots:
            panel.enableAutoRange(y=True)

    def _show_all(self) -> None:
        x, edge = self._of.x, 0.5 if self._of.wavelengths_nm is None else 0.0
        self.spectra.setXRange(float(x.min()) - edge, float(x.max()) + edge)

    def _clicked(self, event: Any) -> None:
        if event.double() and self._of is not None:
            self._show_all()

    def _draw(self, where: Any, x: NDArray[np.float64], moments: Moments, colour: str) -> None:
        """Mean ± standard deviation."""
        order = np.argsort(x, kind="stable")
        there = order[np.isfinite(moments.mean[order]) & np.isfinite(moments.sd[order])]
        edges = [pg.PlotDataItem(x[there], (moments.mean + s * moments.sd)[there]) for s in (-1, 1)]
        shade = pg.mkColor(colour)
        shade.setAlpha(50)
        where.addItem(pg.FillBetweenItem(*edges, brush=shade))
        self._line(where, x, moments.mean, colour)

    def _line(
        self, where: Any, x: NDArray[np.float64], y: NDArray[np.float64], colour: str
    ) -> None:
        order = np.argsort(x, kind="stable")
        where.plot(
            x[order], y[order], pen=pg.mkPen(colour, width=2), connect="finite",
            symbol="o" if len(x) <= FEW else None, symbolSize=5, symbolBrush=colour,
            symbolPen=None,
        )  # fmt: skip
