"""Prints what each preset of a whole experiment computes of a folder, and the processor's time.

``python docs/measure_how_much.py FOLDER``. Of a training, the median of four steps after two that
do not count, on one thread.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from statistics import median

import torch

from napari_phenoscape.events import Step, result
from napari_phenoscape.specimens import Folder, collect
from napari_phenoscape.training import Experiment, experiments_for, train

#: Steps that are taken, and that do not count.
STEPS, WARM = 7, 2


def seconds_of(experiment: Experiment) -> tuple[float, float]:
    """Processor seconds of a step (NaN of an instant run), and of a run without what ends it."""
    began = time.process_time()
    if not experiment.method.trains:
        result(train(experiment))
        return float("nan"), time.process_time() - began
    schedule = experiment.schedule.model_copy(update={"steps": STEPS})
    told: list[float] = []
    training = train(experiment.model_copy(update={"schedule": schedule}))
    for event in training:
        if isinstance(event, Step):
            told.append(time.process_time())
        if len(told) == STEPS:
            break
    training.close()
    each = median(b - a for a, b in zip(told[WARM:], told[WARM + 1 :], strict=False))
    return each, each * experiment.schedule.steps


def main() -> None:
    """Measure every preset."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    collection = result(collect(Folder(path=given.folder)))
    with tempfile.TemporaryDirectory() as runs:
        for name, experiment in experiments_for(collection, runs=Path(runs)).items():
            step, whole = seconds_of(experiment)
            of = experiment.schedule
            print(
                f"{name}: views of {experiment.image_size} px, {of.steps} steps of "
                f"{of.batch_size}; {step:.2f} s a step, {whole / 60:.1f} min in all",
                flush=True,
            )


if __name__ == "__main__":
    main()
