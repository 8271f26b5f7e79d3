"""Optimisers that torch does not have."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import optim
from torch.linalg import vector_norm


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
