"""Backbones: torchvision's classification nets without their classifier."""

from __future__ import annotations

import difflib
from pathlib import Path

from torch import Tensor, nn

from napari_phenoscape.cube import Band
from napari_phenoscape.encoders import Encoder, SpectralResponse
from napari_phenoscape.encoders.stem import ResponseStem, widened
from napari_phenoscape.errors import CheckpointError, MissingFileError, OptionError


class SpectralEncoder(nn.Module):
    """Stem and backbone: (N, C, H, W) standardised bands -> (N, D) embedding.

    Parameters
    ----------
    option
        Which ones.
    bands
        The C input bands.
    image_size
        H = W in pixels.
    """

    def __init__(self, option: Encoder, bands: tuple[Band, ...], image_size: int) -> None:
        super().__init__()
        self.stem: nn.Module = nn.Identity()
        planes = len(bands)
        if isinstance(option.stem, SpectralResponse):
            self.stem = ResponseStem(option.stem, bands)
            planes = option.stem.curves
        net = _net(option.backbone, image_size)
        if option.weights is not None:
            _load(net, option.weights, option.backbone)
        self.dim = _without_classifier(net, option.backbone)
        name, first = next((n, m) for n, m in net.named_modules() if isinstance(m, nn.Conv2d))
        own = bands if planes == len(bands) else None
        _put(net, name, widened(first, own, planes, keep=option.weights is not None))
        self.backbone = net

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, D)."""
        h: Tensor = self.backbone(self.stem(x))
        return h


def _net(name: str, image_size: int) -> nn.Module:
    import torchvision

    known = torchvision.models.list_models(module=torchvision.models)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=3) or ["resnet18", "vit_b_16"]
        raise OptionError(
            f"torchvision has no classification net '{name}'; did you mean {' or '.join(near)}?"
        )
    if not name.startswith("vit_"):
        net: nn.Module = torchvision.models.get_model(name, weights=None)
        return net
    patch = int(name.rsplit("_", 1)[1])
    if image_size % patch:
        raise OptionError(
            f"{name} cuts views into patches of {patch} px, and image_size {image_size} is not a "
            f"multiple of it; choose {max(1, round(image_size / patch)) * patch}."
        )
    net = torchvision.models.get_model(name, weights=None, image_size=image_size)
    return net


def _without_classifier(net: nn.Module, backbone: str) -> int:
    """Put an identity in the classifier's place; the D features that it took."""
    linear = [(name, m) for name, m in net.named_modules() if isinstance(m, nn.Linear)]
    if not linear or hasattr(net, "aux_logits"):
        raise OptionError(
            f"'{backbone}' does not end in one linear classifier, so it gives no embedding; "
            "choose another backbone, e.g. resnet18."
        )
    name, last = linear[-1]
    _put(net, name, nn.Identity())
    return last.in_features


def _put(net: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(net.get_submodule(parent), child, module)


def _load(net: nn.Module, path: Path, backbone: str) -> None:
    import torch
    from safetensors.torch import load_file

    if not path.is_file():
        raise MissingFileError(f"There is no file of weights at '{path}'.")
    try:
        if path.suffix == ".safetensors":
            tensors = load_file(path)
        else:
            tensors = torch.load(path, map_location="cpu", weights_only=True)
        net.load_state_dict(tensors)
    except Exception as error:  # every library has its own; all mean the same to the user
        reason = " ".join(str(error).split())[:160]
        raise CheckpointError(
            f"'{path.name}' does not hold the weights of {backbone} ({reason}); name a file of "
            "that net's state_dict."
        ) from None
