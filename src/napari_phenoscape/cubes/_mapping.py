"""A file mapped into memory, whose loss under a read does not end the process.

Touching a page that the file has no more, or that its disk does not give, raises SIGBUS, whose
default ends the process. Reading by system calls instead is 5 times slower for a band and 10 times
for a spectrum; a lease on the file exists on Linux only, and for one's own files. So the signal is
answered, as compositors do for the memory of their clients (`wl_shm_buffer_begin_access` of
libwayland) and Java for its mapped buffers: pages of zeros take the place of the file, the read
goes on to its end, and whoever reads finds `Mapping.is_lost`. Only numpy's copy loops touch these
pages, so no lock and no allocator is interrupted. Windows refuses to shrink a file that is mapped.
"""

from __future__ import annotations

import ctypes
import mmap
import signal
from threading import get_ident
from typing import Any

import numpy as np

#: The same on every system that has SIGBUS; Python's mmap module does not name it.
_MAP_FIXED = 0x10

#: The mapping that each thread reads at this moment, by `threading.get_ident`; the readers keep it.
reading: dict[int, Mapping] = {}


class Mapping:
    """The bytes of an open file; read them only while `reading` says so, for this thread.

    Parameters
    ----------
    number
        Of the file, open for reading; must not be empty. It can be closed after this.
    """

    def __init__(self, number: int) -> None:
        self.bytes = mmap.mmap(number, 0, access=mmap.ACCESS_READ)
        #: A read found no page; zeros stand where the file was.
        self.is_lost = False
        self._address = np.frombuffer(self.bytes, np.uint8).ctypes.data
        _answer_bus_errors()

    def replace_by_zeros(self) -> bool:
        """Put pages of zeros, which take no memory, in the place of the file; whether it worked."""
        self.is_lost = True
        flags = _MAP_FIXED | mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        address = _libc.mmap(self._address, len(self.bytes), mmap.PROT_READ, flags, -1, 0)
        return bool(address == self._address)


if hasattr(signal, "SIGBUS"):
    _libc: Any = ctypes.CDLL(None)
    _libc.signal.argtypes = (ctypes.c_int, ctypes.c_void_p)
    _libc.signal.restype = ctypes.c_void_p
    _libc.mmap.restype = ctypes.c_void_p
    _libc.mmap.argtypes = (
        ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_int64,
    )  # fmt: skip

    @ctypes.CFUNCTYPE(None, ctypes.c_int)  # type: ignore[untyped-decorator]
    def _on_bus_error(number: int) -> None:
        """Runs in the thread that touched the page, between two instructions of a copy loop."""
        lost = reading.get(get_ident())
        # another thread may have replaced it meanwhile, which does not matter
        if lost is None or not lost.replace_by_zeros():
            # not ours: on return the signal comes again, to whoever answered it before us
            _libc.signal(number, _before)

    _ours = ctypes.cast(_on_bus_error, ctypes.c_void_p).value
    _before: int | None = None  # the default, which ends the process

    def _answer_bus_errors() -> None:
        """Take the signal, also back from who took it since the last file was opened."""
        global _before
        previous = _libc.signal(signal.SIGBUS, _ours)
        if previous != _ours:
            _before = previous

else:

    def _answer_bus_errors() -> None:
        """Nothing to answer: this system has no such signal."""
