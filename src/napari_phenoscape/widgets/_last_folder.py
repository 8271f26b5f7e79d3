"""The folder of runs that was used last, which the next session begins with."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import platformdirs

from napari_phenoscape._atomic import atomic
from napari_phenoscape.errors import RunError


def last_folder() -> Path | None:
    """The folder of the runs that were used last, if it is still there."""
    with suppress(OSError, ValueError):
        folder = Path(_file().read_text("utf-8"))
        if folder.is_dir():
            return folder
    return None


def keep_last_folder(folder: Path) -> None:
    """Remember the folder of a run that is begun."""
    file = _file()
    with suppress(OSError, RunError):  # a home that cannot be written costs no training
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic(file) as temporary:
            temporary.write_text(str(folder.absolute()), "utf-8")


def _file() -> Path:
    return platformdirs.user_state_path("napari-phenoscape", appauthor=False) / "runs-folder"
