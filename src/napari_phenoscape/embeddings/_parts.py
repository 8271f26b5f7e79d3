"""Parts: rows of specimens that several processes compute, in files that the next one finds.

A part is some hundred specimens. Every process computes those of its number and writes each into a
file; one puts them together. What was written before a kill is not computed again.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from napari_phenoscape import __version__
from napari_phenoscape._atomic import atomic
from napari_phenoscape.cubes import Band, Bands
from napari_phenoscape.embeddings._ahead import verbs_ahead
from napari_phenoscape.errors import RunError
from napari_phenoscape.events import Event, Progress
from napari_phenoscape.specimens import Skipped
from napari_phenoscape.training import (
    check_alike,
    device_of,
    freed_memory_kept,
    joins,
    last_checkpoint,
    rank,
    ranks,
    read_experiment,
    runtime_here,
    told_to_peers,
)

#: Seconds between two looks whether other processes are done.
WAIT_S = 0.2

#: Seconds between two signs of life, and without one after which a process counts as lost.
BEAT_S, LOST_S = 5.0, 300.0

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Part:
    """What is computed of some specimens, each by itself.

    Parameters
    ----------
    ids
        n specimens.
    rows : (n, ...) each
        By name.
    left_out
        Specimens of the part that cannot be used.
    bands
        What was seen of them; None where all were left out.
    unmeasured
        See `Crops`.
    """

    ids: tuple[str, ...]
    rows: dict[str, NDArray[Any]] = field(default_factory=dict)
    left_out: tuple[Skipped, ...] = ()
    bands: Bands | None = None
    unmeasured: tuple[str, ...] = ()


def net_key(run: Path, *untrained: bool) -> str:
    """What changes when what a run's net makes of the same pixels would, here.

    The kind of device, ``-``, and hexadecimal digits: to rounding devices agree, and one table is
    of one kind.

    ``untrained``: of the control, of the trained net, or both.
    """
    checkpoint = last_checkpoint(run)
    readouts = ["readout.untrained" if control else "readout" for control in untrained]
    experiment = read_experiment(run)
    seen = hashlib.sha256(f"{__version__}\n{experiment.to_yaml()}".encode())
    for path in (checkpoint / f"{name}.safetensors" for name in ("weights", "average", *readouts)):
        if path.is_file():
            with path.open("rb") as file:
                seen.update(hashlib.file_digest(file, "sha256").digest())
    seen.update((checkpoint / "state.json").read_bytes())
    return f"{device_of(runtime_here(experiment.runtime)[0])}-{seen.hexdigest()[:16]}"


def in_parts(
    folder: Path,
    keys: Sequence[str],
    read: Callable[[int], Generator[Event, None, T]],
    compute: Callable[[int, Generator[Event, None, T]], Generator[Event, None, Part]],
    *,
    room: bool,
) -> Generator[Event, None, list[Part] | None]:
    """Parts that are computed, by this process and its peers, or found.

    Parameters
    ----------
    folder
        Where they are kept while it is `held`, and after a kill.
    keys
        Of each part, what changes when it would; it begins with that of the net (`net_key`).
    read
        What a part is computed of, by its number.
    compute
        A part, by its number and what was read.
    room
        Whether the next part may be read while one is computed.

    Returns
    -------
    All of them in their order; None in a process that does not put them together.

    Raises
    ------
    RunError
        The folder cannot be written; or a peer makes other parts, failed or was killed, for which
        this one would wait.
    """
    paths = [folder / f"{number:08d}-{key}.parquet" for number, key in enumerate(keys)]
    mine = range(rank(), len(paths), ranks())
    missing = [number for number in mine if not paths[number].is_file()]
    reading = (read(number) for number in missing)
    with (
        _heard_by_peers(folder, keys),
        freed_memory_kept(),
        verbs_ahead(reading, room=room) as was_read,
    ):
        for number in missing:
            _check_peers(folder, keys, range(ranks()) if joins() else (0,))
            part = yield from compute(number, was_read())
            _write(part, paths[number])
    if not joins():
        return None
    silent, others = _Silent(folder), set(range(1, ranks()))
    # one that comes late would make its parts again where they were taken away
    while left := others - _check_peers(folder, keys, others):
        made = sum(path.is_file() for path in paths)
        yield Progress("waiting for the other processes", made, len(paths))
        time.sleep(WAIT_S)
        silent.check(left)
    return [_read(path) for path in paths]


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a folder of parts, in the process that puts them together; they are removed at its end.

    Raises
    ------
    RunError
        Another program holds it.
    """
    if not joins():
        yield
        return
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder.with_name(f"{folder.name}.lock"), timeout=1, thread_local=False)
        lock.acquire()
    except Timeout:
        raise RunError(
            f"Another program computes the same in '{folder.parent}'. Wait until it has ended, or "
            "stop it there."
        ) from None
    except OSError as error:
        raise RunError(
            f"'{folder.parent}' cannot be written ({error.strerror or error}). Name a run that you "
            "may write in."
        ) from None
    try:
        yield
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        lock.release()


