"""What every test may use, and what must happen before any of them."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

import pytest

# Once a window has drawn with Mesa's OpenGL, loading triton's LLVM beside Mesa's can end the
# process; loaded first, both live. torch imports triton with the first optimiser.
with suppress(ImportError):
    import triton  # noqa: F401

# Read by torch when it is first imported. Tiny tensors gain nothing from a second thread.
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of several workers (pytest-xdist) one has all windows: they share the screen's focus."""
    for item in items:
        if "widgets" in item.path.parts:
            item.add_marker(pytest.mark.xdist_group("windows"))


@pytest.fixture(autouse=True)
def _cache_of_its_own(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Masks that were found, and how photographs lie, are kept there: not in the user's."""
    cache = tmp_path_factory.getbasetemp() / "cache"
    monkeypatch.setattr("platformdirs.user_cache_path", lambda *_, **__: cache)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Whatever the test before has set: sums in another order have other bits."""
    if (torch := sys.modules.get("torch")) is not None:
        torch.set_num_threads(1)


@pytest.fixture(scope="session")
def phenoscape_data() -> Path:
    """The folder of real files, or a skip that says how to give it."""
    folder = os.environ.get("PHENOSCAPE_DATA")
    if not folder:
        pytest.skip("PHENOSCAPE_DATA is unset; set it to the folder of real files")
    return Path(folder)
