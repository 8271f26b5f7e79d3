"""Extensions: what other packages add by entry points, loaded when it is first asked for."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from importlib.metadata import entry_points
from traceback import walk_tb
from types import MappingProxyType
from typing import Any, Literal, get_args

Group = Literal[
    "readers", "augmentations", "stems", "losses", "clusterings", "maps", "visual_systems"
]


class ExtensionWarning(UserWarning):
    """Another package adds something that cannot be used; it is left out."""


@cache
def extensions(
    group: Group, check: Callable[[str, Any], object] | None = None
) -> MappingProxyType[str, Any]:
    """What other packages add to a group, by the name of the entry point.

    A package adds to the entry points ``napari_phenoscape.GROUP`` in its metadata. One that cannot
    be used is named in a warning, once, and left out.

    Parameters
    ----------
    check
        Raises when what was loaded under a name is not what the group holds.

    Warns
    -----
    ExtensionWarning
        It raises when it is loaded, fails the check, or another one has its name.
    """
    found: dict[str, Any] = {}
    for point in sorted(entry_points(group=f"napari_phenoscape.{group}")):
        try:
            if point.name in found:
                raise ValueError("another package adds one of this name")
            loaded = point.load()
            if check is not None:
                check(point.name, loaded)
        except Exception as error:  # noqa: BLE001  whatever a stranger's module raises
            package = point.dist.name if point.dist else "a package"
            warnings.warn(
                f"'{point.name}' ({point.value}), which {package} adds to the {group}, cannot be "
                f"used ({type(error).__name__}: {error}) and is left out. Update or remove "
                f"{package}.",
                ExtensionWarning,
                stacklevel=2,
            )
        else:
            found[point.name] = loaded
    return MappingProxyType(found)


def author_of(error: BaseException) -> str:
    """The package of others that made an error, itself or by what it called; "" of our own."""
    authors = {
        point.module.partition(".")[0]: point.dist.name
        for group in get_args(Group)
        for point in entry_points(group=f"napari_phenoscape.{group}")
        if point.dist
    }
    ours = __name__.partition(".")[0]
    author = ""
    for frame, _ in walk_tb(error.__traceback__):  # the innermost of us and them
        package = str(frame.f_globals.get("__name__")).partition(".")[0]
        author = "" if package == ours else authors.get(package, author)
    return author
