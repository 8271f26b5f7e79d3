"""Garbage: Python's search for it, which stops the window, looks at what is new only.

A full search follows every object there is, in whatever thread and with the interpreter's lock: of
napari, torch and scikit-learn that is half a million objects and some 0.3 s. So what outlives one
is set aside (`gc.freeze`). When a layer is removed or a dock closed, which may be all that held
something large, the next one follows every object again.
"""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import napari


def follow_only_new(viewer: napari.Viewer) -> None:
    """Set aside what is there, and what outlives each full search from now on."""
    viewer.layers.events.removed.connect(follow_all)
    if _searched not in gc.callbacks:
        gc.callbacks.append(_searched)
        gc.freeze()


def follow_all(_event: Any = None) -> None:
    """Let the next full search follow every object."""
    gc.unfreeze()


def _searched(phase: str, search: dict[str, int]) -> None:
    if phase == "stop" and search["generation"] == 2:
        gc.freeze()
