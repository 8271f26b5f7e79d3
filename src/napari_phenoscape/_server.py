"""Server: what lies at a URL (``https://``, ``s3://``, any of fsspec's), and what goes wrong."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from urllib.parse import unquote

from napari_phenoscape.errors import MissingFileError, PhenoscapeError, RemoteError

#: Seconds that a server may be silent.
PATIENCE_S = 60.0

#: Servers whose addresses are written with % for what is no letter.
WEB = ("http", "https")

#: What servers say of the contents of a file, the surest first.
_STAMPS = ("ETag", "etag", "md5", "Content-MD5", "LastModified", "Last-Modified", "last_modified",
           "mtime", "modified", "updated", "created")  # fmt: skip

#: Times of change up to this many ns after 1970 are such numbers; no file is so old.
NUMBERS_NS = 1 << 56


@contextmanager
def network(url: str) -> Iterator[Any]:
    """The file system (fsspec's) of a server; whatever goes wrong with it becomes a sentence.

    Raises
    ------
    RemoteError
        What reads such servers is not installed; the server is away, slow or refuses.
    MissingFileError
        There is nothing at the address.
    """
    protocol = url.partition(":")[0]
    try:
        import fsspec

        fsspec.get_filesystem_class(protocol)
    except (ImportError, ValueError) as error:
        raise RemoteError(
            f"'{url}' cannot be read here ({error}): pip install 'napari-phenoscape[remote]' "
            "brings what reads https and s3, and fsspec's pages name what reads other servers."
        ) from None
    try:
        more: dict[str, Any] = {"use_listings_cache": False}
        if protocol in WEB:
            import aiohttp

            wait = aiohttp.ClientTimeout(total=None, connect=PATIENCE_S, sock_read=PATIENCE_S)
            more["client_kwargs"] = {"timeout": wait}
        yield fsspec.filesystem(protocol, **more)
    except PhenoscapeError:
        raise
    except FileNotFoundError as error:
        # fsspec says so of whatever goes wrong when a web server is asked about a file
        behind = error.__cause__
        if behind is not None and getattr(behind, "status", 0) not in (404, 410):
            raise _stopped(url, behind) from None
        raise MissingFileError(f"There is nothing at '{url}'. Correct the address.") from None
    except Exception as error:  # noqa: BLE001  each server has errors of its own kinds
        raise _stopped(url, error) from None


def _stopped(url: str, error: BaseException) -> RemoteError:
    status = getattr(error, "status", 0)
    why = f"it answers {status}" if status else " ".join(str(error).split())[:150]
    return RemoteError(
        f"'{url}' could not be read just now ({why or type(error).__name__}), and no specimen is "
        "left out for a reason that may pass. See that the network and your rights there are as "
        "they must be, then run the same again; what was brought is kept."
    )


def asked(server: Any, url: str) -> str:
    """A URL as the file system of its server names it."""
    return str(server._strip_protocol(url))


def inside(server: Any, url: str) -> dict[str, dict[str, Any]]:
    """What the server says is in a folder, by name."""
    place = asked(server, url)
    is_web = url.partition(":")[0] in WEB
    start = place.rstrip("/") + "/"
    found = {}
    for one in server.ls(start if is_web else place, detail=True):
        name = str(one["name"])
        rest = name[len(start) :].rstrip("/") if name.startswith(start) else ""
        rest = unquote(rest) if is_web else rest
        if rest and not set(rest) & set("/\\\0?#") and rest not in (".", ".."):
            found[rest] = one
    return found


def size_and_stamp(server: Any, url: str, listed: dict[str, Any]) -> tuple[int, int]:
    """Bytes of a file, and a number that changes with its contents, for a time in ns.

    Parameters
    ----------
    listed
        What the listing of its folder says of it; the server is asked what that does not say.

    Raises
    ------
    RemoteError
        It does not say how large the file is.
    """
    if listed.get("size") is None or not any(listed.get(key) for key in _STAMPS):
        listed = server.info(asked(server, url))
    if listed.get("size") is None:
        raise RemoteError(
            f"The server does not say how large '{url}' is, so that nobody can know whether it "
            "comes whole. Copy it to this machine."
        )
    stamp = next((listed[key] for key in _STAMPS if listed.get(key)), "")
    stamp = stamp.timestamp() if isinstance(stamp, datetime) else stamp
    digest = hashlib.sha256(f"{stamp} {listed['size']}".encode()).digest()
    # Windows keeps times to 100 ns
    return int(listed["size"]), int.from_bytes(digest[:8], "big") % (NUMBERS_NS // 100) * 100
