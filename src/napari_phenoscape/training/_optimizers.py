"""Optimisers that torch does not have, or not as we need them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, optim
from torch.linalg import vector_norm


class AdamW(optim.AdamW):
    """torch's, with the same bits, of weights that lie channels-last.

    Its fused step on a processor copies each gradient that lies so, which takes longer than the
    step. It is given them in the order of the memory, in which they are contiguous.
    """

    def _init_group(
        self,
        group: dict[str, Any],
        params: list[Tensor],
        grads: list[Tensor],
        means: list[Tensor],
        squares: list[Tensor],
        *rest: Any,
    ) -> bool:
        own_init: Callable[..., bool] = super()._init_group
        is_complex = own_init(group, params, grads, means, squares, *rest)
        every = params, grads, means, squares
        for number, own in enumerate(zip(*every, strict=True)):
            if all(map(_is_channels_last, own)):
                for tensors in every:
                    tensors[number] = tensors[number].permute(0, 2, 3, 1)
        return is_complex


def _is_channels_last(tensor: Tensor) -> bool:
    return (
        tensor.ndim == 4
        and tensor.device.type == "cpu"
        and not tensor.is_contiguous()
        and tensor.is_contiguous(memory_format=torch.channels_last)
    )


class LARS(optim.Optimizer):
    """Layer-wise adaptive rate scaling with momentum, for very large batches [1]_.

    The rate of a layer is scaled by ``trust |w| / (|g| + decay |w|)``. Parameter groups without
    weight decay (norms and biases) take plain momentum steps, as in SimCLR.

    Parameters
    ----------
    params
        Parameter groups.
    lr
        Rate.
    momentum, weight_decay, trust
        Unitless.

    References
    ----------
    .. [1] You et al. 2017, Large batch training of convolutional networks, algorithm 1.
       https://arxiv.org/abs/1708.03888
    """

    def __init__(
        self,
        params: Iterable[dict[str, Any]],
        lr: float,
        momentum: float = 0.9,
        weight_decay: float = 0.0,
        trust: float = 0.001,
    ) -> None:
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "trust": trust}
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One step along the gradients that are there."""
        for group in self.param_groups:
            decay = group["weight_decay"]
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                gradient = weight.grad
                if decay:
                    norm, grad_norm = vector_norm(weight), vector_norm(gradient)
                    gradient = gradient + decay * weight
                    scale = group["trust"] * norm / (grad_norm + decay * norm)
                    gradient = gradient * torch.where((norm > 0) & (grad_norm > 0), scale, 1.0)
                state = self.state[weight]
                if "momentum_buffer" not in state:
                    state["momentum_buffer"] = torch.zeros_like(weight)
                state["momentum_buffer"].mul_(group["momentum"]).add_(gradient, alpha=group["lr"])
                weight.sub_(state["momentum_buffer"])
