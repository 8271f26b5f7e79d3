"""Atomic writes: a file (or a directory) is there whole, or as it was before; never half.

What is written over is decided here too (`check_outputs`).
"""

from __future__ import annotations

import errno
import hashlib
import math
import os
import re
import secrets
import shutil
import socket
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from napari_phenoscape._remote import here
from napari_phenoscape.errors import PhenoscapeError, RunError

#: "No room": the disk is full, the user's quota is, or the file is larger than is allowed.
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


#: What another machine has left on a disk that is shared is taken for dead after a day.
_DEAD_S = 86_400.0

#: Bytes of a name up to which it stands whole in that of its part; file systems take 255.
_LONGEST = 200


def check_outputs(
    outputs: Iterable[Path], inputs: Iterable[Path] = (), *, overwrite: bool = False
) -> None:
    """What every verb asks before it writes files that a user has named.

    Parameters
    ----------
    outputs
        Files, or folders, to be written.
    inputs
        What the verb reads: files, and folders with all that is in them.
    overwrite
        Whether what is there may be replaced; what is read never is.

    Raises
    ------
    RunError
        An output is an input, by whatever name or link, or is there already, or has no name.
    OptionError
        It is on a server.
    """
    read = [(given, given.resolve()) for given in inputs if given.exists()]
    for output in map(here, outputs):
        if output.name in ("", ".."):
            raise RunError(f"'{output}' is a folder, and the name of a file was expected. Add one.")
        if not os.path.lexists(output):
            continue
        whole = output.resolve()
        for given, path in read:
            is_same = output.exists() and output.samefile(given)
            if is_same or path in whole.parents or whole in path.parents:
                raise RunError(
                    f"'{output}' would be written over, and '{given}' is read: what is read is "
                    "never overwritten. Name another file."
                )
        if not overwrite:
            raise RunError(
                f"'{output}' is there already and is not overwritten. Name another file, move it "
                "away, or say --overwrite (in Python overwrite=True)."
            )


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """A name beside ``path`` to write to; it becomes ``path`` when the block ends well.

    The block makes a file or a directory under the name that it is given. At its end the bytes
    are forced to the disk and the name is exchanged. When anything goes wrong, the block's
    leftovers are removed and what stood at ``path`` stays; those of a process that was killed are
    removed by the next one that writes ``path``. (A directory replaces another one in two renames:
    a machine that stops between them leaves the old one under a hidden name.)

    Raises
    ------
    RunError
        The operating system refuses, e.g. because the disk is full.
    """
    with atomic_together(path) as (temporary,):
        yield temporary


@contextmanager
def atomic_together(*paths: Path) -> Iterator[list[Path]]:
    """`atomic` for files of one folder that belong together.

    All of them are on the disk before the first gets its name; the last is the one without which
    the others are nothing.
    """
    temporaries = [beside(path, "part") for path in paths]
    path = paths[0]
    try:
        for path in paths:
            _remove_leftovers(path, "part")
        yield temporaries
        for temporary in temporaries:
            _to_disk(temporary)
        for path, temporary in zip(paths, temporaries, strict=True):
            _exchange(temporary, path)
        _fsync_directory(path.parent)
        for path in paths:
            _remove_leftovers(path, "old")
    except PhenoscapeError:
        raise
    except OSError as error:
        raise _refusal(path, error) from error
    finally:
        for temporary in temporaries:
            _remove(temporary)


def _exchange(temporary: Path, path: Path) -> None:
    if not (temporary.is_dir() and path.is_dir()):
        temporary.replace(path)
        return
    old = beside(path, "old")
    path.rename(old)
    try:
        temporary.rename(path)
    except OSError:
        old.rename(path)
        raise
    shutil.rmtree(old)


def beside(path: Path, ending: str = "part") -> Path:
    """A hidden name beside ``path`` that tells which process writes under it."""
    # the same folder is the same disk, and a rename is atomic on one disk only
    unique = f"{_machine()}-{os.getpid()}-{secrets.token_hex(4)}"
    return path.with_name(f".{_short(path.name)}.{unique}.{ending}")


def _short(name: str) -> str:
    return name if len(os.fsencode(name)) <= _LONGEST else name[: _LONGEST // 4]


def _machine() -> str:
    return hashlib.blake2s(socket.gethostname().encode(), digest_size=4).hexdigest()


def _remove_leftovers(path: Path, ending: str) -> None:
    """Remove what processes that are no more have left of their writing of ``path``."""
    remove_dead(path.parent, re.escape(_short(path.name)), ending)


def remove_dead(folder: Path, name: str, ending: str = "part") -> None:
    """Remove from a folder what processes that are no more have left beside what is called so.

    ``name`` is a regular expression.
    """
    ours = re.compile(rf"\.{name}\.([0-9a-f]{{8}})-(\d+)-[0-9a-f]{{8}}\.{ending}")
    there = list[tuple[Path, re.Match[str]]]()
    with suppress(OSError):  # a folder that cannot be listed
        there = [(one, made) for one in folder.iterdir() if (made := ours.fullmatch(one.name))]
    for left, made in there:
        with suppress(OSError):  # another process was first, or it is another user's
            if _is_dead(left, made[1], int(made[2])):
                _remove(left)


def scratch_folder() -> Path:
    """A new folder among the system's temporary files, of this user alone.

    Whoever makes one removes it; those of processes that were killed are removed here.
    """
    path = Path(tempfile.gettempdir()) / "phenoscape"
    _remove_leftovers(path, "scratch")
    folder = beside(path, "scratch")
    folder.mkdir(mode=0o700)
    return folder


@contextmanager
def scratch() -> Iterator[Path]:
    """`scratch_folder`, for a while."""
    folder = scratch_folder()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _is_dead(left: Path, machine: str, process: int) -> bool:
    written = left.stat().st_mtime
    if machine != _machine():
        return time.time() - written > _DEAD_S
    try:
        return psutil.Process(process).create_time() > written + 1  # the number is another's now
    except psutil.NoSuchProcess:
        return True
    except psutil.Error:
        return False


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif os.path.lexists(path):
        path.unlink()


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
