"""Where on a specimen its cluster is told: the patch that the samples have planted is found."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import Image
from typer.testing import CliRunner

from napari_phenoscape.analysis import explain, speaking, where
from napari_phenoscape.analysis.explanation._cells import as_it_is
from napari_phenoscape.analysis.explanation._membership import centroids
from napari_phenoscape.cli._console import app
from napari_phenoscape.embeddings import (
    Clusters,
    clusters_path,
    embed,
    read_embeddings,
    restore,
    unit_length,
    write_clusters,
)
from napari_phenoscape.errors import CheckpointError, CollectionError
from napari_phenoscape.events import Progress, result
from napari_phenoscape.samples import write_samples
from napari_phenoscape.samples._experiments import DRAWER, RGB_UV
from napari_phenoscape.specimens import Collection, collect
from napari_phenoscape.training import Experiment, KMeans, train

#: Clusters are the morphs: the first two are those of Ficta aurea, with a UV patch and without.
PATCHED, PLAIN = 1, 2
PLAIN_NET = {"kind": "simclr", "readout": "plain", "beside": "nothing"}
READ = {"kind": "contrast", "views": 2}
MORPHS = {"patched", "plain"}
OTHER = {PATCHED: PLAIN, PLAIN: PATCHED, 3: 4, 4: 3}


def clustered_by_morph(experiment: Experiment) -> Path:
    run = result(train(experiment))
    embeddings = list(result(embed(run)).values())[-1]
    labels = embeddings.table.groupby(["species", "morph"]).ngroup().to_numpy(np.int64) + 1
    names = {1: "patched", 2: "plain", 3: "forewing", 4: "hindwing"}
    colours = {n: f"#{n * 111111:06d}" for n in names}
    clusters = Clusters(labels, embeddings.ids, names, colours, KMeans(), space=embeddings.space)
    write_clusters(clusters, clusters_path(run, embeddings))
    return run


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("where") / "samples"
    return result(write_samples(folder, specimens=24, size=64))


@pytest.fixture(scope="module")
def instant(samples: Path) -> Path:
    given = RGB_UV.anchored(samples).model_dump(mode="json")
    given |= {"method": {"kind": "instant"}, "runs": str(samples.parent / "instant")}
    return clustered_by_morph(Experiment.parse(given))


@pytest.fixture(scope="module")
def trained(samples: Path) -> Path:
    """A net of one stage: its grid has 16 x 16 cells."""
    given = RGB_UV.anchored(samples).model_dump(mode="json")
    given["schedule"] |= {"steps": 20, "batch_size": 12}
    given["encoder"] |= {"pooling": {"by": "mean", "last": 1, "skip": 3}}
    given |= {"method": PLAIN_NET, "runs": str(samples.parent / "trained")}
    return clustered_by_morph(Experiment.parse(given))


def asked(run: Path, number: int = PATCHED):
    """What tells the specimens of a cluster from the other morph, and who they are."""
    embeddings, net = read_embeddings(run), result(restore(run))
    labels = embeddings.table.groupby(["species", "morph"]).ngroup().to_numpy(np.int64) + 1
    rows = np.flatnonzero(labels == number)
    return net, embeddings, labels, rows, result(where(net, embeddings, labels, rows, OTHER))


def planted(samples: Path, collection: Collection, row: int, side: int) -> np.ndarray:
    """(S, S) True on the UV patches of a specimen, in its crop."""
    individual = int(collection.metadata["individual"].iloc[row])
    patches = pd.read_csv(samples / "patches.csv")
    box = collection.specimens[row].box
    scale = side / max(box[1] - box[0], box[3] - box[2])
    middle = np.array([box[0] + box[1] - 1, box[2] + box[3] - 1]) / 2
    rows, columns = np.indices((side, side))
    found = np.zeros((side, side), bool)
    for one in patches[patches["individual"] == individual].itertuples():
        if one.element == "uv_patch":
            row_, column = (np.array([one.row, one.column]) - middle) * scale + (side - 1) / 2
            found |= np.hypot(rows - row_, columns - column) <= one.radius * scale
    return found


def overlaps(samples: Path, net, maps: np.ndarray, rows: np.ndarray, masks: np.ndarray):
    """Intersection over union of what speaks for the cluster with the planted patches."""
    collection = result(collect(net.experiment.collection))
    for one, row, mask in zip(maps, rows, masks, strict=True):
        found = speaking(one)
        patch = planted(samples, collection, int(row), one.shape[-1]) & mask
        yield (found & patch).sum() / (found | patch).sum()


def test_places_that_speak_for_the_patched_morph_are_its_uv_patches(samples, instant):
    net, _, _, rows, found = asked(instant)
    assert len(rows) == 6
    assert np.isnan(found.lost[~found.masks]).all()
    assert np.isfinite(found.lost[found.masks]).all()
    assert found.cells is None  # quantiles are no sum over places
    iou = list(overlaps(samples, net, found.lost, rows, found.masks))
    assert np.mean(iou) >= 0.5, iou


def test_the_exact_map_of_a_grid_adds_up_to_the_margin_and_finds_the_patches(samples, trained):
    net, embeddings, labels, rows, found = asked(trained)
    assert found.cells.shape == (6, 16, 16)
    np.testing.assert_allclose(found.cells.sum((1, 2)), found.margin, rtol=1e-3)
    iou = list(overlaps(samples, net, found.exact, rows, found.masks))
    assert np.mean(iou) >= 0.5, iou
    strange = replace(embeddings, x=-embeddings.x)
    with pytest.raises(CheckpointError, match="Embed and cluster again"):
        result(where(net, strange, labels, rows, OTHER))


def test_the_exact_map_beside_an_instant_part_adds_up_to_the_nets_part(samples, tmp_path):
    given = RGB_UV.anchored(samples).model_dump(mode="json")
    given["schedule"] |= {"steps": 2, "batch_size": 12}
    given["encoder"] |= {"pooling": {"by": "mean", "last": 1, "skip": 3}}
    given |= {"method": {"kind": "simclr", "readout": READ}, "runs": str(tmp_path)}
    net, embeddings, labels, rows, found = asked(clustered_by_morph(Experiment.parse(given)))
    (width,) = (of.weights.shape[1] for of in net.model.reading.readouts.values())
    centres = unit_length(centroids(embeddings.x, labels, [PATCHED, PLAIN]))
    bounded = 0
    for row, cells in zip(rows, found.cells, strict=True):
        one = np.array([row])
        view = next(as_it_is(net)(one))
        (x,) = net.embedding([view], one)["rgb+uv"].astype(float)
        lengths = [np.linalg.norm(part) for part in (x[:width], x[width:])]
        bounded += lengths[0] > 0.999 * float(net.model.reading.most[0]) * lengths[1]
        part = x[:width] @ (centres[0] - centres[1])[:width] / np.linalg.norm(x)
        assert cells.sum() == pytest.approx(part, abs=1e-5)
    assert bounded > 0


def test_it_can_be_stopped_after_any_specimen(instant):
    embeddings, net = read_embeddings(instant), result(restore(instant))
    labels = embeddings.table.groupby(["species", "morph"]).ngroup().to_numpy(np.int64) + 1
    events = list(where(net, embeddings, labels, np.array([0, 1]), OTHER))
    assert events == [Progress("hiding places of specimens", i, 2) for i in range(3)]


def test_half_of_the_most_speaks_and_nothing_where_nothing_is_lost():
    lost = np.array([[np.nan, 0.1], [0.5, 1.0]])
    assert speaking(lost).tolist() == [[False, False], [True, True]]
    assert not speaking(-lost).any()


@pytest.fixture(scope="module")
def drawer(samples: Path) -> Path:
    given = DRAWER.anchored(samples).model_dump(mode="json")
    given["schedule"] |= {"steps": 30, "batch_size": 12}
    given["encoder"] |= {"pooling": {"by": "mean", "last": 1, "skip": 2}}
    given["preparation"] |= {"bin_bands": 8}
    given |= {"method": PLAIN_NET, "runs": str(samples.parent / "drawer")}
    return clustered_by_morph(Experiment.parse(given))


def test_hidden_bands_peak_at_the_planted_wavelength(drawer):
    found = result(explain(drawer, width_nm=15))
    bands = found.spectra.bands
    for number in (PATCHED, 3):  # the patch of aurea, and that on the forewing of caerulea
        lost = found.lost[found.numbers.index(number)].mean
        peak = found.occlusion.windows[int(np.argmax(lost))]
        # the scales reflect most up to 355 nm, and this camera begins to see at 348
        assert abs(bands.x[list(peak.bands)].mean() - 355) <= 20


def test_the_command_says_how_far_morphs_are_apart_for_an_eye(drawer, instant):
    asked = ["explain", str(drawer), "--no-occlusion", "--eye", "bird-uv", "--eye", "human"]
    end = CliRunner().invoke(app, [*asked, "--json"])
    assert end.exit_code == 0, end.output
    rows = json.loads(end.stdout)["colours"]
    assert len(rows) == 2 * 6
    bird, person = (row["jnd"] for row in rows if {row["name"], row["other_name"]} == MORPHS)
    assert bird > 2 * person
    table = pd.read_csv(drawer / "explanations" / "full" / "explanation-colours.csv")
    np.testing.assert_allclose(table["jnd"], [row["jnd"] for row in rows], rtol=1e-4)
    end = CliRunner().invoke(app, [*asked, "--densities", "one:two"])
    assert "Write e.g. 1:2:2:4" in end.output
    end = CliRunner().invoke(app, ["explain", str(instant), "--eye", "human", "--no-occlusion"])
    assert end.exit_code == 2


def test_the_command_writes_maps_that_others_can_read(instant):
    asked = ["explain", str(instant), "--no-occlusion", "--where", "2", "--against", "plain"]
    end = CliRunner().invoke(app, ["explain", "--elements", "4", *asked[1:]])
    assert end.exit_code == 0, end.output
    assert "elements, of the area: 1 " in end.output
    folder = instant / "explanations" / "rgb+uv"
    table = pd.read_csv(folder / "explanation-where.csv")
    assert table["name"].tolist() == [
        n for n in ("patched", "plain", "forewing", "hindwing") for _ in "ab"
    ]
    assert set(table["against"][table["name"] != "plain"]) == {"plain"}
    assert table["area"].between(0, 1).all()
    with tifffile.TiffFile(folder / "explanation-where.tif") as file:
        planes, labels = file.asarray(), file.imagej_metadata["Labels"]
    assert labels == table["specimen"].tolist()
    np.testing.assert_allclose(np.nanmax(planes, (1, 2)), table["most"], rtol=1e-4)
    with Image.open(folder / "explanation-where.png") as figure:
        assert figure.size[0] > 1000
    assert len(pd.read_csv(folder / "explanation-elements.csv")) == 4 * 6
    shares = pd.read_csv(folder / "explanation-element-shares.csv")
    np.testing.assert_allclose(shares.filter(like="element ").sum(axis=1), 1, rtol=1e-4)
    assert tifffile.imread(folder / "explanation-elements.tif").shape == (24, 80, 80)
    end = CliRunner().invoke(app, [*asked[:-1], "moth"])
    assert end.exit_code == 2
    assert "There is no cluster 'moth'" in end.output
    with pytest.raises(CollectionError, match="these are patched, plain"):
        result(explain(instant, occlusion=False, where=1, against="moth"))
