"""Verbs whose nets are on an accelerator give what they give on a processor."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from napari_phenoscape.analysis import cluster_run, evaluate, explain
from napari_phenoscape.embeddings import embed
from napari_phenoscape.events import Saved, Step, result
from napari_phenoscape.samples import write_samples
from napari_phenoscape.samples._experiments import DRAWER, RGB_UV
from napari_phenoscape.training import Experiment, Snapshot, train
from tests.accelerator import ELSEWHERE, There, elsewhere


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("elsewhere") / "samples"
    return result(write_samples(folder, specimens=24, size=32))


CNN = {"backbone": "squeezenet1_1"}
CASES: dict[str, tuple[Experiment, dict[str, Any]]] = {
    "instant": (RGB_UV, {"method": "instant", "modalities": ["rgb", "uv"], "nuisance": ["sex"]}),
    "instant, many bands": (DRAWER, {"method": "instant"}),
    "trained": (
        RGB_UV,
        {
            "modalities": ["rgb", "uv"],
            "encoder": CNN,
            "losses": ["nt_xent", "cross_modal", "local_patches"],
            "image_size": 64,
        },
    ),
    "trained, many bands": (DRAWER, {"encoder": CNN | {"stem": "spectral_response"}}),
    "trained, norms of levels": (RGB_UV, {"nuisance": ["sex"]}),
    "trained in chunks": (RGB_UV, {"encoder": CNN, "runtime": {"chunk": 2}}),
}


def experiment(samples: Path, runs: Path, name: str, device: str) -> Experiment:
    of, given = CASES[name]
    fields = of.anchored(samples).model_dump(mode="json") | {"image_size": 32} | given
    fields["schedule"] |= {"steps": 3, "batch_size": 4, "checkpoint_every": 2, "average": 0.5}
    # so slow that float32 rounding stays rounding
    fields["schedule"] |= {"warmup": 0, "learning_rate": 1e-6}
    runtime = {"device": device, "precision": "float32"} | given.get("runtime", {})
    grouping = {"method": {"kind": "kmeans", "clusters": 2}, "map": "pca"}
    return Experiment.parse(fields | {"runs": str(runs), "runtime": runtime, "grouping": grouping})


def everything(asked: Experiment) -> dict[str, Any]:
    """Numbers of all verbs that use a net, of a training that was stopped and resumed."""
    found: dict[str, Any] = {}
    verb = train(asked, snapshots=4, examples=True)
    for event in verb:
        if isinstance(event, Snapshot):
            found["snapshot"] = event.x
        if isinstance(event, Step | Saved):
            break
    verb.close()
    (run,) = asked.runs.iterdir()
    result(train(asked, run))
    for control in (True, False):
        spaces = result(embed(run, untrained=control))
        found |= {f"{space}, untrained {control}": each.x for space, each in spaces.items()}
    (compared,) = result(evaluate([run], "species")).values()
    found |= {one.embedding: sorted(one.scores) for one in compared}
    result(cluster_run(run))
    explanation = result(explain(run, occlusion=True, width_nm=200, where=1))
    assert explanation.occlusion is not None
    assert explanation.where is not None
    found["occlusion"], found["where"] = explanation.occlusion.lost, explanation.where.lost
    if explanation.weights is not None:
        found["weights"] = explanation.weights["share"]
    return found


@pytest.fixture(scope="module")
def here(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """Numbers of a case on the processor."""
    return cache(
        lambda name: everything(
            experiment(samples, tmp_path_factory.mktemp("here") / "runs", name, "cpu")
        )
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["cuda", "mps"])
@pytest.mark.parametrize("name", CASES)
def test_a_run_on_an_accelerator_gives_the_numbers_of_one_on_a_processor(
    samples: Path, here: Callable[[str], Any], tmp_path: Path, name: str, kind: str
) -> None:
    with elsewhere(kind):
        other = everything(experiment(samples, tmp_path / "runs", name, kind))
    own = here(name)
    assert own.keys() == other.keys()
    for key, x in own.items():
        if isinstance(x, list):
            assert other[key] == x
            continue
        assert (np.isnan(other[key]) == np.isnan(x)).all(), key
        error = np.nan_to_num(other[key]) - np.nan_to_num(x)
        # leading planes of 408 bands, each of one variance, enlarge what is rounded
        assert np.linalg.norm(error) <= 5e-3 * np.linalg.norm(np.nan_to_num(x)), key


def test_a_mix_of_devices_raises() -> None:
    with elsewhere("cuda"):
        there = torch.ones(3, device=ELSEWHERE)
        assert isinstance(there, There)
        with pytest.raises(RuntimeError, match="beside"):
            there + torch.ones(3)
        with pytest.raises(RuntimeError):
            there.numpy()
        assert (there + torch.tensor(1.0)).tolist() == [2, 2, 2]
        assert there[torch.tensor([0])].device.type == ELSEWHERE.type
    with elsewhere("mps"), pytest.raises(TypeError, match="float64"):
        torch.ones(3, device=ELSEWHERE).double()


@pytest.mark.parametrize("kind", ["cuda", "mps"])
def test_an_instant_net_of_many_bands_is_fitted_and_used_on_an_accelerator(
    samples: Path, tmp_path: Path, kind: str
) -> None:
    asked = experiment(samples, tmp_path / "runs", "instant, many bands", kind)
    bands = {"name": "some", "range_nm": [500, 530]}
    asked = Experiment.parse(asked.model_dump(mode="json") | {"modalities": [bands]})
    with elsewhere(kind):
        (embeddings,) = result(embed(result(train(asked)))).values()
    assert np.isfinite(embeddings.x).all()
