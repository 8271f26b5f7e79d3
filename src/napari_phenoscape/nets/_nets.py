"""Nets: backbones by their name in torchvision or timm, with the weights that they start from."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torchvision import models
from torchvision.models.vision_transformer import VisionTransformer

from napari_phenoscape.errors import OptionError
from napari_phenoscape.nets._backbone import Features, Pooled, Timm, Tokens
from napari_phenoscape.nets._options import PRETRAINED_PREFIX, TIMM_PREFIX, Encoder, listed
from napari_phenoscape.nets._pretrained import NetName
from napari_phenoscape.nets._pretrained_net import pretrained_net
from napari_phenoscape.nets._stem import Stem
from napari_phenoscape.nets._weights import (
    cannot_download,
    download_weights,
    load_weights,
    read_weights,
)


def check_backbone(name: str) -> None:
    """Raise `OptionError` where there is no such net, or what builds it is not installed."""
    if name.startswith(PRETRAINED_PREFIX):
        listed(name)
    elif name.startswith(TIMM_PREFIX):
        try:
            import timm
        except ModuleNotFoundError:
            raise OptionError(
                f"The backbone '{name}' needs timm, which is not installed. "
                'Run: pip install "napari-phenoscape[timm]", or choose a net of torchvision.'
            ) from None
        own = name.removeprefix(TIMM_PREFIX)
        if not timm.is_model(own.partition(".")[0]):
            raise _unknown(own, timm.list_models(), "a net of timm")
    elif name not in (known := models.list_models(module=models)):
        raise _unknown(name, known, "a classification net of torchvision")


def backbone(option: Encoder, stem: Stem, image_size: int) -> nn.Module:
    """What turns the planes of a stem into `Features`, pretrained if asked for.

    Raises
    ------
    OptionError
        There is no such net, it does not take images of this size, or it has not what the
        pooling asks for.
    MissingFileError, CheckpointError
        The pretrained weights are missing, or do not fit the net.
    """
    name = option.backbone
    check_backbone(name)
    pretrained = name.startswith(PRETRAINED_PREFIX)
    weights = None
    if pretrained:
        net = _listed(option, image_size)
    elif name.startswith(TIMM_PREFIX):
        net = _timm(name.removeprefix(TIMM_PREFIX), image_size, option.download)
    else:
        net = _torchvision(name, image_size)
    if option.weights is not None and not pretrained:
        weights = read_weights(option.weights)
    elif option.download and not pretrained and not name.startswith(TIMM_PREFIX):
        weights = download_weights(name)
    if weights is not None:
        load_weights(net, weights, option)
    try:
        found = _adapted(net, option, image_size)
        _take_planes(found, stem, pretrained or weights is not None or option.download)
        return found
    except (RuntimeError, AssertionError) as error:
        raise _wrong_size(name, image_size, error) from None


def _adapted(net: nn.Module, option: Encoder, image_size: int) -> nn.Module:
    if isinstance(net, VisionTransformer):
        return Tokens(net, option.pooling)
    if option.backbone.startswith((TIMM_PREFIX, PRETRAINED_PREFIX)):
        return Timm(net, option.pooling)
    return Pooled(net, option.pooling, image_size)


def look(encoder: nn.Module, planes: Tensor, name: str) -> Features:
    """What an encoder sees in one empty image: how wide and how large its features are."""
    training = encoder.training
    try:
        with torch.no_grad():
            found: Features = encoder.eval()(planes)
    except (RuntimeError, AssertionError) as error:
        raise _wrong_size(name, planes.shape[2], error) from None
    encoder.train(training)
    return found


def _torchvision(name: str, image_size: int) -> nn.Module:
    settings: dict[str, Any] = {}
    if name.startswith("vit_"):
        patch = int(name.rpartition("_")[2])
        if image_size % patch:
            raise OptionError(
                f"'{name}' cuts images into patches of {patch} px, which {image_size} px is not a "
                f"multiple of. Set image_size to {max(1, round(image_size / patch)) * patch}."
            )
        settings["image_size"] = image_size
    elif name.startswith("maxvit_"):
        settings["input_size"] = (image_size, image_size)
    elif name in ("googlenet", "inception_v3"):
        settings |= {"aux_logits": False, "init_weights": True}
    try:
        return cast(nn.Module, models.get_model(name, weights=None, **settings))
    except ValueError as error:
        raise _wrong_size(name, image_size, error) from None


def _timm(name: str, image_size: int, download: bool) -> nn.Module:
    import timm

    settings = {}
    if timm.models.get_pretrained_cfg(name).fixed_input_size:
        settings["img_size"] = image_size
    try:
        net = timm.create_model(name, pretrained=download, num_classes=0, **settings)
    except (OSError, RuntimeError) as error:
        raise cannot_download(f"{TIMM_PREFIX}{name}", error) from None
    except (ValueError, AssertionError) as error:
        raise _wrong_size(f"{TIMM_PREFIX}{name}", image_size, error) from None
    return cast(nn.Module, net)


def _listed(option: Encoder, image_size: int) -> nn.Module:
    """A net of the list, for planes that are standardised."""
    known, name = listed(option.backbone), option.backbone.removeprefix(PRETRAINED_PREFIX)
    try:
        net = pretrained_net(cast(NetName, name), image_size, option.weights, option.download)
    except AssertionError as error:
        raise _wrong_size(name, image_size, error) from None
    convolution = next(m for m in net.modules() if isinstance(m, nn.Conv2d))
    # its pictures varied by less than 1
    spread = torch.tensor(known.std) / torch.tensor(known.scale)
    with torch.no_grad():
        convolution.weight *= spread[:, None, None]
    return net


def _take_planes(backbone: nn.Module, stem: Stem, pretrained: bool) -> None:
    """Give the first convolution kernels for the planes of a stem."""
    convolution = next(m for m in backbone.modules() if isinstance(m, nn.Conv2d))
    planes = len(stem.planes)
    with torch.no_grad():
        if pretrained:
            mixing = torch.as_tensor(stem.kernels(), dtype=torch.float32)
            weight = torch.einsum("orhw,rp->ophw", convolution.weight, mixing)
        else:
            # the net's own spread, scaled so that more planes do not give larger outputs
            out, rgb, *kernel = convolution.weight.shape
            spread = float(convolution.weight.std()) * (rgb / planes) ** 0.5
            weight = torch.randn(out, planes, *kernel) * spread
    convolution.weight = nn.Parameter(weight)
    convolution.in_channels = planes


def _unknown(name: str, known: Sequence[str], what: str) -> OptionError:
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.4)
    hint = f" Nearest: {', '.join(near)}." if near else " Try resnet18."
    return OptionError(f"'{name}' is not {what}.{hint}")


def _wrong_size(name: str, image_size: int, error: Exception) -> OptionError:
    reason = " ".join(str(error).split())[:120]
    return OptionError(
        f"The backbone '{name}' does not take images of {image_size} px ({reason}). "
        "Enlarge image_size (224 suits every net), or choose another backbone."
    )
