"""Kept spectra: of pixels, regions and masks, of one cube or several; their means and tables."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from napari.layers import Image
from numpy.typing import NDArray
from qtpy.QtCore import Qt, Signal
from qtpy.QtWidgets import (
    QAbstractItemView,
    QFileDialog,
    QListWidget,
    QListWidgetItem,
    QWidget,
)

from napari_phenoscape.cubes import Cube
from napari_phenoscape.errors import PhenoscapeError
from napari_phenoscape.events import Event, Progress
from napari_phenoscape.spectra import Spectrum, mean_of, region_spectrum, write_spectra
from napari_phenoscape.widgets._dock import column_of, row, swatch
from napari_phenoscape.widgets._place import place, raise_above
from napari_phenoscape.widgets._regions import region_layers_of, regions_image
from napari_phenoscape.widgets.spectrum._chart import Chart
from napari_phenoscape.widgets.spectrum._cube_dock import CubeDock

REGION = "Mean spectrum"

#: Of kept spectra: Okabe & Ito's, those that are bright on a dark ground first.
CURVES = ("#e69f00", "#56b4e9", "#f0e442", "#cc79a7", "#009e73", "#d55e00", "#0072b2")

#: Of an entry whose curve is not drawn.
HIDDEN = "#808080"


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
        Its cube, or one with the same bands.
    """

    spectrum: Spectrum
    items: tuple[Any, ...]
    pixel: tuple[int, int] | None
    colour: str
    cube: Cube


