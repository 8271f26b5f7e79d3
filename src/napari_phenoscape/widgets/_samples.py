"""Samples of napari's File menu: drawn beside the window, which lives meanwhile."""

from __future__ import annotations

from functools import partial
from typing import Any

from napari import current_viewer
from napari.utils import progress
from qtpy.QtCore import QEventLoop

from napari_phenoscape.errors import RunError
from napari_phenoscape.events import Event, Failed, Progress, result
from napari_phenoscape.layers import drawer_layers, specimen_layers
from napari_phenoscape.samples import sample_directory, write_samples
from napari_phenoscape.widgets._session import session_of

DRAWING = "Drawing samples"

LayerData = tuple[Any, dict[str, Any], str]


def open_drawer() -> list[LayerData]:
    """A museum drawer of 24 butterflies in 408 bands, with its regions."""
    _draw()
    return drawer_layers(sample_directory(), regions=True)


def open_drawer_to_find() -> list[LayerData]:
    """The same drawer without regions, to find them."""
    _draw()
    return drawer_layers(sample_directory(), regions=False)


def open_specimen() -> list[LayerData]:
    """One butterfly in seven channels: visible, UV and mask."""
    _draw()
    return specimen_layers(sample_directory())


def _draw() -> None:
    """Draw the samples in a thread; return when they are there, since napari takes layers only so.

    Raises
    ------
    RunError
        They could not be drawn, or are being drawn already.
    """
    viewer, directory = current_viewer(), sample_directory()
    if viewer is None or directory.exists():  # it is there at once, when all of them are
        result(write_samples(directory))
        return
    session = session_of(viewer)
    before = session.task(DRAWING)
    if before is not None and before.busy:
        raise RunError("The samples are being drawn; open one when they are there.")
    loop, heard = QEventLoop(), list[Event]()
    with progress(total=1, desc=DRAWING) as bar:
        task = session.do(DRAWING, partial(write_samples, directory), torch=False)
        task.event_received.connect(heard.append)
        task.event_received.connect(partial(_show, bar))
        task.state_changed.connect(lambda _: None if task.busy else loop.quit())
        loop.exec()
    failed = [event.message for event in heard if isinstance(event, Failed)]
    if failed:
        raise RunError(failed[0])


def _show(bar: Any, event: Event) -> None:
    if isinstance(event, Progress):
        bar.total = event.total
        bar.update(event.done - bar.n)
