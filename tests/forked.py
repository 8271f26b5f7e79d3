"""Processes that are told what to do as `python` is, forks of one that has imported the product.

Importing takes a new one seconds, most of a test of processes. Where no system forks, it does.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import sys
import tempfile
import time
from pathlib import Path

_CAN_FORK = "forkserver" in multiprocessing.get_all_start_methods()
_FORKS = multiprocessing.get_context("forkserver" if _CAN_FORK else "spawn")
if _CAN_FORK:
    _FORKS.set_forkserver_preload(
        [
            "napari_phenoscape.cli._console",
            "napari_phenoscape.embeddings._parts",
            "napari_phenoscape.training._loop",
            "napari_phenoscape.training._model",
            "napari_phenoscape.training._readouts",
            "napari_phenoscape.training._snapshots",
            "lightning_fabric",
            "torchmetrics",
        ]
    )


def pythons(
    words: list[list[str]], environments: list[dict[str, str]]
) -> list[tuple[int, str, str]]:
    """Run them at the same time, each in an environment of its own.

    Exit code, what it said, and what was wrong, of each. After 110 seconds they are killed.
    """
    with tempfile.TemporaryDirectory() as kept:
        outputs = [(Path(kept, f"{n}.out"), Path(kept, f"{n}.err")) for n in range(len(words))]
        processes = [
            _FORKS.Process(target=_as_python, args=(asked, dict(os.environ | own), *output))
            for asked, own, output in zip(words, environments, outputs, strict=True)
        ]
        for process in processes:
            process.start()
        end = time.monotonic() + 110
        for process in processes:
            process.join(max(0.0, end - time.monotonic()))
            process.kill()
            process.join()
        return [
            (process.exitcode, *(path.read_text("utf-8") for path in output))
            for process, output in zip(processes, outputs, strict=True)
        ]


def _as_python(words: list[str], environment: dict[str, str], said: Path, wrong: Path) -> None:
    """What `python -c CODE WORD...` and `python -m MODULE WORD...` do, in this process."""
    for path, number in ((said, 1), (wrong, 2)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), number)
    os.environ.clear()
    os.environ.update(environment)
    kind, program, *rest = words
    sys.argv = [program, *rest]
    if kind == "-c":
        exec(program, {"__name__": "__main__"})
    else:
        runpy.run_module(program, run_name="__main__", alter_sys=True)
