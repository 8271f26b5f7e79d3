"""Pretrained weights: from a file or the internet, checked against the net that they are for."""

from __future__ import annotations

import pickle
import struct
import warnings
from collections import OrderedDict
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision import models
from torchvision.models.vision_transformer import VisionTransformer, interpolate_embeddings

from napari_phenoscape.errors import (
    CheckpointError,
    MissingFileError,
    OptionError,
    did_you_mean_file,
)
from napari_phenoscape.nets._options import Encoder

#: Children of torchvision's nets that pool and classify; all that comes before makes the grid.
CLASSIFIERS = {"avgpool", "classifier", "fc", "head", "heads", "aux1", "aux2", "AuxLogits"}


#: What torch raises of files that are no weights: its unpickler follows what bytes say.
_DAMAGE = (
    SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, OSError, LookupError,
    ValueError, TypeError, AttributeError, ArithmeticError, AssertionError, struct.error,
)  # fmt: skip


def check_weights(path: Path | None) -> None:
    """Raise `MissingFileError` where weights are named, and nothing is there."""
    if path is not None and not path.exists():
        raise _missing(path)


def _missing(path: Path) -> MissingFileError:
    return MissingFileError(
        f"There is no file of weights at '{path}'. {did_you_mean_file(path)}Correct 'weights', "
        "or leave it out."
    )


def read_weights(path: Path) -> dict[str, Tensor]:
    """Tensors by name; never runs code that a file holds."""
    if not path.is_file():
        raise _missing(path)
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of an odd protocol: it is refused, or whole
            found = torch.load(path, map_location="cpu", weights_only=True)
    except _DAMAGE as error:
        reason = " ".join(str(error).split())[:120]
        raise CheckpointError(
            f"'{path}' cannot be read as weights ({reason}). A .safetensors file, or a .pth file "
            "that holds nothing but tensors, was expected."
        ) from None
    if not isinstance(found, dict) or not all(isinstance(t, Tensor) for t in found.values()):
        raise CheckpointError(
            f"'{path}' holds more than tensors by name (a state_dict). Save the state_dict alone, "
            "best as .safetensors."
        )
    return dict(found)


def download_weights(name: str) -> dict[str, Tensor]:
    """The best weights that torchvision has for a net, through torch's cache."""
    best = getattr(models.get_model_weights(name), "DEFAULT", None)
    if best is None:
        raise OptionError(
            f"torchvision has no pretrained weights for '{name}'. Set download to false, or "
            "choose another backbone."
        )
    try:
        return dict(best.get_state_dict(progress=False, check_hash=True))
    except (OSError, RuntimeError) as error:
        raise cannot_download(name, error) from None


def load_weights(net: nn.Module, weights: dict[str, Tensor], option: Encoder) -> None:
    """Put pretrained weights into a whole net; those of its classifier may be missing or differ."""
    if isinstance(net, VisionTransformer) and "encoder.pos_embedding" in weights:
        weights = interpolate_embeddings(net.image_size, net.patch_size, OrderedDict(weights))
    wanted = net.state_dict()
    fitting = {
        name: tensor
        for name, tensor in weights.items()
        if name in wanted and tensor.shape == wanted[name].shape
    }
    lacking = [n for n in wanted if n not in fitting and n.split(".")[0] not in CLASSIFIERS]
    if lacking:
        first = lacking[0]
        given = f"has shape {tuple(weights[first].shape)}" if first in weights else "is missing"
        raise CheckpointError(
            f"{len(lacking)} of {len(wanted)} tensors of '{option.backbone}' are not in "
            f"'{option.weights or 'the download'}' (e.g. '{first}' {given}). Name the backbone "
            "that these weights belong to, or other weights."
        )
    net.load_state_dict(fitting, strict=False)


def cannot_download(name: str, error: Exception) -> OptionError:
    """What to say when the internet does not give the weights."""
    reason = " ".join(str(error).split())[:120]
    return OptionError(
        f"The pretrained weights of '{name}' cannot be downloaded ({reason}). Name a file as "
        "'weights', or set download to false."
    )
