"""Why a cluster is a cluster, in numbers that can be checked by hand, and on what is known."""

from __future__ import annotations

import re
import shutil
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from typer.testing import CliRunner

from napari_phenoscape.analysis import (
    Moments,
    SpecimenSpectra,
    explain,
    explained,
    occlude,
    specimen_spectra,
)
from napari_phenoscape.analysis.explanation._membership import membership
from napari_phenoscape.analysis.explanation._occlusion import windows_of
from napari_phenoscape.analysis.explanation._spectra import hedges_g
from napari_phenoscape.analysis.explanation._tables import (
    bands_table,
    occlusion_table,
    specimens_table,
)
from napari_phenoscape.analysis.explanation._weights import shares
from napari_phenoscape.analysis.explanation._words import strongest
from napari_phenoscape.cli._console import app
from napari_phenoscape.cubes import Band, Bands
from napari_phenoscape.embeddings import (
    NOISE,
    Clusters,
    Embeddings,
    Restored,
    clusters_path,
    embed,
    read_clusters,
    read_embeddings,
    restore,
    write_clusters,
    write_embeddings,
)
from napari_phenoscape.errors import CheckpointError, CollectionError, MissingFileError
from napari_phenoscape.events import Progress, result
from napari_phenoscape.nets import Plain
from napari_phenoscape.samples import write_samples
from napari_phenoscape.specimens import Crops, Folder
from napari_phenoscape.spectra._spectra import spectra_table
from napari_phenoscape.training import (
    Experiment,
    KMeans,
    Representations,
    SimCLRMethod,
    train,
)
from tests.least import least

UV = ["UV_R", "UV_G", "UV_B"]


def column(*values: float) -> Moments:
    return Moments.of(np.array(values)[:, None])


def test_hedges_g_is_the_number_worked_out_by_hand():
    # means 2 and 5; pooled variance (2 * 1 + 3 * 20 / 3) / 5 = 4.4; J(5) = gamma(2.5) / sqrt(2.5)
    a, b = column(1, 2, 3), column(2, 4, 6, 8)
    assert hedges_g(a, b) == pytest.approx(-3 / np.sqrt(4.4) * 1.329340 / np.sqrt(2.5))
    assert hedges_g(b, a) == pytest.approx(-hedges_g(a, b))


@pytest.mark.parametrize(
    ("a", "b"), [((1.0,), (2.0, 3.0)), ((1.0, 2.0), (np.nan, 3.0)), ((1.0, 1.0), (2.0, 2.0))]
)
def test_there_is_no_g_of_one_specimen_or_without_variation(a, b):
    assert np.isnan(hedges_g(column(*a), column(*b))).all()


def test_a_specimen_without_a_band_does_not_count_in_it():
    one = Moments.of(np.array([[1.0, np.nan], [3.0, 5.0], [5.0, np.nan]]))
    assert one.n.tolist() == [3, 1]
    assert one.mean.tolist() == [3, 5]
    assert one.sd[0] == 2
    assert np.isnan(one.sd[1])


def test_moments_of_parts_are_those_of_all():
    values = np.random.default_rng(0).random((9, 3))
    values[:4, 1] = values[3:, 2] = np.nan
    together = Moments.together(
        [Moments.of(values[s]) for s in (slice(3), slice(3, 4), slice(4, 9))]
    )
    whole = Moments.of(values)
    for one in ("n", "mean", "sd"):
        np.testing.assert_allclose(getattr(together, one), getattr(whole, one))


def crops_of(images: np.ndarray, bands: Bands, **more: object) -> Crops:
    count, channels = images.shape[:2]
    given = {
        "images": images.astype(np.float32),
        "masks": np.ones((count, 1, *images.shape[2:]), bool),
        "ids": tuple(f"s{i}" for i in range(count)),
        "bands": bands,
        "modalities": {"all": np.arange(channels)},
        "present": {"all": np.ones(count, bool)},
        "mean": images.mean((0, 2, 3)).astype(np.float32),
        "std": images.std((0, 2, 3)).astype(np.float32),
    }
    return Crops(**(given | more))


