"""What happens to a long job: files that vanish, kills, a clock that goes backward, a twin."""

from __future__ import annotations

import hashlib
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

from napari_phenoscape.embeddings import embed
from napari_phenoscape.errors import CollectionError
from napari_phenoscape.events import Progress, result
from napari_phenoscape.specimens import collect
from napari_phenoscape.training import read_experiment

TABLE = "embeddings/rgb.parquet"


def digest(run: Path) -> str:
    """Of the table of embeddings."""
    return hashlib.sha256((run / TABLE).read_bytes()).hexdigest()


def vanished(run: Path) -> str:
    """The sentence when a picture goes away while specimens are looked for; it is put back."""
    source = read_experiment(run).collection
    picture = sorted(source.path.glob("*.png"))[-1]
    away = picture.with_suffix(".away")
    work = collect(source)
    while not (isinstance(event := next(work), Progress) and event.what == "finding specimens"):
        pass
    picture.rename(away)
    try:
        result(work)
    except CollectionError as error:
        return str(error)
    finally:
        away.rename(picture)
    raise AssertionError("A picture vanished and nothing was said.")


def changed(run: Path) -> str:
    """The sentence when a picture changes while it is embedded; it is put back."""
    picture = read_experiment(run).collection.path / "0.png"
    held = picture.read_bytes()
    work = embed(run)
    while not (isinstance(event := next(work), Progress) and event.what == "embedding specimens"):
        pass
    picture.write_bytes(held)  # the same pixels at another time, which nobody can know
    try:
        result(work)
    except CollectionError as error:
        return str(error)
    raise AssertionError("A picture changed and nothing was said.")


def with_clock_backward(run: Path) -> None:
    """Embed while the clock jumps back by an hour, again and again."""
    now = time.time
    jumps = iter(range(10**9))
    with patch("time.time", lambda: now() - 3600 * (next(jumps) % 7)):
        result(embed(run))


def killed(run: Path, kills: int, longest_s: float) -> Iterator[tuple[int, int]]:
    """Embed in processes that are killed at random times, then once to the end.

    Parameters
    ----------
    longest_s
        Seconds of a process that is not.

    Yields
    ------
    Which signal, and how many parts there were afterwards.
    """
    chance = random.Random(0)
    for _ in range(kills):
        process = _embedding(run)
        time.sleep(chance.uniform(0.2, 1) * longest_s)
        number = chance.choice((signal.SIGTERM, signal.SIGKILL))
        process.send_signal(number)
        process.communicate()
        yield number, len(list(run.glob("embeddings/.*.parts/*.parquet")))
    whole(run)


def whole(run: Path) -> None:
    """Embed in a process."""
    process = _embedding(run)
    _, said = process.communicate()
    assert process.returncode == 0, said


def twins(run: Path) -> list[str]:
    """Embed in two processes at once; what each said at its end, nothing where all went well."""
    processes = [_embedding(run) for _ in range(2)]
    return [process.communicate()[1].strip().split("\n")[-1] for process in processes]


def _embedding(run: Path) -> subprocess.Popen[str]:
    words = [sys.executable, "-m", "napari_phenoscape.cli", "embed", str(run), "--quiet"]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
