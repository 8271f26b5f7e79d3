"""Triton, bound so that it lives beside Mesa in one process."""

from __future__ import annotations

import os
import sys


def bind_triton() -> None:
    """Load triton before torch does; call before anything of torch is imported in a window.

    torchvision and torch's optimisers import triton, whose LLVM has the same symbols as Mesa's:
    once a GL context exists, the process dies. Bound to its own symbols, triton lives beside it.
    """
    if "triton" in sys.modules or not hasattr(os, "RTLD_DEEPBIND"):
        return
    flags = sys.getdlopenflags()
    sys.setdlopenflags(flags | os.RTLD_DEEPBIND)
    try:
        import triton  # noqa: F401
    except ImportError:
        pass  # nothing to bind: torch was built without it
    finally:
        sys.setdlopenflags(flags)
