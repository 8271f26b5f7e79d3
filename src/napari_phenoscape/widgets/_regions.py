"""Regions that a user drew in the viewer, as the label image that a `Drawer` reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tifffile
from napari.layers import Labels, Shapes
from numpy.typing import NDArray

from napari_phenoscape._atomic import atomic
from napari_phenoscape.cubes import read_mask
from napari_phenoscape.errors import CollectionError, PhenoscapeError, RunError

if TYPE_CHECKING:
    import napari


def cube_layers_of(viewer: napari.Viewer) -> list[Any]:
    """The open layers that show a cube of ours, one for each cube."""
    layers = {}
    for layer in viewer.layers:
        ours = layer.metadata.get("phenoscape", {})
        if ours.get("role") == "cube":
            layers[ours["path"]] = layer
    return list(layers.values())


def spectral_layers_of(viewer: napari.Viewer) -> list[Any]:
    """The open layers of bands: of cubes, and of what was computed from them."""
    roles = ("cube", "derived")
    return [
        layer
        for layer in viewer.layers
        if layer.metadata.get("phenoscape", {}).get("role") in roles
    ]


def region_layers_of(viewer: napari.Viewer) -> list[Any]:
    """The Labels and Shapes layers that are the user's own, and the regions that were found."""
    return [
        layer
        for layer in viewer.layers
        if isinstance(layer, Labels | Shapes)
        and layer.metadata.get("phenoscape", {}).get("role", "regions") == "regions"
    ]


def regions_image(drawn: Any, cube: Any) -> NDArray[np.uint16]:
    """(H, W) region numbers on the pixels of ``cube``, 0 = no specimen.

    Parameters
    ----------
    drawn
        A Labels layer on the cube's pixels, or a Shapes layer anywhere in its world. Layers that
        were added while a cube was open have its band axis too; it is ignored.
    cube
        The cube's layer; its last two axes are rows and columns.
    """
    shape = tuple(int(side) for side in cube.data.shape[-2:])
    if isinstance(drawn, Shapes):
        vertices = [
            np.array(
                [
                    np.asarray(cube.world_to_data(_padded(drawn.data_to_world(point), cube.ndim)))[
                        -2:
                    ]
                    for point in outline
                ]
            )
            for outline in drawn.data
        ]
        if not vertices:
            raise CollectionError(
                f"The layer '{drawn.name}' holds no shape. Draw one around each specimen."
            )
        flat = Shapes(vertices, shape_type=list(drawn.shape_type))
        numbers = np.asarray(flat.to_labels(labels_shape=shape))
    else:
        numbers = np.asarray(drawn.data)
        numbers = numbers.max(axis=tuple(range(numbers.ndim - 2)))
    if numbers.shape != shape:
        raise CollectionError(
            f"The layer '{drawn.name}' has {numbers.shape[0]} x {numbers.shape[1]} pixels, the "
            f"cube '{cube.name}' {shape[0]} x {shape[1]}. Draw the regions on the cube itself."
        )
    if not numbers.any():
        raise CollectionError(
            f"The layer '{drawn.name}' marks no pixel. Paint a number over each specimen."
        )
    if numbers.max() > np.iinfo(np.uint16).max:
        raise CollectionError(
            f"The layer '{drawn.name}' holds the number {numbers.max()}; regions are numbered up "
            "to 65535."
        )
    return numbers.astype(np.uint16)


def write_regions(drawn: Any, cube: Any, path: Path) -> Path:
    """Write `regions_image` as a TIFF and say where it is.

    Other regions that are at ``path`` stay, since a run may have been trained on them; then it is
    ``NAME-2.tif``, and so on.
    """
    numbers = regions_image(drawn, cube)
    name, number = path.stem, 1
    while path.exists():
        if _holds(path, numbers):
            return path
        number += 1
        path = path.with_stem(f"{name}-{number}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(
            f"'{path.parent}' cannot be made ({error.strerror}); choose another 'runs' folder in "
            "the Train dock."
        ) from None
    with atomic(path) as temporary:
        tifffile.imwrite(temporary, numbers, compression="zlib")
    return path


def _holds(path: Path, numbers: NDArray[np.uint16]) -> bool:
    try:
        return bool(np.array_equal(read_mask(path), numbers))
    except PhenoscapeError:
        return False  # something else of the user's


def _padded(point: Any, ndim: int) -> NDArray[np.float64]:
    point = np.asarray(point, dtype=np.float64)[-ndim:]
    return np.concatenate([np.zeros(ndim - len(point)), point])
