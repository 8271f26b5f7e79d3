"""Every step on very many specimens, in memory that does not hold their pixels."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from napari_phenoscape.analysis import cluster_run, explain
from napari_phenoscape.embeddings import embed
from napari_phenoscape.events import Event, result
from napari_phenoscape.specimens import collect
from napari_phenoscape.training import Experiment, specimens_of, train
from tests.soak.specimens import draw_specimens

#: Bytes that a step may take for each specimen: its names, its row in tables and its embedding, in
#: a few copies; a tenth of its crop of 80 pixels (83 kB).
EACH = 8_000

#: Bytes that it may take for whatever number: a part of crops, a batch with its gradients, and the
#: libraries that it is the first to load.
FIXED = 400_000_000


@dataclass(frozen=True)
class Stage:
    """What a step took.

    Parameters
    ----------
    cpu_s
        Processor seconds.
    memory
        Bytes of anonymous memory, at most, above those before it.
    """

    name: str
    cpu_s: float
    memory: int


def anonymous() -> int:
    """Bytes of resident memory that no file holds: a mapped file can be dropped at any time."""
    lines = Path("/proc/self/status").read_text("ascii").splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("RssAnon"))


#: A net by itself; a readout would look at each specimen a dozen times.
PLAIN = {"kind": "simclr", "readout": "plain", "beside": "nothing"}


def experiment_of(folder: Path, method: object, memory_share: float = 0) -> Experiment:
    """Of the specimens in a folder, by a small net; from crops on disk, as of very many."""
    given = {
        "collection": {"kind": "folder", "path": "pictures"},
        "image_size": 64,
        "preparation": {"memory_share": memory_share},
        "method": method,
        "encoder": {"backbone": "squeezenet1_1"},
        "schedule": {"steps": 5, "batch_size": 16},
        "grouping": {"method": {"kind": "kmeans", "clusters": 3}, "map": "pca"},
        "runs": "runs",
        "runtime": {"device": "cpu"},
    }
    return Experiment.parse(given).anchored(folder)


def stages(folder: Path, count: int) -> Iterator[Stage]:
    """Draw specimens, then scan, prepare, train, embed, cluster and explain them."""
    draw_specimens(folder / "pictures", count)
    experiment = experiment_of(folder, PLAIN)
    runs: list[Path] = []
    steps: dict[str, Callable[[], Iterator[Event]]] = {
        "scan": lambda: collect(experiment.collection),
        "prepare": lambda: specimens_of(experiment, keep=True),
        "train": lambda: _kept(train(experiment), runs),
        "embed": lambda: embed(runs[0]),
        "cluster": lambda: cluster_run(runs[0]),
        "explain": lambda: explain(runs[0], occlusion=False),
    }
    for name, step in steps.items():
        before = highest = anonymous()
        start = time.process_time()
        for number, _ in enumerate(step()):
            if number % 100 == 0:
                highest = max(highest, anonymous())
        yield Stage(name, time.process_time() - start, max(highest, anonymous()) - before)


def _kept(work: Iterator[Event], runs: list[Path]) -> Iterator[Event]:
    runs.append((yield from work))  # type: ignore[misc]


def fitted(folder: Path, count: int) -> Path:
    """An instant run of so many specimens, which are read anew by each step."""
    draw_specimens(folder / "pictures", count)
    run = result(train(experiment_of(folder, "instant", memory_share=0.8)))
    for kept in run.glob("checkpoints/*/embeddings.safetensors"):
        kept.unlink()  # or there were nothing to embed
    return run
