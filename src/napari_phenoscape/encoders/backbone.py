"""Backbones: torchvision's classification nets (and timm's) without what classifies."""

from __future__ import annotations

import difflib
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torchvision import models
from torchvision.models.vision_transformer import VisionTransformer

from napari_phenoscape.cube import Band
from napari_phenoscape.encoders import Encoder, SpectralResponse
from napari_phenoscape.encoders.stem import ResponseCurves, Standardised, Stem, rgb_mixing
from napari_phenoscape.encoders.weights import (
    CLASSIFIERS,
    cannot_download,
    download_weights,
    load_weights,
    read_weights,
)
from napari_phenoscape.errors import OptionError

TIMM = "timm:"


class Features(NamedTuple):
    """What an encoder sees in N images.

    Parameters
    ----------
    h : (N, D)
        One vector per image.
    grid : (N, D, h', w')
        One vector per place.
    """

    h: Tensor
    grid: Tensor


class ModalityEncoder(nn.Module):
    """Stem and backbone of one modality: (N, C, h, w) reflectance -> `Features`.

    Parameters
    ----------
    option
        Which backbone and stem, and the weights to begin with.
    bands
        The C bands, in the order of the input.
    mean, std : (C,)
        Reflectance of the collection.
    image_size
        Side of the input in pixels.

    Raises
    ------
    OptionError
        There is no such backbone, or it does not take images of this size.
    MissingFileError, CheckpointError
        The pretrained weights are missing, or do not fit the backbone.
    BandMismatchError
        The stem cannot take these bands.
    """

    def __init__(
        self,
        option: Encoder,
        bands: Sequence[Band],
        mean: ArrayLike,
        std: ArrayLike,
        image_size: int,
    ) -> None:
        super().__init__()
        stem: Stem
        if isinstance(option.stem, SpectralResponse):
            stem = ResponseCurves(option.stem, bands, mean, std)
        else:
            stem = Standardised(bands, mean, std)
        self.stem = stem
        self.backbone = _backbone(option, image_size)
        pretrained = option.download or option.weights is not None
        _take_planes(self.backbone, stem.planes, pretrained)
        seen = _features(self, len(bands), option.backbone, image_size)
        self.features = seen.h.shape[1]
        self.grid = (seen.grid.shape[2], seen.grid.shape[3])

    def forward(self, images: Tensor, mixed: bool = False) -> Features:
        """Features of reflectance, or of (N, planes, h, w) that the stem has already mixed."""
        features: Features = self.backbone(images if mixed else self.stem(images))
        return features


