"""Show: ``python -m napari_phenoscape.widgets._show RUN`` opens a clustered run in napari."""

from __future__ import annotations

import sys
from pathlib import Path

import napari

from napari_phenoscape.widgets._clusters import ClustersDock


def show(run: Path) -> napari.Viewer:
    """A viewer with the Clusters dock on a run; its specimens appear when they are read."""
    viewer = napari.Viewer(title=f"Phenoscape: {run.name}")
    dock = ClustersDock(viewer)
    viewer.window.add_dock_widget(dock, name="Clusters", area="right")
    dock.open_run(run)
    return viewer


if __name__ == "__main__":
    show(Path(sys.argv[1]))
    napari.run()
