"""Ranks: the processes of one training; each makes its part of every batch, and all agree.

With one process, every function here is the identity.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torchvision.ops import StochasticDepth

from napari_phenoscape.errors import RESUMABLE, TrainingError


def world_size() -> int:
    """How many ranks there are."""
    together = distributed.is_available() and distributed.is_initialized()
    return distributed.get_world_size() if together else 1


def rank() -> int:
    """Which of them this process is, from 0."""
    return distributed.get_rank() if world_size() > 1 else 0


def local_batch(batch: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N / ranks,) specimens of this rank, of the (N,) of a batch."""
    return np.split(batch, world_size())[rank()]


def uniform(rows: int, columns: int) -> Tensor:
    """(2n, columns) random numbers, 0-1: this rank's of those for the (2N, ...) of the batch.

    The same for any number of ranks, provided that torch's random state is the same on all.
    """
    if world_size() == 1:
        return torch.rand(rows, columns)
    return torch.rand(2, world_size(), rows // 2, columns)[:, rank()].flatten(0, 1)


def gathered(rows: Tensor) -> Tensor:
    """(2N, ...) rows of the whole batch, from the (2n, ...) that each rank has; differentiable.

    Each rank's rows are the first views of its n specimens, then the second ones; so are those of
    the batch, in the order of its specimens. The gradient is that of the sum of all ranks' losses:
    with the same loss on every rank, and gradients averaged over ranks afterwards, the result is
    the gradient of one process that sees the whole batch.
    """
    if world_size() == 1:
        return rows
    every: Tensor = _Gather.apply(rows)
    # (ranks * 2 * n, ...) -> (2 * ranks * n, ...)
    by_rank = every.view(world_size(), 2, len(rows) // 2, *rows.shape[1:])
    return by_rank.transpose(0, 1).reshape(-1, *rows.shape[1:])


class _Gather(torch.autograd.Function):
    """(M, ...) -> (ranks * M, ...); torch's own differentiable one is deprecated."""

    @staticmethod
    def forward(_: Any, rows: Tensor) -> Tensor:
        every = rows.new_empty((world_size() * len(rows), *rows.shape[1:]))
        # its name since torch 2.14, which warns of the former in each process
        gather = getattr(distributed, "all_gather_single", distributed.all_gather_into_tensor)
        gather(every, rows.contiguous())
        return every

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor:
        # these rows are in the loss of every rank
        total = gradient.contiguous().clone()
        distributed.all_reduce(total)
        return total.chunk(world_size())[rank()]


def average_gradients(net: nn.Module) -> None:
    """Give every weight the mean of its gradients over the ranks, as DDP does on the way."""
    if world_size() == 1:
        return
    gradients = [weight.grad for weight in net.parameters() if weight.grad is not None]
    together = torch.cat([gradient.flatten() for gradient in gradients])
    distributed.all_reduce(together)
    together /= world_size()
    start = 0
    for gradient in gradients:
        gradient.copy_(together[start : start + gradient.numel()].view_as(gradient))
        start += gradient.numel()


def any_rank(wish: bool, device: torch.device) -> bool:
    """Whether any rank wishes so; every rank must ask at the same place."""
    if world_size() == 1:
        return wish
    wishes = torch.tensor(float(wish), device=device)
    with peers():
        distributed.all_reduce(wishes, distributed.ReduceOp.MAX)
    return bool(wishes)


@contextmanager
def peers() -> Iterator[None]:
    """Say in words that another rank has died, where this one would wait for it.

    Raises
    ------
    TrainingError
        Another rank has died.
    """
    try:
        yield
    except RuntimeError as error:
        lost = isinstance(error, distributed.DistError) or "gloo" in str(error).lower()
        if world_size() == 1 or not lost:
            raise
        raise TrainingError(
            f"Rank {rank()} lost the other {world_size() - 1} of {world_size()} processes. Look at "
            f"what they said; {RESUMABLE}."
        ) from error


def synced(net: nn.Module, device: torch.device) -> nn.Module:
    """The same net, in which rows of all ranks meet as they would in one process.

    Batch norms see the whole batch, however many rows a rank has. Stochastic depth draws for the
    whole batch, provided that torch's random state is the same on all ranks and they have equally
    many rows, and drops what one process would.
    """
    if world_size() == 1:
        return net
    for module in list(net.modules()):
        for name, child in module.named_children():
            if isinstance(child, StochasticDepth):
                setattr(module, name, _SyncedStochasticDepth(child.p, child.mode))
            elif isinstance(child, _BatchNorm) and device.type != "cuda":
                setattr(module, name, _SyncedBatchNorm(child))
    if device.type == "cuda":  # torch's own is for GPUs only
        net = nn.SyncBatchNorm.convert_sync_batchnorm(net)  # type: ignore[no-untyped-call]
    return net


class _SyncedStochasticDepth(StochasticDepth):  # type: ignore[misc]  # torchvision has no types
    """Draws for the (2N, ...) rows of all ranks, and takes this rank's (2n, ...)."""

    def forward(self, rows: Tensor) -> Tensor:
        if not self.training or self.p == 0 or self.mode == "batch":
            every: Tensor = super().forward(rows)
            return every
        kept = rows.new_empty((2, world_size(), len(rows) // 2)).bernoulli_(1 - self.p)
        mine = kept[:, rank()].reshape(-1, *[1] * (rows.ndim - 1))
        return rows * mine / (1 - self.p) if self.p < 1 else rows * mine


class _SyncedBatchNorm(_BatchNorm):
    """Batch normalisation by mean and variance over the rows of all ranks."""

    def __init__(self, alone: _BatchNorm) -> None:
        super().__init__(alone.num_features, alone.eps, alone.momentum)
        self.weight, self.bias = alone.weight, alone.bias
        for name, buffer in alone.named_buffers():
            setattr(self, name, buffer)
        self.train(alone.training)

    def _check_input_dim(self, input: Tensor) -> None:  # noqa: A002  torch's name
        pass  # of any number of axes

    def forward(self, images: Tensor) -> Tensor:
        if not self.training:
            return super().forward(images)
        values = images if images.dtype == torch.float64 else images.float()
        axes = [0, *range(2, values.ndim)]
        shape = [1, -1, *[1] * (values.ndim - 2)]
        every = values.new_tensor([values.numel() / self.num_features])
        count = _sum_over_ranks(every)
        mean = _sum_over_ranks(values.sum(axes)) / count
        centred = values - mean.view(shape)
        variance = _sum_over_ranks(centred.square().sum(axes)) / count
        with torch.no_grad():
            assert self.running_mean is not None
            assert self.running_var is not None
            assert self.num_batches_tracked is not None
            self.num_batches_tracked.add_(1)
            self.running_mean.lerp_(mean.to(self.running_mean), self.momentum or 0)
            unbiased = variance * (count / (count - 1))
            self.running_var.lerp_(unbiased.to(self.running_var), self.momentum or 0)
        scale = self.weight * (variance + self.eps).rsqrt()
        return (centred * scale.view(shape) + self.bias.view(shape)).to(images.dtype)


def _sum_over_ranks(values: Tensor) -> Tensor:
    every: Tensor = _Gather.apply(values)
    return every.view(world_size(), -1).sum(0)
