"""Instant runs of several kinds of features: each read out by itself, then side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from napari_phenoscape.analysis.evaluation._neighbours import knn_correct
from napari_phenoscape.embeddings import embed, export, load_encoder, restore
from napari_phenoscape.errors import OptionError
from napari_phenoscape.events import result
from napari_phenoscape.nets import Contrast, side_by_side
from napari_phenoscape.nets._pretrained import WHEEL
from napari_phenoscape.samples import write_samples
from napari_phenoscape.specimens import Folder
from napari_phenoscape.training import Experiment, last_checkpoint, train
from tests.least import least

pytest.importorskip("timm")
pytest.importorskip(WHEEL)

BOTH = {"kind": "instant", "features": ["descriptor", "pretrained"]}
QUICK = {**BOTH, "readout": {"kind": "contrast", "views": 2}}


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("beside") / "samples"
    return result(write_samples(folder, specimens=24, size=32, drawer=False))


def instant(samples: Path, runs: Path | str, **given: Any) -> Experiment:
    option = least(samples)
    option |= {"image_size": 32, "runs": str(runs), "method": QUICK}
    return Experiment.parse({**option, **given})


@pytest.fixture(scope="module")
def run(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("runs")
    return result(train(instant(samples, runs, modalities=["rgb", "uv"])))


def test_every_kind_of_features_counts_alike_whatever_its_width_and_unit() -> None:
    random = np.random.default_rng(0)
    kinds = [random.normal(size=(30, 4, width)) * unit for width, unit in ((5, 1), (40, 1e3))]
    kinds = [kind + 3 * kind[:, :1] for kind in kinds]
    parts = [
        (Contrast(dimensions=k).fit(kind), kind) for k, kind in zip((3, 9), kinds, strict=True)
    ]
    x = side_by_side(parts)(np.concatenate(kinds, axis=-1)).mean(axis=1)
    assert x.shape == (30, 12)
    first, second = x[:, :3].var(0).sum(), x[:, 3:].var(0).sum()
    assert first == pytest.approx(second)
    # and each is what it is alone, but for its unit
    np.testing.assert_allclose(x[:, :3], parts[0][0](kinds[0]).mean(1), atol=1e-9)
    alone = parts[1][0](kinds[1]).mean(1)
    np.testing.assert_allclose(x[:, 3:] / alone, (x[0, 3] / alone[0, 0]), rtol=1e-6)


def test_a_run_holds_both_in_every_space(run: Path) -> None:
    net, spaces = result(restore(run)), result(embed(run))
    assert list(spaces) == ["rgb", "uv", "joint"]
    assert net.model.widths == {
        "rgb": [105, 1280], "uv": [105, 1280], "joint": [210, 2560]
    }  # fmt: skip
    for space, embeddings in spaces.items():
        weights = net.model.readouts[space].weights
        # descriptor and net do not mix
        first = net.model.widths[space][0]
        edge = int((weights[:first] != 0).any(0).sum())
        assert not weights[:first, edge:].any()
        assert not weights[first:, :edge].any()
        x = embeddings.x
        assert x[:, :edge].var(0).sum() == pytest.approx(x[:, edge:].var(0).sum(), rel=1e-3)


def test_the_weights_of_the_net_are_kept_so_that_nothing_else_is_needed(
    run: Path, monkeypatch
) -> None:
    batch = np.arange(24)

    def joint() -> np.ndarray:
        net = result(restore(run))
        return net.embedding(net.looks()(batch), batch)["joint"]

    before = joint()
    monkeypatch.setitem(__import__("sys").modules, WHEEL, None)
    assert np.array_equal(joint(), before)


def test_two_runs_are_the_same_to_the_bit(samples: Path, run: Path, tmp_path: Path) -> None:
    other = result(train(instant(samples, tmp_path, modalities=["rgb", "uv"])))
    one, two = (load_file(last_checkpoint(r) / "weights.safetensors") for r in (run, other))
    assert all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.slow
def test_what_is_exported_embeds_as_the_run_does(run: Path, tmp_path: Path) -> None:
    folder = result(export(run, tmp_path / "encoder"))
    net, encoder = result(restore(run)), load_encoder(folder)
    program = torch.export.load(folder / "encoder.pt2").module()
    batch = np.arange(24)
    views = list(net.looks()(batch))
    for space, expected in net.embedding(views, batch).items():
        for made in (encoder, program):
            with torch.inference_mode():
                each = [made(view.image, view.mask)[space].numpy() for view in views]
            np.testing.assert_allclose(np.mean(each, axis=0), expected, rtol=1e-2, atol=1e-2)


def test_another_collection_is_embedded_by_the_statistics_of_the_run(
    samples: Path, run: Path, tmp_path: Path
) -> None:
    photographs = samples / "multispectral"
    for path in sorted(photographs.rglob("*.tif"))[:5]:
        copy = tmp_path / path.relative_to(photographs)  # views are by the name
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(path.read_bytes())
    own, other = result(embed(run))["joint"], result(embed(run, Folder(path=tmp_path)))["joint"]
    nearest = np.linalg.norm(other.x[:, None] - own.x, axis=-1).argmin(axis=1)
    names = own.table["filename"].iloc[nearest].tolist()
    assert names == other.table["filename"].tolist()


def test_the_control_holds_both_and_each_counts_alike(run: Path) -> None:
    x = result(embed(run, untrained=True))["rgb"].x
    assert x.shape == (24, 105 + 1280)
    np.testing.assert_allclose(x.mean(0), 0, atol=1e-4)
    # views vary too, so that their means vary by less than 1, and less than that over the widths
    deviations = x.std(0)
    assert 0.5 < deviations[:105].max() <= 1.01
    assert 0.5 < deviations[105:].max() / (105 / 1280) ** 0.5 <= 1.01


def test_features_are_named_once() -> None:
    source = {"collection": {"kind": "folder", "path": "moths"}}
    method = {"kind": "instant", "features": ["descriptor", "descriptor"]}
    with pytest.raises(OptionError, match="'descriptor' are named twice; name each once"):
        Experiment.parse({**source, "method": method})


def test_without_its_extra_no_run_is_begun(samples: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "timm", None)
    with pytest.raises(OptionError, match=r"needs timm.*napari-phenoscape\[pretrained\]"):
        result(train(instant(samples, tmp_path)))
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_uv_only_morphs_are_found(tmp_path: Path) -> None:
    method = {**BOTH, "readout": {"kind": "contrast", "views": 3}}
    samples = result(write_samples(tmp_path / "samples", specimens=96, drawer=False))
    run = result(train(instant(samples, tmp_path, image_size=64, method=method)))
    embeddings = next(iter(result(embed(run)).values()))
    species, morph = (embeddings.table[name].to_numpy() for name in ("species", "morph"))
    for name in set(species):
        x = embeddings.x[species == name]
        found = KMeans(2, n_init=4, random_state=0).fit_predict(x)
        assert adjusted_rand_score(morph[species == name], found) == 1


@pytest.mark.slow
def test_white_blood_cells_are_told_by_their_neighbours(
    phenoscape_data: Path, tmp_path: Path
) -> None:
    cells = phenoscape_data / "wbc-zheng"
    folder = {
        "kind": "folder", "path": str(cells / "Dataset 1"), "pattern": "*.bmp",
        "mask": "{stem}.png", "metadata": str(cells / "Class Labels of Dataset 1.csv"),
    }  # fmt: skip
    given = {"collection": folder, "method": BOTH, "image_size": 64, "runs": str(tmp_path)}
    run = result(train(Experiment.parse(given)))
    (embeddings,) = result(embed(run)).values()
    right = knn_correct(embeddings.x, embeddings.table["class label"].astype(str))
    assert right.mean() >= 0.95


def test_beside_a_net_that_began_pretrained_stands_what_it_saw_before(
    samples: Path, tmp_path: Path
) -> None:
    given = {
        "runs": str(tmp_path),
        "modalities": ["rgb"],
        "schedule": {"steps": 2, "batch_size": 8},
        "runtime": {"device": "cpu"},
    }
    method = {"kind": "simclr", "readout": QUICK["readout"]}
    encoder = {"backbone": "pretrained:efficientnet_lite0"}
    trained = result(train(instant(samples, method=method, encoder=encoder, **given)))
    own = result(embed(trained))["rgb"].x
    start = result(embed(trained, untrained=True))["rgb"].x
    look = result(embed(result(train(instant(samples, **given)))))["rgb"].x
    unit = look / np.sqrt(look.var(axis=0).sum())
    for x in (own, start):
        np.testing.assert_allclose(x[:, -look.shape[1] :], unit, atol=1e-3)
    assert own.shape[1] > look.shape[1]
