"""Overlay: the clustered specimens on their picture, the drawer's cube or a contact sheet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary, ref

import numpy as np
from napari.utils.notifications import show_info
from numpy.typing import NDArray
from qtpy.QtCore import QObject, QTimer, Signal

from napari_phenoscape.embeddings import ContactSheet
from napari_phenoscape.layers import (
    FRAMES,
    chosen_layer,
    frame_colours,
    points_layer,
    sheet_layer,
)
from napari_phenoscape.widgets._commands import add_cube
from napari_phenoscape.widgets._place import (
    LayerData,
    bring_into_view,
    is_open,
    keep_active,
    look_at,
    ours,
    path_of,
    place,
    placing,
    raise_above,
)
from napari_phenoscape.widgets._pointing import Pointing
from napari_phenoscape.widgets._regions import cube_layers_of
from napari_phenoscape.widgets._session import session_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import napari

    from napari_phenoscape.analysis import Colouring
    from napari_phenoscape.widgets._clustered import ClusteredRun

#: A frame is so much larger than its specimen.
MARGIN = 1.08

#: So many ms the window has to draw what is new before more comes.
DRAWING_MS = 50


class Overlay(QObject):
    """A frame on each specimen of the session's clusters; what is selected there is so everywhere.

    It goes on when the docks are closed. Points are told apart by the id in their features: the
    user may delete and sort them. Those that are deleted stay away until `bring_back`; points that
    are moved or added are taken back, and it is said. Each layer comes in a turn of the window of
    its own, or that would wait for all of them.

    Parameters
    ----------
    viewer
        Whose session is shown.
    """

    gone_changed = Signal()  #: frames were deleted, or came back

    def __init__(self, viewer: napari.Viewer) -> None:
        super().__init__()
        self._ref = ref(viewer)
        self._session = session_of(viewer)
        self._shown: ClusteredRun | None = None
        self._sheet: ContactSheet | None = None
        self._centres: NDArray[np.float64] = np.zeros((0, 2))
        self._sizes: NDArray[np.float64] = np.zeros(0)
        self._listened: Any = None
        self._adding = False
        self._key: Colouring | None = None
        self._odd = False
        self._asked = True
        self._look = False
        self.gone: frozenset[str] = frozenset()  #: ids whose frames the user deleted
        self._pointing = Pointing(viewer, self._session, self.row_at)
        self._drawing: Iterator[bool] = iter(())
        self._soon, self._next = QTimer(self), QTimer(self)
        for timer, act in ((self._soon, self._show), (self._next, self._go_on)):
            timer.setSingleShot(True)
            timer.setInterval(DRAWING_MS)
            timer.timeout.connect(act)
        self._session.clustered_changed.connect(self._begin)
        self._session.selected_changed.connect(self._mark)

    def _viewer(self) -> napari.Viewer | None:
        viewer = self._ref()
        return viewer if viewer is not None and is_open(viewer) else None

    def bring_into_view(self, specimen: str) -> None:
        """Move the camera to a specimen, if it is shown and not in sight already."""
        viewer, layer, shown = self._viewer(), self._ground, self._shown
        if viewer is None or layer is None or shown is None or specimen not in shown.rows:
            return
        bring_into_view(viewer, layer, self._centres[shown.rows[specimen]])

    def ask(self) -> None:
        """Show the layers again that the user deleted, when there are new clusters."""
        self._asked = True

    def bring_back(self) -> None:
        """Show the frames, and the layers, that the user deleted."""
        self.ask()
        if self.gone:
            self.gone = frozenset()
            self.gone_changed.emit()
        self._draw()

    def lay(
        self,
        shown: ClusteredRun,
        rows: NDArray[np.intp],
        maps: NDArray[Any],
        layer_of: Callable[..., LayerData],
    ) -> None:
        """Lay (n, S, S) maps over some specimens, in place of those before.

        ``layer_of`` makes a layer of the maps, and the centres and sides of the specimens.
        """
        viewer, ground = self._viewer(), self._ground
        same = self._shown is not None and self._shown.clusters.labels is shown.clusters.labels
        if viewer is None or ground is None or not same:
            return
        self._lift()
        sides = shown.backdrop.sides
        if self._sheet is not None:
            sides = np.full(len(self._centres), float(self._sheet.tile))
        layer = layer_of(maps, self._centres[rows], sides[rows])
        with keep_active(viewer):
            laid = place(viewer, [layer], "maps", at=np.asarray(ground.translate)[-2:])
            for frame in ours(viewer, "chosen") + ours(viewer, "clusters"):  # ends below it
                if frame is not self._layer("contact sheet"):
                    raise_above(viewer, frame, laid)

    def _lift(self) -> None:
        """Take the maps away: they are of other specimens, or these lie elsewhere now."""
        viewer = self._viewer()
        if viewer is not None:
            for layer in ours(viewer, "maps"):
                viewer.layers.remove(layer)

    def row_at(self, position: Any) -> int | None:
        """The row of the session's specimen at a place of the world, None elsewhere."""
        layer = self._ground
        if layer is None or not layer.visible or self._shown is None or not len(self._centres):
            return None
        at = np.asarray(layer.world_to_data(np.asarray(position)[-layer.ndim :]))[-2:]
        if self._sheet is not None:
            row = self._sheet.at(*at.tolist())
        else:
            away = np.abs(self._centres - at).max(axis=1) / (self._sizes / 2)
            row = int(away.argmin())
            row = row if away[row] <= 1 else -1
        return None if row < 0 or self._shown.ids[row] in self.gone else row

    def _layer(self, role: str) -> Any:
        """A layer of ours; None when the user removed it."""
        viewer = self._viewer()
        layers = [] if viewer is None else [*ours(viewer, "clusters"), *ours(viewer, "chosen")]
        return next((x for x in layers if x.metadata["phenoscape"]["role"] == role), None)

    @property
    def _points(self) -> Any:
        return self._layer("clusters")

    @property
    def _ground(self) -> Any:
        """The layer whose pixels `_centres` are counted in."""
        return self._layer("clusters") or self._layer("contact sheet")

    @staticmethod
    def _ids(points: Any) -> list[str]:
        return list(points.features.get("specimen", ()))  # other plugins may put their own there

    def _begin(self) -> None:
        self._session.drawing = True
        self._soon.start()

    def _show(self) -> None:
        clustered, before = self._session.clustered, self._shown
        self._session.drawing = self._placing
        if clustered is None:
            return
        self._shown = clustered
        if before is not None and before.lies_like(clustered):
            if before.key is not clustered.key:
                self._recolour(clustered)
            return
        self._lift()
        same = before is not None and before.is_of_specimens_of(clustered.embeddings)
        if not same:
            self._asked, self.gone = True, frozenset()
        self._draw(look=not same)

    def _recolour(self, clustered: ClusteredRun) -> None:
        """Give the frames that there are other colours, and leave all else as it is."""
        if self._placing:
            return  # `_go_on` does it
        points = self._points
        if self._sheet is not None and len(self._centres) > FRAMES:
            self._mark()  # frames and marks are in the picture
        elif self._odd:
            self._draw()
        elif points is not None and len(points.data):
            rows = [clustered.rows[one] for one in self._ids(points)]
            points.border_color = frame_colours(clustered.colours[rows])

    def _draw(self, *, look: bool = False) -> None:
        """Show the clusters that there are, and look at them if asked to, or if they are new."""
        viewer, clustered = self._viewer(), self._shown
        if viewer is not None and clustered is not None:
            self._look |= look or not ours(viewer, "clusters")
            self._drawing = self._placed(viewer, clustered)
            self._go_on()

    def _go_on(self) -> None:
        """Show the next layer, or, after the last, what has changed meanwhile."""
        self._session.drawing, self._adding = self._soon.isActive(), True
        if self._viewer() is None:
            self._drawing = iter(())
        try:
            coming = next(self._drawing, False)
        finally:
            self._adding = False
        if coming:
            self._session.drawing = True
            self._next.start()
            return
        self._drawing = iter(())  # it holds the viewer
        if self._shown is not None and self._shown.key is not self._key:
            self._recolour(self._shown)
        self._check()  # what the user did meanwhile
        self._mark()

    @property
    def _placing(self) -> bool:
        """Whether layers are coming, so that what changes in them is our doing."""
        return self._adding or self._next.isActive()

    def _placed(self, viewer: napari.Viewer, clustered: ClusteredRun) -> Iterator[bool]:
        """The picture, the drawer's cube or a contact sheet, and the frames on it, one by one."""
        backdrop = clustered.backdrop
        self._sheet, self._key = None, clustered.key
        if backdrop.cube is None:
            self._sheet = clustered.sheet
            self._centres = self._sheet.centres
            self._sizes = np.full(len(self._centres), self._sheet.frame)
        else:
            self._centres, self._sizes = backdrop.centres, backdrop.sides * MARGIN
        layers = self._layers(clustered)
        if not self._asked:  # what the user removed stays away
            kinds = {layer.metadata["phenoscape"]["part"][0] for layer in ours(viewer, "clusters")}
            layers = [layer for layer in layers if layer[2] in kinds]
        self._asked = False
        if not layers:
            return
        yield True  # to make them takes a while, as to show them does
        cubes: list[Any] = []
        at = None
        if backdrop.cube is not None:
            path = str(backdrop.cube)
            cubes = [layer for layer in cube_layers_of(viewer) if path_of(layer) == path]
            cubes = cubes or add_cube(viewer, backdrop.cube)
            at = np.asarray(cubes[0].translate)[-2:]
        for layer in placing(viewer, layers, "clusters", at=at):
            if layer is None:
                yield True
                continue
            if cubes:
                raise_above(viewer, layer, [one for one in viewer.layers if path_of(one) == path])
            if self._look:
                self._look = False
                look_at(viewer, [*cubes[:1], layer])
            yield True
            if layer not in viewer.layers:
                return  # the user, or the end of the window, has taken it away again
        points = self._points
        if points is not None and points is not self._listened:
            self._listened = points
            points.selected_data.events.items_changed.connect(self._take)
            points.events.data.connect(self._check)

    def _layers(self, clustered: ClusteredRun) -> list[LayerData]:
        layers: list[LayerData] = []
        there = np.array([one not in self.gone for one in clustered.ids])
        if self._sheet is not None:
            layers.append(sheet_layer(self._painted(clustered)))
        if self._sheet is None or len(there) <= FRAMES:
            points = points_layer(
                self._centres.copy(),  # napari moves points in their own array
                clustered.embeddings,
                clustered.clusters,
                size=self._sizes.tolist(),
                colours=clustered.colours,
            )
            layers.append(_without(points, there))
        return layers

    def _painted(self, clustered: ClusteredRun) -> ContactSheet:
        """The sheet; of very many specimens with their frames in the picture."""
        assert self._sheet is not None  # or there is a cube
        if len(self._centres) <= FRAMES:
            return self._sheet
        marked = None
        if self._session.selected:
            marked = np.zeros(len(self._centres), np.bool_)
            marked[[clustered.rows[one] for one in self._chosen(clustered)]] = True
        return self._sheet.painted(clustered.colours, marked)

    def _chosen(self, clustered: ClusteredRun) -> list[str]:
        """Who is selected of those on the picture; it may come later than others are."""
        return [one for one in self._session.selected if one in clustered.rows]

    def _mark(self) -> None:
        """Show on the picture what is selected in the session."""
        viewer, clustered = self._viewer(), self._shown
        if viewer is None or clustered is None:
            return
        points, chosen = self._points, self._chosen(clustered)
        if points is not None:
            ids, selected = self._ids(points), set(chosen)
            if {ids[row] for row in points.selected_data if row < len(ids)} != selected:
                rows = {row for row, specimen in enumerate(ids) if specimen in selected}
                points.selected_data = rows
        if self._sheet is not None and len(self._centres) > FRAMES:
            if (sheet := self._layer("contact sheet")) is not None:
                sheet.data = list(self._painted(clustered).levels)
            return
        shown = [clustered.rows[one] for one in chosen if one not in self.gone]
        ground = self._ground
        if ground is None or (not shown and self._layer("chosen") is None):
            return
        layer = chosen_layer(self._centres[shown], self._sizes[shown].tolist())
        with keep_active(viewer):
            (frame,) = place(viewer, [layer], "chosen", at=np.asarray(ground.translate)[-2:])
            raise_above(viewer, frame, ours(viewer, "clusters"))

    def _take(self, _event: Any = None) -> None:
        """Select in the session what the user selected on the picture."""
        points = self._points
        if points is not None and not self._placing and not self._odd:
            ids = self._ids(points)
            self._session.select(ids[row] for row in points.selected_data if row < len(ids))

    def _check(self, event: Any = None) -> None:
        """What the user did to the points: who is deleted stays so, all else is taken back."""
        points, shown = self._points, self._shown
        finished = str(getattr(event, "action", "")).rpartition(".")[2].lower()
        if self._placing or points is None or shown is None or finished.endswith("ing"):
            return
        ids = self._ids(points)
        rows = [shown.rows.get(specimen, -1) for specimen in ids]
        gone = frozenset(shown.ids) - set(ids)
        if gone != self.gone:
            news, self.gone = len(gone - self.gone), gone
            self.gone_changed.emit()
            if news:
                words = "frame was" if news == 1 else "frames were"
                show_info(f"{news} {words} deleted. 'All frames' in the Clusters dock undoes it.")
        odd = -1 in rows or len(set(rows)) < len(rows) or len(points.data) != len(rows)
        if odd or not np.allclose(np.asarray(points.data)[:, -2:], self._centres[rows]):
            self._odd = True
            QTimer.singleShot(0, self._take_back)  # napari is not done with the points yet

    def _take_back(self) -> None:
        self._odd = False
        if self._viewer() is None or self._points is None:
            return
        self._draw()
        show_info("Frames lie where their specimens are, so the points went back to their places.")


def _without(points: Any, there: NDArray[np.bool_]) -> Any:
    """The layer of frames without those that the user deleted."""
    if there.all():
        return points
    data, kwargs, kind = points
    kept = {"features": kwargs["features"][there].reset_index(drop=True)}
    for name in ("size", "face_color", "border_color"):
        kept[name] = np.asarray(kwargs[name])[there]
    return data[there], {**kwargs, **kept}, kind


_OVERLAYS: WeakKeyDictionary[Any, Overlay] = WeakKeyDictionary()


def overlay_of(viewer: napari.Viewer) -> Overlay:
    """The one overlay of a viewer."""
    real = getattr(viewer, "__wrapped__", viewer)  # plugins get a proxy, a new one each time
    if real not in _OVERLAYS:
        _OVERLAYS[real] = Overlay(real)
    return _OVERLAYS[real]