class KeptSection(QWidget):
    """The list of kept spectra, and what is done with it.

    Parameters
    ----------
    dock
        The dock that it is a part of.
    chart
        Where they are drawn.
    """

    changed = Signal()  #: a spectrum came or went

    def __init__(self, dock: CubeDock, chart: Chart) -> None:
        super().__init__()
        self.dock, self.chart = dock, chart
        self.pins = QListWidget()
        self.pins.setFixedHeight(110)
        self.pins.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
        self.pins.setToolTip("Click, with Ctrl or Shift several, to choose; double click to rename")
        self.mask_button = dock.button(
            "Mean of the mask", "Mean ± standard deviation over the cube's own mask", self._of_mask
        )
        self.region_button = dock.button(
            "Mean of each region",
            "Mean ± standard deviation over each shape or label of the selected layer",
            self._of_regions,
        )
        self.mean_button = dock.button(
            "Average",
            "Mean ± standard deviation between the chosen spectra (all, when none is chosen), each "
            "counting once: keep one of each specimen, of several cubes too",
            self._average,
        )
        self.remove_button = dock.button(
            "Remove", "Take the chosen spectra off the list; all, when none is chosen", self._remove
        )
        self.save_button = dock.button(
            "Save CSV…", "Per cent by nm, as R's pavo reads it; `phenoscape spectra` does the same",
            self._save,
        )  # fmt: skip
        layout = column_of(self)
        layout.addWidget(self.pins)
        layout.addLayout(row(self.mask_button, self.region_button))
        layout.addLayout(row(self.mean_button, self.remove_button, self.save_button))
        self._kept: dict[int, Kept] = {}
        self._number = 0
        self.pins.itemChanged.connect(self._rename)

    @property
    def chosen(self) -> list[Kept]:
        """The chosen spectra in their order, all when none is chosen."""
        return [self._kept[_number_of(entry)] for entry in self._entries()]

    def _entries(self) -> list[QListWidgetItem]:
        entries = [self.pins.item(i) for i in range(self.pins.count())]
        there = [entry for entry in entries if entry is not None]
        return [entry for entry in there if entry.isSelected()] or there

    def refresh(self) -> None:
        """What is possible with the cube that was chosen; curves on another axis are hidden."""
        cube = self.dock.cube
        no_cube = "" if cube is not None else "Open a cube first."
        no_mask = "" if cube is not None and cube.mask is not None else (
            no_cube or "This cube has no mask of its own; draw shapes and use the other button."
        )  # fmt: skip
        allow = self.dock.allow
        allow(self.mask_button, no_mask)
        allow(self.region_button, no_cube)
        nothing = "" if self._kept else "Hold Shift and click on the cube to keep a spectrum."
        few = nothing or ("" if len(self._kept) > 1 else "Keep a second spectrum first.")
        allow(self.mean_button, few)
        allow(self.remove_button, nothing)
        allow(self.save_button, nothing)
        for number in range(self.pins.count()):
            entry = self.pins.item(number)
            assert entry is not None  # there are so many
            kept = self._kept[_number_of(entry)]
            there = cube is None or _on_one_axis(kept.cube, cube)
            for item in kept.items:
                item.setVisible(there)
            entry.setIcon(swatch(kept.colour if there else HIDDEN))
            entry.setToolTip("" if there else "Of other bands than the chosen cube: not drawn now")

    def keep(
        self, spectrum: Spectrum, pixel: tuple[int, int] | None = None, cube: Cube | None = None
    ) -> None:
        """Put a spectrum of a cube (the chosen one) on the list; ``pixel`` is marked on it."""
        cube = cube or self.dock.cube
        if cube is not None:
            self._put(Kept(spectrum, (), pixel, CURVES[self._number % len(CURVES)], cube))

    def restore(self) -> None:
        """Put those on the list that a dock had which was closed."""
        for kept in self.dock.session.kept_spectra:
            self._put(kept)

    def _put(self, kept: Kept) -> None:
        entry = QListWidgetItem(kept.spectrum.name)
        entry.setData(Qt.ItemDataRole.UserRole, self._number)
        entry.setFlags(entry.flags() | Qt.ItemFlag.ItemIsEditable)
        items = self.chart.curve(kept.spectrum, kept.cube, kept.colour)
        self._kept[self._number] = replace(kept, items=items)
        self.pins.addItem(entry)
        self.pins.scrollToItem(entry)
        self._number += 1
        self._say_changed()

    def _remember(self) -> None:
        # the curves are this dock's own
        self.dock.session.kept_spectra = tuple(
            replace(kept, items=()) for kept in self._kept.values()
        )

    def _say_changed(self) -> None:
        self._remember()
        self.mark()
        self.changed.emit()

    def mark(self) -> None:
        """Points on the cube, in the colours of their curves."""
        cube, layer, viewer = self.dock.cube, self.dock.layer, self.dock.viewer
        marked = [] if cube is None else [
            kept for kept in self._kept.values()
            if kept.pixel is not None and kept.cube.path == cube.path
        ]  # fmt: skip
        if not marked or layer is None:
            place(viewer, [], "kept spectra")
            return
        active = viewer.layers.selection.active
        points = {
            "name": "kept spectra",
            "face_color": [kept.colour for kept in marked],
            "border_color": "white",
            "size": max(3.0, max(layer.data.shape[-2:]) / 60),
            "metadata": {"phenoscape": {"role": "kept spectra"}},
        }
        pixels = np.array([kept.pixel for kept in marked], dtype=np.float64)
        at = np.asarray(layer.translate)[-2:]
        (marks,) = place(viewer, [(pixels, points, "points")], "kept spectra", at=at)
        raise_above(viewer, marks, [layer for layer in viewer.layers if isinstance(layer, Image)])
        # the user goes on with the layer that they had
        viewer.layers.selection.active = active

    def save(self, path: Path) -> None:
        """Write the kept spectra."""
        try:
            written = write_spectra([kept.spectrum for kept in self._kept.values()], path)
        except PhenoscapeError as error:
            self.dock.say(str(error), error=True)
        else:
            self.dock.say(f"Saved {' and '.join(file.name for file in written)}.")

    def _save(self) -> None:
        name, _ = QFileDialog.getSaveFileName(
            self, "Save the spectra", "spectra.csv", "CSV (*.csv)"
        )
        if name:
            self.save(Path(name))

    def _rename(self, entry: QListWidgetItem) -> None:
        kept = self._kept.get(_number_of(entry))
        if kept is not None and kept.spectrum.name != entry.text():
            renamed = replace(kept.spectrum, name=entry.text())
            self._kept[_number_of(entry)] = replace(kept, spectrum=renamed)
            self._remember()  # the points have no names

    def _remove(self) -> None:
        for entry in self._entries():
            self.chart.drop(self._kept.pop(_number_of(entry)).items)
            self.pins.takeItem(self.pins.row(entry))
        self._say_changed()

    def _average(self) -> None:
        chosen = self.chosen
        try:
            mean = mean_of([kept.spectrum for kept in chosen], f"mean of {len(chosen)}")
        except PhenoscapeError as error:
            self.dock.say(str(error), error=True)
        else:
            self.keep(mean, cube=chosen[0].cube)

    def _of_mask(self) -> None:
        cube = self.dock.cube
        if cube is not None and cube.mask is not None:
            self._mean({f"{cube.path.stem} mask": cube.mask})

    def _of_regions(self) -> None:
        viewer = self.dock.viewer
        drawn = viewer.layers.selection.active
        layers = region_layers_of(viewer)
        if not any(layer is drawn or layer == drawn for layer in layers):
            drawn = layers[-1] if len(layers) == 1 else None
        if drawn is None:
            self.dock.say(
                "Select a Shapes or Labels layer that you drew on the cube, and press again.",
                error=True,
            )
            return
        try:
            numbers = regions_image(drawn, self.dock.layer)
        except PhenoscapeError as error:
            self.dock.say(str(error), error=True)
            return
        self._mean(
            {
                f"{drawn.name} {number}": numbers == number
                for number in np.unique(numbers[numbers > 0])
            }
        )

    def _mean(self, masks: dict[str, NDArray[np.bool_]]) -> None:
        cube = self.dock.cube
        assert cube is not None  # the buttons are grey

        def verb() -> Generator[Event, None, tuple[Cube, list[Spectrum]]]:
            spectra = []
            for done, (name, mask) in enumerate(masks.items(), start=1):
                spectra.append(region_spectrum(cube, mask, name))
                yield Progress("reading regions", done, len(masks))
            return cube, spectra

        self.dock.follow(self.dock.session.do(REGION, verb, self._keep_all, torch=False))

    def _keep_all(self, read: tuple[Cube, list[Spectrum]]) -> None:
        cube, spectra = read
        for spectrum in spectra:
            self.keep(spectrum, cube=cube)


def _number_of(entry: QListWidgetItem) -> int:
    return int(entry.data(Qt.ItemDataRole.UserRole))


def _on_one_axis(one: Cube, other: Cube) -> bool:
    """Whether spectra of both can be in one plot."""
    by_nm = [cube.bands.wavelengths_nm is not None for cube in (one, other)]
    return all(by_nm) or (not any(by_nm) and one.bands.names == other.bands.names)
