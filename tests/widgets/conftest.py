"""Real widgets in a real window: run under a display, e.g. ``xvfb-run``."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytest.importorskip("qtpy")

from napari_phenoscape.widgets.worker import guard_torch

guard_torch()  # before any window is made


@pytest.fixture
def wait(qtbot) -> Callable[[Callable[[], bool]], None]:
    """Lets the window live until a claim is true; gives up (and fails) after a minute."""

    def until(claim: Callable[[], bool]) -> None:
        qtbot.waitUntil(claim, timeout=60_000)

    return until
