"""Atomic writes: a file (or a directory) is there whole, or as it was before; never half."""

from __future__ import annotations

import errno
import math
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from napari_phenoscape.errors import PhenoscapeError, RunError

#: "No room": the disk is full, the user's quota is, or the file is larger than is allowed.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A name beside ``path`` to write to; it becomes ``path`` when the block ends well.

    The block makes a file or a directory under the name that it is given. At its end the bytes
    are forced to the disk and the name is exchanged. When anything goes wrong, the block's
    leftovers are removed and what stood at ``path`` stays. (A directory replaces another one in
    two renames: a machine that stops between them leaves the old one under a hidden name.)

    Raises
    ------
    RunError
        The operating system refuses, e.g. because the disk is full.
    """
    temporary = _beside(path)
    try:
        yield temporary
        _to_disk(temporary)
        if temporary.is_dir() and path.is_dir():
            old = _beside(path)
            path.rename(old)
            try:
                temporary.rename(path)
            except OSError:
                old.rename(path)
                raise
            shutil.rmtree(old)
        else:
            temporary.replace(path)
        _fsync_directory(path.parent)
    except PhenoscapeError:
        raise
    except OSError as error:
        raise _refusal(path, error) from error
    finally:
        if temporary.is_dir():
            shutil.rmtree(temporary)
        elif os.path.lexists(temporary):
            temporary.unlink()


def _beside(path: Path) -> Path:
    # the same folder is the same disk, and a rename is atomic on one disk only
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")


def _to_disk(path: Path) -> None:
    if path.is_dir():
        for inner in path.iterdir():
            _to_disk(inner)
        _fsync_directory(path)
    else:
        with path.open("rb+") as file:
            os.fsync(file.fileno())


def _fsync_directory(path: Path) -> None:
    if os.name == "posix":  # Windows has no handle of a directory to force
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _refusal(path: Path, error: OSError) -> RunError:
    reason = error.strerror or str(error)
    # NumPy says of a full disk only how many numbers it wrote
    free = shutil.disk_usage(path.parent).free / 1e6 if path.parent.is_dir() else math.inf
    if error.errno in NO_ROOM or (error.errno is None and free < 1):
        reason = error.strerror or os.strerror(errno.ENOSPC)
        message = (
            f"'{path}' cannot be written: {reason} ({free:.0f} MB free there). "
            "Nothing that was there is lost; make room, or choose a folder on another disk."
        )
    else:
        message = (
            f"'{path}' cannot be written: {reason}. "
            "Choose a folder that exists and that you may write in."
        )
    refusal = RunError(message)
    refusal.errno = error.errno
    return refusal
