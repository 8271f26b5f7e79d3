"""Pooling: which layers of a backbone give the features, and how places become one vector."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torchvision import models
from torchvision.models.vision_transformer import VisionTransformer

from napari_phenoscape.cubes import Band, Bands
from napari_phenoscape.errors import OptionError
from napari_phenoscape.nets import Encoder
from napari_phenoscape.nets._backbone import Features, Pooled, Timm, Tokens
from napari_phenoscape.nets._nets import backbone
from napari_phenoscape.nets._options import Pooling
from napari_phenoscape.nets._stem import Standardised

PLANES = Standardised(Bands(Band(name, region="vis") for name in "RGB"), [0, 0, 0], [1, 1, 1])


def vit() -> VisionTransformer:
    torch.manual_seed(0)
    return VisionTransformer(
        image_size=24, patch_size=8, num_layers=4, num_heads=2, hidden_dim=16, mlp_dim=16
    )


def seen(net: nn.Module, side: int = 64) -> Features:
    images = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        features: Features = net.eval()(images)
    return features


def tokens_after(block: int) -> Tensor:
    """(2, 10, 16): all tokens after a block, from 1, normalised; written a second time."""
    net = vit().eval()
    outputs: list[Tensor] = []
    net.encoder.layers[block - 1].register_forward_hook(lambda *call: outputs.append(call[2]))
    with torch.no_grad():
        net(torch.rand(2, 3, 24, 24, generator=torch.Generator().manual_seed(0)))
        tokens: Tensor = net.encoder.ln(outputs[0])
    return tokens


def test_of_a_vision_transformer_the_class_token_the_patches_or_both():
    tokens = tokens_after(4)
    token, mean = tokens[:, 0], tokens[:, 1:].mean(1)
    for by, expected in {
        "classifier": token,
        "cls": token,
        "mean": mean,
        "both": torch.cat([token, mean], 1),
    }.items():
        h, grid = seen(Tokens(vit(), Pooling(by=by)), 24)
        torch.testing.assert_close(h, expected)
        assert grid.shape == (2, h.shape[1], 3, 3)


def test_the_last_blocks_side_by_side_and_those_at_the_end_left_out():
    net = Tokens(vit(), Pooling(by="cls", last=2, skip=1))
    expected = torch.cat([tokens_after(2)[:, 0], tokens_after(3)[:, 0]], 1)
    torch.testing.assert_close(seen(net, 24).h, expected)
    assert len(net.net.encoder.layers) == 3  # what is left out is not there, so nothing idles


def test_of_a_resnet_the_stages_are_its_layers():
    torch.manual_seed(0)
    net = models.resnet18(weights=None).eval()
    found: list[Tensor] = []
    for layer in (net.layer3, net.layer4):
        layer.register_forward_hook(lambda *call: found.append(call[2].mean((2, 3))))
    with torch.no_grad():
        net(torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
    third, fourth = found
    kept = {name for name, _ in Pooled(net, Pooling(), 64).named_parameters()}
    torch.testing.assert_close(
        seen(Pooled(net, Pooling(last=2), 64)).h, torch.cat([third, fourth], 1)
    )
    cut = Pooled(net, Pooling(skip=1), 64)
    torch.testing.assert_close(seen(cut).h, third)
    assert seen(cut).grid.shape == (2, 256, 4, 4)
    names = {name for name, _ in cut.named_parameters()}
    assert kept - names == {name for name in kept if name.startswith("trunk.layer4")}


@pytest.mark.parametrize(
    ("name", "side", "two", "third"),
    [
        ("convnext_tiny", 64, 1152, (384, 4)),
        ("swin_t", 64, 1152, (384, 4)),
        ("densenet121", 64, 2048, (1024, 4)),
        ("timm:resnet18", 64, 768, (256, 4)),
        ("timm:convnext_atto", 64, 480, (160, 4)),
    ],
)
def test_stages_of_other_nets(name, side, two, third):
    if name.startswith("timm:"):
        pytest.importorskip("timm")
    last = seen(backbone(Encoder(backbone=name, pooling=Pooling(last=2)), PLANES, side), side)
    assert last.h.shape == (2, two)
    assert last.grid.shape[1] == two
    option = Encoder(backbone=name, pooling=Pooling(skip=1, by="mean"))
    h, grid = seen(backbone(option, PLANES, side), side)
    assert (h.shape[1], grid.shape[2]) == third
    torch.testing.assert_close(h, grid.mean((2, 3)))


def test_a_vision_transformer_of_timm():
    timm = pytest.importorskip("timm")

    def net() -> nn.Module:
        torch.manual_seed(0)
        made: nn.Module = timm.create_model("vit_tiny_patch16_224", img_size=32, num_classes=0)
        return made

    plain = seen(Timm(net(), Pooling()), 32)
    again = seen(Timm(net(), Pooling(by="cls")), 32)
    torch.testing.assert_close(again.h, plain.h)
    torch.testing.assert_close(again.grid, plain.grid)
    both = seen(Timm(net(), Pooling(by="both", last=2)), 32)
    assert both.h.shape == (2, 4 * 192)
    # level by level: class token, mean of the patches
    torch.testing.assert_close(both.h[:, 2 * 192 : 3 * 192], plain.h)
    torch.testing.assert_close(both.h[:, 3 * 192 :], plain.grid.mean((2, 3)))
    assert seen(Timm(net(), Pooling(skip=11)), 32).h.shape == (2, 192)


@pytest.mark.parametrize(
    ("name", "pooling", "said"),
    [
        ("resnet18", {"by": "cls"}, "'cls' needs a class token, which 'ResNet' does not"),
        ("swin_t", {"by": "both"}, "'both' needs a class token, which 'SwinTransformer'"),
        ("resnet18", {"last": 3, "skip": 3}, "last 3 stages but 3, and 'ResNet at 64 px' has 5"),
        ("vit_b_16", {"skip": 12}, "'VisionTransformer' has 12. Lower 'last' or 'skip'"),
    ],
)
def test_what_a_net_does_not_have_is_refused(name, pooling, said):
    with pytest.raises(OptionError, match=said):
        backbone(Encoder(backbone=name, pooling=Pooling(**pooling)), PLANES, 64)
