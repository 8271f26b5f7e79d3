"""Memory: what one step of a training, or one batch, frees, the next one reuses."""

from __future__ import annotations

import ctypes
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

#: Of glibc's malloc.h: parameter, its value while freed memory is kept, and its default.
_SETTINGS = (
    (-8, 1, 0),  # M_ARENA_MAX: what one thread frees, another reuses
    (-4, 0, 65_536),  # M_MMAP_MAX: nothing is mapped apart
    (-1, 2**31 - 1, 128 * 1024),  # M_TRIM_THRESHOLD: nothing is given back
    (-2, 2**27, 128 * 1024),  # M_TOP_PAD: nor a heap (64 MiB) of an arena that threads had before
)

_lock = threading.Lock()
_keeping = 0


@contextmanager
def freed_memory_kept() -> Iterator[None]:
    """Let glibc reuse the memory of freed tensors instead of giving it back, for a while.

    A training step frees and asks for the same large blocks again and again. By default each is
    mapped anew, and the system clears it page by page: 2.5 times the page faults, and up to twice
    the time of a step on a machine that is short of memory bandwidth. At the end all that is free
    is given back, also what the rest of the process (napari, closed cubes) had freed meanwhile.
    Other C libraries keep their ways.
    """
    global _keeping
    libc = ctypes.CDLL(None) if sys.platform == "linux" else None
    if libc is None or not hasattr(libc, "mallopt"):
        yield
        return
    with _lock:
        _keeping += 1
        if _keeping == 1:
            for parameter, kept, _ in _SETTINGS:
                libc.mallopt(parameter, kept)
    try:
        yield
    finally:
        with _lock:
            _keeping -= 1
            if not _keeping:
                for parameter, _, default in _SETTINGS:
                    libc.mallopt(parameter, default)
                libc.malloc_trim(0)
