"""Moment: errors that say when a file was asked for, and nothing about the file."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from napari_phenoscape.errors import CollectionError, RemoteError

#: What the system says of a name or of what is in a file; all else may be over in a minute.
LASTING = frozenset(
    {
        errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL,
        errno.EOVERFLOW,
    }
)  # fmt: skip

_WAYS = {
    errno.EMFILE: "Close other programs, or allow more open files (`ulimit -n`)",
    errno.ENFILE: "Close other programs",
    errno.ENOMEM: "Close other programs",
    errno.EACCES: "Close the program that holds it, or give yourself the permission to read it",
    errno.EPERM: "Give yourself the permission to read it",
}


def refuse_moment(error: BaseException, path: Path) -> None:
    """End the verb where a file could not be read for a reason that may pass.

    Specimens that are left out today and are there tomorrow would make two results of one
    collection.

    Parameters
    ----------
    error
        What was raised; what lies behind it counts too.
    path
        The file.

    Raises
    ------
    RemoteError
        It says so itself.
    CollectionError
        The reason may pass: too many open files, a drive that is away, no permission, or the file
        was there a moment ago.
    """
    behind: BaseException | None = error
    while behind is not None:
        if isinstance(behind, RemoteError):
            raise behind
        number = behind.errno if isinstance(behind, OSError) else None
        was_there = number == errno.ENOENT and not os.path.lexists(path)
        if number is not None and (was_there or number not in LASTING):
            way = _WAYS.get(number, "See that it and its drive are there")
            raise CollectionError(
                f"'{path}' could not be read just now ({os.strerror(number)}), and no specimen is "
                f"left out for a reason that may pass. {way}, then run the same again."
            ) from None
        behind = behind.__cause__ or behind.__context__
