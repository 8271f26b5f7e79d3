"""Precision: whether this machine computes a net faster in bf16, measured before it is trained."""

from __future__ import annotations

import time
from copy import deepcopy
from statistics import median
from typing import Literal

import torch

from napari_phenoscape.training._model import SimCLR

#: Images that are shown to the net, and how often in each precision.
IMAGES, ROUNDS = 8, 3

#: bf16 must be faster by so much; else its rounding is for nothing.
FASTER = 1.1


def measured_precision(net: SimCLR, size: int) -> tuple[Literal["float32", "bf16"], str]:
    """The faster precision of a net on a processor, and what was measured, in a sentence.

    Forward and backward of its first encoder on `IMAGES` of ``size`` pixels, in both precisions in
    turn. The net and torch's random numbers stay as they are.
    """
    encoder = deepcopy(next(iter(net.encoders))).train().requires_grad_(True)
    planes = torch.zeros(IMAGES, len(encoder.stem.planes), size, size)
    seconds: dict[bool, list[float]] = {False: [], True: []}
    with torch.random.fork_rng(devices=[]):
        for turn in range(ROUNDS + 1):
            for half in seconds:
                start = time.perf_counter()
                with torch.autocast("cpu", torch.bfloat16, enabled=half):
                    h = encoder(planes, mixed=True).h
                h.float().sum().backward()
                if turn:  # the first time, libraries are loaded
                    seconds[half].append(time.perf_counter() - start)
    single, halved = (median(seconds[kind]) for kind in (False, True))
    chosen: Literal["float32", "bf16"] = "bf16" if single > FASTER * halved else "float32"
    return chosen, (
        f"Precision {chosen}: {IMAGES} images take {1e3 * single:.0f} ms in float32 and "
        f"{1e3 * halved:.0f} ms in bf16 here. It is kept in the run."
    )


def precision_of(net: SimCLR, size: int, device: str) -> tuple[Literal["float32", "bf16"], str]:
    """What ``precision: auto`` stands for on a kind of device, and why, in a sentence."""
    from napari_phenoscape.training.parallel._runtime import world

    if device == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False):
        return "bf16", "Precision bf16: this GPU computes in it. It is kept in the run."
    if device == "cpu" and world() is None:
        return measured_precision(net, size)
    # several processes must agree, and would measure differently
    return "float32", "Precision float32, which is not measured here. It is kept in the run."