@contextmanager
def _heard_by_peers(folder: Path, keys: Sequence[str]) -> Iterator[None]:
    """Say what this process makes and that it lives, and at the end whether it was made."""
    if ranks() == 1:
        yield
        return
    _tell_peers(folder, keys)
    sign, left = folder / f"{rank()}.alive", threading.Event()

    def beat() -> None:
        beats = 0
        while not left.wait(BEAT_S):
            beats += 1
            with suppress(OSError):  # a disk that is full for a moment; silence is noticed
                sign.write_text(str(beats), "utf-8")

    thread = threading.Thread(target=beat, name="lives", daemon=True)
    thread.start()
    failed = "it was stopped."
    try:
        yield
        failed = ""
    except Exception as error:
        failed = str(error) or type(error).__name__
        raise
    finally:
        left.set()
        thread.join()  # or its file would come after the folder was removed
        # or the first would wait for what it has not made
        _tell_peers(folder, keys, done=not failed, failed=failed)


class _Silent:
    """How long others give no sign of life, in looks: a job that sleeps as a whole hears nothing.

    Parameters
    ----------
    folder
        Of parts.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._heard: dict[int, tuple[str, int]] = {}

    def check(self, peers: Iterable[int]) -> None:
        """Look again, every `WAIT_S`.

        Raises
        ------
        RunError
            One was not heard of for `LOST_S`.
        """
        for peer in peers:
            sign, looks = self._heard.get(peer, ("", 0))
            try:
                newest = (self._folder / f"{peer}.alive").read_text("utf-8")
            except OSError:
                newest = ""  # it has not begun, or is just writing
            looks = looks + 1 if newest == sign else 0
            self._heard[peer] = newest, looks
            if looks * WAIT_S >= LOST_S:
                raise RunError(
                    f"Process {peer} was not heard of for {LOST_S:.0f} seconds; it was killed, or "
                    "never started. Look at what it said; what was computed is kept, and the same "
                    "command goes on with it."
                )


def _tell_peers(folder: Path, keys: Sequence[str], *, done: bool = False, failed: str = "") -> None:
    """Say which parts this process makes, and whether it has, or why not; for `_check_peers`."""
    folder.mkdir(parents=True, exist_ok=True)
    with atomic(folder / f"{rank()}.json") as temporary:
        told = {**_told(keys), "done": done, "failed": failed}
        temporary.write_text(json.dumps(told), "utf-8")


def _told(keys: Sequence[str]) -> dict[str, str]:
    return told_to_peers(keys[0].partition("-")[0], keys)


def _check_peers(folder: Path, keys: Sequence[str], peers: Iterable[int]) -> set[int]:
    """Refuse to go on beside a process of the same command that makes other parts.

    Returns
    -------
    Which of these peers have made theirs.

    Raises
    ------
    RunError
        One makes other parts, or has failed.
    """
    own, done = _told(keys), set()
    for peer in peers:
        try:
            other = json.loads((folder / f"{peer}.json").read_text("utf-8"))
        except FileNotFoundError:
            continue
        if other["job"] == own["job"]:
            check_alike(own, other, peer)
            if other["failed"]:
                raise RunError(f"Process {peer} ended, and with it this one: {other['failed']}")
            if other["done"]:
                done.add(peer)
    return done


def _write(part: Part, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    beside = {
        "ids": part.ids,
        "left_out": [[str(one.path), one.reason] for one in part.left_out],
        "bands": None if part.bands is None else [asdict(band) for band in part.bands],
        "unmeasured": part.unmeasured,
        "rows": {name: [rows.shape, rows.dtype.str] for name, rows in part.rows.items()},
    }
    columns = {
        name: pa.FixedSizeListArray.from_arrays(
            pa.array(np.ascontiguousarray(rows).reshape(-1)), rows[0].size
        )
        for name, rows in part.rows.items()
    }
    table = pa.table(columns, metadata={"phenoscape": json.dumps(beside)})
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as temporary:
        pq.write_table(table, temporary)


def _read(path: Path) -> Part:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
        beside = json.loads(table.schema.metadata[b"phenoscape"])
        rows = {
            name: table[name]
            .combine_chunks()
            .flatten()
            .to_numpy(zero_copy_only=False)
            .reshape(shape)
            .astype(dtype)
            for name, (shape, dtype) in beside["rows"].items()
        }
        return Part(
            tuple(beside["ids"]),
            rows,
            tuple(Skipped(Path(file), reason) for file, reason in beside["left_out"]),
            beside["bands"] and Bands(Band(**band) for band in beside["bands"]),
            tuple(beside["unmeasured"]),
        )
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise RunError(
            f"'{path}' is damaged ({reason}). Remove it, then run the same again."
        ) from None
