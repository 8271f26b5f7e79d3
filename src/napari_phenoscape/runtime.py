"""Where a run computes: device, precision, threads. The one file that knows Lightning Fabric."""

from __future__ import annotations

import logging
import os
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
    return Fabric(
        accelerator=device,
        devices=1,
        precision="bf16-mixed" if runtime.precision == "bf16" else "32-true",
    )


def devices() -> tuple[str, ...]:
    """The kinds of device that torch can use here, best first."""
    import torch

    found = ["cuda"] if torch.cuda.is_available() else []
    found += ["mps"] if torch.backends.mps.is_available() else []
    return (*found, "cpu")
