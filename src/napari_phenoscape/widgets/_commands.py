"""Commands of the menus that are not docks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from napari import current_viewer
from napari.layers import Layer
from napari.utils.notifications import show_error
from qtpy.QtWidgets import QFileDialog

from napari_phenoscape.cubes import all_readers, open_cube
from napari_phenoscape.errors import PhenoscapeError
from napari_phenoscape.layers import cube_layers

if TYPE_CHECKING:
    import napari


def open_spectral_cube() -> None:
    """Choose a file and open it as a cube, whatever else claims its name."""
    patterns = [pattern for reader in all_readers() for pattern in reader.patterns]
    chosen, _ = QFileDialog.getOpenFileName(
        None,
        "Open a spectral cube",
        "",
        f"Spectral cubes ({' '.join(patterns)});;All files (*)",
    )
    _add_chosen(chosen)


def open_spectral_folder() -> None:
    """Choose a folder and open it as a cube: a Zarr store, or one TIFF for each band."""
    _add_chosen(QFileDialog.getExistingDirectory(None, "Open a folder as a spectral cube"))


def _add_chosen(chosen: str) -> None:
    viewer = current_viewer()
    if chosen and viewer is not None:
        try:
            add_cube(viewer, Path(chosen))
        except PhenoscapeError as error:
            show_error(str(error))


def add_cube(viewer: napari.Viewer, path: Path) -> list[Layer]:
    """Add the layers of a cube.

    Raises
    ------
    PhenoscapeError
        The file is no cube, or a broken one.
    """
    return [viewer.add_layer(Layer.create(*layer)) for layer in cube_layers(open_cube(path))]
