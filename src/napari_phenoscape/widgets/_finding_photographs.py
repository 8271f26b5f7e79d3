"""Find specimens in photographs: on any ground, by a pretrained net, in the dock Specimens."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any

import numpy as np
from napari.layers import Labels
from numpy.typing import NDArray
from qtpy.QtWidgets import QCheckBox, QWidget

from napari_phenoscape.analysis import MASKS, Things, sheet_of, tell_things, tile, write_masks
from napari_phenoscape.events import Event
from napari_phenoscape.layers import OUTLINES
from napari_phenoscape.specimens import AUTO, Folder, tallied
from napari_phenoscape.widgets._dock import Dock, count_of
from napari_phenoscape.widgets._toggling import say_of_each, toggled
from napari_phenoscape.widgets.form._fields import column
from napari_phenoscape.widgets.form._note import note

TELLING, WRITING = "Finding specimens in photographs", "Writing masks"


class PhotographsPanel(QWidget):
    """A button that tells the specimen of each photograph in a folder from its ground.

    All photographs are shown on a sheet, their masks as a Labels layer of the user's: painted,
    erased and undone by napari's own means. A click on a mask takes it away, and brings it back.

    Parameters
    ----------
    dock
        That it stands in.
    folder
        Gives the folder that is named there; None: it is none.
    collect
        Takes the folder with its masks into the form, and collects.
    """

    def __init__(
        self, dock: Dock, folder: Callable[[], Folder | None], collect: Callable[[Folder], None]
    ) -> None:
        super().__init__()
        self.dock, self._folder, self._collect_folder = dock, folder, collect
        self.layer: Labels | None = None
        self._things: Things | None = None
        self._found: NDArray[np.int32] = np.zeros((0, 0), np.int32)
        self.find_button = dock.button(
            "Find specimens on any ground",
            "Tell the specimen of each photograph from its ground, by a pretrained net; masks are "
            "shown, and written when you collect them",
            self._find,
        )
        self.doubtful = QCheckBox("also doubtful ones")
        self.doubtful.setToolTip("Also what touches the edge, or is uncertain")
        self.doubtful.toggled.connect(self._redraw)
        self.replace = QCheckBox("replace masks that are there")
        self.words = note()
        self.collect_button = dock.button(
            "Collect with these masks",
            f"Write the masks as they are now, as {MASKS} beside the photographs, and collect",
            self._write,
        )
        self.controls = QWidget()
        below = column(self.controls)
        for widget in (self.doubtful, self.replace, self.words, self.collect_button):
            below.addWidget(widget)
        self.controls.hide()
        layout = column(self)
        layout.addWidget(self.find_button)
        layout.addWidget(self.controls)

    def refresh(self) -> None:
        """Say what is possible now."""
        folder = self._folder()
        self.setVisible(folder is not None and folder.mask in (None, AUTO, MASKS))
        task = self.dock.session.task(TELLING)
        busy = task is not None and task.busy
        self.dock.allow(self.find_button, "Specimens are being found." if busy else "")
        there = self.layer is not None and self.layer in self.dock.viewer.layers
        self.controls.setVisible(there)

    def _find(self) -> None:
        folder = self._folder()
        assert folder is not None  # or the button is not there

        def verb() -> Generator[Event, None, tuple[Things, NDArray[Any], NDArray[Any]]]:
            things = yield from tell_things(folder)
            return things, *sheet_of(things)

        self.dock.follow(self.dock.session.do(TELLING, verb, self._show))

    def _show(self, made: tuple[Things, NDArray[np.uint8], NDArray[np.int32]]) -> None:
        """Add photographs and masks as layers of their own; those before stay the user's."""
        self._things, sheet, self._found = made
        name = self._things.source.path.name
        layers = self.dock.viewer.layers
        self.dock.viewer.add_image(sheet, rgb=True, name=f"{name}: photographs")
        self.layer = self.dock.viewer.add_labels(self._wanted(), name=f"{name}: masks", **OUTLINES)
        say_of_each(self.layer, photograph=self._things.ids, word=self._things.words)
        self.layer.contour = 2
        self.layer.mode = "pan_zoom"
        self.layer.mouse_drag_callbacks.append(self._clicked)
        for layer in layers[:-2]:
            layer.visible = False
        self.dock.viewer.reset_view()
        self._say()
        self.refresh()

    def _wanted(self) -> NDArray[np.int32]:
        assert self._things is not None  # what is shown was found
        used = self._things.used(doubtful=self.doubtful.isChecked())
        taken = np.isin(self._found, [place + 1 for place in used])
        return np.where(taken, self._found, 0).astype(np.int32)

    def _redraw(self) -> None:
        """Take doubtful ones in, or out; what was painted on clear ones stays."""
        if self.layer is None or self._things is None:
            return
        doubtful = [at + 1 for at, word in enumerate(self._things.words) if word != "clear"]
        places = np.nonzero(np.isin(self._found, doubtful))
        if len(places[0]):
            self.layer.data_setitem(places, self._wanted()[places])
        self._say()

    def _clicked(self, layer: Labels, event: Any) -> Generator[None, None, None]:
        """Take a mask away, or one in that was left out."""
        yield from toggled(layer, self._found, event)

    def _say(self) -> None:
        assert self._things is not None
        used = self._things.used(doubtful=self.doubtful.isChecked())
        said = self._things.words
        words = f"{count_of(len(used), 'specimen')} found in {len(said)} photographs"
        words += f": {tallied(said[at] for at in used)}." if used else "."
        if left := [word for at, word in enumerate(said) if at not in set(used)]:
            words += f" Left out: {tallied(left)}."
        self.words.setText(
            f"{words} A net told them and may be wrong: look at them. A click on a mask takes it "
            "away, and brings it back; paint and erase with the tools of the layer. Ctrl+Z undoes."
        )

    def _write(self) -> None:
        things, layer = self._things, self.layer
        assert things is not None  # or the button is not there
        assert layer is not None
        numbers, replace = np.asarray(layer.data), self.replace.isChecked()
        shares: list[NDArray[np.float32] | None] = []
        for place, share in enumerate(things.shares):
            box = tile(things, place)
            mask = numbers[box] > 0
            same = np.array_equal(mask, self._found[box] > 0)
            shares.append((share if same else mask.astype(np.float32)) if mask.any() else None)

        def verb() -> Generator[Event, None, Folder]:
            yield from write_masks(things, shares, overwrite=replace)
            return things.masked

        self.dock.follow(self.dock.session.do(WRITING, verb, self._collect_folder, torch=False))
