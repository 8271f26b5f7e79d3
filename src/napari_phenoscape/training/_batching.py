"""Batching: the batches that an experiment asks for."""

from __future__ import annotations

from collections.abc import Generator

from napari_phenoscape.events import Notice
from napari_phenoscape.specimens import Crops
from napari_phenoscape.training._experiment import Experiment
from napari_phenoscape.training._recipe import Batches


def batches_of(experiment: Experiment, crops: Crops) -> Batches:
    """Which specimens are in which step."""
    from napari_phenoscape.training.parallel._runtime import world

    levels = crops.levels if experiment.nuisance.batches else None
    devices, nodes = world() or (1, 1)
    size = experiment.schedule.batch_size
    return Batches(len(crops.ids), size, experiment.seed, levels, devices * nodes)


def small_levels(experiment: Experiment, crops: Crops) -> Generator[Notice, None, None]:
    """Say that a level is too small for the batches that were asked for."""
    sizes = batches_of(experiment, crops).sizes
    asked, taken = experiment.schedule.batch_size, sizes[sizes > 0]
    if len(taken) and taken.min() < asked:
        yield Notice(
            f"A batch is of one level of '{experiment.nuisance.name}', and levels are small: "
            f"batches have {taken.min()} to {taken.max()} specimens, not {asked}."
        )


def in_steps(experiment: Experiment, crops: Crops) -> Experiment:
    """The experiment with its epochs counted in steps."""
    schedule = experiment.schedule
    if not schedule.epochs:
        return experiment
    steps = schedule.epochs * batches_of(experiment, crops).epoch
    return experiment.model_copy(update={"schedule": schedule.model_copy(update={"steps": steps})})


def in_precision(experiment: Experiment, precision: str) -> Experiment:
    """The same in a precision that was measured."""
    runtime = experiment.runtime.model_copy(update={"precision": precision})
    return experiment.model_copy(update={"runtime": runtime})
