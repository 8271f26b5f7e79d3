"""Memory of the napari process: with a window, after a closed cube, after a training.

    xvfb-run -a -s "-screen 0 1600x1000x24" python docs/measure_memory.py

A TIFF of 640 MB (which is decoded into memory) is opened and its layers are removed; then 240 drawn
specimens are trained on for 40 steps in a thread of the same process, as the dock Train does.
"""

from __future__ import annotations

import gc
import sys
import tempfile
import threading
from pathlib import Path

import napari
import numpy as np
import psutil
import tifffile
from qtpy.QtWidgets import QApplication

from napari_phenoscape import Experiment, open_cube, result, train, write_samples
from napari_phenoscape.layers import cube_layers
from napari_phenoscape.widgets._worker import guard_torch


def resident_mb() -> int:
    """Resident set of this process, after what Python and Qt can give back."""
    QApplication.processEvents()
    gc.collect()
    return round(psutil.Process().memory_info().rss / 2**20)


def line(what: str) -> None:
    """One row of the table."""
    print(f"| {what} | {resident_mb()} |", flush=True)


def main(folder: Path) -> None:
    """Print the table."""
    print("| the napari process | resident, MB |\n|---|---|")
    viewer = napari.Viewer()
    viewer.window.show()
    line("with a window")
    path = folder / "large.tif"
    noise = np.random.default_rng(0).integers(0, 60_000, (1, 3300, 3300), np.uint16)
    tifffile.imwrite(
        path, np.repeat(noise, 31, 0), photometric="minisblack", compression="zlib",
        metadata={"axes": "CYX"},
    )  # fmt: skip
    line("before the cube")
    cube = open_cube(path)
    np.asarray(cube.array[:])
    layers = [napari.layers.Layer.create(*each) for each in cube_layers(cube)]
    viewer.layers.extend(layers)
    line("with a decoded cube of 640 MB")
    viewer.layers.clear()
    del layers, cube
    line("after it was closed")
    guard_torch()
    samples = result(write_samples(folder / "samples", drawer=False))
    experiment = Experiment.read(samples / "rgb-uv.yaml")
    schedule = experiment.schedule.model_copy(update={"steps": 40})
    verb = train(experiment.model_copy(update={"schedule": schedule}))
    line("before the training")
    highest = 0

    def work() -> None:
        nonlocal highest
        for _ in verb:
            highest = max(highest, psutil.Process().memory_info().rss)

    thread = threading.Thread(target=work)
    thread.start()
    while thread.is_alive():
        QApplication.processEvents()
        thread.join(0.05)
    print(f"| highest while it trained | {round(highest / 2**20)} |")
    line("after it")
    viewer.close()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        main(Path(name))
    sys.exit(0)
