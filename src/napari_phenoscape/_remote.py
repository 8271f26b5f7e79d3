"""Remote: folders of a server, as folders of a cache that hold empty files.

Readers ask the disk what lies beside a file, how large it is and when it changed. So a folder of a
server is mirrored: a file is at first an empty one, sparse, of its name and size, whose time of
change is a number made of what the server says of its contents (ETag or date). What is opened is
brought first (`napari_phenoscape._brought`). fsspec's own caches have names of their own making,
and no bound.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import platformdirs

from napari_phenoscape._server import NUMBERS_NS, WEB, inside, network, size_and_stamp
from napari_phenoscape.errors import OptionError

#: Seconds for which a folder is as it was listed.
FRESH_S = 30.0

#: Files that a server is asked about at once: most of the time is waiting.
AT_ONCE = 16

#: ``https://host/folder``, and what `Path` makes of it. One letter is a drive of Windows.
_URL = re.compile(r"([a-z][a-z0-9+.-]+):[/\\]{1,2}([^/\\].*)", re.IGNORECASE | re.DOTALL)

#: When this process has listed each folder.
_listed: dict[Path, float] = {}

#: When this process has looked for some names in each folder.
_looked: dict[tuple[Path, Callable[[str], bool]], float] = {}


def local(given: Any) -> Any:
    """Where the cache has a URL; any other value as it is. Asks nobody.

    Raises
    ------
    OptionError
        The URL holds what may be a secret, or does not name a file or folder of one server.
    """
    match = _URL.fullmatch(str(given)) if isinstance(given, str | Path) else None
    if match is None:
        return given
    protocol, rest = match[1].lower(), match[2].replace("\\", "/")
    host, *names = (part for part in rest.split("/") if part)
    shown = f"{protocol}://{'/'.join([host.rpartition('@')[2], *names])}".split("?")[0]
    if "@" in host or "?" in rest:
        raise OptionError(
            f"'{shown}' was given with a name, a password or a '?', which would be written into "
            "runs. Leave them out: fsspec finds them in the variables and files of the server's "
            "own programs (~/.aws/credentials), and in ~/.config/fsspec."
        )
    if "::" in rest or {".", ".."} & {host, *names} or "\0" in rest:
        raise OptionError(
            f"'{shown}' does not name a file or a folder of one server, e.g. "
            "https://example.org/moths or s3://bucket/moths."
        )
    if protocol in WEB:
        names = [unquote(name) for name in names]
    return root().joinpath(protocol, quote(host, safe=""), *names)


def here(path: Path) -> Path:
    """A path that is no URL: what is written is written on this machine.

    Raises
    ------
    OptionError
        It is one.
    """
    if is_mirrored(where := local(path)):
        raise OptionError(
            f"'{address(where)}' is on a server, from which specimens are read; what is written, "
            "and experiments and runs, are on this machine. Name a place here."
        )
    return path


def address(path: Path) -> str:
    """The URL of what the cache has at a path; of another path itself."""
    if not is_mirrored(path):
        return str(path)
    protocol, host, *names = path.relative_to(root()).parts
    names = [quote(name) for name in names] if protocol in WEB else names
    return f"{protocol}://{'/'.join([unquote(host), *names])}"


def located(given: str | Path) -> Path:
    """Where a path or a URL can be looked for on this machine; what is at a URL is listed.

    Raises
    ------
    OptionError
        As `local` does.
    MissingFileError, RemoteError
        As `napari_phenoscape._server.network` does.
    """
    path = Path(local(given))
    if path != Path(given) or not os.path.lexists(path):
        list_place(path)
    return path


def list_place(path: Path) -> None:
    """Mirror a file or a folder of a server, with those beside it that are named like it.

    Of another path, nothing is done.
    """
    if not is_mirrored(path):
        return
    with network(address(path)) as server:
        beside = {} if _is_top(path) else _told(server, path.parent)
        if path.name in beside:
            stem = path.name.split(".")[0]
            _mirror(server, path.parent, {name: beside[name] for name in beside if stem in name})
            if not _is_folder(beside[path.name]):
                return
        if path.name in beside or _is_top(path):
            _mirror(server, path, inside(server, address(path)), whole=True)
            return
        # a web server that lists no folders may give a large file as if it were a page
        names = {} if path.suffix and _is_web(path) else _told(server, path)
        if names:
            _mirror(server, path, names, whole=True)
        else:
            _mirror(server, path.parent, {path.name: {"type": "file"}})


def list_beside(path: Path, wanted: Callable[[str], bool]) -> None:
    """Mirror what of the folder of a file on a server has such names; at most twice a minute."""
    folder = path.parent
    if not is_mirrored(path) or folder in _listed:
        return
    if time.monotonic() - _looked.get((folder, wanted), -FRESH_S) >= FRESH_S:
        with network(address(path)) as server:
            told = _told(server, folder)
            _mirror(server, folder, {name: one for name, one in told.items() if wanted(name)})
        _looked[folder, wanted] = time.monotonic()


def list_folder(path: Path, *, deep: bool = False) -> None:
    """Mirror what is in a folder of a server, as of now; ``deep``: in those inside it too."""
    if not is_mirrored(path):
        return
    if path not in _listed or time.monotonic() - _listed[path] > FRESH_S:
        with network(address(path)) as server:
            _mirror(server, path, inside(server, address(path)), whole=True)
    for one in path.iterdir() if deep else ():
        if one.is_dir():
            list_folder(one, deep=True)


def forget(folder: Path) -> None:
    """Ask the server anew what is in a folder, the next time."""
    _listed.pop(folder, None)


def root() -> Path:
    """The folder of the cache."""
    return platformdirs.user_cache_path("napari-phenoscape", appauthor=False) / "remote"


def is_mirrored(path: Path) -> bool:
    """Whether a path is that of something on a server."""
    return "remote" in path.parts and path.is_relative_to(root()) and path != root()


def is_awaited(there: os.stat_result) -> bool:
    """Whether a file of the cache waits for its bytes: one that has them is written no more."""
    return there.st_mtime_ns < NUMBERS_NS and bool(there.st_mode & 0o200)


def leave_empty(path: Path, size: int, changed_ns: int) -> None:
    """Put an empty file there that waits to be brought."""
    with part() as new:
        with new.open("wb") as file:
            file.truncate(size)
        os.utime(new, ns=(time.time_ns(), changed_ns))
        new.chmod(0o200)  # who opens it before it was brought meets an error, not zeros
        new.replace(path)


@contextmanager
def part() -> Iterator[Path]:
    """A name on the disk of the cache, to write to."""
    folder = root() / ".parts"
    folder.mkdir(parents=True, exist_ok=True)
    new = folder / os.urandom(8).hex()
    try:
        yield new
    finally:
        new.unlink(missing_ok=True)


def _is_top(path: Path) -> bool:
    """Whether it is a host or a bucket."""
    return len(path.relative_to(root()).parts) == 2


def _is_web(path: Path) -> bool:
    return path.relative_to(root()).parts[0] in WEB


def _is_folder(listed: dict[str, Any]) -> bool:
    return bool(listed["type"] == "directory")


def _told(server: Any, folder: Path) -> dict[str, dict[str, Any]]:
    """What is in what may be a folder; nothing where the server refuses to list what it gives."""
    try:
        return inside(server, address(folder))
    except (FileNotFoundError, PermissionError, NotADirectoryError, NotImplementedError):
        return {}
    except Exception as error:
        if 400 <= getattr(error, "status", 0) < 500:
            return {}
        raise  # it is away just now: what it did not list is not known to be missing


def _mirror(
    server: Any, folder: Path, there: dict[str, dict[str, Any]], *, whole: bool = False
) -> None:
    """Make the mirror of a folder hold these names; ``whole``: and no others."""
    files = [name for name, one in there.items() if not _is_folder(one)]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        said = pool.map(
            lambda name: size_and_stamp(server, address(folder / name), there[name]), files
        )
        found = dict(zip(files, said, strict=True))
    folder.mkdir(parents=True, exist_ok=True)
    for name in there:
        path = folder / name
        with suppress(FileNotFoundError):
            was = path.lstat()
            if path.is_dir() == (name not in found) and (
                name not in found or (was.st_size, was.st_mtime_ns) == found[name]
            ):
                continue
            _remove(path)
        if name in found:
            leave_empty(path, *found[name])
        else:
            path.mkdir(exist_ok=True)
    if whole:
        for one in folder.iterdir():
            if one.name not in there:
                _remove(one)
        _listed[folder] = time.monotonic()


def _remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
