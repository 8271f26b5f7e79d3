"""Device: numbers that a processor drew, brought to an accelerator without waiting for it."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_phenoscape.errors import RunError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

P = ParamSpec("P")
Y = TypeVar("Y")
R = TypeVar("R")

#: Kinds of device whose views a processor makes, a few at a time. Any other makes all views of a
#: step at once by itself; MPS has no float64, which their geometry needs.
FEW_AT_A_TIME = {"cpu", "mps"}

#: Bytes from which a copy goes beside the work that is under way, and not into its queue.
LARGE = 2**20

_streams: dict[torch.device, torch.cuda.Stream] = {}


def together(device: torch.device) -> bool:
    """Whether all rows of a batch are worked on at once there."""
    return device.type not in FEW_AT_A_TIME


def staging(*shape: int) -> Tensor | NDArray[np.float32]:
    """Float32 memory of the processor, from which an accelerator can fetch by itself."""
    import torch

    if torch.cuda.is_available():
        return torch.empty(shape, pin_memory=True)
    return np.empty(shape, np.float32)


def placed(
    numbers: NDArray[Any] | Tensor, device: torch.device, dtype: torch.dtype | None = None
) -> Tensor:
    """The same numbers on a device; nobody waits until they are there.

    Large ones are copied beside the work that the device still has to do, so those of a step
    arrive while the one before it is computed.
    """
    import torch

    host = numbers if isinstance(numbers, torch.Tensor) else torch.from_numpy(np.asarray(numbers))
    if dtype is not None:
        host = host.to(dtype)
    if host.device.type != "cpu" or not together(device):
        return host.to(device)
    if not torch.cuda.is_available():
        return host.to(device, non_blocking=True)
    host = host if host.is_pinned() else host.pin_memory()
    if host.nbytes < LARGE:
        return host.to(device, non_blocking=True)
    if device not in _streams:
        _streams[device] = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    beside = _streams[device]
    with torch.cuda.stream(beside):
        there = host.to(device, non_blocking=True)
    here = torch.cuda.current_stream(device)
    here.wait_stream(beside)
    there.record_stream(here)
    return there


def index(numbers: slice | NDArray[Any], device: torch.device) -> slice | Tensor:
    """What picks rows of these numbers on a device: of neighbours a slice, which copies nothing."""
    if isinstance(numbers, slice):
        return numbers
    count = len(numbers)
    if count and numbers[-1] - numbers[0] == count - 1 and (np.diff(numbers) == 1).all():
        return slice(int(numbers[0]), int(numbers[-1]) + 1)
    return placed(numbers, device)


def fetched(numbers: Tensor) -> Callable[[], Tensor]:
    """Numbers on their way to the processor; what comes back waits for them, once called."""
    import torch

    if not together(numbers.device) or not torch.cuda.is_available():
        return numbers.cpu
    host = torch.empty(numbers.shape, dtype=numbers.dtype, pin_memory=True)
    host.copy_(numbers, non_blocking=True)
    arrived = torch.cuda.Event()  # type: ignore[no-untyped-call]
    arrived.record(torch.cuda.current_stream(numbers.device))

    def wait() -> Tensor:
        arrived.synchronize()
        return host

    return wait


def one_late(begun: Iterable[Y], device: torch.device) -> Iterator[Y]:
    """Pieces of work, each when the one after it is begun, too; a processor's as they come.

    So an accelerator has work while somebody waits for what was `fetched` of it.
    """
    waiting: deque[Y] = deque()
    for one in begun:
        waiting.append(one)
        if len(waiting) > together(device):
            yield waiting.popleft()
    yield from waiting


def room(device: torch.device) -> int:
    """Bytes that are free on an accelerator."""
    import torch

    return torch.cuda.mem_get_info(device)[0] if torch.cuda.is_available() else 0


def lacks_memory(error: Exception) -> bool:
    """Whether an error of torch, or of NumPy, says that a device's memory is full."""
    words = ("out of memory", "allocate memory", "not enough memory")
    # torch.OutOfMemoryError on a GPU, a plain RuntimeError on the processor
    said = isinstance(error, RuntimeError) and any(one in str(error) for one in words)
    return said or isinstance(error, MemoryError)


def computing(verb: Callable[P, Generator[Y, None, R]]) -> Callable[P, Generator[Y, None, R]]:
    """The same verb, which says in a sentence that its device is full, or gone.

    Raises
    ------
    RunError
        It is.
    """

    @functools.wraps(verb)
    def told(*given: P.args, **named: P.kwargs) -> Generator[Y, None, R]:
        try:
            return (yield from verb(*given, **named))
        except (RuntimeError, MemoryError) as error:
            reason = " ".join(str(error).split())[:150]
            card = any(kind in reason for kind in ("CUDA", "HIP", "MPS"))
            kept = "What was saved is kept, and the same command goes on with it."
            if lacks_memory(error):
                where = "the graphics card" if card else "this machine"
                raise RunError(
                    f"Out of memory on {where} ({reason}). End other programs that use it"
                    + ", or set runtime.device to cpu in the experiment.yaml" * card
                    + f". {kept}"
                ) from error
            if card and "error" in reason:
                raise RunError(
                    f"The graphics card failed ({reason}). See whether the system still has it "
                    f"(nvidia-smi), and start anew. {kept}"
                ) from error
            raise

    return told
