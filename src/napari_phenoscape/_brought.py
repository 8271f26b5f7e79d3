"""Brought: files of a server whose bytes are needed now, in a cache of a bounded size."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from napari_phenoscape._ahead import ahead
from napari_phenoscape._remote import (
    address,
    forget,
    is_awaited,
    is_mirrored,
    leave_empty,
    part,
    root,
)
from napari_phenoscape._server import NUMBERS_NS, asked, network, size_and_stamp
from napari_phenoscape.errors import MissingFileError, OptionError, RemoteError

#: Bytes that the cache holds at most, and the variable of the system that says otherwise, in GB.
LIMIT, LIMIT_GB = 20_000_000_000, "PHENOSCAPE_REMOTE_GB"

#: Bytes of a piece, and of what is asked for at once.
PIECE, MOST = 1 << 20, 1 << 25

#: Files that are brought at once, ahead of their use.
AHEAD = 8

#: A file is said to be in use again after so many ns.
_USED_NS = 60_000_000_000

#: Age in seconds of what a process that was killed has left.
_DEAD_S = 86_400.0

#: Bytes that were brought since the cache was measured, of this process.
_brought: list[int] = []


def bring(path: Path, spans: Iterable[tuple[int, int]] | None = None) -> None:
    """See that a file of a server is here, or of its bytes those of some spans.

    Of another file, nothing is done.

    Raises
    ------
    RemoteError
        It cannot be had just now, is another than was listed, or is larger than the cache.
    """
    if not is_mirrored(path) or not path.is_file():
        return
    there = path.stat()
    if not is_awaited(there):
        if time.time_ns() - there.st_atime_ns > _USED_NS:
            os.utime(path, ns=(time.time_ns(), there.st_mtime_ns))
        return
    if there.st_size > _limit():
        raise RemoteError(
            f"'{address(path)}' has {there.st_size} bytes, and the cache holds at most {_limit()}. "
            f"Set the variable {LIMIT_GB} to more GB, or copy the file to this machine."
        )
    if spans is not None and _bring_pieces(path, there, spans):
        return
    with _server_of(path) as server, part() as new:
        server.get_file(asked(server, address(path)), str(new))
        _refuse_another(server, path, there, new.stat().st_size)
        with new.open("rb+") as file:
            os.fsync(file.fileno())
        os.utime(new, ns=(time.time_ns(), there.st_mtime_ns))
        new.chmod(0o400)
        new.replace(path)
    _make_room(there.st_size)


def is_in_pieces(path: Path) -> bool:
    """Whether of a file only some pieces may be here."""
    return is_mirrored(path) and is_awaited(path.stat())


def brought_ahead(paths: Sequence[Path], is_needed: Callable[[Path], bool]) -> Iterator[Path]:
    """Paths one by one, while the files behind them are brought.

    Parameters
    ----------
    is_needed
        Whether all of a file is. What goes wrong is met again by who opens it.
    """
    if not paths or not is_mirrored(paths[0]):
        return iter(paths)
    return ahead(paths, lambda path: bring(path) if is_needed(path) else None, AHEAD)


def _limit() -> int:
    given = os.environ.get(LIMIT_GB, "")
    try:
        return int(float(given) * 1e9) if given else LIMIT
    except ValueError:
        raise OptionError(
            f"The variable {LIMIT_GB} is '{given}'; a number of GB was expected. Correct it."
        ) from None


@contextmanager
def _server_of(path: Path) -> Iterator[Any]:
    """The file system of a file that was listed there."""
    try:
        with network(address(path)) as server:
            yield server
    except MissingFileError:
        forget(path.parent)
        raise RemoteError(
            f"'{address(path)}' is gone from its server since it was listed. Run the same again."
        ) from None


def _refuse_another(server: Any, path: Path, there: os.stat_result, size: int) -> None:
    """An error when what came is not what was listed."""
    now = size_and_stamp(server, address(path), {})
    if size != there.st_size or now != (there.st_size, there.st_mtime_ns):
        forget(path.parent)
        raise RemoteError(
            f"'{address(path)}' has changed on its server since it was listed, or came only in "
            f"part ({size} of {there.st_size} bytes). Run the same again."
        )


def _pieces(path: Path, there: os.stat_result) -> Path:
    """The file of a byte for each piece of a file: 1 where it is here."""
    told = f"{path} {there.st_size} {there.st_mtime_ns}"
    return root() / ".pieces" / hashlib.sha256(told.encode()).hexdigest()


def _bring_pieces(path: Path, there: os.stat_result, spans: Iterable[tuple[int, int]]) -> bool:
    """Bring the pieces that hold these bytes; whether the server gives pieces."""
    kept = _pieces(path, there)
    kept.parent.mkdir(exist_ok=True)
    if not kept.exists():
        with part() as new:
            new.write_bytes(bytes(-(-there.st_size // PIECE)))
            new.replace(kept)
    here = kept.read_bytes()
    wanted = {n for start, stop in spans for n in range(start // PIECE, -(-stop // PIECE))}
    lacking = sorted(piece for piece in wanted if not here[piece])
    while lacking:
        count = next(
            (i for i, piece in enumerate(lacking) if piece != lacking[0] + i), len(lacking)
        )
        run, lacking = lacking[: min(count, MOST // PIECE)], lacking[min(count, MOST // PIECE) :]
        begin, end = run[0] * PIECE, min((run[-1] + 1) * PIECE, there.st_size)
        with _server_of(path) as server:
            size, url = there.st_size, asked(server, address(path))
            try:
                with server.open(url, cache_type="none", size=size) as file:
                    file.seek(begin)
                    came = file.read(end - begin)
            except ValueError:  # of a web server that gives files whole alone
                return False
            _refuse_another(server, path, there, size - (end - begin) + len(came))
        path.chmod(0o600)  # who reads it asks for pieces
        with path.open("rb+") as file:
            file.seek(begin)
            file.write(came)
            file.flush()
            os.fsync(file.fileno())
        os.utime(path, ns=(time.time_ns(), there.st_mtime_ns))
        with kept.open("rb+") as known:
            known.seek(run[0])
            known.write(b"\1" * len(run))
        _make_room(end - begin)
    return True


def _make_room(size: int) -> None:
    """Empty the files that were not used for longest, where the cache is too large."""
    _brought.append(size)
    if len(_brought) > 1 and sum(_brought) < _limit() // 20:
        return
    _brought[:] = [0]
    files: list[tuple[int, int, Path, os.stat_result]] = []
    for place, _, names in os.walk(root()):
        for path in map(Path(place).joinpath, names):
            with suppress(FileNotFoundError):
                there = path.stat()
                if path.parent.name == ".parts" and there.st_ctime < time.time() - _DEAD_S:
                    path.unlink()  # of a process that was killed
                    continue
                # Windows does not say what of a file is empty
                blocks = getattr(there, "st_blocks", 0 if is_awaited(there) else 1 << 62)
                room = min(there.st_size, 512 * blocks)
                if room and there.st_mtime_ns < NUMBERS_NS:
                    files.append((there.st_atime_ns, room, path, there))
    excess = sum(room for _, room, _, _ in files) - _limit()
    for _, room, path, there in sorted(files)[:-1]:
        if excess <= 0:
            break
        _pieces(path, there).unlink(missing_ok=True)
        with suppress(OSError):  # Windows keeps what is open
            leave_empty(path, there.st_size, there.st_mtime_ns)
            excess -= room
