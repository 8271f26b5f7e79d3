"""Where a run computes: devices, nodes, precision. The one file that knows Lightning Fabric."""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from napari_phenoscape.errors import OptionError
from napari_phenoscape.training._experiment import Runtime

if TYPE_CHECKING:
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments.cluster_environment import ClusterEnvironment
    from torch import nn

#: torchrun gives it to the processes that it starts, and so does `launch`.
_TORCHRUN = "TORCHELASTIC_RUN_ID"

#: What `launch` calls the processes that it starts.
LAUNCHED = "phenoscape"

_PRECISIONS: dict[str, Literal["32-true", "bf16-mixed", "16-mixed"]] = {
    # of a run without training: a trained one has decided
    "auto": "32-true",
    "float32": "32-true",
    "bf16": "bf16-mixed",
    "fp16": "16-mixed",
}


def fabric_of(runtime: Runtime, heads: int = 1, *, alone: bool = False) -> Fabric:
    """Fabric on the device and in the precision that are asked for; ranks are not joined yet.

    Parameters
    ----------
    runtime
        The device and the precision; how many devices is known from torchrun or Slurm.
    heads
        Projection heads of the net.
    alone
        Of several ranks each works for itself, on a device of its own.

    Raises
    ------
    OptionError
        The machine does not have the devices, or they cannot work together.
    """
    import torch
    from lightning_fabric import Fabric
    from lightning_fabric.plugins.environments.lightning import LightningEnvironment
    from lightning_fabric.strategies.ddp import DDPStrategy

    # Fabric announces the precision on stderr, under our progress bar
    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)

    device = device_of(runtime)
    set_threads(runtime)
    if not _has(device, runtime.precision):
        needed, other = {"fp16": ("a CUDA GPU", "bf16"), "bf16": ("a newer GPU", "fp16")}[
            runtime.precision
        ]
        raise OptionError(
            f"Precision {runtime.precision} needs {needed}, and this run computes on '{device}'. "
            f"Choose float32 or {other}."
        )
    precision = _PRECISIONS[runtime.precision]
    here = world()
    if here is not None:
        _check_devices(device, here[0], torch.cuda.device_count())
    if here is None or alone:
        return Fabric(
            accelerator=device,
            devices=[_local_rank()] if here is not None and device == "cuda" else 1,
            precision=precision,
            # or Fabric looks for Slurm's, which a job has before its srun
            plugins=[LightningEnvironment()],
        )
    return Fabric(
        accelerator=device,
        devices=here[0],
        num_nodes=here[1],
        precision=precision,
        # losses may look at some heads only: `cross_modal` alone leaves those of all spaces unused
        strategy=DDPStrategy(find_unused_parameters=heads > 1),
        plugins=[environment_of_ranks()],
    )


def join(fabric: Fabric) -> None:
    """Join the other ranks; returns when all have."""
    fabric.launch()
    # gloo's threads must end before the process does, or it aborts after all is done
    atexit.register(_leave)


def environment_of_ranks() -> ClusterEnvironment:
    """Who started this process and its peers, and where they meet."""
    from lightning_fabric.plugins.environments.slurm import SLURMEnvironment
    from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment

    if _TORCHRUN in os.environ:
        return TorchElasticEnvironment()

    class Srun(SLURMEnvironment):
        """Tasks of a step; Fabric counts, and refuses some of, those of the whole job."""

        @staticmethod
        def _validate_srun_used() -> None: ...

        @staticmethod
        def _validate_srun_variables() -> None: ...

        def validate_settings(self, num_devices: int, num_nodes: int) -> None: ...

        def world_size(self) -> int:
            return ranks()

        @property
        def main_port(self) -> int:
            """Of the step; Fabric's is of the job, whose steps would meet each other."""
            job, step = (int(os.environ.get(f"SLURM_{name}_ID", 0)) for name in ("JOB", "STEP"))
            # below those that systems give out; neighbouring jobs and steps differ
            return int(os.environ.get("MASTER_PORT", 15_000 + (job + 1_009 * step) % 15_000))

    if "SLURM_STEP_NODELIST" in os.environ:  # which may be some nodes of the job
        first = Srun.resolve_root_node_address(os.environ["SLURM_STEP_NODELIST"])
        os.environ.setdefault("MASTER_ADDR", first)
    return Srun(auto_requeue=False)


def _has(device: str, precision: str) -> bool:
    """Whether a kind of device of this machine computes in a precision."""
    import torch

    if precision == "bf16" and device == "cuda":
        return bool(torch.cuda.is_bf16_supported())
    return precision != "fp16" or device == "cuda"


def device_of(runtime: Runtime) -> str:
    """The kind of device that is asked for.

    Raises
    ------
    OptionError
        The machine does not have it.
    """
    present = devices()
    device = present[0] if runtime.device == "auto" else runtime.device
    if device not in present:
        raise OptionError(
            f"This machine has no device '{device}' that torch can use; it has "
            f"{', '.join(present)}. Choose one of these, or 'auto'."
        )
    return device


def set_threads(runtime: Runtime) -> None:
    """As many threads of torch as are asked for."""
    import torch

    if runtime.threads:
        torch.set_num_threads(min(runtime.threads, os.cpu_count() or 1))


def runtime_here(runtime: Runtime) -> tuple[Runtime, str]:
    """Where this machine uses a net that was trained elsewhere, and a note of what it lacks.

    ``""`` where it lacks nothing.
    """
    present = devices()
    device = runtime.device if runtime.device in present else present[0]
    fits = _has(device, runtime.precision)
    precision = runtime.precision if fits else "float32"
    if runtime.device in ("auto", *present) and fits:
        return runtime, ""
    return runtime.model_copy(update={"device": device, "precision": precision}), (
        f"The run was trained on '{runtime.device}' in {runtime.precision}, which this machine "
        f"does not have; its net is used on '{device}' in {precision}, where the last digits of "
        "numbers differ."
    )


