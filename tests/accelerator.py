"""An accelerator that this machine need not have: its numbers lie on the processor, unseen.

`FakeTensorMode` has shapes alone; here whole verbs run, and their numbers can be compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import lightning_fabric
import pytest
import torch
from lightning_fabric.accelerators.accelerator import Accelerator
from lightning_fabric.strategies.single_device import SingleDeviceStrategy
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map_only

from napari_phenoscape import _device
from napari_phenoscape.training import _loop
from napari_phenoscape.training.parallel import _runtime

#: Autograd wants a thread of each CUDA device that there is; of the accelerators that torch knows
#: this one needs none. No other line of ours tells the two apart where there is no CUDA.
ELSEWHERE = torch.device("lazy", 0)

#: What may take indices of a processor, as CUDA does: the others of its tensors may not.
INDEXED = {"aten.index", "aten.index_put", "aten.index_put_", "aten._index_put_impl_"}


class There(Tensor):
    """A tensor of the accelerator, and the numbers in it."""

    numbers: Tensor

    @staticmethod
    def __new__(cls, numbers: Tensor) -> There:
        # a view of what is no inference tensor must be none
        with torch.inference_mode(mode=False):
            made: There = torch.Tensor._make_wrapper_subclass(  # type: ignore[attr-defined]
                cls,
                numbers.size(),
                strides=numbers.stride(),
                storage_offset=numbers.storage_offset(),
                dtype=numbers.dtype,
                device=ELSEWHERE,
            )
        made.numbers = numbers
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl

    def __repr__(self, **_: Any) -> str:
        return f"There({tuple(self.shape)}, {self.dtype})"

    def tolist(self) -> Any:
        return self.numbers.tolist()

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return computed(func, args, kwargs or {})


def computed(func: Any, args: Any, kwargs: Any, *, doubles: bool = True) -> Any:
    """What an operation gives, where it is made; a mix of devices raises, as CUDA's would."""
    name, kwargs = str(func.overloadpacket), dict(kwargs)
    given = [each for each in tree_flatten((args, kwargs))[0] if isinstance(each, Tensor)]
    there = any(isinstance(each, There) for each in given)
    if name == "aten.copy_":
        there = isinstance(args[0], There)
    elif (asked := kwargs.get("device")) is not None:
        there = torch.device(asked).type == ELSEWHERE.type
        kwargs["device"] = torch.device("cpu")
    elif there and name != "aten._to_copy":
        mixed = given if name not in INDEXED else [args[0], *args[2:3]]
        for each in mixed:
            if not isinstance(each, There) and each.dim():
                raise RuntimeError(f"{name}: a tensor on {each.device} beside one on {ELSEWHERE}")
    plain, named = tree_map_only(There, lambda each: each.numbers, (args, kwargs))
    result = func(*plain, **named)
    if not there:
        return result
    for each in tree_flatten(result)[0]:
        if isinstance(each, Tensor) and each.dtype == torch.float64 and not doubles:
            raise TypeError(f"{name}: MPS has no float64")
    # what is written to is given back itself
    known = {id(each.numbers): each for each in given if isinstance(each, There)}
    return tree_map_only(
        Tensor, lambda each: known[id(each)] if id(each) in known else There(each), result
    )


class Making(TorchDispatchMode):
    """What is asked for on the accelerator is made there."""

    def __init__(self, *, doubles: bool) -> None:
        super().__init__()
        self.doubles = doubles

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return computed(func, args, kwargs or {}, doubles=self.doubles)


class Emulated(Accelerator):
    """One such device, for Fabric."""

    def setup_device(self, device: torch.device) -> None: ...

    def teardown(self) -> None: ...

    @staticmethod
    def parse_devices(devices: Any) -> Any:
        return devices

    @staticmethod
    def get_parallel_devices(devices: Any) -> list[torch.device]:
        return [ELSEWHERE]

    @staticmethod
    def auto_device_count() -> int:
        return 1

    @staticmethod
    def is_available() -> bool:
        return True

    @staticmethod
    def name() -> str:
        return "emulated"


@contextmanager
def elsewhere(kind: str) -> Iterator[None]:
    """This machine has a ``"cuda"`` or ``"mps"`` meanwhile, one that it emulates."""
    fabric = lightning_fabric.Fabric

    def made(accelerator: str, **given: Any) -> Any:
        if accelerator != kind:
            return fabric(accelerator=accelerator, **given)
        return fabric(strategy=SingleDeviceStrategy(ELSEWHERE, Emulated()), **given)

    autocast = torch.autocast

    def cast(device_type: str, *rest: Any, **given: Any) -> Any:
        # torch knows no half precision of this accelerator
        there = device_type == ELSEWHERE.type
        return nullcontext() if there else autocast(device_type, *rest, **given)

    swaps = torch.__future__.get_swap_module_params_on_conversion()
    torch.__future__.set_swap_module_params_on_conversion(True)
    with pytest.MonkeyPatch.context() as patch, Making(doubles=kind != "mps"):
        patch.setattr(_runtime, "devices", partial(tuple, (kind, "cpu")))
        patch.setattr(lightning_fabric, "Fabric", made)
        patch.setattr(torch, "autocast", cast)
        # nor a fused step
        slow = partial(_loop.optimizer_of, fused=False)
        patch.setattr(_loop, "optimizer_of", lambda *given, fused: slow(*given))
        if kind == "mps":
            patch.setattr(_device, "FEW_AT_A_TIME", {"cpu", ELSEWHERE.type})
        yield
    torch.__future__.set_swap_module_params_on_conversion(swaps)
