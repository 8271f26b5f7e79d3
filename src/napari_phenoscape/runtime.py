"""Where a run computes: device, precision, threads. The one file that knows Lightning Fabric."""

from __future__ import annotations

import ctypes
import logging
import os
import sys
from typing import TYPE_CHECKING

from napari_phenoscape.errors import OptionError
from napari_phenoscape.experiment import Runtime

if TYPE_CHECKING:
    from lightning_fabric import Fabric


def fabric(runtime: Runtime) -> Fabric:
    """Fabric on the device and in the precision that are asked for.

    Raises
    ------
    OptionError
        The machine does not have the device.
    """
    import torch
    from lightning_fabric import Fabric

    # Fabric announces the precision on stderr, under our progress bar
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)

    present = devices()
    device = present[0] if runtime.device == "auto" else runtime.device
    if device not in present:
        raise OptionError(
            f"This machine has no device '{device}' that torch can use; it has "
            f"{', '.join(present)}. Choose one of these, or 'auto'."
        )
    if runtime.threads:
        torch.set_num_threads(min(runtime.threads, os.cpu_count() or 1))
    if device == "cpu":
        _keep_freed_memory()
    return Fabric(
        accelerator=device,
        devices=1,
        precision="bf16-mixed" if runtime.precision == "bf16" else "32-true",
    )


def _keep_freed_memory() -> None:
    """Let glibc reuse the memory of freed tensors instead of giving it back.

    A training step frees and asks for the same large blocks again and again. By default each is
    mapped anew, and the system clears it page by page: 2.5 times the page faults, and up to twice
    the time of a step on a machine that is short of memory bandwidth. Other C libraries keep their
    ways.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        # the numbers are glibc's, malloc.h
        for parameter, value in (
            (-8, 1),  # M_ARENA_MAX: what one thread frees, another reuses
            (-4, 0),  # M_MMAP_MAX: nothing is mapped apart
            (-1, 2**31 - 1),  # M_TRIM_THRESHOLD: nothing is given back
        ):
            mallopt(parameter, value)


def devices() -> tuple[str, ...]:
    """The kinds of device that torch can use here, best first."""
    import torch

    found = ["cuda"] if torch.cuda.is_available() else []
    found += ["mps"] if torch.backends.mps.is_available() else []
    return (*found, "cpu")
