"""Dry step: how long a training takes, and how much memory, from steps that are thrown away."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from contextlib import nullcontext

import numpy as np

from napari_phenoscape.errors import PhenoscapeError
from napari_phenoscape.events import Event, Progress, result
from napari_phenoscape.specimens import Collection, Nuisance
from napari_phenoscape.training._before import Check
from napari_phenoscape.training._experiment import Experiment
from napari_phenoscape.training._recipe import Batches

#: Specimens that are read, again and again in a batch; and those of a batch at most, of which a
#: larger one is computed.
READ, BATCH = 4, 32

#: The first step loads libraries, so a second is measured, unless the first took so many seconds.
LONG_S = 5.0

#: Held while steps are tried.
_trying = threading.Lock()


def dry_step(
    experiment: Experiment, collection: Collection
) -> Generator[Event, None, Check | None]:
    """How long a training would take here, from steps on some of its specimens.

    Nothing is written, and torch's random numbers stay as they are. None of a run that trains no
    net, of several devices, and of a compiled net, whose first step takes minutes.
    """
    import torch

    runtime = experiment.runtime
    if not experiment.method.trains or runtime.devices * runtime.nodes > 1 or runtime.compile:
        return None
    with _trying, torch.random.fork_rng(devices=[]):
        try:
            seconds, memory = yield from _tried(experiment, collection)
        except PhenoscapeError as error:
            return Check(f"A step was tried, and failed: {error}", "error")
    schedule = experiment.schedule
    steps = schedule.steps
    if schedule.epochs:
        number, batch = len(collection.specimens), schedule.batch_size
        steps = schedule.epochs * Batches(number, batch, 0, None, 1).epoch
    return Check(
        f"It takes about {_lasting(steps * seconds)}: {steps} steps of {_lasting(seconds)}, as one "
        f"took that was tried. The net and a batch need {memory / 1e9:.1g} GB of memory.",
        "plain",
    )


def undisturbed() -> None:
    """Wait until no step is tried, or torch's random numbers would be those of two at once."""
    with _trying:
        pass


def _tried(
    experiment: Experiment, collection: Collection
) -> Generator[Event, None, tuple[float, float]]:
    """Seconds and bytes of a step."""
    import torch

    from napari_phenoscape.training._build import augmenter, build_model
    from napari_phenoscape.training._gradient import Gradient, check_caching, known_columns
    from napari_phenoscape.training._health import advice
    from napari_phenoscape.training._inputs import InputPipeline
    from napari_phenoscape.training._model import SimCLR
    from napari_phenoscape.training._precision import precision_of
    from napari_phenoscape.training._recipe import optimizer_of
    from napari_phenoscape.training._specimens import crops_of
    from napari_phenoscape.training.parallel._runtime import device_of, fabric_of, set_threads

    yield Progress("trying a step", 0, 2)
    set_threads(experiment.runtime)
    places = np.linspace(0, len(collection.specimens) - 1, READ).astype(int)
    some = collection.take([collection.specimens[at].id for at in dict.fromkeys(places.tolist())])
    # levels are of all specimens, and change no step
    alike = experiment.model_copy(update={"nuisance": Nuisance()})
    crops = result(crops_of(alike, some, part=True))
    net = build_model(experiment, crops.statistics, pretrained=False)
    assert isinstance(net, SimCLR)
    check_caching(experiment, net)
    runtime = experiment.runtime
    if runtime.precision == "auto":
        precision, _ = precision_of(net, experiment.image_size, device_of(runtime))
        runtime = runtime.model_copy(update={"precision": precision})
    fabric = fabric_of(runtime)
    net.to(memory_format=torch.channels_last)
    optimizer = optimizer_of(net, experiment.schedule, experiment.encoder.share, fused=False)
    model, optimizer = fabric.setup(net, optimizer)
    model.train()
    pipeline = InputPipeline(crops, augmenter(experiment, crops), net, 0, fabric.device)
    known = known_columns(experiment, collection)
    gradient = Gradient(experiment, crops, known, pipeline, net, model, fabric)
    asked = experiment.schedule.batch_size
    batch = np.arange(min(asked, BATCH)) % len(crops.ids)
    kept = {weight.data_ptr(): 4 * weight.nbytes for weight in net.parameters()}

    def noted(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        kept.setdefault(storage.data_ptr(), storage.nbytes())
        return tensor

    seconds = LONG_S
    for turn in range(2):
        yield Progress("trying a step", turn, 2)
        start = time.perf_counter()
        hooks = torch.autograd.graph.saved_tensors_hooks(noted, lambda tensor: tensor)
        with advice(experiment, asked), hooks if turn == 0 else nullcontext():
            float(gradient(batch, turn).loss.detach())
            optimizer.step()
            optimizer.zero_grad()
        if fabric.device.type == "cuda":
            torch.cuda.synchronize()
        seconds = time.perf_counter() - start
        if seconds > LONG_S:
            break
    weights = 4 * sum(weight.nbytes for weight in net.parameters())
    more = asked / len(batch)
    return more * seconds, weights + more * (sum(kept.values()) - weights)


def _lasting(seconds: float) -> str:
    """A duration, to two digits or so."""
    if seconds < 0.95:
        return f"{seconds:.2g} s"
    if seconds < 90:
        return f"{seconds:.0f} s" if seconds > 9.5 else f"{seconds:.1f} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"
