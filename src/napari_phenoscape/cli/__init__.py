"""The command line: every verb of the docks, from the same experiment.yaml."""

import os

from napari_phenoscape.cli import (
    _cubes as cubes,
    _finding as finding,
    _join as join,
    _listing as listing,
    _look as look,
    _runs as runs,
    _why as why,
)
from napari_phenoscape.cli._console import app

# Read by torch when it is first loaded, which nothing above does. A thread that has nothing to do
# sleeps instead of spinning: beside another busy program it would take the core from a thread that
# all wait for. In napari, a process that is not ours, threads wait as its user has it.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "0")

__all__ = ["app", "cubes", "finding", "join", "listing", "look", "runs", "why"]
