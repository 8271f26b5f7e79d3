"""The descriptor against the filters and quantiles of SciPy and NumPy; how long a first look takes.

``instant look`` is `phenoscape look` of a folder of pictures and masks, from the first file to the
figure. ``instant run`` is `train` and `embed` of prepared specimens. What is said of 10 000 is
measured on 1100 and 2200, more than are embedded as one part, of which the readout is fitted to the
same share.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import numpy as np
import psutil
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from napari_phenoscape.analysis import look
from napari_phenoscape.cubes import Band, Bands
from napari_phenoscape.embeddings import embed
from napari_phenoscape.events import Event, result
from napari_phenoscape.nets import Descriptor
from napari_phenoscape.specimens import Preparation
from napari_phenoscape.training import Experiment, _fit, freed_memory_kept, specimens_of, train
from tests.benchmarks import Comparison, Figure

SPECIMENS, SIDE = 32, 96

#: Of ``instant run``: specimens that are measured, and those that are meant.
FEW, MANY, MEANT = 1100, 2200, 10_000


def _draw(folder: Path, number: int, side: int) -> Path:
    """Discs of five textures and colours on another ground, and their masks."""
    random = np.random.default_rng(0)
    y, x = np.indices((side, side)) - (side - 1) / 2
    inside = np.hypot(x, y) <= 0.4 * side
    colours = random.random((5, 2, 3))
    (folder / "masks").mkdir()
    for i in range(number):
        spots = ndimage.gaussian_filter(random.normal(size=(side, side)), 1 + i % 5) > 0
        picture = np.where(inside[..., None], colours[i % 5][spots.astype(int)], 0.5)
        shade = random.uniform(0.8, 1.2)
        Image.fromarray((255 * (shade * picture).clip(0, 1)).astype(np.uint8)).save(
            folder / f"{i:05d}.jpg"
        )
        Image.fromarray(inside).save(folder / "masks" / f"{i:05d}.png")
    return folder


def _look_s() -> float:
    with tempfile.TemporaryDirectory() as folder:
        pictures = Path(folder) / "pictures"
        pictures.mkdir()
        _draw(pictures, 832, 256)
        start = time.perf_counter()
        result(look(pictures, Path(folder) / "runs"))
        return time.perf_counter() - start


def _instant_run(number: int) -> tuple[float, float]:
    """Minutes, and MB of memory of its own at most, of a run of so many specimens of 64 px."""
    fitted_to = number * _fit.MOST // MEANT
    with tempfile.TemporaryDirectory() as folder, patch.object(_fit, "MOST", fitted_to):
        pictures = Path(folder) / "pictures"
        pictures.mkdir()
        experiment = Experiment.parse(
            {
                "collection": {"kind": "folder", "path": str(_draw(pictures, number, 64))}
                | {"pattern": "*.jpg", "mask": "masks/{stem}.png"},
                "preparation": Preparation(memory_share=0.001).model_dump(mode="json"),
                "image_size": 64,
                "method": "instant",
                "runs": str(Path(folder) / "runs"),
            }
        )
        result(specimens_of(experiment, keep=True))
        start = time.perf_counter()
        most = max(_own_mb() for _ in _embedded(experiment))
        return (time.perf_counter() - start) / 60, most


def _own_mb() -> float:
    """Without the pages of files, which the system takes back when it needs them (Linux)."""
    memory = psutil.Process().memory_info()
    return (memory.rss - memory.shared) / 1e6


def _embedded(experiment: Experiment) -> Iterator[Event]:
    run = yield from train(experiment)
    yield from embed(run)


def comparisons() -> Iterator[Comparison | Figure]:
    random = np.random.default_rng(0)
    images = random.random((SPECIMENS, 3, SIDE, SIDE), np.float32)
    y, x = np.indices((SIDE, SIDE)) - (SIDE - 1) / 2
    mask = np.broadcast_to(np.hypot(x, y) <= 0.4 * SIDE, (SPECIMENS, 1, SIDE, SIDE)).copy()
    descriptor = Descriptor(Bands(Band(name) for name in "rgb"), [0.5] * 3, [0.3] * 3)
    given = torch.from_numpy(images), torch.from_numpy(mask)

    def filtered(plane: NDArray[np.float32], inside: NDArray[np.bool_]) -> NDArray[np.float32]:
        maps = [plane]
        for sigma in (1, 2, 4):
            maps.append(ndimage.gaussian_gradient_magnitude(plane, sigma))
            maps.append(ndimage.gaussian_laplace(plane, sigma))
        values = np.stack([each[inside] for each in maps])
        quantiles = np.quantile(values, [0.1, 0.5, 0.9], axis=1)
        return np.concatenate([values.mean(1), values.std(1), quantiles.ravel()])

    def scipy() -> None:
        for image, inside in zip(images, mask[:, 0], strict=True):
            for plane in image:
                filtered(plane, inside)

    with freed_memory_kept():  # as in every run; for both
        yield Comparison(
            f"instant descriptor, {SPECIMENS} specimens of {SIDE} px",
            ours=lambda: descriptor(*given),
            theirs=scipy,
            goal=5,
        )
    (minutes, memory), (minutes_of_many, memory_of_many) = map(_instant_run, (FEW, MANY))
    more = (MEANT - FEW) / (MANY - FEW)
    yield Figure(
        f"instant run, {MEANT} specimens of 64 px",
        lambda: minutes + more * (minutes_of_many - minutes),
        "min",
        goal=5,
    )
    yield Figure(
        f"instant run, memory of {MANY} specimens over that of {FEW}",
        lambda: memory_of_many - memory,
        "MB",
        goal=50,
    )
    yield Figure("instant look, 832 pictures of 256 px", _look_s, "s", goal=180)
