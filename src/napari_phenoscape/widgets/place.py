"""Layers of ours in the viewer: recognised by their metadata, updated where they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.layers import Layer, Points

if TYPE_CHECKING:
    import napari

LayerData = tuple[Any, dict[str, Any], str]


def ours(viewer: napari.Viewer, role: str) -> list[Any]:
    """The open layers that we made for a purpose, e.g. ``"view"``, bottom first."""
    return [
        layer for layer in viewer.layers if layer.metadata.get("phenoscape", {}).get("role") == role
    ]


def place(viewer: napari.Viewer, layers: Sequence[LayerData], role: str) -> list[Any]:
    """Show layers; those of the same role and place in the list are updated, the rest added.

    The user's own layers are not touched, nor are the names, order and visibility of ours. New
    ones are put to the right of everything that is open.

    Parameters
    ----------
    layers
        ``(data, kwargs, type)`` as the functions of `napari_phenoscape.layers` give them.
    role
        What the layers are for.
    """
    there = {layer.metadata["phenoscape"]["part"]: layer for layer in ours(viewer, role)}
    start = (
        _origin(next(iter(there.values())))
        if there
        else np.array([0.0, _right_of_all(viewer)])
    )
    placed = []
    for part, (data, kwargs, kind) in enumerate(layers):
        settings = dict(kwargs)
        mark = {**settings.get("metadata", {}).get("phenoscape", {}), "role": role}
        mark |= {"part": part, "origin": tuple(start)}
        settings["metadata"] = {**settings.get("metadata", {}), "phenoscape": mark}
        settings["translate"] = np.asarray(settings.get("translate", (0.0, 0.0))) + start
        layer = there.pop(part, None)
        if layer is None:
            layer = viewer.add_layer(Layer.create(data, settings, kind))
        else:
            _update(layer, data, settings)
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


def _update(layer: Any, data: Any, settings: dict[str, Any]) -> None:
    layer.data = data
    layer.translate = settings["translate"]
    layer.metadata = settings["metadata"]
    if isinstance(layer, Points):
        layer.features = settings["features"]
        layer.face_color = settings["face_color"]


def _origin(layer: Any) -> Any:
    return np.asarray(layer.metadata["phenoscape"]["origin"])


def _right_of_all(viewer: napari.Viewer) -> float:
    edges = [float(layer.extent.world[1, -1]) for layer in viewer.layers if layer.ndim >= 2]
    return max(edges) * 1.03 + 1 if edges else 0.0
