"""Contrast in blocks of rows: value and gradient together, without the M × M similarities."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

#: Similarities that are in memory at a time.
BLOCK = 4 << 20


class BlockwiseContrast(torch.autograd.Function):
    """`losses.contrast` of (M, P) rows of unit length.

    The loss is a scalar, so its gradient can be computed on the way, block by block.

    With s(i, a) = z_i · z_a / T and w_i = 1 / anchors, the derivative by s(i, a) is
    w_i (softmax_{A(i)} s(i, a) - [a in P(i)] / |P(i)|).
    """

    @staticmethod
    def forward(
        ctx: Any,
        z: Tensor,
        group: Tensor,
        part: Tensor | None,
        related: Tensor | None,
        position: Tensor | None,
        real: Tensor | None,
        temperature: float,
        decoupled: bool,
    ) -> Tensor:
        wanted = z.requires_grad
        gradient = torch.zeros_like(z) if wanted else None
        total, anchors = z.new_zeros(()), z.new_zeros(())
        number = torch.arange(len(z), device=z.device)
        step = max(1, BLOCK // max(len(z), 1))
        for start in range(0, len(z), step):
            rows = slice(start, start + step)
            similarity = z[rows] @ z.T / temperature
            others = number[rows, None] != number
            if real is not None:
                others &= real[rows, None] & real
            if part is not None:
                others &= part[rows, None] != part
            positive = others & (group[rows, None] == group)
            denominator = others & ~positive if decoupled else others
            if related is not None:
                denominator &= positive | (related[rows, None] != related)
            if position is not None:
                # not by a matrix product, which loses small differences of large coordinates
                mode = "donot_use_mm_for_euclid_dist"
                denominator &= positive | (
                    torch.cdist(position[rows], position, compute_mode=mode) >= 1
                )
            positives = positive.sum(1, keepdim=True)
            # with nothing to be told from there is nothing to learn
            is_anchor = (positives > 0) & denominator.any(1, keepdim=True)
            share = positive.to(z.dtype) / positives.clamp(min=1)
            scores = similarity.masked_fill(~denominator, -torch.inf)
            repulsion = scores.logsumexp(1, keepdim=True)
            each = repulsion - (similarity * share).sum(1, keepdim=True)
            total += torch.where(is_anchor, each, 0).sum()
            anchors += is_anchor.sum()
            if gradient is not None:
                grad = torch.where(denominator, (scores - repulsion).exp(), 0)
                grad = torch.where(is_anchor, grad - share, 0)
                gradient[rows] += grad @ z
                gradient += grad.T @ z[rows]
        if real is not None:
            anchors = anchors.clamp(min=1)
        if gradient is not None:
            ctx.save_for_backward(gradient / (temperature * anchors))
        return total / anchors

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, outer: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors
        return gradient * outer, None, None, None, None, None, None, None
