"""Norms: BatchNorm statistics of the specimens of a level, in place of those of all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.nn.modules.batchnorm import _BatchNorm


@dataclass(frozen=True, eq=False)
class Norms:
    """Mean and variance of each BatchNorm of a net, by its name; empty: its own.

    Another domain is embedded with statistics of its own (AdaBN [1]_).

    References
    ----------
    .. [1] Li et al. 2018, Adaptive batch normalization for practical domain adaptation.
       https://doi.org/10.1016/j.patcog.2018.03.005
    """

    of: dict[str, tuple[Tensor, Tensor]] = field(default_factory=dict)

    @contextmanager
    def in_place(self, net: nn.Module) -> Iterator[None]:
        """The net has these meanwhile."""
        norms = {name: norm for name, norm in _norms(net).items() if name in self.of}
        before = {name: _statistics(norm) for name, norm in norms.items()}
        try:
            for name, norm in norms.items():
                norm.running_mean, norm.running_var = self.of[name]
            yield
        finally:
            for name, norm in norms.items():
                norm.running_mean, norm.running_var = before[name]


@contextmanager
def estimating(net: nn.Module) -> Iterator[list[Norms]]:
    """What the net sees meanwhile becomes the `Norms` that the list has afterwards.

    Each is the mean over the batches, and the net has its own again.
    """
    norms, found = _norms(net), list[Norms]()
    before = {name: (*_statistics(norm), norm.momentum) for name, norm in norms.items()}
    try:
        for norm in norms.values():
            mean, variance = _statistics(norm)
            norm.running_mean, norm.running_var = mean.clone(), variance.clone()
            norm.reset_running_stats()
            norm.momentum = None
            norm.train()
        yield found
        found.append(Norms({name: _statistics(norm) for name, norm in norms.items()}))
    finally:
        for name, norm in norms.items():
            norm.running_mean, norm.running_var, norm.momentum = before[name]
            norm.eval()


def has_norms(net: nn.Module) -> bool:
    """Whether a net looks at statistics of the pictures that it was trained on."""
    return bool(_norms(net))


def _norms(net: nn.Module) -> dict[str, _BatchNorm]:
    """BatchNorm of the encoders and of what joins them; that of the heads embeds nothing."""
    from torch.nn.modules.batchnorm import _BatchNorm

    return {
        name: module
        for name, module in net.named_modules()
        if isinstance(module, _BatchNorm) and "heads." not in name and module.track_running_stats
    }


def _statistics(norm: _BatchNorm) -> tuple[Tensor, Tensor]:
    assert norm.running_mean is not None  # it is tracked, as `_norms` asks
    assert norm.running_var is not None
    return norm.running_mean, norm.running_var
