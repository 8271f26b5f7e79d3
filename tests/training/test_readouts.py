"""Readouts of trained nets: of the run's own specimens, kept with its weights, beside instant."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from napari_phenoscape.cubes import Band, Bands
from napari_phenoscape.embeddings import embed, export, load_encoder, restore
from napari_phenoscape.events import Notice, Progress, Step, result
from napari_phenoscape.samples import write_samples
from napari_phenoscape.specimens import BandStatistics, Folder
from napari_phenoscape.training import Experiment, last_checkpoint, train
from napari_phenoscape.training._read_net import Readouts
from napari_phenoscape.training._readouts import worse
from tests.least import least

S = np.s_


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("readouts") / "samples"
    return result(write_samples(folder, specimens=24, size=32, drawer=False))


def experiment(samples: Path, runs: Path, **given: Any) -> Experiment:
    option = least(samples)
    option |= {
        "image_size": 32, "runs": str(runs), "modalities": ["rgb"],
        "head": {"hidden": 16, "out": 8},
        "schedule": {"steps": 2, "batch_size": 8}, "runtime": {"device": "cpu", "threads": 1},
    }  # fmt: skip
    return Experiment.parse({**option, **given})


@pytest.fixture(scope="module")
def run(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return result(train(experiment(samples, tmp_path_factory.mktemp("runs"))))


def cosines(x: np.ndarray) -> np.ndarray:
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    return unit @ unit.T


def neighbours(x: np.ndarray, k: int = 5) -> list[set[int]]:
    similar = cosines(x)
    np.fill_diagonal(similar, -np.inf)
    return [set(row[:k]) for row in np.argsort(-similar, axis=1)]


def test_a_net_counts_beside_an_instant_run_as_far_as_that_names_the_same_neighbours(
    samples: Path, run: Path, tmp_path: Path
) -> None:
    both = result(embed(run))["rgb"].x
    alone = result(embed(result(train(experiment(samples, tmp_path, method="instant")))))["rgb"].x
    width = both.shape[1] - alone.shape[1]
    restored, batch = result(restore(run)), np.arange(24)
    most, restored.model.reading.most = restored.model.reading.most, None
    net = restored.embedding(restored.looks()(batch), batch)["rgb"][:, :width]
    restored.model.reading.most, beside = most, both[:, width:]
    assert 2 <= width <= 23
    # of 5 neighbours among 23 others, 5 / 23 would be the same by lot
    pairs = zip(neighbours(net), neighbours(beside), strict=True)
    same = np.mean([len(one & other) / 5 for one, other in pairs])
    share = (same - 5 / 23) / (1 - 5 / 23)
    assert share > 0
    for part, spread in ((net, share), (beside, 1)):
        assert part.var(axis=0).sum() == pytest.approx(spread**2, rel=1e-3)
        np.testing.assert_allclose(part.mean(axis=0), 0, atol=1e-3)
    # and of each view its part is at most as much of the instant part's length
    longer = 0
    for view in restored.looks()(batch):
        of_view = restored.embedding([view], batch)["rgb"]
        one, other = (np.linalg.norm(of_view[:, part], axis=1) for part in (S[:width], S[width:]))
        assert (one <= share * other * (1 + 1e-4)).all()
        longer += int((one > share * other * (1 - 1e-4)).sum())
    assert 0 < longer < 6 * 24  # what is shorter stays as it is
    # but for its scale it is the embedding of the instant run
    np.testing.assert_allclose(cosines(beside), cosines(alone), atol=1e-3)


def test_a_run_of_before_this_bound_is_embedded_as_it_was(run: Path, tmp_path: Path) -> None:
    old = tmp_path / run.name
    shutil.copytree(run, old)
    kept = last_checkpoint(old) / "readout.safetensors"
    with safe_open(kept, "pt") as file:
        of, weights = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    share = float(weights.pop("most"))
    save_file(weights, kept, metadata=of)
    x = result(embed(old))["rgb"].x
    width = weights["reading.0.weights"].shape[1]
    # its share of the length on average, and a mean of 0: linear in the features
    assert x[:, :width].var(axis=0).sum() == pytest.approx(share**2, rel=1e-3)
    np.testing.assert_allclose(x[:, :width].mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(x[:, width:], result(embed(run))["rgb"].x[:, width:], atol=1e-5)
    program = torch.export.load(result(export(old, tmp_path / "old")) / "encoder.pt2").module()
    net, batch = result(restore(old)), np.arange(24)
    view = next(net.looks()(batch))
    np.testing.assert_allclose(
        program(view.image, view.mask)["rgb"].detach().numpy(),
        net.embedding([view], batch)["rgb"],
        rtol=1e-3, atol=1e-3,
    )  # fmt: skip


def test_of_an_instant_part_without_length_or_numbers_the_net_has_as_much(
    samples: Path, tmp_path: Path
) -> None:
    asked = experiment(samples, tmp_path)
    bands = {"rgb": BandStatistics(Bands([Band(name) for name in "RGB"]), (0,) * 3, (1,) * 3)}
    reading = Readouts(asked, {"rgb": 2}, bands)
    own = torch.tensor([[3.0, 4.0], [0.3, 0.4], [3.0, 4.0], [0.0, 0.0], [torch.nan] * 2])
    other = torch.tensor([[0.0, 2.0], [0.0, 2.0], [0.0, 0.0], [0.0, 2.0], [torch.nan] * 2])
    assert torch.equal(reading.joined("rgb", own, other)[:4, :2], own[:4])
    reading.confirm("rgb", 0.5)
    joined = reading.joined("rgb", own, other)
    np.testing.assert_allclose(
        joined[:, :2], [[0.6, 0.8], [0.3, 0.4], [0, 0], [0, 0], [np.nan] * 2], rtol=1e-6
    )
    np.testing.assert_array_equal(joined[:, 2:], other)


def test_both_readouts_are_kept_beside_the_weights_and_the_start_has_its_own(run: Path) -> None:
    names = {path.name for path in last_checkpoint(run).iterdir()}
    assert {"readout.safetensors", "readout.untrained.safetensors"} <= names
    trained, start = (
        load_file(last_checkpoint(run) / name)["reading.0.centre"]
        for name in ("readout.safetensors", "readout.untrained.safetensors")
    )
    assert trained.shape == start.shape
    assert not torch.equal(trained, start)
    net, batch = result(restore(run, untrained=True)), np.arange(24)
    x = net.embedding(net.looks()(batch), batch)["rgb"]
    # kept as it was read out
    np.testing.assert_allclose(result(embed(run, untrained=True))["rgb"].x, x, atol=1e-5)


def test_an_embedding_does_not_depend_on_what_is_embedded_beside_it(
    samples: Path, run: Path, tmp_path: Path
) -> None:
    paths = sorted((samples / "multispectral").rglob("*.tif"))
    found = []
    for number in (4, 9):
        folder = tmp_path / str(number)
        folder.mkdir()
        for path in paths[:number]:
            (folder / path.name).write_bytes(path.read_bytes())
        found.append(result(embed(run, Folder(path=folder)))["rgb"].x[:4])
    np.testing.assert_allclose(*found, atol=1e-5)


def test_a_training_that_was_stopped_is_read_out_when_embedded_and_goes_on_exactly(
    samples: Path, run: Path, tmp_path: Path
) -> None:
    given = experiment(samples, tmp_path)
    events = train(given)
    while not isinstance(next(events), Step):
        pass
    events.close()
    (stopped,) = tmp_path.glob("*_rgb-uv")
    assert not list(stopped.rglob("readout*"))
    # the readout is of what it was trained on, though others are embedded
    some = tmp_path / "some"
    some.mkdir()
    for path in sorted((samples / "multispectral").rglob("*.tif"))[:2]:
        (some / path.name).write_bytes(path.read_bytes())
    told = [event for event in embed(stopped, Folder(path=some)) if isinstance(event, Progress)]
    assert [event.total for event in told if event.what == "reading out the net"] == [24]
    result(train(given, stopped))
    for name in ("weights", "readout", "readout.untrained"):
        one, two = (load_file(last_checkpoint(of) / f"{name}.safetensors") for of in (run, stopped))
        assert all(torch.equal(one[key], two[key]) for key in one), name


def test_what_is_exported_embeds_as_the_run_does(run: Path, tmp_path: Path) -> None:
    folder = result(export(run, tmp_path / "encoder"))
    net, encoder = result(restore(run)), load_encoder(folder)
    program = torch.export.load(folder / "encoder.pt2").module()
    batch = np.arange(24)
    views = list(net.looks()(batch))
    assert len(views) == 6
    expected = net.embedding(views, batch)["rgb"]
    for made in (encoder, program):
        with torch.inference_mode():
            each = [made(view.image, view.mask)["rgb"].numpy() for view in views]
        np.testing.assert_allclose(np.mean(each, axis=0), expected, rtol=1e-3, atol=1e-3)


def test_plain_and_with_nothing_beside_the_embedding_is_the_features_of_the_whole(
    samples: Path, tmp_path: Path
) -> None:
    method = {"kind": "simclr", "readout": "plain", "beside": "nothing"}
    run = result(train(experiment(samples, tmp_path, method=method)))
    assert result(embed(run))["rgb"].x.shape == (24, 1024)
    assert not list(run.rglob("readout*"))


def test_a_net_that_finds_fewer_again_than_its_start_is_told(tmp_path: Path) -> None:
    # ten are lost: p = 2 / 2^10
    start = np.arange(20) < 15
    (notice,) = worse(start & (np.arange(20) >= 10), start, tmp_path)
    assert isinstance(notice, Notice)
    assert "25% of specimens, and did so in 75% before" in notice.message
    # five are lost: p = 2 / 2^5, which chance does
    assert not list(worse(start & (np.arange(20) >= 5), start, tmp_path))
    assert not list(worse(start, start & (np.arange(20) >= 10), tmp_path))
