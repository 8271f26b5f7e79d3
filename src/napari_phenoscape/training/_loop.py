"""Training: SimCLR [1]_ as a generator of events.

References
----------
.. [1] Chen et al. 2020, A simple framework for contrastive learning of visual representations.
   https://arxiv.org/abs/2002.05709
"""

from __future__ import annotations

import dataclasses
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape._device import computing, together
from napari_phenoscape.events import Event, Finished, Notice, Progress, Saved, Started, Step
from napari_phenoscape.specimens import Collection, Crops
from napari_phenoscape.training._batching import batches_of, in_precision, in_steps, small_levels
from napari_phenoscape.training._build import augmenter, build_model
from napari_phenoscape.training._checkpoint import (
    State,
    checkpoints,
    load_optimizer,
    load_weights,
    read_state,
    save_checkpoint,
)
from napari_phenoscape.training._checks import (
    check_batch,
    check_ranks,
    check_same,
    check_start,
    check_steps,
    check_views,
    work_of,
)
from napari_phenoscape.training._experiment import Experiment
from napari_phenoscape.training._interrupts import Interrupted, interrupt_held
from napari_phenoscape.training._recipe import (
    average_of,
    learning_rate,
    optimizer_of,
    step_seed,
)
from napari_phenoscape.training._run import log_event, read_experiment
from napari_phenoscape.training._run_of_all import run_of_all
from napari_phenoscape.training._specimens import specimens_of
from napari_phenoscape.training._watching import Watched
from napari_phenoscape.training.parallel._launch import launch
from napari_phenoscape.training.parallel._memory import freed_memory_kept
from napari_phenoscape.training.parallel._peers import beside_peers, joined
from napari_phenoscape.training.parallel._runtime import (
    compile_encoders,
    device_of,
    fabric_of,
    ranks,
    set_threads,
    world,
)

if TYPE_CHECKING:
    from lightning_fabric import Fabric

    from napari_phenoscape.training._model import SimCLR
    from napari_phenoscape.training._watching import Watcher

T = TypeVar("T")

#: Steps between two looks at the health of the projections.
HEALTH_EVERY = 25


@computing
def train(
    experiment: Experiment, run: Path | None = None, *, snapshots: int = 0, examples: bool = False
) -> Generator[Event, None, Path]:
    """Train a net, or fit an instant one; closing the generator stops it and saves.

    Parameters
    ----------
    experiment
        What to train.
    run
        None: a new run directory under ``experiment.runs``. Else the run to go on with; on CPU the
        numbers are then those of a run that was never interrupted, bit for bit.
    snapshots
        Specimens at most that the net so far embeds every so many steps, told as `Snapshot`; what
        is learnt stays the same. None of an instant run, on several devices, or when compiled.
    examples
        Whether two views of one specimen are told every so many steps, as `Example`, likewise.

    Yields
    ------
    Event
        Also appended to the run's ``events.jsonl``.

    Returns
    -------
    The run directory.

    Raises
    ------
    PhenoscapeError
        What is wrong and the way out. A run that was started can be resumed.
    """
    trains, runtime = experiment.method.trains, experiment.runtime
    if trains and runtime.devices * runtime.nodes > 1 and world() is None:
        return (yield from launch(experiment, run))
    prepared = _prepared(experiment, run, Watched(snapshots, examples))
    experiment, work, fabric, notices = yield from beside_peers(prepared)
    with ExitStack() as held:
        run = run_of_all(experiment, run, fabric, held)
        held.enter_context(freed_memory_kept())
        steps = held.enter_context(closing(work(run)))
        if fabric.is_global_zero:
            for notice in notices:  # heard before there was a run
                log_event(run, notice)
        for event in steps:
            if fabric.is_global_zero and not (trains and isinstance(event, Progress)):
                log_event(run, event)
            yield event
    return run


#: What is done in a run directory.
Work = Callable[[Path], Generator[Event, None, None]]


