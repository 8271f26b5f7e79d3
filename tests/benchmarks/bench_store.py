"""Crops on disk: a step that reads from there, crops that are found, and reading ahead.

``store-step`` is a training step with crops on disk against the same with crops in memory.
``store-found`` is opening prepared crops against reading the photographs again. ``store-ahead``
is batches from a disk whose cache is empty, each fetched while 0.3 s are computed on the one
before, against the same batches without that (Linux).
"""

from __future__ import annotations

import itertools
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from napari_phenoscape.events import result
from napari_phenoscape.samples import write_samples
from napari_phenoscape.samples._experiments import RGB_UV
from napari_phenoscape.specimens import Preparation
from napari_phenoscape.specimens.crops._mapped import OnDisk
from napari_phenoscape.training import Experiment, specimens_of
from tests.benchmarks import Comparison
from tests.benchmarks.bench_train import STEPS, our_steps

#: Specimens of 102 bands and 120 pixels: 1.5 GB; and those in a batch.
SPECIMENS, SHAPE, BATCH = 256, (102, 120, 120), 32


def _large(path: Path) -> Path:
    with path.open("wb") as file:
        header = {"descr": "<f4", "fortran_order": False, "shape": (SPECIMENS, *SHAPE)}
        np.lib.format.write_array_header_1_0(file, header)
        for _ in range(SPECIMENS):
            file.write(np.random.default_rng(0).random(SHAPE, dtype=np.float32).tobytes())
        file.flush()
        os.fsync(file.fileno())
    return path


def _batches(path: Path, *, ahead: bool) -> Callable[[], object]:
    """Four batches, each followed by 0.3 s of arithmetic."""
    epochs = itertools.count()

    def read() -> None:
        order = np.random.default_rng(next(epochs)).permutation(SPECIMENS)
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        numbers = OnDisk(path, np.float32)
        matrix = np.ones((300, 300))
        for start in range(0, 4 * BATCH, BATCH):
            numbers[order[start : start + BATCH]]
            if ahead:
                numbers.prefetch(order[start + BATCH : start + 2 * BATCH])
            end = time.perf_counter() + 0.3
            while time.perf_counter() < end:
                matrix @ matrix

    return read


def comparisons() -> Iterator[Comparison]:
    """ResNet-18 on stacks of RGB and UV of 64 px; then numbers alone."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        samples = result(write_samples(folder / "samples", specimens=64, size=96, drawer=False))
        fields = RGB_UV.anchored(samples).model_dump(mode="json")
        fields["schedule"] = {"steps": STEPS, "batch_size": 32, "checkpoint_every": STEPS}
        memory = Experiment.parse({**fields, "image_size": 64, "runs": str(folder / "runs")})
        where = Preparation(memory_share=0, folder=folder / "kept")
        disk = memory.model_copy(update={"preparation": where})
        with our_steps(disk) as ours, our_steps(memory) as theirs:
            yield Comparison("store-step", ours, theirs, 0.97)
        yield Comparison(
            "store-found",
            lambda: result(specimens_of(disk))[1].images[:],
            lambda: result(specimens_of(memory)),
            1.0,
        )
        path = _large(folder / "large.npy")
        yield Comparison("store-ahead", _batches(path, ahead=True), _batches(path, ahead=False), 1)
