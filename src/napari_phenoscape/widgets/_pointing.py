"""Pointing: a click on a specimen of the picture selects it, and hovering tells who it is."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Points
from qtpy.QtCore import QObject, QTimer
from qtpy.QtGui import QCursor
from qtpy.QtWidgets import QApplication

from napari_phenoscape.widgets._session import Session
from napari_phenoscape.widgets.map._scatter import REST_MS, SHAKE
from napari_phenoscape.widgets.map._tile import Tile

if TYPE_CHECKING:
    import napari


class Pointing(QObject):
    """The mouse on the canvas, whatever layer is active and in whatever mode.

    Parameters
    ----------
    row_at
        The row of the specimen at a place of the world, None elsewhere.
    """

    def __init__(
        self, viewer: napari.Viewer, session: Session, row_at: Callable[[Any], int | None]
    ) -> None:
        super().__init__()
        self._session, self._row_at = session, row_at
        self._tile: Tile | None = None
        self._row: int | None = None
        self._rest = QTimer(self)
        self._rest.setSingleShot(True)
        self._rest.setInterval(REST_MS)
        self._rest.timeout.connect(self._tell)
        viewer.layers.selection.events.active.connect(self._outline, position="last")
        viewer.mouse_drag_callbacks.append(self._pressed)
        viewer.mouse_move_callbacks.append(self._moved)

    def _outline(self, event: Any) -> None:
        """Let napari outline what is selected of our frames only while its own tool selects.

        Who is chosen has a frame already; napari outlines them in the layer that becomes active.
        """
        layer = event.value
        if _are_frames(layer):
            layer.events.mode.connect(self._outline_by_mode)
            layer.update_highlight_visibility(layer.mode == "select")

    def _outline_by_mode(self, event: Any) -> None:
        event.source.update_highlight_visibility(event.mode == "select")

    def _pressed(self, viewer: Any, event: Any) -> Generator[None, None, None]:
        self._hide()
        start, row = np.asarray(event.pos), self._row_at(event.position)
        layer = viewer.layers.selection.active
        itself = _are_frames(layer) and layer.mode == "select"
        yield
        while event.type == "mouse_move":
            yield
        moved = np.abs(np.asarray(event.pos) - start).sum() > SHAKE
        clustered = self._session.clustered
        if row is None or moved or itself or event.button != 1 or clustered is None:
            return  # napari selects points of the layer itself
        how = {"Shift": "add", "Alt": "remove"}
        keys = [str(getattr(key, "name", key)) for key in event.modifiers]
        self._session.select(
            [clustered.ids[row]], next((how[key] for key in keys if key in how), "only")
        )

    def _moved(self, _viewer: Any, event: Any) -> None:
        row = self._row_at(event.position)
        if row is None:
            self._hide()
        elif row != self._row:
            self._row = row
            self._rest.start()

    def _hide(self) -> None:
        self._rest.stop()
        self._row = None
        if self._tile is not None:
            self._tile.hide()

    def _tell(self) -> None:
        clustered, cursor = self._session.clustered, QCursor.pos()
        under = QApplication.widgetAt(cursor)
        window = None if under is None else under.window()
        if self._row is None or clustered is None or window is None:
            return  # the cursor has left the canvas
        self._tile = self._tile or Tile()
        self._tile.show_specimen(clustered, self._row, cursor, window.styleSheet())


def _are_frames(layer: Any) -> bool:
    is_ours = layer is not None and layer.metadata.get("phenoscape", {}).get("role") == "clusters"
    return is_ours and isinstance(layer, Points)