def _prepared(
    experiment: Experiment, run: Path | None, watched: Watched
) -> Generator[Event, None, tuple[Experiment, Work, Fabric, list[Notice]]]:
    """All that comes before a directory is made: whatever can be refused is refused here."""
    trains, runtime = experiment.method.trains, experiment.runtime
    if run is not None:
        before = read_experiment(run)
        check_same(experiment, before, run)
        if runtime.precision == "auto":
            experiment = in_precision(experiment, before.runtime.precision)
    found = checkpoints(run) if run is not None else []
    state = read_state(found[-1]) if found else None
    notices: list[Notice] = []
    if run is None:
        check_start(experiment)
    collection, crops = yield from _noted(specimens_of(experiment, known=state), notices)
    if run is not None and state is not None:
        yield from _noted(state.check_specimens(crops, run), notices)
    check_views(experiment)
    if trains:
        check_batch(experiment.schedule, crops)
        yield from _noted(small_levels(experiment, crops), notices)
        experiment = in_steps(experiment, crops)
        if run is not None and state is not None:
            check_steps(experiment.schedule, state.step, run)
        training = _training(experiment, collection, crops, watched, pretrained=not found)
        experiment, work, fabric = yield from _noted(training, notices)
    else:
        work, fabric = _fitting(experiment, crops)
    return experiment, work, fabric, notices


def _fitting(experiment: Experiment, crops: Crops) -> tuple[Work, Fabric]:
    """An instant run."""
    from napari_phenoscape.training._fit import check_number, fit
    from napari_phenoscape.training._instant import InstantNet

    net = build_model(experiment, crops.statistics)
    assert isinstance(net, InstantNet)
    check_number(crops, net)
    fabric = fabric_of(experiment.runtime)
    joined(fabric, experiment.runtime, work_of(experiment, crops))
    return lambda run: fit(experiment, crops, run, fabric, net), fabric


def _training(
    experiment: Experiment,
    collection: Collection,
    crops: Crops,
    watched: Watched,
    *,
    pretrained: bool,
) -> Generator[Event, None, tuple[Experiment, Work, Fabric]]:
    """The training of a net, and its experiment with the precision that was found."""
    from napari_phenoscape.training._fit import check_number
    from napari_phenoscape.training._gradient import check_caching, known_columns
    from napari_phenoscape.training._model import SimCLR
    from napari_phenoscape.training._precision import precision_of

    known = known_columns(experiment, collection)
    net = build_model(experiment, crops.statistics, pretrained=pretrained)
    assert isinstance(net, SimCLR)
    check_caching(experiment, net)
    if experiment.method.readout.views:
        check_number(crops, net)
    if experiment.runtime.precision == "auto":
        set_threads(experiment.runtime)
        device = device_of(experiment.runtime)
        precision, why = precision_of(net, experiment.image_size, device)
        experiment = in_precision(experiment, precision)
        yield Notice(why)
    heads = [*net.heads, *net.patch_heads, *net.cross_heads]
    check_ranks(experiment.schedule, ranks())
    fabric = fabric_of(experiment.runtime, heads=len(heads))
    backbones = [encoder.backbone for encoder in net.encoders]
    compile_encoders(experiment.runtime, backbones, fabric)
    joined(fabric, experiment.runtime, work_of(experiment, crops, known))
    watchers = watched.watchers(experiment, crops, fabric)
    work = partial(_steps, experiment, crops, known, fabric=fabric, net=net, watchers=watchers)
    return experiment, work, fabric


def _noted(verb: Generator[Event, None, T], notices: list[Notice]) -> Generator[Event, None, T]:
    """The same verb, which also adds its notices to a list."""
    while True:
        try:
            event = next(verb)
        except StopIteration as end:
            return cast(T, end.value)
        if isinstance(event, Notice):
            notices.append(event)
        yield event


