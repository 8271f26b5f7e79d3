"""The soak in small: seventy specimens, in some seconds."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from napari_phenoscape.embeddings import embed
from napari_phenoscape.events import result
from napari_phenoscape.training import _specimens
from tests.soak.stages import EACH, FIXED, fitted, stages
from tests.soak.trouble import changed, digest, vanished, with_clock_backward

SPECIMENS = 70


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux for the memory of the process")
def test_every_step_of_many_specimens_ends_and_no_trouble_is_guessed_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = {stage.name: stage.memory for stage in stages(tmp_path, SPECIMENS)}
    assert list(done) == ["scan", "prepare", "train", "embed", "cluster", "explain"]
    assert max(done.values()) < FIXED + EACH * SPECIMENS
    monkeypatch.setattr(_specimens, "PART", 64)
    run = fitted(tmp_path / "trouble", SPECIMENS)
    result(embed(run))
    wanted = digest(run)
    assert "could not be read just now" in vanished(run)
    assert "changed while they were read" in changed(run)
    with_clock_backward(run)
    assert digest(run) == wanted
