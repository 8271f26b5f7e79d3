"""The command line: every verb of the docks, from the same experiment.yaml."""

from napari_phenoscape.cli import cubes, runs, why
from napari_phenoscape.cli.console import app

__all__ = ["app", "cubes", "runs", "why"]
