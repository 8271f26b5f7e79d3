"""Instant runs: fitted in seconds, runs like any other, and the science."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tifffile
import torch
from safetensors.torch import load_file

from napari_phenoscape.analysis import KNN, evaluate, explain
from napari_phenoscape.embeddings import (
    cluster,
    clusters_path,
    embed,
    embed_all,
    export,
    load_encoder,
    read_embeddings,
    restore,
    write_clusters,
)
from napari_phenoscape.errors import CheckpointError, CollectionError, OptionError
from napari_phenoscape.events import Finished, Progress, Saved, Started, result
from napari_phenoscape.samples import write_samples
from napari_phenoscape.specimens import Folder
from napari_phenoscape.training import (
    Experiment,
    KMeans,
    _fit,
    _specimens,
    last_checkpoint,
    read_events,
    train,
)
from tests.least import least


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("instant") / "samples"
    return result(write_samples(folder, specimens=24, size=32, drawer=False))


def instant(samples: Path, runs: Path, **given: Any) -> Experiment:
    option = least(samples)
    option |= {"image_size": 32, "runs": str(runs), "method": "instant"}
    return Experiment.parse({**option, **given})


@pytest.fixture(scope="module")
def run(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    runs = tmp_path_factory.mktemp("runs")
    return result(train(instant(samples, runs, modalities=["rgb", "uv"])))


def photographs(samples: Path) -> list[Path]:
    return sorted((samples / "multispectral").rglob("*.tif"))


def weights(run: Path) -> dict[str, torch.Tensor]:
    return load_file(last_checkpoint(run) / "weights.safetensors")


def test_it_is_a_run_like_any_other_and_tells_of_its_progress(run: Path) -> None:
    assert {path.name for path in run.iterdir()} == {
        ".lock", "checkpoints", "events.jsonl", "experiment.yaml",
    }  # fmt: skip
    checkpoint = last_checkpoint(run)
    assert {path.name for path in checkpoint.iterdir()} == {
        "weights.safetensors", "state.json", "embeddings.safetensors",
    }  # fmt: skip
    first, *middle, saved, last = read_events(run)
    assert first == Started(run, 24, 0, 1, "cpu")
    assert middle == [Progress("describing views", 24 * view, 144) for view in range(1, 7)]
    assert (saved, last) == (Saved(checkpoint), Finished(run))


def test_two_runs_are_the_same_to_the_bit(samples: Path, run: Path, tmp_path: Path) -> None:
    other = result(train(instant(samples, tmp_path, modalities=["rgb", "uv"])))
    one, two = weights(run), weights(other)
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)
    for first, second in zip(
        result(embed(run)).values(), result(embed(other)).values(), strict=True
    ):
        assert np.array_equal(first.x, second.x)


def test_its_embedding_is_that_of_the_views_it_was_fitted_to(run: Path) -> None:
    spaces = result(embed(run))
    assert list(spaces) == ["rgb", "uv", "joint"]
    for embeddings in spaces.values():
        assert embeddings.x.shape[0] == 24
        assert 2 <= embeddings.x.shape[1] <= 23
        # centred on the grand mean
        np.testing.assert_allclose(embeddings.x.mean(0), 0, atol=1e-3)


def test_what_was_embedded_to_fit_it_is_not_embedded_again(run: Path) -> None:
    events = list(embed(run))
    assert "embedding specimens" not in {e.what for e in events if isinstance(e, Progress)}
    net, batch = result(restore(run)), np.arange(24)
    for space, x in net.embedding(net.looks()(batch), batch).items():
        np.testing.assert_array_equal(read_embeddings(run, space).x, x)


def test_whatever_a_net_is_computed_in_what_was_fitted_is_applied_to_the_same_views(
    samples: Path, tmp_path: Path
) -> None:
    run = result(train(instant(samples, tmp_path, runtime={"precision": "bf16"})))
    net, batch = result(restore(run)), np.arange(24)
    for space, x in net.embedding(net.looks()(batch), batch).items():
        np.testing.assert_array_equal(result(embed(run))[space].x, x)


def test_of_very_many_specimens_some_are_fitted_to_and_all_are_embedded(
    samples: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_fit, "MOST", 12)
    run = result(train(instant(samples, tmp_path)))
    described = [e for e in read_events(run) if isinstance(e, Progress)]
    assert {event.total for event in described} == {12 * 6}
    assert not (last_checkpoint(run) / "embeddings.safetensors").exists()
    (embeddings,) = result(embed(run)).values()
    assert len(embeddings.x) == 24
    # centred on those that it was fitted to, the first and the last among them
    chosen = np.linspace(0, 23, 12).round().astype(int)
    np.testing.assert_allclose(embeddings.x[chosen].mean(0), 0, atol=1e-3)


def test_what_is_kept_is_not_given_where_other_views_are_asked_for(
    run: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(run, tmp_path / "run")
    kept = result(embed(copy))["joint"].x
    path = copy / "experiment.yaml"
    path.write_text(path.read_text("utf-8").replace("seed: 0", "seed: 1"), "utf-8")
    anew = result(embed(copy))["joint"].x
    assert not np.array_equal(kept, anew)
    assert np.corrcoef(kept[:, 0], anew[:, 0])[0, 1] > 0.9  # the same specimens and weights


def test_stopped_before_its_end_it_begins_anew_and_done_it_is_done(
    samples: Path, tmp_path: Path
) -> None:
    experiment = instant(samples, tmp_path)
    events = train(experiment)
    for event in events:
        if isinstance(event, Progress) and event.what == "describing views":
            break
    events.close()
    (stopped,) = tmp_path.glob("*_rgb-uv*")
    assert read_events(stopped)[-1] == Finished(stopped, stopped=True)
    assert result(train(experiment, stopped)) == stopped
    whole = result(train(experiment))
    assert all(torch.equal(weights(stopped)[name], each) for name, each in weights(whole).items())
    *_, last = train(experiment, stopped)
    assert last == Finished(stopped)
    assert [event for event in read_events(stopped) if isinstance(event, Started)][-1].step == 1


def test_exposure_is_divided_out_when_views_vary_it_and_kept_when_not(
    samples: Path, tmp_path: Path
) -> None:
    lit = tmp_path / "lit"
    lit.mkdir()
    paths = photographs(samples)
    for path in paths:
        image = tifffile.imread(path).astype(np.float32)
        for gain in (0.8, 1.25):
            bright = image.copy()
            bright[..., :-1] *= gain
            tifffile.imwrite(lit / f"{path.stem}_{gain}.tif", bright, photometric="minisblack")

    def moved(augmentations: Any) -> float:
        """How far exposure moves a specimen, over how far apart specimens are."""
        source = {"kind": "folder", "path": str(lit)}
        given = instant(samples, tmp_path, collection=source, augmentations=augmentations)
        x = next(iter(result(embed(result(train(given)))).values())).x
        dark, light = x[::2], x[1::2]
        return float(
            np.linalg.norm(dark - light, axis=1).mean()
            / np.linalg.norm(dark - dark[:, None], axis=-1).mean()
        )

    still = [{"kind": "RandomRotation", "p": 1}, {"kind": "RandomGaussianNoise", "p": 1}]
    gain = {
        "kind": "ColorJitter",
        "p": 1,
        "brightness": 0.5,
        "contrast": 0,
        "saturation": 0,
        "hue": 0,
    }
    assert moved([*still, gain]) < 0.5 * moved(still)


def test_what_lies_around_a_specimen_takes_no_part(samples: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    random = np.random.default_rng(0)
    for path in photographs(samples):
        image = tifffile.imread(path)
        outside = image[..., -1] == 0
        noise = random.uniform(0, image[..., :-1].max(), image[..., :-1].shape)
        image[outside, :-1] = noise.astype(image.dtype)[outside]
        tifffile.imwrite(other / path.name, image, photometric="minisblack")
    source = {"kind": "folder", "path": str(other)}
    one, two = (
        next(iter(result(embed(result(train(instant(samples, tmp_path, **given))))).values())).x
        for given in ({}, {"collection": source})
    )
    ours, theirs = (np.linalg.norm(x[:, None] - x, axis=-1) for x in (one, two))
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > 0.9


def test_another_collection_is_embedded_by_the_statistics_of_the_run(
    samples: Path, run: Path, tmp_path: Path
) -> None:
    some = tmp_path / "some"
    some.mkdir()
    for path in photographs(samples)[:5]:
        (some / path.name).write_bytes(path.read_bytes())
    own, other = result(embed(run))["joint"], result(embed(run, Folder(path=some)))["joint"]
    assert other.x.shape == (5, own.x.shape[1])
    # other random numbers, the same specimens
    nearest = np.linalg.norm(other.x[:, None] - own.x, axis=-1).argmin(axis=1)
    names = own.table["filename"].iloc[nearest].tolist()
    assert names == other.table["filename"].tolist()


def test_other_bands_are_refused(samples: Path, tmp_path: Path) -> None:
    run = result(train(instant(samples, tmp_path, modalities=["full"])))
    with pytest.raises(CheckpointError, match=r"3 bands.* trained on .*6 bands"):
        result(embed(run, Folder(path=samples / "rgb")))


def test_it_is_clustered_explained_and_evaluated_like_any_other(run: Path) -> None:
    embeddings = result(embed(run))["joint"]
    clusters = cluster(embeddings.x, embeddings.ids, KMeans(clusters=2), seed=0)
    write_clusters(clusters, clusters_path(run, embeddings))
    explanation = result(explain(run))
    folder = run / "explanations" / "joint"
    kept = pd.read_csv(folder / "explanation-weights.csv")
    assert kept["share"].sum() == pytest.approx(1, abs=1e-3)
    assert len(kept) == 6 * 7  # bands, and the value, edges and spots of each
    assert explanation.weights is not None
    assert (folder / "explanation-weights.png").is_file()
    (compared,) = result(evaluate([run], "species")).values()
    named = {one.embedding.split(",")[0] for one in compared}
    assert named == {"instant", "features alone", "colour statistics", "colour quantiles"}


@pytest.mark.usefixtures("pretrained_net")
def test_where_there_is_a_pretrained_net_it_stands_beside(run: Path, tmp_path: Path) -> None:
    assert {"pretrained net, joint", "features of the pretrained net, joint"} <= set(
        result(embed_all(run, tmp_path)).others
    )


@pytest.mark.usefixtures("pretrained_net")
def test_how_far_it_is_with_all_specimens_is_told_though_it_goes_by_parts(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PART", "BATCH"):
        monkeypatch.setattr(_specimens, name, 8)
    events = [event for event in embed_all(run, tmp_path) if isinstance(event, Progress)]
    described = [event.done for event in events if event.total == 24 * 6]
    assert described[-6:] == [96 + 8 * view for view in range(1, 7)]
    assert sorted(described) == described


def test_the_control_is_the_standardised_descriptor_of_the_same_views(run: Path) -> None:
    for space, width in (("rgb", 105), ("uv", 105), ("joint", 210)):
        x = result(embed(run, untrained=True))[space].x
        assert x.shape == (24, width)
        np.testing.assert_allclose(x.mean(0), 0, atol=1e-4)
        assert 0.2 < np.median(x.std(0)) <= 1


def test_what_is_exported_embeds_as_the_run_does(run: Path, tmp_path: Path) -> None:
    folder = result(export(run, tmp_path / "encoder"))
    net, encoder = result(restore(run)), load_encoder(folder)
    program = torch.export.load(folder / "encoder.pt2").module()
    batch = np.arange(24)
    views = list(net.looks()(batch))
    for space, expected in net.embedding(views, batch).items():
        for made in (encoder, program):
            each = [made(view.image, view.mask)[space].numpy() for view in views]
            np.testing.assert_allclose(np.mean(each, axis=0), expected, rtol=1e-3, atol=1e-3)


def test_specimens_without_a_modality_have_no_place_in_it_but_one_in_the_joint(
    samples: Path, tmp_path: Path
) -> None:
    mixed = tmp_path / "mixed"
    mixed.mkdir()
    paths = photographs(samples)
    for path in paths:
        (mixed / path.name).write_bytes(path.read_bytes())
    image = tifffile.imread(paths[0])
    tifffile.imwrite(mixed / "rgb_only.tif", np.moveaxis(image[:3], 0, -1), photometric="rgb")
    source = {"kind": "folder", "path": str(mixed)}
    given = instant(samples, tmp_path, collection=source, modalities=["rgb", "uv"])
    spaces = result(embed(result(train(given))))
    row = spaces["uv"].table["filename"].tolist().index("rgb_only.tif")
    assert np.isnan(spaces["uv"].x[row]).all()
    for space in ("rgb", "joint"):
        assert np.isfinite(spaces[space].x).all()


def test_without_augmentations_there_is_nothing_to_divide_out(
    samples: Path, tmp_path: Path
) -> None:
    for method in ("instant", "simclr"):
        with pytest.raises(OptionError, match=r"there are none\. Choose a preset"):
            result(train(instant(samples, tmp_path, augmentations="none", method=method)))
    assert not list(tmp_path.glob("*_rgb-uv*"))
    plain = {"kind": "instant", "readout": {"kind": "plain"}}
    run = result(train(instant(samples, tmp_path, augmentations="none", method=plain)))
    # the descriptor of six bands
    assert next(iter(result(embed(run)).values())).x.shape == (24, 6 * 35)


def test_two_specimens_are_too_few_and_leave_no_run(samples: Path, tmp_path: Path) -> None:
    few = tmp_path / "few"
    few.mkdir()
    for path in photographs(samples)[:2]:
        (few / path.name).write_bytes(path.read_bytes())
    runs = tmp_path / "runs"
    with pytest.raises(CollectionError, match=r"2 specimens.*3 or more"):
        result(train(instant(samples, runs, collection={"kind": "folder", "path": str(few)})))
    assert not list(runs.glob("*_rgb-uv*"))


def test_the_smallest_crowns_of_many_bands_are_told_apart(tmp_path: Path) -> None:
    # 12 trees of 40 bands in two years, 3 px; a year is darker
    random = np.random.default_rng(0)
    folder = tmp_path / "crowns"
    folder.mkdir()
    smooth = np.cumsum(random.normal(size=(12, 40)), axis=1)
    spectra = 0.3 + 0.1 * (smooth - smooth.mean(1, keepdims=True)) / np.abs(smooth).max()
    for tree, spectrum in enumerate(spectra):
        for year, gain in enumerate((1.0, 0.8)):
            crown = gain * spectrum[:, None, None] + random.normal(0, 0.002, (40, 3, 3))
            tifffile.imwrite(
                folder / f"{tree:02}_{year}.tif", crown.astype(np.float32), photometric="minisblack"
            )
    given = {
        "name": "crowns", "collection": {"kind": "folder", "path": str(folder)},
        "modalities": ["full"], "image_size": 16, "method": {"kind": "instant"},
        "runs": str(tmp_path / "runs"),
    }  # fmt: skip
    x = next(iter(result(embed(result(train(Experiment.parse(given))))).values())).x
    gaps = np.linalg.norm(x[:, None] - x, axis=-1) + np.diag([np.inf] * 24)
    assert (gaps.argmin(axis=1) // 2 == np.arange(24) // 2).mean() > 0.9


@pytest.mark.slow
def test_white_blood_cells_are_told_by_their_neighbours(
    phenoscape_data: Path, tmp_path: Path
) -> None:
    cells = phenoscape_data / "wbc-zheng"
    folder = {
        "kind": "folder", "path": str(cells / "Dataset 1"), "pattern": "*.bmp",
        "mask": "{stem}.png", "metadata": str(cells / "Class Labels of Dataset 1.csv"),
    }  # fmt: skip
    given = {"collection": folder, "method": "instant", "image_size": 64, "runs": str(tmp_path)}
    run = result(train(Experiment.parse(given)))
    (compared,) = result(evaluate([run], "class label")).values()
    scores = {one.embedding: one.scores[KNN].value for one in compared}
    assert scores["instant, rgb"] >= 0.91
    assert scores["instant, rgb"] > scores["features alone, rgb"] > scores["colour statistics"]
