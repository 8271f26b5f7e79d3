"""Samples as layers, for napari's File menu: specimens with a known answer, drawn once."""

from __future__ import annotations

from typing import Any

import pandas as pd

from napari_phenoscape.cubes import open_cube
from napari_phenoscape.events import result
from napari_phenoscape.layers._cubes import cube_layers
from napari_phenoscape.samples import sample_directory, write_samples

LayerData = tuple[Any, dict[str, Any], str]


def open_drawer() -> list[LayerData]:
    """A museum drawer of 24 butterflies in 408 bands."""
    directory = result(write_samples(sample_directory()))
    return cube_layers(open_cube(directory / "drawer.bil"))


def open_specimen() -> list[LayerData]:
    """One butterfly in seven channels: visible, UV and mask."""
    folder = result(write_samples(sample_directory())) / "multispectral"
    first = str(pd.read_csv(folder / "metadata.csv")["filename"][0])
    return cube_layers(open_cube(next(folder.rglob(first))))
