"""The command line: every verb of the docks, from the same experiment.yaml."""

import os

from napari_phenoscape.cli import (
    _cubes as cubes,
    _editing as editing,
    _finding as finding,
    _join as join,
    _listing as listing,
    _look as look,
    _runs as runs,
    _why as why,
)
from napari_phenoscape.cli._console import app
from napari_phenoscape.training import WAITING

# Before torch is first loaded, which nothing above does. In napari, a process that is not ours,
# threads wait as its user has it.
for name, value in WAITING.items():
    os.environ.setdefault(name, value)

__all__ = ["app", "cubes", "editing", "finding", "join", "listing", "look", "runs", "why"]
