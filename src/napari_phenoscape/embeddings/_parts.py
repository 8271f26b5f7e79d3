"""Parts: rows of specimens that several processes compute, in files that the next one finds.

A part is some hundred specimens. Every process computes those of its number and writes each into a
file; one puts them together. What was written before a kill is not computed again.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from napari_phenoscape._atomic import atomic
from napari_phenoscape.cubes import Band, Bands
from napari_phenoscape.errors import RunError
from napari_phenoscape.events import Event, Progress
from napari_phenoscape.specimens import Skipped
from napari_phenoscape.training import (
    device_of,
    freed_memory_kept,
    job,
    joins,
    last_checkpoint,
    rank,
    ranks,
    read_experiment,
    runtime_here,
)

#: Seconds between two looks whether other processes are done.
WAIT_S = 0.2


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
    told = hashlib.sha256(experiment.to_yaml().encode())
    for path in (checkpoint / f"{name}.safetensors" for name in ("weights", "average", *readouts)):
        if path.is_file():
            with path.open("rb") as file:
                told.update(hashlib.file_digest(file, "sha256").digest())
    told.update((checkpoint / "state.json").read_bytes())
    return f"{device_of(runtime_here(experiment.runtime)[0])}-{told.hexdigest()[:16]}"


def in_parts(
    folder: Path,
    keys: Sequence[str],
    compute: Callable[[int], Generator[Event, None, Part]],
) -> Generator[Event, None, list[Part] | None]:
    """Parts that are computed, by this process and its peers, or found.

    Parameters
    ----------
    folder
        Where they are kept while it is `held`, and after a kill.
    keys
        Of each part, what changes when it would; it begins with that of the net (`net_key`).
    compute
        A part, by its number.

    Returns
    -------
    All of them in their order; None in a process that does not put them together.

    Raises
    ------
    RunError
        The folder cannot be written; or a peer makes other parts, for which this one would wait.
    """
    paths = [folder / f"{number:08d}-{key}.parquet" for number, key in enumerate(keys)]
    mine = range(rank(), len(paths), ranks())
    if ranks() > 1 and (joins() or not all(paths[number].is_file() for number in mine)):
        _tell_peers(folder, keys)
    with freed_memory_kept():
        for number in mine:
            if not paths[number].is_file():
                _check_peers(folder, keys, range(ranks()) if joins() else (0,))
                part = yield from compute(number)
                _write(part, paths[number])
    if not joins():
        return None
    while missing := [number for number, path in enumerate(paths) if not path.is_file()]:
        _check_peers(folder, keys, {number % ranks() for number in missing})
        yield Progress("waiting for the other processes", len(paths) - len(missing), len(paths))
        time.sleep(WAIT_S)
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


def _tell_peers(folder: Path, keys: Sequence[str]) -> None:
    """Say which parts this process makes, for `_check_peers` of the others."""
    folder.mkdir(parents=True, exist_ok=True)
    with atomic(folder / f"{rank()}.json") as temporary:
        temporary.write_text(json.dumps(_told(keys)), "utf-8")


def _told(keys: Sequence[str]) -> dict[str, str]:
    digest = hashlib.sha256(" ".join(keys).encode()).hexdigest()
    return {"job": job(), "device": keys[0].partition("-")[0], "keys": digest}


def _check_peers(folder: Path, keys: Sequence[str], peers: Iterable[int]) -> None:
    """Refuse to go on beside a process of the same command that makes other parts.

    Raises
    ------
    RunError
        One does.
    """
    own = _told(keys)
    for peer in peers:
        try:
            told = json.loads((folder / f"{peer}.json").read_text("utf-8"))
        except FileNotFoundError:
            continue
        if told["job"] != own["job"] or told["keys"] == own["keys"]:
            continue
        if told["device"] != own["device"]:
            raise RunError(
                f"Process {peer} computes on '{told['device']}' and process {rank()} on "
                f"'{own['device']}'; the numbers of one table are of one kind of device. Give all "
                "processes the same kind, or hide the graphics cards from all "
                "(CUDA_VISIBLE_DEVICES=)."
            )
        raise RunError(
            f"Process {peer} has other specimens, weights or settings than process {rank()}. See "
            "that all find the same files, then run the same again; what was computed is kept."
        )


def _write(part: Part, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    told = {
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
    table = pa.table(columns, metadata={"phenoscape": json.dumps(told)})
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as temporary:
        pq.write_table(table, temporary)


def _read(path: Path) -> Part:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
        told = json.loads(table.schema.metadata[b"phenoscape"])
        rows = {
            name: table[name]
            .combine_chunks()
            .flatten()
            .to_numpy(zero_copy_only=False)
            .reshape(shape)
            .astype(dtype)
            for name, (shape, dtype) in told["rows"].items()
        }
        return Part(
            tuple(told["ids"]),
            rows,
            tuple(Skipped(Path(file), reason) for file, reason in told["left_out"]),
            told["bands"] and Bands(Band(**band) for band in told["bands"]),
            tuple(told["unmeasured"]),
        )
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise RunError(
            f"'{path}' is damaged ({reason}). Remove it, then run the same again."
        ) from None