def test_spectra_are_of_the_mask_and_of_what_was_measured():
    images = np.array([[[[0.2, 0.4], [0.9, 0.9]]] * 2, [[[0.5, 0.5], [0.5, 0.5]]] * 2], np.float32)
    masks = np.array([[[[True, True], [False, False]]]] * 2)
    images[0, 1, 0, 0] = 0.7  # as where nothing was measured: the mean of the band
    images[1, 1] = 0.7
    crops = crops_of(
        images, Bands([Band("R"), Band("UV")]), masks=masks,
        modalities={"r": np.array([0]), "uv": np.array([1])},
        present={"r": np.array([True, True]), "uv": np.array([True, True])},
        mean=np.array([0.4, 0.7], np.float32),
    )  # fmt: skip
    found = result(specimen_spectra(crops)).values
    # of specimen 0 one pixel is left in each band; specimen 1 was measured nowhere in the UV
    np.testing.assert_allclose(found, [[0.2, 0.4], [0.5, np.nan]], atol=1e-6)


def test_a_modality_that_is_lacking_has_no_spectrum():
    rng = np.random.default_rng(0)
    crops = crops_of(
        rng.random((3, 2, 4, 4)), Bands([Band("R"), Band("UV")]),
        modalities={"r": np.array([0]), "uv": np.array([1])},
        present={"r": np.ones(3, bool), "uv": np.array([True, False, True])},
    )  # fmt: skip
    found = result(specimen_spectra(crops)).values
    assert np.isnan(found).tolist() == [[False, False], [False, True], [False, False]]
    np.testing.assert_allclose(found[2], crops.images[2].mean((1, 2)), rtol=1e-5)


def test_a_band_of_two_modalities_is_there_with_one_of_them():
    crops = crops_of(
        np.random.default_rng(0).random((2, 2, 4, 4)), Bands([Band("R"), Band("UV")]),
        modalities={"r": np.array([0]), "r+uv": np.array([0, 1])},
        present={"r": np.ones(2, bool), "r+uv": np.array([True, False])},
    )  # fmt: skip
    found = result(specimen_spectra(crops)).values
    assert np.isnan(found).tolist() == [[False, False], [False, True]]


def test_a_band_that_is_constant_is_measured_all_the_same():
    images = np.full((2, 1, 2, 2), 0.5)
    crops = crops_of(images, Bands([Band("R")]), std=np.ones(1, np.float32))
    assert result(specimen_spectra(crops)).values.tolist() == [[0.5], [0.5]]


def directions(*degrees: float) -> np.ndarray:
    angle = np.radians(degrees)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)


def planted() -> tuple[np.ndarray, np.ndarray]:
    """Cluster 1 near 0°, with one at 40°; cluster 2 near 90°; noise at 60°."""
    labels = np.array([1, 1, 1, 1, 2, 2, NOISE])
    return directions(0, 4, 8, 40, 90, 96, 60) * 3, labels


def test_typical_is_who_is_nearest_to_the_centroid_and_borderline_who_is_between():
    like = membership(*planted())
    # the mean direction of 0°, 4°, 8° and 40° is near 13°
    assert like.typical(1).tolist() == [2, 1, 0, 3]
    assert like.borderline(1)[0] == 3
    a = np.mean(1 - np.cos(np.radians([40, 36, 32])))
    b = np.mean(1 - np.cos(np.radians([50, 56])))
    assert like.silhouette[3] == pytest.approx((b - a) / max(a, b), abs=1e-6)
    assert like.other.tolist() == [2, 2, 2, 2, 1, 1, 2]
    assert np.isnan([like.similarity[6], like.silhouette[6]]).all()


def clusters_of(labels: np.ndarray, ids: tuple[str, ...]) -> Clusters:
    numbers = np.unique(labels).tolist()
    return Clusters(
        labels, ids, {n: f"c{n}" if n > 0 else "noise" for n in numbers},
        {n: f"#{abs(n) * 111111:06d}" for n in numbers}, KMeans(),
    )  # fmt: skip


def embeddings_of(x: np.ndarray, space: str = "all") -> Embeddings:
    ids = [f"s{i}" for i in range(len(x))]
    table = pd.DataFrame({"specimen": ids, "filename": ids})
    return Embeddings(x, table, space, Folder(path=Path("nowhere")))


def test_noise_counts_among_all_others_and_has_no_difference_of_its_own():
    x, labels = planted()
    embeddings = embeddings_of(x)
    ids = tuple(embeddings.table["specimen"])
    values = np.array([1.0, 2, 3, 2, 5, 6, 9])[:, None]
    spectra = SpecimenSpectra(ids, Bands([Band("R")]), values)
    found = explained(embeddings, clusters_of(labels, ids), spectra)
    assert found.numbers == (1, 2, NOISE)
    assert found.nearest == {1: 2, 2: 1}
    assert found.effect(1) == pytest.approx(hedges_g(column(1, 2, 3, 2), column(5, 6, 9)))
    assert found.effect(1, 2) == pytest.approx(hedges_g(column(1, 2, 3, 2), column(5, 6)))
    assert [one.mean[0] for one in found.cluster_spectra()] == [2, 5.5, 9]
    assert specimens_table(found)["other"].tolist() == ["c2"] * 4 + ["c1"] * 2 + ["c2"]


