"""Layers of ours in the viewer: recognised by their metadata, updated where they are."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from napari.layers import Layer, Points
from vispy.gloo import gl
from vispy.gloo.glir import GlirProgram
from vispy.visuals import TextVisual
from vispy.visuals.visual import Visual

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
    return [layer for layer in placing(viewer, layers, group, at) if layer is not None]


def placing(
    viewer: napari.Viewer, layers: Sequence[LayerData], group: str, at: Any = None
) -> Iterator[Any]:
    """The same one by one, and None for a layer that is yet hidden; the window lives in between.

    To make a layer takes as long as to draw it for the first time.
    """
    there = _parts(viewer, group)
    kinds = [kind for _, _, kind in layers]
    parts = [(kind, kinds[:number].count(kind)) for number, kind in enumerate(kinds)]
    if at is None:
        first = there.get(parts[0]) if parts else None
        at = (0.0, _right_of_all(viewer)) if first is None else _origin(first)
    for part in there.keys() - set(parts):
        viewer.layers.remove(there[part])
    for number, (part, (data, kwargs, kind)) in enumerate(zip(parts, layers, strict=True)):
        there = _parts(viewer, group)
        settings = dict(kwargs)
        mark = {**settings["metadata"]["phenoscape"], "group": group, "part": part}
        settings["metadata"] = {"phenoscape": mark | {"origin": tuple(map(float, at))}}
        settings["translate"] = np.add(settings.get("translate", (0.0, 0.0)), at)
        if part in there and _is_lazy(there[part]) != settings.get("multiscale", False):
            viewer.layers.remove(there.pop(part))
        if part in there:
            _update(there[part], data, settings)
            yield there[part]
            continue
        visible = settings.pop("visible", True)
        added = viewer.add_layer(Layer.create(data, {**settings, "visible": False}, kind))
        above = [viewer.layers.index(there[later]) for later in parts[number:] if later in there]
        if above:  # the user removed this one only
            viewer.layers.move(len(viewer.layers) - 1, min(above))
        yield None
        added.visible = visible
        yield added


def _parts(viewer: napari.Viewer, group: str) -> dict[tuple[str, int], Any]:
    return {tuple(layer.metadata["phenoscape"]["part"]): layer for layer in ours(viewer, group)}


def is_open(viewer: napari.Viewer) -> bool:
    """Whether the window of a viewer is still there."""
    try:
        viewer.window.geometry()
    except (AttributeError, RuntimeError):  # napari deletes it
        return False
    return True


def look_at(viewer: napari.Viewer, layers: Sequence[Any]) -> None:
    """Bring layers into sight."""
    corners = np.array([layer.extent.world[:, -2:] for layer in layers])
    low, high = corners[:, 0].min(axis=0), corners[:, 1].max(axis=0)
    camera = viewer.scene.camera
    camera.center = tuple((low + high) / 2)
    height, width = viewer.canvas.size
    camera.zoom = 0.9 * float(min(height / (high - low)[0], width / (high - low)[1]))


def raise_above(viewer: napari.Viewer, layer: Any, others: Sequence[Any]) -> None:
    """Move a layer up until nothing of some others hides it."""
    own = viewer.layers.index(layer)
    highest = max((viewer.layers.index(other) for other in others), default=-1)
    if highest > own:
        viewer.layers.move(own, highest + 1)


def bring_into_view(viewer: napari.Viewer, layer: Any, at: Any) -> None:
    """Move the camera to a row and column of a layer, unless that is in sight already."""
    place = np.asarray(layer.data_to_world(at))[-2:]
    camera = viewer.scene.camera
    half = np.array(viewer.canvas.size) / camera.zoom / 2
    if (np.abs(place - np.array(camera.center)[-2:]) > 0.85 * half).any():
        camera.center = tuple(place)


@contextmanager
def keep_active(viewer: napari.Viewer) -> Iterator[None]:
    """Leave the user in the layer that they were in, whatever is added."""
    chosen = set(viewer.layers.selection)
    yield
    if chosen:
        viewer.layers.selection = chosen & set(viewer.layers)


def guard_drawing() -> None:
    """Make it safe to remove a Points layer while napari draws in software, and draw it sooner.

    Mesa (22.3 at least) dies at the next draw after two GL programs of the same shaders were
    deleted. Every Points layer has two: its points, and those that are, or ever were, selected or
    under the cursor. So there programs are kept until their context ends; one costs kilobytes.

    Every Points layer has a text, too, mostly without letters. To draw that for the first time
    loads a font and compiles shaders, longer than all else of the layer takes; so none is drawn.
    """
    GlirProgram.delete = _delete_program
    TextVisual.draw = _draw_text


def _delete_program(program: GlirProgram) -> None:
    if not str(gl.glGetParameter(gl.GL_RENDERER)).startswith(("llvmpipe", "softpipe")):
        gl.glDeleteProgram(program.handle)


def _draw_text(text: TextVisual) -> None:
    if any(text.text):
        Visual.draw(text)


def path_of(layer: Layer) -> str:
    """The file that a layer of ours shows, "" of any other."""
    return str(layer.metadata.get("phenoscape", {}).get("path", ""))


def _is_lazy(layer: Any) -> bool:
    return bool(getattr(layer, "multiscale", False))  # points have no such thing


def _update(layer: Any, data: Any, settings: dict[str, Any]) -> None:
    mark = settings["metadata"]["phenoscape"]
    if isinstance(layer, Points):
        features = _with_columns_of_others(layer, settings.pop("features", None), mark)
        layer.selected_data = set()  # rows of what was there
        layer.data = data
        if features is not None:
            layer.features = features
        if len(data):  # napari knows no colour of nothing
            layer.size = settings["size"]
            layer.border_color = settings["border_color"]
            layer.face_color = settings["face_color"]
    else:
        layer.data = data
    if mark["role"] == "clusters" or "shown" in mark:
        layer.name = settings["name"]  # says which space, or which bands
    if not np.array_equal(layer.translate, settings["translate"]):  # each is drawn again
        layer.translate = settings["translate"]
    layer.metadata = settings["metadata"]


def _with_columns_of_others(
    layer: Points, features: pd.DataFrame | None, mark: dict[str, Any]
) -> pd.DataFrame | None:
    """New features, and the columns that somebody else gave the same specimens, by id."""
    before = layer.metadata["phenoscape"]
    if features is None or "specimen" not in layer.features or mark["source"] != before["source"]:
        return features
    there = layer.features.drop_duplicates("specimen").set_index("specimen")
    others = there.drop(columns=[*before["columns"], *features], errors="ignore")
    return features.join(others, on="specimen")


def _origin(layer: Any) -> Any:
    return np.asarray(layer.metadata["phenoscape"]["origin"])


def _right_of_all(viewer: napari.Viewer) -> float:
    edges = [float(layer.extent.world[1, -1]) for layer in viewer.layers if layer.ndim >= 2]
    return max(edges) * 1.03 + 1 if edges else 0.0
