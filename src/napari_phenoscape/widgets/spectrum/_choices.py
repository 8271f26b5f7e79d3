"""Choices in the dock that may also be a file, or something that is open."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from qtpy.QtWidgets import QComboBox, QFileDialog, QSizePolicy

from napari_phenoscape.cubes import Cube, open_cube
from napari_phenoscape.spectra import region_reference
from napari_phenoscape.widgets._regions import cube_layers_of, region_layers_of, regions_image
from napari_phenoscape.widgets.form._fold import without_wheel
from napari_phenoscape.widgets.spectrum._cube_dock import CubeDock

#: Makes a reference of a cube; in the worker.
Reference = Callable[[Cube], Cube]

FROM_FILE = "a file…"


class FileBox(QComboBox):
    """A choice of which the last is any file.

    Parameters
    ----------
    title
        Of the window that asks for the file.
    """

    def __init__(self, title: str) -> None:
        super().__init__()
        self.title = title
        self.files: list[Path] = []
        self._offered: list[Any] = []
        self._before: Any = None
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(8)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        without_wheel(self)
        self.activated.connect(self._activate)

    @property
    def chosen(self) -> Any:
        """What is chosen: one of those offered, or a path."""
        index = self.currentIndex()
        return self._offered[index] if 0 <= index < len(self._offered) else None

    def choose(self, choice: Any) -> None:
        """Choose what is offered; the first when ``choice`` is not."""
        places = [i for i, other in enumerate(self._offered) if other is choice or other == choice]
        self._before = self._offered[places[0] if places else 0]
        self.setCurrentIndex(places[0] if places else 0)

    def add_file(self, path: Path) -> None:
        """Offer a file, and choose it."""
        if path not in self.files:
            self.files.append(path)
        self.refresh()
        self.choose(path)

    def refresh(self) -> None:
        """Offer what is there now; the choice stays."""
        chosen = self.chosen
        before = self.blockSignals(True)
        self._offered = [*self.offered(), *self.files, FROM_FILE]
        self.clear()
        for choice in self._offered:
            self.addItem(choice.name if isinstance(choice, Path) else self.words(choice))
        self.choose(chosen)
        self.blockSignals(before)

    def offered(self) -> list[Any]:
        """What there is to choose from besides files."""
        raise NotImplementedError

    def words(self, choice: Any) -> str:
        """How one of these is called."""
        return str(choice)

    def _activate(self, _index: int) -> None:
        if self.chosen != FROM_FILE:
            self._before = self.chosen
            return
        name, _ = QFileDialog.getOpenFileName(self, self.title, "", "All files (*)")
        if name:
            self.add_file(Path(name))
        else:
            self.choose(self._before)


class WordBox(FileBox):
    """One of some words, or a file.

    Parameters
    ----------
    words
        What is built in.
    title
        Of the window that asks for a file.
    """

    def __init__(self, words: tuple[str, ...], title: str) -> None:
        super().__init__(title)
        self._words = words
        self.refresh()

    def offered(self) -> list[Any]:
        """The words."""
        return list(self._words)

    @property
    def chosen(self) -> str:
        """The word, or the path of the file."""
        return str(super().chosen)


class ReferenceBox(FileBox):
    """A reference for calibration: none, a layer that was drawn, another open cube, or a file.

    Parameters
    ----------
    dock
        Whose layers are offered.
    none
        What "none" is called.
    """

    def __init__(self, dock: CubeDock, none: str) -> None:
        super().__init__("A scan of a reference")
        self.dock, self._none = dock, none
        self.refresh()

    def offered(self) -> list[Any]:
        """None, the layers that were drawn, and the other cubes that are open."""
        cube, viewer = self.dock.cube, self.dock.viewer
        others = [
            layer for layer in cube_layers_of(viewer)
            if cube is not None and layer.metadata["phenoscape"]["cube"].path != cube.path
        ]  # fmt: skip
        return [None, *region_layers_of(viewer), *others]

    def words(self, choice: Any) -> str:
        """The name of a layer or a cube."""
        if choice is None or choice == FROM_FILE:
            return self._none if choice is None else FROM_FILE
        ours = choice.metadata.get("phenoscape")
        return str(f"drawn: {choice.name}" if ours is None else ours["cube"].path.name)

    def reference(self) -> Reference | None:
        """How the chosen reference is made; None when none is chosen.

        Raises
        ------
        PhenoscapeError
            What was drawn does not fit the cube.
        """
        chosen = self.chosen
        if chosen is None or chosen == FROM_FILE:
            return None
        if isinstance(chosen, Path):
            return lambda _cube: open_cube(chosen)
        if (ours := chosen.metadata.get("phenoscape")) is not None:
            return lambda _cube: ours["cube"]
        region = regions_image(chosen, self.dock.layer) > 0
        return lambda cube: region_reference(cube, region)
