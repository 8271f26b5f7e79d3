"""Backbones: classification nets without what classifies; one vector and one grid per image."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d
from torchvision import models
from torchvision.models.vision_transformer import VisionTransformer

from napari_phenoscape.errors import OptionError
from napari_phenoscape.nets._options import Pooling
from napari_phenoscape.nets._weights import CLASSIFIERS


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


class Pooled(nn.Module):
    """A convolutional net or Swin: h is the mean of the grid, normalised if the net does so.

    Parameters
    ----------
    net
        A whole net of torchvision.
    pooling
        A stage is all that has grids of one size; its features are those at its end.
    image_size
        Side of the input, which stages are told by.

    Raises
    ------
    OptionError
        The net has fewer stages, or the pooling asks for a class token.
    """

    def __init__(self, net: nn.Module, pooling: Pooling, image_size: int) -> None:
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
        if pooling.by == "mean":
            norm = None
        self.norm: nn.Module = nn.Identity() if norm is None else _plain(norm)
        # torchvision's Swin permutes in its very last step
        steps = len(list(self._steps()))
        self.channels_last = steps - 1 if isinstance(net, models.SwinTransformer) else 0
        name = type(net).__name__
        if pooling.by in ("cls", "both"):
            raise _no_token(name, pooling)
        #: Numbers of the steps at whose end features are read; None: at the end of all.
        self.taps: tuple[int, ...] | None = None
        if pooling.last > 1 or pooling.skip:
            ends = self._stages(image_size)
            self.taps = tuple(chosen(ends, pooling, f"{name} at {image_size} px", "stages"))
            if pooling.skip:
                self.norm = nn.Identity()  # it is for the last stage
                self._cut(self.taps[-1])

    def forward(self, planes: Tensor) -> Features:
        if self.taps is None:
            grid = self.trunk(planes)
            return Features(self.norm(grid.mean((2, 3))), grid)
        grids = []
        for number, (_, _, step) in enumerate(self._steps()):
            planes = step(planes)
            if number in self.taps:
                grids.append(self._channels_first(planes, number))
        pooled = [grid.mean((2, 3)) for grid in grids]
        pooled[-1] = self.norm(pooled[-1])
        size = (grids[-1].shape[2], grids[-1].shape[3])
        return Features(
            torch.cat(pooled, 1), torch.cat([adaptive_avg_pool2d(g, size) for g in grids], 1)
        )

    def _steps(self) -> Iterator[tuple[str, str, nn.Module]]:
        """The net piece by piece: name of the child, name of the piece in it, the piece."""
        for name, child in self.trunk.named_children():
            if isinstance(child, nn.Sequential):
                yield from ((name, part, step) for part, step in child.named_children())
            else:
                yield name, "", child

    def _channels_first(self, grid: Tensor, step: int) -> Tensor:
        return grid.permute(0, 3, 1, 2) if step < self.channels_last else grid

    def _stages(self, image_size: int) -> list[int]:
        """Number of the last step of each stage."""
        sides: list[int] = []
        planes = torch.zeros(1, 3, image_size, image_size)
        training = self.training
        self.eval()
        with torch.no_grad():
            for number, (_, _, step) in enumerate(self._steps()):
                planes = step(planes)
                sides.append(self._channels_first(planes, number).shape[2])
        self.train(training)
        return [i for i, side in enumerate(sides) if i + 1 == len(sides) or sides[i + 1] != side]

    def _cut(self, last: int) -> None:
        """Remove all steps after one; the names of those that stay do not change."""
        for name, part, _ in list(self._steps())[:last:-1]:
            parent = self.trunk.get_submodule(name) if part else self.trunk
            delattr(parent, part or name)
            if part and not len(list(parent.children())):
                delattr(self.trunk, name)


class Tokens(nn.Module):
    """torchvision's vision transformer: tokens of the patches are the grid, h is as asked for."""

    def __init__(self, net: VisionTransformer, pooling: Pooling = Pooling()) -> None:  # noqa: B008
        super().__init__()
        net.heads = nn.Identity()
        self.net = net
        self.by = pooling.by
        layers = net.encoder.layers
        blocks = list(range(len(layers)))
        self.taps = tuple(chosen(blocks, pooling, type(net).__name__, "blocks"))
        for _ in range(pooling.skip):
            del layers[-1]

    def forward(self, planes: Tensor) -> Features:
        net = self.net
        patches = net.conv_proj(planes)  # (N, D, h', w')
        token = net.class_token.expand(planes.shape[0], -1, -1)  # len() would fix N in an export
        tokens = torch.cat([token, patches.flatten(2).mT], dim=1)
        tokens = net.encoder.dropout(tokens + net.encoder.pos_embedding)
        found = []
        for number, block in enumerate(net.encoder.layers):
            tokens = block(tokens)
            if number in self.taps:
                seen = net.encoder.ln(tokens)
                found.append((seen[:, 0], seen[:, 1:].mT.unflatten(2, patches.shape[2:])))
        return _pooled(found, "cls" if self.by == "classifier" else self.by)


