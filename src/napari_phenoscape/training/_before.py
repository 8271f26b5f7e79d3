"""Before the start: what would go wrong with an experiment, and the change that mends it."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from napari_phenoscape.cubes import Cube, as_modality, known_modalities
from napari_phenoscape.errors import OptionError
from napari_phenoscape.nets import PRETRAINED, PRETRAINED_PREFIX
from napari_phenoscape.specimens import Collection
from napari_phenoscape.training._experiment import Experiment
from napari_phenoscape.training._fit import FEWEST_SPECIMENS
from napari_phenoscape.training._proposal import (
    BATCHES,
    COMMON,
    fitting_batch,
    fitting_size,
    longest_side,
    modality_of,
    some_cubes,
)
from napari_phenoscape.training._specimens import canvas_size
from napari_phenoscape.training.parallel._runtime import device_of, devices

Tone = Literal["plain", "warning", "error"]

#: Fewer specimens than this fill no batches that tell a net much.
FEW = 8

#: A view may be so many times as large as the specimen, or the specimen as the view.
LARGER, SMALLER = 1.5, 4.0

#: Free bytes that a run needs for its checkpoints at least.
ROOM = 1e9


@dataclass(frozen=True, slots=True)
class Check:
    """One thing to know before a run is started.

    Parameters
    ----------
    words
        A sentence.
    tone
        ``error``: the run would be refused; ``warning``: it would disappoint; ``plain``: it is so.
    change
        Setting, as ``--set`` names it → value that mends it; see `mended`. Empty when only the
        user can.
    """

    words: str
    tone: Tone = "warning"
    change: dict[str, Any] = field(default_factory=dict)

    @property
    def act(self) -> str:
        """The change in a few words, for a button."""
        return ", ".join(
            f"Set {name.rpartition('.')[2].replace('_', ' ')} to {_said(value)}"
            for name, value in self.change.items()
        )

    @property
    def options(self) -> list[str]:
        """The change as the command line takes it."""
        return [f"--set {name}={json.dumps(value)}" for name, value in self.change.items()]


def mended(experiment: Experiment, change: dict[str, Any]) -> Experiment:
    """The experiment with the change of a check made.

    Raises
    ------
    OptionError
        It is not allowed.
    """
    given = experiment.model_dump(mode="json")
    for name, value in change.items():
        *parents, last = name.split(".")
        inner = given
        for parent in parents:
            inner = inner[parent]
        inner[last] = value
    return Experiment.parse(given)


def checks(experiment: Experiment, collection: Collection) -> tuple[Check, ...]:
    """What is to be known before an experiment is run on its collection, the worst first.

    The headers of up to 100 cubes are read, no pixels.

    Raises
    ------
    CubeError
        A cube cannot be opened any more.
    """
    cubes = some_cubes(collection)
    found = [
        *_number(experiment, len(collection.specimens)),
        *_bands(experiment, cubes),
        *_size(experiment, collection),
        *_background(experiment, cubes),
        *_device(experiment),
        *_rate(experiment),
        *_room(experiment, collection, cubes[0]),
    ]
    return tuple(sorted(found, key=lambda check: ("error", "warning", "plain").index(check.tone)))


def modalities_seen(collection: Collection) -> tuple[str, ...]:
    """The modalities known by name that some of its cubes have, of which up to 100 are looked at.

    Raises
    ------
    CubeError
        A cube cannot be opened any more.
    """
    cubes = some_cubes(collection)
    return tuple(name for name in known_modalities() if any(map(as_modality(name).seen_by, cubes)))


def _number(experiment: Experiment, number: int) -> Iterator[Check]:
    if number < FEWEST_SPECIMENS:
        yield Check(
            f"{_count(number)} are too few to tell any apart; collect {FEWEST_SPECIMENS} or more.",
            "error",
        )
        return
    if not experiment.method.trains:
        return
    batch, fits = experiment.schedule.batch_size, {"schedule.batch_size": fitting_batch(number)}
    if batch > number:
        yield Check(
            f"A batch of {batch} is larger than the collection of {number} specimens.",
            "error",
            fits,
        )
    elif number < FEW:
        yield Check(
            f"A net learns little from {_count(number)}; the instant method needs no training.",
            change={"method": {"kind": "instant"}},
        )
    elif batch > max(number // BATCHES, 2):
        yield Check(
            f"A batch of {batch} is more than a quarter of {number} specimens: the same ones meet "
            "every few steps, and the net sees few new comparisons.",
            change=fits,
        )


def _bands(experiment: Experiment, cubes: Sequence[Cube]) -> Iterator[Check]:
    modalities = [as_modality(given) for given in experiment.modalities]
    seen = {one.name: sum(map(one.seen_by, cubes)) for one in modalities}
    whole = [
        given
        for given, one in zip(experiment.modalities, modalities, strict=True)
        if seen[one.name]
    ]
    for name, count in seen.items():
        if not count:
            yield Check(
                f"No cube has the bands of '{name}'.",
                "error",
                {"modalities": _plain(whole) or [modality_of(cubes)]},
            )
        elif count < len(cubes):
            others = "stand without it" if len(modalities) > 1 else "are left out"
            tone: Tone = "warning" if count < COMMON * len(cubes) else "plain"
            yield Check(
                f"{len(cubes) - count} of {len(cubes)} cubes that were looked at lack '{name}'; "
                f"their specimens {others}.",
                tone,
            )


def _size(experiment: Experiment, collection: Collection) -> Iterator[Check]:
    longest, size = longest_side(collection), experiment.image_size
    fits = fitting_size(longest)
    least = _least(experiment)
    if size > max(LARGER * longest, least) and fits < size:
        yield Check(
            f"Views of {size} px are larger than the median specimen ({longest:.0f} px): more to "
            "compute, and nothing more to see.",
            change={"image_size": max(fits, least)},
        )
    elif longest > SMALLER * size and fits > size:
        yield Check(
            f"Views of {size} px lose the detail of specimens of {longest:.0f} px.",
            change={"image_size": fits},
        )


def _least(experiment: Experiment) -> int:
    """Side in pixels below which the net that training starts from sees too few places; or 0."""
    nets = {PRETRAINED_PREFIX + name: net for name, net in PRETRAINED.items()}
    start = nets.get(experiment.encoder.backbone) if experiment.method.trains else None
    return start.least if start else 0


def _background(experiment: Experiment, cubes: Sequence[Cube]) -> Iterator[Check]:
    change = experiment.collection.to_outline
    bare = sum(cube.mask is None for cube in cubes)
    if bare and change:
        yield Check(
            f"Nothing outlines the specimens of {bare} of {len(cubes)} cubes that were looked at, "
            "so their backgrounds are compared too.",
            change={f"collection.{name}": value for name, value in change.items()},
        )


def _device(experiment: Experiment) -> Iterator[Check]:
    import torch

    runtime = experiment.runtime
    try:
        device = device_of(runtime)
    except OptionError as error:
        yield Check(str(error), "error", {"runtime.device": "auto"})
        return
    if runtime.precision == "fp16" and device != "cuda":
        yield Check(
            f"Precision fp16 needs a CUDA GPU, and this run computes on '{device}'.",
            "error",
            {"runtime.precision": "float32"},
        )
    if device == "cpu" and experiment.method.trains:
        why = "'cpu' is chosen in the runtime."
        if devices()[0] == "cpu":
            built = torch.version.cuda or torch.version.hip
            why = (
                "torch finds no GPU or no driver for it."
                if built
                else "this torch is built without support of GPUs."
            )
        yield Check(f"It computes on the processor: {why}", "plain")


def _rate(experiment: Experiment) -> Iterator[Check]:
    encoder = experiment.encoder
    default = encoder.model_copy(update={"rate": None}).share
    if experiment.method.trains and encoder.rate is not None and encoder.rate > default:
        yield Check(
            f"The encoder starts from trained weights, and learns at {encoder.rate:g} of the full "
            f"rate, which soon overwrites them; {default:g} is usual.",
            change={"encoder.rate": None},
        )


def _room(experiment: Experiment, collection: Collection, cube: Cube) -> Iterator[Check]:
    runs = experiment.runs.absolute()
    there = next(path for path in (runs, *runs.parents) if path.exists())
    free = shutil.disk_usage(there).free
    bands = sum(
        len(one.indices(cube))
        for one in map(as_modality, experiment.modalities)
        if one.seen_by(cube)
    )
    crops = len(collection.specimens) * math.prod((bands, canvas_size(experiment) ** 2, 4))
    if free < ROOM:
        yield Check(
            f"{free / 1e9:.1f} GB are free at '{there}', and checkpoints need about as much. Make "
            "room, or choose another folder of runs.",
        )
    elif free < ROOM + crops:
        yield Check(
            f"{free / 1e9:.1f} GB are free at '{there}'; where the specimens do not fit into the "
            f"memory, {crops / 1e9:.1f} GB of crops are written there.",
        )


def _count(number: int) -> str:
    return f"{number} specimen" if number == 1 else f"{number} specimens"


def _plain(modalities: Sequence[Any]) -> list[Any]:
    return [one if isinstance(one, str) else one.model_dump(mode="json") for one in modalities]


def _said(value: Any) -> str:
    match value:
        case {"kind": kind}:
            return str(kind)
        case list():
            return " and ".join(map(_said, value))
        case {"name": name}:
            return str(name)
        case None:
            return "the usual"
        case Path() | str() | int() | float():
            return str(value)
    return json.dumps(value)
