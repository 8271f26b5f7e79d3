"""Extensions: what other packages add by entry points, loaded when it is first asked for."""

from __future__ import annotations

import warnings
from functools import cache
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Any, Literal

Group = Literal[
    "readers", "augmentations", "stems", "losses", "clusterings", "maps", "visual_systems"
]


class ExtensionWarning(UserWarning):
    """Another package adds something that cannot be used; it is left out."""


@cache
def extensions(group: Group) -> MappingProxyType[str, Any]:
    """What other packages add to a group, by the name of the entry point.

    A package adds to the entry points ``napari_phenoscape.GROUP`` in its metadata. One that cannot
    be loaded is named in a warning, once, and left out.

    Warns
    -----
    ExtensionWarning
        It raises when it is loaded.
    """
    found = {}
    for point in sorted(entry_points(group=f"napari_phenoscape.{group}")):
        try:
            found[point.name] = point.load()
        except Exception as error:  # noqa: BLE001  whatever a stranger's module raises
            package = point.dist.name if point.dist else "a package"
            warnings.warn(
                f"'{point.name}' ({point.value}), which {package} adds to the {group}, cannot be "
                f"loaded ({type(error).__name__}: {error}) and is left out. Update or remove "
                f"{package}.",
                ExtensionWarning,
                stacklevel=2,
            )
    return MappingProxyType(found)
