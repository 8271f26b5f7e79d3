"""Clusters on the picture that shows the specimens: the drawer's cube, or a contact sheet."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.embeddings import (
    Clusters,
    Embeddings,
    contact_sheet,
    embedded_collection,
    labels_of,
    thumbnails,
)
from napari_phenoscape.events import Event
from napari_phenoscape.layers import points_layer, sheet_layer
from napari_phenoscape.specimens import Drawer
from napari_phenoscape.training import crops_for
from napari_phenoscape.widgets._commands import add_cube
from napari_phenoscape.widgets._place import look_at, ours, place
from napari_phenoscape.widgets._regions import cube_layers_of

if TYPE_CHECKING:
    import napari

#: Side in pixels of a specimen on the contact sheet.
THUMBNAIL = 64

#: A frame is so much larger than its specimen.
MARGIN = 1.08


@dataclass(frozen=True, eq=False)
class Ground:
    """What the points are drawn on.

    Parameters
    ----------
    pictures : (N, 64, 64, 3) or None
        Thumbnails for a contact sheet; None when the specimens lie in one cube.
    cube
        That cube's file, else None.
    sides : (N,)
        Longest side of each specimen in pixels of its cube.
    """

    pictures: NDArray[np.uint8] | None
    cube: Path | None
    sides: NDArray[np.float64]


def ground_of(run: Path, embeddings: Embeddings) -> Generator[Event, None, Ground]:
    """What shows the specimens of some embeddings of a run."""
    collection = yield from embedded_collection(embeddings)
    boxes = np.array([specimen.box for specimen in collection.specimens])
    sides = np.maximum(boxes[:, 1] - boxes[:, 0], boxes[:, 3] - boxes[:, 2]).astype(np.float64)
    if isinstance(embeddings.source, Drawer):
        return Ground(None, collection.specimens[0].path, sides)
    crops = yield from crops_for(run, collection)
    return Ground(thumbnails(crops, THUMBNAIL), None, sides)


def show_clusters(
    viewer: napari.Viewer, ground: Ground, embeddings: Embeddings, clusters: Clusters
) -> Any:
    """Put the coloured frames on the specimens; gives the points layer."""
    first = not ours(viewer, "clusters")
    if ground.cube is not None:
        cube = _open_cube_layer(viewer, ground.cube)
        centres = embeddings.table[["row", "column"]].to_numpy(np.float64)
        points = points_layer(centres, embeddings, clusters, size=(ground.sides * MARGIN).tolist())
        placed = place(viewer, [points], "clusters", at=np.asarray(cube.translate)[-2:])
    else:
        assert ground.pictures is not None  # one of the two
        labels = np.array(labels_of(list(embeddings.table["specimen"]), clusters), np.int64)
        sheet = contact_sheet(ground.pictures, labels=labels)
        points = points_layer(sheet.centres, embeddings, clusters, size=sheet.tile + sheet.gap / 2)
        placed = place(viewer, [sheet_layer(sheet), points], "clusters")
    if first:
        look_at(viewer, placed)
    return placed[-1]


def _open_cube_layer(viewer: napari.Viewer, path: Path) -> Any:
    for layer in cube_layers_of(viewer):
        if Path(layer.metadata["phenoscape"]["path"]) == path:
            return layer
    return add_cube(viewer, path)[0]