def _steps(
    experiment: Experiment,
    crops: Crops,
    known: dict[str, NDArray[np.int64]],
    run: Path,
    fabric: Fabric,
    net: SimCLR,
    watchers: Sequence[Watcher],
) -> Generator[Event, None, None]:
    """Events of the optimisation itself."""
    import torch

    from napari_phenoscape._distributed import (
        any_rank,
        local_batch,
        peers,
        synced,
        world_size,
    )
    from napari_phenoscape.losses import spread, total_loss
    from napari_phenoscape.training._gradient import Gradient
    from napari_phenoscape.training._health import advice, health
    from napari_phenoscape.training._inputs import InputPipeline
    from napari_phenoscape.training._reading import Reading
    from napari_phenoscape.training._readouts import read_out_both

    schedule, seed = experiment.schedule, experiment.seed
    synced(net, fabric.device).to(memory_format=torch.channels_last)
    clipped_in_half = bool(schedule.clip) and experiment.runtime.precision == "fp16"
    optimizer = optimizer_of(net, schedule, experiment.encoder.share, fused=not clipped_in_half)
    step = 0
    if found := checkpoints(run):
        step = read_state(found[-1]).step
        load_weights(found[-1], net)
    average = average_of(net, schedule, found[-1] if found else None)
    model, optimizer = fabric.setup(net, optimizer)
    if average is not None:
        average.module.to(fabric.device)
    if found:
        load_optimizer(found[-1], optimizer)
    saved = step if found else -1

    def save() -> Iterator[Saved]:
        nonlocal saved
        if fabric.is_global_zero and saved != step:
            state = State.of(step, crops)
            averaged = None if average is None else average.module
            path = save_checkpoint(run, state, net, optimizer, averaged)
            saved = step
            yield Saved(path)

    pipeline = InputPipeline(crops, augmenter(experiment, crops), net, seed, fabric.device)
    gradient = Gradient(experiment, crops, known, pipeline, net, model, fabric)
    batches, local = batches_of(experiment, crops), schedule.batch_size // world_size()
    # an accelerator is given the next step before the numbers of one are read
    late, readings = int(together(fabric.device)), deque[Reading]()
    seconds: deque[float] = deque(maxlen=20)
    recent: deque[float] = deque(maxlen=HEALTH_EVERY)

    def told(on_their_way: int = 0) -> Iterator[Step]:
        """The steps that are done, but for so many."""
        while len(readings) > on_their_way:
            reading = readings.popleft()
            numbers = reading.told(crops)
            seconds.append(time.perf_counter() - start)
            recent.append(numbers.loss)
            yield Step(
                reading.step,
                schedule.steps,
                numbers.loss,
                numbers.agreement,
                reading.rate,
                reading.specimens / seconds[-1],
                (schedule.steps - reading.step) * median(seconds),
                numbers.terms,
                reading.chance,
            )

    model.train()
    try:
        yield Started(run, len(crops.ids), step, schedule.steps, str(fabric.device))
        # asked after the last step too: every rank asks equally often
        while not any_rank(False, fabric.device) and step < schedule.steps:
            for watcher in watchers:
                if step % watcher.every == 0:
                    yield from told()
                    yield from watcher(net if average is None else average.module, step)
            start = time.perf_counter()
            torch.manual_seed(step_seed(seed, step))
            rate = learning_rate(schedule, step)
            for group in optimizer.param_groups:
                group["lr"] = rate * group["share"]
            batch, upcoming = batches(step), batches(step + 1)
            crops.prefetch(local_batch(upcoming))
            with interrupt_held() as asked:
                with advice(experiment, local), peers():
                    objective = gradient(batch, step)
                    if schedule.clip:
                        # whether it is finite is not asked of an accelerator
                        fabric.clip_gradients(
                            model, optimizer, max_norm=schedule.clip, error_if_nonfinite=not late
                        )
                    optimizer.step()
                    optimizer.zero_grad()
                    if average is not None:
                        average.update(net)
                step += 1
                seen = objective.batch
                joint = seen.z[net.space].detach()[seen.rows(net.space)]
                readings.append(Reading(step, rate, objective, batch, joint))
                done = list(told(late))
            yield from done
            if asked:
                raise Interrupted("stopped; what was done is saved")
            if step % HEALTH_EVERY == 0:
                yield from told()
                alike = dataclasses.replace(
                    seen,
                    z={name: torch.ones_like(rows) for name, rows in seen.z.items()},
                    patches={name: torch.ones_like(rows) for name, rows in seen.patches.items()},
                    cross={name: torch.ones_like(rows) for name, rows in seen.cross.items()},
                )
                nothing, _ = total_loss(experiment.losses, alike)
                yield health(step, spread(joint), median(recent), float(nothing))
            if step % schedule.checkpoint_every == 0:
                yield from told()
                yield from save()
        yield from told()
    except (GeneratorExit, Interrupted):
        # stopped: the other ranks are told, and everything learned so far is kept
        any_rank(True, fabric.device)
        last: list[Event] = [*told(), *save(), Finished(run, stopped=True)]
        for event in last if fabric.is_global_zero else []:
            log_event(run, event)
        raise
    end = Finished(run, stopped=step < schedule.steps)
    try:
        yield from save()
        if fabric.world_size == 1 and not end.stopped:
            yield from read_out_both(run, experiment, crops, fabric)
    except GeneratorExit:
        # stopped between the last two words, as when another rank has heard the stop first
        if fabric.is_global_zero:
            log_event(run, end)
        raise
    yield end
