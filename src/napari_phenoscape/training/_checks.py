"""Checks: what is refused before anything is trained."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.errors import CollectionError, OptionError
from napari_phenoscape.specimens import Crops
from napari_phenoscape.training._experiment import Experiment, Schedule


def check_start(experiment: Experiment) -> None:
    """What a net is and begins with is known and there, before any specimen is read."""
    from napari_phenoscape.nets import check_backbone, check_weights

    if experiment.method.trains:
        check_backbone(experiment.encoder.backbone)
        check_weights(experiment.encoder.weights)
    for features in experiment.method.features:
        features.check()


def check_batch(schedule: Schedule, crops: Crops) -> None:
    if schedule.batch_size > len(crops.ids):
        raise CollectionError(
            f"A batch of {schedule.batch_size} is larger than the collection of "
            f"{len(crops.ids)} specimens. Set schedule.batch_size to {len(crops.ids)} or less, "
            "or collect more specimens."
        )


def check_views(experiment: Experiment) -> None:
    readout = experiment.method.readout
    if readout.views and experiment.augmentations in ("none", ()):
        raise OptionError(
            f"The readout '{readout.kind}' divides out what augmentations vary, and there are "
            "none. Choose a preset, or the readout 'plain'."
        )


def check_ranks(schedule: Schedule, ranks: int) -> None:
    if schedule.batch_size % ranks:
        below = max(schedule.batch_size // ranks, 1) * ranks
        raise OptionError(
            f"A batch of {schedule.batch_size} cannot be shared equally by {ranks} devices. "
            f"Set schedule.batch_size to a multiple of them, e.g. {below}."
        )


def check_steps(schedule: Schedule, done: int, run: Path) -> None:
    """Steps that are done cannot be taken back."""
    if done > schedule.steps:
        raise OptionError(
            f"'{run.name}' has learned for {done} steps, and schedule.steps asks for "
            f"{schedule.steps} in all. Set it to {done} to end there, or to more, or start a new "
            "run."
        )


def check_same(experiment: Experiment, before: Experiment, run: Path) -> None:
    """All must be as it was but the steps, where to compute and keep, and what comes after.

    So must the specimens, wherever they are now; see `State.check_specimens`.
    """
    for name in type(experiment).model_fields:
        if name in (
            "collection", "schedule", "runtime", "runs", "name", "preparation", "grouping"
        ):  # fmt: skip
            continue
        if getattr(experiment, name) != getattr(before, name):
            raise OptionError(
                f"'{run.name}' was trained with another '{name}', so it cannot go on with this "
                f"experiment. Resume it with its own experiment.yaml, or start a new run."
            )
    for part, name in (
        ("schedule", "batch_size"),
        ("schedule", "optimizer"),
        ("schedule", "average"),
        ("preparation", "bin_bands"),
        ("preparation", "precision"),
    ):
        ours, theirs = (getattr(getattr(each, part), name) for each in (experiment, before))
        if ours != theirs:
            raise OptionError(
                f"'{run.name}' was trained with {name} {theirs}, not {ours}. Resume it with its "
                "own, or start a new run."
            )


def work_of(
    experiment: Experiment, crops: Crops, known: Mapping[str, NDArray[np.int64]] | None = None
) -> tuple[str, ...]:
    """What several processes that train together must have in common, wherever its files are."""
    columns = {name: codes.tolist() for name, codes in (known or {}).items()}
    if crops.levels is not None:
        columns[""] = crops.levels.codes.tolist()
    return (
        experiment.model_dump_json(
            exclude={"collection": True, "runs": True, "runtime": {"device": True}}
        ),
        json.dumps([crops.ids, columns]),
        str(crops.statistics),
    )