@pytest.mark.parametrize(
    ("labels", "words"), [([1, 1, NOISE], "only 'c1'"), ([NOISE] * 3, "only noise")]
)
def test_fewer_than_two_clusters_are_answered_in_a_sentence(labels, words):
    embeddings = embeddings_of(directions(0, 1, 50))
    ids = tuple(embeddings.table["specimen"])
    spectra = SpecimenSpectra(ids, Bands([Band("R")]), np.ones((3, 1)))
    with pytest.raises(CollectionError, match=words):
        explained(embeddings, clusters_of(np.array(labels), ids), spectra)


def test_few_bands_are_hidden_one_by_one_and_many_in_windows():
    few = Bands(Band(name) for name in ("R", "G", "B", *UV))
    assert [w.bands for w in windows_of(few, range(6))] == [(i,) for i in range(6)]
    assert [w.name for w in windows_of(few, [3, 4])] == ["UV_R", "UV_G"]
    many = Bands(Band(f"{nm} nm", float(nm)) for nm in range(400, 501))
    windows = windows_of(Bands([*many, Band("catch")]), range(102), 25)
    assert [w.name for w in windows] == [
        "400-425 nm", "425-450 nm", "450-475 nm", "475-500 nm", "catch"
    ]  # fmt: skip
    assert sorted(i for w in windows for i in w.bands) == list(range(102))
    assert windows[1].bands == tuple(range(25, 50))


def test_of_neighbouring_bands_only_the_strongest_is_named():
    bands = Bands(Band(f"{nm} nm", nm) for nm in (400.0, 410.0, 430.0, 500.0))
    assert strongest(np.array([3.0, -4.0, 2.0, np.nan]), bands, apart_nm=15) == [1, 2]


def band_means(images: np.ndarray, crops: Crops) -> Restored:
    """A net whose features are the standardised means of the bands."""

    class Net:
        def __call__(self, inputs, mask=None, present=None):
            h = inputs["all"].mean((2, 3)) - torch.from_numpy(crops.mean)
            return Representations({"all": h}, {}, {}, {})

        def divide_nothing_out(self) -> None:
            """It has no readout."""

    experiment = Experiment.model_construct(
        seed=0,
        schedule=SimpleNamespace(steps=1),
        image_size=8,
        background="remove",
        method=SimCLRMethod(readout=Plain(), beside="nothing"),
    )
    return Restored(
        experiment, None, crops, Net(), torch.device("cpu"), nullcontext, untrained=False
    )


def test_what_is_lost_by_occlusion_is_the_margin_that_the_band_made():
    # two clusters, told apart by the second band alone
    levels = np.array([[0.32, 0.1], [0.3, 0.1], [0.32, 0.5], [0.3, 0.5]])
    images = np.ones((4, 2, 8, 8)) * levels[:, :, None, None]
    crops = crops_of(images, Bands([Band("a"), Band("b")]))
    net = band_means(images, crops)
    x = (levels - crops.mean).astype(np.float32)
    labels = np.array([1, 1, 2, 2])
    events = list(occlude(net, embeddings_of(x), labels))
    assert events[-1] == Progress("occluding bands", 16, 16)
    found = result(occlude(net, embeddings_of(x), labels))
    assert found.margin == pytest.approx(2 * np.cos(np.arctan2(0.01, 0.2)), abs=1e-3)
    assert found.lost[:, 1] == pytest.approx(found.margin, abs=1e-3)
    assert np.abs(found.lost[:, 0]).max() < 0.01
    with pytest.raises(CheckpointError, match="Embed and cluster again"):
        result(occlude(net, embeddings_of(x[:, ::-1]), labels))


