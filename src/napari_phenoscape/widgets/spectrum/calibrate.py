"""Calibration in the dock: reflectance by white and dark references, as a layer beside."""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qtpy.QtWidgets import QComboBox, QFileDialog, QFormLayout, QSizePolicy, QVBoxLayout, QWidget

from napari_phenoscape.cube import Cube
from napari_phenoscape.errors import PhenoscapeError
from napari_phenoscape.events import Event, Progress
from napari_phenoscape.io import open_cube
from napari_phenoscape.layers.cubes import derived_layer
from napari_phenoscape.processing import calibrated, region_reference
from napari_phenoscape.widgets.dock import tell
from napari_phenoscape.widgets.form import note, without_wheel
from napari_phenoscape.widgets.form.numbers import FloatBox
from napari_phenoscape.widgets.regions import cube_layers_of, region_layers_of, regions_image

if TYPE_CHECKING:
    from napari_phenoscape.widgets.spectrum import SpectrumDock

CALIBRATION = "Calibrating"

#: Makes a reference of a cube; in the worker.
Reference = Callable[[Cube], Cube]

FROM_FILE = "a file…"


class ReferenceBox(QComboBox):
    """A choice of reference: none, a layer that was drawn, another open cube, or a file.

    Parameters
    ----------
    dock
        Whose layers are offered.
    none
        What "none" is called.
    """

    def __init__(self, dock: SpectrumDock, none: str) -> None:
        super().__init__()
        self.dock = dock
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(8)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        without_wheel(self)
        self.none = none
        self.files: list[Path] = []
        self._offered: list[Any] = []
        self.activated.connect(self._open_file)

    def refresh(self) -> None:
        """Offer what is there now; the choice stays."""
        cube, viewer = self.dock.cube, self.dock.viewer
        others = [
            layer for layer in cube_layers_of(viewer)
            if cube is not None and layer.metadata["phenoscape"]["cube"].path != cube.path
        ]  # fmt: skip
        offered: list[Any] = [None, *region_layers_of(viewer), *others, *self.files, FROM_FILE]
        chosen = self.chosen
        self.blockSignals(True)
        self.clear()
        self._offered = offered
        for one in offered:
            self.addItem(self._words(one))
        self.choose(chosen)
        self.blockSignals(False)

    @property
    def chosen(self) -> Any:
        """None, a layer, or a path."""
        index = self.currentIndex()
        return self._offered[index] if 0 <= index < len(self._offered) else None

    def choose(self, one: Any) -> None:
        """Choose one of those offered, or none."""
        places = [i for i, other in enumerate(self._offered) if other is one]
        self.setCurrentIndex(places[0] if places else 0)

    def reference(self) -> Reference | None:
        """How the chosen reference is made; None when none is chosen.

        Raises
        ------
        PhenoscapeError
            What was drawn does not fit the cube.
        """
        chosen = self.chosen
        if chosen is None or chosen is FROM_FILE:
            return None
        if isinstance(chosen, Path):
            return lambda _cube: open_cube(chosen)
        if (ours := chosen.metadata.get("phenoscape")) is not None:
            return lambda _cube: ours["cube"]
        region = regions_image(chosen, self.dock.layer) > 0
        return lambda cube: region_reference(cube, region)

    def add_file(self, path: Path) -> None:
        """Offer a file, and choose it."""
        if path not in self.files:
            self.files.append(path)
        self.refresh()
        self.choose(next(one for one in self.files if one == path))

    def _open_file(self, _index: int) -> None:
        if self.chosen is FROM_FILE:
            name, _ = QFileDialog.getOpenFileName(self, "A reference", "", "All files (*)")
            if name:
                self.add_file(Path(name))
            else:
                self.setCurrentIndex(0)
            self.dock.refresh()

    def _words(self, one: Any) -> str:
        if one is None:
            return self.none
        if one is FROM_FILE:
            return str(one)
        if isinstance(one, Path):
            return str(one.name)
        ours = one.metadata.get("phenoscape")
        return str(f"drawn: {one.name}" if ours is None else ours["cube"].path.name)


class CalibrationSection(QWidget):
    """White, dark, and what the white panel reflects.

    Parameters
    ----------
    dock
        The dock that it is a part of.
    """

    def __init__(self, dock: SpectrumDock) -> None:
        super().__init__()
        self.dock = dock
        self.white = ReferenceBox(dock, "choose…")
        self.white.setToolTip(
            "A Shapes or Labels layer that you drew on the white panel, or a scan of it"
        )
        self.dark = ReferenceBox(dock, "none: 0")
        self.dark.setToolTip("What the camera reads without light: a scan, or a part of this one")
        self.panel = FloatBox()
        self.panel.setRange(0.01, 1)
        self.panel.setSingleStep(0.01)
        self.panel.setValue(1)
        self.panel.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.panel.setToolTip("Reflectance of the white panel, 0-1; it is on its label")
        without_wheel(self.panel)
        self.words = note()
        self.button = dock.button(
            "To reflectance",
            "panel · (raw − dark) / (white − dark), as a layer of its own; "
            "`phenoscape convert --white` writes it to a file",
            self._calibrate,
        )
        form = QFormLayout()
        form.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.ExpandingFieldsGrow)
        form.setSpacing(4)
        form.addRow("white", self.white)
        form.addRow("dark", self.dark)
        form.addRow("panel", self.panel)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(form)
        layout.addWidget(self.words)
        layout.addWidget(self.button)
        for box in (self.white, self.dark):
            box.currentIndexChanged.connect(self._allow)

    def refresh(self) -> None:
        """Offer the references that are there now."""
        self.white.refresh()
        self.dark.refresh()
        self._allow()

    def _allow(self, _index: int = 0) -> None:
        tell(self.words, "")
        no_cube = "" if self.dock.cube is not None else "Open a cube first."
        no_white = "" if self.white.chosen is not None else (
            "Choose a white reference: draw a shape on the panel, or take a file."
        )  # fmt: skip
        self.dock.allow(self.button, no_cube or no_white)

    def _calibrate(self) -> None:
        cube, panel = self.dock.cube, self.panel.value()
        assert cube is not None  # the button is grey
        try:
            white, dark = self.white.reference(), self.dark.reference()
        except PhenoscapeError as error:
            tell(self.words, str(error), error=True)
            return
        assert white is not None  # the button is grey

        def verb() -> Generator[Event, None, Any]:
            yield Progress("reading the references", 0, 1)
            shade = None if dark is None else dark(cube)
            return derived_layer(calibrated(cube, white(cube), shade, panel), "reflectance")

        task = self.dock.session.do(CALIBRATION, verb, self.dock.add, torch=False)
        self.dock.follow(task, beside=self.words)
