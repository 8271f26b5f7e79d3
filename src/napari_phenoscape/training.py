"""Training: SimCLR [1]_ as a generator of events.

References
----------
.. [1] Chen et al. 2020, A simple framework for contrastive learning of visual representations.
   https://arxiv.org/abs/2002.05709
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.checkpoint import (
    State,
    checkpoints,
    load_encoders,
    load_optimizer,
    load_weights,
    read_state,
    save_checkpoint,
    tidy,
)
from napari_phenoscape.collection import AnySource, Collection, collect
from napari_phenoscape.cube import as_modality
from napari_phenoscape.errors import CollectionError, OptionError, TrainingError
from napari_phenoscape.events import Event, Finished, Health, Saved, Started, Step
from napari_phenoscape.experiment import Experiment, Schedule
from napari_phenoscape.run import (
    log_event,
    mend_events,
    new_run,
    read_experiment,
    write_experiment,
)
from napari_phenoscape.store import Crops, prepare

if TYPE_CHECKING:
    from lightning_fabric import Fabric
    from torch import Tensor, optim
    from torch.optim.swa_utils import AveragedModel

    from napari_phenoscape.augmentations.pipeline import Augmenter
    from napari_phenoscape.model import SimCLR

#: Side of the prepared crops over the side of a view, so that a zoomed-in view is still sharp.
CANVAS = 1.25

#: Steps between two looks at the health of the projections.
HEALTH_EVERY = 25

#: Below this spread (1 = over the whole sphere) the projections have collapsed.
COLLAPSED = 0.1

#: So have they when, from this step on, the loss is at least this share of that of a net that
#: gives every view the same projection.
LEARNS_BY, NOTHING_LEARNED = 50, 0.97


def train(experiment: Experiment, run: Path | None = None) -> Generator[Event, None, Path]:
    """Train SimCLR; closing the generator stops it after the running batch and saves.

    Parameters
    ----------
    experiment
        What to train.
    run
        None: a new run directory under ``experiment.runs``. Else the run to go on with; on CPU the
        numbers are then those of a run that was never interrupted, bit for bit.

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
        What is wrong and the way out. A run that was started keeps its newest checkpoint.
    """
    from napari_phenoscape.launch import launch
    from napari_phenoscape.runtime import fabric, world

    if experiment.runtime.devices * experiment.runtime.nodes > 1 and world() is None:
        return (yield from launch(experiment, run))
    if run is not None:
        _check_same(experiment, read_experiment(run), run)
    collection, crops = yield from specimens_of(experiment)
    _check_batch(experiment.schedule, crops)
    experiment = _in_steps(experiment, crops)
    known = _known(experiment, collection)
    # all that can be refused is refused before a directory is made
    begun = run is not None and bool(checkpoints(run))
    net = build_model(experiment, crops, pretrained=not begun)
    home = fabric(experiment.runtime, heads=len(net.spaces))
    _check_ranks(experiment.schedule, home.world_size)
    run = _run_of_all(experiment, run, home)
    steps = _steps(experiment, crops, known, run, home, net)
    try:
        for event in steps:
            if home.is_global_zero:
                log_event(run, event)
            yield event
    finally:
        steps.close()
    return run


def _run_of_all(experiment: Experiment, run: Path | None, home: Fabric) -> Path:
    """The run directory, which rank 0 makes, or brings up to date."""
    if home.is_global_zero:
        if run is None:
            run = new_run(experiment)
        else:
            tidy(run)
            mend_events(run)
            write_experiment(run, experiment)
    shared: Path = home.broadcast(run)  # type: ignore[assignment]
    return shared


def augmenter(experiment: Experiment, crops: Crops) -> Augmenter:
    """The function from crops to views that preview and training share."""
    from napari_phenoscape.augmentations import operations
    from napari_phenoscape.augmentations.pipeline import Augmenter

    return Augmenter(
        operations(experiment.augmentations),
        bands=crops.bands,
        fill=crops.mean,
        size=experiment.image_size,
        background=experiment.background,
    )


def canvas_size(experiment: Experiment) -> int:
    """Side in pixels of the crops that views are cut from."""
    return round(CANVAS * experiment.image_size)


def specimens_of(
    experiment: Experiment, source: AnySource | None = None
) -> Generator[Event, None, tuple[Collection, Crops]]:
    """Find and read the specimens of an experiment, or of another source in the same bands."""
    collection = yield from collect(source or experiment.collection)
    modalities = [as_modality(given) for given in experiment.modalities]
    return collection, (yield from prepare(collection, modalities, canvas_size(experiment)))


def build_model(experiment: Experiment, crops: Crops, *, pretrained: bool = True) -> SimCLR:
    """The untrained net of an experiment; the same weights for the same seed.

    Parameters
    ----------
    experiment, crops
        What it is made of and for.
    pretrained
        Read the pretrained weights that the experiment names; not needed, and so not looked for,
        where a checkpoint is loaded next.

    Raises
    ------
    CollectionError
        A specimen lacks a modality: the net would take the mean of the bands for a measurement.
    """
    import torch

    from napari_phenoscape.model import SimCLR

    if crops.lacking:
        raise CollectionError(
            f"{crops.lacking} The net takes specimens that have every modality. Leave the others "
            "out by the collection's 'pattern', or choose modalities that all of them have."
        )
    start = experiment.encoder.weights if pretrained else None
    if start is None or not start.is_dir():
        start = None
    if start is not None or not pretrained:
        blank = experiment.encoder.model_copy(update={"weights": None, "download": False})
        experiment = experiment.model_copy(update={"encoder": blank})
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(experiment.seed)
        net = SimCLR(
            experiment,
            bands=crops.modality_bands,
            mean={name: crops.mean[index] for name, index in crops.modalities.items()},
            std={name: crops.std[index] for name, index in crops.modalities.items()},
        )
    if start is not None:
        load_encoders(start, net, crops.modality_bands)
    return net


def learning_rate(schedule: Schedule, step: int) -> float:
    """Rate of a step (from 0): linear warm-up, then half a cosine to 0 (SGDR, eq. 5)."""
    warm = max(1, round(schedule.warmup * schedule.steps))
    if step < warm:
        return schedule.learning_rate * (step + 1) / warm
    done = (step - warm) / max(1, schedule.steps - warm)
    return schedule.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


def batch_of_step(step: int, specimens: int, batch_size: int, seed: int) -> NDArray[np.int64]:
    """(batch_size,) specimen numbers of a step (from 0), none twice.

    Each epoch is a new order of all specimens, a pure function of seed and epoch; what is left
    over at its end (fewer than a batch) sits out.
    """
    epoch, position = divmod(step, specimens // batch_size)
    order = np.random.default_rng((seed, epoch)).permutation(specimens)
    return order[position * batch_size : (position + 1) * batch_size]


def _in_steps(experiment: Experiment, crops: Crops) -> Experiment:
    """The experiment with its epochs counted in steps."""
    schedule = experiment.schedule
    if not schedule.epochs:
        return experiment
    steps = schedule.epochs * (len(crops.ids) // schedule.batch_size)
    return experiment.model_copy(update={"schedule": schedule.model_copy(update={"steps": steps})})


def _known(experiment: Experiment, collection: Collection) -> dict[str, NDArray[np.int64]]:
    """(N,) whole numbers of each metadata column that a loss needs, equal where it is; -1: empty.

    Raises
    ------
    OptionError
        There is no such column, or it is empty.
    """
    metadata = collection.metadata
    known = {}
    for column in {name for loss in experiment.losses for name in loss.columns}:
        if column not in metadata or metadata[column].isna().all():
            raise OptionError(
                f"A loss names the metadata column '{column}', which the specimens do not have "
                f"(they have {', '.join(metadata.columns) or 'none'}). Name one of these, or leave "
                "'positives' and 'ignore' empty."
            )
        codes = metadata[column].astype("category").cat.codes
        known[column] = np.asarray(codes, dtype=np.int64)
    return known


def _steps(
    experiment: Experiment,
    crops: Crops,
    known: dict[str, NDArray[np.int64]],
    run: Path,
    home: Fabric,
    net: SimCLR,
) -> Generator[Event, None, None]:
    """Events of the optimisation itself."""
    import torch

    from napari_phenoscape.losses import Projected, agreement, spread, total_loss
    from napari_phenoscape.ranks import any_rank, gathered, others, share, synced

    schedule, seed = experiment.schedule, experiment.seed
    synced(net, home.device).to(memory_format=torch.channels_last)
    optimizer = _optimizer(net, schedule, experiment.encoder.rate)
    step = 0
    if found := checkpoints(run):
        step = read_state(found[-1]).step
        load_weights(found[-1], net)
    average = _average(net, schedule, found[-1] if found else None)
    model, optimizer = home.setup(net, optimizer)
    if found:
        load_optimizer(found[-1], optimizer)
    saved = step if found else -1

    def save() -> Iterator[Saved]:
        nonlocal saved
        if home.is_global_zero and saved != step:
            state = State(step, crops.modality_bands)
            path = save_checkpoint(run, state, net, optimizer, average and average.module)
            saved = step
            yield Saved(path)

    views = augmenter(experiment, crops)
    seconds: deque[float] = deque(maxlen=20)
    recent: deque[float] = deque(maxlen=HEALTH_EVERY)
    model.train()
    try:
        yield Started(run, len(crops.ids), step, schedule.steps, str(home.device))
        # asked after the last step too: every rank asks equally often
        while not any_rank(False, home.device) and step < schedule.steps:
            start = time.perf_counter()
            # dropout and stochastic depth become a function of (seed, step): exact resume
            torch.manual_seed(hash((seed, step)) & 0x7FFF_FFFF)
            rate = learning_rate(schedule, step)
            for group in optimizer.param_groups:
                group["lr"] = rate * group["share"]
            batch = batch_of_step(step, len(crops.ids), schedule.batch_size, seed)
            mix = net.mix(crops.modalities, len(crops.bands)) if views.commutes else None
            both = _two_views(views, crops, share(batch), seed, step, mix)
            if mix is None:
                images = {
                    name: both[:, torch.from_numpy(index)].to(home.device)
                    for name, index in crops.modalities.items()
                }
            else:
                images = net.planes(both.to(home.device))
            with _advice(schedule, experiment.image_size), others():
                z = {
                    name: gathered(rows) for name, rows in model(images, mix is not None).z.items()
                }
                columns = {name: torch.from_numpy(codes[batch]) for name, codes in known.items()}
                loss, terms = total_loss(experiment.losses, Projected(z, columns))
                _check_finite(loss, crops, batch, step)
                home.backward(loss)
                if schedule.clip:
                    home.clip_gradients(model, optimizer, max_norm=schedule.clip)
                optimizer.step()
                optimizer.zero_grad()
                if average is not None:
                    average.update_parameters(net)
            step += 1
            seconds.append(time.perf_counter() - start)
            recent.append(float(loss.detach()))
            joint = z[net.space].detach()
            yield Step(
                step,
                schedule.steps,
                recent[-1],
                agreement(joint),
                rate,
                schedule.batch_size / seconds[-1],
                (schedule.steps - step) * median(seconds),
                {name: float(term.detach()) for name, term in terms.items()},
            )
            if step % HEALTH_EVERY == 0:
                alike = {name: torch.ones_like(rows) for name, rows in z.items()}
                nothing, _ = total_loss(experiment.losses, Projected(alike, columns))
                yield _health(step, spread(joint), median(recent), float(nothing))
            if step % schedule.checkpoint_every == 0:
                yield from save()
    except GeneratorExit:
        # stopped: the other ranks are told, and everything learned so far is kept
        any_rank(True, home.device)
        last: list[Event] = [*save(), Finished(run, stopped=True)]
        for event in last if home.is_global_zero else []:
            log_event(run, event)
        raise
    end = Finished(run, stopped=step < schedule.steps)
    try:
        yield from save()
    except GeneratorExit:
        # stopped between the last two words, as when another rank has heard the stop first
        if home.is_global_zero:
            log_event(run, end)
        raise
    yield end


def _two_views(
    views: Augmenter,
    crops: Crops,
    batch: NDArray[np.int64],
    seed: int,
    step: int,
    mix: Tensor | None,
) -> Tensor:
    """(2N, C or planes, h, w): first all first views, then all second ones."""
    import torch

    images = torch.from_numpy(crops.images[batch])
    masks = torch.from_numpy(crops.masks[batch])
    mix = None if mix is None else mix.to(images.device)
    return torch.cat(
        [
            views(images, masks, seed=seed, step=step, specimens=batch, view=view, mix=mix).image
            for view in (0, 1)
        ]
    )


def _optimizer(net: SimCLR, schedule: Schedule, rate: float) -> optim.Optimizer:
    """Norms, biases (fewer than two axes) and response curves do not decay.

    The encoders get ``rate`` of the learning rate.
    """
    from torch import optim

    from napari_phenoscape.optimizers import LARS

    parts: dict[tuple[bool, float], list[Tensor]] = {}
    for name, parameter in net.named_parameters():
        if parameter.requires_grad:
            kept = parameter.ndim <= 1 or name.endswith("stem.coefficients")
            share = rate if name.startswith("encoders.") else 1.0
            parts.setdefault((kept, share), []).append(parameter)
    groups = [
        {"params": parts[kept, share], "share": share}
        | {"weight_decay": 0.0 if kept else schedule.weight_decay}
        # in an order of their own: checkpoints number the parameters
        for kept, share in sorted(parts)
    ]
    match schedule.optimizer:
        case "adamw":
            return optim.AdamW(groups, lr=schedule.learning_rate)
        case "sgd":
            return optim.SGD(groups, lr=schedule.learning_rate, momentum=0.9)
        case "lars":
            return LARS(groups, lr=schedule.learning_rate)


def _average(net: SimCLR, schedule: Schedule, checkpoint: Path | None) -> AveragedModel | None:
    """The moving average of the weights, as it was at the checkpoint."""
    from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

    if not schedule.average:
        return None
    update = get_ema_multi_avg_fn(schedule.average)  # type: ignore[no-untyped-call]
    average = AveragedModel(net, multi_avg_fn=update, use_buffers=True)
    if checkpoint is not None:
        load_weights(checkpoint, average.module, averaged=True)
        average.n_averaged.fill_(1)  # the next update averages instead of copying
    return average


def _check_batch(schedule: Schedule, crops: Crops) -> None:
    if schedule.batch_size > len(crops.ids):
        raise CollectionError(
            f"A batch of {schedule.batch_size} is larger than the collection of "
            f"{len(crops.ids)} specimens. Set schedule.batch_size to {len(crops.ids)} or less, "
            "or collect more specimens."
        )


def _check_ranks(schedule: Schedule, ranks: int) -> None:
    if schedule.batch_size % ranks:
        below = max(schedule.batch_size // ranks, 1) * ranks
        raise OptionError(
            f"A batch of {schedule.batch_size} cannot be shared equally by {ranks} devices. "
            f"Set schedule.batch_size to a multiple of them, e.g. {below}."
        )


def _check_same(experiment: Experiment, before: Experiment, run: Path) -> None:
    """Everything but the number of steps, and where to compute, must be as it was."""
    for name in type(experiment).model_fields:
        if name in ("schedule", "runtime", "runs", "name"):
            continue
        if getattr(experiment, name) != getattr(before, name):
            raise OptionError(
                f"'{run.name}' was trained with another '{name}', so it cannot go on with this "
                f"experiment. Resume it with its own experiment.yaml, or start a new run."
            )
    for name in ("batch_size", "optimizer", "average"):
        ours, theirs = getattr(experiment.schedule, name), getattr(before.schedule, name)
        if ours != theirs:
            raise OptionError(
                f"'{run.name}' was trained with {name} {theirs}, not {ours}. Resume it with its "
                "own, or start a new run."
            )


def _check_finite(loss: Tensor, crops: Crops, batch: NDArray[np.int64], step: int) -> None:
    if not math.isfinite(float(loss.detach())):
        names = ", ".join(crops.ids[i] for i in batch[:5]) + (", ..." if len(batch) > 5 else "")
        raise TrainingError(
            f"The loss of step {step + 1} is not a number (specimens: {names}). Look at these "
            "specimens, lower schedule.learning_rate, or use precision float32; the run keeps "
            "its newest checkpoint and can be resumed."
        )


def _health(step: int, spread: float, loss: float, nothing: float) -> Health:
    """What ``spread`` and the recent ``loss`` say; ``nothing`` is the loss of equal projections."""
    verdict = ""
    if spread < COLLAPSED:
        verdict = (
            f"collapsed: all specimens have nearly the same projection (spread {spread:.3f}, "
            "1 = over the whole sphere). Are the images all alike? Else lower the learning rate, "
            "or enlarge the batch."
        )
    elif step >= LEARNS_BY and loss >= NOTHING_LEARNED * nothing:
        verdict = (
            f"collapsed: after {step} steps the loss ({loss:.3f}) is still that of a net that "
            f"tells no specimen from another ({nothing:.3f}). Are the images all alike? Else "
            "change the learning rate, or lessen the augmentations."
        )
    return Health(step, spread, verdict)


@contextmanager
def _advice(schedule: Schedule, image_size: int) -> Iterator[None]:
    """Turn "out of memory" into advice."""
    try:
        yield
    except RuntimeError as error:  # torch.OutOfMemoryError on a GPU, a plain one on the CPU
        if "memory" not in str(error):
            raise
        raise TrainingError(
            f"Out of memory with batches of {schedule.batch_size} at {image_size} px. Lower "
            "schedule.batch_size or image_size; the run keeps its newest checkpoint and can be "
            "resumed."
        ) from None
