"""In what light, colours and order specimens are shown."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.stats import spearmanr

from napari_phenoscape.analysis import agreement, coloured, colourings, laid_out, seriation
from napari_phenoscape.cubes import Band, Bands
from napari_phenoscape.embeddings import Clusters, Embeddings, band_mean, pictured, pictures
from napari_phenoscape.errors import OptionError
from napari_phenoscape.events import result
from napari_phenoscape.specimens import Crops, Folder
from napari_phenoscape.training import KMeans

N = 6


@pytest.fixture
def crops():
    """Visible colours and UV; specimen i reflects i / 10 in the UV and 0.5 else."""
    names = ("R", "G", "B", "UV")
    nm = (640.0, 550.0, 460.0, 365.0)
    images = np.full((N, 4, 8, 8), 0.5, np.float32)
    images[:, 3] = np.arange(N)[:, None, None] / 10
    masks = np.ones((N, 1, 8, 8), np.bool_)
    masks[:, :, :2] = False
    images[:, 3, :2] = 9  # not on the specimen
    return Crops(
        images, masks, tuple("abcdef"), Bands(Band(n, w) for n, w in zip(names, nm, strict=True)),
        {"all": np.arange(4)}, {"all": np.arange(N) != 5},
        np.zeros(4, np.float32), np.ones(4, np.float32),
    )  # fmt: skip


@pytest.fixture
def embeddings(tmp_path):
    x = np.array([[1, 0], [1, 0.1], [1, 0.2], [0, 1], [0.1, 1], [0.2, 1]], np.float32)
    table = pd.DataFrame({
        "specimen": list("abcdef"), "filename": "", "path": "", "row": 0, "column": 0,
        "sex": ["M", "F", "M", None, "F", "M"], "mass": [3.0, 1.0, np.nan, 2.0, 5.0, 4.0],
    })  # fmt: skip
    return Embeddings(x, table, "joint", Folder(path=tmp_path))


@pytest.fixture
def clusters():
    labels = np.array([1, 1, 1, 2, 2, 2])
    names, colours = {1: "a", 2: "b"}, {1: "#0072b2", 2: "#e69f00"}
    return Clusters(labels, tuple("abcdef"), names, colours, KMeans(clusters=2))


def test_pictures_are_offered_for_the_bands_that_there_are(crops):
    assert pictures(crops) == ("colours", "UV false colour", "UV yellow-blue", *crops.bands.names)


def test_uv_false_colour_shows_the_uv_as_blue_and_a_band_is_grey(crops):
    seen = pictured(crops, 8, "UV false colour")
    assert seen[0, 5, 5].tolist() == [255, 255, 0]
    assert seen[4, 5, 5, 2] > seen[1, 5, 5, 2]
    assert (pictured(crops, 8, "UV")[..., 0] == pictured(crops, 8, "UV")[..., 2]).all()
    with pytest.raises(OptionError, match="no picture 'infra'"):
        pictured(crops, 8, "infra")


def test_an_eye_is_offered_where_the_bands_cover_it_and_shows_its_catches():
    nm = np.arange(300, 701, 10)
    images = np.zeros((2, len(nm), 8, 8), np.float32)
    images[0, nm > 600] = 1  # red
    images[1, nm < 480] = 1  # blue
    one = np.ones(len(nm), np.float32)
    crops = Crops(
        images, np.ones((2, 1, 8, 8), np.bool_), ("red", "blue"),
        Bands(Band(f"{w} nm", float(w)) for w in nm), {"all": np.arange(len(nm))},
        {"all": np.ones(2, np.bool_)}, 0 * one, one,
    )  # fmt: skip
    name = next(name for name in pictures(crops) if name.startswith("eye of human"))
    red, blue = pictured(crops, 8, name)[:, 4, 4].astype(int)
    assert red[0] > red[2] + 50
    assert blue[2] > blue[0] + 50


def test_the_mean_of_a_band_is_that_under_the_mask_of_those_that_have_it(crops):
    means = band_mean(crops, 3)
    np.testing.assert_allclose(means[:5], np.arange(5) / 10, atol=1e-6)
    assert np.isnan(means[5])


def test_specimens_are_coloured_by_all_that_is_offered(crops, embeddings, clusters):
    offered = colourings(embeddings.table, crops.bands.names)
    assert offered[:5] == ("cluster", "sex", "mass", "silhouette", "neighbours' agreement")
    found = {by: result(coloured(by, embeddings, clusters, crops)) for by in offered}
    assert all(one.colours.shape == (N, 3) for one in found.values())
    assert found["cluster"].colours[0].tolist() == [0, 0x72, 0xB2]
    assert [name for name, _, _ in found["sex"].legend] == ["M", "F", "unknown"]
    assert found["mean of UV"].scale is not None
    with pytest.raises(OptionError, match="cannot be coloured by 'size'"):
        result(coloured("size", embeddings, clusters, crops))


def test_the_neighbours_of_a_specimen_agree_when_they_are_of_its_cluster(embeddings):
    labels = np.array([1, 1, 2, 2, 2, 2])
    share = result(agreement(embeddings.x, labels, k=2))
    assert share.tolist() == [0.5, 0.5, 0, 1, 1, 1]  # the third lies among the first two


def test_a_sheet_is_laid_out_by_numbers_in_their_order_and_the_unknown_last(embeddings, clusters):
    layout = laid_out("mass", embeddings, clusters)
    assert [embeddings.ids[row] for row in layout.order] == list("bdafec")
    assert layout.labels is None


def test_a_sheet_is_laid_out_by_words_a_line_for_each(embeddings, clusters):
    codes = laid_out("sex", embeddings, clusters).labels
    assert codes.tolist() == [1, 0, 1, -1, 0, 1]
    with pytest.raises(OptionError, match="no column 'age'"):
        laid_out("age", embeddings, clusters)


@pytest.mark.parametrize("count", [1, 2, 50, 1500])
def test_specimens_along_a_line_are_put_in_their_order(count):
    angle = np.linspace(0, 1.5, count)
    x = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    shuffled = np.random.default_rng(0).permutation(count)
    order = shuffled[seriation(x[shuffled])]
    assert sorted(order.tolist()) == list(range(count))
    if count > 2:
        assert abs(spearmanr(order, np.arange(count)).statistic) > 0.999
