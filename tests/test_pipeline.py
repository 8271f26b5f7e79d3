"""The whole path, and the science: what only UV shows is found with UV, and not without."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from napari_phenoscape.analysis import RAND
from napari_phenoscape.analysis.evaluation._neighbours import matched
from napari_phenoscape.analysis.evaluation._partition import adjusted_rand
from napari_phenoscape.embeddings import cluster, embed, embed_all, read_embeddings
from napari_phenoscape.events import result
from napari_phenoscape.samples import demo, write_samples
from napari_phenoscape.samples._experiments import RGB_UV
from napari_phenoscape.training import Experiment, KMeans, train


@pytest.mark.slow
def test_agreement_of_rgb_and_uv_leaves_what_only_uv_shows(tmp_path: Path) -> None:
    samples = result(write_samples(tmp_path / "samples", size=48, drawer=False))
    given = RGB_UV.anchored(samples).model_dump(mode="json")
    given["schedule"]["steps"] = 50
    given |= {
        "modalities": ["rgb", "uv"], "image_size": 32, "runs": str(tmp_path / "runs"),
        "losses": [{"kind": "nt_xent"}, {"kind": "cross_modal"}],
    }  # fmt: skip
    run = result(train(Experiment.parse(given)))
    spaces = result(embed(run))
    for x, table in ((spaces[name].x, spaces[name].table) for name in ("uv", "joint")):
        for rows in table.groupby("species").indices.values():
            ids = tuple(table["specimen"].iloc[rows])
            found = cluster(x[rows], ids, KMeans(clusters=2), seed=0).labels
            assert adjusted_rand(found, table["morph"].iloc[rows]) >= 0.95
    made = result(embed_all(run, tmp_path / "parts"))
    assert made is not None
    (rgb, _), (uv, _) = made.trained.projections.cross.values()
    for one, other in ((rgb, uv), (uv, rgb)):
        assert matched(one, other).mean() >= 12 / 240  # 12 times chance


@pytest.mark.slow
def test_uv_only_morphs_are_found_with_uv_and_not_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # fewer specimens, so that it is minutes less
    few = partial(write_samples, specimens=96, drawer=False)
    monkeypatch.setattr("napari_phenoscape.samples._demo.write_samples", few)
    found = result(demo(tmp_path, steps=12))
    with_uv, without = (
        {one.embedding.split(",")[0]: one.scores[RAND].value for one in found.morphs[name]}
        for name in ("RGB + UV", "RGB only")
    )
    assert with_uv["trained"] >= 0.8
    assert with_uv["untrained plain"] < with_uv["trained"] - 0.2
    assert without["trained"] <= 0.2
    assert without["colour statistics"] <= 0.2
    for run in found.runs.values():
        assert read_embeddings(run).x.shape[0] == 96
    with Image.open(found.figure) as figure:
        assert figure.size[0] > 1000