def test_a_readout_that_enlarges_what_no_view_varies_does_not_make_hidden_bands_count():
    levels = np.array([[0.32, 0.1], [0.3, 0.1], [0.32, 0.5], [0.3, 0.5]])
    images = np.ones((4, 2, 8, 8)) * levels[:, :, None, None]
    crops = crops_of(images, Bands([Band("a"), Band("b")]))
    crops = replace(crops, mean=np.array([0.2, 0.3], np.float32))  # all have more of band a
    plain = band_means(images, crops)

    class Net(type(plain.model)):
        enlarged = torch.tensor([100.0, 1.0])

        def __call__(self, *given, **named):
            seen = super().__call__(*given, **named)
            return seen._replace(h={"all": seen.h["all"] * self.enlarged})

        def divide_nothing_out(self) -> None:
            self.enlarged = torch.ones(2)

    net, labels = replace(plain, model=Net()), np.array([1, 1, 2, 2])
    centred = (levels - crops.mean).astype(np.float32)
    found = result(occlude(net, embeddings_of(centred * Net.enlarged.numpy()), labels))
    alone = result(occlude(plain, embeddings_of(centred), labels))
    np.testing.assert_allclose(found.lost, alone.lost)
    assert found.lost[:, 1].min() > 0.9 * found.margin.min() > 0.5


def test_what_a_specimen_lacks_it_cannot_lose():
    levels = np.array([[0.3, 0.1], [0.32, 0.1], [0.3, 0.5], [0.32, 0.5]])
    images = np.ones((4, 2, 8, 8)) * levels[:, :, None, None]
    crops = crops_of(images, Bands([Band("a"), Band("b")]))
    crops = replace(
        crops, modalities=crops.modalities | {"b": np.array([1])},
        present={"all": np.array([True, True, True, False]), "b": np.ones(4, bool)},
    )  # fmt: skip
    x = (levels - crops.mean).astype(np.float32)
    found = result(occlude(band_means(images, crops), embeddings_of(x), np.array([1, 1, 2, 2])))
    assert np.isnan(found.lost).tolist() == [[False, False]] * 3 + [[True, False]]


def test_a_table_holds_bands_that_repeat_a_wavelength():
    x, labels = planted()
    embeddings = embeddings_of(x)
    ids = tuple(embeddings.table["specimen"])
    bands = Bands([Band("a", 900.0), Band("b", 900.0)])
    spectra = SpecimenSpectra(ids, bands, np.arange(14.0).reshape(7, 2))
    found = explained(embeddings, clusters_of(labels, ids), spectra)
    assert spectra_table(found.cluster_spectra())["band"].tolist() == ["a", "b"]
    table = bands_table(found)
    assert table["hedges_g vs 2"][0] == found.effect(1, 2)[0]