class Pooled(nn.Module):
    """A convolutional net or Swin: h is the mean of the grid, normalised if the net does so."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        before = OrderedDict[str, nn.Module]()
        for name, child in net.named_children():
            if name in CLASSIFIERS:
                break
            # MaxViT keeps its blocks in a list
            before[name] = nn.Sequential(*child) if isinstance(child, nn.ModuleList) else child
        if isinstance(net, models.DenseNet):
            before["relu"] = nn.ReLU(inplace=True)  # in its forward only
        self.trunk = nn.Sequential(before)
        # ConvNeXt and MaxViT normalise between pooling and their first linear layer
        after = getattr(net, "classifier", nn.Identity()).children()
        norm = next((m for m in after if isinstance(m, nn.LayerNorm)), None)
        self.norm: nn.Module = nn.Identity() if norm is None else _plain(norm)

    def forward(self, planes: Tensor) -> Features:
        grid = self.trunk(planes)
        return Features(self.norm(grid.mean((2, 3))), grid)


class Tokens(nn.Module):
    """torchvision's vision transformer: h is the class token, the grid is the patches' tokens."""

    def __init__(self, net: VisionTransformer) -> None:
        super().__init__()
        net.heads = nn.Identity()
        self.net = net

    def forward(self, planes: Tensor) -> Features:
        net = self.net
        patches = net.conv_proj(planes)  # (N, D, h', w')
        token = net.class_token.expand(planes.shape[0], -1, -1)  # len() would fix N in an export
        tokens = net.encoder(torch.cat([token, patches.flatten(2).mT], dim=1))
        return Features(tokens[:, 0], tokens[:, 1:].mT.unflatten(2, patches.shape[2:]))


class Timm(nn.Module):
    """A net of timm: h is what its classifier would get."""

    def __init__(self, net: Any) -> None:
        super().__init__()
        self.net = net

    def forward(self, planes: Tensor) -> Features:
        features = self.net.forward_features(planes)
        h = self.net.forward_head(features, pre_logits=True)
        if features.ndim == 3:  # (N, tokens, D), class and register tokens first
            patches = features[:, self.net.num_prefix_tokens :].mT
            side = round(patches.shape[2] ** 0.5)
            return Features(h, patches.unflatten(2, (side, side)))
        channels_last = getattr(self.net, "output_fmt", "NCHW") == "NHWC"
        return Features(h, features.permute(0, 3, 1, 2) if channels_last else features)


def _backbone(option: Encoder, image_size: int) -> nn.Module:
    """Net with three planes of input, pretrained if asked for, without its classifier."""
    name = option.backbone
    if name.startswith(TIMM):
        net = _timm(name.removeprefix(TIMM), image_size, option.download)
    else:
        net = _torchvision(name, image_size)
    weights = None
    if option.weights is not None:
        weights = read_weights(option.weights)
    elif option.download and not name.startswith(TIMM):
        weights = download_weights(name)
    if weights is not None:
        load_weights(net, weights, option)
    if isinstance(net, VisionTransformer):
        return Tokens(net)
    return Timm(net) if name.startswith(TIMM) else Pooled(net)


def _torchvision(name: str, image_size: int) -> nn.Module:
    known = models.list_models(module=models)
    if name not in known:
        raise _unknown(name, known, "a classification net of torchvision")
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
    try:
        import timm
    except ModuleNotFoundError:
        raise OptionError(
            f"The backbone '{TIMM}{name}' needs timm, which is not installed. "
            'Run: pip install "napari-phenoscape[timm]", or choose a net of torchvision.'
        ) from None
    if not timm.is_model(name.partition(".")[0]):
        raise _unknown(name, timm.list_models(), "a net of timm")
    settings = {}
    if timm.models.get_pretrained_cfg(name).fixed_input_size:
        settings["img_size"] = image_size
    try:
        net = timm.create_model(name, pretrained=download, num_classes=0, **settings)
    except (OSError, RuntimeError) as error:
        raise cannot_download(f"{TIMM}{name}", error) from None
    except (ValueError, AssertionError) as error:
        raise _wrong_size(f"{TIMM}{name}", image_size, error) from None
    return cast(nn.Module, net)


def _take_planes(backbone: nn.Module, planes: Sequence[Band], pretrained: bool) -> None:
    """Give the first convolution kernels for these planes."""
    convolution = next(m for m in backbone.modules() if isinstance(m, nn.Conv2d))
    with torch.no_grad():
        if pretrained:
            mixing = torch.as_tensor(rgb_mixing(planes), dtype=torch.float32)
            weight = torch.einsum("orhw,rp->ophw", convolution.weight, mixing)
        else:
            # the net's own spread, scaled so that more planes do not give larger outputs
            out, rgb, *kernel = convolution.weight.shape
            spread = float(convolution.weight.std()) * (rgb / len(planes)) ** 0.5
            weight = torch.randn(out, len(planes), *kernel) * spread
    convolution.weight = nn.Parameter(weight)
    convolution.in_channels = len(planes)


def _features(encoder: nn.Module, bands: int, name: str, image_size: int) -> Features:
    """What it sees in one empty image; this tells D, h' and w'."""
    training = encoder.training
    try:
        with torch.no_grad():
            seen: Features = encoder.eval()(torch.zeros(1, bands, image_size, image_size))
    except (RuntimeError, AssertionError) as error:
        raise _wrong_size(name, image_size, error) from None
    encoder.train(training)
    return seen


def _plain(norm: nn.LayerNorm) -> nn.LayerNorm:
    """The same norm for (N, D); ConvNeXt's own is for (N, D, 1, 1)."""
    plain = nn.LayerNorm(norm.normalized_shape, norm.eps)
    plain.load_state_dict(norm.state_dict())
    return plain


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
