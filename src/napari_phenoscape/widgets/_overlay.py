"""Overlay: the clustered specimens on their picture, the drawer's cube or a contact sheet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

import numpy as np
from qtpy.QtCore import QObject

from napari_phenoscape.embeddings import contact_sheet
from napari_phenoscape.layers import points_layer, sheet_layer
from napari_phenoscape.widgets._commands import add_cube
from napari_phenoscape.widgets._place import bring_into_view, look_at, ours, place, raise_above
from napari_phenoscape.widgets._regions import cube_layers_of
from napari_phenoscape.widgets._session import session_of

if TYPE_CHECKING:
    import napari

    from napari_phenoscape.widgets._clustered import ClusteredRun

#: A frame is so much larger than its specimen.
MARGIN = 1.08


class Overlay(QObject):
    """A frame on each specimen of the session's clusters; what is selected there is so everywhere.

    It goes on when the docks are closed. Points are told apart by the id in their features: the
    user may delete, add, copy and sort them.

    Parameters
    ----------
    viewer
        Whose session is shown.
    """

    def __init__(self, viewer: napari.Viewer) -> None:
        super().__init__()
        self._viewer = ref(viewer)
        self._session = session_of(viewer)
        self._shown: ClusteredRun | None = None
        self._listened: Any = None
        self._placing = False
        self._session.clustered_changed.connect(self._show)
        self._session.selected_changed.connect(self._mark)

    def bring_into_view(self, specimen: str) -> None:
        """Move the camera to a specimen, if it has a frame and is not in sight already."""
        viewer, points = self._viewer(), self._points
        if viewer is not None and points is not None and specimen in self._ids(points):
            bring_into_view(viewer, points, self._ids(points).index(specimen))

    @property
    def _points(self) -> Any:
        """The layer of the frames; None when the user removed it."""
        viewer = self._viewer()
        layers = [] if viewer is None else ours(viewer, "clusters")
        return next(
            (layer for layer in layers if layer.metadata["phenoscape"]["role"] == "clusters"), None
        )

    @staticmethod
    def _ids(points: Any) -> list[str]:
        return list(points.features.get("specimen", ()))  # other plugins may put their own there

    def _show(self) -> None:
        viewer, clustered, before = self._viewer(), self._session.clustered, self._shown
        if viewer is None or clustered is None:
            return
        self._shown = clustered
        if before is not None and before.clusters is clustered.clusters:
            return  # the map is another one
        new = not ours(viewer, "clusters")
        new = new or before is None or not before.is_of_specimens_of(clustered.embeddings)
        self._placing = True
        try:
            placed = _place(viewer, clustered)
        finally:
            self._placing = False
        if new:
            look_at(viewer, placed)
        if placed[-1] is not self._listened:
            self._listened = placed[-1]
            self._listened.selected_data.events.items_changed.connect(self._take)
        self._mark()

    def _mark(self) -> None:
        """Select on the picture what is selected in the session."""
        points = self._points
        if points is None:
            return
        ids, selected = self._ids(points), set(self._session.selected)
        if {ids[row] for row in points.selected_data if row < len(ids)} != selected:
            points.selected_data = {row for row, specimen in enumerate(ids) if specimen in selected}

    def _take(self, _event: Any = None) -> None:
        """Select in the session what the user selected on the picture."""
        points = self._points
        if points is not None and not self._placing:
            ids = self._ids(points)
            self._session.select(ids[row] for row in points.selected_data if row < len(ids))


def _place(viewer: napari.Viewer, clustered: ClusteredRun) -> list[Any]:
    """The picture, the drawer's cube or a contact sheet, and the frames on it."""
    embeddings, clusters, backdrop = clustered.embeddings, clustered.clusters, clustered.backdrop
    if backdrop.cube is None:
        assert backdrop.pictures is not None  # one of the two
        sheet = contact_sheet(backdrop.pictures, labels=clusters.labels)
        points = points_layer(sheet.centres, embeddings, clusters, size=sheet.frame)
        return place(viewer, [sheet_layer(sheet), points], "clusters")
    path = str(backdrop.cube)
    cube = next((layer for layer in cube_layers_of(viewer) if _path_of(layer) == path), None)
    cube = cube or add_cube(viewer, backdrop.cube)[0]
    sizes = (backdrop.sides * MARGIN).tolist()
    points = points_layer(backdrop.centres, embeddings, clusters, size=sizes)
    (frames,) = place(viewer, [points], "clusters", at=np.asarray(cube.translate)[-2:])
    raise_above(viewer, frames, [layer for layer in viewer.layers if _path_of(layer) == path])
    return [cube, frames]


def _path_of(layer: Any) -> str:
    return str(layer.metadata.get("phenoscape", {}).get("path", ""))


_OVERLAYS: WeakKeyDictionary[Any, Overlay] = WeakKeyDictionary()


def overlay_of(viewer: napari.Viewer) -> Overlay:
    """The one overlay of a viewer."""
    real = getattr(viewer, "__wrapped__", viewer)  # plugins get a proxy, a new one each time
    if real not in _OVERLAYS:
        _OVERLAYS[real] = Overlay(real)
    return _OVERLAYS[real]
