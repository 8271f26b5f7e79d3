"""The command line: every verb of the docks, from the same experiment.yaml."""

from napari_phenoscape.cli import _cubes as cubes, _runs as runs, _why as why
from napari_phenoscape.cli._console import app

__all__ = ["app", "cubes", "runs", "why"]
