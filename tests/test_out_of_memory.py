"""A device that is full or gone ends a verb with a sentence, and nothing is lost."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_phenoscape._device import computing
from napari_phenoscape.embeddings import embed
from napari_phenoscape.errors import RunError
from napari_phenoscape.events import result
from napari_phenoscape.samples import write_samples
from napari_phenoscape.samples._experiments import RGB
from napari_phenoscape.training import Experiment, InstantNet, last_checkpoint, train


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
            r"^Out of memory on the graphics card \(CUDA .*runtime\.device to cpu .* is kept",
        ),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "memory on this machine"),
        (RuntimeError("CUDA error: an illegal memory access"), r"^The graphics card failed \(CUDA"),
    ],
    ids=["card", "processor", "lost"],
)
def test_a_device_that_is_full_or_gone_is_said_so(error: Exception, words: str) -> None:
    @computing
    def verb() -> Generator[int, None, None]:
        yield 1
        raise error

    with pytest.raises(RunError, match=words):
        list(verb())


def test_embedding_that_runs_out_of_memory_goes_on_with_what_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = result(write_samples(tmp_path / "samples", specimens=24, size=32, drawer=False))
    given = RGB.anchored(samples).model_dump(mode="json") | {"method": "instant", "image_size": 32}
    given |= {"runs": str(tmp_path / "runs"), "runtime": {"device": "cpu"}}
    run = result(train(Experiment.parse(given)))
    wanted = result(embed(run))["rgb"].x
    (last_checkpoint(run) / "embeddings.safetensors").unlink()
    features = InstantNet.features

    def full(*_: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(InstantNet, "features", full)
    with pytest.raises(RunError, match="goes on with it"):
        result(embed(run))
    monkeypatch.setattr(InstantNet, "features", features)
    np.testing.assert_array_equal(result(embed(run))["rgb"].x, wanted)
