"""DOFA by wavelength against its own forward pass, written a second time."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, layer_norm, linear

from napari_phenoscape.nets._dofa import Dofa, dofa_kernels

pytest.importorskip("timm")


class Generator(nn.Module):
    """What makes kernels, of torch's own layers; its parameters have the names of the files."""

    def __init__(self) -> None:
        super().__init__()
        self.fclayer = nn.ModuleDict({"w1": nn.Linear(128, 128), "w2": nn.Linear(128, 128)})
        layer = nn.TransformerEncoderLayer(128, 4, dropout=0, activation="gelu")
        made = nn.Module()
        made.transformer_encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        made.fc_weight, made.fc_bias = nn.Linear(128, 256 * 768), nn.Linear(128, 768)
        made.weight_tokens = nn.Parameter(torch.randn(128, 128) / 50)
        made.bias_token = nn.Parameter(torch.randn(1, 128) / 50)
        self.weight_generator = made

    def forward(self, micrometres: Tensor) -> tuple[Tensor, Tensor]:
        codes = torch.empty(len(micrometres), 128)
        for i, micrometre in enumerate(micrometres.tolist()):
            for k in range(64):
                angle = 1000 * micrometre / 10_000 ** (k / 64)
                codes[i, k], codes[i, 64 + k] = math.sin(angle), math.cos(angle)
        waves = codes + self.fclayer["w2"](self.fclayer["w1"](codes).relu()).relu()
        made = self.weight_generator
        seen = made.transformer_encoder(torch.cat([made.weight_tokens, waves, made.bias_token]))
        kernels = made.fc_weight(seen[128:-1] + waves).view(768, len(waves), 16, 16)
        return 0.01 * kernels, 0.01 * made.fc_bias(seen[-1])


@pytest.fixture(scope="module")
def generator() -> Generator:
    torch.manual_seed(0)
    return Generator().eval()


def whole_file(generator: Generator) -> dict[str, Tensor]:
    """All tensors of a file, with random weights."""
    random = torch.Generator().manual_seed(1)
    whole = {f"patch_embed.{name}": tensor for name, tensor in generator.state_dict().items()}
    for name, tensor in Dofa(1).vit.state_dict().items():
        if not name.startswith(("patch_embed", "fc_norm")):
            whole[name] = torch.randn(tensor.shape, generator=random) / 30
    return whole


@pytest.fixture(scope="module")
def tensors(generator: Generator) -> dict[str, Tensor]:
    return whole_file(generator)


def reference(tensors: dict[str, Tensor], generator: Generator, x: Tensor, nm: Tensor) -> Tensor:
    """(N, 768): a masked autoencoder's transformer over patches of a padded picture."""
    kernels, bias = generator(nm / 1000)
    patches = conv2d(x, kernels, bias, stride=16, padding=1).flatten(2).mT
    codes = tensors["pos_embed"]
    token = (tensors["cls_token"] + codes[:, :1]).expand(len(x), -1, -1)
    rows = torch.cat([token, patches + codes[:, 1:]], dim=1)
    for block in range(12):
        of = {
            name.removeprefix(f"blocks.{block}."): tensor
            for name, tensor in tensors.items()
            if name.startswith(f"blocks.{block}.")
        }
        normed = layer_norm(rows, (768,), of["norm1.weight"], of["norm1.bias"], 1e-6)
        joint = linear(normed, of["attn.qkv.weight"], of["attn.qkv.bias"])
        asked, keys, values = joint.reshape(len(x), -1, 3, 12, 64).permute(2, 0, 3, 1, 4)
        share = (asked @ keys.mT / 8).softmax(-1)
        found = (share @ values).transpose(1, 2).flatten(2)
        rows = rows + linear(found, of["attn.proj.weight"], of["attn.proj.bias"])
        normed = layer_norm(rows, (768,), of["norm2.weight"], of["norm2.bias"], 1e-6)
        hidden = nn.functional.gelu(linear(normed, of["mlp.fc1.weight"], of["mlp.fc1.bias"]))
        rows = rows + linear(hidden, of["mlp.fc2.weight"], of["mlp.fc2.bias"])
    return layer_norm(rows[:, 1:].mean(1), (768,), eps=1e-6)


@pytest.mark.parametrize("number", [3, 7, 24, 102, 408])
def test_kernels_are_those_of_the_reference(generator, tensors, number: int) -> None:
    nm = torch.linspace(348, 810, number)
    with torch.inference_mode():
        expected = generator(nm / 1000)
        found = dofa_kernels(tensors, nm.tolist())
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.shape == theirs.shape
        assert (ours - theirs).abs().max() < 1e-5


@pytest.mark.parametrize("number", [3, 24])
def test_features_are_those_of_the_reference(generator, tensors, number: int) -> None:
    nm = torch.linspace(348, 810, number)
    images = torch.randn(1, number, 224, 224, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        net = Dofa(number).eval()
        net.load(tensors, nm.tolist())
        difference = net(images) - reference(tensors, generator, images, nm)
    assert difference.abs().max() < 1e-5


def test_a_file_of_another_net_lacks_what_makes_kernels() -> None:
    with pytest.raises(KeyError, match="fclayer"):
        Dofa(3).load({"patch_embed.proj.weight": torch.zeros(768, 3, 16, 16)}, [640, 550, 460])
