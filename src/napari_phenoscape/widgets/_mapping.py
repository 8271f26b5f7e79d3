"""Mapping: maps that are drawn in a process of their own, so that the window never waits for one.

The libraries of UMAP hold the interpreter's lock while they are loaded and compile, for ten seconds
or so; a process can also be stopped while it draws. It is begun before it is needed, and lives on
for the next map: what was compiled stays compiled.
"""

from __future__ import annotations

import atexit
import os
import pickle
import subprocess
import sys
import threading
import traceback
from collections.abc import Generator
from contextlib import suppress

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.embeddings import reduce
from napari_phenoscape.errors import PhenoscapeError
from napari_phenoscape.events import Event, Progress
from napari_phenoscape.training import UMAP, Reduction

#: Seconds after which a map that is no longer wanted is noticed.
WAIT_S = 0.1

#: Processes that wait for the next map.
_idle: list[subprocess.Popen[bytes]] = []


class _ThereError(Exception):
    """What went wrong in the other process, as that tells it."""


def begin_early(method: Reduction) -> None:
    """Let a process load and compile what a map will need, while its embeddings are being made."""
    if not _idle:
        _idle.append(_begun(method.kind))


def reduce_apart(
    x: NDArray[np.float32], method: Reduction, seed: int
) -> Generator[Event, None, NDArray[np.float32]]:
    """The same as `reduce`, from another process; closing the generator ends that.

    Raises
    ------
    PhenoscapeError
        The process ended, e.g. for lack of memory; or what `reduce` raises.
    """
    process = _process()
    answers: list[tuple[NDArray[np.float32] | Exception, str]] = []

    def ask() -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            pickle.dump((x, method, seed), process.stdin)
            process.stdin.flush()
            answers.append(pickle.load(process.stdout))  # noqa: S301  our own process
        except (OSError, EOFError, pickle.UnpicklingError):
            pass  # it has ended, and said no more

    asking = threading.Thread(target=ask, name="waits for a map", daemon=True)
    asking.start()
    try:
        while asking.is_alive():
            yield Progress(f"drawing the map ({method.kind})", 0, 1)
            asking.join(WAIT_S)
    except GeneratorExit:
        _end(process)
        raise
    if not answers:
        _end(process)
        raise PhenoscapeError(
            f"The process that drew the map ended with exit code {process.returncode}. If the "
            "memory was too small, choose PCA (grouping.map: pca)."
        )
    _idle.append(process)
    ((answer, said),) = answers
    if isinstance(answer, Exception):
        raise answer from _ThereError(said)
    return answer


def _process() -> subprocess.Popen[bytes]:
    while _idle:
        process = _idle.pop()
        if process.poll() is None:
            return process
        _end(process)
    return _begun()


def _begun(*kinds: str) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", __name__, *kinds]
    # Ctrl-C is for the window; and this one ends when nobody can ask it any more
    return subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        assert stream is not None
        with suppress(OSError):  # it had not read all that it was asked
            stream.close()


def _end_all() -> None:
    while _idle:
        _end(_idle.pop())


atexit.register(_end_all)


def answer_all() -> None:
    """Answer on standard output what is asked on standard input, until that is closed."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    if UMAP().kind in sys.argv[1:]:
        reduce(np.eye(3, dtype=np.float32), UMAP())
    while True:
        try:
            x, method, seed = pickle.load(sys.stdin.buffer)  # noqa: S301  of who began this
        except EOFError:
            return
        answer: tuple[NDArray[np.float32] | Exception, str]
        try:
            answer = reduce(x, method, seed), ""
        except Exception as error:  # noqa: BLE001  whatever it is, who asked is told
            answer = error, "".join(traceback.format_exception(error))
        pickle.dump(answer, answers)
        answers.flush()


if __name__ == "__main__":
    answer_all()