class Timm(nn.Module):
    """A net of timm: h is what its classifier would get, or as asked for."""

    def __init__(self, net: Any, pooling: Pooling) -> None:
        super().__init__()
        self.net = net
        self.by = pooling.by
        prefix = getattr(net, "num_prefix_tokens", 0)
        name = type(net).__name__
        if pooling.by in ("cls", "both") and not getattr(net, "has_class_token", prefix):
            raise _no_token(name, pooling)
        self.taps: list[int] | None = None
        if pooling != Pooling():
            if not hasattr(net, "forward_intermediates"):
                raise OptionError(
                    f"timm gives no features of inner blocks for '{name}', which encoder.pooling "
                    "asks for. Leave pooling as it is by default, or choose another backbone."
                )
            if self.by == "classifier":
                token = getattr(net, "global_pool", "avg") == "token"
                self.by = "cls" if token else "mean"
            levels = list(range(len(net.feature_info)))
            self.taps = chosen(levels, pooling, name, "blocks" if prefix else "stages")
            if pooling.skip:
                net.prune_intermediate_layers(self.taps, prune_norm=False, prune_head=True)
        self.prefix = prefix

    def forward(self, planes: Tensor) -> Features:
        if self.taps is not None:
            asked = {"return_prefix_tokens": True} if self.prefix else {}
            found = self.net.forward_intermediates(
                planes, indices=self.taps, norm=bool(self.prefix), intermediates_only=True, **asked
            )
            if self.prefix:  # class token first, then registers
                return _pooled([(tokens[:, 0], g) for g, tokens in found], self.by)
            return _pooled([(g.mean((2, 3)), g) for g in found], self.by)
        features = self.net.forward_features(planes)
        h = self.net.forward_head(features, pre_logits=True)
        if features.ndim == 3:  # (N, tokens, D), class and register tokens first
            patches = features[:, self.net.num_prefix_tokens :].mT
            side = round(patches.shape[2] ** 0.5)
            return Features(h, patches.unflatten(2, (side, side)))
        channels_last = getattr(self.net, "output_fmt", "NCHW") == "NHWC"
        return Features(h, features.permute(0, 3, 1, 2) if channels_last else features)


def chosen(levels: Sequence[int], pooling: Pooling, name: str, what: str) -> list[int]:
    """The levels that a pooling names, of all blocks or stages.

    Raises
    ------
    OptionError
        There are not so many.
    """
    end = len(levels) - pooling.skip
    if end < pooling.last:
        raise OptionError(
            f"encoder.pooling asks for the last {pooling.last} {what} but {pooling.skip}, and "
            f"'{name}' has {len(levels)}. Lower 'last' or 'skip'."
        )
    return list(levels[end - pooling.last : end])


def _pooled(found: Sequence[tuple[Tensor, Tensor]], by: str) -> Features:
    """Features of (N, D) class tokens and (N, D, h', w') grids, level beside level.

    With both, every place holds the class token and its own, so that h is the mean of the grid.
    """
    size = (found[-1][1].shape[2], found[-1][1].shape[3])
    grids = [adaptive_avg_pool2d(grid, size) for _, grid in found]
    match by:
        case "cls":
            return Features(torch.cat([token for token, _ in found], 1), torch.cat(grids, 1))
        case "both":
            tokens = [token[:, :, None, None] for token, _ in found]
            pairs = zip(tokens, grids, strict=True)
            grids = [torch.cat([token.expand_as(grid), grid], 1) for token, grid in pairs]
            pooled = [torch.cat([token, grid.mean((2, 3))], 1) for token, grid in found]
            return Features(torch.cat(pooled, 1), torch.cat(grids, 1))
    pooled = [grid.mean((2, 3)) for _, grid in found]
    return Features(torch.cat(pooled, 1), torch.cat(grids, 1))


def _no_token(name: str, pooling: Pooling) -> OptionError:
    return OptionError(
        f"The pooling '{pooling.by}' needs a class token, which '{name}' does not have. "
        "Choose pooling 'mean', or a vision transformer, e.g. vit_b_16."
    )


def _plain(norm: nn.LayerNorm) -> nn.LayerNorm:
    """The same norm for (N, D); ConvNeXt's own is for (N, D, 1, 1)."""
    plain = nn.LayerNorm(norm.normalized_shape, norm.eps)
    plain.load_state_dict(norm.state_dict())
    return plain
