"""Settings: what sessions begin with, as napari's Preferences keep it for this plugin."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple, cast

from napari.settings import get_plugin_settings

from napari_phenoscape.training import PALETTE, Grouping, PaletteName, Runtime

PLUGIN, PAGE = "napari-phenoscape", "sessions"

#: The picture that the figures of the command line show too.
AS_SEEN = "as the net saw them"


class Settings(NamedTuple):
    """As in the manifest, which says what they are and offers them in Preferences.

    Parameters
    ----------
    device, threads
        Of `Runtime`.
    runs
        Folder; empty: that of the session before.
    picture
        The first one of specimens, by name, if their bands allow it.
    palette
        Of `Grouping`.
    """

    device: str = "auto"
    threads: int = 0
    runs: str = ""
    picture: str = AS_SEEN
    palette: PaletteName = PALETTE

    def parts(self) -> dict[str, Any]:
        """The fields of an experiment that they say; what is as always is left out."""
        chosen: dict[str, Any] = {}
        runtime = Runtime.parse({"device": self.device, "threads": self.threads})
        if runtime != Runtime():
            chosen["runtime"] = runtime
        if self.palette != PALETTE:
            chosen["grouping"] = Grouping(palette=self.palette)
        if self.runs.strip():
            chosen["runs"] = Path(self.runs.strip()).expanduser()
        return chosen


def settings() -> Settings:
    """Those of now; the defaults where napari does not know the plugin, as in a script."""
    try:
        page = getattr(get_plugin_settings(PLUGIN), PAGE)
    except KeyError:
        return Settings()
    return Settings(*(cast("Any", getattr(page, name)) for name in Settings._fields))