def explained_run(folder: Path, method: dict[str, str]) -> Path:
    """Trained on the samples and embedded; its clusters are the morphs."""
    samples = result(write_samples(folder / "samples", specimens=48, size=48, drawer=False))
    given = least(samples)
    given["schedule"] |= {"steps": 30, "batch_size": 24}
    given |= {"image_size": 32, "runs": str(folder / "runs"), "method": method}
    run = result(train(Experiment.parse(given)))
    embeddings = result(embed(run))["rgb+uv"]
    table = embeddings.table
    labels = table.groupby(["species", "morph"]).ngroup().to_numpy(np.int64) + 1
    write_clusters(clusters_of(labels, embeddings.ids), clusters_path(run, embeddings))
    return run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The net alone, as it is."""
    method = {"kind": "simclr", "readout": "plain", "beside": "nothing"}
    return explained_run(tmp_path_factory.mktemp("explain"), method)


@pytest.mark.parametrize("kind", ["instant", "simclr"])
def test_with_the_default_readout_too_bands_are_missed_where_morphs_differ(
    tmp_path: Path, kind: str
) -> None:
    run = explained_run(tmp_path, {"kind": kind})
    embeddings = result(embed(run))["rgb+uv"]
    labels = read_clusters(clusters_path(run, embeddings)).labels
    found = result(occlude(result(restore(run)), embeddings, labels))
    is_uv = np.array([window.name in UV for window in found.windows])
    patched, plain = (found.lost[labels == number].mean(axis=0) for number in (1, 2))
    # what shines in the UV misses it most; what does not misses none of it
    assert patched[is_uv].min() > patched[~is_uv].max()
    assert plain[is_uv].max() < 0.25 * plain[~is_uv].min()


def test_morphs_of_the_uv_differ_in_the_uv_and_the_net_looks_there(run: Path) -> None:
    found = result(explain(run))
    bands = [band.name for band in found.spectra.bands]
    is_uv = np.isin(bands, UV)
    patched, plain = 1, 2  # Ficta aurea, with and without scales that shine in the UV
    assert found.table["morph"][found.membership.labels == patched].unique() == ["patched"]
    g = found.effect(patched, plain)
    assert g[is_uv].min() > 1
    assert g[is_uv].min() > 2 * np.abs(g[~is_uv]).max()
    lost = found.lost[found.numbers.index(patched)].mean
    assert [window.name for window in found.occlusion.windows] == bands
    assert lost[is_uv].mean() > 2 * lost[~is_uv].mean()
    assert occlusion_table(found)["n"].sum() == 48 * 6


def test_the_command_writes_what_other_programs_read(run: Path) -> None:
    end = CliRunner().invoke(app, ["explain", str(run), "--no-occlusion"])
    assert end.exit_code == 0, end.output
    assert "differs from all others by" in end.stdout
    assert "misses" not in end.stdout
    folder = run / "explanations" / "rgb+uv"
    assert not (folder / "explanation-occlusion.csv").exists()
    end = CliRunner().invoke(app, ["explain", str(run)])
    assert "misses, when hidden" in end.stdout
    spectra = pd.read_csv(folder / "explanation-spectra.csv", index_col="band")
    bands = pd.read_csv(folder / "explanation-bands.csv")
    assert spectra.loc["R", "c1"] == pytest.approx(100 * bands["mean"][0], rel=1e-4)
    assert bands["n"].unique().tolist() == [12]
    specimens = pd.read_csv(folder / "explanation-specimens.csv")
    clusters = read_clusters(run / "clusters" / "rgb+uv.parquet")
    assert specimens["cluster"].tolist() == clusters.labels.tolist()
    assert len(pd.read_csv(folder / "explanation-occlusion.csv")) == 4 * 6
    with Image.open(folder / "explanation.png") as figure:
        assert figure.size[0] > 1000


def test_specimens_that_are_no_longer_those_that_were_embedded_are_refused(run: Path) -> None:
    embeddings = read_embeddings(run)
    clusters = read_clusters(run / "clusters" / "rgb+uv.parquet")
    rows = np.r_[0:10, 11, 10, 12 : len(clusters.labels)]
    swapped = replace(embeddings, x=embeddings.x[rows], table=embeddings.table.iloc[rows])
    net = result(restore(run))
    spectra = result(specimen_spectra(net.crops))
    with pytest.raises(CollectionError, match=r"another order.*Embed and cluster them again"):
        explained(swapped, clusters, spectra)
    with pytest.raises(CollectionError, match="another order"):
        result(occlude(net, swapped, clusters.labels))
    fewer = replace(embeddings, x=embeddings.x[1:], table=embeddings.table[1:])
    gone = re.escape(embeddings.table["specimen"][0])
    with pytest.raises(CollectionError, match=f"47 .* embedded, and these are 48 .*{gone}"):
        explained(fewer, clusters, spectra)


def test_clusters_are_explained_in_the_space_that_they_were_made_in(
    run: Path, tmp_path: Path
) -> None:
    made = Path(shutil.copytree(run, tmp_path / "run"))
    other = replace(read_embeddings(run), space="uv")
    write_embeddings(other, made)
    clusters = replace(read_clusters(run / "clusters" / "rgb+uv.parquet"), space="uv")
    write_clusters(clusters, clusters_path(made, other))
    assert result(explain(made, space="uv", occlusion=False)).space == "uv"
    assert result(explain(made, occlusion=False)).space == "rgb+uv"
    assert {path.name for path in (made / "explanations").iterdir()} >= {"uv", "rgb+uv"}


def test_a_run_that_was_not_clustered_says_what_to_do_first(run: Path, tmp_path: Path) -> None:
    shutil.copy(run / "experiment.yaml", tmp_path)
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(MissingFileError, match="phenoscape embed"):
        result(explain(tmp_path))
    shutil.copytree(run / "embeddings", tmp_path / "embeddings")
    with pytest.raises(MissingFileError, match="phenoscape cluster"):
        result(explain(tmp_path))


def test_shares_are_the_parts_that_features_have_in_the_variance() -> None:
    # three features without correlation, of variance 1, 4 and 9, one of which weighs nothing
    features = np.array([[1, 2, 3], [1, -2, -3], [-1, 2, -3], [-1, -2, 3]], np.float64)
    weights = np.array([[1.0, 1.0], [0.5, 0.0], [0.0, 0.0]])
    # 1 twice, and 4 times a quarter
    np.testing.assert_allclose(shares(features, weights), [2 / 3, 1 / 3, 0])
    # a copy takes half of what there is
    doubled = features[:, [0, 0]]
    np.testing.assert_allclose(shares(doubled, np.ones((2, 1))), [0.5, 0.5])
