"""Kept readout: what was fitted to the net of a checkpoint, in files beside its weights."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape._atomic import atomic
from napari_phenoscape.option import Option
from napari_phenoscape.specimens import Crops
from napari_phenoscape.training._checkpoint import (
    AVERAGE,
    WEIGHTS,
    contiguous,
    read_state,
    read_tensors,
)
from napari_phenoscape.training._experiment import Experiment
from napari_phenoscape.training._model import JOINT

if TYPE_CHECKING:
    from torch import nn

#: Readouts of the weights, and of those that training began with, once they were fitted.
READOUT, START = "readout.safetensors", "readout.untrained.safetensors"

#: Of an experiment, what embeddings of crops and weights that are known depend on.
_ASKED = {"method", "augmentations", "background", "seed"}

#: Embeddings by them of the specimens that they were fitted to.
EMBEDDINGS, START_EMBEDDINGS = "embeddings.safetensors", "embeddings.untrained.safetensors"


def keep_readout(checkpoint: Path, method: Option, reading: nn.Module, *, untrained: bool) -> None:
    """Write the readouts of a method beside the weights of a checkpoint.

    Raises
    ------
    RunError
        The disk is full or cannot be written.
    """
    from safetensors.torch import save

    of = {"method": method.model_dump_json()}
    with atomic(checkpoint / (START if untrained else READOUT)) as temporary:
        temporary.write_bytes(save(contiguous(reading.state_dict()), metadata=of))


def keeps(checkpoint: Path, method: Option, *, untrained: bool) -> bool:
    """Whether a checkpoint has the readouts of a method."""
    from safetensors import SafetensorError, safe_open

    path = checkpoint / (START if untrained else READOUT)
    try:
        with safe_open(path, "pt") as file:
            of: dict[str, str] = file.metadata() or {}
    except (OSError, SafetensorError):
        return False
    return of.get("method") == method.model_dump_json()


def load_readout(checkpoint: Path, reading: nn.Module, *, untrained: bool) -> None:
    """Put the readouts of a checkpoint, which has them, into ``reading``."""
    reading.load_state_dict(read_tensors(checkpoint / (START if untrained else READOUT)))


def keep_embeddings(
    checkpoint: Path,
    experiment: Experiment,
    x: Mapping[str, NDArray[np.float32]],
    crops: Crops,
    *,
    untrained: bool = False,
) -> None:
    """Write the (n, K) embeddings of a run's own specimens, by space, unless some are missing.

    Or a nuisance has a part in them: what is known of its levels may change.

    Raises
    ------
    RunError
        The disk is full or cannot be written.
    """
    from safetensors.numpy import save

    if crops.levels is None and all(len(of) == len(crops.ids) for of in x.values()):
        made_by = {"made_by": _maker(checkpoint, experiment, untrained=untrained)}
        with atomic(checkpoint / (START_EMBEDDINGS if untrained else EMBEDDINGS)) as temporary:
            rows = {space: of.copy() for space, of in x.items()}
            temporary.write_bytes(save(rows, metadata=made_by))


def kept_embeddings(
    checkpoint: Path, experiment: Experiment, crops: Crops, *, untrained: bool
) -> dict[str, NDArray[np.float32]]:
    """(n, K) by space, of some specimens of a run; empty where they, or what made them, changed."""
    from safetensors import SafetensorError, safe_open

    known = read_state(checkpoint).specimens
    if any(known.get(name) != stamp for name, stamp in zip(crops.ids, crops.stamps, strict=True)):
        return {}
    rows = {name: row for row, name in enumerate(known)}
    chosen = [rows[name] for name in crops.ids]
    try:
        with safe_open(checkpoint / (START_EMBEDDINGS if untrained else EMBEDDINGS), "np") as file:
            if file.metadata()["made_by"] != _maker(checkpoint, experiment, untrained=untrained):
                return {}
            there = set(file.keys())
            spaces = [space for space in (*crops.modalities, JOINT) if space in there]
            return {space: file.get_tensor(space)[chosen] for space in spaces}
    except (OSError, SafetensorError, KeyError, TypeError):
        return {}  # and they are made anew


def _maker(checkpoint: Path, experiment: Experiment, *, untrained: bool) -> str:
    """What changes when weights, readouts, or what is asked of views and of them do."""
    made_by = hashlib.sha256(experiment.model_dump_json(include=_ASKED).encode())
    for name in (WEIGHTS, AVERAGE, START if untrained else READOUT):
        if (checkpoint / name).is_file():
            made_by.update(name.encode() + (checkpoint / name).read_bytes())
    return made_by.hexdigest()
