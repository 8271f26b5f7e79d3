"""DOFA: a vision transformer whose first kernels are made from the wavelengths of its bands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, layer_norm, linear, pad, scaled_dot_product_attention

#: Of the codes of wavelengths, and the heads of the layer that looks at all of them together.
WIDTH, HEADS = 128, 4

#: By which kernels and bias are scaled down.
SCALE = 0.01

#: Of the transformer.
FEATURES, PATCH = 768, 16

Tensors = Mapping[str, Tensor]


class Dofa(nn.Module):
    """(N, P, 224, 224) planes of known wavelengths -> (N, 768) features [1]_.

    timm's ``vit_base_patch16_224`` on P planes, which `load` gives the kernels for them. DOFA
    places its patches a pixel up and to the left.

    Parameters
    ----------
    planes
        P.

    References
    ----------
    .. [1] Xiong et al. 2024, Neural plasticity-inspired foundation model for observing the Earth
       crossing modalities. https://arxiv.org/abs/2403.15356
    """

    def __init__(self, planes: int) -> None:
        import timm

        super().__init__()
        self.vit: nn.Module = timm.create_model(
            "vit_base_patch16_224", in_chans=planes, num_classes=0, global_pool="avg"
        )

    def forward(self, planes: Tensor) -> Tensor:
        features: Tensor = self.vit(pad(planes, (1, -1, 1, -1)))
        return features

    def load(self, tensors: Tensors, centres_nm: Sequence[float]) -> None:
        """Take the weights of a file, for planes of these wavelengths.

        Raises
        ------
        KeyError, RuntimeError
            The file does not have them, or of another shape.
        """
        kernels, bias = dofa_kernels(tensors, centres_nm)
        made = {"patch_embed.proj.weight": kernels, "patch_embed.proj.bias": bias}
        own = self.vit.state_dict()
        # the norm behind the mean is not learned in the published files
        kept = {name: own[name] for name in own if name.startswith("fc_norm.")}
        self.vit.load_state_dict(
            {name: made[name] if name in made else {**kept, **tensors}[name] for name in own}
        )


def dofa_kernels(tensors: Tensors, centres_nm: Sequence[float]) -> tuple[Tensor, Tensor]:
    """(768, P, 16, 16) kernels and (768,) bias for planes of P wavelengths.

    Sines and cosines of each wavelength in nm go through two layers, then, between learned tokens,
    through one of a transformer, and a last one makes the kernel of each plane.

    Raises
    ------
    KeyError
        ``tensors`` are not those of DOFA.
    """
    of = {
        name.removeprefix("patch_embed."): tensor.float()
        for name, tensor in tensors.items()
        if name.startswith("patch_embed.")
    }
    rates = 10_000.0 ** (-torch.arange(WIDTH // 2) / (WIDTH // 2))
    angles = torch.tensor(list(centres_nm), dtype=torch.float32)[:, None] * rates
    waves = torch.cat([angles.sin(), angles.cos()], dim=1)  # (P, 128)
    hidden = _layer(of, "fclayer.w1", waves).relu()
    waves = waves + _layer(of, "fclayer.w2", hidden).relu()
    tokens = of["weight_generator.weight_tokens"]
    sequence = torch.cat([tokens, waves, of["weight_generator.bias_token"]])
    seen = _attended(of, "weight_generator.transformer_encoder.layers.0.", sequence)
    made = _layer(of, "weight_generator.fc_weight", seen[len(tokens) : -1] + waves)
    bias = _layer(of, "weight_generator.fc_bias", seen[-1])
    # read in this order, as DOFA was trained: not (P, 16, 16, 768)
    kernels = made.reshape(FEATURES, len(waves), PATCH, PATCH)
    return SCALE * kernels, SCALE * bias


def _layer(of: Tensors, name: str, rows: Tensor) -> Tensor:
    return linear(rows, of[f"{name}.weight"], of[f"{name}.bias"])


def _attended(of: Tensors, name: str, rows: Tensor) -> Tensor:
    """(L, 128) after a layer of a transformer that normalises behind each of its halves."""
    joint = linear(rows, of[f"{name}self_attn.in_proj_weight"], of[f"{name}self_attn.in_proj_bias"])
    # (L, 3 * 128) -> three of (heads, L, 32)
    asked, keys, values = joint.reshape(len(rows), 3, HEADS, -1).permute(1, 2, 0, 3)
    found = scaled_dot_product_attention(asked, keys, values).transpose(0, 1).flatten(1)
    rows = _normed(of, f"{name}norm1", rows + _layer(of, f"{name}self_attn.out_proj", found))
    hidden = gelu(_layer(of, f"{name}linear1", rows))
    return _normed(of, f"{name}norm2", rows + _layer(of, f"{name}linear2", hidden))


def _normed(of: Tensors, name: str, rows: Tensor) -> Tensor:
    return layer_norm(rows, (WIDTH,), of[f"{name}.weight"], of[f"{name}.bias"])
