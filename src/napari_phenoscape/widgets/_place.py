"""Layers of ours in the viewer: recognised by their metadata, updated where they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Layer, Points

if TYPE_CHECKING:
    import napari

LayerData = tuple[Any, dict[str, Any], str]


def ours(viewer: napari.Viewer, group: str) -> list[Any]:
    """The open layers that we made for a purpose, e.g. ``"view"``, bottom first."""
    return [
        layer
        for layer in viewer.layers
        if layer.metadata.get("phenoscape", {}).get("group") == group
    ]


def place(
    viewer: napari.Viewer, layers: Sequence[LayerData], group: str, at: Any = None
) -> list[Any]:
    """Show layers; those of the same group and place in the list are updated, the rest added.

    The user's own layers are not touched, nor are the names, order and visibility of ours.

    Parameters
    ----------
    layers
        ``(data, kwargs, type)`` as the functions of `napari_phenoscape.layers` give them.
    group
        What the layers are for, together.
    at : (2,)
        Row and column of their origin; None: where they are, or to the right of all that is open.
    """
    there = {layer.metadata["phenoscape"]["part"]: layer for layer in ours(viewer, group)}
    if at is None:
        first = next(iter(there.values()), None)
        at = (0.0, _right_of_all(viewer)) if first is None else _origin(first)
    placed = []
    for part, (data, kwargs, kind) in enumerate(layers):
        settings = dict(kwargs)
        mark = {**settings["metadata"]["phenoscape"], "group": group, "part": part}
        settings["metadata"] = {"phenoscape": mark | {"origin": tuple(map(float, at))}}
        settings["translate"] = np.add(settings.get("translate", (0.0, 0.0)), at)
        layer = there.get(part)
        if layer is not None and layer.__class__.__name__.lower() == kind:
            _update(there.pop(part), data, settings)
        else:
            layer = viewer.add_layer(Layer.create(data, settings, kind))
            above = [viewer.layers.index(one) for number, one in there.items() if number > part]
            if above:  # the user removed this one only
                viewer.layers.move(len(viewer.layers) - 1, min(above))
        placed.append(layer)
    for layer in there.values():
        viewer.layers.remove(layer)
    return placed


def look_at(viewer: napari.Viewer, layers: Sequence[Any]) -> None:
    """Bring layers into sight."""
    corners = np.array([layer.extent.world[:, -2:] for layer in layers])
    low, high = corners[:, 0].min(axis=0), corners[:, 1].max(axis=0)
    camera = viewer.scene.camera
    camera.center = tuple((low + high) / 2)
    height, width = viewer.canvas.size
    camera.zoom = 0.9 * float(min(height / (high - low)[0], width / (high - low)[1]))


def bring_into_view(viewer: napari.Viewer, points: Any, number: int) -> None:
    """Move the camera to a point, unless it is in sight already."""
    place = np.asarray(points.data_to_world(points.data[number]))[-2:]
    camera = viewer.scene.camera
    half = np.array(viewer.canvas.size) / camera.zoom / 2
    if (np.abs(place - np.array(camera.center)[-2:]) > 0.85 * half).any():
        camera.center = tuple(place)


def _update(layer: Any, data: Any, settings: dict[str, Any]) -> None:
    layer.data = data
    if "shown" in settings["metadata"]["phenoscape"]:
        layer.name = settings["name"]  # says which bands
    if not np.array_equal(layer.translate, settings["translate"]):  # each is drawn again
        layer.translate = settings["translate"]
    layer.metadata = settings["metadata"]
    if isinstance(layer, Points):
        layer.features = settings["features"]
        layer.size = settings["size"]
        layer.border_color = settings["border_color"]


def _origin(layer: Any) -> Any:
    return np.asarray(layer.metadata["phenoscape"]["origin"])


def _right_of_all(viewer: napari.Viewer) -> float:
    edges = [float(layer.extent.world[1, -1]) for layer in viewer.layers if layer.ndim >= 2]
    return max(edges) * 1.03 + 1 if edges else 0.0
