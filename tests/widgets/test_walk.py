"""The walk of docs/tutorial.md, as its screenshots show it, by mouse and keyboard alone."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

import pytest

from napari_phenoscape.events import result
from napari_phenoscape.samples import write_samples

pytestmark = [pytest.mark.gui, pytest.mark.slow]

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def make_walk() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_walk", DOCS / "make_walk.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_folder_comes_to_a_named_uv_morph_and_a_report(viewer, make_walk, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result(write_samples("samples", specimens=40, size=32, drawer=False))
    hand = make_walk.Hand(viewer)
    viewer.window.resize(1280, 800)
    taken = []
    for name in make_walk.walk(hand, Path("samples/multispectral"), steps=4):
        taken.append(name)
        if name == "look":
            assert len(hand.session.clustered.clusters.names) == 4
        if name == "emerging":
            assert hand.session.clustered.so_far is not None
        if name == "evaluated":
            assert (hand.session.run / "evaluation-morph.csv").is_file()
    clustered = hand.session.clustered
    assert make_walk.NAME in clustered.clusters.names.values()  # it came through the training
    assert clustered.run == hand.session.run
    assert make_walk.NAME in (clustered.run / "report.html").read_text("utf-8")
    pictures = re.findall(r"images/walk-(\w+)\.png", (DOCS / "tutorial.md").read_text("utf-8"))
    assert set(pictures) <= {*taken, "page"}
