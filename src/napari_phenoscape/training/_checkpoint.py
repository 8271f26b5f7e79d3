"""Checkpoints: weights and optimiser in safetensors, the rest in JSON; no pickle, never half."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_phenoscape._atomic import atomic
from napari_phenoscape.cubes import Band, Bands
from napari_phenoscape.errors import CheckpointError
from napari_phenoscape.events import Notice
from napari_phenoscape.specimens import BandStatistics, Crops

if TYPE_CHECKING:
    from torch import Tensor, nn, optim

    from napari_phenoscape.training._model import SimCLR

WEIGHTS, OPTIMIZER, STATE = "weights.safetensors", "optimizer.safetensors", "state.json"

#: The moving average of the weights, where the schedule asks for one.
AVERAGE = "average.safetensors"


@dataclass(frozen=True)
class State:
    """What a checkpoint holds beside tensors.

    Parameters
    ----------
    step
        Optimiser steps done.
    statistics
        Bands of each modality, in the order of the encoder's input, and what they are standardised
        and filled by.
    specimens
        Id → stamp of the crop of each specimen that takes part (`Crops.stamps`).
    alike
        Whether levels of the nuisance are made alike.
    levels
        Level → what it is standardised by, as `Crops.level_statistics` tells.
    offsets
        Space → level → mean embedding that its specimens had, and that is taken out.
    """

    step: int
    statistics: dict[str, BandStatistics]
    specimens: dict[str, int]
    alike: bool = False
    levels: dict[str, dict[str, BandStatistics]] = dataclasses.field(default_factory=dict)
    offsets: dict[str, dict[str, list[float]]] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(
        cls, step: int, crops: Crops, offsets: dict[str, dict[str, list[float]]] | None = None
    ) -> State:
        """After a step of a training with these specimens."""
        return cls(
            step,
            crops.statistics,
            dict(zip(crops.ids, crops.stamps, strict=True)),
            crops.levels is not None,
            crops.level_statistics,
            offsets or {},
        )

    @property
    def known_levels(self) -> tuple[str, ...]:
        """The levels of which something is known."""
        return tuple({*self.levels, *(level for of in self.offsets.values() for level in of)})

    def check_specimens(self, crops: Crops, run: Path) -> Generator[Notice, None, None]:
        """Refuse to go on with other specimens; say how many have other pixels.

        Raises
        ------
        CheckpointError
            Specimens were added, removed or renamed, or cannot be read any more.
        """
        now = dict(zip(crops.ids, crops.stamps, strict=True))
        if now.keys() != self.specimens.keys():
            gone = [name for name in self.specimens if name not in now]
            new = [name for name in now if name not in self.specimens]
            words = [
                f"{len(names)} {what}, e.g. '{names[0]}'"
                for names, what in ((gone, "are gone"), (new, "are new"))
                if names
            ]
            raise CheckpointError(
                f"'{run.name}' was trained on {len(self.specimens)} specimens, and these are "
                f"{len(now)}: {'; '.join(words)}. Bring the specimens back to what they were, or "
                f"start a new run from what this one has learned (encoder.weights: {run})."
            )
        if other := [name for name, stamp in now.items() if stamp != self.specimens[name]]:
            yield Notice(
                f"{len(other)} of {len(now)} specimens have other pixels than before, e.g. "
                f"'{other[0]}'; the run goes on with what is there now. (Another processor may "
                "round otherwise.)"
            )


def save_checkpoint(
    run: Path,
    state: State,
    net: nn.Module,
    optimizer: optim.Optimizer | None = None,
    average: nn.Module | None = None,
) -> Path:
    """Write ``checkpoints/step-00000200`` of a run whole or not at all, then drop the one before.

    Raises
    ------
    RunError
        The disk is full or cannot be written; the checkpoint before is kept.
    """
    from safetensors.torch import save

    folder = run / "checkpoints"
    path = folder / f"step-{state.step:08d}"
    older = [other for other in checkpoints(run) if other != path]
    with atomic(path) as temporary:
        temporary.mkdir()
        (temporary / WEIGHTS).write_bytes(save(contiguous(net.state_dict())))
        if average is not None:
            (temporary / AVERAGE).write_bytes(save(contiguous(average.state_dict())))
        if optimizer is not None:
            state_of = optimizer.state_dict()["state"]
            (temporary / OPTIMIZER).write_bytes(save(_flat(state_of)))
        (temporary / STATE).write_text(json.dumps(dataclasses.asdict(state), indent=1), "utf-8")
    for other in older:
        shutil.rmtree(other)
    return path


def checkpoints(run: Path) -> list[Path]:
    """The whole checkpoints of a run, oldest first."""
    return sorted((run / "checkpoints").glob("step-????????"))


def remove_partial_files(run: Path) -> None:
    """Remove what a program that was killed left: parts, and checkpoints before the last one."""
    for part in (run / "checkpoints").glob(".*.part"):
        shutil.rmtree(part)
    for part in (*run.glob(".experiment.yaml.*.part"), *run.glob("checkpoints/*/.*.part")):
        part.unlink()
    for older in checkpoints(run)[:-1]:
        shutil.rmtree(older)


def last_checkpoint(run: Path) -> Path:
    """The newest checkpoint of a run."""
    found = checkpoints(run)
    if not found:
        raise CheckpointError(
            f"'{run}' holds no checkpoint ('checkpoints/step-...' was expected). "
            "Train first, or name another run."
        )
    return found[-1]


def read_state(checkpoint: Path) -> State:
    """The state of a checkpoint."""
    try:
        text = (checkpoint / STATE).read_bytes()
    except FileNotFoundError:
        text = b""
    except OSError as error:
        raise _unreadable(checkpoint / STATE, error) from None
    try:
        fields = json.loads(text)
        return State(
            fields["step"],
            _statistics(fields["statistics"]),
            dict(fields["specimens"]),
            bool(fields["alike"]),
            {level: _statistics(of) for level, of in fields["levels"].items()},
            {
                space: {level: list(map(float, mean)) for level, mean in of.items()}
                for space, of in fields["offsets"].items()
            },
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(
            f"'{checkpoint / STATE}' is not the state of a checkpoint ({error}); "
            "the run is damaged, or made by an earlier version: restore it from a copy, or train "
            "again."
        ) from None


def _statistics(fields: dict[str, Any]) -> dict[str, BandStatistics]:
    """Those of each modality, from what JSON holds of them."""
    return {
        name: BandStatistics(
            Bands(Band(**band) for band in of["bands"]),
            tuple(map(float, of["mean"])),
            tuple(map(float, of["std"])),
        )
        for name, of in fields.items()
    }


def load_weights(checkpoint: Path, net: nn.Module, *, averaged: bool = False) -> None:
    """Put the weights of a checkpoint into ``net``, which must be of the same experiment.

    Parameters
    ----------
    checkpoint, net
        Where from, and where to.
    averaged
        Their moving average, where there is one.
    """
    average = checkpoint / AVERAGE
    tensors = read_tensors(average if averaged and average.is_file() else checkpoint / WEIGHTS)
    try:
        net.load_state_dict(tensors)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise CheckpointError(
            f"The weights in '{checkpoint}' do not fit the run's experiment.yaml ({reason}); "
            "was the file edited, or the run made by an earlier version? Restore it or train again."
        ) from None


def load_encoders(run: Path, net: SimCLR, mine: Mapping[str, Bands]) -> None:
    """Start the encoders of ``net`` from those of a run's newest checkpoint.

    Each modality takes the encoder of the same name, or the only one there is. The mean and the
    spread of the bands stay those of the collection that ``net`` is for.

    Parameters
    ----------
    run
        Where from.
    net, mine
        Where to, and the bands of its modalities.

    Raises
    ------
    CheckpointError
        There is none of that name, or it is for other bands, or another backbone or stem, or they
        share other things.
    """
    from napari_phenoscape.training._run import read_experiment

    checkpoint = last_checkpoint(run)
    bands = {name: of.bands for name, of in read_state(checkpoint).statistics.items()}
    ours, theirs = net.encoders.sharing, read_experiment(run).encoder.sharing
    apart = theirs == "separate" and len(bands) > 1
    if (ours == "trunk") != (theirs == "trunk") or (ours == "shared" and apart):
        raise CheckpointError(
            f"The encoders of '{run}' are for sharing '{theirs}', not '{ours}'. Set "
            f"encoder.sharing to '{theirs}', or start from another."
        )
    average = checkpoint / AVERAGE
    tensors = read_tensors(average if average.is_file() else checkpoint / WEIGHTS)
    names = list(bands)
    for name, encoder in zip(net.modalities, net.encoders, strict=True):
        if name not in names and len(names) > 1:
            raise CheckpointError(
                f"'{run}' has the modalities {', '.join(names)} and no '{name}' to start from. "
                "Name one of these, or a run of one modality."
            )
        source = names.index(name) if name in names else 0
        prefix = f"encoders.{source}."
        given = {
            key.removeprefix(prefix): tensor
            for key, tensor in tensors.items()
            if key.startswith(prefix)
        }
        own = encoder.state_dict()
        learned = {key for key, _ in encoder.named_parameters()}
        taken = {key: given[key] for key in own if key in given}
        for key in own:
            if key.startswith("stem.") and key not in learned:
                taken[key] = own[key]
        # the planes of a convolution are the bands; those of response curves are not
        before = bands[names[source]]
        other = "stem.coefficients" not in own and mine[name] != before
        try:
            if other:
                raise RuntimeError(f"it is for {before.words}")
            encoder.load_state_dict(taken)
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:160]
            raise CheckpointError(
                f"The encoder '{names[source]}' of '{run}' does not fit '{name}' ({reason}). "
                "Choose the backbone, stem and bands of that run, or start from another."
            ) from None


def load_optimizer(checkpoint: Path, optimizer: optim.Optimizer) -> None:
    """Put the optimiser's moments of a checkpoint into ``optimizer``."""
    import torch

    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, tensor in read_tensors(checkpoint / OPTIMIZER).items():
        index, name = key.split(".", 1)
        # laid out as the weight: a fused step takes both as they lie in the memory
        weight = weights[int(index)]
        kept = torch.empty_like(weight).copy_(tensor) if tensor.shape == weight.shape else tensor
        state.setdefault(int(index), {})[name] = kept
    optimizer.load_state_dict(
        {"state": state, "param_groups": optimizer.state_dict()["param_groups"]}
    )


def _unreadable(path: Path, error: OSError) -> CheckpointError:
    return CheckpointError(
        f"'{path}' cannot be read ({error.strerror or error}). Check its permissions and its disk, "
        "or restore the run from a copy."
    )


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a file of a checkpoint.

    Raises
    ------
    CheckpointError
        It cannot be read.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except OSError as error:
        raise _unreadable(path, error) from None
    except SafetensorError as error:
        raise CheckpointError(
            f"'{path}' cannot be read as safetensors ({error}); "
            "the run is damaged: restore it from a copy, or train again."
        ) from None


def contiguous(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors as safetensors takes them."""
    # copies, for what modalities share stands under the name of each
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}


def _flat(state: dict[int, dict[str, Any]]) -> dict[str, Tensor]:
    return contiguous(
        {
            f"{index}.{name}": tensor
            for index, slots in state.items()
            for name, tensor in slots.items()
        }
    )
