from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

from napari_phenoscape.widgets import SpecimensDock


@pytest.fixture
def kept(viewer, open_dock):
    """A layer that was open before the first full search for garbage."""
    layer = viewer.add_image(np.zeros((8, 8)))
    open_dock(SpecimensDock)
    gc.collect()
    return weakref.ref(layer.__wrapped__)


def test_a_full_search_for_garbage_leaves_out_what_outlived_the_one_before(kept):
    assert gc.get_freeze_count() > 100_000  # modules alone
    assert len(gc.get_objects()) < 10_000


def test_a_layer_that_is_removed_leaves_the_memory(viewer, kept, qtbot):
    viewer.layers.pop()
    qtbot.waitUntil(lambda: gc.collect() >= 0 and kept() is None)


def test_a_dock_that_is_closed_leaves_the_memory(viewer, open_dock, qtbot):
    dock = open_dock(SpecimensDock)
    gc.collect()
    gone = weakref.ref(dock)
    viewer.window.remove_dock_widget(dock)
    del dock
    qtbot.waitUntil(lambda: gc.collect() >= 0 and gone() is None)