def check_processes(runtime: Runtime) -> None:
    """Refuse more processes than this machine has devices for, before the first is started.

    Raises
    ------
    OptionError
        There are fewer processors, or graphics cards.
    """
    import torch

    kind = device_of(runtime)
    if kind == "cpu" and runtime.devices > (processors := os.cpu_count() or 1):
        raise OptionError(
            f"runtime.devices asks for {runtime.devices} processes on this machine, which has "
            f"{processors} processors. Lower runtime.devices (--devices {processors}), or train "
            "where there are more."
        )
    if runtime.devices > 1:
        _check_devices(kind, runtime.devices, torch.cuda.device_count())


def _leave() -> None:
    from torch import distributed

    if distributed.is_initialized():
        distributed.destroy_process_group()


def compile_encoders(runtime: Runtime, encoders: Iterable[nn.Module], fabric: Fabric) -> None:
    """Let torch compile the encoders when they are first used, if that is asked for.

    The names of their weights, and so the checkpoints, stay as they are.

    Raises
    ------
    OptionError
        It cannot be done here.
    """
    if not runtime.compile:
        return
    import torch._inductor.config as inductor

    kind = fabric.device.type
    compilers = [os.environ.get("CXX"), "cl" if sys.platform == "win32" else "g++", "clang++"]
    if kind == "mps" or (kind == "cpu" and fabric.world_size > 1):
        why = f"does not work on '{kind}'" + (
            f" in {fabric.world_size} processes" * (kind == "cpu")
        )
    elif not any(name and shutil.which(name) for name in compilers):
        why = f"needs a C++ compiler ({compilers[1]} or clang++), and none is on the PATH"
    else:
        # random numbers as without compiling, which gradient caching and a resumed run repeat
        inductor.fallback_random = True
        for encoder in encoders:
            encoder.compile()
        return
    raise OptionError(f"runtime.compile {why}. Set runtime.compile to false.")


def world() -> tuple[int, int] | None:
    """(devices of each node, nodes) of the training that this process is a rank of.

    None when the process was started by neither torchrun nor srun, or by itself.

    Raises
    ------
    OptionError
        Tasks of srun do not spread evenly, or somebody types in one of them.
    """
    if _TORCHRUN in os.environ:
        ranks, here = int(os.environ["WORLD_SIZE"]), int(os.environ["LOCAL_WORLD_SIZE"])
        nodes = ranks // here
    else:
        # srun's; a batch script without srun has SLURM_NTASKS too, and is one process
        ranks = int(os.environ.get("SLURM_STEP_NUM_TASKS", 1))
        nodes = int(os.environ.get("SLURM_STEP_NUM_NODES", 1))
        if ranks > 1 and sys.stdin is not None and sys.stdin.isatty():
            raise OptionError(
                f"This terminal is one of {ranks} tasks of srun, and the others would be waited "
                "for. Ask for one (`srun --ntasks=1 --pty bash`), start all by a srun of their "
                "own, or, to work alone, type `unset SLURM_STEP_NUM_TASKS`."
            )
    if ranks == 1:
        return None
    if ranks % nodes:
        raise OptionError(
            f"{ranks} processes do not spread evenly over {nodes} nodes; start as many on each, "
            "e.g. `srun --ntasks-per-node=4`."
        )
    return ranks // nodes, nodes


def rank() -> int:
    """Number of this process among those of its training, from 0; 0 is the one that reports."""
    if world() is None:
        return 0
    return int(os.environ["RANK" if _TORCHRUN in os.environ else "SLURM_PROCID"])


def ranks() -> int:
    """How many processes work together."""
    devices, nodes = world() or (1, 1)
    return devices * nodes


def job() -> str:
    """What the processes that work together have in common, and no command before theirs had."""
    names = ["SLURM_JOB_ID", "SLURM_STEP_ID", "SLURM_RESTART_COUNT"]
    if _TORCHRUN in os.environ:
        names = [_TORCHRUN, "TORCHELASTIC_RESTART_COUNT", "MASTER_ADDR", "MASTER_PORT"]
    told = [os.environ.get(name, "") for name in names]
    if _TORCHRUN in os.environ and (world() or (1, 1))[1] == 1:
        told.append(str(os.getppid()))  # on one machine its names may be those of the one before
    return " ".join(told)


def joins() -> bool:
    """Whether this process puts together what all ranks have made: the first, or who started them.

    `launch` started them where they are called so.
    """
    return world() is None or (rank() == 0 and os.environ.get(_TORCHRUN) != LAUNCHED)


def _local_rank() -> int:
    return int(os.environ["LOCAL_RANK" if _TORCHRUN in os.environ else "SLURM_LOCALID"])


def _check_devices(device: str, wanted: int, gpus: int) -> None:
    if device == "mps" or (device == "cuda" and wanted > gpus):
        found = "one device" if device == "mps" else f"{gpus} of them"
        raise OptionError(
            f"runtime.devices asks for {wanted} × '{device}' on this machine, which has {found}. "
            "Lower runtime.devices, or choose another runtime.device."
        )


def devices() -> tuple[str, ...]:
    """The kinds of device that torch can use here, best first."""
    import torch

    found = ["cuda"] if torch.cuda.is_available() else []
    found += ["mps"] if torch.backends.mps.is_available() else []
    return (*found, "cpu")
