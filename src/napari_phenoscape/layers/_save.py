"""An image layer as a file: the hook through which napari saves one as a cube."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from napari_phenoscape.cubes import Band, Bands, Cube, full_scale, write_cube
from napari_phenoscape.errors import CubeError
from napari_phenoscape.events import result

_COLOURS = Bands(Band(name, region="vis") for name in "RGB")


def write_layer(path: str, data: Any, attributes: dict[str, Any]) -> list[str]:
    """npe2's hook: write one image layer as an ENVI or a Zarr cube.

    A layer of a cube's bands, or of what was computed from them, is written with wavelengths,
    scale and mask. Of any other, a plane becomes a band: (C, H, W), (H, W), or (H, W, 3) in colour.

    Returns
    -------
    The files that were written.

    Raises
    ------
    PhenoscapeError
        The layer is no picture of these kinds, or the file is there already.
    """
    ours = attributes.get("metadata", {}).get("phenoscape", {})
    cube: Cube = ours["cube"] if "cube" in ours else _of_layer(data, attributes)
    return [str(written) for written in result(write_cube(cube, Path(path)))]


def _of_layer(data: Any, attributes: dict[str, Any]) -> Cube:
    array: Any = data
    if attributes.get("rgb"):
        array = np.moveaxis(np.asarray(data)[..., :3], -1, 0)
    elif array.ndim == 2:
        array = np.asarray(data)[None]
    if array.ndim != 3:
        raise CubeError(
            f"The layer '{attributes.get('name')}' has {array.ndim} axes; bands, rows and columns "
            "were expected. Choose a layer of one cube or picture."
        )
    planes = Bands(Band(f"band {i + 1}") for i in range(array.shape[0]))
    gain, _ = full_scale(array.dtype)
    bands = _COLOURS if attributes.get("rgb") else planes
    return Cube(array, bands, Path("layer"), gain=np.array(gain, np.float32))
