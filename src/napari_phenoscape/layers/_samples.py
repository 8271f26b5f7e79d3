"""Samples as layers, for napari's File menu: specimens with a known answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from napari_phenoscape.cubes import open_cube, read_mask
from napari_phenoscape.layers._cubes import cube_layers, regions_layer

LayerData = tuple[Any, dict[str, Any], str]


def drawer_layers(samples: Path, *, regions: bool) -> list[LayerData]:
    """A museum drawer of 24 butterflies in 408 bands, and the regions that number them.

    Parameters
    ----------
    samples
        Of `write_samples`.
    regions
        Whether they are shown, or are to be found.
    """
    cube = open_cube(samples / "drawer.bil")
    layers = cube_layers(cube)
    if regions:
        numbers = read_mask(samples / "drawer_regions.tif").astype(np.int32)
        layers.append(regions_layer(cube, numbers))
    return layers


def specimen_layers(samples: Path) -> list[LayerData]:
    """One butterfly in seven channels: visible, UV and mask."""
    folder = samples / "multispectral"
    first = str(pd.read_csv(folder / "metadata.csv")["filename"][0])
    return cube_layers(open_cube(next(folder.rglob(first))))
